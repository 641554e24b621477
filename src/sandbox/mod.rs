//! Running untrusted code behind walls, bounded in time, memory, processes, files and output.
//!
//! A small helper process (`z1 __sbxd`, the same binary) is started before the model is loaded; every
//! trial is forked from it, never from the process that holds the model. No walls, no run: every step
//! fails closed and names itself. Every outcome says which walls stood ([`Isolation`]).
//!
//! Not for: judging what the code did (that is `verify`'s work) or changing the user's tree.

pub mod policy;

pub use policy::{
    Capture, Change, ChangeKind, Channel, End, Isolation, LimitKind, Limits, Net, Outcome, Policy, Request, Stdin,
    Workspace,
};
