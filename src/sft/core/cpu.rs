//! The CPU's executor: one thread, one row at a time.

use std::ops::Range;

use super::attention::Heads;
use super::dropout::{self, Dropout};
use super::exec::{LayerExec, Row};
use super::gemm::{Mat, Multiplier, PackedWeight, Precision, Weight};
use super::head::{self, Head};
use super::kernels;
use super::layer::{Buffers, Layer, Rotary, Saved, fit};
use super::linear::{Adapter, Gradients, Linear, Tools};
use super::model::{Lora, Model};
use super::params::{LayerOffsets, Target};

/// A matrix of the model that products are made with.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: usize,
    outputs: usize,
    inputs: usize,
}

/// Where an adapter's parts lie in the adapter's flat array.
#[derive(Clone, Debug)]
struct Spot {
    outputs: Range<usize>,
    a: Range<usize>,
    b: Range<usize>,
}

/// The projections of a layer, in the order of their weights in [`Weights`].
const PROJECTIONS: [&[Target]; 4] =
    [&[Target::Q, Target::K, Target::V], &[Target::O], &[Target::Gate, Target::Up], &[Target::Down]];

/// What does not change while a model is trained: places, positions, precision.
#[derive(Debug)]
pub struct Plan {
    pub precision: Precision,
    offsets: Vec<LayerOffsets>,
    /// Four a layer, then the head.
    places: Vec<Place>,
    /// One list for each place but the head.
    spots: Vec<Vec<Spot>>,
    rotary: Rotary,
    output_norm: usize,
    /// Keep only each layer's input, and compute the layer again for its backward.
    recompute: bool,
}

impl Plan {
    pub fn new(model: &Model, precision: Precision) -> Self {
        let config = &model.config;
        let (mut places, mut spots) = (Vec::new(), Vec::new());
        for layer in 0..config.layers {
            for group in PROJECTIONS {
                let name = group[0].weight_name(layer);
                let first = model.layout.find(&name).expect("invariant: a full layout has every projection");
                let outputs = group.iter().map(|target| target.shape(config).0).sum();
                places.push(Place { offset: first.offset, outputs, inputs: first.cols });
                spots.push(spots_of(model, layer, group));
            }
        }
        places.push(Place { offset: model.layout.head(), outputs: config.vocab_size, inputs: config.hidden });
        Self {
            precision,
            offsets: (0..config.layers).map(|layer| model.layout.layer(layer)).collect(),
            places,
            spots,
            rotary: Rotary::new(config.context, config.head_dim(), config.rope_theta),
            output_norm: model.layout.output_norm(),
            recompute: false,
        }
    }

    /// Trades a second forward of every layer for the memory of what the first would keep.
    #[must_use]
    pub const fn with_recompute(mut self, recompute: bool) -> Self {
        self.recompute = recompute;
        self
    }

    /// How many weights are packed before a pass.
    pub fn packings(&self, model: &Model) -> usize {
        // A frozen base is not copied, in no precision.
        if self.precision == Precision::Bf16 && model.frozen.is_none() { self.places.len() } else { 0 }
    }

    /// Rounds and packs one weight.
    pub fn pack(&self, model: &Model, index: usize) -> PackedWeight {
        PackedWeight::new(self.places[index].of(model))
    }
}

impl Place {
    fn of(self, model: &Model) -> Mat<'_> {
        Mat::new(&model.params[self.offset..self.offset + self.outputs * self.inputs], self.outputs, self.inputs)
    }
}

fn spots_of(model: &Model, layer: usize, group: &[Target]) -> Vec<Spot> {
    let Some(lora) = &model.lora else { return Vec::new() };
    let mut first = 0;
    let mut spots = Vec::new();
    for target in group {
        let outputs = first..first + target.shape(&model.config).0;
        first = outputs.end;
        if lora.config.targets.contains(target) && layer >= lora.config.first_layer(model.config.layers) {
            let part = |suffix: &str| {
                let tensor = lora.layout.find(&format!("{}.{suffix}", target.weight_name(layer)));
                let tensor = tensor.expect("invariant: the adapter has both sides of its targets");
                tensor.offset..tensor.offset + tensor.len()
            };
            spots.push(Spot { outputs, a: part("lora_a"), b: part("lora_b") });
        }
    }
    spots
}

