//! z1 as a server on this machine: the OpenAI and Anthropic wire forms over one engine.
//!
//! A request is read into an [`ask::Ask`], whichever form it came in; `window.rs` decides how long it may think;
//! `generate.rs` plays it and `split.rs` tells thinking from answer; a [`form::Form`] writes what happens in the words of
//! the protocol that was asked in. What is unknown in a request is left alone; what cannot be done is said.
//!
//! `guard.rs` decides who may ask: loopback by name, no web page, a key where there is one. `http.rs` is the only file
//! that listens. It opens no connection.
//!
//! Not for: the loop around a task (`verified.rs` calls the agent's), or running a client's tools.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::agent::Agent;

mod ask;
mod chat;
mod completions;
mod connections;
mod content;
mod form;
mod generate;
mod guard;
mod http;
mod messages;
mod responses;
mod slots;
mod split;
mod stops;
mod thinking;
mod tools;
mod verified;
mod window;

pub use guard::Guard;
pub use http::{Listener, listen};

/// Requests that are worked on or wait for the model at a time; more are told to come again.
pub const REQUESTS_MAX: usize = 16;
/// Connections that are held at a time; for one more, the one that has been idle longest is closed.
pub const CONNECTIONS_MAX: usize = 64;
/// The largest body that is read.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// A request's head, and its body, must have come within this time.
pub const READ_WITHIN: Duration = Duration::from_secs(30);
/// A client that takes nothing for this long has gone.
pub const WRITE_WITHIN: Duration = Duration::from_secs(60);
/// Pieces of a stream that wait for a client.
pub const PIECES_MAX: usize = 64;

/// What a server serves with.
pub struct Server {
    pub agent: Agent,
    pub guard: Guard,
    /// The thinking window where a request says nothing of it and the model thinks by itself; `None` leaves it the room.
    pub window_tokens: Option<u32>,
    pub started_unix_s: u64,
    slots: slots::Slots,
    /// One task at a time is verified: the agent's rounds share a session of the engine.
    verifying: tokio::sync::Mutex<()>,
    room: Arc<Semaphore>,
}

impl Server {
    pub fn new(agent: Agent, guard: Guard, window_tokens: Option<u32>) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            agent,
            guard,
            window_tokens,
            started_unix_s: now.map_or(0, |since| since.as_secs()),
            slots: slots::Slots::default(),
            verifying: tokio::sync::Mutex::new(()),
            room: Arc::new(Semaphore::new(REQUESTS_MAX)),
        }
    }

    /// The name that the model is listed under.
    pub fn model(&self) -> &str {
        &self.agent.engine.info().name
    }
}
