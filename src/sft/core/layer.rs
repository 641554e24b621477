//! One decoder layer, forward and backward, as `math.md` states it.

use super::attention::{Heads, Scratch};
use super::gemm::Store;
use super::kernels;
use super::linear::{Gradients, Linear, Tools};
use super::params::LayerOffsets;

/// A layer's parameters.
#[derive(Clone, Debug)]
pub struct Layer<'a> {
    pub qkv: Linear<'a>,
    pub out: Linear<'a>,
    pub gate_up: Linear<'a>,
    pub down: Linear<'a>,
    pub qkv_bias: &'a [f32],
    pub attn_norm: &'a [f32],
    pub ffn_norm: &'a [f32],
    pub offsets: LayerOffsets,
}

/// What the forward keeps of a layer for its backward; all `[T, …]`.
#[derive(Debug, Default)]
pub struct Saved {
    /// 1/rms of the two norms' inputs.
    inverse_attn: Vec<f32>,
    inverse_ffn: Vec<f32>,
    /// Rotated queries and keys, and values.
    qkv: Vec<f32>,
    attended: Vec<f32>,
    /// `[H, T]`.
    lse: Vec<f32>,
    /// The stream between attention and feed-forward.
    middle: Vec<f32>,
    gate_up: Vec<f32>,
    act: Vec<f32>,
}

/// Buffers that every layer uses in turn.
#[derive(Debug, Default)]
pub struct Buffers {
    pub attention: Scratch,
    /// `[T, d]` each.
    normed: Vec<f32>,
    d_normed: Vec<f32>,
    /// `[T, d + 2·kv]`.
    d_qkv: Vec<f32>,
    /// `[T, f]`.
    d_act: Vec<f32>,
}

/// Cosines and sines of every position and pair: `[positions, h/2]`.
#[derive(Debug)]
pub struct Rotary {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rotary {
    pub fn new(positions: usize, head_dim: usize, base: f32) -> Self {
        let half = head_dim / 2;
        let angle = |i: usize| {
            let (position, pair) = (i / half, i % half);
            position as f64 * f64::from(base).powf(-2.0 * pair as f64 / head_dim as f64)
        };
        let cos = (0..positions * half).map(|i| angle(i).cos() as f32).collect();
        let sin = (0..positions * half).map(|i| angle(i).sin() as f32).collect();
        Self { cos, sin, half }
    }

    /// Positions that the table covers.
    pub fn positions(&self) -> usize {
        self.cos.len() / self.half
    }

