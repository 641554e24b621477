//! Matrix product with operands rounded to bfloat16 and sums in f32, on AVX512-BF16.
//!
//! A tile of 12 × 32 results lives in 24 registers; each step takes two values along the reduction at once
//! (`vdpbf16ps`). The right operand is packed into panels of 32 columns, the left into panels of 12 rows, in
//! blocks of [`PAIRS`] pairs along the reduction, so that one right panel stays in the first-level cache.
//! Packing rounds from f32. Left-overs are padded with zeros, which add nothing.
//!
//! Not for: choosing between this and f32; `gemm.rs` does that.
#![expect(unsafe_code, reason = "vector intrinsics on raw panels; every pointer is derived from a checked slice")]

/// Rows of a tile.
const ROWS: usize = 12;
/// Columns of a tile.
const COLS: usize = 32;
/// Pairs along the reduction in one block.
const PAIRS: usize = 128;
/// Values along the reduction in one block.
const BLOCK: usize = 2 * PAIRS;

/// How an operand lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The reduction runs along a row.
    Rows,
    /// The reduction runs down a column.
    Columns,
}

/// A right operand `[k, n]`, packed: for each block of the reduction, panels of 32 columns.
#[derive(Clone, Debug, Default)]
pub(super) struct PackedRight {
    panels: Vec<u32>,
    k: usize,
    n: usize,
}

/// Whether this CPU can run the kernel.
pub(super) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Whether the kernel beats f32 on this CPU. Where Intel has the instruction it does about a third as many in a cycle
/// as of f32's: on Sapphire Rapids a training step took 1.6 times as long as in f32 (`docs/bench/train.md`); what is fast
/// there is AMX, which this is not.
pub(super) fn pays() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let words = std::arch::x86_64::__cpuid(0);
        let vendor = [words.ebx, words.edx, words.ecx].map(u32::to_le_bytes);
        available() && vendor.as_flattened() != b"GenuineIntel"
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

impl PackedRight {
    /// Packs `data` (rows `stride` apart). `Side::Rows`: `data` is `[n, k]`; `Side::Columns`: `[k, n]`.
    pub(super) fn pack(&mut self, data: &[f32], stride: usize, side: Side, k: usize, n: usize) {
        (self.k, self.n) = (k, n);
        let panels = n.div_ceil(COLS);
        self.panels.resize(panels * COLS * k.div_ceil(2), 0);
        for start in (0..k).step_by(BLOCK) {
            let depth = BLOCK.min(k - start);
            let pairs = depth.div_ceil(2);
            for panel in 0..panels {
                let at = panels * COLS * (start / 2) + panel * COLS * pairs;
                let out = &mut self.panels[at..at + COLS * pairs];
                let (first, cols) = (panel * COLS, COLS.min(n - panel * COLS));
                match side {
                    Side::Rows => pack_transposed(out, COLS, &data[first * stride + start..], stride, cols, depth),
                    Side::Columns => pack_straight(out, COLS, &data[start * stride + first..], stride, cols, depth),
                }
            }
        }
    }

    /// The panel of these columns in the block that begins at `start`.
    fn panel(&self, start: usize, panel: usize) -> &[u32] {
        let pairs = BLOCK.min(self.k - start).div_ceil(2);
        let at = self.n.div_ceil(COLS) * COLS * (start / 2) + panel * COLS * pairs;
        &self.panels[at..at + COLS * pairs]
    }
}

