//! Several threads over the rows of one optimiser step.
//!
//! Rows are dealt to a fixed number of *lanes*, each with gradients of its own. Threads take whole lanes from
//! a queue, and the lanes' gradients are added in order at the end: the result does not depend on how many
//! threads there were or which was faster, and a busy core delays nobody but its own lane. One barrier a step.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::cpu::{CpuExec, Plan, Workspace};
use super::exec::{self, Row};
use super::gemm::PackedWeight;
use super::linear::Gradients;
use super::model::Model;

/// Values that one thread adds up at a time when lanes are joined.
const REDUCE_CHUNK: usize = 1 << 15;

/// Threads, their memory, and the lanes' gradients.
#[derive(Debug)]
pub struct Team {
    spaces: Vec<Workspace>,
    lanes: Vec<Vec<f32>>,
    packed: Vec<PackedWeight>,
    plan: Plan,
}

impl Team {
    /// # Panics
    /// With no thread or no lane.
    pub fn new(model: &Model, plan: Plan, threads: usize, lanes: usize) -> Self {
        assert!(threads > 0 && lanes > 0, "invariant: somebody does the work");
        let spaces = (0..threads).map(|_| Workspace::new(model.config.layers, plan.precision)).collect();
        let mut team = Self { spaces, lanes: vec![Vec::new(); lanes], packed: Vec::new(), plan };
        team.weights_changed(model);
        team
    }

    pub fn threads(&self) -> usize {
        self.spaces.len()
    }

    /// Packs the base weights again; to be called when they changed.
    pub fn weights_changed(&mut self, model: &Model) {
        let slots: Vec<Mutex<Option<PackedWeight>>> =
            (0..self.plan.packings(model)).map(|_| Mutex::new(None)).collect();
        let plan = &self.plan;
        share(&mut self.spaces, slots.len(), |_, index| {
            *slots[index].lock().expect("invariant: no thread panics holding a slot") = Some(plan.pack(model, index));
        });
        let filled = |slot: Mutex<Option<PackedWeight>>| {
            slot.into_inner().expect("invariant: no thread panicked").expect("invariant: every slot was filled")
        };
        self.packed = slots.into_iter().map(filled).collect();
    }

    /// Forward and backward over all rows. Returns the summed loss; the gradients, multiplied by `scale`, are
    /// then in [`Team::gradients`].
    pub fn step(&mut self, model: &Model, rows: &[Row], scale: f32) -> f64 {
        let len = model.trainable().0.len;
        let count = self.lanes.len();
        let lanes: Vec<Mutex<(&mut Vec<f32>, f64)>> =
            self.lanes.iter_mut().map(|lane| Mutex::new((lane, 0.0))).collect();
        let (plan, packed) = (&self.plan, self.packed.as_slice());
        share(&mut self.spaces, count, |space, index| {
            let mut lane = lanes[index].lock().expect("invariant: a lane has one thread");
            let (gradients, loss) = &mut *lane;
            gradients.clear();
            gradients.resize(len, 0.0);
            for row in rows.iter().skip(index).step_by(count) {
                let gradients = gradients_of(model, gradients);
                *loss += exec::pass(&mut CpuExec { model, plan, packed, space, gradients }, row, scale);
            }
        });
        let losses = lanes.into_iter().map(|lane| lane.into_inner().expect("invariant: no thread panicked").1);
        let loss = losses.sum();
        self.join_lanes();
        loss
    }

    /// Adds every lane onto the first, in order, in chunks shared among the threads.
    fn join_lanes(&mut self) {
        let (first, others) = self.lanes.split_first_mut().expect("invariant: there is a lane");
        let chunks: Vec<Mutex<&mut [f32]>> = first.chunks_mut(REDUCE_CHUNK).map(Mutex::new).collect();
        share(&mut self.spaces, chunks.len(), |_, index| {
            let mut to = chunks[index].lock().expect("invariant: a chunk has one thread");
            let at = index * REDUCE_CHUNK;
            for other in &*others {
                let end = at + to.len();
                super::kernels::add(&mut to, &other[at..end]);
            }
        });
    }

    /// The gradients of the last step, as long as what is trained.
    pub fn gradients(&self) -> &[f32] {
        &self.lanes[0]
    }

    /// Takes the gradients out, to update with them; give them back with [`Team::return_gradients`].
    pub fn take_gradients(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.lanes[0])
    }

    /// Keeps the memory for the next step.
    pub fn return_gradients(&mut self, gradients: Vec<f32>) {
        self.lanes[0] = gradients;
    }

    /// Shares independent jobs among the threads.
    pub fn share(&mut self, jobs: usize, work: impl Fn(usize) + Sync) {
        share(&mut self.spaces, jobs, |_, index| work(index));
    }

    /// The summed loss of each row, without gradients.
    pub fn losses(&mut self, model: &Model, rows: &[Row]) -> Vec<f64> {
        self.each_row(model, rows, |exec, row| exec::evaluate(exec, row))
    }

    /// The logits `[tokens, V]` of a row.
    pub fn logits(&mut self, model: &Model, row: &Row) -> Vec<f32> {
        let all: Vec<u32> = (0..row.len() as u32).collect();
        let mut of_rows = self.each_row(model, std::slice::from_ref(row), |exec, row| {
            exec::forward(exec, row);
            exec.logits(row, &all)
        });
        of_rows.pop().unwrap_or_default()
    }

    fn each_row<T: Send>(
        &mut self,
        model: &Model,
        rows: &[Row],
        work: impl Fn(&mut CpuExec<'_>, &Row) -> T + Sync,
    ) -> Vec<T> {
        let slots: Vec<Mutex<Option<T>>> = rows.iter().map(|_| Mutex::new(None)).collect();
        let (plan, packed) = (&self.plan, self.packed.as_slice());
        share(&mut self.spaces, rows.len(), |space, index| {
            let gradients = Gradients::Adapter(&mut []);
            let result = work(&mut CpuExec { model, plan, packed, space, gradients }, &rows[index]);
            *slots[index].lock().expect("invariant: a slot has one thread") = Some(result);
        });
        let filled = |slot: Mutex<Option<T>>| {
            slot.into_inner().expect("invariant: no thread panicked").expect("invariant: every row was visited")
        };
        slots.into_iter().map(filled).collect()
    }
}

fn gradients_of<'a>(model: &Model, flat: &'a mut [f32]) -> Gradients<'a> {
    if model.lora.is_some() { Gradients::Adapter(flat) } else { Gradients::Full(flat) }
}

/// Runs jobs `0..jobs` on as many threads as there are states; each job once, in no fixed order.
fn share<S: Send>(states: &mut [S], jobs: usize, work: impl Fn(&mut S, usize) + Sync) {
    let next = AtomicUsize::new(0);
    let run = |state: &mut S| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= jobs {
                return;
            }
            work(state, index);
        }
    };
    let (own, others) = states.split_first_mut().expect("invariant: there is a thread");
    std::thread::scope(|scope| {
        // The calling thread works too; more threads than jobs would only start and end.
        for state in others.iter_mut().take(jobs.saturating_sub(1)) {
            scope.spawn(|| run(state));
        }
        run(own);
    });
}
