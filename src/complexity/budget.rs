//! The one table from a level (or the user's word) to what a task may spend. Pure.
//!
//! What a level decides is how often is drawn and mended and what the task may cost in all. How long one reply may
//! think it decides only for models whose thinking is a dose; one that ends by itself has a window that is a safety
//! net: on easy tasks a wide window costs nothing (the Z1 paper's model thinks 866 tokens on the mean where 4,096 are
//! allowed, arXiv 2504.00810), and a narrow one cuts answers.

use crate::task::{Budget, Effort, Level};

/// One row.
struct Row {
    /// The dose of thinking, as a part of the context and at most so many tokens.
    dose_of_context: f32,
    dose_tokens_max: u32,
    rounds_max: u32,
    samples: u32,
    draws: u32,
    task_tokens_max: u32,
    task_seconds_max: u32,
}

const FAST: Row = Row {
    dose_of_context: 1.0 / 64.0,
    dose_tokens_max: 256,
    rounds_max: 1,
    samples: 1,
    draws: 1,
    task_tokens_max: 2_048,
    task_seconds_max: 120,
};
const SIMPLE: Row = Row {
    dose_of_context: 1.0 / 32.0,
    dose_tokens_max: 512,
    rounds_max: 2,
    samples: 1,
    draws: 3,
    task_tokens_max: 4_096,
    task_seconds_max: 300,
};
const MODERATE: Row = Row {
    dose_of_context: 1.0 / 8.0,
    dose_tokens_max: 1024,
    rounds_max: 2,
    samples: 1,
    draws: 3,
    task_tokens_max: 5_120,
    task_seconds_max: 300,
};
const COMPLEX: Row = Row {
    dose_of_context: 1.0 / 4.0,
    dose_tokens_max: 4096,
    rounds_max: 3,
    samples: 1,
    draws: 4,
    task_tokens_max: 12_288,
    task_seconds_max: 600,
};
const DEEP: Row = Row {
    dose_of_context: 3.0 / 8.0,
    dose_tokens_max: 8192,
    rounds_max: 6,
    samples: 4,
    draws: 4,
    task_tokens_max: 65_536,
    task_seconds_max: 3_600,
};

/// The window of a model that ends by itself, where its makers name no other.
pub const NET_TOKENS: u32 = 4_096;
/// Its share of a small context.
const NET_OF_CONTEXT: f32 = 3.0 / 8.0;
/// The answer's share of the context, and its ceiling.
const ANSWER_OF_CONTEXT: f32 = 1.0 / 4.0;
const ANSWER_TOKENS_MAX: u32 = 4096;
/// A window smaller than this could not hold a sentence.
const THINKING_TOKENS_MIN: u32 = 16;
/// An answer smaller than this could not hold a function.
pub const ANSWER_TOKENS_MIN: u32 = 64;

/// What a task may spend, by its level and the user's word. With `doses` the level decides how long is thought.
pub fn budget(level: Level, effort: Effort, context_tokens_max: u32, doses: bool) -> Budget {
    let row = match (effort, level) {
        (Effort::Fast, _) => FAST,
        (Effort::Deep, _) => DEEP,
        (Effort::Auto | Effort::Window(_), Level::Simple) => SIMPLE,
        (Effort::Auto | Effort::Window(_), Level::Moderate) => MODERATE,
        (Effort::Auto | Effort::Window(_), Level::Complex) => COMPLEX,
    };
    let share = |fraction: f32, ceiling: u32| ((context_tokens_max as f32 * fraction) as u32).min(ceiling);
    let thinking = match effort {
        Effort::Window(tokens) => tokens,
        _ if doses => share(row.dose_of_context, row.dose_tokens_max).max(THINKING_TOKENS_MIN),
        Effort::Deep => share(NET_OF_CONTEXT, 2 * NET_TOKENS).max(THINKING_TOKENS_MIN),
        _ => share(NET_OF_CONTEXT, NET_TOKENS).max(THINKING_TOKENS_MIN),
    };
    let asked = if let Effort::Window(tokens) = effort { tokens } else { 0 };
    Budget {
        thinking_tokens_max: thinking,
        answer_tokens_max: share(ANSWER_OF_CONTEXT, ANSWER_TOKENS_MAX).max(ANSWER_TOKENS_MIN),
        rounds_max: row.rounds_max,
        samples: row.samples,
        draws: row.draws,
        // Who asks for a wide window has asked for its cost.
        task_tokens_max: row.task_tokens_max.max(asked.saturating_mul(4)),
        task_seconds_max: row.task_seconds_max,
    }
}

/// Shrinks a budget to the room that the prompt and the hint leave: first the thinking, then the answer.
/// `None` where not even the smallest answer fits.
pub fn fit(budget: Budget, prompt_tokens: u32, hint_tokens: u32, context_tokens_max: u32) -> Option<Budget> {
    let room = context_tokens_max.checked_sub(prompt_tokens + hint_tokens)?;
    if room < ANSWER_TOKENS_MIN {
        return None;
    }
    let answer_tokens_max = budget.answer_tokens_max.min(room);
    let thinking_tokens_max = budget.thinking_tokens_max.min(room - answer_tokens_max);
    Some(Budget { thinking_tokens_max, answer_tokens_max, ..budget })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROWS: [(Level, Effort); 5] = [
        (Level::Complex, Effort::Fast),
        (Level::Simple, Effort::Auto),
        (Level::Moderate, Effort::Auto),
        (Level::Complex, Effort::Auto),
        (Level::Simple, Effort::Deep),
    ];

    #[test]
    fn harder_tasks_never_get_less() {
        for context in [512, 2048, 8192, 32_768, 131_072] {
            for doses in [false, true] {
                let of = |(level, effort)| budget(level, effort, context, doses);
                let all = ROWS.map(of);
                assert!(all.is_sorted_by_key(|row| row.thinking_tokens_max), "{context} {doses}: {all:?}");
                assert!(all.is_sorted_by_key(|row| row.task_tokens_max) && all.is_sorted_by_key(|row| row.draws));
                assert!(all.is_sorted_by_key(|row| row.rounds_max) && all.is_sorted_by_key(|row| row.task_seconds_max));
                assert!(all[4].thinking_tokens_max + all[4].answer_tokens_max < context);
            }
        }
    }

    #[test]
    fn a_net_is_wide_and_a_dose_is_not() {
        assert!(budget(Level::Simple, Effort::Fast, 8192, false).thinking_tokens_max >= 2048);
        assert!(budget(Level::Simple, Effort::Auto, 8192, true).thinking_tokens_max <= 512);
    }

    #[test]
    fn the_users_window_is_taken_as_it_is() {
        for doses in [false, true] {
            assert_eq!(budget(Level::Simple, Effort::Window(777), 8192, doses).thinking_tokens_max, 777);
        }
    }

    proptest! {
        #[test]
        fn a_fitted_budget_fits(thinking in 0u32..100_000, answer in 1u32..100_000, prompt in 0u32..100_000, context in 1u32..100_000) {
            let wanted = Budget { thinking_tokens_max: thinking, answer_tokens_max: answer, ..Budget::default() };
            match fit(wanted, prompt, 20, context) {
                Some(fitted) => {
                    prop_assert!(prompt + 20 + fitted.thinking_tokens_max + fitted.answer_tokens_max <= context);
                    prop_assert!(fitted.answer_tokens_max >= answer.min(ANSWER_TOKENS_MIN));
                    prop_assert!(fitted.thinking_tokens_max <= thinking && fitted.answer_tokens_max <= answer);
                }
                None => prop_assert!(prompt + 20 + ANSWER_TOKENS_MIN > context),
            }
        }
    }
}
