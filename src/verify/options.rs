//! What a verification may spend and what it needs to know besides the candidate and its checks.

use std::path::PathBuf;
use std::time::Duration;

use crate::sandbox::Limits;
use crate::task::Tier;

/// Settings of one verification. `Default` suits a stand-alone function or small program.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifyOptions {
    /// Bounds of one program or of all calls of one function.
    pub limits: Limits,
    /// Bounds of a project's own test command and of compilers.
    pub project_limits: Limits,
    /// Longest wait for the answer to one call.
    pub call_wall: Duration,
    /// Refuse to run behind weaker walls than these.
    pub min_tier: Tier,
    /// The project that edits apply to and that commands run in.
    pub root: Option<PathBuf>,
    /// The function that the checks are about, where the problem says so (`check(candidate)` needs it).
    pub entry: Option<String>,
    /// Names that the problem says the candidate defines; only these may shadow built-in names in tests.
    pub names: Vec<String>,
    /// Trusted code of the problem that the tests use besides the candidate (helpers given in the prompt).
    pub helpers: String,
    /// The tests only run where the program runs (they patch what it uses, or share files with it): one interpreter.
    pub together: bool,
    /// Numbers on stdout may differ by this much, absolutely or relatively; `None` compares text.
    pub float_tolerance: Option<f64>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            limits: Limits::UNIT,
            project_limits: Limits::project(),
            call_wall: Duration::from_secs(5),
            min_tier: Tier::L,
            root: None,
            entry: None,
            names: Vec::new(),
            helpers: String::new(),
            together: false,
            float_tolerance: None,
        }
    }
}
