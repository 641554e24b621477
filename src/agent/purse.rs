//! What one task may cost in all, tokens and seconds, and what it has cost so far: planned, shown and kept.

use std::time::Duration;

use crate::task::Budget;

/// A task's purse. Tokens are counted as they are decoded, seconds while the model speaks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Purse {
    tokens_max: u32,
    seconds_max: u32,
    tokens: u32,
    spoken: Duration,
    /// Of that, how long tokens came: reading the first prompt says nothing of how fast they do.
    decoded: Duration,
    replies: u32,
    /// Tokens of replies alone.
    of_replies: u32,
}

impl Purse {
    pub(super) const fn new(budget: &Budget) -> Self {
        let (tokens_max, seconds_max) = (budget.task_tokens_max, budget.task_seconds_max);
        Self {
            tokens_max,
            seconds_max,
            tokens: 0,
            spoken: Duration::ZERO,
            decoded: Duration::ZERO,
            replies: 0,
            of_replies: 0,
        }
    }

    /// A new purse of the same size, for a task that the user asks for again.
    pub(super) const fn filled(&self) -> Self {
        Self { tokens: 0, spoken: Duration::ZERO, decoded: Duration::ZERO, replies: 0, of_replies: 0, ..*self }
    }

    /// Takes what some replies cost: `spoken` in all, `decoded` of that from the first token on. With no `replies` it was
    /// something else, which says nothing of how long a reply is.
    pub(super) fn spend(&mut self, tokens: u32, replies: u32, spoken: Duration, decoded: Duration) {
        self.tokens += tokens;
        self.replies += replies;
        self.of_replies += if replies > 0 { tokens } else { 0 };
        self.spoken += spoken;
        self.decoded += decoded.min(spoken);
    }

    /// Tokens a second so far; `None` before the first reply.
    fn speed(&self) -> Option<f32> {
        let seconds = self.decoded.as_secs_f32();
        (self.tokens > 0 && seconds > 0.0).then(|| self.tokens as f32 / seconds)
    }

    /// Tokens that may still be decoded.
    pub(super) fn left(&self) -> u32 {
        let tokens = self.tokens_max.saturating_sub(self.tokens);
        let Some(speed) = self.speed() else { return tokens };
        let seconds = (self.seconds_max as f32 - self.spoken.as_secs_f32()).max(0.0);
        tokens.min((seconds * speed) as u32)
    }

    /// How long the model may still speak; `None` where nobody counts seconds.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let all = Duration::from_secs(u64::from(self.seconds_max));
        (self.seconds_max < u32::MAX).then(|| all.saturating_sub(self.spoken))
    }

    /// Whether so many replies of the usual length are still paid for.
    pub(super) fn has_for(&self, replies: u32) -> bool {
        let usual = self.of_replies.checked_div(self.replies).unwrap_or(0);
        self.left() > usual.saturating_mul(replies)
    }

    /// What the task may cost, for the user.
    pub(super) fn plan(&self) -> String {
        format!("at most {} tokens or {} s of the model's time", self.tokens_max, self.seconds_max)
    }

    /// What it did cost, for the user.
    pub(super) fn spent(&self) -> String {
        format!("{} tokens in {:.0} s, of {}", self.tokens, self.spoken.as_secs_f32(), self.plan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purse(tokens: u32, seconds: u32) -> Purse {
        Purse::new(&Budget { task_tokens_max: tokens, task_seconds_max: seconds, ..Budget::default() })
    }

    #[test]
    fn the_scarcer_of_tokens_and_seconds_counts() {
        let mut slow = purse(1000, 60);
        assert_eq!(slow.left(), 1000);
        slow.spend(100, 1, Duration::from_secs(10), Duration::from_secs(10));
        assert_eq!(slow.left(), 500, "50 s at 10 tokens a second");
        assert!(slow.has_for(4) && !slow.has_for(5));
        slow.spend(100, 0, Duration::from_secs(10), Duration::from_secs(10));
        assert!(slow.has_for(3) && !slow.has_for(4), "400 are left for replies of 100");
        let mut read = purse(1000, 60);
        read.spend(100, 1, Duration::from_secs(30), Duration::from_secs(10));
        assert_eq!(read.left(), 300, "30 s at 10 tokens a second: what was read need not be read again");
        let mut quick = purse(1000, 60);
        quick.spend(600, 2, Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(quick.left(), 400);
        quick.spend(600, 2, Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!((quick.left(), quick.has_for(1)), (0, false));
        assert_eq!(quick.filled().left(), 1000);
        assert_eq!((slow.time_left(), purse(1, u32::MAX).time_left()), (Some(Duration::from_secs(40)), None));
    }
}
