//! What the user chose about the terminal, ready to use.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::task::Effort;

/// Everything [`super::run`] needs to know; `Default` is what a user without settings gets.
#[derive(Clone, Debug)]
pub struct TuiOptions {
    /// The project's root: `@` completes its files, the status line shows its branch.
    pub project: PathBuf,
    /// Submitted as soon as the interface stands (`z1 "task"`).
    pub first_task: Option<String>,
    pub effort: Effort,
    /// Use the alternate screen instead of the terminal's own scrollback.
    pub fullscreen: bool,
    /// Append-only lines for screen readers and logs.
    pub plain: bool,
    /// Report mouse events (the wheel scrolls in fullscreen). Off by default: it takes the terminal's
    /// own selection away.
    pub mouse: bool,
    pub theme: ThemeChoice,
    /// Draw without colours (`NO_COLOR`).
    pub no_color: bool,
    /// Action name → keys, as written in the settings: `answer_now = ["alt+a"]`.
    pub keys: KeyBindings,
    pub notify: Notify,
    /// Work shorter than this ends without a notification.
    pub notify_after: Duration,
    /// Where typed lines are remembered.
    pub history_file: Option<PathBuf>,
    /// Where the process's stderr goes while the terminal is ours.
    pub log_file: Option<PathBuf>,
    /// How much one press of *think more* widens the window.
    pub think_more_tokens: u32,
    /// Open the sessions picker first (`--resume` without an id).
    pub pick_session: bool,
    /// Shown once at the start (a setting that was ignored, …).
    pub warnings: Vec<String>,
}

/// Action name → key descriptions.
pub type KeyBindings = BTreeMap<String, Vec<String>>;

impl Default for TuiOptions {
    fn default() -> Self {
        Self {
            project: PathBuf::from("."),
            first_task: None,
            effort: Effort::Auto,
            fullscreen: false,
            plain: false,
            mouse: false,
            theme: ThemeChoice::Auto,
            no_color: false,
            keys: KeyBindings::new(),
            notify: Notify::Bell,
            notify_after: Duration::from_secs(20),
            history_file: None,
            log_file: None,
            think_more_tokens: 512,
            pick_session: false,
            warnings: Vec::new(),
        }
    }
}

/// Which background the colours are chosen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// Ask the terminal (at most 100 ms), else assume dark.
    #[default]
    Auto,
    Light,
    Dark,
}

/// How the end of long work is announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notify {
    Off,
    #[default]
    Bell,
    /// A desktop notification, where the terminal knows OSC 9; else nothing is seen.
    Desktop,
}
