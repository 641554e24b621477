//! A small lexer that colours code line by line. Its state between lines is one value, so an open fence
//! is coloured once, as it streams.
//!
//! Not for: being right about a language's grammar. It knows words, comments, strings and numbers; a line
//! it misreads is only coloured oddly.

use std::ops::Range;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::languages::Syntax;
use crate::tui::theme::Theme;

/// What a stretch of code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Keyword,
    Type,
    Call,
    Text,
    Number,
    Comment,
}

/// Where the lexer stands at the beginning of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Code,
    /// Inside a block comment, nested this deep.
    Comment(u8),
    /// Inside a string of this index in [`Syntax::strings`].
    Text(u8),
}

/// Cuts one line into coloured stretches that cover it completely, and says where the next line begins.
pub fn lex(line: &str, syntax: &Syntax, state: State) -> (Vec<(Kind, Range<usize>)>, State) {
    let mut lexer = Lexer { line, syntax, at: 0, state, found: Vec::new() };
    while lexer.at < line.len() {
        lexer.step();
    }
    // A string that may not go over line ends was only forgotten; it ends here.
    if let State::Text(index) = lexer.state
        && !syntax.strings[index as usize].2
    {
        lexer.state = State::Code;
    }
    (lexer.found, lexer.state)
}

struct Lexer<'a> {
    line: &'a str,
    syntax: &'a Syntax,
    at: usize,
    state: State,
    found: Vec<(Kind, Range<usize>)>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        match self.state {
            State::Comment(depth) => self.in_comment(depth),
            State::Text(index) => self.in_text(index),
            State::Code => self.in_code(),
        }
    }

    fn rest(&self) -> &str {
        &self.line[self.at..]
    }

    fn take(&mut self, kind: Kind, bytes: usize) {
        let range = self.at..self.at + bytes;
        self.at = range.end;
        match self.found.last_mut() {
            Some((last, before)) if *last == kind && before.end == range.start => before.end = range.end,
            _ => self.found.push((kind, range)),
        }
    }

    fn in_comment(&mut self, depth: u8) {
        let Some((open, close)) = self.syntax.block_comment else {
            self.state = State::Code;
            return;
        };
        let end = self.rest().find(close);
        let inner = self.rest().find(open).filter(|_| self.syntax.nests);
        match (end, inner) {
            (Some(end), Some(inner)) if inner < end => {
                self.take(Kind::Comment, inner + open.len());
                self.state = State::Comment(depth.saturating_add(1));
            }
            (Some(end), _) => {
                self.take(Kind::Comment, end + close.len());
                self.state = if depth > 1 { State::Comment(depth - 1) } else { State::Code };
            }
            (None, _) => self.take(Kind::Comment, self.rest().len()),
        }
    }

    fn in_text(&mut self, index: u8) {
        let (_, close, _) = self.syntax.strings[index as usize];
        let rest = self.rest();
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            if !escaped && rest[at..].starts_with(close) {
                self.take(Kind::Text, at + close.len());
                self.state = State::Code;
                return;
            }
            escaped = c == '\\' && !escaped;
        }
        self.take(Kind::Text, rest.len());
    }

    fn in_code(&mut self) {
        let rest = self.rest();
        if self.syntax.line_comments.iter().any(|mark| rest.starts_with(mark)) && !self.is_directive() {
            return self.take(Kind::Comment, rest.len());
        }
        if let Some((open, _)) = self.syntax.block_comment
            && rest.starts_with(open)
        {
            self.take(Kind::Comment, open.len());
            self.state = State::Comment(1);
            return;
        }
        if let Some(index) = self.syntax.strings.iter().position(|(open, ..)| rest.starts_with(open)) {
            self.take(Kind::Text, self.syntax.strings[index].0.len());
            self.state = State::Text(index as u8);
            return;
        }
        let first = rest.chars().next().expect("step is called while there is a rest");
        if first.is_ascii_digit() {
            let bytes = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
            return self.take(Kind::Number, bytes);
        }
        if first.is_alphabetic() || first == '_' || first == '#' {
            return self.word(first);
        }
        self.take(Kind::Plain, first.len_utf8());
    }

    /// `#include` is a word of C although `#` begins comments elsewhere.
    fn is_directive(&self) -> bool {
        self.rest().starts_with('#') && self.syntax.keywords.iter().any(|word| word.starts_with('#'))
    }

    fn word(&mut self, first: char) {
        let rest = self.rest();
        let tail = &rest[first.len_utf8()..];
        let bytes = tail.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tail.len()) + first.len_utf8();
        let word = &rest[..bytes];
        let kind = if self.syntax.keywords.contains(&word) {
            Kind::Keyword
        } else if rest[bytes..].starts_with('(') {
            Kind::Call
        } else if first.is_uppercase() && word.chars().any(char::is_lowercase) {
            Kind::Type
        } else {
            Kind::Plain
        };
        self.take(kind, bytes);
    }
}

/// Colours one line; returns it with the state for the next.
pub fn colour(line: &str, syntax: Option<&Syntax>, state: State, theme: &Theme) -> (Line<'static>, State) {
    let Some(syntax) = syntax else {
        return (Line::from(Span::styled(line.to_owned(), Style::new())), State::Code);
    };
    let (found, next) = lex(line, syntax, state);
    let spans = found.into_iter().map(|(kind, range)| Span::styled(line[range].to_owned(), theme.code(kind)));
    (Line::from(spans.collect::<Vec<_>>()), next)
}

#[cfg(test)]
mod tests {
    use super::super::languages::by_tag;
    use super::*;

    fn kinds(line: &str, tag: &str) -> Vec<(Kind, String)> {
        let (found, _) = lex(line, by_tag(tag).unwrap(), State::Code);
        found.into_iter().map(|(kind, range)| (kind, line[range].to_owned())).collect()
    }

    #[test]
    fn words_numbers_strings_and_comments_are_told_apart() {
        let found = kinds("def f(x): return 'a\\'b' + 1.5 # why", "python");
        assert!(found.contains(&(Kind::Keyword, "def".into())));
        assert!(found.contains(&(Kind::Call, "f".into())));
        assert!(found.contains(&(Kind::Text, "'a\\'b'".into())));
        assert!(found.contains(&(Kind::Number, "1.5".into())));
        assert!(found.contains(&(Kind::Comment, "# why".into())));
    }

    #[test]
    fn strings_and_comments_go_over_line_ends_where_the_language_lets_them() {
        let python = by_tag("python").unwrap();
        let (_, state) = lex("x = \"\"\"begin", python, State::Code);
        assert_ne!(state, State::Code);
        let (found, state) = lex("end\"\"\" + y", python, state);
        assert_eq!((found[0].0, state), (Kind::Text, State::Code));
        let rust = by_tag("rust").unwrap();
        let (_, state) = lex("/* a /* b */ still", rust, State::Code);
        assert_eq!(state, State::Comment(1));
        assert_eq!(lex("'forgotten", python, State::Code).1, State::Code);
    }

    #[test]
    fn stretches_cover_the_line() {
        for line in ["let s = \"ä漢\"; // ü", "#include <x.h>", "", "\u{1F600} \\"] {
            for tag in ["rust", "c", "python", "bash"] {
                let (found, _) = lex(line, by_tag(tag).unwrap(), State::Code);
                let joined: String = found.into_iter().map(|(_, range)| &line[range]).collect();
                assert_eq!(joined, line);
            }
        }
    }
}
