//! A backend that plays a file: the whole terminal without a model. A testing aid that ships, so that
//! every state can be looked at and driven through a pty.
//!
//! The file is JSON: `{"start": [STEP…], "tasks": [[STEP…]…], "requests": {"undo": [STEP…]}}`. A step is
//! `{"after_ms": N, "send": INCOMING}` or `{"wait": "answer_now" | "think_more" | "decide" | "cancel"}`
//! or `{"text": {"part": "answer", "text": "…", "tokens_per_second": 200}}`. Each task plays the next
//! list (the last one again and again).
//!
//! Not for: judging anything.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;

use super::backend::{Backend, Gone, Incoming, Report, Request, SendFailed};
use crate::error::UserError;
use crate::event::{Command, Event};
use crate::task::{Outcome, Part, Status, Usage};

/// What is played.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// At once, before any request.
    #[serde(default)]
    pub start: Vec<Step>,
    /// One list for each task.
    #[serde(default)]
    pub tasks: Vec<Vec<Step>>,
    /// The answers to other requests, by name: `undo`, `doctor`, `shell`, …
    #[serde(default)]
    pub requests: BTreeMap<String, Vec<Step>>,
}

/// One step of the play.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Step {
    Send(Incoming),
    AfterMs(u64),
    /// Nothing happens until this command comes.
    Wait(String),
    /// A text in pieces of about four characters, at a speed.
    Text {
        part: Part,
        text: String,
        tokens_per_second: u32,
    },
    /// The worker disappears.
    Vanish,
    /// The interface's thread panics: does the terminal survive?
    PanicUi,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// Where it cannot be read or is no script.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).map_err(|problem| {
            UserError::usage(format!("{} is no script: {problem}", path.display()))
                .hint("the format is described in src/tui/script.rs")
                .into()
        })
    }
}

/// Plays a [`Script`] in real time.
#[derive(Debug)]
pub struct ScriptedBackend {
    script: Script,
    tasks_played: usize,
    playing: VecDeque<Step>,
    /// Bytes of the text at the front that were said.
    said: usize,
    in_task: bool,
    due: Option<Instant>,
    gone: bool,
    /// Everything that was asked, for tests.
    pub asked: Vec<Request>,
}

impl ScriptedBackend {
    pub fn new(script: Script) -> Self {
        let playing = script.start.clone().into();
        Self { script, tasks_played: 0, playing, said: 0, in_task: false, due: None, gone: false, asked: Vec::new() }
    }

    fn on_command(&mut self, command: &Command) {
        let name = match command {
            Command::AnswerNow => "answer_now",
            Command::ThinkMore { .. } => "think_more",
            Command::Decide { .. } => "decide",
            Command::Answer { .. } => "answer",
            Command::Cancel => return self.cancel(),
        };
        // What lies before the awaited command is skipped: the user was faster.
        let waited = self.playing.iter().position(|step| matches!(step, Step::Wait(wanted) if wanted == name));
        if let Some(at) = waited {
            self.playing.drain(..=at);
            self.said = 0;
            self.due = None;
        }
    }

    fn cancel(&mut self) {
        if std::mem::take(&mut self.in_task) {
            (self.due, self.said) = (None, 0);
            let outcome = Outcome {
                status: Status::Cancelled,
                candidate: None,
                answer: String::new(),
                verdict: None,
                usage: Usage::default(),
                rounds: 1,
                notes: Vec::new(),
            };
            self.playing = [Step::Send(Incoming::Event(Event::Ended { outcome: Box::new(outcome) }))].into();
        }
    }

    fn answer(&mut self, request: &Request) {
        let name = name_of(request);
        match self.script.requests.get(name) {
            Some(steps) => self.playing.extend(steps.iter().cloned()),
            None => self.playing.push_back(Step::Send(Incoming::Report(Report::Refused {
                what: name.to_owned(),
                why: "the script has no answer to this".to_owned(),
                hint: None,
            }))),
        }
    }

    fn begin_task(&mut self) {
        let at = self.tasks_played.min(self.script.tasks.len().saturating_sub(1));
        self.tasks_played += 1;
        self.in_task = true;
        match self.script.tasks.get(at) {
            Some(steps) => self.playing.extend(steps.iter().cloned()),
            None => self.cancel(),
        }
    }

    /// The next thing, where it is due.
    fn play(&mut self) -> Result<Option<Incoming>, Gone> {
        loop {
            if self.due.is_some_and(|due| Instant::now() < due) {
                return Ok(None);
            }
            match self.playing.front() {
                None | Some(Step::Wait(_)) => return Ok(None),
                Some(Step::Text { part, text, tokens_per_second }) if self.said < text.len() => {
                    let piece: String = text[self.said..].chars().take(4).collect();
                    self.said += piece.len();
                    self.due = Some(Instant::now() + Duration::from_secs(1) / (*tokens_per_second).max(1));
                    let (candidate, part, forced) = (0, *part, *part == Part::Shift);
                    return Ok(Some(Incoming::Event(Event::Piece { candidate, part, text: piece, forced, tokens: 1 })));
                }
                Some(_) => {}
            }
            self.said = 0;
            match self.playing.pop_front() {
                Some(Step::Send(incoming)) => {
                    self.in_task &= !matches!(incoming, Incoming::Event(Event::Ended { .. }));
                    return Ok(Some(incoming));
                }
                Some(Step::AfterMs(ms)) => self.due = Some(Instant::now() + Duration::from_millis(ms)),
                Some(Step::Vanish) => {
                    self.gone = true;
                    return Err(Gone);
                }
                Some(Step::PanicUi) => panic!("the script asked for a panic"),
                _ => {}
            }
        }
    }
}

impl Backend for ScriptedBackend {
    fn send(&mut self, request: Request) -> Result<(), SendFailed> {
        if self.gone {
            return Err(SendFailed::Gone);
        }
        match &request {
            Request::Submit(_) => self.begin_task(),
            Request::Command(command) => self.on_command(command),
            other => self.answer(other),
        }
        self.asked.push(request);
        Ok(())
    }

    fn try_next(&mut self) -> Result<Option<Incoming>, Gone> {
        if self.gone { Err(Gone) } else { self.play() }
    }

    fn close(&mut self, _patience: Duration) {
        self.gone = true;
    }
}

/// The request's name in a script.
const fn name_of(request: &Request) -> &'static str {
    match request {
        Request::Submit(_) => "submit",
        Request::Command(_) => "command",
        Request::Shell { .. } => "shell",
        Request::ListModels => "list_models",
        Request::SwitchModel { .. } => "switch_model",
        Request::ListSessions => "list_sessions",
        Request::Resume { .. } => "resume",
        Request::NewSession => "new_session",
        Request::Compact => "compact",
        Request::Check { .. } => "check",
        Request::Undo => "undo",
        Request::Doctor => "doctor",
        Request::Map => "map",
        Request::CancelLoad => "cancel_load",
        Request::Pull { .. } => "pull",
        Request::CancelPull => "cancel_pull",
        Request::DeclineOffer => "decline_offer",
    }
}
