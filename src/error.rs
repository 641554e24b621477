//! Errors a person can mend, and the exit codes a script can branch on.
//!
//! What we expect (a failed test, a full context, a cancelled task) is a value of its room and never
//! comes here. A [`UserError`] says what is wrong and how to mend it; anything else on the way up is
//! `anyhow` with context.

use std::fmt;

use crate::task::Status;

/// The process's exit codes; documented in README and the man page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Verified, or unverified (which is said).
    Success = 0,
    Error = 1,
    Usage = 2,
    /// The best candidate failed its checks (or is unverified under `--require-verified`).
    VerificationFailed = 3,
    NoModel = 4,
    /// A limit was reached before there was a candidate.
    LimitReached = 5,
    /// The user or a policy refused.
    Refused = 6,
    Interrupted = 130,
}

impl Exit {
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The exit code that a task's status stands for.
    pub const fn from_status(status: Status) -> Self {
        match status {
            Status::Verified | Status::Unverified => Self::Success,
            Status::Failed => Self::VerificationFailed,
            Status::LimitReached => Self::LimitReached,
            Status::Refused => Self::Refused,
            Status::Cancelled => Self::Interrupted,
        }
    }
}

/// An error with a cause outside z1 that the user can do something about.
#[derive(Debug)]
pub struct UserError {
    /// What is wrong: a lower-case fragment that fits after "z1: ".
    pub message: String,
    /// What to do about it, where there is something.
    pub hint: Option<String>,
    pub exit: Exit,
}

impl UserError {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A mistake on the command line or in a settings file.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UserError {}

/// The exit code for an error that reached `main`.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(|cause| cause.downcast_ref::<UserError>()).map_or(Exit::Error, |user| user.exit)
}

/// A message may quote what a file says: no control characters reach the terminal, and no megabytes.
fn shown(message: &str) -> String {
    const CHARS_MAX: usize = 1000;
    let plain = |c: char| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c };
    let mut text: String = message.chars().map(plain).take(CHARS_MAX).collect();
    if message.chars().nth(CHARS_MAX).is_some() {
        text.push('…');
    }
    text
}

/// Renders an error for stderr: one line that says what, one that says how to mend it.
pub fn render(error: &anyhow::Error) -> String {
    let mut text = format!("z1: {}", shown(&format!("{error:#}")));
    if let Some(hint) = error.chain().find_map(|c| c.downcast_ref::<UserError>()).and_then(|u| u.hint.as_deref()) {
        text.push_str("\n    hint: ");
        text.push_str(hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_cannot_paint_the_terminal_or_fill_it() {
        let quoted =
            UserError::new(Exit::Error, format!("the tensor \x1b[31m{}", "x".repeat(5000))).hint("fetch it again");
        let text = render(&quoted.into());
        assert!(!text.contains('\x1b') && text.chars().count() < 1100, "{text}");
        assert!(text.ends_with("hint: fetch it again"));
    }
}
