//! Checksums of what is read, and bytes as lower-case hexadecimal.

use std::fmt::Write;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Has everything that is left of a reader hashed.
///
/// # Errors
/// Where it cannot be read.
pub fn absorb(hash: &mut Sha256, mut from: impl Read) -> io::Result<()> {
    let mut part = vec![0; 64 << 10];
    loop {
        match from.read(&mut part) {
            Ok(0) => return Ok(()),
            Ok(length) => hash.update(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    #[test]
    fn what_is_read_in_parts_is_hashed_whole() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let mut hash = Sha256::new();
        super::absorb(&mut hash, bytes.as_slice()).unwrap();
        assert_eq!(hash.finalize(), Sha256::digest(&bytes));
    }

    #[test]
    fn bytes_are_written_in_order_and_padded() {
        assert_eq!(super::hex(&[0, 10, 255]), "000aff");
    }
}
