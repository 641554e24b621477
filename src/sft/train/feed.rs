//! The rows of a run, in the order in which they are trained on, epoch after epoch.
//!
//! The trainer takes them here one step at a time, and so does a hand-over, which writes them all down.

use super::dataset::Dataset;
use super::order;
use super::recipe::Recipe;
use crate::sft::PackedRow;

/// A place in the run's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub epoch: u64,
    /// Rows of this epoch that were used.
    pub row: u64,
}

/// Data and the order of its rows.
#[derive(Debug)]
pub struct Feed {
    data: Dataset,
    lengths: Vec<u32>,
    row_tokens: u32,
    seed: u64,
    /// The epoch whose rows are in `rows`.
    rows_of: u64,
    rows: Vec<Vec<u32>>,
}

impl Feed {
    /// The rows of data that [`Dataset::fit`] let through.
    pub fn new(data: Dataset, recipe: &Recipe) -> Self {
        let (lengths, row_tokens, seed) = (data.lengths(), recipe.data.row_tokens as u32, recipe.train.seed);
        let rows = order::epoch_rows(&lengths, row_tokens, seed, 0);
        Self { data, lengths, row_tokens, seed, rows_of: 0, rows }
    }

    pub const fn data(&self) -> &Dataset {
        &self.data
    }

    /// Rows of the epoch that was used last; epochs differ by a few.
    pub fn epoch_rows(&self) -> usize {
        self.rows.len()
    }

    /// Optimiser steps of the recipe's run, worked out from the first epoch's rows.
    pub fn total_steps(&mut self, recipe: &Recipe) -> u64 {
        self.turn_to(0);
        let train = &recipe.train;
        let rows = self.rows.len() as f64;
        let per_step = recipe.rows_per_step() as f64;
        let steps = match (train.steps, train.epochs, train.tokens) {
            (Some(steps), _, _) => steps as f64,
            (_, Some(epochs), _) => epochs * rows / per_step,
            (_, _, tokens) => {
                let per_row = self.data.tokens() as f64 / rows;
                tokens.unwrap_or(0) as f64 / (per_row * per_step)
            }
        };
        (steps.ceil() as u64).max(1)
    }

    /// The next `count` rows from `at` on, over the end of the epoch where need be, and the place behind them.
    pub fn take(&mut self, count: usize, mut at: Place) -> (Vec<PackedRow>, Place) {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            self.turn_to(at.epoch);
            if let Some(indices) = self.rows.get(at.row as usize) {
                taken.push(self.data.row(indices));
                at.row += 1;
            } else {
                at = Place { epoch: at.epoch + 1, row: 0 };
            }
        }
        (taken, at)
    }

    fn turn_to(&mut self, epoch: u64) {
        if self.rows_of != epoch {
            self.rows = order::epoch_rows(&self.lengths, self.row_tokens, self.seed, epoch);
            self.rows_of = epoch;
        }
    }
}

/// The rows that a run's held-out loss is taken on: always the same ones, whatever the run's seed is.
pub fn held_out(set: &Dataset, recipe: &Recipe) -> Vec<PackedRow> {
    let rows = order::epoch_rows(&set.lengths(), recipe.data.row_tokens as u32, 0, 0);
    rows.iter().take(recipe.train.eval_rows_max).map(|indices| set.row(indices)).collect()
}
