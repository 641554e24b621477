//! The terminal's state and how it changes: `update(message) -> effects`, pure.
//!
//! Every arm of [`App::update`] is one call; what a key does is in `input`, what an event of the worker
//! does is in `events`. Not for: drawing (`view/`), reading keys or writing bytes (`run`).

mod commands;
mod events;
mod input;
pub mod keys;
pub mod offer;
pub mod picker;
pub mod review;
mod review_input;
pub mod slash;
pub mod turn;

use std::collections::VecDeque;
use std::time::Duration;

use crossterm::event::KeyEvent;

use super::backend::{Incoming, Request, Submit};
use super::cell::{Cell, Look, Tone};
use super::composer::{Composer, History, complete};
use super::options::{Notify, TuiOptions};
use super::text::clean;
use super::theme::Theme;
use super::transcript::Transcript;
use crate::error::Exit;
use crate::event::Command;
use crate::model_store;
use crate::task::{Effort, Status};
use keys::{Action, Keymap};
use offer::{Offered, Pull};
use picker::Picker;
use review::Review;
use turn::Turn;

pub use events::status_word;

/// Inputs that wait for the running task.
pub const QUEUE_MAX: usize = 16;
/// A second Ctrl-C within this time leaves.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(2);
const FLASH_FOR: Duration = Duration::from_secs(4);

/// Something that happened to the terminal or behind it.
#[derive(Clone, Debug, PartialEq)]
pub enum Msg {
    /// Time went by; since the start.
    Tick(Duration),
    Key(KeyEvent),
    Paste(String),
    Wheel {
        up: bool,
    },
    Resize {
        columns: u16,
        rows: u16,
    },
    Incoming(Incoming),
    /// The worker is gone.
    Gone,
    /// The project's files, for completion.
    Files(Vec<String>),
    /// What the external editor left; `None` where nothing was changed or it failed.
    Edited {
        purpose: EditPurpose,
        text: Option<String>,
    },
    /// The terminal's background is light.
    Light(bool),
    /// SIGTERM, SIGHUP: leave at once.
    Terminate,
    /// Something that the edge wants said.
    Say {
        tone: Tone,
        text: String,
    },
}

/// Why an editor was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditPurpose {
    Compose,
    ReviewFile,
}

/// Something to be done at the edge.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Send(Request),
    OpenEditor {
        purpose: EditPurpose,
        text: String,
        name: String,
    },
    Suspend,
    /// Write to the terminal's clipboard (OSC 52); only ever at the user's key.
    Copy(String),
    Notify(String),
    /// Rows above the live area are to be shown differently: draw everything again.
    Repaint,
    Fullscreen(bool),
    /// Append to the history file.
    Remember(String),
    /// Write this text to a new file: the one named, or one of the edge's choice.
    Export {
        path: Option<String>,
        text: String,
    },
    Leave(Exit),
}

/// What covers the composer.
#[derive(Clone, Debug, Default)]
pub enum Panel {
    #[default]
    None,
    Help {
        scroll: usize,
    },
    Review(Box<Review>),
    Picker(Picker),
}

/// A question that waits for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: u64,
    pub kind: Asked,
    /// What stood in the composer when it came.
    draft: String,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The command that tests the project.
    Check,
    /// A yes to a call.
    Call,
}

/// What the status line shows.
#[derive(Clone, Debug, Default)]
pub struct StatusLine {
    pub model: Option<String>,
    pub offload: String,
    /// 0..=1 while the model is being loaded.
    pub loading: Option<f32>,
    pub context_max: u32,
    pub context_used: u32,
    pub tokens_per_second: Option<f32>,
    pub tier: Option<crate::task::Tier>,
    pub verdict: Option<Status>,
    pub branch: Option<String>,
    pub gone: bool,
}

