//! The build, the processor, the memory, the GPUs and their drivers.

use std::fs;

use super::Finding;
use crate::engine;
use crate::model_store::disk::gigabytes;

/// With less than this free, only small models run.
const MEMORY_SMALL_BYTES: u64 = 2 << 30;

pub(super) fn look() -> Vec<Finding> {
    let machine = engine::machine();
    let mut found = vec![build(), processor(&machine), memory(&machine)];
    found.extend(gpus(&machine));
    found
}

pub(in crate::cmd) const fn back_ends() -> [(&'static str, bool); 5] {
    [
        ("llama", cfg!(feature = "llama")),
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("pull", cfg!(feature = "pull")),
    ]
}

fn build() -> Finding {
    let list = |on: bool| {
        let names: Vec<&str> =
            back_ends().into_iter().filter(|(_, built)| *built == on).map(|(name, _)| name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let kind = if cfg!(debug_assertions) { "debug" } else { "release" };
    let text = format!("z1 {} ({kind}), with {}; without {}", env!("CARGO_PKG_VERSION"), list(true), list(false));
    if cfg!(feature = "llama") {
        Finding::ok("build", text)
    } else {
        Finding::broken("build", format!("{text}: it cannot run a model"), "build with the default features")
    }
}

fn processor(machine: &engine::Machine) -> Finding {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    let features = features();
    let listed: Vec<&str> = features.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    let text = format!(
        "{}, {} physical cores for us, {}",
        name.unwrap_or(std::env::consts::ARCH),
        machine.threads,
        if listed.is_empty() { "no vector units that we ask for".to_owned() } else { listed.join(" ") }
    );
    let lacks_avx2 = features.iter().any(|(name, there)| *name == "avx2" && !there);
    if lacks_avx2 {
        return Finding::warning(
            "processor",
            text,
            "without AVX2 inference is slow; use another machine, or a small model",
        );
    }
    Finding::ok("processor", text)
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    use std::arch::is_aarch64_feature_detected as has;
    vec![("neon", has!("neon")), ("dotprod", has!("dotprod")), ("i8mm", has!("i8mm")), ("sve", has!("sve"))]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

fn memory(machine: &engine::Machine) -> Finding {
    let available = machine.memory_available_bytes;
    if available == u64::MAX {
        return Finding::ok("memory", "the system does not say how much is free");
    }
    let total = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total =
        total.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    let of = total.map_or_else(String::new, |kib: u64| format!(" of {}", gigabytes(kib * 1024)));
    let text = format!("{}{of} can be taken without swapping", gigabytes(available));
    if available < MEMORY_SMALL_BYTES {
        return Finding::warning("memory", text, "close other programs; a 7B needs about 6 GB");
    }
    Finding::ok("memory", text)
}

fn gpus(machine: &engine::Machine) -> Vec<Finding> {
    let used = machine.gpus.iter().map(|gpu| {
        let sizes = format!("{} of {} free", gigabytes(gpu.free_bytes), gigabytes(gpu.total_bytes));
        let driver = nvidia_driver().filter(|_| gpu.name.starts_with("CUDA"));
        let driver = driver.map_or_else(String::new, |version| format!(", driver {version}"));
        Finding::ok("GPU", format!("{} {}, {sizes}{driver}", gpu.name, gpu.description))
    });
    let mut found: Vec<Finding> = used.collect();
    if !found.is_empty() {
        return found;
    }
    let seen = cards();
    let any_built = cfg!(any(feature = "cuda", feature = "metal", feature = "vulkan"));
    match seen.first() {
        None => found.push(Finding::ok("GPU", "none; models run on the CPU")),
        Some(vendor) if any_built => found.push(Finding::warning(
            "GPU",
            format!("a GPU of {vendor} is there, but this build's back end does not see it"),
            "check its driver (nvidia-smi, vulkaninfo) and that you may open /dev/dri or /dev/nvidia*",
        )),
        Some(vendor) => {
            let feature = if *vendor == "NVIDIA" { "cuda" } else { "vulkan" };
            found.push(Finding::warning(
                "GPU",
                format!("a GPU of {vendor} is there, but this build has no back end for it"),
                format!("cargo build --release --features {feature}"),
            ));
        }
    }
    found
}

fn nvidia_driver() -> Option<String> {
    let text = fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    let words = text.lines().next()?.split_whitespace();
    words.into_iter().find(|word| word.split('.').count() >= 2 && word.starts_with(char::is_numeric)).map(str::to_owned)
}

/// Vendors of the graphics cards that the kernel knows.
fn cards() -> Vec<&'static str> {
    let Ok(entries) = fs::read_dir("/sys/class/drm") else { return Vec::new() };
    let vendor = |path: std::path::PathBuf| {
        let id = fs::read_to_string(path.join("device/vendor")).ok()?;
        match id.trim() {
            "0x10de" => Some("NVIDIA"),
            "0x1002" => Some("AMD"),
            "0x8086" => Some("Intel"),
            _ => None,
        }
    };
    let mut found: Vec<&str> = entries.flatten().filter_map(|entry| vendor(entry.path())).collect();
    if fs::metadata("/proc/driver/nvidia/version").is_ok() {
        found.push("NVIDIA");
    }
    found.sort_unstable();
    found.dedup();
    // Where there are several, the discrete one matters.
    found.sort_by_key(|vendor| ["NVIDIA", "AMD", "Intel"].iter().position(|known| known == vendor));
    found
}
