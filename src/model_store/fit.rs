//! The engine's plan for a model on this machine, as figures for a person: what goes where, what is left, what
//! was given up.
//!
//! Not for: deciding it (`engine::plan`).

use serde::Serialize;

use super::disk::gigabytes;
use crate::engine::{
    EngineError, GPU_MARGIN_BYTES, HOST_MARGIN_BYTES, KvType, LoadOptions, Machine, Plan, Shape, plan,
};
use crate::gguf::Gguf;

/// A model, this machine, and how the one would be loaded on the other.
#[derive(Clone, Debug, Serialize)]
pub struct Fit {
    pub shape: Shape,
    pub machine: Machine,
    /// Absent where the model does not fit.
    pub plan: Option<Plan>,
    /// Why there is no plan.
    pub refused: Option<String>,
}

impl Fit {
    /// Computes the fit from a file's header.
    ///
    /// # Errors
    /// Where the file is no model that can be run.
    pub fn of(gguf: &Gguf, options: &LoadOptions, machine: Machine) -> Result<Self, EngineError> {
        let shape = Shape::of(gguf)?;
        let options = LoadOptions { path: gguf.path.clone(), ..options.clone() };
        Ok(match plan(&options, &shape, &machine) {
            Ok(plan) => Self { shape, machine, plan: Some(plan), refused: None },
            Err(error) => Self { shape, machine, plan: None, refused: Some(error.to_string()) },
        })
    }

    /// The table that `z1 doctor` and `z1 models info` show, line by line.
    pub fn table(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(plan) = &self.plan else {
            lines.extend(self.refused.clone());
            return lines;
        };
        let gpu = !self.machine.gpus.is_empty();
        let row = |name: &str, host: &str, device: &str| {
            let line = if gpu { format!("{name:<16}{host:>10}{device:>12}") } else { format!("{name:<16}{host:>10}") };
            line.trim_end().to_owned()
        };
        let sizes = |name: &str, host: u64, device: u64| row(name, &gigabytes(host), &gigabytes(device));
        lines.push(row("", "memory", "GPU"));
        lines.push(sizes("weights", plan.host.weights_bytes, plan.gpu.weights_bytes));
        lines.push(sizes("KV cache", plan.host.kv_bytes, plan.gpu.kv_bytes));
        lines.push(sizes("compute", plan.host.compute_bytes, plan.gpu.compute_bytes));
        lines.push(sizes("together", plan.host.total(), plan.gpu.total()));
        let gpu_free = self.machine.gpus.iter().map(|gpu| gpu.free_bytes).sum();
        lines.push(sizes("free", self.machine.memory_available_bytes, gpu_free));
        let margin = GPU_MARGIN_BYTES * self.machine.gpus.len() as u64;
        lines.push(sizes("kept free", HOST_MARGIN_BYTES, margin));
        lines.push(format!(
            "context {}, cache for {} tokens as {} ({} bytes a token), batches of {}, {} threads, {}",
            plan.context_tokens_max,
            plan.cells,
            plan.kv.name(),
            self.shape.kv_bytes_per_token(plan.kv),
            plan.batch_tokens,
            plan.threads,
            plan.offload
        ));
        lines.extend(plan.given_up.iter().map(|note| format!("given up: {note}")));
        lines
    }

    /// Bytes of cache for one token, for each type.
    pub fn kv_per_token(&self) -> [(&'static str, u64); 3] {
        [KvType::F16, KvType::Q8_0, KvType::Q4_0].map(|kv| (kv.name(), self.shape.kv_bytes_per_token(kv)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Gpu;
    use crate::gguf::tiny::Tiny;

    fn fit(available: u64, gpus: Vec<Gpu>) -> Fit {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        Tiny::default().write(&path).unwrap();
        let machine = Machine { gpus, memory_available_bytes: available, threads: 2, prefers_plain_weights: true };
        Fit::of(&Gguf::open(&path).unwrap(), &LoadOptions::from_path(""), machine).unwrap()
    }

    #[test]
    fn the_table_adds_up_and_says_where_everything_is() {
        let on_cpu = fit(4 << 30, Vec::new());
        let plan = on_cpu.plan.as_ref().unwrap();
        assert_eq!(plan.host.weights_bytes + plan.host.kv_bytes + plan.host.compute_bytes, plan.host.total());
        let table = on_cpu.table().join("\n");
        assert!(table.contains("together") && table.contains("CPU") && !table.contains("GPU 0"), "{table}");
        let gpu = Gpu { name: "CUDA0".into(), description: "x".into(), free_bytes: 8 << 30, total_bytes: 8 << 30 };
        let table = fit(4 << 30, vec![gpu]).table().join("\n");
        assert!(table.contains("3 of 3 layers on CUDA0"), "{table}");
    }

    #[test]
    fn what_does_not_fit_is_said_with_both_figures() {
        let refused = fit(1 << 20, Vec::new());
        assert!(refused.plan.is_none());
        assert!(refused.table()[0].contains("are free"), "{:?}", refused.table());
    }
}
