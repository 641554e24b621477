//! When a reply is complete although the model would go on: a policy, as data.
//!
//! Not for: finding blocks (`scan`), or stopping (`window.rs`).

use serde::{Deserialize, Serialize};

use crate::scan::Kind;

/// A line of prose that a policy lets pass is a path or a heading, not a paragraph.
const PROSE_LINE_BYTES_MAX: usize = 160;

/// When nothing more is worth decoding. The default never ends a reply.
///
/// Blocks inside think tags count for nothing. Where several blocks may come, allow the lines that stand between them:
/// `after_edits: Some(2)` lets a path and a heading pass and ends the reply in the explanation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StopPolicy {
    /// After a closed code fence, this many lines of prose may stand before the next block. `Some(0)`: the reply ends with
    /// the first word that cannot open another fence.
    pub after_code: Option<u32>,
    /// The same after an edit block.
    pub after_edits: Option<u32>,
    /// A closed block of shell commands ends the reply at once: it is to be run.
    pub after_shell: bool,
}

/// What may open another block where the last one was code.
const CODE_OPENERS: [&str; 2] = ["```", "~~~"];
/// The same for edits.
const EDIT_OPENERS: [&str; 8] = ["```", "~~~", "<<<<<<<", "*** ", "--- ", "diff --git ", "<", "{"];

impl StopPolicy {
    /// Whether a closed block of this kind is an answer.
    pub(super) const fn counts(self, kind: Kind) -> bool {
        match kind {
            Kind::Code => self.after_code.is_some(),
            Kind::Edit(_) => self.after_edits.is_some(),
            Kind::Shell => self.after_shell,
        }
    }

    /// Whether the reply is complete: the last block that was closed is of kind `last`, `prose_lines` whole lines of prose
    /// came after it, and `line` is what stands on the line that is being written.
    pub(super) fn is_complete(self, last: Kind, prose_lines: usize, line: &str) -> bool {
        let (allowed, openers) = match last {
            Kind::Code => (self.after_code, CODE_OPENERS.as_slice()),
            Kind::Edit(_) => (self.after_edits, EDIT_OPENERS.as_slice()),
            Kind::Shell => return self.after_shell,
        };
        let Some(allowed) = allowed.map(|lines| lines as usize) else { return false };
        let line = line.trim_start();
        let may_open = openers.iter().any(|opener| opener.starts_with(line) || line.starts_with(opener));
        let begun = usize::from(!may_open);
        prose_lines + begun > allowed || (begun > 0 && line.len() > PROSE_LINE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Format;

    #[test]
    fn after_the_program_only_what_may_be_another_one_goes_on() {
        let policy = StopPolicy { after_code: Some(0), ..StopPolicy::default() };
        for line in ["", "  ", "`", "``", "```", "```python", "~~"] {
            assert!(!policy.is_complete(Kind::Code, 0, line), "{line:?}");
        }
        for line in ["T", "This function", "- it", "1", "**Note"] {
            assert!(policy.is_complete(Kind::Code, 0, line), "{line:?}");
        }
        assert!(!policy.is_complete(Kind::Edit(Format::SearchReplace), 9, "This"), "nothing was said of edits");
        assert!(!StopPolicy::default().is_complete(Kind::Code, 9, "This"));
    }

    #[test]
    fn between_edits_a_path_and_a_heading_may_stand_but_no_paragraph() {
        let policy = StopPolicy { after_edits: Some(2), ..StopPolicy::default() };
        let edit = Kind::Edit(Format::SearchReplace);
        assert!(!policy.is_complete(edit, 1, "src/cache.py"));
        assert!(!policy.is_complete(edit, 2, "<<<<<<< SEA"));
        assert!(policy.is_complete(edit, 2, "The cache"));
        assert!(policy.is_complete(edit, 0, &"word ".repeat(60)));
    }

    #[test]
    fn commands_end_the_turn() {
        let policy = StopPolicy { after_shell: true, ..StopPolicy::default() };
        assert!(policy.is_complete(Kind::Shell, 0, ""));
        assert!(!StopPolicy::default().is_complete(Kind::Shell, 5, "Output:"));
    }
}
