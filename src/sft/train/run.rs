//! The loop: take rows, one step, say how it went, evaluate, save; stop when done, told to, or broken.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::checkpoint::{self, Best, Checkpoint, Identity, State};
use super::dataset::Dataset;
use super::feed::{self, Feed, Place};
use super::memory::{self, Estimate, Load};
use super::metrics::{EvalRecord, Metrics, Record, StepRecord};
use super::optimiser::{Optimiser, Rates};
use super::recipe::Recipe;
use super::schedule::Schedule;
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::sft::core::config::ModelConfig;
use crate::sft::core::cpu::Plan;
use crate::sft::core::dropout;
use crate::sft::core::exec::Row;
use crate::sft::core::model::Model;
use crate::sft::core::params::LoraConfig;
use crate::sft::core::team::Team;

/// Identity keys that a resumed run may never change: its memory would not fit, or it is another model's.
const FIXED: [&str; 4] = ["model", "lora", "optimiser", "base"];
/// Begins the keys of settings whose change is said and followed: a run may be made longer, or its rate lowered.
const SETTING: &str = "train.";
/// Identity keys whose change makes the position in the data meaningless.
const POSITION: [&str; 3] = ["data", "seed", "row_tokens"];
/// Share of the newest step in the smoothed speed.
const SPEED_BLEND: f64 = 0.1;

/// What the loop tells its caller.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Said once, before the first step.
    Started {
        summary: Vec<String>,
    },
    Step {
        record: StepRecord,
        steps: u64,
        seconds_left: f64,
    },
    Evaluated {
        record: EvalRecord,
        best: bool,
    },
    Saved {
        path: PathBuf,
    },
    Warning(String),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Finished,
    /// Evaluations stopped improving.
    StoppedEarly,
    /// A checkpoint was saved first.
    Cancelled,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub end: End,
    pub state: State,
    /// Mean loss of the last step.
    pub last_loss: Option<f64>,
}

/// How to go on where the folder already holds checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Refuse.
    No,
    /// Go on exactly; a folder without checkpoints starts afresh.
    Exact,
    /// Go on with the changed data, batch or seed of the recipe.
    Changed,
}

/// Scores a model during training: the share of sampled problems it solves.
pub type Probe<'a> = dyn FnMut(&Model, u64) -> anyhow::Result<Option<f64>> + 'a;

/// Everything a run needs.
pub struct Job<'a> {
    pub recipe: &'a Recipe,
    /// The model to start from: fresh, or the one that `train.init` names.
    pub model: Model,
    pub data: Dataset,
    pub held_out: Option<Dataset>,
    /// Checkpoints, metrics and the final model go here.
    pub folder: &'a Path,
    pub resume: Resume,
    pub cancel: &'a Cancel,
    pub observe: &'a mut dyn FnMut(&Progress),
    pub probe: Option<&'a mut Probe<'a>>,
}

/// The moving parts of a run.
struct Trainer<'a> {
    recipe: &'a Recipe,
    model: Model,
    optimiser: Optimiser,
    team: Team,
    feed: Feed,
    held_out: Vec<Row>,
    state: State,
    identity: Identity,
    folder: &'a Path,
    schedule: Schedule,
}

