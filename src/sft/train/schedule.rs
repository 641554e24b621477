//! The learning rate at each step.

use serde::{Deserialize, Serialize};

/// How the rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    #[default]
    Cosine,
    Linear,
    Constant,
}

/// The shape of the learning rate over a run, as a factor of its peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    pub warmup_steps: u64,
    pub steps: u64,
    pub decay: Decay,
    /// Share of the run that stays at the peak before the decay begins.
    pub decay_from: f64,
    /// Factor at the end.
    pub floor: f64,
}

impl Schedule {
    /// The factor of step `step`, counted from 0.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        let begin = (self.decay_from * self.steps as f64).max(self.warmup_steps as f64);
        let span = (self.steps as f64 - begin).max(1.0);
        let done = ((step as f64 + 1.0 - begin) / span).clamp(0.0, 1.0);
        let left = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - done,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        };
        self.floor + (1.0 - self.floor) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_stays_and_falls() {
        let shape = Schedule { warmup_steps: 10, steps: 100, decay: Decay::Linear, decay_from: 0.5, floor: 0.1 };
        assert!((shape.factor(0) - 0.1).abs() < 1e-12);
        assert!((shape.factor(9) - 1.0).abs() < 1e-12);
        assert!((shape.factor(40) - 1.0).abs() < 1e-12);
        assert!((shape.factor(74) - 0.55).abs() < 1e-9);
        assert!((shape.factor(99) - 0.1).abs() < 1e-9);
        assert!((shape.factor(500) - 0.1).abs() < 1e-9, "a longer run stays at the floor");
        let cosine = Schedule { decay: Decay::Cosine, decay_from: 0.0, ..shape };
        assert!((cosine.factor(54) - 0.55).abs() < 1e-6);
        assert!((Schedule { decay: Decay::Constant, ..shape }.factor(99) - 1.0).abs() < 1e-12);
    }
}
