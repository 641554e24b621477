//! Which walls can be built here, found out by building them around a small program.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::link::Link;
use super::policy::{End, Limits, Outcome, Policy, Request, Workspace};
use super::wire::{self, Order};
use crate::task::Tier;

/// How long one tier's probe may take.
const PROBE_MAX: Duration = Duration::from_secs(5);

/// What was found out about this machine's walls.
#[derive(Clone, Debug)]
pub struct ProbeReport {
    /// The tier that will be used; N where there is none.
    pub tier: Tier,
    /// Why it is not a stronger one, or what was wrong with the one asked for.
    pub why: String,
    /// The one command (or sentence) that would raise the tier, where there is one.
    pub raise: Option<String>,
    /// What the tier consists of here.
    pub features: Vec<String>,
    /// Every tier tried, strongest first, with the step that failed and why.
    pub tried: Vec<(Tier, Result<Vec<String>, String>)>,
    pub(crate) bwrap: Option<PathBuf>,
}

impl ProbeReport {
    /// What the tier means, in one sentence for a status line or `z1 doctor`.
    pub const fn promise(&self) -> &'static str {
        match self.tier {
            Tier::F => "separate files, processes and network; writes go to a throw-away layer",
            Tier::B => "separate files, processes and network through bubblewrap; works on a copy",
            Tier::S => "macOS seatbelt; works on a copy",
            Tier::L => {
                "no reading or writing outside the work folder and the toolchains, no network; can see that \
                 files exist and change modes and times of files that you own"
            }
            Tier::N => "none: generated code is not run",
        }
    }
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sandbox {:?}: {}", self.tier, self.promise())?;
        if !self.features.is_empty() {
            write!(f, "\n  built of: {}", self.features.join(", "))?;
        }
        if !self.why.is_empty() {
            write!(f, "\n  {}", self.why)?;
        }
        if let Some(raise) = &self.raise {
            write!(f, "\n  to raise it: {raise}")?;
        }
        Ok(())
    }
}

/// Probes this machine with a helper of its own; for `z1 doctor`.
pub fn probe(helper_exe: PathBuf) -> ProbeReport {
    probe_with(&Link::new(helper_exe), None)
}

/// Tries the tiers, strongest first (or only `forced`), until one holds.
pub(crate) fn probe_with(link: &Link, forced: Option<Tier>) -> ProbeReport {
    let order = forced.map_or_else(|| vec![Tier::F, Tier::B, Tier::L], |tier| vec![tier]);
    let bwrap = find_bwrap();
    let mut tried = Vec::new();
    for tier in order {
        let result = try_tier(link, tier, bwrap.as_deref());
        let found = result.is_ok();
        tried.push((tier, result));
        if found {
            break;
        }
    }
    report(tried, bwrap)
}

fn report(tried: Vec<(Tier, Result<Vec<String>, String>)>, bwrap: Option<PathBuf>) -> ProbeReport {
    let found = tried.last().and_then(|(tier, result)| Some((*tier, result.clone().ok()?)));
    let failures: Vec<String> =
        tried.iter().filter_map(|(tier, result)| Some(format!("{tier:?}: {}", result.as_ref().err()?))).collect();
    let (tier, features) = found.unwrap_or((Tier::N, Vec::new()));
    let raise = raise(tier, &failures, bwrap.as_deref());
    ProbeReport { tier, why: failures.join("; "), raise, features, tried, bwrap }
}

/// The one thing to do about a weak tier.
fn raise(tier: Tier, failures: &[String], bwrap: Option<&Path>) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("run z1 on Linux (on Windows: in WSL 2); nothing else is verified".into());
    }
    if matches!(tier, Tier::F | Tier::B | Tier::S) {
        return None;
    }
    let setting = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        return Some("sudo sysctl -w kernel.unprivileged_userns_clone=1".into());
    }
    if setting("/proc/sys/user/max_user_namespaces") == "0" {
        return Some("sudo sysctl -w user.max_user_namespaces=10000".into());
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        return Some(match bwrap {
            None => "sudo apt install bubblewrap apparmor-profiles".into(),
            Some(_) => "sudo ln -s /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ && \
                        sudo apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict"
                .into(),
        });
    }
    let blocked = failures.iter().any(|failure| failure.contains("not permitted"));
    blocked.then(|| {
        "allow user namespaces where z1 runs (in Docker: --security-opt seccomp=unconfined \
         --security-opt apparmor=unconfined)"
            .into()
    })
}

fn find_bwrap() -> Option<PathBuf> {
    // Not from PATH: whoever can put a file there must not become the wall.
    ["/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"].into_iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Builds the tier around a shell that says a word.
fn try_tier(link: &Link, tier: Tier, bwrap: Option<&Path>) -> Result<Vec<String>, String> {
    let outcome = run_blocking(link, tier, bwrap).map_err(|error| format!("the helper does not answer: {error}"))?;
    match outcome.end {
        End::Exit(0) if outcome.stdout.text() == "walls\n" => Ok(outcome.isolation.features),
        End::SandboxError { step, message } => Err(format!("{step}: {message}")),
        end => Err(format!("a shell inside it ended with {end:?}")),
    }
}

fn run_blocking(link: &Link, tier: Tier, bwrap: Option<&Path>) -> io::Result<Outcome> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(PROBE_MAX))?;
    link.send(&[theirs.as_fd()])?;
    drop(theirs);
    let mut policy = Policy::strict(Workspace::Files(Vec::new()), Limits::UNIT);
    policy.min_tier = Tier::N;
    let order = Order {
        policy,
        request: Request::new(["/bin/sh", "-c", "echo walls"]),
        tier,
        temp_dir: std::env::temp_dir(),
        bwrap: bwrap.map(Path::to_owned),
        helper_exe: link.exe().as_os_str().to_owned(),
        user_tasks: 1 << 20,
        private: Vec::new(),
    };
    let bytes = wire::encode_order(order).map_err(io::Error::other)?;
    wire::send(&ours, &bytes)?;
    wire::decode_outcome(&wire::receive(&ours)?)
}

/// The machine's memory, in bytes; 2 GiB where it cannot be read.
pub(crate) fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok()).map_or(2 << 30, |kib| kib * 1024)
}
