//! Bytes to text without ever showing half a character.
//!
//! Not for: knowing what a token is.

/// Follows a byte stream and knows whether it stands inside a character.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CharTail {
    missing_bytes: u8,
}

impl CharTail {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.missing_bytes = match byte {
                0x80..=0xBF if self.missing_bytes > 0 => self.missing_bytes - 1,
                0xC2..=0xDF => 1,
                0xE0..=0xEF => 2,
                0xF0..=0xF4 => 3,
                _ => 0,
            };
        }
    }

    pub(crate) const fn inside_character(self) -> bool {
        self.missing_bytes > 0
    }
}

/// Collects the bytes of tokens and hands out whole characters.
///
/// Bytes that can never become a character are replaced by U+FFFD, like everywhere else in Rust.
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    pending: Vec<u8>,
}

impl TextStream {
    /// Adds bytes and returns the text that is complete now (often all of it, sometimes none).
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(valid) => {
                    text.push_str(valid);
                    self.pending.clear();
                    return text;
                }
                Err(error) => {
                    let (valid, rest) = self.pending.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(invalid_bytes) = error.error_len() else {
                        self.pending = rest.to_vec();
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.pending = rest[invalid_bytes..].to_vec();
                }
            }
        }
    }

    /// Drops an unfinished character at the end of the stream and says whether there was one.
    pub fn finish(&mut self) -> bool {
        !std::mem::take(&mut self.pending).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_unfinished_character_waits_and_is_dropped_at_the_end() {
        let mut stream = TextStream::default();
        assert_eq!(stream.push(&[b'a', 0xE2, 0x82]), "a");
        assert_eq!(stream.push(&[0xAC, 0xF0]), "€");
        assert!(stream.finish());
        assert!(!stream.finish());
    }

    #[test]
    fn bytes_that_are_no_text_become_the_replacement_character() {
        assert_eq!(TextStream::default().push(&[b'a', 0xFF, b'b']), "a\u{FFFD}b");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_text(bytes in proptest::collection::vec(any::<u8>(), 0..64), cut in 0usize..64) {
            let whole = TextStream::default().push(&bytes);
            let mut stream = TextStream::default();
            let (left, right) = bytes.split_at(cut.min(bytes.len()));
            let parts = stream.push(left) + &stream.push(right);
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn the_tail_agrees_with_the_standard_library(text in "\\PC{0,20}", cut in 0usize..80) {
            let cut = cut.min(text.len());
            let mut tail = CharTail::default();
            tail.feed(&text.as_bytes()[..cut]);
            prop_assert_eq!(tail.inside_character(), !text.is_char_boundary(cut));
        }
    }
}
