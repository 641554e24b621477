//! What a trial may do, and what came of it: plain data that crosses the pipe to the helper process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text;
use crate::task::Tier;

/// The work directory of programs without a project, as they see it, in tiers F and B; with a project, a link to it.
/// A project is at its own path there. (In tier L the work directory is a folder under the system's temporary one; read
/// it from [`Outcome::work_dir`] or `$PWD`.)
pub const WORK_DIR: &str = "/box";

/// What a trial may see and use. Nothing is inherited: an empty list means nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Readable besides the system's toolchains; canonicalised; must exist.
    pub ro: Vec<PathBuf>,
    /// Readable as well where they exist, may be granted and can be reached; left out without a word where not.
    pub ro_if_possible: Vec<PathBuf>,
    /// Like `ro_if_possible`, and in tier F the program may write to them: to a throw-away layer. For the caches of
    /// tools.
    pub layered: Vec<PathBuf>,
    /// Hidden even where a parent is readable; deny beats allow.
    pub hide: Vec<PathBuf>,
    pub workspace: Workspace,
    /// Files and folders of the workspace (relative) that the program can read but not change.
    pub protected: Vec<PathBuf>,
    pub net: Net,
    /// The whole environment besides PATH, HOME, USER, LOGNAME, TMPDIR, LC_ALL, TZ, NO_COLOR, CI and
    /// SOURCE_DATE_EPOCH, which the sandbox sets. What is named here wins over those; an empty value takes one away.
    /// Paths beneath an overlaid project are rewritten where the program sees it elsewhere (tier L).
    #[serde(with = "pairs")]
    pub env: BTreeMap<OsString, OsString>,
    pub limits: Limits,
    /// Refuse to run behind weaker walls than these.
    pub min_tier: Tier,
}

impl Policy {
    /// The strictest policy for this workspace: nothing readable but the system's toolchains, no network,
    /// an empty environment, any tier that isolates.
    pub const fn strict(workspace: Workspace, limits: Limits) -> Self {
        Self {
            ro: Vec::new(),
            ro_if_possible: Vec::new(),
            layered: Vec::new(),
            hide: Vec::new(),
            workspace,
            protected: Vec::new(),
            net: Net::Off,
            env: BTreeMap::new(),
            limits,
            min_tier: Tier::L,
        }
    }
}

/// Where the program works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Workspace {
    /// An empty directory, filled with these files (relative path, content, executable).
    Files(Vec<(PathBuf, Vec<u8>, bool)>),
    /// The project, under a throw-away layer: nothing that the program writes reaches `lower`. `extra`
    /// files are laid over it before the start.
    Overlay { lower: PathBuf, extra: Vec<(PathBuf, Vec<u8>, bool)> },
}

/// What the program may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Net {
    #[default]
    Off,
    /// A loopback of its own (tiers F and B only).
    Loopback,
}

impl Net {
    /// A loopback where the tier has one of its own: it reaches nobody.
    pub const fn own(tier: Tier) -> Self {
        match tier {
            Tier::F | Tier::B => Self::Loopback,
            _ => Self::Off,
        }
    }
}

/// The most that a program can raise its stack to, in bytes.
pub const STACK_BYTES_MAX: u64 = 64 << 20;

/// The bounds of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub wall: Duration,
    /// Of the whole process tree.
    pub cpu: Duration,
    /// Resident memory of the whole process tree.
    pub memory_bytes_max: u64,
    /// Private data of one process (`RLIMIT_DATA`); [`u64::MAX`]: the tree's memory alone counts.
    pub data_bytes_max: u64,
    /// Stack of the main thread, and of every thread that does not say otherwise. A program may raise its own to
    /// [`STACK_BYTES_MAX`].
    pub stack_bytes: u64,
    pub processes_max: u32,
    pub file_bytes_max: u64,
    pub disk_bytes_max: u64,
    pub inodes_max: u64,
    pub open_files_max: u32,
    /// Kept of each of stdout and stderr: this much of the start …
    pub head_bytes: usize,
    /// … and this much of the end.
    pub tail_bytes: usize,
    /// Printing more than this in all ends the trial.
    pub output_bytes_max: u64,
}

impl Limits {
    /// For one function or one small program.
    pub const UNIT: Self = Self {
        wall: Duration::from_secs(10),
        cpu: Duration::from_secs(10),
        memory_bytes_max: 1 << 30,
        // Reserved, not used: as many threads as there may be processes, each with a deep stack.
        data_bytes_max: 8 << 30,
        stack_bytes: STACK_BYTES_MAX,
        processes_max: 64,
        file_bytes_max: 64 << 20,
        disk_bytes_max: 256 << 20,
        inodes_max: 64 << 10,
        open_files_max: 1024,
        head_bytes: 16 << 10,
        tail_bytes: 48 << 10,
        output_bytes_max: 8 << 20,
    };

    /// For a project's own tests and builds, on a small machine; see [`Self::project`].
    pub const PROJECT: Self = Self {
        wall: Duration::from_secs(300),
        cpu: Duration::from_secs(600),
        memory_bytes_max: 4 << 30,
        // Sanitizers and virtual machines reserve terabytes that they never touch.
        data_bytes_max: u64::MAX,
        stack_bytes: 8 << 20,
        processes_max: 512,
        file_bytes_max: 1 << 30,
        disk_bytes_max: 2 << 30,
        inodes_max: 512 << 10,
        ..Self::UNIT
    };

