//! A text file as lines that remember how they ended, so that an edit keeps every byte it does not mean.

use similar::{Algorithm, DiffOp};

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Lf,
    CrLf,
    /// In files of old systems, which have no line feed at all.
    Cr,
    /// The file's last line, where the file does not end in a line break.
    None,
}

impl Ending {
    const fn text(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
            Self::Cr => "\r",
            Self::None => "",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    pub ending: Ending,
}

/// A file's lines, with its byte-order mark set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    pub lines: Vec<Line>,
    pub mark: bool,
}

impl Lines {
    pub fn parse(text: &str) -> Self {
        let (mark, text) = text.strip_prefix('\u{feff}').map_or((false, text), |rest| (true, rest));
        if !text.contains('\n') && text.contains('\r') {
            let line = |raw: &str| match raw.strip_suffix('\r') {
                Some(text) => Line { text: text.to_owned(), ending: Ending::Cr },
                None => Line { text: raw.to_owned(), ending: Ending::None },
            };
            return Self { lines: text.split_inclusive('\r').map(line).collect(), mark };
        }
        let line = |raw: &str| {
            let (text, ending) = match (raw.strip_suffix("\r\n"), raw.strip_suffix('\n')) {
                (Some(text), _) => (text, Ending::CrLf),
                (None, Some(text)) => (text, Ending::Lf),
                (None, None) => (raw, Ending::None),
            };
            Line { text: text.to_owned(), ending }
        };
        Self { lines: text.split_inclusive('\n').map(line).collect(), mark }
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        if self.mark {
            out.push('\u{feff}');
        }
        for line in &self.lines {
            out.push_str(&line.text);
            out.push_str(line.ending.text());
        }
        out
    }

    pub fn texts(&self) -> Vec<&str> {
        self.lines.iter().map(|line| line.text.as_str()).collect()
    }

    /// The ending that most lines have; between equals the first line's.
    pub fn convention(&self) -> Ending {
        let count = |ending| self.lines.iter().filter(|line| line.ending == ending).count();
        if count(Ending::Cr) > 0 {
            return Ending::Cr;
        }
        let (crlf, lf) = (count(Ending::CrLf), count(Ending::Lf));
        let first = self.lines.first().map_or(Ending::Lf, |line| line.ending);
        if crlf > lf || (crlf == lf && first == Ending::CrLf) { Ending::CrLf } else { Ending::Lf }
    }

    /// Whether the file's last line lacks its line break.
    pub fn is_open_ended(&self) -> bool {
        self.lines.last().is_some_and(|line| line.ending == Ending::None)
    }

    /// Replaces `range` by other lines; the file's convention for its end is kept.
    #[must_use]
    pub fn splice(&self, range: std::ops::Range<usize>, with: Vec<Line>) -> Self {
        let mut next = self.clone();
        next.lines.splice(range, with);
        next.closed_like(self)
    }

    /// Every line ended but the last, and the last as `other`'s last.
    fn closed_like(mut self, other: &Self) -> Self {
        let convention = other.convention();
        if let Some((last, rest)) = self.lines.split_last_mut() {
            rest.iter_mut().filter(|line| line.ending == Ending::None).for_each(|line| line.ending = convention);
            last.ending = match (other.is_open_ended(), last.ending) {
                (true, _) => Ending::None,
                (false, Ending::None) => convention,
                (false, ending) => ending,
            };
        }
        self
    }

    /// The whole file anew: unchanged lines keep their endings, new lines take the file's convention, and
    /// so do the file's end and its byte-order mark.
    #[must_use]
    pub fn rewritten(&self, content: &str) -> Self {
        let content = content.strip_prefix('\u{feff}').unwrap_or(content);
        let new: Vec<&str> = content.lines().collect();
        let convention = self.convention();
        let mut endings = vec![convention; new.len()];
        for operation in similar::capture_diff_slices(Algorithm::Myers, &self.texts(), &new) {
            // A line that stays or is changed keeps its end.
            let (old, new) = match operation {
                DiffOp::Equal { .. } | DiffOp::Replace { .. } => (operation.old_range(), operation.new_range()),
                DiffOp::Insert { .. } | DiffOp::Delete { .. } => continue,
            };
            for (from, to) in old.zip(new) {
                let ending = self.lines[from].ending;
                endings[to] = if ending == Ending::None { convention } else { ending };
            }
        }
        let lines = new.iter().zip(endings).map(|(text, ending)| Line { text: (*text).to_owned(), ending }).collect();
        Self { lines, mark: self.mark }.closed_like(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_and_writing_are_inverse() {
        for text in ["", "a", "a\n", "a\r\nb\n", "\r\n\n", "\u{feff}a\r\n", "a\rb\n", "a\rb\r", "a\rb"] {
            assert_eq!(Lines::parse(text).text(), text, "{text:?}");
        }
    }

    #[test]
    fn a_rewrite_keeps_the_files_own_endings() {
        let before = Lines::parse("a\r\nb\nc\r\nd");
        assert_eq!(before.rewritten("a\nb\nX\nd\n").text(), "a\r\nb\nX\r\nd");
        assert_eq!(Lines::parse("a\nb\r\nc\r\n").rewritten("X\nb\nc\n").text(), "X\nb\r\nc\r\n");
        assert_eq!(Lines::parse("a\n").rewritten("a\r\nb\r\n").text(), "a\nb\n");
    }
}
