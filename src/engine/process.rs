//! What must be so in the whole process before a model is loaded: environment, stderr, memory and cores.
//!
//! Not for: the model itself.

use std::fs::File;

/// Settings that the libraries below llama.cpp read when they are loaded, before `main`.
const ENVIRONMENT: [(&str, &str); 3] = [
    // Without it OpenMP's threads spin while they wait: decoding becomes 9 to 28 times slower as soon as
    // a sandboxed test runs beside it (measured).
    ("OMP_WAIT_POLICY", "PASSIVE"),
    // Of GNU's OpenMP: some microseconds nevertheless. Most waits end within them, and a token has hundreds: 15 % more tokens
    // a second on two quiet cores, and none fewer beside a busy process (docs/log.md).
    ("GOMP_SPINCOUNT", "500"),
    // ggml would start a debugger to print a backtrace.
    ("GGML_NO_BACKTRACE", "1"),
];

/// Makes sure that the process runs with the environment inference needs. To be called first in `main`.
///
/// OpenMP reads its settings when it is loaded, which for a linked library is before `main`: so the
/// program replaces itself by itself, once, where a setting is missing. What the user has set is left
/// alone. Where that is not possible the program goes on, only slower.
pub fn prepare_process() {
    #[cfg(all(feature = "llama", target_os = "linux"))]
    {
        use std::os::unix::process::CommandExt;
        if ENVIRONMENT.iter().all(|(name, _)| std::env::var_os(name).is_some()) {
            return;
        }
        let Ok(program) = std::env::current_exe() else { return };
        let mut arguments = std::env::args_os();
        let mut command = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        let missing = ENVIRONMENT.iter().filter(|(name, _)| std::env::var_os(name).is_none());
        let error = command.args(arguments).envs(missing.copied()).exec();
        tracing::warn!(%error, "cannot set the environment for inference");
    }
    #[cfg(not(all(feature = "llama", target_os = "linux")))]
    let _ = ENVIRONMENT;
}

/// Sends everything written to stderr to a file for as long as it lives: llama.cpp's assertions and the
/// libraries below it write there, and a terminal interface would be torn apart.
#[derive(Debug)]
pub struct StderrGuard {
    #[cfg(unix)]
    before: std::os::fd::OwnedFd,
}

impl StderrGuard {
    /// # Errors
    /// Where the descriptor cannot be duplicated.
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "the standard library cannot put another file under descriptor 2")]
    pub fn redirect(log: &File) -> std::io::Result<Self> {
        use std::os::fd::{AsFd, AsRawFd};
        let before = std::io::stderr().as_fd().try_clone_to_owned()?;
        // SAFETY: both descriptors are open; descriptor 2 is not owned by any Rust value that closes it.
        if unsafe { libc::dup2(log.as_raw_fd(), libc::STDERR_FILENO) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self { before })
    }

    /// Does nothing on this platform.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(unix))]
    pub fn redirect(_log: &File) -> std::io::Result<Self> {
        Ok(Self {})
    }
}

#[cfg(unix)]
impl Drop for StderrGuard {
    #[expect(unsafe_code, reason = "the standard library cannot put another file under descriptor 2")]
    fn drop(&mut self) {
        use std::os::fd::AsRawFd;
        // SAFETY: `before` is open and descriptor 2 is not owned by any Rust value that closes it.
        unsafe { libc::dup2(self.before.as_raw_fd(), libc::STDERR_FILENO) };
    }
}

/// Memory that can be taken without swapping: the system's figure, what the control group leaves, or what is left of the
/// process's address space where that is limited (`ulimit -v`; llama.cpp aborts where it meets that limit).
/// Where none is known, everything is taken to be free.
pub fn memory_available_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let system = text.lines().find_map(|line| {
        let kib = line.strip_prefix("MemAvailable:")?.trim().strip_suffix("kB")?.trim();
        Some(kib.parse::<u64>().ok()? * 1024)
    });
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max").map(|max| {
        let used = number("/sys/fs/cgroup/memory.current").unwrap_or(0);
        // Page cache counts as used there but gives way; a mapped model file is page cache.
        let cache = std::fs::read_to_string("/sys/fs/cgroup/memory.stat")
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("file ")?.trim().parse::<u64>().ok())
            .unwrap_or(0);
        max.saturating_sub(used.saturating_sub(cache))
    });
    system.into_iter().chain(group).chain(address_space_left()).min().unwrap_or(u64::MAX)
}

