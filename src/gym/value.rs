//! The values that generated functions take and return, and how Python writes them.

use std::fmt::Write as _;

/// What kind of value a step takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Int,
    Str,
    Ints,
    Words,
    /// Words to whole numbers.
    Dict,
}

impl Type {
    /// The parameter name used for a value of this type, in signatures and code.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Int => "n",
            Self::Str => "s",
            Self::Ints => "xs",
            Self::Words => "ws",
            Self::Dict => "d",
        }
    }
}

/// A Python value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    Int(i64),
    Str(String),
    Ints(Vec<i64>),
    Words(Vec<String>),
    Dict(Vec<(String, i64)>),
}

impl Value {
    pub const fn kind(&self) -> Type {
        match self {
            Self::Int(_) => Type::Int,
            Self::Str(_) => Type::Str,
            Self::Ints(_) => Type::Ints,
            Self::Words(_) => Type::Words,
            Self::Dict(_) => Type::Dict,
        }
    }

    /// The Python literal, with (`[1, 2]`) or without (`[1,2]`) a space after commas and colons.
    pub fn literal(&self, spaced: bool) -> String {
        let gap = if spaced { " " } else { "" };
        let list = |items: Vec<String>| items.join(&format!(",{gap}"));
        match self {
            Self::Int(n) => n.to_string(),
            Self::Str(s) => format!("'{s}'"),
            Self::Ints(xs) => format!("[{}]", list(xs.iter().map(ToString::to_string).collect())),
            Self::Words(ws) => format!("[{}]", list(ws.iter().map(|w| format!("'{w}'")).collect())),
            Self::Dict(pairs) => {
                let mut text = String::from("{");
                for (index, (key, value)) in pairs.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    let space = if index == 0 { "" } else { gap };
                    let _ = write!(text, "{comma}{space}'{key}':{gap}{value}");
                }
                text + "}"
            }
        }
    }

    /// Nothing in it: an empty list, string or dict.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Int(_) => false,
            Self::Str(s) => s.is_empty(),
            Self::Ints(xs) => xs.is_empty(),
            Self::Words(ws) => ws.is_empty(),
            Self::Dict(pairs) => pairs.is_empty(),
        }
    }
}