/// Trains until the recipe's end, an early stop, or a cancel.
///
/// # Errors
/// Where the folder holds another run, memory does not suffice, the loss is no longer a number, or something
/// cannot be written. Checkpoints that were saved before stay.
pub fn train(job: Job<'_>) -> anyhow::Result<Summary> {
    let Job { recipe, model, data, held_out, folder, resume, cancel, observe, mut probe } = job;
    let (mut trainer, notes) = Trainer::new(recipe, model, (data, held_out), folder)?;
    let resumed = trainer.resume(resume, observe)?;
    let mut summary = trainer.describe(resumed);
    summary.extend(notes);
    observe(&Progress::Started { summary });
    let mut metrics = Metrics::open(&folder.join("metrics.jsonl"), trainer.state.step)?;
    let (mut speed, mut saved_at, mut last_loss) = (None, Instant::now(), None);
    while trainer.state.step < trainer.schedule.steps {
        if cancel.is_cancelled() {
            trainer.save(observe)?;
            return Ok(Summary { end: End::Cancelled, state: trainer.state, last_loss });
        }
        let record = trainer.step()?;
        last_loss = Some(record.loss);
        speed = Some(speed.map_or(record.seconds, |s: f64| s + SPEED_BLEND * (record.seconds - s)));
        let left = (trainer.schedule.steps - record.step) as f64 * speed.unwrap_or(0.0);
        metrics.append(&Record::Step(record.clone()))?;
        observe(&Progress::Step { record, steps: trainer.schedule.steps, seconds_left: left });
        if trainer.due_for_eval() && trainer.evaluate(&mut metrics, observe, probe.as_deref_mut())? {
            trainer.save(observe)?;
            // What it stopped for: the best evaluation's model, not the last one's.
            let (best, last) = (folder.join("best.safetensors"), folder.join("final.safetensors"));
            checkpoint::copy(&best, &last)?;
            observe(&Progress::Saved { path: last });
            return Ok(Summary { end: End::StoppedEarly, state: trainer.state, last_loss });
        }
        if trainer.due_for_save(saved_at) {
            trainer.save(observe)?;
            saved_at = Instant::now();
        }
    }
    checkpoint::save_model(&folder.join("final.safetensors"), &trainer.model)?;
    observe(&Progress::Saved { path: folder.join("final.safetensors") });
    Ok(Summary { end: End::Finished, state: trainer.state, last_loss })
}

impl<'a> Trainer<'a> {
    fn new(
        recipe: &'a Recipe,
        model: Model,
        (data, held_out): (Dataset, Option<Dataset>),
        folder: &'a Path,
    ) -> anyhow::Result<(Self, Vec<String>)> {
        let tokens_max = recipe.data.row_tokens.min(model.config.context);
        let vocab = model.config.vocab_size;
        let (data, mut notes) = data.fit(tokens_max, vocab)?;
        let precision = recipe.precision()?;
        let optimiser = Optimiser::new(recipe.optimiser(precision), model.trainable().0);
        let threads = thread_count(recipe);
        let recompute = recipe.train.recompute.unwrap_or(model.frozen.is_some());
        let lora = model.lora.as_ref().map(|lora| lora.config.clone());
        // Weights that are there already are not counted as still to be found.
        let load = load_of(recipe, &model.config, lora, model.frozen.as_ref().map(|_| 0), data.tokens())?;
        let resident = if model.frozen.is_some() { 0 } else { 4 * model.layout.len as u64 };
        Estimate::check(&load, memory::free_bytes().map(|free| free + resident))?;
        let held_out = match held_out {
            Some(set) => held_out_rows(set, recipe, tokens_max, vocab, &mut notes)?,
            None => Vec::new(),
        };
        let team =
            Team::new(&model, Plan::new(&model, precision).with_recompute(recompute), threads, recipe.train.lanes);
        let identity = identity(recipe, &model, &data, precision)?;
        let mut feed = Feed::new(data, recipe);
        let schedule = recipe.schedule(feed.total_steps(recipe));
        let state = State::default();
        Ok((Self { recipe, model, optimiser, team, feed, held_out, state, identity, folder, schedule }, notes))
    }