/// All of the terminal's state.
#[derive(Debug)]
pub struct App {
    pub columns: u16,
    pub rows: u16,
    pub now: Duration,
    pub theme: Theme,
    pub keymap: Keymap,
    pub transcript: Transcript,
    pub composer: Composer,
    pub turn: Option<Turn>,
    /// A request besides the task that has not been answered yet: what it is, and since when.
    pub errand: Option<(String, Duration)>,
    /// A real model that could be fetched.
    pub offered: Option<Offered>,
    offer_waits: Option<model_store::offer::Offer>,
    /// The model that is being fetched, beside whatever else goes on.
    pub pull: Option<Pull>,
    pub queue: VecDeque<String>,
    pub panel: Panel,
    pub status: StatusLine,
    pub effort: Effort,
    pub thinking_open: bool,
    pub fullscreen: bool,
    /// Rows scrolled back, in fullscreen.
    pub scroll: usize,
    pub files: Vec<String>,
    /// What the task wants to know.
    pub question: Option<Question>,
    /// A short remark above the composer, until this time.
    pub flash: Option<(String, Duration)>,
    leave_armed: Option<Duration>,
    think_more_tokens: u32,
    notify: Notify,
    notify_after: Duration,
    last_exit: Exit,
}

impl App {
    /// The state before anything happened, and what is to be done first.
    pub fn new(options: &TuiOptions, columns: u16, rows: u16, history: Vec<String>) -> (Self, Vec<Effect>) {
        let (keymap, problems) = Keymap::new(&options.keys);
        let theme = match (options.no_color, options.theme) {
            (true, _) => Theme::PLAIN,
            (false, super::ThemeChoice::Light) => Theme::LIGHT,
            (false, _) => Theme::DARK,
        };
        let mut app = Self {
            columns,
            rows,
            now: Duration::ZERO,
            theme,
            keymap,
            transcript: Transcript::default(),
            composer: Composer::with_history(History::new(history)),
            turn: None,
            errand: None,
            offered: None,
            offer_waits: None,
            pull: None,
            queue: VecDeque::new(),
            panel: Panel::None,
            status: StatusLine { loading: Some(0.0), ..StatusLine::default() },
            effort: options.effort,
            thinking_open: false,
            fullscreen: options.fullscreen,
            scroll: 0,
            files: Vec::new(),
            question: None,
            flash: None,
            leave_armed: None,
            think_more_tokens: options.think_more_tokens,
            notify: options.notify,
            notify_after: options.notify_after,
            last_exit: Exit::Success,
        };
        app.greet(options, &problems);
        let mut effects = Vec::new();
        if options.pick_session {
            effects.push(Effect::Send(Request::ListSessions));
        }
        if let Some(task) = options.first_task.as_deref().filter(|task| !task.trim().is_empty()) {
            effects.extend(app.submit(task.to_owned()));
        }
        (app, effects)
    }

    fn greet(&mut self, options: &TuiOptions, problems: &[String]) {
        let project = clean::one_line(&options.project.display().to_string());
        let keys = format!(
            "{} fast/auto/deep · {} answer now · ? every key",
            self.keymap.hint(Action::ToggleEffort),
            self.keymap.hint(Action::AnswerNow),
        );
        let title = format!("z1 {}", env!("CARGO_PKG_VERSION"));
        self.transcript.push(Cell::Welcome { title, about: format!(" · {project}"), lines: vec![keys] });
        for warning in options.warnings.iter().chain(problems) {
            self.transcript.push(Cell::note(Tone::Warn, warning));
        }
    }

    /// Takes one message in.
    pub fn update(&mut self, message: Msg) -> Vec<Effect> {
        match message {
            Msg::Tick(now) => self.tick(now),
            Msg::Key(key) => self.on_key(key),
            Msg::Paste(text) => self.on_paste(&text),
            Msg::Wheel { up } => self.on_scroll(up, 3),
            Msg::Resize { columns, rows } => self.on_resize(columns, rows),
            Msg::Incoming(Incoming::Event(event)) => self.on_event(event),
            Msg::Incoming(Incoming::Report(report)) => self.on_report(report),
            Msg::Gone => self.on_gone(),
            Msg::Files(files) => self.on_files(files),
            Msg::Edited { purpose, text } => self.on_edited(purpose, text),
            Msg::Light(light) => self.on_light(light),
            Msg::Terminate => self.leave(Exit::Interrupted),
            Msg::Say { tone, text } => self.say(tone, &text),
        }
    }

