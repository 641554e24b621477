//! AdamW, and Muon for the layers' matrices.
//!
//! Muon (Jordan et al. 2024) replaces a matrix's momentum by the nearest orthogonal matrix, found by five
//! Newton–Schulz steps, here scaled by `0.2·√max(rows, cols)` (Liu et al. 2025), so that its updates are as large
//! as AdamW's and one learning rate serves both. Embeddings, norms, biases and adapters always use AdamW.
//!
//! Not for: the learning rate's course (`schedule.rs`).

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::sft::core::gemm::{Mat, MatMut, Multiplier, Precision, Store, Take};
use crate::sft::core::kernels;
use crate::sft::core::params::{Layout, TensorInfo};
use crate::sft::core::team::Team;

/// Parameters that one thread updates at a time with AdamW.
const CHUNK: usize = 1 << 16;
/// Newton–Schulz steps and their polynomial.
const STEPS: usize = 5;
const POLYNOMIAL: (f32, f32, f32) = (3.4445, -4.7750, 2.0315);

/// What updates the layers' matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    AdamW,
    #[default]
    Muon,
}

/// Everything that is constant over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub kind: Kind,
    pub weight_decay: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    /// Muon's.
    pub momentum: f32,
    /// Gradients longer than this are shortened to it; 0 switches it off.
    pub clip: f32,
    /// For Newton–Schulz.
    pub precision: Precision,
}

/// What changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Steps done before this one.
    pub step: u64,
    pub lr: f32,
    /// For the matrices that Muon updates.
    pub lr_matrices: f32,
}

/// The optimiser's memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimiser {
    settings: Settings,
    /// Momentum of every trained value.
    pub first: Vec<f32>,
    /// Second moments of the values that AdamW updates, tensor by tensor.
    pub second: Vec<f32>,
}

/// One thread's share of an update.
enum Job<'a> {
    AdamW { p: &'a mut [f32], g: &'a [f32], m: &'a mut [f32], v: &'a mut [f32], decay: f32 },
    Muon { p: &'a mut [f32], g: &'a [f32], m: &'a mut [f32], rows: usize, cols: usize },
}

impl Optimiser {
    pub fn new(settings: Settings, layout: &Layout) -> Self {
        let second = second_moments(settings.kind, layout);
        Self { settings, first: vec![0.0; layout.len], second: vec![0.0; second] }
    }

    /// The length of the gradient.
    pub fn gradient_norm(team: &mut Team, gradients: &[f32]) -> f64 {
        let chunks: Vec<&[f32]> = gradients.chunks(CHUNK).collect();
        let sums: Vec<Mutex<f64>> = chunks.iter().map(|_| Mutex::new(0.0)).collect();
        team.share(chunks.len(), |i| {
            *sums[i].lock().expect("invariant: a sum has one thread") = kernels::sum_of_squares(chunks[i]);
        });
        let total: f64 = sums.into_iter().map(|sum| sum.into_inner().expect("invariant: no thread panicked")).sum();
        total.sqrt()
    }

    /// Updates the parameters in place, given the gradient's length.
    pub fn update(
        &mut self,
        team: &mut Team,
        layout: &Layout,
        (params, gradients, norm): (&mut [f32], &[f32], f64),
        rates: Rates,
    ) {
        let settings = self.settings;
        let clip = f64::from(settings.clip);
        let shorten = if clip > 0.0 && norm > clip { (clip / norm) as f32 } else { 1.0 };
        let jobs = self.jobs(layout, params, gradients);
        team.share(jobs.len(), |i| match &mut *jobs[i].lock().expect("invariant: a job has one thread") {
            Job::AdamW { p, g, m, v, decay } => {
                let correct = |beta: f32| (1.0 - f64::from(beta).powf(rates.step as f64 + 1.0)) as f32;
                let by = kernels::AdamW {
                    g_scale: shorten,
                    lr: rates.lr,
                    decay: *decay,
                    beta1: settings.beta1,
                    beta2: settings.beta2,
                    eps: settings.eps,
                    correct1: correct(settings.beta1),
                    correct2: correct(settings.beta2),
                };
                kernels::adamw(p, g, m, v, &by);
            }
            Job::Muon { p, g, m, rows, cols } => {
                muon(&settings, rates.lr_matrices, shorten, (p, g, m), (*rows, *cols));
            }
        });
    }

    /// Cuts the flat arrays into jobs, the costly ones first.
    fn jobs<'a>(&'a mut self, layout: &Layout, params: &'a mut [f32], gradients: &'a [f32]) -> Vec<Mutex<Job<'a>>> {
        let (mut p, mut g, mut m, mut v) = (params, gradients, self.first.as_mut_slice(), self.second.as_mut_slice());
        let (mut costly, mut cheap) = (Vec::new(), Vec::new());
        for tensor in &layout.tensors {
            let n = tensor.len();
            let (p1, g1, m1) = (take(&mut p, n), &g[..n], take(&mut m, n));
            g = &g[n..];
            if is_muon(self.settings.kind, tensor) {
                let job = Job::Muon { p: p1, g: g1, m: m1, rows: tensor.rows, cols: tensor.cols };
                costly.push(Mutex::new(job));
                continue;
            }
            let v1 = take(&mut v, n);
            let decay = if tensor.kind.decays() { self.settings.weight_decay } else { 0.0 };
            let parts = p1.chunks_mut(CHUNK).zip(g1.chunks(CHUNK)).zip(m1.chunks_mut(CHUNK)).zip(v1.chunks_mut(CHUNK));
            cheap.extend(parts.map(|(((p, g), m), v)| Mutex::new(Job::AdamW { p, g, m, v, decay })));
        }
        costly.extend(cheap);
        costly
    }
}

