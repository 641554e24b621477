//! Gradients against finite differences, thread counts against each other, bf16 against f32.

use super::config::ModelConfig;
use super::cpu::Plan;
use super::exec::Row;
use super::gemm::Precision;
use super::model::Model;
use super::params::{LoraConfig, Target};
use super::team::Team;
use crate::sft::{PackedRow, Sequence};

fn config(tied: bool) -> ModelConfig {
    ModelConfig {
        vocab_size: 61,
        hidden: 48,
        layers: 2,
        heads: 6,
        kv_heads: 2,
        ffn: 72,
        context: 160,
        rope_theta: 1e4,
        norm_eps: 1e-6,
        tied,
    }
}

/// Three rows: one sequence longer than an attention block, several short ones, one with few learnt tokens.
fn rows() -> Vec<Row> {
    let mut state = 7u32;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut sequence = |len: usize, learnt_in_ten: u32| Sequence {
        ids: (0..len).map(|_| next(61)).collect(),
        learn: (0..len).map(|_| next(10) < learnt_in_ten).collect(),
    };
    let packed = [
        PackedRow { sequences: vec![sequence(150, 7)] },
        PackedRow { sequences: vec![sequence(20, 10), sequence(1, 10), sequence(70, 5)] },
        PackedRow { sequences: vec![sequence(33, 2), sequence(9, 9)] },
    ];
    packed.iter().map(Row::from).collect()
}

/// A model whose every tensor matters: gains away from 1, biases away from 0, matrices large enough.
fn lively(tied: bool) -> Model {
    let mut model = Model::init(config(tied), 11);
    for (i, value) in model.params.iter_mut().enumerate() {
        let wave = (i as f32 * 0.37).sin();
        *value = *value * 6.0 + 0.03 * wave;
    }
    model
}

fn team(model: &Model, precision: Precision, threads: usize, lanes: usize) -> Team {
    Team::new(model, Plan::new(model, precision), threads, lanes)
}

fn loss(model: &Model, rows: &[Row]) -> f64 {
    team(model, Precision::F32, 1, 1).losses(model, rows).iter().sum()
}

/// The slope of the loss along a tensor's own gradient must be the gradient's length; an error in any
/// component that matters changes it.
fn check_every_tensor(model: &Model) {
    check_every_tensor_on(model, &rows());
}

