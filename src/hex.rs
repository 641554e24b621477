//! Bytes as lower-case hexadecimal: checksums, and names made of them.
//!
//! Not for: hashing.

use std::fmt::Write;

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_written_in_order_and_padded() {
        assert_eq!(super::hex(&[0, 10, 255]), "000aff");
    }
}
