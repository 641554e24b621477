//! The order of the work in one pass over one row, and the seam to whoever carries it out.
//!
//! Not for: several rows or threads (`team.rs`) and parameters' updates (`train`).

use crate::sft::PackedRow;

/// A row as an executor takes it: tokens of several sequences, where each begins, what is learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub ids: Vec<u32>,
    /// First token of each sequence, and the number of tokens at the end.
    pub bounds: Vec<usize>,
    /// Positions whose next token is learnt, and those tokens.
    pub positions: Vec<u32>,
    pub targets: Vec<u32>,
    /// The key of this row's dropout in this step; `None`: nothing is left out, as when a model is asked.
    pub dropout: Option<u64>,
}

impl From<&PackedRow> for Row {
    fn from(packed: &PackedRow) -> Self {
        let mut row = Self { bounds: vec![0], ..Self::default() };
        for sequence in packed.sequences.iter().filter(|sequence| !sequence.is_empty()) {
            let start = row.ids.len();
            row.ids.extend(&sequence.ids);
            for (i, (&id, &learn)) in sequence.ids.iter().zip(&sequence.learn).enumerate().skip(1) {
                if learn {
                    row.positions.push((start + i - 1) as u32);
                    row.targets.push(id);
                }
            }
            row.bounds.push(row.ids.len());
        }
        row
    }
}

impl Row {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The longest sequence of the row, in tokens.
    pub fn longest(&self) -> usize {
        self.bounds.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap_or(0)
    }
}

/// Something that can carry out a model's layers and keeps the activations between them: the CPU here, a
/// device elsewhere. Calls come in the order of [`pass`].
pub trait LayerExec {
    fn layers(&self) -> usize;

    /// The lowest layer with something to train; those below are not walked backward.
    fn first_trained(&self) -> usize {
        0
    }

    /// Embeds the row's tokens as the input of layer 0.
    fn embed(&mut self, row: &Row);

    /// Computes a layer's output and keeps what its backward needs.
    fn forward(&mut self, row: &Row, layer: usize);

    /// The summed loss of the row's learnt tokens (natural logarithm), without gradients.
    fn loss(&mut self, row: &Row) -> f64;

    /// As [`LayerExec::loss`], and keeps the gradient of the last layer's output. Gradients are multiplied by
    /// `scale`, the loss is not.
    fn loss_and_gradient(&mut self, row: &Row, scale: f32) -> f64;

    /// Turns the gradient of a layer's output into that of its input and adds the parameters' gradients.
    fn backward(&mut self, row: &Row, layer: usize);

    /// Adds the gradient of the embedding, where it is trained.
    fn embed_backward(&mut self, row: &Row);
}

/// Forward and backward over one row; returns the summed loss.
pub fn pass(exec: &mut impl LayerExec, row: &Row, scale: f32) -> f64 {
    forward(exec, row);
    let loss = exec.loss_and_gradient(row, scale);
    for layer in (exec.first_trained()..exec.layers()).rev() {
        exec.backward(row, layer);
    }
    if exec.first_trained() == 0 {
        exec.embed_backward(row);
    }
    loss
}

/// Forward only; returns the summed loss.
pub fn evaluate(exec: &mut impl LayerExec, row: &Row) -> f64 {
    forward(exec, row);
    exec.loss(row)
}

/// Runs every layer and stops before the head.
pub fn forward(exec: &mut impl LayerExec, row: &Row) {
    exec.embed(row);
    for layer in 0..exec.layers() {
        exec.forward(row, layer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sft::Sequence;

    #[test]
    fn a_row_knows_its_sequences_and_what_is_learnt() {
        let one = Sequence { ids: vec![5, 6, 7], learn: vec![true, false, true] };
        let two = Sequence { ids: vec![8, 9], learn: vec![true, true] };
        let row = Row::from(&PackedRow { sequences: vec![one, Sequence::default(), two] });
        assert_eq!(row.ids, [5, 6, 7, 8, 9]);
        assert_eq!(row.bounds, [0, 3, 5]);
        // The first token of a sequence is never predicted, least of all from the sequence before it.
        assert_eq!((row.positions, row.targets), (vec![1, 3], vec![7, 9]));
    }
}
