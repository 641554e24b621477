//! Whole numbers of any size in rows of JSON. A `serde_json::Value` holds 64 bits, and what has more becomes a float that is near
//! it (serde_json 1.0.154; its `arbitrary_precision` would change every other reader): such a number is kept as a text with a mark.

use serde_json::Value;

/// Stands before the digits; no text of a row begins so.
const MARK: &str = "\u{1}z1 whole number ";
/// Numbers with so many digits fit into 64 bits.
const DIGITS_SAFE: usize = 18;

/// Reads JSON; numbers that would not fit come as texts that [`digits`] knows.
pub(super) fn from_str(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(&marked(text))
}

/// The digits of a number that [`from_str`] kept as a text.
pub(super) fn digits(text: &str) -> Option<&str> {
    text.strip_prefix(MARK)
}

fn marked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let is_number = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            c if is_number(c) => rest.find(|c| !is_number(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        let whole = token.strip_prefix('-').unwrap_or(token);
        if whole.len() > DIGITS_SAFE && whole.bytes().all(|byte| byte.is_ascii_digit()) {
            out.push_str(&Value::String(format!("{MARK}{token}")).to_string());
        } else {
            out.push_str(token);
        }
        rest = after;
    }
    out
}

/// Bytes of a text in quotes, both included; all that is left where it never ends.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_any_size_keeps_its_digits() {
        let read = from_str(r#"{"a": [12345678901234567890123, -12345678901234567890123], "b": "9999999999999999999999", "c": 1e30, "d": 7}"#).unwrap();
        assert_eq!(digits(read["a"][0].as_str().unwrap()), Some("12345678901234567890123"));
        assert_eq!(digits(read["a"][1].as_str().unwrap()), Some("-12345678901234567890123"));
        assert_eq!(read["b"], "9999999999999999999999");
        assert_eq!((read["c"].as_f64(), read["d"].as_u64()), (Some(1e30), Some(7)));
        assert!(from_str("{\"a").is_err() && from_str("[1, ü]").is_err());
        assert_eq!(from_str(r#"["a\"12345678901234567890", "ü"]"#).unwrap()[0], "a\"12345678901234567890");
    }
}
