//! JSON as people's programs write it: Python's `NaN`, half characters, a byte order mark.
//!
//! Not for: what a row means (`shape`).

use serde_json::Value;

/// The byte order mark that some editors put before UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What had to be mended before a row could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// `NaN`, `Infinity` or `-Infinity` was read as `null`.
    pub no_number: bool,
    /// A lone surrogate (`\ud83d` without its other half) was read as U+FFFD.
    pub half_character: bool,
}

/// Reads one JSON value; what Python's `json.dumps` writes and JSON does not know is mended and said.
///
/// # Errors
/// The parser's own words about the text as it is.
pub fn parse(bytes: &[u8]) -> Result<(Value, Mended), String> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let problem = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok((value, Mended::default())),
        Err(problem) => problem.to_string(),
    };
    let (text, mended) = mend(bytes);
    if mended == Mended::default() {
        return Err(problem);
    }
    serde_json::from_slice(&text).map(|value| (value, mended)).map_err(|problem| problem.to_string())
}

const NO_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

fn mend(bytes: &[u8]) -> (Vec<u8>, Mended) {
    let (mut out, mut mended) = (Vec::with_capacity(bytes.len()), Mended::default());
    let (mut at, mut in_string) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        match (in_string, byte) {
            (true, b'\\') => {
                let taken = match surrogate(rest) {
                    Some(Surrogate::Pair) => 12,
                    Some(Surrogate::Lone) => {
                        mended.half_character = true;
                        out.extend_from_slice(b"\\ufffd");
                        at += 6;
                        continue;
                    }
                    None => 2.min(rest.len()),
                };
                out.extend_from_slice(&rest[..taken]);
                at += taken;
                continue;
            }
            (_, b'"') => in_string = !in_string,
            (false, b'N' | b'I' | b'-') => {
                if let Some(word) = NO_NUMBERS.iter().find(|word| rest.starts_with(word)) {
                    mended.no_number = true;
                    out.extend_from_slice(b"null");
                    at += word.len();
                    continue;
                }
            }
            _ => {}
        }
        out.push(byte);
        at += 1;
    }
    (out, mended)
}

enum Surrogate {
    Pair,
    Lone,
}

/// Whether an escape begins a character of two halves, or is a half alone.
fn surrogate(escape: &[u8]) -> Option<Surrogate> {
    let first = code(escape)?;
    match first {
        0xd800..=0xdbff => match escape.get(6..).and_then(code) {
            Some(0xdc00..=0xdfff) => Some(Surrogate::Pair),
            _ => Some(Surrogate::Lone),
        },
        0xdc00..=0xdfff => Some(Surrogate::Lone),
        _ => None,
    }
}

/// The code of an escape `\uXXXX`.
fn code(escape: &[u8]) -> Option<u32> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_is_read_and_said() {
        let (value, mended) = parse(br#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \\ \" -Infinity"}"#).unwrap();
        assert_eq!(value, serde_json::json!({"a": null, "b": [null, null], "c": "NaN \\ \" -Infinity"}));
        assert_eq!(mended, Mended { no_number: true, half_character: false });
        let (value, mended) = parse(br#"{"a": "x\ud83d y\ude00 \ud83d\ude00 \\ud83d"}"#).unwrap();
        assert_eq!(value["a"], "x\u{fffd} y\u{fffd} 😀 \\ud83d");
        assert!(mended.half_character && !mended.no_number);
    }

    #[test]
    fn sound_text_is_not_touched_and_broken_text_stays_broken() {
        let (value, mended) = parse(b"\xef\xbb\xbf{\"a\": \"\\ud83d\\ude00\"}").unwrap();
        assert_eq!((value["a"].as_str(), mended), (Some("😀"), Mended::default()));
        for broken in [&b"{\"a\": "[..], b"", b"{\"a\": NaN", b"{'a': 1}", b"\xff", b"\"\\", b"\"\\ud83d"] {
            assert!(parse(broken).is_err(), "{broken:?}");
        }
    }
}
