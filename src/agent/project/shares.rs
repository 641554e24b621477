//! The one table of what may fill the window in a project, by fractions of the context. Pure.
//!
//! What is not in the table is the reply's: thinking and answer (`complexity::budget`).

use crate::prompt::Profile;

/// A part of the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The map of the repository.
    Map,
    /// AGENTS.md.
    Rules,
    /// Files, whole or in part.
    Files,
    /// Places elsewhere that mention the task's words.
    Mentions,
    /// What the check showed.
    Failure,
}

/// Part, its share of the context, its ceiling in tokens; for Z1 and instruction-tuned models.
///
/// The map's ceiling is what aider ships; models of 7B are distracted by more than they need, so no share grows
/// without end with the window.
const Z1: [(Part, f32, u32); 5] = [
    (Part::Map, 1.0 / 16.0, 1024),
    (Part::Rules, 1.0 / 16.0, 1024),
    (Part::Files, 3.0 / 8.0, 12_000),
    (Part::Mentions, 1.0 / 32.0, 512),
    (Part::Failure, 1.0 / 16.0, 800),
];

/// z1-nano has a thousand tokens in all and was taught files and a failure, nothing else.
const NANO: [(Part, f32, u32); 5] = [
    (Part::Map, 0.0, 0),
    (Part::Rules, 0.0, 0),
    (Part::Files, 0.4, 512),
    (Part::Mentions, 0.0, 0),
    (Part::Failure, 0.15, 192),
];

/// The tokens that a part may have.
pub(super) fn tokens_max(part: Part, profile: Profile, context_tokens_max: u32) -> usize {
    let table = match profile {
        Profile::Z1 => &Z1,
        Profile::Nano => &NANO,
    };
    let row = table.iter().find(|row| row.0 == part).expect("invariant: the table has every part");
    ((context_tokens_max as f32 * row.1) as u32).min(row.2) as usize
}

/// Files shown at most.
pub(super) const fn files_max(profile: Profile) -> usize {
    match profile {
        Profile::Z1 => 8,
        Profile::Nano => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_leave_room_for_a_reply() {
        for table in [&Z1, &NANO] {
            let sum: f32 = table.iter().map(|row| row.1).sum();
            assert!(sum <= 0.6, "{sum}");
        }
        assert_eq!(tokens_max(Part::Map, Profile::Z1, 32_768), 1024);
        assert_eq!(tokens_max(Part::Files, Profile::Nano, 1024), 409);
    }
}
