//! Quantised blocks as numbers, bit by bit as ggml's `dequantize_row_*` makes them.
//!
//! The layouts are those of ggml-common.h. A test holds every type against the linked ggml on random bytes.
//!
//! Not for: quantising.

use half::{bf16, f16};

use super::TensorType;

/// Turns one block into its numbers.
type Block = fn(&[u8], &mut [f32]);

impl TensorType {
    /// Whether [`TensorType::dequantise`] knows the type.
    pub fn is_readable(self) -> bool {
        self.decoder().is_some()
    }

    /// Writes a run of whole blocks as numbers. `false` where the type is not known here; then nothing is written.
    ///
    /// # Panics
    /// Where `bytes` and `out` are not the same number of whole blocks: the caller's mistake.
    pub fn dequantise(self, bytes: &[u8], out: &mut [f32]) -> bool {
        let (Some(decode), Some((numbers, size))) = (self.decoder(), self.block()) else { return false };
        let (numbers, size) = (numbers as usize, size as usize);
        assert!(
            bytes.len().is_multiple_of(size) && bytes.len() / size * numbers == out.len(),
            "invariant: blocks are dequantised whole"
        );
        for (block, out) in bytes.chunks_exact(size).zip(out.chunks_exact_mut(numbers)) {
            decode(block, out);
        }
        true
    }

