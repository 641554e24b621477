//! The marks that data sets put around a thought, taken off where they are marks: at the start, between thought
//! and answer, at the end. The same text inside code or in a sentence is what the model shall learn.
//!
//! Not for: anything else in a response; it is learnt as it is written.

/// What to do with a data set's own marks around thoughts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tags {
    /// One undivided stream, as the paper trains.
    #[default]
    Strip,
    Keep,
}

/// Marks around a thought, and around the answer behind it where a source has those.
struct Marks {
    open: &'static str,
    close: &'static str,
    answer: Option<(&'static str, &'static str)>,
}

const MARKS: [Marks; 2] = [
    Marks { open: "<think>", close: "</think>", answer: None },
    Marks {
        open: "<|begin_of_thought|>",
        close: "<|end_of_thought|>",
        answer: Some(("<|begin_of_solution|>", "<|end_of_solution|>")),
    },
];

impl Tags {
    /// A response with its marks treated as wanted.
    pub fn treat(self, response: &str) -> String {
        match self {
            Self::Keep => response.to_owned(),
            Self::Strip => MARKS.iter().fold(response.to_owned(), |text, marks| marks.strip(&text)),
        }
    }

    /// A thought and an answer that came apart, as one stream.
    pub fn join(self, thought: &str, answer: &str) -> String {
        match self {
            _ if thought.trim().is_empty() => answer.to_owned(),
            Self::Keep => format!("<think>\n{}\n</think>\n\n{answer}", thought.trim_matches(['\n', '\r'])),
            Self::Strip if answer.trim().is_empty() => thought.to_owned(),
            Self::Strip => format!("{}\n\n{}", thought.trim_end(), answer.trim_start_matches(['\n', '\r'])),
        }
    }
}

impl Marks {
    fn strip(&self, response: &str) -> String {
        let begin = response.trim_start();
        let (body, opened) = match begin.strip_prefix(self.open) {
            Some(rest) => (rest.trim_start_matches(['\n', '\r']), true),
            None => (response, false),
        };
        match self.close_in(body, opened) {
            Some(at) => {
                let (thought, answer) = (&body[..at], &body[at + self.close.len()..]);
                seam(thought, &self.answer_of(answer))
            }
            None if opened => self.answer_of(body),
            None => response.to_owned(),
        }
    }

    /// Without the marks around the answer.
    fn answer_of(&self, text: &str) -> String {
        let Some((open, close)) = self.answer else { return text.to_owned() };
        let Some(inner) = text.trim_start().strip_prefix(open) else { return text.to_owned() };
        let inner = inner.trim_end();
        let inner = inner.strip_suffix(close).map_or(inner, |inner| inner.trim_end_matches(['\n', '\r']));
        format!("\n\n{}", inner.trim_start_matches(['\n', '\r']))
    }

    /// Where the thought is closed: the first closing mark that is no part of code or of a quotation. Without an
    /// opening mark only one that has a line for itself counts.
    fn close_in(&self, text: &str, opened: bool) -> Option<usize> {
        let all: Vec<usize> = text.match_indices(self.close).map(|(at, _)| at).collect();
        let own_line = |at: usize| {
            let before = text[..at].rsplit('\n').next().unwrap_or("");
            let after = text[at + self.close.len()..].split('\n').next().unwrap_or("");
            before.trim().is_empty() && after.trim().is_empty()
        };
        let outside = |at: usize| !in_fence(text, at);
        let bare = |at: usize| {
            let quote = |c: char| matches!(c, '\'' | '"' | '`');
            !(text[..at].ends_with(quote) || text[at + self.close.len()..].starts_with(quote))
        };
        if !opened {
            return all.into_iter().find(|&at| own_line(at) && outside(at));
        }
        // A thought may open a fence and never close it: then a mark on a line of its own decides.
        let find = |rule: &dyn Fn(usize) -> bool| all.iter().copied().find(|&at| rule(at));
        find(&|at| bare(at) && outside(at)).or_else(|| find(&own_line)).or_else(|| find(&bare))
    }
}

/// Whether a place lies inside a fenced block.
fn in_fence(text: &str, at: usize) -> bool {
    let mut open: Option<(char, usize)> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if start + line.len() > at {
            break;
        }
        start += line.len();
        let line = line.trim();
        let Some(mark) = line.chars().next().filter(|&c| c == '`' || c == '~') else { continue };
        let length = line.chars().take_while(|&c| c == mark).count();
        match open {
            None if length >= 3 => open = Some((mark, length)),
            Some((kind, least)) if kind == mark && length >= least && line.chars().all(|c| c == mark) => open = None,
            _ => {}
        }
    }
    open.is_some()
}

/// Thought and answer without what stood between them; the mark's own lines leave one empty line at most.
fn seam(thought: &str, answer: &str) -> String {
    let breaks = ['\n', '\r'];
    let (before, after) = (thought.trim_end_matches(breaks), answer.trim_start_matches(breaks));
    if before.trim().is_empty() {
        return after.to_owned();
    }
    let lines = |text: &str| text.matches('\n').count();
    let (left, right) = (lines(&thought[before.len()..]), lines(&answer[..answer.len() - after.len()]));
    let mark_line = usize::from(left > 0 && right > 0);
    format!("{before}{}{after}", "\n".repeat((left + right - mark_line).min(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> String {
        Tags::Strip.treat(text)
    }

    #[test]
    fn marks_around_a_thought_come_off() {
        for (text, want) in [
            ("<think>t</think>a", "ta"),
            ("<think>\nt\n</think>\n\na", "t\n\na"),
            ("  <think>\n    t\n</think>\na\n", "    t\na\n"),
            ("<think>\n\n</think>\n\na", "a"),
            ("t\n</think>\n\n    a", "t\n\n    a"),
            ("<think>never closed", "never closed"),
            (
                "<|begin_of_thought|>\n\nt\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n  a\n\n<|end_of_solution|>",
                "t\n\n  a",
            ),
        ] {
            assert_eq!(stripped(text), want, "{text:?}");
            assert_eq!(Tags::Keep.treat(text), text);
        }
    }

    #[test]
    fn the_same_text_in_code_and_in_words_stays() {
        for text in [
            "Use:\n```python\ns = s.split('</think>')[-1]\n```",
            "```\n<think>\n</think>\n```\n",
            "The mark `</think>` ends it, and <think> begins it.",
            "Write </think> yourself.",
            "x = '<|end_of_thought|>'\n\n\n\ny = 1\n",
            "    indented\n\n\n\nend\n\n",
        ] {
            assert_eq!(stripped(text), text, "{text:?}");
        }
        let both = "<think>\nsplit at '</think>':\n```\n</think>\n```\n</think>\n\ns.split('</think>')\n\n\nx";
        let want = "split at '</think>':\n```\n</think>\n```\n\ns.split('</think>')\n\n\nx";
        assert_eq!(stripped(both), want);
        let unclosed = "<think>\n```python\nx = 1\n</think>\n\nanswer";
        assert_eq!(stripped(unclosed), "```python\nx = 1\n\nanswer");
    }

    #[test]
    fn a_thought_apart_is_joined_as_it_is() {
        assert_eq!(Tags::Strip.join("t\n", "\n    a\n"), "t\n\n    a\n");
        assert_eq!(Tags::Keep.join("t", "a"), "<think>\nt\n</think>\n\na");
        assert_eq!((Tags::Strip.join(" ", "a"), Tags::Strip.join("t", "")), ("a".to_owned(), "t".to_owned()));
    }
}