fn check_every_tensor_on(model: &Model, rows: &[Row]) {
    let learnt: usize = rows.iter().map(|row| row.targets.len()).sum();
    let scale = 1.0 / learnt as f32;
    let mut team = team(model, Precision::F32, 1, 2);
    team.step(model, rows, scale);
    let gradients = team.gradients().to_vec();
    let (layout, _) = model.trainable();
    for tensor in &layout.tensors {
        let gradient = tensor.of(&gradients);
        let length = gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        // Keys' biases shift all scores of a query alike only before rotation; here they do have a gradient.
        assert!(length > 1e-7, "{} has no gradient", tensor.name);
        let reach = 2e-3 / length.max(1e-2);
        let at = |sign: f64| {
            let mut moved = model.clone();
            let (layout, params) = moved.trainable_mut();
            let place = layout.find(&tensor.name).expect("same layout").clone();
            for (p, &g) in place.of_mut(params).iter_mut().zip(gradient) {
                *p += (sign * reach * f64::from(g) / length) as f32;
            }
            loss(&moved, rows) * f64::from(scale)
        };
        let slope = (at(1.0) - at(-1.0)) / (2.0 * reach);
        let error = (slope - length).abs() / length;
        assert!(error < 0.01, "{}: slope {slope:.6e}, gradient {length:.6e}, relative error {error:.4}", tensor.name);
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss_tied() {
    check_every_tensor(&lively(true));
}

#[test]
fn gradients_are_the_slopes_of_the_loss_untied() {
    check_every_tensor(&lively(false));
}

#[test]
fn gradients_of_an_adapter_are_the_slopes_of_the_loss() {
    let lora = LoraConfig { rank: 4, alpha: 8.0, targets: Target::ALL.to_vec(), ..LoraConfig::default() };
    let mut model = lively(true).with_lora(lora, 3);
    for (i, value) in model.trainable_mut().1.iter_mut().enumerate() {
        *value += 0.05 * (i as f32 * 0.7).cos();
    }
    check_every_tensor(&model);
}

/// Rows with keys of their own, as a step has them.
fn rows_with_dropout() -> Vec<Row> {
    rows().into_iter().enumerate().map(|(i, row)| Row { dropout: Some(40 + i as u64), ..row }).collect()
}

fn with_dropout(rate: f32) -> Model {
    let lora = LoraConfig { rank: 4, alpha: 8.0, dropout: rate, ..LoraConfig::default() };
    let mut model = lively(true).with_lora(lora, 3);
    for (i, value) in model.trainable_mut().1.iter_mut().enumerate() {
        *value += 0.05 * (i as f32 * 0.7).cos();
    }
    model
}

#[test]
fn gradients_of_an_adapter_with_dropout_are_the_slopes_of_the_loss_with_the_same_values_left_out() {
    check_every_tensor_on(&with_dropout(0.3), &rows_with_dropout());
}

#[test]
fn dropout_follows_from_the_rows_key_alone() {
    let (model, rows) = (with_dropout(0.3), rows_with_dropout());
    let step = |recompute: bool, threads: usize| {
        let plan = Plan::new(&model, Precision::F32).with_recompute(recompute);
        let mut team = Team::new(&model, plan, threads, 2);
        let loss = team.step(&model, &rows, 0.01);
        (loss.to_bits(), team.gradients().iter().map(|g| g.to_bits()).collect::<Vec<_>>())
    };
    let first = step(false, 1);
    assert!(step(true, 2) == first, "computed again, on more threads: the same bits");
    let other: Vec<Row> = rows.iter().map(|row| Row { dropout: Some(7), ..row.clone() }).collect();
    assert!(loss(&model, &rows).to_bits() != loss(&model, &other).to_bits(), "another key, other values");
    // Without a key, and at a rate of 0, nothing is left out.
    let plain = self::rows();
    assert_eq!(loss(&model, &plain).to_bits(), loss(&with_dropout(0.0), &rows).to_bits());
    assert!(loss(&model, &plain).to_bits() != loss(&model, &rows).to_bits());
}

#[test]
fn the_mean_over_many_keys_is_near_the_loss_without_dropout() {
    // The adapter's own share is small here, so that the loss is nearly linear in it.
    let mut model = with_dropout(0.2);
    model.trainable_mut().1.iter_mut().for_each(|value| *value *= 0.3);
    let rows = rows();
    let mean = (0..60).map(|key| {
        let keyed: Vec<Row> = rows.iter().map(|row| Row { dropout: Some(key), ..row.clone() }).collect();
        loss(&model, &keyed)
    });
    let (mean, plain) = (mean.sum::<f64>() / 60.0, loss(&model, &rows));
    assert!((mean - plain).abs() < 2e-3 * plain, "{mean} {plain}");
}

#[test]
fn a_merged_adapter_computes_what_the_adapter_computes() {
    let lora =
        LoraConfig { rank: 3, alpha: 6.0, targets: vec![Target::Q, Target::V, Target::Down], ..LoraConfig::default() };
    let mut model = lively(false).with_lora(lora, 5);
    let base = loss(&model, &rows());
    model.trainable_mut().1.iter_mut().for_each(|value| *value += 0.02);
    let (with, merged) = (loss(&model, &rows()), loss(&model.merged(), &rows()));
    assert!((with - merged).abs() < 1e-4 * with, "{with} {merged}");
    assert!((with - base).abs() > 1e-3 * with, "the adapter does something");
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let (model, rows) = (lively(true), rows());
    let mut results = [1, 2, 3].map(|threads| {
        let mut team = team(&model, Precision::best(), threads, 3);
        let loss = team.step(&model, &rows, 0.01);
        (loss.to_bits(), team.gradients().iter().map(|g| g.to_bits()).collect::<Vec<_>>())
    });
    let first = results[0].clone();
    assert!(results.iter_mut().all(|result| *result == first));
}

#[test]
fn packing_changes_no_sequence() {
    let all = rows();
    let (model, mut alone) = (lively(true), Vec::new());
    for row in &all {
        for ends in row.bounds.windows(2) {
            let inside = |position: &&u32| (ends[0]..ends[1]).contains(&(**position as usize));
            let count = row.positions.iter().filter(inside).count();
            let skipped = row.positions.iter().filter(|&&p| (p as usize) < ends[0]).count();
            alone.push(Row {
                ids: row.ids[ends[0]..ends[1]].to_vec(),
                bounds: vec![0, ends[1] - ends[0]],
                positions: row.positions[skipped..skipped + count].iter().map(|p| p - ends[0] as u32).collect(),
                targets: row.targets[skipped..skipped + count].to_vec(),
                dropout: None,
            });
        }
    }
    let (together, apart) = (loss(&model, &all), loss(&model, &alone));
    assert!((together - apart).abs() < 1e-5 * together, "{together} {apart}");
}

#[test]
fn bf16_products_stay_close_to_f32() {
    if !Precision::Bf16.available() {
        println!("skipped: this CPU has no AVX512-BF16");
        return;
    }
    let (model, rows) = (Model::init(config(false), 11), rows());
    let [(loss32, exact), (loss16, rounded)] = [Precision::F32, Precision::Bf16].map(|precision| {
        let mut team = team(&model, precision, 1, 1);
        (team.step(&model, &rows, 0.01), team.gradients().to_vec())
    });
    assert!((loss32 - loss16).abs() < 2e-3 * loss32, "{loss32} {loss16}");
    for tensor in &model.layout.tensors {
        let (a, b) = (tensor.of(&exact), tensor.of(&rounded));
        let length = |v: &mut dyn Iterator<Item = f32>| v.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let error = length(&mut a.iter().zip(b).map(|(x, y)| x - y)) / length(&mut a.iter().copied());
        assert!(error < 0.012, "{}: relative error {error}", tensor.name);
    }
}
