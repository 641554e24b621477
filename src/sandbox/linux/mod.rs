//! The walls on Linux: the helper process, its supervisors, and the three enclosures they build.
//!
//! Read in this order: [`helper`] (waits for orders, forks a supervisor for each), [`supervisor`] (one
//! trial from order to outcome), `loose`, `namespaces` and `bwrap` (the enclosures of tiers L, F and B),
//! [`keeper`] (the innermost trusted process), [`target`] (the last steps before the program runs).
//! Everything here runs in processes that have one thread, so that fork is safe.

mod bwrap;
mod copy;
mod enclosure;
mod ids;
mod keeper;
mod landlock;
mod limits;
mod loose;
mod meter;
mod mounts;
mod namespaces;
mod note;
mod overlay;
mod seccomp;
mod step;
mod supervisor;
mod sys;
mod target;
mod tree;
mod userns;
mod view;
mod watch;

pub(crate) mod helper;

pub(crate) use loose::sweep;
pub(crate) use meter::count_user_tasks;
pub(crate) use note::{packet_pair, send_packet};