/// One thread's memory: activations of one row and buffers.
#[derive(Debug)]
pub struct Workspace {
    tools: Tools,
    buffers: Buffers,
    head: head::Buffers,
    saved: Vec<Saved>,
    /// Input of each layer, and the last layer's output.
    streams: Vec<Vec<f32>>,
    d_stream: Vec<f32>,
}

impl Workspace {
    pub fn new(layers: usize, precision: Precision) -> Self {
        let multiplier = Multiplier::new(precision);
        Self {
            tools: Tools { multiplier, low_rank: Vec::new(), d_low_rank: Vec::new(), dropped: Vec::new() },
            buffers: Buffers::default(),
            head: head::Buffers::default(),
            saved: (0..layers).map(|_| Saved::default()).collect(),
            streams: vec![Vec::new(); layers + 1],
            d_stream: Vec::new(),
        }
    }
}

/// Runs layers of a model on the calling thread.
#[derive(Debug)]
pub struct CpuExec<'a> {
    pub model: &'a Model,
    pub plan: &'a Plan,
    /// The packed weights of [`Plan::pack`], empty in f32.
    pub packed: &'a [PackedWeight],
    pub space: &'a mut Workspace,
    pub gradients: Gradients<'a>,
}

impl CpuExec<'_> {
    /// Logits `[positions, V]` of a row that went through [`super::exec::forward`].
    pub fn logits(&mut self, row: &Row, positions: &[u32]) -> Vec<f32> {
        let (model, plan, packed) = (self.model, self.plan, self.packed);
        let x = &self.space.streams[model.config.layers][..row.len() * model.config.hidden];
        head_of(model, plan, packed).logits_of(&mut self.space.tools.multiplier, &mut self.space.head, x, positions)
    }
}

fn layer_of<'a>(
    (model, plan, packed): (&'a Model, &'a Plan, &'a [PackedWeight]),
    layer: usize,
    row: &Row,
) -> Layer<'a> {
    let dropout = |lora: &Lora, spot: &Spot| {
        let key = row.dropout.filter(|_| lora.config.dropout > 0.0)?;
        // The place of an adapter's first side tells it from all others.
        Some(Dropout { key: dropout::mix(key, spot.a.start as u64), rate: lora.config.dropout })
    };

    let (config, offsets) = (&model.config, plan.offsets[layer]);
    let linear = |group: usize| {
        let index = layer * PROJECTIONS.len() + group;
        let place = plan.places[index];
        let adapters = model.lora.iter().flat_map(|lora| {
            plan.spots[index].iter().map(|spot| Adapter {
                outputs: spot.outputs.clone(),
                a: &lora.params[spot.a.clone()],
                b: &lora.params[spot.b.clone()],
                a_offset: spot.a.start,
                b_offset: spot.b.start,
                rank: lora.config.rank,
                scale: lora.config.scale(),
                dropout: dropout(lora, spot),
            })
        });
        Linear {
            weight: weight_of(model, plan, packed, index),
            outputs: place.outputs,
            inputs: place.inputs,
            offset: place.offset,
            adapters: adapters.collect(),
        }
    };
    Layer {
        qkv: linear(0),
        out: linear(1),
        gate_up: linear(2),
        down: linear(3),
        qkv_bias: model.vector(offsets.bqkv, config.qkv_dim()),
        attn_norm: model.vector(offsets.attn_norm, config.hidden),
        ffn_norm: model.vector(offsets.ffn_norm, config.hidden),
        offsets,
    }
}

fn weight_of<'a>(model: &'a Model, plan: &Plan, packed: &'a [PackedWeight], index: usize) -> Weight<'a> {
    let place = plan.places[index];
    let plain = || {
        let is_head = index + 1 == plan.places.len();
        if is_head { model.head() } else { model.weight(place.offset, place.outputs, place.inputs) }
    };
    packed.get(index).map_or_else(plain, Weight::Packed)
}

