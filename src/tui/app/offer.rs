//! The offer of a real model, and its pull: what keys and reports do.
//!
//! Not for: what is said (`model_store::offer`), or fetching (the backend).

use std::time::Duration;

use super::{App, Effect};
use crate::model_store::offer::Offer;
use crate::tui::backend::Request;
use crate::tui::cell::{Cell, Tone};
use crate::tui::text::clean;

/// A model that the user may have fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    pub name: String,
    pub bytes: u64,
    /// The row with its keys is shown.
    pub open: bool,
}

/// A model that is being fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    pub name: String,
    pub since: Duration,
    pub done_bytes: u64,
    pub total_bytes: Option<u64>,
    /// What was there when the first news came, and when that was: an earlier pull's bytes say nothing of the line.
    first: Option<(u64, Duration)>,
    pub stopping: bool,
}

impl Pull {
    fn new(name: String, since: Duration) -> Self {
        Self { name, since, done_bytes: 0, total_bytes: None, first: None, stopping: false }
    }

    /// Bytes a second since the first news.
    pub fn bytes_per_second(&self, now: Duration) -> Option<f64> {
        let (bytes, at) = self.first?;
        let seconds = now.checked_sub(at)?.as_secs_f64();
        (seconds >= 1.0).then(|| self.done_bytes.saturating_sub(bytes) as f64 / seconds)
    }

    /// Seconds that are left at the speed so far.
    pub fn seconds_left(&self, now: Duration) -> Option<u64> {
        let left = self.total_bytes?.checked_sub(self.done_bytes)?;
        let speed = self.bytes_per_second(now).filter(|speed| *speed > 1.0)?;
        Some((left as f64 / speed) as u64)
    }

    /// Everything has arrived; what is left is looking at it.
    pub fn is_checked(&self) -> bool {
        self.done_bytes > 0 && self.total_bytes == Some(self.done_bytes)
    }

    /// 0..=1
    pub fn fraction(&self) -> Option<f32> {
        let total = self.total_bytes.filter(|total| *total > 0)?;
        Some((self.done_bytes as f64 / total as f64).clamp(0.0, 1.0) as f32)
    }
}

impl App {
    /// An answer that streams is not cut in two: what came meanwhile is said after it.
    pub(super) fn on_offer(&mut self, offer: Offer) {
        if self.turn.is_some() {
            self.offer_waits = Some(offer);
        } else {
            self.show_offer(&offer);
        }
    }

    pub(super) fn show_waiting_offer(&mut self) {
        if let Some(offer) = self.offer_waits.take() {
            self.show_offer(&offer);
        }
    }

    fn show_offer(&mut self, offer: &Offer) {
        let row = offer.fits.as_ref().filter(|_| cfg!(feature = "pull"));
        let ways = match (row, offer.installed.first()) {
            (Some(row), _) => {
                format!("/pull brings it and uses it, /pull no never asks again; outside: z1 models pull {}", row.name)
            }
            (None, Some(name)) => format!("/model {name} uses it; for good, outside: z1 models use {name}"),
            (None, None) => offer.command(),
        };
        self.offered =
            row.map(|row| Offered { name: clean::one_line(&row.name), bytes: row.bytes, open: self.pull.is_none() });
        self.transcript.push(Cell::Note {
            tone: Tone::Plain,
            text: clean::one_line(&format!("{} {}", offer.about(), offer.advice())),
            hint: Some(clean::one_line(&ways)),
        });
    }

    /// `/pull`: without a name what is offered, `no` for never.
    pub(super) fn pull_command(&mut self, name: Option<&str>) -> Vec<Effect> {
        match (name, &self.offered) {
            (Some("no"), _) => self.decline_offer(),
            (Some(name), _) => self.pull(name.to_owned()),
            (None, Some(offered)) => self.pull(offered.name.clone()),
            (None, None) => self.say(Tone::Warn, "/pull needs a name; `z1 models recommend` says what fits here"),
        }
    }

    pub(super) fn accept_offer(&mut self) -> Vec<Effect> {
        match self.offered.clone().filter(|offered| offered.open) {
            Some(offered) => self.pull(offered.name),
            None => Vec::new(),
        }
    }

    pub(super) fn decline_offer(&mut self) -> Vec<Effect> {
        let Some(offered) = &mut self.offered else {
            return self.say(Tone::Warn, "nothing is offered");
        };
        offered.open = false;
        let name = offered.name.clone();
        let mut effects = self.say(
            Tone::Plain,
            &format!("you will not be asked again. It can be had any time: /pull here, or z1 models pull {name}"),
        );
        effects.push(Effect::Send(Request::DeclineOffer));
        effects
    }

    fn pull(&mut self, name: String) -> Vec<Effect> {
        if let Some(pull) = &self.pull {
            let text = format!("{} is being fetched; one after the other", pull.name);
            return self.say(Tone::Warn, &text);
        }
        if let Some(offered) = &mut self.offered {
            offered.open = false;
        }
        self.pull = Some(Pull::new(clean::one_line(&name), self.now));
        vec![Effect::Send(Request::Pull { name })]
    }

    /// Stops the pull, where one is under way and nothing else is to be stopped first.
    pub(super) fn stop_pull(&mut self) -> Vec<Effect> {
        match &mut self.pull {
            Some(pull) if !pull.stopping => {
                pull.stopping = true;
                vec![Effect::Send(Request::CancelPull)]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn on_pulling(&mut self, name: &str, done_bytes: u64, total_bytes: Option<u64>) {
        let now = self.now;
        let pull = self.pull.get_or_insert_with(|| Pull::new(clean::one_line(name), now));
        pull.first.get_or_insert((done_bytes, now));
        (pull.done_bytes, pull.total_bytes) = (done_bytes, total_bytes);
    }

    pub(super) fn on_pull_ended(&mut self, name: &str, why: Option<&str>, hint: Option<&str>) {
        self.pull = None;
        let Some(why) = why else {
            self.offered = None;
            let text = format!("{name} is here, and used from now on: it is loaded as soon as nothing runs");
            return self.transcript.push(Cell::note(Tone::Good, &clean::one_line(&text)));
        };
        self.transcript.push(Cell::Note {
            tone: Tone::Warn,
            text: clean::visible(&format!("fetching {name}: {why}")).into_owned(),
            hint: hint.map(|hint| clean::visible(hint).into_owned()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_pull_left_says_nothing_of_the_line() {
        let at = Duration::from_secs;
        let mut pull = Pull::new("m".to_owned(), at(0));
        assert_eq!((pull.fraction(), pull.seconds_left(at(5))), (None, None));
        pull.first = Some((600, at(10)));
        (pull.done_bytes, pull.total_bytes) = (800, Some(1000));
        assert_eq!((pull.bytes_per_second(at(10)), pull.bytes_per_second(at(12))), (None, Some(100.0)));
        assert_eq!((pull.seconds_left(at(12)), pull.fraction()), (Some(2), Some(0.8)));
        pull.done_bytes = 1000;
        assert!(pull.is_checked());
        pull.total_bytes = Some(0);
        assert_eq!(pull.fraction(), None, "a file of nothing");
    }
}
