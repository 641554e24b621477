//! Running untrusted code behind walls, bounded in time, memory, processes, files and output.
//!
//! A small helper process (`z1 __sbxd`, the same binary) is started before the model is loaded; every
//! trial is forked from it, never from the process that holds the model. No walls, no run: every step
//! fails closed and names itself. Every outcome says which walls stood ([`Isolation`]).
//!
//! Read [`policy`] for what a trial may do and what comes of it, [`client`] for the handle, then
//! `linux/mod.rs` for the walls. What is promised and what is not: `SECURITY.md`.
//!
//! Not for: judging what the code did (that is `verify`'s work) or changing the user's tree.

mod capture;
mod client;
mod link;
#[cfg(target_os = "linux")]
mod linux;
pub mod policy;
mod private;
mod probe;
pub mod text;
mod wire;

#[cfg(test)]
pub(crate) use client::without_run;
pub use client::{Sandbox, SandboxOptions, SandboxUnavailable, Trial};
pub use link::HELPER_WORD;
pub use policy::{
    Capture, Change, ChangeKind, Channel, End, Isolation, LimitKind, Limits, Net, Outcome, Policy, Request, Stdin,
    Workspace,
};
pub use private::{can_be_reached, may_be_granted};
pub use probe::{ProbeReport, probe};

/// Becomes the helper process; never returns. `main` calls this, before anything else, where its first
/// argument is [`HELPER_WORD`].
pub fn helper_main() -> ! {
    #[cfg(target_os = "linux")]
    let code = linux::helper::main();
    #[cfg(not(target_os = "linux"))]
    let code = 1;
    std::process::exit(code)
}