fn head_of<'a>(model: &'a Model, plan: &Plan, packed: &'a [PackedWeight]) -> Head<'a> {
    let index = plan.places.len() - 1;
    Head {
        norm: model.vector(plan.output_norm, model.config.hidden),
        weight: weight_of(model, plan, packed, index),
        vocab: model.config.vocab_size,
        eps: model.config.norm_eps,
        norm_offset: plan.output_norm,
        weight_offset: plan.places[index].offset,
    }
}

impl LayerExec for CpuExec<'_> {
    fn layers(&self) -> usize {
        self.model.config.layers
    }

    fn first_trained(&self) -> usize {
        let layers = self.model.config.layers;
        // An adapter on no layer would train nothing; the last one is walked all the same.
        self.model.lora.as_ref().map_or(0, |lora| lora.config.first_layer(layers).min(layers - 1))
    }

    fn embed(&mut self, row: &Row) {
        assert!(row.longest() <= self.plan.rotary.positions(), "invariant: no sequence is longer than the context");
        let d = self.model.config.hidden;
        let stream = fit(&mut self.space.streams[0], row.len() * d);
        for (x, &id) in stream.chunks_exact_mut(d).zip(&row.ids) {
            self.model.embed(id, x);
        }
    }

    fn forward(&mut self, row: &Row, layer: usize) {
        let config = &self.model.config;
        let n = row.len() * config.hidden;
        let slot = if self.plan.recompute { 0 } else { layer };
        let (inputs, outputs) = self.space.streams.split_at_mut(layer + 1);
        let heads = Heads { config, bounds: &row.bounds };
        layer_of((self.model, self.plan, self.packed), layer, row).forward(
            (&mut self.space.tools, &mut self.space.buffers),
            (heads, &self.plan.rotary, config.norm_eps),
            &inputs[layer][..n],
            &mut self.space.saved[slot],
            fit(&mut outputs[0], n),
        );
    }

    fn loss(&mut self, row: &Row) -> f64 {
        let head = head_of(self.model, self.plan, self.packed);
        let x = &self.space.streams[self.model.config.layers][..row.len() * self.model.config.hidden];
        let learnt = (row.positions.as_slice(), row.targets.as_slice());
        head.loss(&mut self.space.tools.multiplier, &mut self.space.head, x, learnt)
    }

    fn loss_and_gradient(&mut self, row: &Row, scale: f32) -> f64 {
        let head = head_of(self.model, self.plan, self.packed);
        let n = row.len() * self.model.config.hidden;
        let x = &self.space.streams[self.model.config.layers][..n];
        let dx = fit(&mut self.space.d_stream, n);
        let learnt = (row.positions.as_slice(), row.targets.as_slice(), scale);
        let multiplier = &mut self.space.tools.multiplier;
        head.loss_and_gradient(multiplier, &mut self.space.head, (x, dx), learnt, &mut self.gradients)
    }

    fn backward(&mut self, row: &Row, layer: usize) {
        // The last layer's forward is the one that was run last.
        if self.plan.recompute && layer + 1 < self.layers() {
            self.forward(row, layer);
        }
        let slot = if self.plan.recompute { 0 } else { layer };
        let config = &self.model.config;
        let n = row.len() * config.hidden;
        let heads = Heads { config, bounds: &row.bounds };
        layer_of((self.model, self.plan, self.packed), layer, row).backward(
            (&mut self.space.tools, &mut self.space.buffers),
            (heads, &self.plan.rotary),
            &self.space.streams[layer][..n],
            &mut self.space.saved[slot],
            &mut self.space.d_stream[..n],
            &mut self.gradients,
        );
    }

    fn embed_backward(&mut self, row: &Row) {
        let (d, vocab) = (self.model.config.hidden, self.model.config.vocab_size);
        let table = self.gradients.base(0, vocab * d);
        if table.is_empty() {
            return;
        }
        for (dx, &id) in self.space.d_stream.chunks_exact(d).zip(&row.ids) {
            kernels::add(&mut table[id as usize * d..][..d], dx);
        }
    }
}
