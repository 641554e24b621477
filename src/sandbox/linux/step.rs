//! A step in building the walls that failed: which one, and why.

use std::fmt::Display;
use std::io;

/// The step that failed. Nothing untrusted runs after one.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) step: String,
    pub(super) message: String,
}

pub(super) type Built<T = ()> = Result<T, Broken>;

impl Broken {
    pub(super) fn new(step: impl Into<String>, message: impl Display) -> Self {
        Self { step: step.into(), message: message.to_string() }
    }
}

/// Naming the step that a result belongs to.
pub(super) trait Named<T> {
    fn step(self, step: impl Into<String>) -> Built<T>;
}

impl<T> Named<T> for io::Result<T> {
    fn step(self, step: impl Into<String>) -> Built<T> {
        self.map_err(|error| Broken::new(step, error))
    }
}

impl<T> Named<T> for rustix::io::Result<T> {
    fn step(self, step: impl Into<String>) -> Built<T> {
        self.map_err(|error| Broken::new(step, error))
    }
}
