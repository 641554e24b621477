//! A progress line on stderr: bytes, rate, time left. Silent where stderr is no terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::model_store::disk::gigabytes;

/// Redrawn at most this often.
const REDRAW: Duration = Duration::from_millis(200);

/// One line that is drawn over itself.
#[derive(Debug)]
pub(super) struct Line {
    what: String,
    started: Instant,
    first_bytes: Option<u64>,
    drawn: Option<Instant>,
    terminal: bool,
}

impl Line {
    pub(super) fn new(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            started: Instant::now(),
            first_bytes: None,
            drawn: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Says what is being done from now on.
    #[cfg(feature = "pull")]
    pub(super) fn rename(&mut self, what: &str) {
        what.clone_into(&mut self.what);
    }

    pub(super) fn show(&mut self, done: u64, total: Option<u64>) {
        let first = *self.first_bytes.get_or_insert(done);
        if !self.terminal || self.drawn.is_some_and(|at| at.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let rate = (done - first.min(done)) as f64 / self.started.elapsed().as_secs_f64().max(0.1);
        let left = total.filter(|_| rate > 1.0).map_or_else(String::new, |total| {
            let seconds = (total.saturating_sub(done) as f64 / rate) as u64;
            format!(", {}:{:02} left", seconds / 60, seconds % 60)
        });
        let of = total.map_or_else(String::new, |total| format!(" of {}", gigabytes(total)));
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{}: {}{of}, {}/s{left}",
            self.what,
            gigabytes(done),
            gigabytes(rate as u64)
        );
    }

    /// For work that is counted in steps.
    pub(super) fn steps(&mut self, done: u32, total: u32) {
        if !self.terminal || self.drawn.is_some_and(|at| at.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let seconds =
            self.started.elapsed().as_secs_f64() / f64::from(done.max(1)) * f64::from(total.saturating_sub(done));
        let left = format!("{}:{:02} left", seconds as u64 / 60, seconds as u64 % 60);
        let _ = write!(std::io::stderr(), "\r\x1b[K{}: tensor {done} of {total}, {left}", self.what);
    }

    pub(super) fn end(&self) {
        if self.drawn.is_some() {
            let _ = writeln!(std::io::stderr());
        }
    }
}