    /// [`Self::PROJECT`] as it fits this machine: processor time and threads grow with its cores, memory with its own.
    pub fn project() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u32;
        let memory = super::probe::memory_bytes();
        Self {
            cpu: Self::PROJECT.wall * cores.max(2),
            memory_bytes_max: (memory / 4).clamp(Self::PROJECT.memory_bytes_max, 64 << 30).min(memory / 5 * 4),
            processes_max: Self::PROJECT.processes_max.max(cores.saturating_mul(128)),
            ..Self::PROJECT
        }
    }
}

impl Request {
    /// A request for one program in the work directory, with nothing on stdin, no channel, no results.
    pub fn new<S: Into<OsString>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            cwd: PathBuf::new(),
            stdin: Stdin::Null,
            channel: false,
            collect: Vec::new(),
        }
    }
}

/// One program to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Program and arguments; the program is looked up in the sandbox's PATH.
    pub argv: Vec<OsString>,
    /// Relative to the work directory.
    pub cwd: PathBuf,
    pub stdin: Stdin,
    /// A private two-way channel on the program's file descriptors 3 (it reads) and 4 (it writes).
    pub channel: bool,
    /// Files of the work directory (relative) to return in [`Outcome::files`] afterwards.
    pub collect: Vec<PathBuf>,
}

/// What the program reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    #[default]
    Null,
    Bytes(Vec<u8>),
}

/// The outside ends of a trial's private channel.
#[derive(Debug)]
pub struct Channel {
    /// What the program writes to its descriptor 4.
    pub from_program: std::os::fd::OwnedFd,
    /// What the program reads from its descriptor 3.
    pub to_program: std::os::fd::OwnedFd,
}

/// Everything known about a finished trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub end: End,
    pub stdout: Capture,
    pub stderr: Capture,
    pub wall: Duration,
    pub cpu: Duration,
    pub peak_memory_bytes: u64,
    /// What the program changed in its work directory, sorted by path.
    pub changed: Vec<Change>,
    /// Files of the project that the program opened for writing, or changed and put back, and that say what they said
    /// before. (Tier F; elsewhere they are among `changed`.)
    pub touched: Vec<PathBuf>,
    /// The content of the files asked for, where they exist, are regular and not too large.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Processes that outlived the program and were killed.
    pub leftovers_killed: u32,
    pub isolation: Isolation,
    /// The work directory's path as the program saw it (to be cut out of messages).
    pub work_dir: PathBuf,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    Exit(i32),
    Signal(i32),
    Limit(LimitKind),
    Cancelled,
    /// The walls could not be built or broke. Never the program's fault.
    SandboxError {
        step: String,
        message: String,
    },
}

/// Which bound ended a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LimitKind {
    Wall,
    Cpu,
    Memory,
    Output,
    Disk,
}

/// One output stream: its head, its tail, and how much there was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    pub head: Vec<u8>,
    /// Empty where everything fitted into `head`.
    pub tail: Vec<u8>,
    pub total_bytes: u64,
}

impl Capture {
    /// The text for people and models: lossy UTF-8, escape sequences removed, the gap named.
    pub fn text(&self) -> String {
        let mut shown = text::clean(&String::from_utf8_lossy(&self.head));
        let kept = (self.head.len() + self.tail.len()) as u64;
        if self.total_bytes > kept {
            shown.push_str(&format!("\n[… {} bytes left out …]\n", self.total_bytes - kept));
        }
        shown.push_str(&text::clean(&String::from_utf8_lossy(&self.tail)));
        shown
    }

    /// Every byte of the stream, where nothing was left out.
    pub fn complete(&self) -> Option<&[u8]> {
        (self.total_bytes == self.head.len() as u64).then_some(self.head.as_slice())
    }
}

/// One change in the work directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Relative to the work directory. Names that are not UTF-8 are written as arrays of bytes.
    #[serde(with = "path_or_bytes")]
    pub path: PathBuf,
    pub kind: ChangeKind,
    pub bytes: u64,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
    Symlink,
    /// A device, socket or FIFO; dropped.
    Special,
}

/// The walls that stood, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    pub tier: Tier,
    /// What the tier consisted of here: `landlock-abi7`, `seccomp`, `userns`, `overlay`, `cgroup`, …
    pub features: Vec<String>,
}

/// Paths as strings where they are UTF-8 and as arrays of bytes where they are not: a program may give its
/// files any name.
mod path_or_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Name {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => text.serialize(serializer),
            None => path.as_os_str().as_bytes().serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(match Name::deserialize(deserializer)? {
            Name::Text(text) => PathBuf::from(text),
            Name::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes)),
        })
    }
}

/// A map as a list of pairs: names that are not text cannot be the keys of a JSON object.
mod pairs {
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Env = BTreeMap<OsString, OsString>;

    pub(super) fn serialize<S: Serializer>(env: &Env, serializer: S) -> Result<S::Ok, S::Error> {
        env.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Env, D::Error> {
        Ok(Vec::<(OsString, OsString)>::deserialize(deserializer)?.into_iter().collect())
    }
}
