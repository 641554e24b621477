//! From what a request wants to the engine's window. Pure.
//!
//! A model that thinks between tags thinks by itself: its window is what was asked for, and the hint closes the tag.
//! Other models are given a window only where thinking was asked for: then what they write before it is used up is their
//! thinking, and the hint asks for the answer. Without a window they just answer.
//!
//! Not for: names of fields (`thinking.rs`).

use super::thinking::Wish;
use crate::engine::WindowSpec;
use crate::traits::ThinkTags;

/// Left for an answer where the limit is small.
const ANSWER_TOKENS_MIN: u32 = 256;
/// Tokens for a hint, and for a character that a cut must wait for.
const MARGIN_TOKENS: u32 = 8;

/// What is known before the window is chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) wish: Wish,
    pub(super) tags: Option<&'a ThinkTags>,
    /// What makes a model with tags answer without thinking; empty where nothing is known.
    pub(super) answer_prefix: &'a str,
    /// The rendered prompt has opened the thinking already.
    pub(super) opened: bool,
    pub(super) hint: &'a str,
    pub(super) hint_tokens: u32,
    pub(super) prompt_tokens: u32,
    pub(super) context_tokens_max: u32,
    /// The most that the request lets be generated.
    pub(super) tokens_max: Option<u32>,
    /// The server's own window for models that think by themselves.
    pub(super) window_tokens: Option<u32>,
}

/// A window, and how its text is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) spec: WindowSpec,
    /// Text before the shift is thinking, though nothing marks it.
    pub(super) unmarked: bool,
    /// Everything that may be generated, thinking and answer.
    pub(super) tokens_max: u32,
}

/// The window; `None` where the prompt leaves no room for an answer.
pub(super) fn choose(facts: Facts<'_>) -> Option<Chosen> {
    let room = facts.context_tokens_max.checked_sub(facts.prompt_tokens + facts.hint_tokens + MARGIN_TOKENS)?;
    let total = facts.tokens_max.unwrap_or(room).min(room);
    if total == 0 {
        return None;
    }
    let spec = |thinking: u32, hint: String| WindowSpec {
        thinking_tokens_max: thinking,
        answer_tokens_max: (total - thinking.min(total)).max(1),
        hint,
        paper_exact: false,
        ..WindowSpec::default()
    };
    let free = total - total.div_ceil(4).min(ANSWER_TOKENS_MIN);
    let wanted = match facts.wish {
        Wish::Tokens(tokens) => tokens.min(free),
        Wish::Free => free,
        Wish::Unsaid => facts.window_tokens.unwrap_or(free).min(free),
        Wish::Off => 0,
    };
    Some(match (facts.tags, facts.wish) {
        (None, Wish::Unsaid | Wish::Off) => Chosen { spec: spec(0, String::new()), unmarked: false, tokens_max: total },
        (None, _) => Chosen { spec: spec(wanted, facts.hint.to_owned()), unmarked: true, tokens_max: total },
        (Some(tags), Wish::Off) => {
            let empty = match (facts.opened, facts.answer_prefix) {
                (true, _) => format!("\n{}\n\n", tags.close),
                (false, "") => format!("{}\n\n{}\n\n", tags.open, tags.close),
                (false, prefix) => prefix.to_owned(),
            };
            Chosen { spec: spec(0, empty), unmarked: false, tokens_max: total }
        }
        (Some(tags), _) => {
            let hint = format!("{}\n{}\n\n", facts.hint.trim_end(), tags.close);
            Chosen { spec: spec(wanted, hint), unmarked: false, tokens_max: total }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'static> = Facts {
        wish: Wish::Unsaid,
        tags: None,
        answer_prefix: "",
        opened: false,
        hint: "\n\nso:\n\n",
        hint_tokens: 4,
        prompt_tokens: 88,
        context_tokens_max: 1100,
        tokens_max: None,
        window_tokens: None,
    };

    #[test]
    fn a_model_without_tags_answers_unless_thinking_was_asked_for() {
        let plain = choose(FACTS).unwrap();
        assert_eq!((plain.spec.thinking_tokens_max, plain.spec.hint.as_str(), plain.unmarked), (0, "", false));
        assert_eq!((plain.spec.answer_tokens_max, plain.tokens_max), (1000, 1000));
        assert_eq!(choose(Facts { wish: Wish::Off, ..FACTS }), Some(plain));
        let asked = choose(Facts { wish: Wish::Tokens(100), ..FACTS }).unwrap();
        assert_eq!(
            (asked.spec.thinking_tokens_max, asked.spec.hint.as_str(), asked.unmarked),
            (100, "\n\nso:\n\n", true)
        );
        assert_eq!(asked.spec.answer_tokens_max, 900);
    }

    #[test]
    fn a_model_with_tags_has_its_hint_closed_and_its_thinking_emptied() {
        let think = ThinkTags { open: "<think>".into(), close: "</think>".into(), opened_by_template: false };
        let tags = Some(&think);
        assert_eq!(choose(Facts { tags, wish: Wish::Tokens(50), ..FACTS }).unwrap().spec.hint, "\n\nso:\n</think>\n\n");
        assert_eq!(choose(Facts { tags, wish: Wish::Off, ..FACTS }).unwrap().spec.hint, "<think>\n\n</think>\n\n");
        assert_eq!(choose(Facts { tags, wish: Wish::Off, opened: true, ..FACTS }).unwrap().spec.hint, "\n</think>\n\n");
        let own = choose(Facts { tags, window_tokens: Some(300), ..FACTS }).unwrap();
        assert_eq!(own.spec.thinking_tokens_max, 300);
        let known = choose(Facts { tags, wish: Wish::Off, answer_prefix: "<think></think>", ..FACTS }).unwrap();
        assert_eq!(known.spec.hint, "<think></think>");
    }

    #[test]
    fn thinking_never_eats_the_answer_and_no_room_is_said() {
        let all = choose(Facts { wish: Wish::Free, ..FACTS }).unwrap();
        assert_eq!(all.spec.thinking_tokens_max + all.spec.answer_tokens_max, 1000);
        assert!(all.spec.answer_tokens_max >= 250);
        let small = choose(Facts { wish: Wish::Tokens(5000), tokens_max: Some(100), ..FACTS }).unwrap();
        assert_eq!((small.spec.thinking_tokens_max, small.tokens_max), (75, 100));
        assert_eq!(choose(Facts { prompt_tokens: 1100, ..FACTS }), None);
        assert_eq!(choose(Facts { prompt_tokens: 1088, ..FACTS }), None);
    }
}