    /// Rotates the first `columns` (queries and keys) of every row; `direction` −1 rotates back.
    fn apply(&self, qkv: &mut [f32], heads: Heads<'_>, direction: f32) {
        let (stride, columns) = (heads.config.qkv_dim(), heads.config.hidden + heads.config.kv_dim());
        for ends in heads.bounds.windows(2) {
            for (position, row) in qkv[ends[0] * stride..ends[1] * stride].chunks_exact_mut(stride).enumerate() {
                let at = position * self.half..(position + 1) * self.half;
                kernels::rotate(&mut row[..columns], &self.cos[at.clone()], &self.sin[at], direction);
            }
        }
    }
}

/// Makes the buffer this long; what is in it does not matter.
pub(super) fn fit(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

impl Layer<'_> {
    /// Computes `y` from `x` (both `[T, d]`).
    pub fn forward(
        &self,
        (tools, buffers): (&mut Tools, &mut Buffers),
        (heads, rotary, eps): (Heads<'_>, &Rotary, f32),
        x: &[f32],
        saved: &mut Saved,
        y: &mut [f32],
    ) {
        let config = heads.config;
        let t = x.len() / config.hidden;
        let normed = fit(&mut buffers.normed, x.len());
        kernels::rms_forward(x, self.attn_norm, eps, normed, fit(&mut saved.inverse_attn, t));
        let qkv = fit(&mut saved.qkv, t * config.qkv_dim());
        kernels::spread_rows(qkv, self.qkv_bias);
        self.qkv.forward(tools, t, normed, qkv, Store::Add);
        rotary.apply(qkv, heads, 1.0);
        let attended = fit(&mut saved.attended, x.len());
        heads.forward(qkv, attended, fit(&mut saved.lse, t * config.heads), &mut buffers.attention);
        let middle = fit(&mut saved.middle, x.len());
        middle.copy_from_slice(x);
        self.out.forward(tools, t, attended, middle, Store::Add);
        kernels::rms_forward(middle, self.ffn_norm, eps, normed, fit(&mut saved.inverse_ffn, t));
        let gate_up = fit(&mut saved.gate_up, 2 * t * config.ffn);
        self.gate_up.forward(tools, t, normed, gate_up, Store::Replace);
        let act = fit(&mut saved.act, t * config.ffn);
        kernels::swiglu_forward(gate_up, act, config.ffn);
        y.copy_from_slice(middle);
        self.down.forward(tools, t, act, y, Store::Add);
    }

    /// Turns `dx`, which comes in as the gradient of `y`, into the gradient of `x`.
    pub fn backward(
        &self,
        (tools, buffers): (&mut Tools, &mut Buffers),
        (heads, rotary): (Heads<'_>, &Rotary),
        x: &[f32],
        saved: &mut Saved,
        dx: &mut [f32],
        gradients: &mut Gradients<'_>,
    ) {
        self.feed_forward_backward(tools, buffers, (heads.config.ffn, x.len()), saved, dx, gradients);
        let config = heads.config;
        let (n, t) = (x.len(), x.len() / config.hidden);
        let d_attended = fit(&mut buffers.d_normed, n);
        self.out.backward(tools, t, (&saved.attended[..n], dx), d_attended, gradients);
        let d_qkv = fit(&mut buffers.d_qkv, t * config.qkv_dim());
        let forward = (&saved.qkv[..t * config.qkv_dim()], &saved.attended[..n], &saved.lse[..t * config.heads]);
        heads.backward(forward, d_attended, d_qkv, &mut buffers.attention);
        rotary.apply(d_qkv, heads, -1.0);
        let bias = gradients.base(self.offsets.bqkv, config.qkv_dim());
        if !bias.is_empty() {
            kernels::add_rows(d_qkv, bias);
        }
        let inverse = &saved.inverse_attn[..t];
        let normed = fit(&mut buffers.normed, n);
        kernels::rms_again(x, self.attn_norm, inverse, normed);
        let d_normed = fit(&mut buffers.d_normed, n);
        self.qkv.backward(tools, t, (normed, d_qkv), d_normed, gradients);
        let d_gain = gradients.base(self.offsets.attn_norm, config.hidden);
        kernels::rms_backward(d_normed, x, self.attn_norm, inverse, dx, d_gain);
    }

    /// From the gradient of `y` to the gradient of `middle`, in place.
    fn feed_forward_backward(
        &self,
        tools: &mut Tools,
        buffers: &mut Buffers,
        (ffn, n): (usize, usize),
        saved: &mut Saved,
        dx: &mut [f32],
        gradients: &mut Gradients<'_>,
    ) {
        let d = self.ffn_norm.len();
        let t = n / d;
        let d_act = fit(&mut buffers.d_act, t * ffn);
        self.down.backward(tools, t, (&saved.act[..t * ffn], dx), d_act, gradients);
        let d_gate_up = &mut saved.gate_up[..2 * t * ffn];
        kernels::swiglu_backward(d_act, d_gate_up, ffn);
        let (middle, inverse) = (&saved.middle[..n], &saved.inverse_ffn[..t]);
        let normed = fit(&mut buffers.normed, n);
        kernels::rms_again(middle, self.ffn_norm, inverse, normed);
        let d_normed = fit(&mut buffers.d_normed, n);
        self.gate_up.backward(tools, t, (normed, d_gate_up), d_normed, gradients);
        let d_gain = gradients.base(self.offsets.ffn_norm, d);
        kernels::rms_backward(d_normed, middle, self.ffn_norm, inverse, dx, d_gain);
    }
}
