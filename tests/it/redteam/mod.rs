//! Attacks as tests: on the judges, and on the walls of every tier that this machine can build.
//!
//! Each test is named for a case of the attack list and for what it attacks. An attempt is a few lines of Python; a
//! control makes the same attempts without walls, on things that the test itself has made, to show that they would
//! succeed. What is known to remain open is asserted to be open, and said in SECURITY.md.

mod judge;

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod results;
#[cfg(target_os = "linux")]
mod start;
