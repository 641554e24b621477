//! Matrix products, in f32 or with bfloat16 operands.
//!
//! Every product here runs on the calling thread: the trainer's threads each work on rows of their own.
//! Sums are kept in f32 in both precisions.
//!
//! Not for: anything that is not a product.

use serde::{Deserialize, Serialize};

use super::frozen::Blocks;
use super::gemm_bf16::{self, PackedRight, Side};

/// What operands of the large products are rounded to. Weights, activations and gradients stay f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    F32,
    Bf16,
}

impl Precision {
    /// Whether this CPU has fast products of this precision.
    pub fn available(self) -> bool {
        match self {
            Self::F32 => true,
            Self::Bf16 => gemm_bf16::available(),
        }
    }

    /// The fastest precision of this CPU.
    pub fn best() -> Self {
        if gemm_bf16::pays() { Self::Bf16 } else { Self::F32 }
    }
}

/// A matrix seen in a slice: `rows` × `cols`, rows `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}

impl<'a> Mat<'a> {
    /// A matrix without gaps.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A matrix whose rows are `stride` apart.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        check_shape(data.len(), rows, cols, stride);
        Self { data, rows, cols, stride }
    }
}

/// A matrix to write.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}

impl<'a> MatMut<'a> {
    /// A matrix without gaps.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A matrix whose rows are `stride` apart.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        check_shape(data.len(), rows, cols, stride);
        Self { data, rows, cols, stride }
    }
}

fn check_shape(len: usize, rows: usize, cols: usize, stride: usize) {
    assert!(
        rows == 0 || (cols <= stride && (rows - 1) * stride + cols <= len),
        "invariant: a matrix lies in its slice"
    );
}

/// Whether an operand is taken as it is or transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    AsIs,
    Transposed,
}

/// Whether a product replaces the destination or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Replace,
    Add,
}

/// A weight `[out, in]`, ready for both directions: packed once an optimiser step, used by every row.
#[derive(Clone, Debug)]
pub struct PackedWeight {
    /// For `X·Wᵀ`.
    forward: PackedRight,
    /// For `dY·W`.
    backward: PackedRight,
}

impl PackedWeight {
    /// Rounds and packs.
    pub fn new(weight: Mat<'_>) -> Self {
        let (mut forward, mut backward) = (PackedRight::default(), PackedRight::default());
        forward.pack(weight.data, weight.stride, Side::Rows, weight.cols, weight.rows);
        backward.pack(weight.data, weight.stride, Side::Columns, weight.rows, weight.cols);
        Self { forward, backward }
    }
}