    /// Takes up the newest checkpoint of the folder; whether there was one.
    fn resume(&mut self, resume: Resume, observe: &mut dyn FnMut(&Progress)) -> anyhow::Result<bool> {
        let kept = checkpoint::list(self.folder);
        if let (Resume::No, Some((step, _))) = (resume, kept.last()) {
            let what = format!("{} already holds a run at step {step}", self.folder.display());
            let hint = "add --resume to go on with it, or give another --out";
            return Err(UserError::usage(what).hint(hint).into());
        }
        let (found, notes) = Checkpoint::newest(self.folder)?;
        for note in notes {
            observe(&Progress::Warning(note));
        }
        let Some(found) = found else { return Ok(false) };
        let differences = found.differences(&self.identity);
        let fixed = differences.iter().any(|(key, _)| FIXED.contains(&key.as_str()));
        let matters = differences.iter().any(|(key, _)| !key.starts_with(SETTING));
        if fixed || (resume == Resume::Exact && matters) {
            let list: Vec<&str> = differences.iter().map(|(_, text)| text.as_str()).collect();
            let what = format!("the checkpoint in {} is of another run: {}", self.folder.display(), list.join("; "));
            let hint = if fixed {
                "give another --out; train.init can start from its weights"
            } else {
                "undo the change, or add --resume-changed to go on with it"
            };
            return Err(UserError::usage(what).hint(hint).into());
        }
        self.state = found.restore(&mut self.model, &mut self.optimiser)?;
        for (_, text) in &differences {
            observe(&Progress::Warning(format!("going on with a change: {text}")));
        }
        if differences.iter().any(|(key, _)| POSITION.contains(&key.as_str())) {
            (self.state.epoch, self.state.row) = (0, 0);
        }
        self.team.weights_changed(&self.model);
        Ok(true)
    }

    fn describe(&self, resumed: bool) -> Vec<String> {
        let config = &self.model.config;
        let (all, trained) = (self.model.layout.len, self.model.trainable().0.len);
        let mut lines = vec![
            format!(
                "{:.2} M parameters ({:.2} M trained), {} layers of {}, vocabulary {}, {:?}, {} threads",
                all as f64 / 1e6,
                trained as f64 / 1e6,
                config.layers,
                config.hidden,
                config.vocab_size,
                self.recipe.precision().unwrap_or(crate::sft::core::gemm::Precision::F32),
                self.team.threads()
            ),
            format!(
                "{} sequences, {:.2} M tokens ({:.2} M learnt) in about {} rows; {} steps of {} rows",
                self.feed.data().len(),
                self.feed.data().tokens() as f64 / 1e6,
                self.feed.data().learnt_tokens() as f64 / 1e6,
                self.feed.epoch_rows(),
                self.schedule.steps,
                self.recipe.rows_per_step()
            ),
        ];
        if resumed {
            lines.push(format!("going on from step {}", self.state.step));
        }
        lines
    }

