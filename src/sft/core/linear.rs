//! A projection with the adapters that sit on it, forward and backward.
//!
//! Several projections of the same input (q, k, v; gate, up) are one matrix here; an adapter then belongs to
//! a range of its rows.

use std::ops::Range;

use super::dropout::Dropout;
use super::gemm::{Mat, MatMut, Multiplier, Store, Take, Weight, product_f32};

/// A low-rank adapter on some rows of a projection.
#[derive(Clone, Debug)]
pub struct Adapter<'a> {
    /// Output columns (rows of the weight) that it belongs to.
    pub outputs: Range<usize>,
    /// `[rank, in]`.
    pub a: &'a [f32],
    /// `[out, rank]`.
    pub b: &'a [f32],
    /// Where the gradients of `a` and `b` begin.
    pub a_offset: usize,
    pub b_offset: usize,
    pub rank: usize,
    /// alpha / rank.
    pub scale: f32,
    /// What of its input is left out now.
    pub dropout: Option<Dropout>,
}

/// One projection.
#[derive(Clone, Debug)]
pub struct Linear<'a> {
    pub weight: Weight<'a>,
    pub outputs: usize,
    pub inputs: usize,
    /// Where the weight's gradient begins.
    pub offset: usize,
    pub adapters: Vec<Adapter<'a>>,
}

/// Where gradients are added up: for all parameters of the model, or for the adapter's only.
#[derive(Debug)]
pub enum Gradients<'a> {
    Full(&'a mut [f32]),
    Adapter(&'a mut [f32]),
}

impl Gradients<'_> {
    /// The gradient of a base parameter, empty where the base is frozen.
    pub fn base(&mut self, offset: usize, len: usize) -> &mut [f32] {
        match self {
            Self::Full(flat) => &mut flat[offset..offset + len],
            Self::Adapter(_) => &mut [],
        }
    }
}

/// What a product needs of the thread it runs on.
#[derive(Debug)]
pub struct Tools {
    pub multiplier: Multiplier,
    pub low_rank: Vec<f32>,
    pub d_low_rank: Vec<f32>,
    /// An adapter's input with values left out, then the gradient of it.
    pub dropped: Vec<f32>,
}

impl Linear<'_> {
    /// `y (+)= x·Wᵀ + Σ s·(drop(x)·Aᵀ)·Bᵀ` for `tokens` rows.
    pub fn forward(&self, tools: &mut Tools, tokens: usize, x: &[f32], y: &mut [f32], store: Store) {
        let input = Mat::new(x, tokens, self.inputs);
        tools.multiplier.forward(MatMut::new(y, tokens, self.outputs), store, input, self.weight);
        for adapter in &self.adapters {
            let input = adapter.drop(x, &mut tools.dropped).map_or(input, |left| Mat::new(left, tokens, self.inputs));
            adapter.project(tokens, input, &mut tools.low_rank);
            let u = Mat::new(&tools.low_rank, tokens, adapter.rank);
            let to = MatMut::strided(&mut y[adapter.outputs.start..], tokens, adapter.outputs.len(), self.outputs);
            product_f32(to, Store::Add, adapter.scale, (u, Take::AsIs), (adapter.b(), Take::Transposed));
        }
    }

    /// Writes `dx`, and adds the gradients of whatever is trained here.
    pub fn backward(
        &self,
        tools: &mut Tools,
        tokens: usize,
        (x, dy): (&[f32], &[f32]),
        dx: &mut [f32],
        gradients: &mut Gradients<'_>,
    ) {
        let (input, grad) = (Mat::new(x, tokens, self.inputs), Mat::new(dy, tokens, self.outputs));
        tools.multiplier.backward(MatMut::new(dx, tokens, self.inputs), Store::Replace, grad, self.weight);
        match gradients {
            Gradients::Full(flat) => {
                let dw = &mut flat[self.offset..self.offset + self.outputs * self.inputs];
                let dw = MatMut::new(dw, self.outputs, self.inputs);
                tools.multiplier.product(dw, Store::Add, (grad, Take::Transposed), (input, Take::AsIs));
            }
            Gradients::Adapter(flat) => {
                for adapter in &self.adapters {
                    let dy = Mat::strided(&dy[adapter.outputs.start..], tokens, adapter.outputs.len(), self.outputs);
                    adapter.backward(tools, tokens, (x, dy), dx, flat);
                }
            }
        }
    }
}

impl Adapter<'_> {
    fn a(&self, inputs: usize) -> Mat<'_> {
        Mat::new(self.a, self.rank, inputs)
    }

    fn b(&self) -> Mat<'_> {
        Mat::new(self.b, self.outputs.len(), self.rank)
    }

    /// What is left of the input, where something is left out.
    fn drop<'a>(&self, x: &[f32], to: &'a mut Vec<f32>) -> Option<&'a [f32]> {
        let dropout = self.dropout?;
        to.resize(x.len(), 0.0);
        dropout.apply(x, to);
        Some(to)
    }

    /// `u = x·Aᵀ`.
    fn project(&self, tokens: usize, x: Mat<'_>, u: &mut Vec<f32>) {
        u.resize(tokens * self.rank, 0.0);
        let inputs = self.a.len() / self.rank;
        let to = MatMut::new(u, tokens, self.rank);
        product_f32(to, Store::Replace, 1.0, (x, Take::AsIs), (self.a(inputs), Take::Transposed));
    }

    fn backward(&self, tools: &mut Tools, tokens: usize, (x, dy): (&[f32], Mat<'_>), dx: &mut [f32], flat: &mut [f32]) {
        let inputs = self.a.len() / self.rank;
        let x = Mat::new(self.drop(x, &mut tools.dropped).unwrap_or(x), tokens, inputs);
        self.project(tokens, x, &mut tools.low_rank);
        let u = Mat::new(&tools.low_rank, tokens, self.rank);
        let db = &mut flat[self.b_offset..self.b_offset + self.b.len()];
        let db = MatMut::new(db, self.outputs.len(), self.rank);
        product_f32(db, Store::Add, self.scale, (dy, Take::Transposed), (u, Take::AsIs));
        tools.d_low_rank.resize(tokens * self.rank, 0.0);
        let du = MatMut::new(&mut tools.d_low_rank, tokens, self.rank);
        product_f32(du, Store::Replace, self.scale, (dy, Take::AsIs), (self.b(), Take::AsIs));
        let du = Mat::new(&tools.d_low_rank, tokens, self.rank);
        let da = MatMut::new(&mut flat[self.a_offset..self.a_offset + self.a.len()], self.rank, inputs);
        product_f32(da, Store::Add, 1.0, (du, Take::Transposed), (x, Take::AsIs));
        let Some(dropout) = self.dropout else {
            let dx = MatMut::new(dx, tokens, inputs);
            product_f32(dx, Store::Add, 1.0, (du, Take::AsIs), (self.a(inputs), Take::AsIs));
            return;
        };
        let d_dropped = MatMut::new(&mut tools.dropped, tokens, inputs);
        product_f32(d_dropped, Store::Replace, 1.0, (du, Take::AsIs), (self.a(inputs), Take::AsIs));
        dropout.add(&tools.dropped, dx);
    }
}