#[cfg(target_os = "linux")]
fn address_space_left() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').next()?.parse().ok()?;
    Some(limit.saturating_sub(pages.saturating_mul(rustix::param::page_size() as u64)))
}

#[cfg(not(target_os = "linux"))]
fn address_space_left() -> Option<u64> {
    None
}

/// The library that runs models.
#[cfg(not(feature = "llama"))]
pub fn library() -> String {
    "none".to_owned()
}

/// What this machine has, where no back end can be asked.
#[cfg(not(feature = "llama"))]
pub fn machine() -> super::Machine {
    super::Machine {
        gpus: Vec::new(),
        memory_available_bytes: memory_available_bytes(),
        threads: physical_threads(),
        prefers_plain_weights: false,
    }
}

/// Physical cores that this process may use: hyper-threads share the units that matrix kernels need, and efficiency cores
/// make the others wait for them.
pub fn physical_threads() -> u32 {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path: String| std::fs::read_to_string(path).ok();
    let cpu = |cpu: usize, file: &str| read(format!("/sys/devices/system/cpu/cpu{cpu}/{file}"));
    let cores: Vec<(usize, String)> =
        (0..4096).map_while(|number| Some((number, cpu(number, "topology/thread_siblings_list")?))).collect();
    let capacities: Vec<Option<u32>> =
        cores.iter().map(|(number, _)| cpu(*number, "cpu_capacity")?.trim().parse().ok()).collect();
    let fast = fast_cpus(read("/sys/devices/cpu_core/cpus".to_owned()).as_deref(), &capacities);
    let siblings = cores.into_iter().filter(|(number, _)| fast.as_ref().is_none_or(|fast| fast.contains(number)));
    let mut siblings: Vec<String> = siblings.map(|(_, siblings)| siblings).collect();
    siblings.sort_unstable();
    siblings.dedup();
    let physical = if siblings.is_empty() { allowed } else { siblings.len() };
    allowed.min(physical) as u32
}

/// The processors that are no efficiency cores, where there are two kinds: by what Linux says of Intel's performance cores
/// (a list as "0-11,16"), or by ARM's capacities (a core with less than half of the largest is a small one).
fn fast_cpus(performance: Option<&str>, capacities: &[Option<u32>]) -> Option<Vec<usize>> {
    if let Some(list) = performance {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse::<usize>().ok()?..=last.trim().parse::<usize>().ok()?.min(4095))
        };
        let cpus: Vec<usize> = list.trim().split(',').filter_map(range).flatten().collect();
        return (!cpus.is_empty()).then_some(cpus);
    }
    let largest = capacities.iter().flatten().max().copied()?;
    let large = |capacity: &Option<u32>| capacity.is_none_or(|capacity| capacity.saturating_mul(2) >= largest);
    Some((0..capacities.len()).filter(|&cpu| large(&capacities[cpu])).collect())
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn stderr_goes_to_the_file_while_the_guard_lives_and_not_after() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let log = file.reopen().expect("the file opens twice");
        let guard = StderrGuard::redirect(&log).expect("redirected");
        std::io::stderr().write_all(b"into the log\n").expect("written");
        drop(guard);
        std::io::stderr().write_all(b"(this line on stderr is meant to be seen)\n").expect("written");
        let text = std::fs::read_to_string(file.path()).expect("readable");
        assert!(text.contains("into the log") && !text.contains("meant to be seen"), "{text}");
    }

    #[test]
    fn efficiency_cores_are_left_out() {
        assert_eq!(fast_cpus(Some("0-3,8\n"), &[]), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(fast_cpus(Some("nonsense"), &[]), None);
        let arm = [Some(400), Some(400), Some(1024), Some(900)];
        assert_eq!(fast_cpus(None, &arm), Some(vec![2, 3]));
        assert_eq!(fast_cpus(None, &[None, None]), None, "one kind of core only");
    }

    #[test]
    fn the_machine_has_memory_and_at_least_one_core() {
        assert!(memory_available_bytes() > 1 << 20);
        let allowed = std::thread::available_parallelism().map_or(1, usize::from) as u32;
        assert!((1..=allowed).contains(&physical_threads()));
    }
}
