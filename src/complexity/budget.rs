//! The one table from a level (or the user's word) to what a task may spend. Pure.

use crate::task::{Budget, Effort, Level};

/// One row: fractions of the context, with a ceiling in tokens.
///
/// The ceilings are those of the Z1 paper's own curve: on code 1,024 tokens keep 99 % of what 4,096 reach,
/// and nothing is known above (arXiv 2504.00810, table 6).
struct Row {
    thinking_of_context: f32,
    thinking_tokens_max: u32,
    rounds_max: u32,
    samples: u32,
}

const FAST: Row = Row { thinking_of_context: 1.0 / 64.0, thinking_tokens_max: 256, rounds_max: 1, samples: 1 };
const SIMPLE: Row = Row { thinking_of_context: 1.0 / 32.0, thinking_tokens_max: 512, rounds_max: 2, samples: 1 };
const MODERATE: Row = Row { thinking_of_context: 1.0 / 8.0, thinking_tokens_max: 1024, rounds_max: 3, samples: 1 };
const COMPLEX: Row = Row { thinking_of_context: 1.0 / 4.0, thinking_tokens_max: 4096, rounds_max: 4, samples: 2 };
const DEEP: Row = Row { thinking_of_context: 3.0 / 8.0, thinking_tokens_max: 8192, rounds_max: 5, samples: 4 };

/// The answer's share of the context, and its ceiling.
const ANSWER_OF_CONTEXT: f32 = 1.0 / 4.0;
const ANSWER_TOKENS_MAX: u32 = 4096;
/// A window smaller than this could not hold a sentence.
const THINKING_TOKENS_MIN: u32 = 16;
/// An answer smaller than this could not hold a function.
pub const ANSWER_TOKENS_MIN: u32 = 64;

/// What a task may spend, by its level and the user's word, as fractions of the model's context.
pub fn budget(level: Level, effort: Effort, context_tokens_max: u32) -> Budget {
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
        _ => share(row.thinking_of_context, row.thinking_tokens_max).max(THINKING_TOKENS_MIN),
    };
    Budget {
        thinking_tokens_max: thinking,
        answer_tokens_max: share(ANSWER_OF_CONTEXT, ANSWER_TOKENS_MAX).max(ANSWER_TOKENS_MIN),
        rounds_max: row.rounds_max,
        samples: row.samples,
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

    #[test]
    fn harder_tasks_think_longer_in_every_context() {
        for context in [512, 2048, 8192, 32_768, 131_072] {
            let of = |level, effort| budget(level, effort, context).thinking_tokens_max;
            let row = [
                of(Level::Complex, Effort::Fast),
                of(Level::Simple, Effort::Auto),
                of(Level::Moderate, Effort::Auto),
                of(Level::Complex, Effort::Auto),
                of(Level::Simple, Effort::Deep),
            ];
            assert!(row.is_sorted(), "{context}: {row:?}");
            assert!(row[4] + budget(Level::Simple, Effort::Deep, context).answer_tokens_max < context);
        }
    }

    #[test]
    fn the_users_window_is_taken_as_it_is() {
        assert_eq!(budget(Level::Simple, Effort::Window(777), 8192).thinking_tokens_max, 777);
    }

    proptest! {
        #[test]
        fn a_fitted_budget_fits(thinking in 0u32..100_000, answer in 1u32..100_000, prompt in 0u32..100_000, context in 1u32..100_000) {
            let wanted = Budget { thinking_tokens_max: thinking, answer_tokens_max: answer, rounds_max: 1, samples: 1 };
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
