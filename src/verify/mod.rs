//! Does a candidate hold: the judge outside the sandbox (J1), a project's own tests (J2), and feedback for the model.
//!
//! The front door, as soon as the sandbox can be started:
//!
//! ```ignore
//! pub async fn verify(candidate: &Candidate, checks: &[Check], sandbox: &Sandbox, options: &VerifyOptions,
//!     cancel: &Cancel) -> Verdict;
//! pub fn feedback(verdict: &Verdict) -> String; // at most 1,200 characters, for the model
//! pub async fn behaviour(program: &Candidate, entry: &str, inputs: &[Input], sandbox: &Sandbox,
//!     options: &VerifyOptions, cancel: &Cancel) -> Vec<Observation>;
//! ```
//!
//! Not for: building walls or revising code.

mod options;

pub use options::VerifyOptions;
