//! The vocabulary: plain data that the rooms hand to one another.
//!
//! Nothing here does IO, looks at a clock or imports another room. A type lives here when at least two
//! rooms speak of it; a type that only one room needs lives in that room.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A programming language that z1 can recognise in a reply and, where the toolchain is present, run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Python,
    JavaScript,
    TypeScript,
    Rust,
    C,
    Cpp,
    Go,
    Java,
    Shell,
}

impl Language {
    /// Every language, in the order in which they are listed to the user.
    pub const ALL: [Self; 9] = [
        Self::Python,
        Self::JavaScript,
        Self::TypeScript,
        Self::Rust,
        Self::C,
        Self::Cpp,
        Self::Go,
        Self::Java,
        Self::Shell,
    ];

    /// Returns the language that a code fence's info string names (`py`, `python3`, `c++`, …).
    pub fn from_fence_tag(tag: &str) -> Option<Self> {
        let word = tag.trim().split([' ', ',', '{', ':']).next().unwrap_or("").to_ascii_lowercase();
        Some(match word.as_str() {
            "python" | "py" | "python3" | "python2" | "pycon" => Self::Python,
            "javascript" | "js" | "node" | "mjs" | "cjs" | "jsx" => Self::JavaScript,
            "typescript" | "ts" | "tsx" | "mts" => Self::TypeScript,
            "rust" | "rs" => Self::Rust,
            "c" | "h" => Self::C,
            "cpp" | "c++" | "cc" | "cxx" | "hpp" => Self::Cpp,
            "go" | "golang" => Self::Go,
            "java" => Self::Java,
            "bash" | "sh" | "shell" | "zsh" => Self::Shell,
            _ => return None,
        })
    }

    /// Returns the language of a file with this extension (without the dot).
    pub fn from_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "py" | "pyi" => Self::Python,
            "js" | "mjs" | "cjs" | "jsx" => Self::JavaScript,
            "ts" | "tsx" | "mts" | "cts" => Self::TypeScript,
            "rs" => Self::Rust,
            "c" | "h" => Self::C,
            "cpp" | "cc" | "cxx" | "hpp" | "hh" | "hxx" => Self::Cpp,
            "go" => Self::Go,
            "java" => Self::Java,
            "sh" | "bash" => Self::Shell,
            _ => return None,
        })
    }

    /// The usual extension of its files (without the dot).
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Python => "py",
            Self::JavaScript => "js",
            Self::TypeScript => "ts",
            Self::Rust => "rs",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Go => "go",
            Self::Java => "java",
            Self::Shell => "sh",
        }
    }

    /// The canonical fence tag.
    pub const fn fence_tag(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Rust => "rust",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Go => "go",
            Self::Java => "java",
            Self::Shell => "bash",
        }
    }
}

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Stable identifier of this run; names the transcript.
    pub id: String,
    /// The request in the user's words.
    pub prompt: String,
    pub scope: Scope,
    /// What decides whether a candidate holds; may be empty (then nothing can be verified).
    pub checks: Vec<Check>,
    /// The language the answer is wanted in, where the task says so.
    pub language: Option<Language>,
    pub effort: Effort,
}

/// Whether the answer is a program of its own or a change to a project on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Standalone,
    Project { root: PathBuf },
}

/// How much thinking the user wants spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    Fast,
    #[default]
    Auto,
    Deep,
    /// A thinking window of exactly this many tokens.
    Window(u32),
}

/// One way to find out whether a candidate holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Python assert statements or doctest lines about the candidate's functions. Judged outside the
    /// sandbox: the expected values never enter it. `hidden` checks are never quoted to the model.
    Asserts { source: String, hidden: bool },
    /// Programs that read stdin and write stdout.
    Stdio { cases: Vec<StdioCase>, hidden: bool },
    /// A test program in the candidate's language that is run together with it.
    TestSource { language: Language, source: String, hidden: bool },
    /// A shell command in the project or work folder; success needs exit code 0 and, where the runner is
    /// known, positive evidence of tests that ran.
    Command { command: String },
}

