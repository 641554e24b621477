//! What typed lines do: tasks, `/commands`, `!commands`.

use super::picker::{Choice, Purpose};
use super::slash::{self, Slash};
use super::turn::Phase;
use super::{App, Asked, EditPurpose, Effect, Panel, Question};
use crate::error::Exit;
use crate::event::Command;
use crate::task::Effort;
use crate::tui::backend::Request;
use crate::tui::cell::{Cell, Tone};
use crate::tui::text::clean;

impl App {
    /// A whole line from an interface without a composer.
    pub fn type_line(&mut self, line: &str) -> Vec<Effect> {
        self.composer.set(line);
        self.enter()
    }

    /// The composer's line was entered.
    pub(super) fn enter(&mut self) -> Vec<Effect> {
        let is_command = self.composer.text().starts_with('/') && !looks_like_a_path(self.composer.text());
        if self.question.is_some() && !is_command {
            return self.answer_question();
        }
        if self.composer.is_empty() {
            return Vec::new();
        }
        let text = self.composer.take();
        let text = text.trim_end();
        if text.trim().is_empty() {
            return Vec::new();
        }
        self.composer.history.push(text);
        let mut effects = vec![Effect::Remember(text.to_owned())];
        effects.extend(if let Some(command) = text.strip_prefix('!') {
            self.shell(command.trim())
        } else if text.starts_with('/') && !text.contains('\n') && !looks_like_a_path(text) {
            self.slash(text)
        } else {
            self.submit(text.to_owned())
        });
        effects
    }

    /// Sends what stands in the composer as the answer to the task's question.
    pub fn answer_question(&mut self) -> Vec<Effect> {
        let text = self.composer.take().trim().to_owned();
        let Some(Question { id, kind, .. }) = self.end_question() else { return Vec::new() };
        let shown = match (text.as_str(), kind) {
            ("", Asked::Check) => "(none)",
            ("", Asked::Call) => "(no)",
            (text, _) => text,
        };
        self.transcript.push(Cell::User(clean::visible(shown).into_owned()));
        let now = self.now;
        if let Some(turn) = &mut self.turn {
            turn.enter(Phase::Waiting, now);
        }
        vec![Effect::Send(Request::Command(Command::Answer { id, text }))]
    }

    fn check(&mut self, command: Option<String>) -> Vec<Effect> {
        self.send_errand(Request::Check { command }, "the project's test command")
    }

    fn shell(&mut self, command: &str) -> Vec<Effect> {
        if command.is_empty() {
            return self.say(Tone::Warn, "`!` runs a command in the sandbox: `!ls src`");
        }
        if self.turn.is_some() {
            return self.say(Tone::Warn, "a task runs; stop it first, or wait");
        }
        self.send_errand(Request::Shell { command: command.to_owned() }, format!("in the sandbox: {command}"))
    }

    /// Sends a request whose answer is waited for.
    fn send_errand(&mut self, request: Request, what: impl Into<String>) -> Vec<Effect> {
        if self.errand.is_some() {
            return self.say(Tone::Warn, "one thing after the other: something runs already (esc stops it)");
        }
        self.errand = Some((clean::one_line(&what.into()), self.now));
        vec![Effect::Send(request)]
    }

    fn slash(&mut self, line: &str) -> Vec<Effect> {
        let send = |request| vec![Effect::Send(request)];
        match slash::parse(line) {
            Err(problem) => self.say(Tone::Warn, &problem),
            Ok(Slash::Help) => {
                self.panel = Panel::Help { scroll: 0 };
                Vec::new()
            }
            Ok(Slash::Effort(effort)) => self.set_effort(effort),
            Ok(Slash::Pull(name)) => self.pull_command(name.as_deref()),
            Ok(Slash::Model(None)) => send(Request::ListModels),
            Ok(Slash::Model(Some(name))) => send(Request::SwitchModel { name }),
            Ok(Slash::Sessions(None)) => send(Request::ListSessions),
            Ok(Slash::Sessions(Some(id))) => send(Request::Resume { id }),
            Ok(Slash::New) => self.new_session(),
            Ok(Slash::Map) => self.send_errand(Request::Map, "mapping the repository"),
            Ok(Slash::Check(command)) => self.check(command),
            Ok(Slash::Undo) => self.send_errand(Request::Undo, "taking the last change back"),
            Ok(Slash::Compact) => self.send_errand(Request::Compact, "making room"),
            Ok(Slash::Doctor) => self.send_errand(Request::Doctor, "looking around"),
            Ok(Slash::Export(path)) => vec![Effect::Export { path, text: self.transcript.markdown() }],
            Ok(Slash::Copy) => self.copy_code(),
            Ok(Slash::Thinking) => self.toggle_thinking(),
            Ok(Slash::Fullscreen) => self.toggle_fullscreen(),
            Ok(Slash::Redraw) => vec![Effect::Repaint],
            Ok(Slash::Quit) => self.leave(self.exit()),
        }
    }

