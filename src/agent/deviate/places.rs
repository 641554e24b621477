//! The places of a text at which the model would rather have gone on otherwise. Pure.

use super::Basis;
use crate::engine::{TokenId, Weighed};
use crate::task::Language;

/// What is less probable than this (natural logarithm) is not tried.
const LOGPROB_MIN: f32 = -5.3;
/// Others of one token that are looked at.
pub(super) const OTHERS_MAX: usize = 3;

/// Another token at a place of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// Which of the text's tokens it takes the place of.
    pub(super) at: usize,
    /// The byte at which that token begins.
    pub(super) start: usize,
    pub(super) token: TokenId,
    /// How probable it is there, as a natural logarithm.
    pub(super) logprob: f32,
}

/// The places where deviating from the text may change what it does, the most probable first. `bytes` are a token's.
pub(super) fn places(basis: &Basis, weighed: &[Weighed], bytes: impl Fn(TokenId) -> Vec<u8>) -> Vec<Place> {
    let silent = silent_bytes(basis);
    let mut found = Vec::new();
    let mut start = 0;
    for (at, weighed) in weighed.iter().enumerate() {
        let own = bytes(weighed.token);
        let own_text = String::from_utf8_lossy(&own);
        // Inside a character there is no place.
        let within = basis.area.contains(&start) && basis.text.is_char_boundary(start) && !silent[start];
        let others = weighed.others.iter().filter(|_| within);
        found.extend(
            others
                .filter(|&&(_, logprob)| logprob >= LOGPROB_MIN)
                .filter(|&&(token, _)| {
                    says_otherwise(&own_text, &String::from_utf8_lossy(&bytes(token)), basis.language)
                })
                .map(|&(token, logprob)| Place { at, start, token, logprob }),
        );
        start += own.len();
    }
    found.sort_by(|a, b| b.logprob.total_cmp(&a.logprob).then(a.at.cmp(&b.at)));
    found
}

/// Which bytes of the text are comments: what stands there does nothing.
fn silent_bytes(basis: &Basis) -> Vec<bool> {
    let mut silent = vec![false; basis.text.len()];
    let code = &basis.text[basis.area.clone()];
    let Some(bare) = crate::repo_map::comments::without_comments(&basis.path, code) else { return silent };
    for (at, (own, bare)) in code.bytes().zip(bare.bytes()).enumerate() {
        let at = basis.area.start + at;
        silent[at] = own != bare || (own == b' ' && at > 0 && silent[at - 1]);
    }
    silent
}

/// Whether another token there can make a difference: not blanks for blanks, nor a comment.
fn says_otherwise(own: &str, other: &str, language: Option<Language>) -> bool {
    const REMARKS: [&str; 4] = ["//", "#", "/*", "--"];
    let word = other.trim();
    if other.is_empty() || REMARKS.iter().any(|remark| word.starts_with(remark)) {
        return false;
    }
    if word != own.trim() {
        return true;
    }
    let indent = |text: &str| text.len() - text.trim_start_matches(' ').len();
    let by_indent = language == Some(Language::Python) && word.is_empty() && !own.contains('\n');
    // The end of a line is one, with or without an empty one behind it.
    own.contains('\n') != other.contains('\n') || (by_indent && indent(own) != indent(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(path: &str, code: &str) -> Basis {
        let head = format!("{path}\n```\n");
        let area = head.len()..head.len() + code.len();
        Basis::new(path, format!("{head}{code}```\n"), area)
    }

    /// Characters are tokens, and each has an `x` as its other one.
    fn weighed(basis: &Basis, logprob: impl Fn(usize) -> f32) -> Vec<Weighed> {
        let token = |c: char| c as TokenId;
        let one = |(at, c)| Weighed { token: token(c), logprob: -0.1, others: vec![(token('x'), logprob(at))] };
        basis.text.chars().enumerate().map(one).collect()
    }

    fn bytes(token: TokenId) -> Vec<u8> {
        char::from_u32(token as u32).map(|c| c.to_string().into_bytes()).unwrap_or_default()
    }

    #[test]
    fn the_likeliest_come_first_and_only_code_counts() {
        let basis = basis("a.py", "y = 1  # one\n");
        let places = places(&basis, &weighed(&basis, |at| -0.01 * at as f32), bytes);
        let said: Vec<&str> = places.iter().map(|place| &basis.text[place.start..=place.start]).collect();
        // Neither the head, the comment, nor the fence.
        assert_eq!(said, ["y", " ", "=", " ", "1", " ", " ", "\n"]);
        assert!(super::places(&basis, &weighed(&basis, |_| -9.0), bytes).is_empty(), "nobody would say so");
    }

    #[test]
    fn blanks_for_blanks_and_remarks_change_nothing() {
        let otherwise = |own, other| says_otherwise(own, other, Some(Language::Rust));
        assert!(otherwise("floor", "round") && otherwise("\n", " "));
        assert!(!otherwise(" x", "x") && !otherwise("\n", "\n\n") && !otherwise("x", " // x") && !otherwise("x", ""));
        assert!(says_otherwise("    ", "        ", Some(Language::Python)) && !otherwise("    ", "        "));
    }
}