/// One input and the output it must produce (compared after trimming trailing white space per line).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StdioCase {
    pub input: String,
    pub output: String,
}

/// How hard a task was judged to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Simple,
    Moderate,
    Complex,
}

/// The judgement of a task's difficulty, with what led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Complexity {
    pub level: Level,
    /// Probability of simple, moderate, complex; sums to 1.
    pub probabilities: [f32; 3],
    /// Human-readable reasons, strongest first.
    pub reasons: Vec<String>,
    /// The named features behind the judgement, kept for learning a better one later.
    pub features: Vec<(String, f32)>,
}

/// What one task may spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The thinking window W, in tokens.
    pub thinking_tokens_max: u32,
    /// Reserved for the answer, in tokens; thinking can never eat it.
    pub answer_tokens_max: u32,
    /// Revisions after the first attempt.
    pub rounds_max: u32,
    /// Candidates decoded together in the first round.
    pub samples: u32,
    /// Candidates of a round that draws again.
    #[serde(default)]
    pub draws: u32,
    /// Tokens that all replies of the task may have together. No new round is begun that would go beyond it.
    #[serde(default)]
    pub task_tokens_max: u32,
    /// Seconds that the model may speak in all, at the speed that it turns out to have.
    #[serde(default)]
    pub task_seconds_max: u32,
}

/// Which part of a trajectory a piece of text belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Thinking,
    /// The forced hint.
    Shift,
    Answer,
}

/// Why a window shifted from thinking to answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShiftReason {
    /// The thinking allowance was used up.
    Budget,
    /// The user asked for the answer.
    AnswerNow,
    /// The text had begun to repeat itself.
    Loop,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended its turn.
    EndOfTurn,
    /// The answer's allowance was used up.
    AnswerLimit,
    /// The text went round in circles, and again after it was taken back.
    Loop,
    /// The context has no room for another token.
    ContextFull,
    /// The caller needed no more (a fence closed and its code passed).
    Stopped,
    /// The user cancelled.
    Cancelled,
}

/// Token counts of one generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: u32,
    /// Of these, tokens found in the session's log and not decoded again.
    pub reused_tokens: u32,
    /// Sampled before any shift. This is "average thinking tokens" as the Z1 paper counts it: where the
    /// model ended by itself it includes the answer text.
    pub thinking_tokens: u32,
    /// The hint's tokens.
    pub forced_tokens: u32,
    /// Sampled after the shift.
    pub answer_tokens: u32,
}

impl Usage {
    /// Every token that was decoded to produce the reply.
    pub const fn generated_tokens(self) -> u32 {
        self.thinking_tokens + self.forced_tokens + self.answer_tokens
    }

    /// The same without its prompt, which counts once for all that answers it.
    #[must_use]
    pub const fn without_prompt(self) -> Self {
        Self { prompt_tokens: 0, reused_tokens: 0, ..self }
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.reused_tokens += other.reused_tokens;
        self.thinking_tokens += other.thinking_tokens;
        self.forced_tokens += other.forced_tokens;
        self.answer_tokens += other.answer_tokens;
    }
}

/// One complete generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// Everything after the prompt, hint included, in order.
    pub text: String,
    /// Byte offset in `text` where the hint begins, where there was a shift.
    pub shift_at: Option<usize>,
    /// Byte offset in `text` where the answer proper begins (after the hint; 0 without a shift).
    pub answer_at: usize,
    pub shifted: Option<ShiftReason>,
    pub finish: Finish,
    pub usage: Usage,
}

impl Trajectory {
    /// A reply that the model ended by itself and of which only the words are known.
    pub fn ended(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            shift_at: None,
            answer_at: 0,
            shifted: None,
            finish: Finish::EndOfTurn,
            usage: Usage::default(),
        }
    }

    /// The text after the shift; the whole text where the model ended by itself.
    pub fn answer(&self) -> &str {
        self.text.get(self.answer_at..).unwrap_or("")
    }
}

