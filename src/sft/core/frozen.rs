//! A base model that is not trained and stays as it lies in its GGUF file, quantised and mapped. Products take it
//! block by block: a stretch of rows becomes f32 in a buffer, is multiplied, and is forgotten.
//!
//! Not for: models whose weights change.

use std::collections::BTreeMap;
use std::ops::Range;

use super::config::ModelConfig;
use super::gemm::Mat;
use super::params::Layout;
use crate::gguf::{Gguf, Mapped, TensorType};

/// Values that are dequantised at a time: large enough for an efficient product, small enough for the cache.
const CHUNK_VALUES: usize = 1 << 20;

/// One matrix, or one of several that lie side by side in a fused projection.
#[derive(Clone, Debug)]
pub struct Part {
    kind: TensorType,
    place: Range<usize>,
    rows: usize,
}

/// The weights of a frozen base.
#[derive(Debug)]
pub struct FrozenBase {
    data: Mapped,
    /// Norms and biases in the order of the layout, and where the vector of a layout's offset lies in them.
    vectors: Vec<f32>,
    vector_places: BTreeMap<usize, usize>,
    /// Matrices in the order of the layout, and which one a layout's offset is.
    parts: Vec<Part>,
    part_places: BTreeMap<usize, usize>,
    /// The head's own copy, where a tied model's file has one.
    head: Option<Part>,
}

/// A fused matrix as blocks.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    parts: &'a [Part],
    data: &'a [u8],
    cols: usize,
}

impl FrozenBase {
    /// Maps a file and finds every tensor of the model in it.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape, or a type that cannot be read; names it.
    pub fn open(file: &Gguf, config: &ModelConfig) -> Result<Self, String> {
        let data = file.map().map_err(|problem| problem.to_string())?;
        let layout = Layout::full(config);
        let mut base = Self {
            data,
            vectors: Vec::new(),
            vector_places: BTreeMap::new(),
            parts: Vec::new(),
            part_places: BTreeMap::new(),
            head: None,
        };
        for tensor in &layout.tensors {
            let part = part_of(file, &tensor.name, tensor.rows, tensor.cols)?;
            if tensor.is_vector() {
                base.vector_places.insert(tensor.offset, base.vectors.len());
                let at = base.vectors.len();
                base.vectors.resize(at + tensor.cols, 0.0);
                part.kind.dequantise(&base.data.bytes()[part.place], &mut base.vectors[at..]);
            } else {
                base.part_places.insert(tensor.offset, base.parts.len());
                base.parts.push(part);
            }
        }
        if config.tied && file.tensor("output.weight").is_some() {
            base.head = Some(part_of(file, "output.weight", config.vocab_size, config.hidden)?);
        }
        Ok(base)
    }

    /// Norms and biases from the one at this offset of the layout on.
    pub fn vector(&self, offset: usize, len: usize) -> &[f32] {
        let at = self.vector_places[&offset];
        &self.vectors[at..at + len]
    }

    /// The fused matrix that begins at this offset of the layout.
    pub fn blocks(&self, offset: usize, rows: usize, cols: usize) -> Blocks<'_> {
        let first = self.part_places[&offset];
        let mut count = 0;
        let mut found = 0;
        while found < rows {
            found += self.parts[first + count].rows;
            count += 1;
        }
        assert_eq!(found, rows, "invariant: a projection is made of whole tensors");
        Blocks { parts: &self.parts[first..first + count], data: self.data.bytes(), cols }
    }

    /// The head's matrix: its own copy, or what lies at this offset.
    pub fn head(&self, offset: usize, rows: usize, cols: usize) -> Blocks<'_> {
        match &self.head {
            Some(part) => Blocks { parts: std::slice::from_ref(part), data: self.data.bytes(), cols },
            None => self.blocks(offset, rows, cols),
        }
    }
}

fn part_of(file: &Gguf, name: &str, rows: usize, cols: usize) -> Result<Part, String> {
    let tensor = file.tensor(name).ok_or_else(|| format!("the tensor {name} is missing"))?;
    let (columns, others) =
        tensor.dimensions.split_first().map_or((0, 1), |(first, rest)| (*first, rest.iter().product()));
    if (columns, others) != (cols as u64, rows as u64) {
        return Err(format!("the tensor {name} is {:?}, not {cols} × {rows}", tensor.dimensions));
    }
    if !tensor.kind.is_readable() {
        return Err(format!("{name} is {}, which cannot be trained on", tensor.kind.name()));
    }
    Ok(Part { kind: tensor.kind, place: Mapped::place(tensor), rows })
}

impl Blocks<'_> {
    /// Hands on stretches of rows, in order, as f32: the first row of each, and its values.
    pub fn each(self, scratch: &mut Vec<f32>, mut take: impl FnMut(usize, Mat<'_>)) {
        let rows_at_once = (CHUNK_VALUES / self.cols).max(16);
        let mut first = 0;
        for part in self.parts {
            let bytes = &self.data[part.place.clone()];
            let row_bytes = bytes.len() / part.rows;
            for stretch in bytes.chunks(rows_at_once * row_bytes) {
                let rows = stretch.len() / row_bytes;
                scratch.resize(rows * self.cols, 0.0);
                part.kind.dequantise(stretch, scratch);
                take(first, Mat::new(scratch, rows, self.cols));
                first += rows;
            }
        }
    }

    /// One row.
    pub fn row(self, index: usize, out: &mut [f32]) {
        let mut index = index;
        for part in self.parts {
            if index < part.rows {
                let bytes = &self.data[part.place.clone()];
                let row_bytes = bytes.len() / part.rows;
                part.kind.dequantise(&bytes[index * row_bytes..][..row_bytes], out);
                return;
            }
            index -= part.rows;
        }
        panic!("invariant: the row is one of the matrix's");
    }

    /// All of it.
    pub fn to_vec(self) -> Vec<f32> {
        let mut all = Vec::new();
        for part in self.parts {
            let at = all.len();
            all.resize(at + part.rows * self.cols, 0.0);
            part.kind.dequantise(&self.data[part.place.clone()], &mut all[at..]);
        }
        all
    }
}