    /// The rows of the next step.
    fn take_rows(&mut self) -> Vec<Row> {
        let at = Place { epoch: self.state.epoch, row: self.state.row };
        let (rows, at) = self.feed.take(self.recipe.rows_per_step(), at);
        (self.state.epoch, self.state.row) = (at.epoch, at.row);
        // From seed, step and place in the step: a resumed run leaves out what it would have.
        let drops = self.recipe.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0);
        let step = dropout::mix(self.recipe.train.seed, self.state.step);
        let key = |index: usize| drops.then(|| dropout::mix(step, index as u64));
        rows.iter().enumerate().map(|(index, row)| Row { dropout: key(index), ..Row::from(row) }).collect()
    }

    fn step(&mut self) -> anyhow::Result<StepRecord> {
        let begin = Instant::now();
        let rows = self.take_rows();
        let learnt: usize = rows.iter().map(|row| row.targets.len()).sum();
        let loss = self.team.step(&self.model, &rows, 1.0 / learnt as f32) / learnt as f64;
        // Taken out of the team for the while: the team also does the update.
        let gradients = self.team.take_gradients();
        let norm = Optimiser::gradient_norm(&mut self.team, &gradients);
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(self.broken(loss, norm));
        }
        let factor = self.schedule.factor(self.state.step);
        let train = &self.recipe.train;
        let (lr, lr_matrices) = (train.lr * factor, train.lr_matrices.unwrap_or(train.lr) * factor);
        let rates = Rates { step: self.state.step, lr: lr as f32, lr_matrices: lr_matrices as f32 };
        let full = self.model.lora.is_none();
        let layout = self.model.trainable().0.clone();
        let params = self.model.trainable_mut().1;
        self.optimiser.update(&mut self.team, &layout, (params, &gradients, norm), rates);
        self.team.return_gradients(gradients);
        if full {
            self.team.weights_changed(&self.model);
        }
        let tokens: usize = rows.iter().map(Row::len).sum();
        self.state.step += 1;
        self.state.tokens += tokens as u64;
        self.state.learnt_tokens += learnt as u64;
        let seconds = begin.elapsed().as_secs_f64();
        Ok(StepRecord {
            step: self.state.step,
            loss,
            lr,
            gradient_norm: norm,
            tokens: tokens as u64,
            learnt_tokens: learnt as u64,
            tokens_seen: self.state.tokens,
            tokens_per_second: tokens as f64 / seconds,
            epoch: self.state.epoch as f64 + self.state.row as f64 / self.feed.epoch_rows().max(1) as f64,
            seconds,
        })
    }

    fn broken(&self, loss: f64, norm: f64) -> anyhow::Error {
        let what = format!("at step {} the loss is {loss} and the gradient {norm}", self.state.step + 1);
        let kept = checkpoint::list(self.folder).pop();
        let hint = match kept {
            Some((step, path)) => {
                format!("the checkpoint of step {step} is kept ({}); go on with a lower train.lr", path.display())
            }
            None => {
                "there is no checkpoint yet; start again with a lower train.lr or more train.warmup_steps".to_owned()
            }
        };
        UserError::new(Exit::Error, what).hint(hint).into()
    }

    fn due_for_save(&self, saved_at: Instant) -> bool {
        let train = &self.recipe.train;
        let last = self.state.step == self.schedule.steps;
        let by_steps = train.checkpoint_steps > 0 && self.state.step.is_multiple_of(train.checkpoint_steps);
        let minutes = saved_at.elapsed().as_secs_f64() / 60.0;
        last || by_steps || (train.checkpoint_minutes > 0.0 && minutes >= train.checkpoint_minutes)
    }

    fn save(&mut self, observe: &mut dyn FnMut(&Progress)) -> anyhow::Result<()> {
        let path = checkpoint::save(self.folder, &self.model, &self.optimiser, (&self.state, &self.identity))?;
        checkpoint::prune(self.folder, self.recipe.train.keep_checkpoints);
        observe(&Progress::Saved { path });
        Ok(())
    }

    fn due_for_eval(&self) -> bool {
        let every = self.recipe.train.eval_steps;
        every > 0 && (self.state.step.is_multiple_of(every) || self.state.step == self.schedule.steps)
    }

    /// Evaluates, keeps the best model; whether to stop now.
    fn evaluate(
        &mut self,
        metrics: &mut Metrics,
        observe: &mut dyn FnMut(&Progress),
        probe: Option<&mut Probe<'_>>,
    ) -> anyhow::Result<bool> {
        let held_out_loss = (!self.held_out.is_empty()).then(|| mean_loss(&mut self.team, &self.model, &self.held_out));
        let pass_at_1 = match probe {
            Some(probe) => probe(&self.model, self.state.step)?,
            None => None,
        };
        let record = EvalRecord { step: self.state.step, held_out_loss, pass_at_1 };
        let best = held_out_loss.is_some_and(|loss| self.state.best.is_none_or(|best| loss < best.loss));
        if let (true, Some(loss)) = (best, held_out_loss) {
            self.state.best = Some(Best { step: self.state.step, loss });
            self.state.idle_evals = 0;
            checkpoint::save_model(&self.folder.join("best.safetensors"), &self.model)?;
        } else if held_out_loss.is_some() {
            self.state.idle_evals += 1;
        }
        metrics.append(&Record::Eval(record.clone()))?;
        observe(&Progress::Evaluated { record, best });
        let patience = self.recipe.train.patience;
        Ok(patience > 0 && self.state.idle_evals >= patience)
    }
}

