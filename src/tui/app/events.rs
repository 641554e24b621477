//! What the worker's events do to the state.

use std::time::Duration;

use super::turn::{Lane, Phase, Turn};
use super::{App, Asked, Effect, Panel, Question};
use crate::error::Exit;
use crate::event::{Event, FileChange};
use crate::task::{Outcome, Part, Status, Usage, Verdict};
use crate::tui::app::picker::{Choice, Picker, Purpose};
use crate::tui::app::review::Review;
use crate::tui::backend::{ModelRow, PastTurn, Report, SessionRow};
use crate::tui::cell::{Cell, Tone, seconds};
use crate::tui::text::clean;
use crate::tui::text::stream::Stream;

impl App {
    pub(super) fn on_event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Loading { fraction } => {
                self.status.loading = Some(fraction.clamp(0.0, 1.0));
                self.status.gone = false;
            }
            Event::Ready { model, context_tokens_max, offload } => self.on_ready(&model, context_tokens_max, &offload),
            Event::Started { .. } => self.with_turn(|_, _| {}),
            Event::Prefill { done, total, reused } => self.with_turn(|turn, now| {
                turn.prompt_tokens = total;
                turn.enter(Phase::Prefill { done, total, reused }, now);
            }),
            Event::Classified { complexity, budget } => self.with_turn(|turn, _| {
                let probability = complexity.probabilities[complexity.level as usize];
                turn.complexity = Some((complexity.level, probability));
                turn.budget = Some(budget);
            }),
            Event::Round { round, candidates } => self.on_round(round, candidates),
            Event::Piece { candidate, part, text, tokens, .. } => self.on_piece(candidate, part, &text, tokens),
            Event::Shifted { candidate, why, thinking_tokens } => self.with_turn(|turn, now| {
                let lane = turn.lane(candidate);
                (lane.shifted, lane.thinking_tokens) = (Some(why), thinking_tokens);
                turn.enter(Phase::Shifted, now);
            }),
            Event::Finished { candidate, tokens_per_second } => self.on_finished(candidate, tokens_per_second),
            Event::Verifying { candidate, tier, command } => {
                self.status.tier = Some(tier);
                self.with_turn(|turn, now| {
                    turn.lane(candidate).running = Some(tier);
                    turn.enter(Phase::Verifying { tier, command: clean::one_line(&command) }, now);
                });
            }
            Event::Verified { candidate, verdict } => self.on_verified(candidate, verdict),
            Event::Step { text } => self.on_step(&text),
            Event::Proposal { patch_id, diff, files } => return self.on_proposal(patch_id, &diff, &files),
            Event::Question { id, text } => return self.on_question(id, Asked::Check, &text),
            Event::Permission { id, text, .. } => {
                let text = format!("{text} (y: yes, a: yes for this tool in this session, anything else: no)");
                return self.on_question(id, Asked::Call, &text);
            }
            Event::Warning { text } => self.transcript.push(Cell::note(Tone::Warn, &text)),
            Event::Ended { outcome } => return self.on_ended(&outcome),
            Event::Fatal { message, hint } => self.on_fatal(&message, hint.as_deref()),
        }
        Vec::new()
    }

    fn with_turn(&mut self, change: impl FnOnce(&mut Turn, std::time::Duration)) {
        let now = self.now;
        if let Some(turn) = &mut self.turn {
            change(turn, now);
        }
    }

    fn is_stopping(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.phase == Phase::Stopping)
    }

    fn on_ready(&mut self, model: &str, context_tokens_max: u32, offload: &str) {
        self.status.loading = None;
        self.status.model = Some(clean::one_line(model));
        self.status.offload = clean::one_line(offload);
        self.status.context_max = context_tokens_max;
    }

    fn on_round(&mut self, round: u32, candidates: u32) {
        self.settle_lanes();
        if round > 0 && !self.is_stopping() {
            self.transcript.push(Cell::note(Tone::Faint, &format!("round {}: trying again", round + 1)));
        }
        self.with_turn(|turn, now| {
            turn.round = round;
            turn.first_piece = None;
            turn.lanes = vec![Lane::default(); candidates.clamp(1, 64) as usize];
            turn.enter(Phase::Waiting, now);
        });
    }

    fn on_piece(&mut self, candidate: u32, part: Part, text: &str, tokens: u32) {
        if self.is_stopping() {
            return;
        }
        let now = self.now;
        let Some(turn) = &mut self.turn else { return };
        turn.first_piece.get_or_insert(now);
        let phase = match part {
            Part::Thinking => Phase::Thinking,
            Part::Shift => Phase::Shifted,
            Part::Answer => Phase::Answering,
        };
        turn.enter(phase, now);
        let alone = !turn.is_side_by_side();
        let lane = turn.lane(candidate);
        lane.push(part, text, tokens);
        let used = lane.thinking_tokens + lane.answer_tokens;
        let first = part == Part::Answer && alone && !lane.shown;
        lane.shown |= first;
        let opening = first.then(|| (lane.thought(), lane.opened_fence()));
        self.status.context_used = self.status.context_used.max(turn.prompt_tokens + used);
        if !alone || part != Part::Answer {
            return;
        }
        if let Some((thought, fence)) = opening {
            if let Some(thought) = thought {
                self.transcript.push(thought);
            }
            self.transcript.stream(&fence);
        }
        self.transcript.stream(text);
    }

    fn on_finished(&mut self, candidate: u32, tokens_per_second: f32) {
        self.status.tokens_per_second = Some(tokens_per_second);
        let Some(turn) = &mut self.turn else { return };
        let alone = !turn.is_side_by_side();
        let lane = turn.lane(candidate);
        lane.finished = true;
        lane.tokens_per_second = Some(tokens_per_second);
        if alone {
            self.settle_lanes();
        }
    }

    fn on_verified(&mut self, candidate: u32, verdict: Verdict) {
        let Some(turn) = &mut self.turn else {
            return self.transcript.push(Cell::Verdict { candidate: None, verdict });
        };
        let alone = !turn.is_side_by_side();
        let lane = turn.lane(candidate);
        lane.running = None;
        lane.verdict = Some(verdict);
        // While the answer still streams the verdict waits: it would cut a paragraph in two.
        if alone && lane.finished {
            self.settle_lanes();
        }
    }

    fn on_step(&mut self, text: &str) {
        let text = clean::one_line(text);
        if !self.transcript.is_streaming() {
            self.transcript.push(Cell::note(Tone::Faint, &text));
        }
        self.with_turn(|turn, _| turn.step = Some(text));
    }

    /// Moves what the candidates said into the transcript: all of a single one, the best of several.
    fn settle_lanes(&mut self) {
        let Some(turn) = &mut self.turn else { return };
        let several = turn.is_side_by_side();
        let at = best_lane(&turn.lanes);
        let lane = &mut turn.lanes[at];
        let mut cells = Vec::new();
        let text = lane.answer_text();
        if !lane.shown && !text.trim().is_empty() {
            lane.shown = true;
            if !lane.answer.is_empty() {
                cells.extend(lane.thought());
            }
            cells.push(Cell::Answer(Stream::finished(&text)));
        }
        if let Some(verdict) = lane.verdict.take() {
            cells.push(Cell::Verdict { candidate: several.then_some(at as u32), verdict });
        }
        if several && !cells.is_empty() {
            cells.insert(0, Cell::note(Tone::Faint, &tally(&turn.lanes)));
        }
        self.transcript.close();
        for cell in cells {
            self.transcript.push(cell);
        }
    }

    fn on_proposal(&mut self, patch_id: u64, diff: &str, files: &[FileChange]) -> Vec<Effect> {
        self.settle_lanes();
        if self.is_stopping() {
            return Vec::new();
        }
        self.panel = Panel::Review(Box::new(Review::new(patch_id, diff, files)));
        let started = self.turn.as_ref().map_or(self.now, |turn| turn.started);
        self.with_turn(|turn, now| turn.enter(Phase::Deciding, now));
        self.notify("z1: a change waits for your review", started)
    }

    /// The composer is the answer's until it is sent; what stood there waits.
    fn on_question(&mut self, id: u64, kind: Asked, text: &str) -> Vec<Effect> {
        if self.is_stopping() {
            return Vec::new();
        }
        self.transcript.push(Cell::note(Tone::Warn, &clean::one_line(text)));
        self.question = Some(Question { id, kind, draft: self.composer.full_text() });
        self.composer.set("");
        self.composer.completion = None;
        let started = self.turn.as_ref().map_or(self.now, |turn| turn.started);
        self.with_turn(|turn, now| turn.enter(Phase::Deciding, now));
        self.notify("z1: a question waits for you", started)
    }

    /// The question is answered or moot: what stood in the composer before comes back.
    pub(super) fn end_question(&mut self) -> Option<Question> {
        let question = self.question.take()?;
        self.composer.set(&question.draft);
        Some(question)
    }

    fn on_ended(&mut self, outcome: &Outcome) -> Vec<Effect> {
        self.end_question();
        self.settle_lanes();
        let said = self.transcript.cells().iter().rev().take_while(|cell| !matches!(cell, Cell::User(_)));
        let answered = said.into_iter().any(|cell| matches!(cell, Cell::Answer(_)));
        if !answered && !outcome.answer.trim().is_empty() {
            self.transcript.push(Cell::Answer(Stream::finished(&outcome.answer)));
        }
        for text in &outcome.notes {
            self.transcript.push(Cell::note(Tone::Plain, text));
        }
        self.panel = match std::mem::take(&mut self.panel) {
            Panel::Review(_) => Panel::None,
            other => other,
        };
        self.status.verdict = Some(outcome.status);
        self.last_exit = Exit::from_status(outcome.status);
        let turn = self.turn.take();
        let worked = turn.as_ref().map_or(Duration::ZERO, |turn| turn.worked(self.now));
        let started = turn.map_or(self.now, |turn| turn.started);
        let (tone, text) = end_words(outcome, worked.as_millis() as u64);
        // A verdict that stands just above has said it loudly enough.
        let after_verdict = matches!(self.transcript.cells().last(), Some(Cell::Verdict { .. }));
        let tone = if after_verdict { Tone::Faint } else { tone };
        self.transcript.push(Cell::note(tone, &text));
        self.show_waiting_offer();
        let mut effects = self.notify(&format!("z1: {}", status_word(outcome.status)), started);
        effects.extend(self.go_on_with_queue(outcome.status));
        effects
    }

    /// The next queued input is sent; after a stop the inputs go back to the composer instead.
    fn go_on_with_queue(&mut self, status: Status) -> Vec<Effect> {
        if status == Status::Cancelled {
            let mut waiting: Vec<String> = self.queue.drain(..).collect();
            if !waiting.is_empty() {
                waiting.push(self.composer.full_text());
                self.composer.set(waiting.join("\n").trim_end());
            }
            return Vec::new();
        }
        self.queue.pop_front().map_or_else(Vec::new, |text| self.submit(text))
    }

    fn on_fatal(&mut self, message: &str, hint: Option<&str>) {
        self.settle_lanes();
        self.transcript.push(Cell::Note {
            tone: Tone::Bad,
            text: clean::visible(message).into_owned(),
            hint: hint.map(|hint| format!("hint: {}", clean::visible(hint))),
        });
        self.end_question();
        self.status.gone = true;
        self.status.loading = None;
        self.last_exit = Exit::Error;
        self.turn = None;
        self.show_waiting_offer();
    }

    pub(super) fn on_gone(&mut self) -> Vec<Effect> {
        if !self.status.gone {
            self.on_fatal("the worker ended unexpectedly", Some("what was said is kept; /model starts another"));
        }
        Vec::new()
    }

    pub(super) fn on_report(&mut self, report: Report) -> Vec<Effect> {
        let is_news = matches!(
            report,
            Report::Context { .. } | Report::Offer { .. } | Report::Pulling { .. } | Report::PullEnded { .. }
        );
        if !is_news {
            self.errand = None;
        }
        match report {
            Report::Text { title, body } => {
                let title = clean::one_line(&title);
                self.transcript.push(Cell::Report { title, body: Stream::finished(&body) });
            }
            Report::Sessions { sessions } => self.pick_session(&sessions),
            Report::Models { models } => self.pick_model(&models),
            Report::Shell { command, output, exit, ended, tier, wall_ms } => {
                self.status.tier = Some(tier);
                let end = ended.unwrap_or_else(|| exit.map_or("ended".to_owned(), |code| format!("exit {code}")));
                self.transcript.push(Cell::Shell {
                    command: clean::visible(&command).into_owned(),
                    output: clean::stripped(&output),
                    end: clean::one_line(&end),
                    ok: exit == Some(0),
                    tier,
                    wall_ms,
                });
            }
            Report::Resumed { id, turns } => self.on_resumed(&id, &turns),
            Report::Context { used_tokens, max_tokens } => {
                (self.status.context_used, self.status.context_max) = (used_tokens, max_tokens);
            }
            Report::Offer { offer } => self.on_offer(offer),
            Report::Pulling { name, done_bytes, total_bytes } => self.on_pulling(&name, done_bytes, total_bytes),
            Report::PullEnded { name, why, hint } => self.on_pull_ended(&name, why.as_deref(), hint.as_deref()),
            Report::Refused { what, why, hint } => self.transcript.push(Cell::Note {
                tone: Tone::Warn,
                text: clean::visible(&format!("{what}: {why}")).into_owned(),
                hint: hint.map(|hint| clean::visible(&hint).into_owned()),
            }),
        }
        Vec::new()
    }

    fn pick_session(&mut self, sessions: &[SessionRow]) {
        let choice = |row: &SessionRow| {
            let tasks = if row.tasks == 1 { "1 task".to_owned() } else { format!("{} tasks", row.tasks) };
            Choice::new(&row.id, &row.title, &format!("{} · {tasks}", row.when))
        };
        self.open_picker(Purpose::Session, "Sessions", sessions.iter().map(choice).collect());
    }

    fn pick_model(&mut self, models: &[ModelRow]) {
        let choice = |row: &ModelRow| {
            let label = if row.current { format!("{} (in use)", row.name) } else { row.name.clone() };
            Choice::new(&row.name, &label, &row.detail)
        };
        self.open_picker(Purpose::Model, "Models", models.iter().map(choice).collect());
    }

    pub(super) fn open_picker(&mut self, purpose: Purpose, title: &str, choices: Vec<Choice>) {
        if choices.is_empty() {
            self.flash(format!("{}: none yet", title.to_lowercase()));
        } else if !matches!(self.panel, Panel::Review(_)) {
            self.panel = Panel::Picker(Picker::new(purpose, title, choices));
        }
    }

    fn on_resumed(&mut self, id: &str, turns: &[PastTurn]) {
        self.transcript.push(Cell::note(
            Tone::Faint,
            &format!("session {id}, {} turn{}", turns.len(), if turns.len() == 1 { "" } else { "s" }),
        ));
        for turn in turns {
            self.transcript.push(Cell::User(clean::visible(&turn.task).into_owned()));
            if !turn.answer.trim().is_empty() {
                self.transcript.push(Cell::Answer(Stream::finished(&turn.answer)));
            }
            self.transcript.push(Cell::note(Tone::Faint, &turn.status));
        }
    }
}