    fn new_session(&mut self) -> Vec<Effect> {
        if self.turn.is_some() {
            return self.say(Tone::Warn, "a task runs; stop it first, or wait");
        }
        self.status.context_used = 0;
        self.status.verdict = None;
        self.transcript.push(Cell::note(Tone::Faint, "a new session"));
        vec![Effect::Send(Request::NewSession)]
    }

    /// Esc: a running task or errand is stopped, else a pull; a model that is being loaded is given up.
    pub(super) fn escape(&mut self) -> Vec<Effect> {
        if self.turn.is_none() && self.errand.is_none() && self.status.loading.is_some() && self.composer.is_empty() {
            self.flash("giving up loading the model");
            return vec![Effect::Send(Request::CancelLoad)];
        }
        self.stop()
    }

    /// The effort holds from the next task on; while one thinks, the keys *answer now* and *think more* act.
    pub(super) fn set_effort(&mut self, effort: Effort) -> Vec<Effect> {
        self.effort = effort;
        let text = match effort {
            Effort::Fast => "fast: little thinking".to_owned(),
            Effort::Auto => "auto: the task decides".to_owned(),
            Effort::Deep => "deep: much thinking".to_owned(),
            Effort::Window(tokens) => format!("thinking window: {tokens} tokens"),
        };
        self.flash(if self.turn.is_some() { format!("{text} (from the next task on)") } else { text });
        Vec::new()
    }

    pub(super) fn cycle_effort(&mut self) -> Vec<Effect> {
        self.set_effort(match self.effort {
            Effort::Fast => Effort::Auto,
            Effort::Auto => Effort::Deep,
            Effort::Deep | Effort::Window(_) => Effort::Fast,
        })
    }

    pub(super) fn answer_now(&mut self) -> Vec<Effect> {
        match self.turn.as_ref().map(|turn| &turn.phase) {
            Some(Phase::Thinking | Phase::Waiting | Phase::Prefill { .. }) => {
                self.flash("asked for the answer");
                vec![Effect::Send(Request::Command(Command::AnswerNow))]
            }
            _ => {
                self.flash("nothing is thinking just now");
                Vec::new()
            }
        }
    }

    pub(super) fn think_more(&mut self) -> Vec<Effect> {
        let tokens = self.think_more_tokens;
        match &mut self.turn {
            Some(turn) if matches!(turn.phase, Phase::Thinking | Phase::Waiting | Phase::Prefill { .. }) => {
                turn.more_tokens = turn.more_tokens.saturating_add(tokens);
                self.flash(format!("{tokens} more tokens to think"));
                vec![Effect::Send(Request::Command(Command::ThinkMore { tokens }))]
            }
            _ => {
                self.flash("nothing is thinking just now");
                Vec::new()
            }
        }
    }

    pub(super) fn toggle_thinking(&mut self) -> Vec<Effect> {
        self.thinking_open = !self.thinking_open;
        vec![Effect::Repaint]
    }

    pub(super) fn toggle_fullscreen(&mut self) -> Vec<Effect> {
        self.fullscreen = !self.fullscreen;
        self.scroll = 0;
        vec![Effect::Fullscreen(self.fullscreen)]
    }

    pub(super) fn copy_code(&mut self) -> Vec<Effect> {
        if let Some(code) = self.transcript.last_code() {
            self.flash("copied the last code block");
            vec![Effect::Copy(code)]
        } else {
            self.flash("there is no code block yet");
            Vec::new()
        }
    }

    pub(super) fn search_history(&mut self) {
        let entries = self.composer.history.entries();
        let choices = entries.iter().rev().map(|text| Choice::new(text, text, "")).collect();
        self.open_picker(Purpose::History, "Earlier inputs", choices);
    }

    pub(super) fn open_editor(&mut self) -> Vec<Effect> {
        let text = self.composer.full_text();
        vec![Effect::OpenEditor { purpose: EditPurpose::Compose, text, name: "message.md".to_owned() }]
    }

    pub(super) fn on_edited(&mut self, purpose: EditPurpose, text: Option<String>) -> Vec<Effect> {
        match (purpose, text, &mut self.panel) {
            (EditPurpose::Compose, Some(text), _) => self.composer.set(text.trim_end()),
            (EditPurpose::ReviewFile, Some(text), Panel::Review(review)) => review.set_edited(text),
            _ => {}
        }
        vec![Effect::Repaint]
    }

    /// First press: stop, or clear the line, or arm. Second press: leave.
    pub(super) fn interrupt(&mut self) -> Vec<Effect> {
        if self.leave_armed.is_some() {
            return self.leave(if self.turn.is_some() { Exit::Interrupted } else { self.exit() });
        }
        self.leave_armed = Some(self.now + super::LEAVE_WITHIN);
        if self.turn.is_none() && !self.composer.is_empty() {
            self.composer.set("");
        }
        self.flash("press ctrl+c again to leave");
        self.stop()
    }
}

/// `/usr/lib is missing` is a sentence, not a command.
fn looks_like_a_path(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|word| word[1..].contains('/'))
}
