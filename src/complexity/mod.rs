//! How hard is this task, and so: how much may it think.
//!
//! [`signals`] reads what the task's words show, for nothing; [`probe`] asks the model itself, for one short
//! prefill, and only where the signals leave a doubt. [`combine`] joins the two into a [`Complexity`] with
//! probabilities and reasons; [`budget`] maps a level to windows in one visible table.
//!
//! Not for: spending the budget; that is the agent's work.

use crate::task::{Complexity, Level};

pub mod budget;
pub mod probe;
pub mod signals;

pub use budget::budget;
pub use probe::probe;
pub use signals::{Facts, Signals, signals};

/// Signals this sure (probability of the likeliest level) need no probe.
pub const SURE: f32 = 0.80;

/// How much the probe weighs against the signals, in a weighted geometric mean. The model knows its own
/// strength better than a list of words does, but a small model's word is noisy.
const PROBE_WEIGHT: f32 = 0.5;

/// Joins signals and probe.
pub fn combine(signals: &Signals, probe: Option<[f32; 3]>) -> Complexity {
    let mut probabilities = signals.probabilities;
    let mut reasons = signals.reasons.clone();
    let mut features = signals.features.clone();
    if let Some(asked) = probe {
        for (own, asked) in probabilities.iter_mut().zip(asked) {
            *own = own.max(1e-4).powf(1.0 - PROBE_WEIGHT) * asked.max(1e-4).powf(PROBE_WEIGHT);
        }
        let sum: f32 = probabilities.iter().sum();
        probabilities = probabilities.map(|p| p / sum);
        let level = likeliest(asked);
        reasons
            .insert(0, format!("the model itself calls it {} ({:.0} %)", name(level), asked[level as usize] * 100.0));
        features.extend(["probe_simple", "probe_moderate", "probe_complex"].map(str::to_owned).into_iter().zip(asked));
    }
    Complexity { level: likeliest(probabilities), probabilities, reasons, features }
}

/// The level's name in lower case.
pub const fn name(level: Level) -> &'static str {
    match level {
        Level::Simple => "simple",
        Level::Moderate => "moderate",
        Level::Complex => "complex",
    }
}

fn likeliest(probabilities: [f32; 3]) -> Level {
    let levels = [Level::Simple, Level::Moderate, Level::Complex];
    // Of equals the simplest: an opinion that is none must not cost more.
    let best = (0..3).rev().max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    levels[best.expect("invariant: there are three levels")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(probabilities: [f32; 3]) -> Signals {
        Signals { probabilities, reasons: vec!["r".into()], features: vec![("words".into(), 3.0)] }
    }

    #[test]
    fn a_probe_moves_a_doubt_and_is_kept_as_a_feature() {
        let alone = combine(&plain([0.45, 0.35, 0.2]), None);
        assert_eq!(alone.level, Level::Simple);
        let asked = combine(&plain([0.45, 0.35, 0.2]), Some([0.05, 0.15, 0.8]));
        assert_eq!(asked.level, Level::Complex);
        assert!((asked.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(asked.reasons[0].contains("complex"), "{:?}", asked.reasons);
        assert_eq!(asked.features.len(), 4);
    }
}