    /// How cells are to be shown now.
    pub fn look(&self) -> Look {
        Look { width: usize::from(self.columns).max(1), theme: self.theme, thinking_open: self.thinking_open }
    }

    /// Something on the screen moves by itself, so that frames are due without messages.
    pub fn is_moving(&self) -> bool {
        let working = self.turn.as_ref().is_some_and(|turn| turn.phase != turn::Phase::Deciding);
        working || self.flash.is_some() || self.errand.is_some() || self.pull.is_some()
    }

    /// The exit code that leaving now would have.
    pub const fn exit(&self) -> Exit {
        self.last_exit
    }

    fn tick(&mut self, now: Duration) -> Vec<Effect> {
        self.now = now;
        self.flash = self.flash.take().filter(|(_, until)| *until > now);
        self.leave_armed = self.leave_armed.filter(|until| *until > now);
        Vec::new()
    }

    fn on_resize(&mut self, columns: u16, rows: u16) -> Vec<Effect> {
        (self.columns, self.rows) = (columns, rows);
        vec![Effect::Repaint]
    }

    fn on_light(&mut self, light: bool) -> Vec<Effect> {
        let theme = self.theme.with_background(light);
        let changed = std::mem::replace(&mut self.theme, theme) != theme;
        if changed { vec![Effect::Repaint] } else { Vec::new() }
    }

    fn on_files(&mut self, files: Vec<String>) -> Vec<Effect> {
        self.files = files;
        self.refresh_completion();
        Vec::new()
    }

    fn say(&mut self, tone: Tone, text: &str) -> Vec<Effect> {
        self.transcript.push(Cell::note(tone, text));
        Vec::new()
    }

    fn flash(&mut self, text: impl Into<String>) {
        self.flash = Some((text.into(), self.now + FLASH_FOR));
    }

    /// Sends a task, or queues it behind the one that runs.
    fn submit(&mut self, text: String) -> Vec<Effect> {
        if self.turn.is_some() {
            if self.queue.len() >= QUEUE_MAX {
                self.composer.set(&text);
                self.flash(format!("the queue is full ({QUEUE_MAX})"));
            } else {
                self.queue.push_back(text);
            }
            return Vec::new();
        }
        if self.status.gone {
            self.composer.set(&text);
            return self.say(Tone::Bad, "there is no model to ask: choose one with /model, or leave and start again");
        }
        self.scroll = 0;
        self.transcript.push(Cell::User(clean::visible(&text).into_owned()));
        self.turn = Some(Turn::new(self.now));
        let files = complete::mentioned(&text, &self.files);
        vec![Effect::Send(Request::Submit(Submit { text, effort: self.effort, files }))]
    }

    /// Stops what runs; what was said stays.
    fn stop(&mut self) -> Vec<Effect> {
        let Some(turn) = &mut self.turn else {
            return match self.errand {
                Some(_) => vec![Effect::Send(Request::Command(Command::Cancel))],
                None => self.stop_pull(),
            };
        };
        if turn.phase == turn::Phase::Stopping {
            return Vec::new();
        }
        turn.enter(turn::Phase::Stopping, self.now);
        if let Panel::Review(_) = self.panel {
            self.panel = Panel::None;
        }
        vec![Effect::Send(Request::Command(Command::Cancel))]
    }

    fn leave(&mut self, exit: Exit) -> Vec<Effect> {
        let mut effects = self.stop();
        effects.push(Effect::Leave(exit));
        effects
    }

    fn notify(&self, text: &str, since: Duration) -> Vec<Effect> {
        let long = self.now.saturating_sub(since) >= self.notify_after;
        if long && self.notify != Notify::Off { vec![Effect::Notify(clean::one_line(text))] } else { Vec::new() }
    }
}