    fn decoder(self) -> Option<Block> {
        Some(match self.0 {
            0 => |b, y| y[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            1 => |b, y| y[0] = half_at(b, 0),
            2 => q4_0,
            3 => q4_1,
            6 => q5_0,
            7 => q5_1,
            8 => q8_0,
            10 => q2_k,
            11 => q3_k,
            12 => q4_k,
            13 => q5_k,
            14 => q6_k,
            30 => |b, y| y[0] = bf16::from_le_bytes([b[0], b[1]]).to_f32(),
            _ => return None,
        })
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn q4_0(b: &[u8], y: &mut [f32]) {
    let d = half_at(b, 0);
    let (low, high) = y.split_at_mut(16);
    for ((&q, low), high) in b[2..18].iter().zip(low).zip(high) {
        *low = (i32::from(q & 15) - 8) as f32 * d;
        *high = (i32::from(q >> 4) - 8) as f32 * d;
    }
}

fn q4_1(b: &[u8], y: &mut [f32]) {
    let (d, m) = (half_at(b, 0), half_at(b, 2));
    let (low, high) = y.split_at_mut(16);
    for ((&q, low), high) in b[4..20].iter().zip(low).zip(high) {
        *low = f32::from(q & 15) * d + m;
        *high = f32::from(q >> 4) * d + m;
    }
}

/// Number `j` and number `j + 16` of a block with five bits each, of which the fifth stand apart.
fn five_bits(q: u8, fifth: u32, j: usize) -> (u8, u8) {
    let (low, high) = ((fifth >> j) << 4, fifth >> (j + 12));
    ((q & 15) | (low & 16) as u8, (q >> 4) | (high & 16) as u8)
}

fn q5_0(b: &[u8], y: &mut [f32]) {
    let d = half_at(b, 0);
    let fifth = u32::from_le_bytes([b[2], b[3], b[4], b[5]]);
    let (low, high) = y.split_at_mut(16);
    for (j, ((&q, low), high)) in b[6..22].iter().zip(low).zip(high).enumerate() {
        let (x0, x1) = five_bits(q, fifth, j);
        *low = (i32::from(x0) - 16) as f32 * d;
        *high = (i32::from(x1) - 16) as f32 * d;
    }
}

fn q5_1(b: &[u8], y: &mut [f32]) {
    let (d, m) = (half_at(b, 0), half_at(b, 2));
    let fifth = u32::from_le_bytes([b[4], b[5], b[6], b[7]]);
    let (low, high) = y.split_at_mut(16);
    for (j, ((&q, low), high)) in b[8..24].iter().zip(low).zip(high).enumerate() {
        let (x0, x1) = five_bits(q, fifth, j);
        *low = f32::from(x0) * d + m;
        *high = f32::from(x1) * d + m;
    }
}

fn q8_0(b: &[u8], y: &mut [f32]) {
    let d = half_at(b, 0);
    for (&q, y) in b[2..34].iter().zip(y) {
        *y = f32::from(q.cast_signed()) * d;
    }
}

/// 16 scales with minima, 64 bytes of two bits, two halves.
fn q2_k(b: &[u8], y: &mut [f32]) {
    let (scales, quants, d, min) = (&b[..16], &b[16..80], half_at(b, 80), half_at(b, 82));
    for (group, y) in y.chunks_exact_mut(16).enumerate() {
        let scale = scales[group];
        let (dl, ml) = (d * f32::from(scale & 15), min * f32::from(scale >> 4));
        let at = group / 8 * 32 + group % 2 * 16;
        let shift = group % 8 / 2 * 2;
        for (&q, y) in quants[at..at + 16].iter().zip(y) {
            *y = dl * f32::from((q >> shift) & 3) - ml;
        }
    }
}

/// 32 bytes of third bits, 64 bytes of two bits, 12 bytes of sixteen six-bit scales, one half.
fn q3_k(b: &[u8], y: &mut [f32]) {
    let (third, quants, packed, d) = (&b[..32], &b[32..96], &b[96..108], half_at(b, 108));
    for (group, y) in y.chunks_exact_mut(16).enumerate() {
        let four = if group < 8 { packed[group] & 15 } else { packed[group - 8] >> 4 };
        let two = (packed[8 + group % 4] >> (group / 4 * 2)) & 3;
        let dl = d * (i32::from(four | (two << 4)) - 32) as f32;
        let (at, column) = (group / 8 * 32 + group % 2 * 16, group % 2 * 16);
        let shift = group % 8 / 2 * 2;
        let mask = 1 << (group / 2);
        for ((&q, &h), y) in quants[at..at + 16].iter().zip(&third[column..column + 16]).zip(y) {
            let less = if h & mask == 0 { 4 } else { 0 };
            *y = dl * (i32::from((q >> shift) & 3) - less) as f32;
        }
    }
}

/// One of the eight six-bit scales and minima of Q4_K and Q5_K.
fn scale_min(j: usize, packed: &[u8]) -> (f32, f32) {
    let (scale, min) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        ((packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4), (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4))
    };
    (f32::from(scale), f32::from(min))
}

/// Two halves, 12 bytes of scales and minima, 128 bytes of four bits.
fn q4_k(b: &[u8], y: &mut [f32]) {
    let (d, min, packed, quants) = (half_at(b, 0), half_at(b, 2), &b[4..16], &b[16..144]);
    for (pair, (quants, y)) in quants.chunks_exact(32).zip(y.chunks_exact_mut(64)).enumerate() {
        let [(s1, m1), (s2, m2)] = [scale_min(2 * pair, packed), scale_min(2 * pair + 1, packed)];
        let (d1, m1, d2, m2) = (d * s1, min * m1, d * s2, min * m2);
        let (low, high) = y.split_at_mut(32);
        for ((&q, low), high) in quants.iter().zip(low).zip(high) {
            *low = d1 * f32::from(q & 15) - m1;
            *high = d2 * f32::from(q >> 4) - m2;
        }
    }
}

/// As Q4_K, with 32 bytes of fifth bits before the four bits.
fn q5_k(b: &[u8], y: &mut [f32]) {
    let (d, min, packed, fifth, quants) = (half_at(b, 0), half_at(b, 2), &b[4..16], &b[16..48], &b[48..176]);
    for (pair, (quants, y)) in quants.chunks_exact(32).zip(y.chunks_exact_mut(64)).enumerate() {
        let [(s1, m1), (s2, m2)] = [scale_min(2 * pair, packed), scale_min(2 * pair + 1, packed)];
        let (d1, m1, d2, m2) = (d * s1, min * m1, d * s2, min * m2);
        let (low, high) = y.split_at_mut(32);
        for (((&q, &h), low), high) in quants.iter().zip(fifth).zip(low).zip(high) {
            let bits = h >> (2 * pair);
            *low = d1 * f32::from((q & 15) | ((bits & 1) << 4)) - m1;
            *high = d2 * f32::from((q >> 4) | (((bits >> 1) & 1) << 4)) - m2;
        }
    }
}

/// 128 bytes of four bits, 64 bytes of two bits, 16 signed scales, one half.
fn q6_k(b: &[u8], y: &mut [f32]) {
    let d = half_at(b, 208);
    for (part, y) in y.chunks_exact_mut(128).enumerate() {
        let (low, high, scales) = (&b[part * 64..][..64], &b[128 + part * 32..][..32], &b[192 + part * 8..][..8]);
        let scale = |at: usize| d * f32::from(scales[at].cast_signed());
        for l in 0..32 {
            let four = [low[l] & 15, low[l + 32] & 15, low[l] >> 4, low[l + 32] >> 4];
            for (k, four) in four.into_iter().enumerate() {
                let two = (high[l] >> (2 * k)) & 3;
                y[l + 32 * k] = scale(l / 16 + 2 * k) * (i32::from(four | (two << 4)) - 32) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_worked_out_by_hand() {
        let mut y = [0.0; 32];
        let mut block = f16::from_f32(0.5).to_le_bytes().to_vec();
        block.extend([0x90_u8; 16]);
        assert!(TensorType(2).dequantise(&block, &mut y));
        assert_eq!((y[0], y[31]), (-4.0, 0.5), "Q4_0: (0 − 8)/2 and (9 − 8)/2");
        let mut block = f16::from_f32(2.0).to_le_bytes().to_vec();
        block.extend(u32::MAX.to_le_bytes());
        block.extend([0x10_u8; 16]);
        assert!(TensorType(6).dequantise(&block, &mut y));
        assert_eq!((y[0], y[16]), (0.0, 2.0), "Q5_0: the fifth bit is 16");
        let mut block = f16::from_f32(0.5).to_le_bytes().to_vec();
        block.extend((0..32).map(|value: i8| if value == 1 { -128_i8 } else { value }.cast_unsigned()));
        assert!(TensorType::Q8_0.dequantise(&block, &mut y));
        assert_eq!((y[0], y[1], y[31]), (0.0, -64.0, 15.5));
    }

    #[test]
    fn a_type_that_is_not_known_writes_nothing() {
        let mut y = [7.0; 256];
        assert!(!TensorType(16).dequantise(&[0; 66], &mut y) && !TensorType(999).is_readable());
        assert!(y.iter().all(|value| value.to_bits() == 7f32.to_bits()));
    }
}
