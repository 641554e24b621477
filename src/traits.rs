//! What a model is like, as plain data: everything in which one model differs from another for the rest of z1.
//!
//! `model_store` puts a model's traits together (the user's `models.toml`, the registry, what the GGUF says of itself,
//! the defaults below), the agent reads them. Nothing here branches on a model's name.
//!
//! Not for: what the user wants of a task (settings) or what a machine can hold (`engine`).

use serde::{Deserialize, Serialize};

/// How tokens are drawn in one phase. Every field is explicit: no hidden default of a library applies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// 0 keeps every token.
    pub top_k: u32,
    pub top_p: f32,
    pub min_p: f32,
    /// 1.0 is off. Never used in an answer: code repeats itself rightly.
    pub repeat_penalty: f32,
    pub repeat_last_n: u32,
}

impl Sampling {
    pub const GREEDY: Self =
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, repeat_last_n: 0 };
}

impl Default for Sampling {
    fn default() -> Self {
        Self::GREEDY
    }
}

/// What stands around the thinking of a model that marks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThinkTags {
    pub open: String,
    pub close: String,
    /// The chat template writes the opening tag itself: a reply begins inside the thinking.
    #[serde(default)]
    pub opened_by_template: bool,
}

/// Pairs of tags that published models use, the commonest first.
pub const THINK_TAGS: [(&str, &str); 7] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
];

/// Which folder of prompt files a model is spoken to with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptSet {
    /// `prompts/`: right for any instruction-tuned model.
    #[default]
    Default,
    /// `prompts/nano/`: what z1-nano was trained on, word for word.
    Nano,
}

impl PromptSet {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Nano => "nano",
        }
    }
}

impl std::fmt::Display for PromptSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a part of a project's prompt may fill.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// A fraction of the context.
    pub of_context: f32,
    /// The ceiling, in tokens.
    pub tokens_max: u32,
}

impl Share {
    /// The tokens that the part may have in a context of this size.
    pub fn tokens(self, context_tokens_max: u32) -> usize {
        ((context_tokens_max as f32 * self.of_context) as u32).min(self.tokens_max) as usize
    }
}

/// The one table of what may fill the window in a project. What is not in it is the reply's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// The map of the repository.
    pub map: Share,
    /// AGENTS.md.
    pub rules: Share,
    /// Files, whole or in part.
    pub files: Share,
    /// Places elsewhere that mention the task's words.
    pub mentions: Share,
    /// What the check showed.
    pub failure: Share,
}

impl Shares {
    /// For instruction-tuned models. The map's ceiling is what aider ships; models of 7B are distracted by more than
    /// they need, so no share grows without end with the window.
    pub const DEFAULT: Self = Self {
        map: Share { of_context: 1.0 / 16.0, tokens_max: 1024 },
        rules: Share { of_context: 1.0 / 16.0, tokens_max: 1024 },
        files: Share { of_context: 3.0 / 8.0, tokens_max: 12_000 },
        mentions: Share { of_context: 1.0 / 32.0, tokens_max: 512 },
        failure: Share { of_context: 1.0 / 16.0, tokens_max: 800 },
    };

    /// The fraction of the context that all parts together may fill.
    pub fn sum(&self) -> f32 {
        [self.map, self.rules, self.files, self.mentions, self.failure].iter().map(|share| share.of_context).sum()
    }
}

/// What a model is like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traits {
    /// The registry's name of it, or of the family that it was recognised as.
    pub known_as: Option<String>,

    /// The text of the token that begins a prompt; empty where the model has none.
    pub bos: String,
    /// The text of the token that ends a turn; empty where the model has none.
    pub eos: String,
    /// A prompt must begin with `bos`, also where the chat template does not write it.
    pub adds_bos: bool,

    /// What stands around its thinking, where it marks it.
    pub think: Option<ThinkTags>,
    /// The variable by which its chat template is told whether to think (`enable_thinking`), where it can be told.
    pub thinking_switch: Option<String>,
    /// What that switch is set to.
    pub thinks: bool,
    /// The beginning of a reply that is to be an answer without thinking: closes the thinking where the template opens
    /// it or the model would. Empty for models that do not mark their thinking.
    pub answer_prefix: String,
    /// It ends its turn when it is done. Where it does not (a base model), only limits end it.
    pub ends_by_itself: bool,

    /// The longest thinking that pays with this model, in tokens: a ceiling where the task decides how much to think.
    pub window_tokens: Option<u32>,
    /// How its makers draw from it; the user's own words go before it.
    pub sampling: Option<Sampling>,

    /// Its prompt files.
    pub prompts: PromptSet,
    /// It was taught conversations: earlier turns of a session are shown to it.
    pub remembers: bool,
    /// It can be asked how hard a task is.
    pub probes: bool,
    /// It can be told to look around in a project by shell commands.
    pub looks: bool,
    /// A failed attempt is told to it in words, and it builds on it. Where not, it draws afresh, `redraws` at a time.
    pub retries_in_words: bool,
    /// Candidates of a round after a failure that is not told in words.
    pub redraws: u32,
    /// Test files may be shown to it; a tiny model copies what it sees and gets only what it may change.
    pub shows_tests: bool,
    /// Files of a project shown at most.
    pub files_max: u32,
    pub shares: Shares,
}

impl Default for Traits {
    /// An instruction-tuned model of which nothing is known.
    fn default() -> Self {
        Self {
            known_as: None,
            bos: String::new(),
            eos: String::new(),
            adds_bos: false,
            think: None,
            thinking_switch: None,
            thinks: true,
            answer_prefix: String::new(),
            ends_by_itself: true,
            window_tokens: None,
            sampling: None,
            prompts: PromptSet::Default,
            remembers: true,
            probes: true,
            looks: true,
            retries_in_words: true,
            redraws: 1,
            shows_tests: true,
            files_max: 8,
            shares: Shares::DEFAULT,
        }
    }
}

impl Traits {
    /// What the words of a hint must end with so that what follows is an answer: the closing tag on a line of its own,
    /// or nothing.
    pub fn hint_close(&self) -> String {
        self.think.as_ref().map_or_else(String::new, |tags| format!("\n{}", tags.close))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_project_leave_room_for_a_reply() {
        assert!(Shares::DEFAULT.sum() <= 0.6, "{}", Shares::DEFAULT.sum());
        assert_eq!(Shares::DEFAULT.map.tokens(32_768), 1024);
        assert_eq!(Share { of_context: 0.4, tokens_max: 512 }.tokens(1024), 409);
    }

    #[test]
    fn a_hint_closes_the_thinking_of_a_model_that_marks_it() {
        assert_eq!(Traits::default().hint_close(), "");
        let think = ThinkTags { open: "<think>".into(), close: "</think>".into(), opened_by_template: true };
        assert_eq!(Traits { think: Some(think), ..Traits::default() }.hint_close(), "\n</think>");
    }
}
