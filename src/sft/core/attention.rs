//! Causal attention of several sequences side by side, forward and backward.
//!
//! Queries are taken in blocks against all keys before them, so that scores of a block fit in the cache and
//! probabilities are never kept. The equations are in `math.md`.
//!
//! Not for: positions (already rotated in) and projections.

use super::config::ModelConfig;
use super::gemm::{Mat, MatMut, Store, Take, product_f32};
use super::kernels;

/// Queries of one block.
const BLOCK: usize = 64;

/// Buffers for one block of scores.
#[derive(Debug, Default)]
pub struct Scratch {
    scores: Vec<f32>,
    d_scores: Vec<f32>,
    delta: Vec<f32>,
}

/// What both directions need to know.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    pub config: &'a ModelConfig,
    /// First token of each sequence, and the number of tokens.
    pub bounds: &'a [usize],
}

/// One block of queries of one head.
#[derive(Clone, Copy, Debug)]
struct Block {
    head: usize,
    /// Columns of q, k, v in a row of `qkv`.
    q: usize,
    k: usize,
    v: usize,
    /// First token of the sequence, first token of the block, tokens of the block.
    start: usize,
    first: usize,
    len: usize,
}

impl Block {
    /// Keys that the last query of the block sees.
    const fn width(self) -> usize {
        self.first - self.start + self.len
    }
}

impl Heads<'_> {
    fn tokens(&self) -> usize {
        self.bounds.last().copied().unwrap_or(0)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.config.head_dim() as f32).sqrt()
    }

    /// Every block: sequence by sequence, head by head, so that a head's keys stay in the cache.
    fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        let (size, group) = (self.config.head_dim(), self.config.heads / self.config.kv_heads);
        let (keys, values) = (self.config.hidden, self.config.hidden + self.config.kv_dim());
        self.bounds.windows(2).flat_map(move |ends| {
            let (start, end) = (ends[0], ends[1]);
            (0..self.config.heads).flat_map(move |head| {
                let kv = head / group * size;
                (start..end).step_by(BLOCK).map(move |first| Block {
                    head,
                    q: head * size,
                    k: keys + kv,
                    v: values + kv,
                    start,
                    first,
                    len: BLOCK.min(end - first),
                })
            })
        })
    }

    /// `tokens` rows from `token`, the `columns` that begin at `column`.
    fn part<'m>(&self, data: &'m [f32], stride: usize, token: usize, tokens: usize, column: usize) -> Mat<'m> {
        Mat::strided(&data[token * stride + column..], tokens, self.config.head_dim(), stride)
    }

    fn part_mut<'m>(
        &self,
        data: &'m mut [f32],
        stride: usize,
        token: usize,
        tokens: usize,
        column: usize,
    ) -> MatMut<'m> {
        MatMut::strided(&mut data[token * stride + column..], tokens, self.config.head_dim(), stride)
    }

    fn scores(&self, block: Block, qkv: &[f32], scores: &mut Vec<f32>) {
        let stride = self.config.qkv_dim();
        let q = self.part(qkv, stride, block.first, block.len, block.q);
        let k = self.part(qkv, stride, block.start, block.width(), block.k);
        scores.resize(block.len * block.width(), 0.0);
        let to = MatMut::new(scores, block.len, block.width());
        product_f32(to, Store::Replace, 1.0, (q, Take::AsIs), (k, Take::Transposed));
    }

    /// `out [T, d]` from `qkv [T, d + 2·kv]`; `lse [H, T]` is kept for the backward.
    pub fn forward(&self, qkv: &[f32], out: &mut [f32], lse: &mut [f32], scratch: &mut Scratch) {
        let (stride, d, tokens) = (self.config.qkv_dim(), self.config.hidden, self.tokens());
        for block in self.blocks() {
            self.scores(block, qkv, &mut scratch.scores);
            let lse = &mut lse[block.head * tokens + block.first..][..block.len];
            let width = block.width();
            kernels::causal_softmax(&mut scratch.scores, width, block.first - block.start, self.scale(), lse);
            let probs = Mat::new(&scratch.scores, block.len, width);
            let v = self.part(qkv, stride, block.start, width, block.v);
            let to = self.part_mut(out, d, block.first, block.len, block.q);
            product_f32(to, Store::Replace, 1.0, (probs, Take::AsIs), (v, Take::AsIs));
        }
    }

    /// Writes the gradient of `qkv` to `d_qkv`.
    pub fn backward(
        &self,
        (qkv, out, lse): (&[f32], &[f32], &[f32]),
        d_out: &[f32],
        d_qkv: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (stride, d, tokens) = (self.config.qkv_dim(), self.config.hidden, self.tokens());
        d_qkv.fill(0.0);
        for block in self.blocks() {
            let (len, width, first) = (block.len, block.width(), block.first - block.start);
            self.scores(block, qkv, &mut scratch.scores);
            let lse = &lse[block.head * tokens + block.first..][..len];
            kernels::causal_again(&mut scratch.scores, width, first, self.scale(), lse);
            scratch.delta.clear();
            scratch.delta.extend((block.first..block.first + len).map(|token| {
                let at = token * d + block.q;
                kernels::dot(&d_out[at..at + self.config.head_dim()], &out[at..at + self.config.head_dim()])
            }));
            let dy = self.part(d_out, d, block.first, len, block.q);
            let v = self.part(qkv, stride, block.start, width, block.v);
            scratch.d_scores.resize(len * width, 0.0);
            let to = MatMut::new(&mut scratch.d_scores, len, width);
            product_f32(to, Store::Replace, 1.0, (dy, Take::AsIs), (v, Take::Transposed));
            let probs = Mat::new(&scratch.scores, len, width);
            let dv = self.part_mut(d_qkv, stride, block.start, width, block.v);
            product_f32(dv, Store::Add, 1.0, (probs, Take::Transposed), (dy, Take::AsIs));
            kernels::score_gradient(&mut scratch.d_scores, &scratch.scores, width, &scratch.delta, self.scale());
            let ds = Mat::new(&scratch.d_scores, len, width);
            let k = self.part(qkv, stride, block.start, width, block.k);
            let dq = self.part_mut(d_qkv, stride, block.first, len, block.q);
            product_f32(dq, Store::Replace, 1.0, (ds, Take::AsIs), (k, Take::AsIs));
            let q = self.part(qkv, stride, block.first, len, block.q);
            let dk = self.part_mut(d_qkv, stride, block.start, width, block.k);
            product_f32(dk, Store::Add, 1.0, (ds, Take::Transposed), (q, Take::AsIs));
        }
    }
}
