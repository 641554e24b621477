//! Modes and settings of a session as the protocol shows them: one state, shown twice (`modes` and `configOptions`),
//! so that the two cannot disagree. Pure.
//!
//! Not for: what an effort does.

use serde_json::{Value, json};

use super::wire::Refusal;
use crate::task::Effort;

pub(super) const MODE: &str = "mode";
pub(super) const MODEL: &str = "model";
pub(super) const THOUGHT: &str = "thought_level";

/// How much thinking a mode stands for: its id, name, words and effort.
const MODES: [(&str, &str, &str, Effort); 3] = [
    ("fast", "Fast", "Think little", Effort::Fast),
    ("auto", "Auto", "Let the task decide how much to think", Effort::Auto),
    ("deep", "Deep", "Think long", Effort::Deep),
];

/// The steps of the thinking window in tokens; the protocol has no numbers, only choices.
const STEPS: [u32; 7] = [0, 256, 512, 1024, 2048, 4096, 8192];
/// The window is the mode's.
const BY_MODE: &str = "by-mode";

/// What the user chose for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    mode: usize,
    window_tokens: Option<u32>,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { mode: 1, window_tokens: None }
    }
}

impl Chosen {
    pub(super) const fn effort(self) -> Effort {
        match self.window_tokens {
            Some(tokens) => Effort::Window(tokens),
            None => MODES[self.mode].3,
        }
    }

    pub(super) const fn mode(self) -> &'static str {
        MODES[self.mode].0
    }

    /// The same with another mode.
    ///
    /// # Errors
    /// No such mode.
    pub(super) fn in_mode(self, id: &str) -> Result<Self, Refusal> {
        match MODES.iter().position(|mode| mode.0 == id) {
            Some(mode) => Ok(Self { mode, ..self }),
            None => Err(unknown(MODE, id, &MODES.map(|mode| mode.0))),
        }
    }

    /// The same with another thinking window.
    ///
    /// # Errors
    /// No such step.
    pub(super) fn thinking(self, value: &str) -> Result<Self, Refusal> {
        if value == BY_MODE {
            return Ok(Self { window_tokens: None, ..self });
        }
        match STEPS.iter().find(|step| step.to_string() == value) {
            Some(step) => Ok(Self { window_tokens: Some(*step), ..self }),
            None => Err(unknown(THOUGHT, value, &[BY_MODE, "0", "256", "512", "1024", "2048", "4096", "8192"])),
        }
    }

    /// `modes` of a session.
    pub(super) fn modes(self) -> Value {
        let modes =
            MODES.map(|(id, name, description, _)| json!({ "id": id, "name": name, "description": description }));
        json!({ "currentModeId": self.mode(), "availableModes": modes })
    }

    /// `configOptions` of a session, always whole.
    pub(super) fn options(self, models: &[(String, String)], model: &str) -> Value {
        let modes = MODES.map(|(value, name, words, _)| json!({ "value": value, "name": name, "description": words }));
        let steps = STEPS.map(|step| {
            let name = if step == 0 { "Answer at once".to_owned() } else { format!("{step} tokens") };
            json!({ "value": step.to_string(), "name": name })
        });
        let mut thinking = vec![json!({ "value": BY_MODE, "name": "As the mode says" })];
        thinking.extend(steps);
        let window = self.window_tokens.map_or_else(|| BY_MODE.to_owned(), |tokens| tokens.to_string());
        let select = |id: &str, name: &str, words: &str, current: &str, options: Value| {
            json!({
                "id": id, "name": name, "description": words, "category": id, "type": "select",
                "currentValue": current, "options": options,
            })
        };
        let mut options = vec![
            select(MODE, "Mode", "How much thinking a task gets", self.mode(), json!(modes)),
            select(THOUGHT, "Thinking window", "The longest thinking before an answer", &window, json!(thinking)),
        ];
        if !models.is_empty() {
            let row = |(name, words): &(String, String)| json!({ "value": name, "name": name, "description": words });
            let models: Vec<Value> = models.iter().map(row).collect();
            options.push(select(MODEL, "Model", "For all sessions: one model is loaded", model, json!(models)));
        }
        json!(options)
    }
}

fn unknown(what: &str, value: &str, known: &[&str]) -> Refusal {
    let value: String = value.chars().take(80).collect();
    Refusal::params(format!("`{value}` is no value of `{what}`")).hint(format!("one of {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_options_show_the_same_state() {
        let chosen = Chosen::default().in_mode("deep").unwrap();
        assert_eq!(chosen.effort(), Effort::Deep);
        assert_eq!(chosen.modes()["currentModeId"], "deep");
        let models = [("z1-nano".to_owned(), "comes with z1".to_owned())];
        let options = chosen.thinking("1024").unwrap().options(&models, "z1-nano");
        let current = |at: usize| (options[at]["category"].clone(), options[at]["currentValue"].clone());
        assert_eq!(current(0), (json!("mode"), json!("deep")));
        assert_eq!(current(1), (json!("thought_level"), json!("1024")));
        assert_eq!(current(2), (json!("model"), json!("z1-nano")));
        assert_eq!(chosen.thinking("0").unwrap().effort(), Effort::Window(0));
        assert_eq!(chosen.thinking("0").unwrap().thinking("by-mode").unwrap(), chosen);
    }

    #[test]
    fn a_current_value_is_always_among_the_options() {
        for step in STEPS {
            let options = Chosen::default().thinking(&step.to_string()).unwrap().options(&[], "");
            let values = options[1]["options"].as_array().unwrap();
            assert!(values.iter().any(|row| row["value"] == options[1]["currentValue"]));
            assert_eq!(options.as_array().unwrap().len(), 2, "without models there is nothing to choose");
        }
    }

    #[test]
    fn unknown_values_name_the_known_ones() {
        let refusal = Chosen::default().in_mode("turbo").unwrap_err();
        assert!(refusal.message.contains("turbo") && refusal.hint.unwrap().contains("deep"));
        assert!(Chosen::default().thinking("7").unwrap_err().hint.unwrap().contains("4096"));
    }
}
