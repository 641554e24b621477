//! What makes the traits of a model: what its file says, and the rows of the registry that say what differs.
//!
//! Not for: which row belongs to a model (`registry`), or what follows from a trait (the agent).

use serde::{Deserialize, Serialize};

use crate::gguf::Label;
use crate::prompt::{ChatTemplate, Habits};
use crate::traits::{PromptSet, Sampling, Shares, ThinkTags, Traits};

/// The settings' own range.
const TEMPERATURE_MAX: f32 = 2.0;
/// Candidates of one request.
const REDRAWS_MAX: u32 = crate::engine::CANDIDATES_MAX;
/// Share of the context that a project's prompt may fill: the rest is the reply's.
const SHARES_MAX: f32 = 0.8;

/// How tokens are drawn, as the model's makers advise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advised {
    /// 0 is greedy.
    pub temperature: f32,
    #[serde(default = "one")]
    pub top_p: f32,
    /// 0 keeps every token.
    #[serde(default)]
    pub top_k: u32,
    #[serde(default)]
    pub min_p: f32,
}

const fn one() -> f32 {
    1.0
}

impl Advised {
    /// Whether every value can be one.
    pub(super) fn check(self) -> Result<(), String> {
        let Self { temperature, top_p, min_p, .. } = self;
        if !(0.0..=TEMPERATURE_MAX).contains(&temperature) {
            return Err(format!("temperature goes from 0 to {TEMPERATURE_MAX}, not {temperature}"));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(format!("top_p is above 0 and at most 1, not {top_p}"));
        }
        if !(0.0..1.0).contains(&min_p) {
            return Err(format!("min_p is at least 0 and below 1, not {min_p}"));
        }
        Ok(())
    }
}

impl From<Advised> for Sampling {
    fn from(advised: Advised) -> Self {
        let Advised { temperature, top_p, top_k, min_p } = advised;
        Self { temperature, top_k, top_p, min_p, ..Self::GREEDY }
    }
}

/// The `[NAME.traits]` table: in which traits a model differs from what is known of it otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bos: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eos: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adds_bos: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<ThinkTags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_switch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinks: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_by_itself: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PromptSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remembers: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries_in_words: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redraws: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shows_tests: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<Shares>,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// These traits, but where something differs.
    pub fn over(&self, known: Traits) -> Traits {
        let own = self.clone();
        Traits {
            known_as: known.known_as,
            bos: own.bos.unwrap_or(known.bos),
            eos: own.eos.unwrap_or(known.eos),
            adds_bos: own.adds_bos.unwrap_or(known.adds_bos),
            think: own.think.or(known.think),
            thinking_switch: own.thinking_switch.or(known.thinking_switch),
            thinks: own.thinks.unwrap_or(known.thinks),
            answer_prefix: own.answer_prefix.unwrap_or(known.answer_prefix),
            ends_by_itself: own.ends_by_itself.unwrap_or(known.ends_by_itself),
            window_tokens: known.window_tokens,
            sampling: known.sampling,
            prompts: own.prompts.unwrap_or(known.prompts),
            remembers: own.remembers.unwrap_or(known.remembers),
            probes: own.probes.unwrap_or(known.probes),
            looks: own.looks.unwrap_or(known.looks),
            retries_in_words: own.retries_in_words.unwrap_or(known.retries_in_words),
            redraws: own.redraws.unwrap_or(known.redraws),
            shows_tests: own.shows_tests.unwrap_or(known.shows_tests),
            files_max: own.files_max.unwrap_or(known.files_max),
            shares: own.shares.unwrap_or(known.shares),
        }
    }

    /// Whether every value can be one.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(number) = self.redraws.filter(|number| !(1..=REDRAWS_MAX).contains(number)) {
            return Err(format!("redraws goes from 1 to {REDRAWS_MAX}, not {number}"));
        }
        if self.files_max == Some(0) {
            return Err("files_max is at least 1".to_owned());
        }
        if self.think.as_ref().is_some_and(|tags| tags.open.is_empty() || tags.close.is_empty()) {
            return Err("a think tag is empty".to_owned());
        }
        let Some(shares) = &self.shares else { return Ok(()) };
        let each = [shares.map, shares.rules, shares.files, shares.mentions, shares.failure];
        if each.iter().any(|share| !(0.0..=1.0).contains(&share.of_context)) || shares.sum() > SHARES_MAX {
            return Err(format!("the shares are fractions, together at most {SHARES_MAX}"));
        }
        Ok(())
    }
}