/// A candidate that passed, else one that was judged, else the one that said most.
fn best_lane(lanes: &[Lane]) -> usize {
    let rank = |lane: &Lane| match &lane.verdict {
        Some(Verdict::Passed(_)) => 3,
        Some(Verdict::Failed(_)) => 1,
        Some(_) => 2,
        None => 0,
    };
    let key = |lane: &Lane| (rank(lane), lane.finished, lane.answer.len() + lane.thinking.len());
    (0..lanes.len()).rev().max_by_key(|at| key(&lanes[*at])).unwrap_or(0)
}

fn tally(lanes: &[Lane]) -> String {
    let count = |wanted: &str| lanes.iter().filter(|lane| lane.state() == wanted).count();
    let (passed, failed) = (count("passed"), count("failed"));
    format!(
        "{} candidates: {passed} passed, {failed} failed, {} without a verdict",
        lanes.len(),
        lanes.len() - passed - failed
    )
}

/// A status as one word.
pub const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Verified => "verified",
        Status::Unverified => "unverified",
        Status::Failed => "failed",
        Status::LimitReached => "limit reached",
        Status::Refused => "refused",
        Status::Cancelled => "stopped",
    }
}

fn end_words(outcome: &Outcome, ms: u64) -> (Tone, String) {
    let tone = match outcome.status {
        Status::Verified => Tone::Good,
        Status::Unverified | Status::Refused => Tone::Plain,
        Status::Cancelled => Tone::Faint,
        Status::Failed | Status::LimitReached => Tone::Bad,
    };
    let Usage { thinking_tokens, answer_tokens, .. } = outcome.usage;
    let rounds = if outcome.rounds > 1 { format!(" · {} rounds", outcome.rounds) } else { String::new() };
    let word = status_word(outcome.status);
    // A reply that no window cut and no tag parts is one thing: z1 does not guess what of it was thinking.
    let tokens = if answer_tokens == 0 {
        format!("{thinking_tokens} tokens")
    } else {
        format!("{thinking_tokens} thinking + {answer_tokens} answer tokens")
    };
    (tone, format!("{word} · {} · {tokens}{rounds}", seconds(ms)))
}