/// `c = lhs·rhs` or `c += lhs·rhs`; `c` is `[m, n]` with rows `c_stride` apart. `lhs` is `[m, k]` for
/// `Side::Rows`, `[k, m]` for `Side::Columns`. `scratch` keeps the packed left operand between calls.
pub(super) fn multiply(
    (c, c_stride, add): (&mut [f32], usize, bool),
    (lhs, lhs_stride, lhs_side): (&[f32], usize, Side),
    rhs: &PackedRight,
    m: usize,
    scratch: &mut Vec<u32>,
) {
    assert!(available(), "invariant: bf16 products are only chosen where the CPU has them");
    assert!(m == 0 || c.len() >= (m - 1) * c_stride + rhs.n, "invariant: the destination holds the product");
    let tiles = m.div_ceil(ROWS);
    for start in (0..rhs.k).step_by(BLOCK) {
        let depth = BLOCK.min(rhs.k - start);
        let pairs = depth.div_ceil(2);
        scratch.resize(tiles * ROWS * pairs, 0);
        for (tile, out) in scratch.chunks_exact_mut(ROWS * pairs).enumerate() {
            let (first, rows) = (tile * ROWS, ROWS.min(m - tile * ROWS));
            match lhs_side {
                Side::Rows => pack_transposed(out, ROWS, &lhs[first * lhs_stride + start..], lhs_stride, rows, depth),
                Side::Columns => pack_straight(out, ROWS, &lhs[start * lhs_stride + first..], lhs_stride, rows, depth),
            }
        }
        for panel in 0..rhs.n.div_ceil(COLS) {
            let right = rhs.panel(start, panel);
            for (tile, left) in scratch.chunks_exact(ROWS * pairs).enumerate() {
                let (row, col) = (tile * ROWS, panel * COLS);
                let (rows, cols) = (ROWS.min(m - row), COLS.min(rhs.n - col));
                place(&mut c[row * c_stride + col..], c_stride, (rows, cols), add || start > 0, left, right);
            }
        }
    }
}

/// Runs one tile, through a buffer where the tile hangs over the edge.
fn place(c: &mut [f32], stride: usize, (rows, cols): (usize, usize), add: bool, left: &[u32], right: &[u32]) {
    let pairs = left.len() / ROWS;
    assert_eq!(right.len(), pairs * COLS, "invariant: both panels are equally deep");
    if rows == ROWS && cols == COLS {
        assert!(c.len() >= (ROWS - 1) * stride + COLS, "invariant: a whole tile lies inside the destination");
        // SAFETY: the CPU has the features (`multiply` asserts it); panels hold `pairs` steps and `c` a tile.
        unsafe { tile(pairs, left.as_ptr(), right.as_ptr(), c.as_mut_ptr(), stride, add) };
        return;
    }
    let mut edge = [0.0f32; ROWS * COLS];
    // SAFETY: as above; the buffer is exactly one tile.
    unsafe { tile(pairs, left.as_ptr(), right.as_ptr(), edge.as_mut_ptr(), COLS, false) };
    for (row, from) in edge.chunks_exact(COLS).take(rows).enumerate() {
        for (to, &from) in c[row * stride..row * stride + cols].iter_mut().zip(from) {
            *to = if add { *to + from } else { from };
        }
    }
}

/// Two values as bfloat16 (round to nearest even), the first in the low half.
fn pair(low: f32, high: f32) -> u32 {
    u32::from(half::bf16::from_f32(low).to_bits()) | u32::from(half::bf16::from_f32(high).to_bits()) << 16
}

/// Packs `count` lines whose reduction runs along the line (`stride` between lines) into `[pair][width]`.
fn pack_transposed(out: &mut [u32], width: usize, data: &[f32], stride: usize, count: usize, depth: usize) {
    #[cfg(target_arch = "x86_64")]
    if available() {
        assert!(count == 0 || data.len() >= (count - 1) * stride + depth, "invariant: the lines lie inside the data");
        // SAFETY: the CPU has the features; the assertion covers every line read, `out` is `[pairs][width]`.
        unsafe { x86::pack_transposed(out, width, data, stride, count, depth) };
        return;
    }
    out.fill(0);
    for line in 0..count {
        let values = &data[line * stride..line * stride + depth];
        for (step, two) in values.chunks(2).enumerate() {
            out[step * width + line] = pair(two[0], two.get(1).copied().unwrap_or(0.0));
        }
    }
}

/// Packs `count` lines whose reduction runs across lines (`stride` between steps) into `[pair][width]`.
fn pack_straight(out: &mut [u32], width: usize, data: &[f32], stride: usize, count: usize, depth: usize) {
    for (step, out) in out.chunks_exact_mut(width).enumerate() {
        let low = &data[2 * step * stride..2 * step * stride + count];
        let high = if 2 * step + 1 < depth { &data[(2 * step + 1) * stride..][..count] } else { &[] };
        interleave(out, low, high);
    }
}