/// What a file says of its model, over `known`.
pub(super) fn of_label(label: &Label, known: Traits) -> Traits {
    let template = label.chat_template.as_deref();
    let habits = template.and_then(|source| Some(ChatTemplate::new(source, &label.bos, &label.eos).ok()?.habits()));
    let Habits { think, switch } = habits.unwrap_or_default();
    // Without a template to go by, the vocabulary knows.
    let by_vocabulary = label.think_tags.clone().filter(|_| template.is_none());
    let think =
        think.or_else(|| by_vocabulary.map(|(open, close)| ThinkTags { open, close, opened_by_template: false }));
    Traits {
        bos: label.bos.clone(),
        eos: label.eos.clone(),
        adds_bos: label.adds_bos && !label.bos.is_empty(),
        answer_prefix: think.as_ref().filter(|_| switch.is_none()).map_or_else(String::new, unthinking),
        think,
        thinking_switch: switch,
        ends_by_itself: known.ends_by_itself && (template.is_some() || !label.eos.is_empty()),
        sampling: label.sampling.or(known.sampling),
        ..known
    }
}

/// Thinking that is over before it began.
fn unthinking(tags: &ThinkTags) -> String {
    let open = if tags.opened_by_template { String::new() } else { format!("{}\n", tags.open) };
    format!("{open}\n{}\n\n", tags.close)
}

#[cfg(test)]
mod tests {
    use super::*;

    const R1: &str = "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{% set c = m.content %}\
        {% if '</think>' in c %}{% set c = c.split('</think>')[-1] %}{% endif %}{{ c }}{% endfor %}\
        {% if add_generation_prompt %}<|assistant|><think>\n{% endif %}";
    const QWEN3: &str = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}\
        {% if add_generation_prompt %}<|assistant|>\n{% if enable_thinking is defined and enable_thinking is false %}\
        <think>\n\n</think>\n\n{% endif %}{% endif %}";

    fn traits(template: Option<&str>) -> Traits {
        let label = Label {
            bos: "<s>".into(),
            eos: "</s>".into(),
            chat_template: template.map(str::to_owned),
            think_tags: Some(("<think>".into(), "</think>".into())),
            ..Label::default()
        };
        of_label(&label, Traits::default())
    }

    #[test]
    fn a_template_that_opens_the_thinking_is_known_for_it() {
        let traits = traits(Some(R1));
        let tags = traits.think.unwrap();
        assert_eq!((tags.open.as_str(), tags.close.as_str(), tags.opened_by_template), ("<think>", "</think>", true));
        assert_eq!((traits.thinking_switch, traits.answer_prefix.as_str()), (None, "\n</think>\n\n"));
    }

    #[test]
    fn a_template_that_can_be_told_not_to_think_is_known_for_it() {
        let traits = traits(Some(QWEN3));
        assert_eq!(traits.thinking_switch.as_deref(), Some("enable_thinking"));
        assert!(!traits.think.unwrap().opened_by_template);
        assert_eq!(traits.answer_prefix, "");
    }

    #[test]
    fn without_a_template_the_vocabulary_tells_and_with_one_it_does_not() {
        assert!(traits(None).think.is_some());
        assert!(traits(Some("{{ messages[0].content }}")).think.is_none());
    }

    #[test]
    fn differences_that_cannot_be_are_refused() {
        let refused = |toml: &str| toml::from_str::<Difference>(toml).unwrap().check().unwrap_err();
        assert!(refused("redraws = 0").contains("redraws"));
        assert!(refused("files_max = 0").contains("files_max"));
        assert!(refused("think = { open = '', close = 'x' }").contains("tag"));
        let shares = ["map", "rules", "files", "mentions", "failure"]
            .map(|part| format!("shares.{part} = {{ of_context = 0.3, tokens_max = 9 }}"))
            .join("\n");
        assert!(refused(&shares).contains("shares"));
    }
}
