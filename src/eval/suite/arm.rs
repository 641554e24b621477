//! The ways to put a problem to a model that are measured side by side.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::task::Effort;

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arm {
    /// The words, and as much answer as the model likes.
    Chat,
    /// The answer is begun for the model, so that it cannot think first.
    NoThink,
    /// The shifted thinking window of so many tokens, with the paper's hint.
    Window(u32),
    /// So many tokens, then the words that force an answer in the paper's baselines.
    Force(u32),
    /// The whole agent: candidates that are run, and repair.
    Agent(AgentEffort),
    /// So many samples of the words.
    Samples(u32),
    /// No answer: what the words and the model itself say of the problem's difficulty.
    Difficulty,
}

/// What the agent is told of effort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentEffort {
    Auto,
    Fast,
    Deep,
}

impl AgentEffort {
    pub const fn effort(self) -> Effort {
        match self {
            Self::Auto => Effort::Auto,
            Self::Fast => Effort::Fast,
            Self::Deep => Effort::Deep,
        }
    }
}

impl Arm {
    /// Which tests could influence the answer, in words. The hidden tests judge and are seen by no arm.
    pub const fn tests_seen(self) -> &'static str {
        match self {
            Self::Chat | Self::NoThink | Self::Window(_) | Self::Force(_) | Self::Difficulty => {
                "those in the words, read only"
            }
            Self::Agent(_) => "the visible ones, run",
            Self::Samples(_) => "those in the words; best-of-k runs the visible ones",
        }
    }

    /// The line of the plot that it belongs to.
    pub const fn family(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::NoThink => "no thinking",
            Self::Window(_) => "window",
            Self::Force(_) => "budget forcing",
            Self::Agent(_) => "agent",
            Self::Samples(_) => "samples",
            Self::Difficulty => "difficulty",
        }
    }

    /// An arm by the name it has in records.
    pub fn from_name(name: &str) -> Option<Self> {
        let number = |rest: &str| rest.parse().ok();
        Some(match name {
            "chat" => Self::Chat,
            "nothink" => Self::NoThink,
            "auto" => Self::Agent(AgentEffort::Auto),
            "fast" => Self::Agent(AgentEffort::Fast),
            "deep" => Self::Agent(AgentEffort::Deep),
            "difficulty" => Self::Difficulty,
            _ => match (name.strip_prefix("window-"), name.strip_prefix("force-"), name.strip_prefix("samples-")) {
                (Some(rest), ..) => Self::Window(number(rest)?),
                (_, Some(rest), _) => Self::Force(number(rest)?),
                (.., Some(rest)) => Self::Samples(number(rest)?),
                _ => return None,
            },
        })
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chat => f.write_str("chat"),
            Self::NoThink => f.write_str("nothink"),
            Self::Window(tokens) => write!(f, "window-{tokens}"),
            Self::Force(tokens) => write!(f, "force-{tokens}"),
            Self::Agent(AgentEffort::Auto) => f.write_str("auto"),
            Self::Agent(AgentEffort::Fast) => f.write_str("fast"),
            Self::Agent(AgentEffort::Deep) => f.write_str("deep"),
            Self::Samples(count) => write!(f, "samples-{count}"),
            Self::Difficulty => f.write_str("difficulty"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_arms() {
        let efforts = [AgentEffort::Auto, AgentEffort::Fast, AgentEffort::Deep].map(Arm::Agent);
        for arm in [Arm::Chat, Arm::NoThink, Arm::Window(0), Arm::Force(512), Arm::Samples(8), Arm::Difficulty]
            .into_iter()
            .chain(efforts)
        {
            assert_eq!(Arm::from_name(&arm.to_string()), Some(arm));
        }
        assert_eq!(Arm::from_name("window-x"), None);
    }
}
