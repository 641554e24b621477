//! JSON with the places of its values; comments and a comma behind the last value are read over.

use std::collections::BTreeSet;
use std::ops::Range;

pub(super) struct Value {
    pub span: Range<usize>,
    pub inside: Inside,
}

pub(super) enum Inside {
    Object(Vec<Member>),
    List(Vec<Range<usize>>),
    Scalar,
}

pub(super) struct Member {
    pub key: String,
    /// Where the key begins.
    pub start: usize,
    pub value: Value,
}

const DEPTH_MAX: usize = 64;

/// Reads a text that is an object.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { text, at: 0 };
    reader.blanks();
    let value = reader.value(0)?;
    reader.blanks();
    (reader.at == text.len() && matches!(value.inside, Inside::Object(_))).then_some(value)
}

pub(super) fn keys(text: &str) -> Option<BTreeSet<String>> {
    fn leaves(prefix: &str, value: &Value, out: &mut BTreeSet<String>) {
        match &value.inside {
            Inside::Object(members) if !members.is_empty() => {
                for member in members {
                    leaves(&format!("{prefix}/{}", member.key), &member.value, out);
                }
            }
            _ => drop(out.insert(prefix.to_owned())),
        }
    }
    let mut out = BTreeSet::new();
    leaves("", &read(text)?, &mut out);
    Some(out)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).len();
            let comment = if rest[blank..].starts_with("//") {
                rest[blank..].find('\n').unwrap_or(rest.len() - blank)
            } else if rest[blank..].starts_with("/*") {
                rest[blank..].find("*/").map_or(rest.len() - blank, |end| end + 2)
            } else {
                0
            };
            self.at += blank + comment;
            if comment == 0 {
                return;
            }
        }
    }

    fn takes(&mut self, mark: char) -> bool {
        self.blanks();
        let taken = self.rest().starts_with(mark);
        self.at += usize::from(taken);
        taken
    }

    fn string(&mut self) -> Option<String> {
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let text = self.rest()[..=at].to_owned();
                    self.at += at + 1;
                    return Some(text);
                }
                _ => {}
            }
        }
        None
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        let start = self.at;
        let inside = match self.rest().chars().next()? {
            '{' => {
                self.at += 1;
                let mut members = Vec::new();
                while !self.takes('}') {
                    let start = self.at;
                    if !self.rest().starts_with('"') {
                        return None;
                    }
                    let key = self.string()?;
                    if !self.takes(':') {
                        return None;
                    }
                    self.blanks();
                    let value = self.value(depth + 1)?;
                    let key = key.trim_matches('"').to_owned();
                    members.push(Member { key, start, value });
                    if !self.takes(',') && !self.rest().starts_with('}') {
                        return None;
                    }
                }
                Inside::Object(members)
            }
            '[' => {
                self.at += 1;
                let mut items = Vec::new();
                while !self.takes(']') {
                    items.push(self.value(depth + 1)?.span);
                    if !self.takes(',') && !self.rest().starts_with(']') {
                        return None;
                    }
                }
                Inside::List(items)
            }
            '"' => {
                self.string()?;
                Inside::Scalar
            }
            _ => {
                let ends = |c: char| matches!(c, ',' | ']' | '}' | '/' | '{' | '[' | '"') || c.is_whitespace();
                let rest = self.rest();
                let length = rest.find(ends).unwrap_or(rest.len());
                let word = &rest[..length];
                let known = matches!(word, "true" | "false" | "null") || word.parse::<f64>().is_ok();
                if !known {
                    return None;
                }
                self.at += length;
                Inside::Scalar
            }
        };
        Some(Value { span: start..self.at, inside })
    }
}
