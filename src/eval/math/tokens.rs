//! The tokens of an expression in LaTeX or plain notation.

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Number(String),
    Letter(char),
    Command(String),
    Sign(char),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Whether a space stands before it.
    pub(super) spaced: bool,
}

/// Names that are functions without a backslash too.
pub(super) const WORDS: [&str; 21] = [
    "arcsin", "arccos", "arctan", "sqrt", "sinh", "cosh", "tanh", "sin", "cos", "tan", "cot", "sec", "csc", "log",
    "exp", "cis", "gcd", "lcm", "max", "min", "ln",
];

pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut signs = text.chars().peekable();
    let mut spaced = false;
    while let Some(sign) = signs.next() {
        if sign.is_whitespace() {
            spaced = true;
            continue;
        }
        let kind = match sign {
            '0'..='9' | '.' => {
                let mut number = String::from(sign);
                while let Some(next) = signs.next_if(|next| next.is_ascii_digit() || *next == '.') {
                    number.push(next);
                }
                // `1.2.3` and a dot alone are no numbers.
                if number.matches('.').count() > 1 || number == "." {
                    return None;
                }
                Kind::Number(number)
            }
            '\\' => {
                let mut name = String::new();
                while let Some(next) = signs.next_if(char::is_ascii_alphabetic) {
                    name.push(next);
                }
                if name.is_empty() { Kind::Sign(signs.next()?) } else { Kind::Command(name) }
            }
            'π' => Kind::Command("pi".to_owned()),
            _ if sign.is_alphabetic() => Kind::Letter(sign),
            _ => Kind::Sign(sign),
        };
        found.push(Token { kind, spaced });
        spaced = false;
    }
    Some(words_joined(&found))
}

/// `sqrt`, `sin`, `pi` and their like written without a backslash.
fn words_joined(tokens: &[Token]) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let letter = |(index, token): (usize, &Token)| match token.kind {
            Kind::Letter(letter) if index == 0 || !token.spaced => Some(letter),
            _ => None,
        };
        let letters: String = tokens[at..].iter().take(6).enumerate().map_while(letter).collect();
        let word = WORDS.iter().chain(&["pi"]).find(|word| letters.starts_with(**word));
        let Some(word) = word else {
            found.push(tokens[at].clone());
            at += 1;
            continue;
        };
        // Of `sqrt12` the root is of 12, as of `√12`; of `\sqrt12` LaTeX takes the 1.
        let kind = if *word == "sqrt" { Kind::Sign('√') } else { Kind::Command((*word).to_owned()) };
        found.push(Token { kind, spaced: tokens[at].spaced });
        at += word.len();
    }
    found
}