/// One step of [`pack_straight`]; `high` is empty after the last odd step.
fn interleave(out: &mut [u32], low: &[f32], high: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    if available() {
        // SAFETY: the CPU has the features; loads and stores are masked to the slices' lengths.
        unsafe { x86::interleave(out, low, high) };
        return;
    }
    out.fill(0);
    for (i, out) in out.iter_mut().enumerate().take(low.len()) {
        *out = pair(low[i], high.get(i).copied().unwrap_or(0.0));
    }
}

#[cfg(target_arch = "x86_64")]
use x86::tile;

#[cfg(not(target_arch = "x86_64"))]
unsafe fn tile(_: usize, _: *const u32, _: *const u32, _: *mut f32, _: usize, _: bool) {
    unreachable!("invariant: `available` is false on this architecture");
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256bh, __m256i, __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_cvtepu16_epi32, _mm512_cvtne2ps_pbh,
        _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_storeu_epi32,
        _mm512_maskz_loadu_ps, _mm512_or_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_shuffle_i32x4,
        _mm512_slli_epi32, _mm512_storeu_ps, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
        _mm512_unpacklo_epi64,
    };
    use std::mem::transmute;

    use super::{COLS, ROWS};

    /// 12 × 32 results over `pairs` steps of packed panels.
    ///
    /// # Safety
    /// `left` holds `pairs·12` and `right` `pairs·32` values; `c` holds 12 rows of 32, `stride` apart.
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
    pub(super) unsafe fn tile(
        pairs: usize,
        left: *const u32,
        right: *const u32,
        c: *mut f32,
        stride: usize,
        add: bool,
    ) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for step in 0..pairs {
            // SAFETY: `step < pairs`, so both panels are read inside what the caller promised.
            unsafe {
                let b0: __m512i = _mm512_loadu_si512(right.add(step * COLS).cast());
                let b1: __m512i = _mm512_loadu_si512(right.add(step * COLS + 16).cast());
                for (row, sums) in sums.iter_mut().enumerate() {
                    let a = _mm512_set1_epi32((*left.add(step * ROWS + row)).cast_signed());
                    sums[0] = _mm512_dpbf16_ps(
                        sums[0],
                        transmute::<__m512i, __m512bh>(a),
                        transmute::<__m512i, __m512bh>(b0),
                    );
                    sums[1] = _mm512_dpbf16_ps(
                        sums[1],
                        transmute::<__m512i, __m512bh>(a),
                        transmute::<__m512i, __m512bh>(b1),
                    );
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (part, &sum) in sums.iter().enumerate() {
                // SAFETY: 12 rows of 32 values, as the caller promised.
                unsafe {
                    let at = c.add(row * stride + 16 * part);
                    let total: __m512 = if add { _mm512_add_ps(_mm512_loadu_ps(at), sum) } else { sum };
                    _mm512_storeu_ps(at, total);
                }
            }
        }
    }

    /// # Safety
    /// `data` holds `count` lines of `depth` values, `stride` apart; `out` is `[ceil(depth/2)][width]`.
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
    pub(super) unsafe fn pack_transposed(
        out: &mut [u32],
        width: usize,
        data: &[f32],
        stride: usize,
        count: usize,
        depth: usize,
    ) {
        for first in (0..width).step_by(16) {
            let (lines, lanes) = (count.saturating_sub(first).min(16), mask(width - first));
            for at in (0..depth).step_by(32) {
                let left = depth - at;
                let mut rows = [_mm512_set1_epi32(0); 16];
                for (line, row) in rows.iter_mut().enumerate().take(lines) {
                    // SAFETY: the line lies inside `data`, and loads are masked to its end.
                    unsafe {
                        let from = data.as_ptr().add((first + line) * stride + at);
                        let low = _mm512_maskz_loadu_ps(mask(left), from);
                        let high = _mm512_maskz_loadu_ps(mask(left.saturating_sub(16)), from.wrapping_add(16));
                        *row = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                    }
                }
                for (step, row) in transpose(&rows).into_iter().enumerate().take(left.div_ceil(2)) {
                    // SAFETY: step `at/2 + step` exists in `out`, and the store is masked to its width.
                    unsafe {
                        let to = out.as_mut_ptr().add((at / 2 + step) * width + first);
                        _mm512_mask_storeu_epi32(to.cast(), lanes, row);
                    }
                }
            }
        }
    }

    /// Transposes 16 × 16 values: pairs of rows, pairs of pairs, then the four 128-bit blocks.
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
    fn transpose(rows: &[__m512i; 16]) -> [__m512i; 16] {
        let (mut pairs, mut quads, mut out) = (*rows, *rows, *rows);
        for i in (0..16).step_by(2) {
            pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        for i in (0..16).step_by(4) {
            quads[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
            quads[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
            quads[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
            quads[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
        }
        for i in 0..4 {
            let even = |a, b| _mm512_shuffle_i32x4::<0x88>(a, b);
            let odd = |a, b| _mm512_shuffle_i32x4::<0xdd>(a, b);
            let (a, b) = (even(quads[i], quads[i + 4]), even(quads[i + 8], quads[i + 12]));
            let (c, d) = (odd(quads[i], quads[i + 4]), odd(quads[i + 8], quads[i + 12]));
            (out[i], out[i + 8]) = (even(a, b), odd(a, b));
            (out[i + 4], out[i + 12]) = (even(c, d), odd(c, d));
        }
        out
    }

    /// # Safety
    /// The CPU has the features.
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
    pub(super) unsafe fn interleave(out: &mut [u32], low: &[f32], high: &[f32]) {
        for at in (0..out.len()).step_by(16) {
            // SAFETY: loads and the store are masked to the slices' lengths.
            unsafe {
                let a = round(_mm512_maskz_loadu_ps(mask(low.len().saturating_sub(at)), low.as_ptr().wrapping_add(at)));
                let b =
                    round(_mm512_maskz_loadu_ps(mask(high.len().saturating_sub(at)), high.as_ptr().wrapping_add(at)));
                let both = _mm512_or_si512(a, _mm512_slli_epi32::<16>(b));
                _mm512_mask_storeu_epi32(out.as_mut_ptr().add(at).cast(), mask(out.len() - at), both);
            }
        }
    }

    /// 16 values as bfloat16, each in the low half of its lane.
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
    fn round(values: __m512) -> __m512i {
        // SAFETY: both types are 256 bits of the same 16 halves.
        _mm512_cvtepu16_epi32(unsafe { transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(values)) })
    }

    /// The lowest `count` of 16 lanes.
    fn mask(count: usize) -> u16 {
        if count >= 16 { u16::MAX } else { (1 << count) - 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    fn rounded(x: f32) -> f64 {
        f64::from(half::bf16::from_f32(x).to_f32())
    }

    /// Every shape of edge: odd depth, several blocks, tiles and panels that hang over, strides, adding.
    #[test]
    fn products_agree_with_double_precision() {
        if !available() {
            println!("skipped: this CPU has no AVX512-BF16");
            return;
        }
        let mut scratch = Vec::new();
        for (m, n, k) in [(1, 1, 1), (12, 32, 256), (13, 33, 257), (30, 70, 515), (5, 31, 7), (25, 64, 34)] {
            for (left_side, right_side) in
                [(Side::Rows, Side::Rows), (Side::Rows, Side::Columns), (Side::Columns, Side::Columns)]
            {
                let stride = m.max(n).max(k) + 3;
                let (a, b) = (noise(stride * stride, 1), noise(stride * stride, 2));
                let left =
                    |i: usize, p: usize| a[if left_side == Side::Rows { i * stride + p } else { p * stride + i }];
                let right =
                    |p: usize, j: usize| b[if right_side == Side::Rows { j * stride + p } else { p * stride + j }];
                let mut packed = PackedRight::default();
                packed.pack(&b, stride, right_side, k, n);
                let mut c = vec![1.0f32; m * stride];
                multiply((&mut c, stride, true), (&a, stride, left_side), &packed, m, &mut scratch);
                for i in 0..m {
                    for j in 0..n {
                        let want: f64 = 1.0 + (0..k).map(|p| rounded(left(i, p)) * rounded(right(p, j))).sum::<f64>();
                        let got = f64::from(c[i * stride + j]);
                        assert!((got - want).abs() < 1e-4, "{m}×{n}×{k} {left_side:?} at {i},{j}: {got} {want}");
                    }
                    assert!(
                        c[i * stride + n..(i + 1) * stride].iter().all(|&v| v.to_bits() == 1.0f32.to_bits()),
                        "wrote past the row"
                    );
                }
            }
        }
    }
}