#[expect(clippy::mut_mut, reason = "cutting the front off moves the caller's slice on")]
fn take<'a>(slice: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
    slice.split_off_mut(..n).expect("invariant: the optimiser's memory is as long as the layout")
}

/// How many second moments an optimiser keeps for these tensors.
pub fn second_moments(kind: Kind, layout: &Layout) -> usize {
    layout.tensors.iter().filter(|tensor| !is_muon(kind, tensor)).map(TensorInfo::len).sum()
}

fn is_muon(kind: Kind, tensor: &TensorInfo) -> bool {
    kind == Kind::Muon && tensor.kind.is_layer_matrix()
}

fn muon(
    settings: &Settings,
    lr: f32,
    shorten: f32,
    (p, g, m): (&mut [f32], &[f32], &mut [f32]),
    (rows, cols): (usize, usize),
) {
    let momentum = settings.momentum;
    kernels::blend(m, momentum, g, (1.0 - momentum) * shorten);
    // Nesterov: look one step ahead.
    let mut ahead = m.to_vec();
    kernels::blend(&mut ahead, momentum, g, (1.0 - momentum) * shorten);
    let update = orthogonalise(settings.precision, ahead, rows, cols);
    let reach = lr * 0.2 * (rows.max(cols) as f32).sqrt();
    kernels::blend(p, 1.0 - lr * settings.weight_decay, &update, -reach);
}

/// The nearest matrix whose singular values are all about 1.
fn orthogonalise(precision: Precision, matrix: Vec<f32>, rows: usize, cols: usize) -> Vec<f32> {
    let (a, b, c) = POLYNOMIAL;
    // Work on the wide form: the square products are then the small ones.
    let wide = rows <= cols;
    let (n, k) = if wide { (rows, cols) } else { (cols, rows) };
    let mut x = if wide { matrix } else { transposed(&matrix, rows, cols) };
    let length = kernels::sum_of_squares(&x).sqrt() as f32 + 1e-12;
    for value in &mut x {
        *value /= length;
    }
    let mut multiplier = Multiplier::new(precision);
    let (mut square, mut fourth, mut next) = (vec![0.0; n * n], vec![0.0; n * n], vec![0.0; n * k]);
    for _ in 0..STEPS {
        let at = Mat::new(&x, n, k);
        multiplier.product(MatMut::new(&mut square, n, n), Store::Replace, (at, Take::AsIs), (at, Take::Transposed));
        let s = Mat::new(&square, n, n);
        multiplier.product(MatMut::new(&mut fourth, n, n), Store::Replace, (s, Take::AsIs), (s, Take::AsIs));
        kernels::blend(&mut fourth, c, &square, b);
        let f = Mat::new(&fourth, n, n);
        multiplier.product(MatMut::new(&mut next, n, k), Store::Replace, (f, Take::AsIs), (at, Take::AsIs));
        kernels::blend(&mut x, a, &next, 1.0);
    }
    if wide { x } else { transposed(&x, n, k) }
}

fn transposed(matrix: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut out = vec![0.0; matrix.len()];
    for (r, row) in matrix.chunks_exact(cols).enumerate() {
        for (c, &value) in row.iter().enumerate() {
            out[c * rows + r] = value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i as f32 * 12.9898).sin() * 43_758.547).fract()).collect()
    }

    #[test]
    fn orthogonalised_rows_have_lengths_near_one_and_right_angles() {
        for (rows, cols) in [(8, 40), (40, 8)] {
            let x = orthogonalise(Precision::F32, noise(rows * cols), rows, cols);
            let wide = if rows <= cols { x } else { transposed(&x, rows, cols) };
            for i in 0..8 {
                for j in 0..8 {
                    let dot = kernels::dot(&wide[i * 40..(i + 1) * 40], &wide[j * 40..(j + 1) * 40]);
                    let range = if i == j { 0.4..1.6 } else { -0.35..0.35 };
                    assert!(range.contains(&dot), "{i},{j}: {dot}");
                }
            }
        }
    }

    #[test]
    fn adamw_takes_the_step_of_the_paper() {
        let (mut p, mut m, mut v) = (vec![1.0f32; 3], vec![0.0; 3], vec![0.0; 3]);
        let g = [0.5, -0.25, 0.0];
        let by = kernels::AdamW {
            g_scale: 1.0,
            lr: 0.1,
            decay: 0.01,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            correct1: 0.1,
            correct2: 0.01,
        };
        kernels::adamw(&mut p, &g, &mut m, &mut v, &by);
        // In the first step the corrected moments are g and g², so the step is lr·sign(g).
        let want = [0.999 - 0.1, 0.999 + 0.1, 0.999];
        assert!(p.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-5), "{p:?}");
    }
}
