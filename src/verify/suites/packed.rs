//! The packed test cases of LiveCodeBench: base64 around zlib around a pickled string of JSON. Only the one
//! thing a pickled string consists of is read; nothing is ever executed.

use std::io::Read;

/// Largest unpacked text.
const TEXT_BYTES_MAX: u64 = 256 << 20;

/// Unpacks the JSON text, or says at which step it stopped.
pub(super) fn unpack(packed: &str) -> Result<String, String> {
    let bytes = base64(packed).ok_or("the packed cases are not base64")?;
    let mut plain = Vec::new();
    flate2::read::ZlibDecoder::new(bytes.as_slice())
        .take(TEXT_BYTES_MAX)
        .read_to_end(&mut plain)
        .map_err(|error| format!("the packed cases are not zlib data: {error}"))?;
    pickled_text(&plain).ok_or_else(|| "the packed cases are not one pickled string".to_owned())
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for sign in text.bytes().filter(|sign| !sign.is_ascii_whitespace() && *sign != b'=') {
        let value = match sign {
            b'A'..=b'Z' => sign - b'A',
            b'a'..=b'z' => sign - b'a' + 26,
            b'0'..=b'9' => sign - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

/// The string of a pickle that holds exactly one (`pickletools` has the codes).
fn pickled_text(mut data: &[u8]) -> Option<String> {
    let mut text = None;
    loop {
        let (&code, rest) = data.split_first()?;
        data = match code {
            0x80 => rest.get(1..)?,             // PROTO
            0x95 => rest.get(8..)?,             // FRAME
            0x94 => rest,                       // MEMOIZE
            b'q' => rest.get(1..)?,             // BINPUT
            b'r' => rest.get(4..)?,             // LONG_BINPUT
            b'.' => return text,                // STOP
            0x8c => sized(rest, 1, &mut text)?, // SHORT_BINUNICODE
            b'X' => sized(rest, 4, &mut text)?, // BINUNICODE
            0x8d => sized(rest, 8, &mut text)?, // BINUNICODE8
            _ => return None,
        };
    }
}

fn sized<'a>(data: &'a [u8], width: usize, text: &mut Option<String>) -> Option<&'a [u8]> {
    let mut size = [0; 8];
    size[..width].copy_from_slice(data.get(..width)?);
    let size = usize::try_from(u64::from_le_bytes(size)).ok()?;
    let end = width.checked_add(size)?;
    *text = Some(String::from_utf8(data.get(width..end)?.to_vec()).ok()?);
    data.get(end..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_string_is_read_back() {
        // base64.b64encode(zlib.compress(pickle.dumps('[{"input": "1", "output": "2"}]')))
        let packed = "eJxrYJmqzAABPfLR1UqZeQWlJUpWCkqGSjoKSvmlJVCukVJt7BQ9APfMC64=";
        match unpack(packed) {
            Ok(text) => assert_eq!(text, "[{\"input\": \"1\", \"output\": \"2\"}]"),
            Err(why) => panic!("{why}"),
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        assert!(unpack("*").is_err_and(|why| why.contains("base64")));
        assert!(unpack("AAAA").is_err_and(|why| why.contains("zlib")));
    }
}
