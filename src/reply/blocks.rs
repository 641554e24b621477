//! The line-level anatomy of a reply: where it really ends, and where fences open and close.
//!
//! Not for: knowing what stands inside a block.

use std::sync::LazyLock;

use regex::Regex;

/// An opening fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) mark: char,
    pub(super) length: usize,
    pub(super) indent: usize,
    pub(super) info: String,
}

/// Reads a line as an opening (or bare, possibly closing) fence.
pub(super) fn opening(line: &str) -> Option<Opening> {
    let trimmed = line.trim_start();
    let indent = line.len() - trimmed.len();
    let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = trimmed.chars().take_while(|c| *c == mark).count();
    let info = trimmed.get(length..)?.trim();
    // An info string with a back tick is inline code, not a fence.
    (length >= 3 && !info.contains('`')).then(|| Opening { mark, length, indent, info: info.to_owned() })
}

/// Whether `line` closes a block opened by `fence`. A fence that is indented deeper is part of the body (a
/// docstring with an example, say).
pub(super) fn closes(line: &str, fence: &Opening) -> bool {
    opening(line).is_some_and(|other| {
        other.mark == fence.mark
            && other.length >= fence.length
            && other.info.is_empty()
            && other.indent <= fence.indent
    })
}

/// Finds the end of the block whose body begins at `from`: the index of its closing line and `true`, or
/// the index after the last line and `false`. `nested` lets fences with an info string open blocks inside
/// the block, as a Markdown file does.
pub(super) fn body_end(lines: &[&str], from: usize, fence: &Opening, nested: bool) -> (usize, bool) {
    let mut depth = 0_u32;
    for (index, line) in lines.iter().enumerate().skip(from) {
        if closes(line, fence) {
            if depth == 0 {
                return (index, true);
            }
            depth -= 1;
        } else if nested
            && opening(line).is_some_and(|o| o.mark == fence.mark && o.length >= fence.length && !o.info.is_empty())
        {
            depth += 1;
        }
    }
    // Bare fences inside a Markdown file may have been counted wrongly: then the last fence closes.
    if nested && let Some(last) = (from..lines.len()).rev().find(|index| closes(lines[*index], fence)) {
        return (last, true);
    }
    (lines.len(), false)
}

static INVENTED_TURN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:#{2,4}\s*(?:User|Human|Instruction|System)\s*:.*|(?:User|Human):\s*$|</?s>|\[/?INST\].*)$")
        .expect("invariant: the turn pattern is valid")
});
const CONTROL: [&str; 5] = ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|eot_id|>", "<|end|>"];

/// The reply proper: without a thinking section in tags, without turns the model invented for the user,
/// with line feeds only.
pub(super) fn proper(reply: &str) -> String {
    let text = reply.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let text = without_thinking(&text);
    let end = CONTROL.iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    let text = &text[..end];
    let mut fence: Option<Opening> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        match &fence {
            Some(open) if closes(bare, open) => fence = None,
            Some(_) => {}
            None if INVENTED_TURN.is_match(bare) && offset > 0 => return text[..offset].to_owned(),
            None => fence = opening(bare),
        }
        offset += line.len();
    }
    text.to_owned()
}

fn without_thinking(text: &str) -> &str {
    let trimmed = text.trim_start();
    if (trimmed.starts_with("<think>") || trimmed.starts_with("<thinking>"))
        && let Some((_, rest)) = trimmed.split_once("</think>").or_else(|| trimmed.split_once("</thinking>"))
    {
        return rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_the_model_invented_is_cut_but_not_inside_a_fence() {
        assert_eq!(proper("done\n### User: more\nx"), "done\n");
        assert_eq!(proper("```md\n### User: x\n```\n"), "```md\n### User: x\n```\n");
        assert_eq!(proper("a<|im_end|>\nb"), "a");
        assert_eq!(proper("<think>no</think>yes"), "yes");
        assert_eq!(proper("a\r\nb\r\n"), "a\nb\n");
    }

    #[test]
    fn finds_the_end_of_nested_markdown() {
        let text = "````md\nx\n```py\ny\n```\nz\n````\n";
        let lines: Vec<&str> = text.lines().collect();
        let open = opening(lines[0]).unwrap();
        assert_eq!(body_end(&lines, 1, &open, false), (6, true));
        let text = "```md\nx\n```py\ny\n```\nz\n```\nafter";
        let lines: Vec<&str> = text.lines().collect();
        let open = opening(lines[0]).unwrap();
        assert_eq!(body_end(&lines, 1, &open, true), (6, true));
        assert_eq!(body_end(&lines, 1, &open, false), (4, true));
    }
}