/// A weight as a product takes it.
#[derive(Clone, Copy, Debug)]
pub enum Weight<'a> {
    Plain(Mat<'a>),
    Packed(&'a PackedWeight),
    /// Quantised; a stretch of rows at a time becomes f32.
    Blocks(Blocks<'a>),
}

/// One thread's multiplier with its packing buffers.
#[derive(Debug)]
pub struct Multiplier {
    precision: Precision,
    left: Vec<u32>,
    right: PackedRight,
    dequantised: Vec<f32>,
}

impl Multiplier {
    /// # Panics
    /// Where the CPU lacks the precision; ask [`Precision::available`] first.
    pub fn new(precision: Precision) -> Self {
        assert!(precision.available(), "invariant: precision was checked against the CPU");
        Self { precision, left: Vec::new(), right: PackedRight::default(), dequantised: Vec::new() }
    }

    /// `y (+)= x·Wᵀ`.
    pub fn forward(&mut self, y: MatMut<'_>, into: Store, x: Mat<'_>, weight: Weight<'_>) {
        match weight {
            Weight::Plain(w) => product_f32(y, into, 1.0, (x, Take::AsIs), (w, Take::Transposed)),
            Weight::Packed(w) => self.packed(y, into, x, &w.forward),
            Weight::Blocks(_) if x.rows == 0 => {}
            Weight::Blocks(w) => w.each(&mut self.dequantised, |first, rows| {
                let to = MatMut::strided(&mut y.data[first..], y.rows, rows.rows, y.stride);
                product_f32(to, into, 1.0, (x, Take::AsIs), (rows, Take::Transposed));
            }),
        }
    }

    /// `dx (+)= dy·W`.
    pub fn backward(&mut self, dx: MatMut<'_>, into: Store, dy: Mat<'_>, weight: Weight<'_>) {
        match weight {
            Weight::Plain(w) => product_f32(dx, into, 1.0, (dy, Take::AsIs), (w, Take::AsIs)),
            Weight::Packed(w) => self.packed(dx, into, dy, &w.backward),
            Weight::Blocks(_) if dy.rows == 0 => {}
            Weight::Blocks(w) => w.each(&mut self.dequantised, |first, rows| {
                let into = if first == 0 { into } else { Store::Add };
                let to = MatMut::strided(dx.data, dx.rows, dx.cols, dx.stride);
                let part = Mat::strided(&dy.data[first..], dy.rows, rows.rows, dy.stride);
                product_f32(to, into, 1.0, (part, Take::AsIs), (rows, Take::AsIs));
            }),
        }
    }

    fn packed(&mut self, dst: MatMut<'_>, into: Store, lhs: Mat<'_>, rhs: &PackedRight) {
        let dst_part = (dst.data, dst.stride, into == Store::Add);
        gemm_bf16::multiply(dst_part, (lhs.data, lhs.stride, Side::Rows), rhs, dst.rows, &mut self.left);
    }

    /// `dst (+)= lhs·rhs` of two matrices that change from call to call.
    pub fn product(&mut self, dst: MatMut<'_>, into: Store, lhs: (Mat<'_>, Take), rhs: (Mat<'_>, Take)) {
        if self.precision == Precision::F32 {
            return product_f32(dst, into, 1.0, lhs, rhs);
        }
        let (m, n, k) = shape_of(&dst, lhs, rhs);
        let right_side = if rhs.1 == Take::AsIs { Side::Columns } else { Side::Rows };
        self.right.pack(rhs.0.data, rhs.0.stride, right_side, k, n);
        let left_side = if lhs.1 == Take::AsIs { Side::Rows } else { Side::Columns };
        let dst_part = (dst.data, dst.stride, into == Store::Add);
        gemm_bf16::multiply(dst_part, (lhs.0.data, lhs.0.stride, left_side), &self.right, m, &mut self.left);
    }
}

/// Checks that the three shapes fit and returns m, n, k.
fn shape_of(dst: &MatMut<'_>, lhs: (Mat<'_>, Take), rhs: (Mat<'_>, Take)) -> (usize, usize, usize) {
    let (m, k) = if lhs.1 == Take::AsIs { (lhs.0.rows, lhs.0.cols) } else { (lhs.0.cols, lhs.0.rows) };
    let (k2, n) = if rhs.1 == Take::AsIs { (rhs.0.rows, rhs.0.cols) } else { (rhs.0.cols, rhs.0.rows) };
    assert!(k == k2 && dst.rows == m && dst.cols == n, "invariant: the shapes of a product fit");
    (m, n, k)
}

/// `dst (+)= scale·lhs·rhs` in f32.
#[expect(clippy::needless_pass_by_value, reason = "a destination is used once; callers make it in place")]
pub fn product_f32(dst: MatMut<'_>, into: Store, scale: f32, lhs: (Mat<'_>, Take), rhs: (Mat<'_>, Take)) {
    let (m, n, k) = shape_of(&dst, lhs, rhs);
    if m == 0 || n == 0 {
        return;
    }
    let strides = |mat: Mat<'_>, take| {
        let stride = mat.stride as isize;
        if take == Take::AsIs { (1, stride) } else { (stride, 1) }
    };
    let ((lhs_cs, lhs_rs), (rhs_cs, rhs_rs)) = (strides(lhs.0, lhs.1), strides(rhs.0, rhs.1));
    let add = into == Store::Add;
    // Its kernels write columns, our rows lie side by side: the transposed product is the same numbers.
    let multiply = gemm_f32::gemm::f32::get_gemm_fn();
    #[expect(unsafe_code, reason = "the gemm crate takes raw pointers")]
    // SAFETY: `Mat` and `MatMut` checked that their rows lie in their slices, `shape_of` that the three
    // shapes fit; the destination is borrowed mutably and so overlaps neither operand.
    unsafe {
        multiply(
            n,
            m,
            k,
            dst.data.as_mut_ptr(),
            dst.stride as isize,
            1,
            add,
            rhs.0.data.as_ptr(),
            rhs_rs,
            rhs_cs,
            lhs.0.data.as_ptr(),
            lhs_rs,
            lhs_cs,
            if add { 1.0 } else { 0.0 },
            scale,
            false,
            false,
            false,
            gemm_common::Parallelism::None,
        );
    }
}