/// Mean loss of the learnt tokens of some rows (nats a token).
pub fn mean_loss(team: &mut Team, model: &Model, rows: &[Row]) -> f64 {
    let learnt: usize = rows.iter().map(|row| row.targets.len()).sum();
    team.losses(model, rows).iter().sum::<f64>() / learnt.max(1) as f64
}

fn held_out_rows(
    set: Dataset,
    recipe: &Recipe,
    tokens_max: usize,
    vocab: usize,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<Row>> {
    let (set, more) = set.fit(tokens_max, vocab)?;
    notes.extend(more.into_iter().map(|note| format!("held out: {note}")));
    Ok(feed::held_out(&set, recipe).iter().map(Row::from).collect())
}

/// A run as far as its memory goes.
///
/// # Errors
/// A precision that this processor does not have.
pub fn load_of(
    recipe: &Recipe,
    config: &ModelConfig,
    lora: Option<LoraConfig>,
    stays_bytes: Option<u64>,
    data_tokens: u64,
) -> anyhow::Result<Load> {
    Ok(Load {
        config: config.clone(),
        recompute: recipe.train.recompute.unwrap_or(stays_bytes.is_some()),
        lora,
        stays_bytes,
        threads: thread_count(recipe),
        lanes: recipe.train.lanes,
        row_tokens: recipe.data.row_tokens.min(config.context),
        precision: recipe.precision()?,
        optimiser: recipe.train.optimiser,
        data_tokens,
    })
}

fn thread_count(recipe: &Recipe) -> usize {
    match recipe.train.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(recipe.train.lanes),
        threads => threads,
    }
}

fn identity(
    recipe: &Recipe,
    model: &Model,
    data: &Dataset,
    precision: crate::sft::core::gemm::Precision,
) -> anyhow::Result<Identity> {
    let train = &recipe.train;
    let lora = recipe.lora.as_ref().map(serde_json::to_string).transpose()?;
    let base = model.base.as_ref().filter(|_| model.lora.is_some());
    let length = match (train.steps, train.epochs, train.tokens) {
        (Some(steps), _, _) => format!("{steps} steps"),
        (_, Some(epochs), _) => format!("{epochs} epochs"),
        (_, _, tokens) => format!("{} tokens", tokens.unwrap_or(0)),
    };
    Ok(Identity::from(
        [
            ("base", base.map_or_else(|| "none".to_owned(), |base| base.fingerprint.clone())),
            ("train.length", length),
            ("train.lr", train.lr.to_string()),
            ("train.lr_matrices", train.lr_matrices.unwrap_or(train.lr).to_string()),
            ("train.warmup_steps", train.warmup_steps.to_string()),
            ("train.decay", format!("{:?} from {} to {}", train.decay, train.decay_from, train.lr_floor)),
            ("train.weight_decay", train.weight_decay.to_string()),
            ("train.clip", train.clip.to_string()),
            ("train.betas", format!("{} {} {} {}", train.beta1, train.beta2, train.eps, train.momentum)),
            ("train.recompute", train.recompute.unwrap_or(model.frozen.is_some()).to_string()),
            ("model", serde_json::to_string(&model.config)?),
            ("lora", lora.unwrap_or_else(|| "none".to_owned())),
            ("optimiser", format!("{:?}", train.optimiser)),
            ("data", data.fingerprint()),
            ("seed", train.seed.to_string()),
            ("row_tokens", recipe.data.row_tokens.to_string()),
            ("rows_per_step", recipe.rows_per_step().to_string()),
            ("lanes", train.lanes.to_string()),
            ("precision", format!("{precision:?}")),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    ))
}