/// What a reply proposes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidate {
    /// A stand-alone program or function.
    Program { language: Language, source: String },
    /// Changes to files of the project.
    Edits { edits: Vec<Edit> },
}

/// One change to one file; paths are relative to the project's root and use `/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// The whole new content of a file, which may or may not exist.
    Write {
        path: String,
        content: String,
    },
    /// Replace one region. `search` is what the model believes stands there.
    Replace {
        path: String,
        search: String,
        replace: String,
    },
    Delete {
        path: String,
    },
}

impl Edit {
    /// The file that this edit is about.
    pub fn path(&self) -> &str {
        match self {
            Self::Write { path, .. } | Self::Replace { path, .. } | Self::Delete { path } => path,
        }
    }
}

/// Which walls stood around a trial. Results of different tiers are never mixed silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// No isolation.
    N,
    /// Landlock, seccomp and rlimits.
    L,
    /// The system's bubblewrap, then Landlock and seccomp inside it.
    B,
    /// macOS seatbelt.
    S,
    /// Namespaces, overlay, Landlock, seccomp and rlimits.
    F,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Passed(Report),
    Failed(Report),
    /// There was nothing to run it against, or no toolchain to run it with; says which.
    NothingToCheck {
        why: String,
    },
    /// The walls could not be built or broke: never the candidate's fault.
    SandboxFailed {
        step: String,
        why: String,
    },
}

impl Verdict {
    pub const fn passed(&self) -> bool {
        matches!(self, Self::Passed(_))
    }

    pub const fn report(&self) -> Option<&Report> {
        match self {
            Self::Passed(report) | Self::Failed(report) => Some(report),
            Self::NothingToCheck { .. } | Self::SandboxFailed { .. } => None,
        }
    }
}

/// The evidence behind a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was run, in words a user would type or understand.
    pub command: String,
    pub passed: u32,
    pub failed: u32,
    pub failures: Vec<Failure>,
    pub tier: Tier,
    pub wall_ms: u64,
    /// Signs of tampering with the judge (see `verify`); non-empty means "look at this".
    pub flags: Vec<String>,
}

/// One failed test or one crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// Test id or the assertion's text; empty for a crash before any test.
    pub name: String,
    /// What was observed: `got 3`, an exception, a compiler message. Already cleaned and short.
    pub got: String,
    /// What was expected, unless the check is hidden.
    pub expected: Option<String>,
    /// Innermost frame inside the candidate, `file:line  source line`.
    pub frame: Option<String>,
}

/// The class of a failure decides how it is mended: crashes are repaired, wrong answers resampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Does not parse or compile.
    Syntax,
    /// An exception, a signal, a non-zero exit outside an assertion.
    Crash,
    WrongAnswer,
    TimeLimit,
    MemoryLimit,
    OutputLimit,
    /// The program behaved as if to fool the judge.
    Cheat,
}

impl FailureKind {
    /// Whether a repair with the traceback is worth trying (rather than a fresh, wider sample).
    pub const fn is_crash(self) -> bool {
        matches!(self, Self::Syntax | Self::Crash)
    }
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub status: Status,
    /// The best candidate found, also where it failed.
    pub candidate: Option<Candidate>,
    /// The answer as text: the code, the diff, or the prose.
    pub answer: String,
    pub verdict: Option<Verdict>,
    /// Summed over every generation of the task.
    pub usage: Usage,
    pub rounds: u32,
    /// Anything the user should know, one sentence each.
    pub notes: Vec<String>,
}

/// The one word that ends a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Verified,
    Unverified,
    Failed,
    /// A limit was reached before there was any candidate.
    LimitReached,
    /// The user or a policy refused the change.
    Refused,
    Cancelled,
}
