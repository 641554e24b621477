//! Tools of other programs, over the Model Context Protocol: servers that the user named, started for one task, their
//! tools told to the model a line each, and called one after another.
//!
//! The handshake's era is spoken (`initialize`, 2025-11-25): every published server answers it, a probe for the newer
//! one without a handshake locks the connection of those that know both, and fails with servers that start slowly.
//!
//! `spec.rs` is what the user wrote, `process.rs` starts a program behind walls, `http.rs` reaches one that runs,
//! `link.rs` is JSON-RPC over lines with limits, `server.rs` the protocol, `tool.rs` a tool as a line of text, `call.rs`
//! a line of text as a call, `content.rs` what came back as text.
//!
//! Not for: asking the user (the agent does, between [`Tools::find`] and [`Tools::call`]), or servers that the user did
//! not name.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tokio::task::JoinSet;

use crate::cancel::Cancel;
use crate::sandbox::Sandbox;
use crate::task::Tier;
use server::Server;

mod call;
mod content;
mod http;
mod link;
mod process;
mod server;
mod spec;
mod tool;

pub use call::line;
pub use server::About;
pub use spec::{Spec, Word, read};
pub use tool::{Told, Tool};

/// Servers that are started for a task.
pub const SERVERS_MAX: usize = 16;

/// The servers that the user named, and what was allowed for the rest of a session.
#[derive(Clone, Debug, Default)]
pub struct Toolset {
    specs: Arc<[Spec]>,
    sandbox: Option<Sandbox>,
    /// Session, server and tool.
    permitted: Arc<Mutex<BTreeSet<[String; 3]>>>,
}

/// Where servers are started.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Their working directory: the project, as a throw-away copy for those behind walls.
    pub root: &'a Path,
    /// Refuse weaker walls than these.
    pub min_tier: Tier,
}

/// Servers that run, for one task. Dropping them ends them.
#[derive(Debug, Default)]
pub struct Tools {
    servers: Vec<Server>,
}

/// Which tools are in reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those that the user's rules allow: where nobody can be asked.
    Allowed,
    /// Those, the ones that the rules name, and the ones that say that they only read.
    Asked,
    /// Every one: the user typed the call.
    All,
}

/// A call that was understood: which tool, with which arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub server: String,
    pub tool: String,
    pub arguments: Map<String, Value>,
    /// What the user's rules say of it.
    pub word: Word,
    /// The server says that it changes nothing. Shown, and never believed.
    pub read_only: bool,
}

/// What a call came to: the text, cleaned and with no limit yet on its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    pub failed: bool,
    pub text: String,
}

/// A server as it was found, for people.
#[derive(Debug)]
pub struct Found<'a> {
    pub about: &'a About,
    pub spec: &'a Spec,
    pub tools: &'a [Tool],
}

impl Toolset {
    /// `sandbox` is `None` where there are no walls; then only servers start that the user wants without.
    pub fn new(specs: Vec<Spec>, sandbox: Option<Sandbox>) -> Self {
        Self { specs: specs.into(), sandbox, permitted: Arc::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Starts every server, all at once, and lists its tools. What could not be started or read is a warning that names
    /// its server.
    pub async fn start(&self, place: Place<'_>, cancel: &Cancel) -> (Tools, Vec<String>) {
        let mut starting = JoinSet::new();
        for (at, spec) in self.specs.iter().take(SERVERS_MAX).cloned().enumerate() {
            let (sandbox, cancel) = (self.sandbox.clone(), cancel.clone());
            let (root, min_tier) = (place.root.to_owned(), place.min_tier);
            starting.spawn(async move {
                let name = spec.name.clone();
                let place = Place { root: &root, min_tier };
                let started = Server::start(spec, sandbox.as_ref(), place, &cancel).await;
                (at, started.map_err(|why| format!("the tool server {name}: {why}; its tools are not offered")))
            });
        }
        let (mut servers, mut warnings) = (Vec::new(), Vec::new());
        while let Some(ended) = starting.join_next().await {
            match ended {
                Ok((at, Ok((server, odd)))) => {
                    let name = &server.about.name;
                    warnings.extend(odd.into_iter().map(|odd| format!("the tool server {name}: {odd}")));
                    servers.push((at, server));
                }
                Ok((_, Err(why))) => warnings.push(why),
                Err(problem) => warnings.push(format!("a tool server could not be started: {problem}")),
            }
        }
        if self.specs.len() > SERVERS_MAX {
            warnings.push(format!("only the first {SERVERS_MAX} tool servers are started"));
        }
        servers.sort_by_key(|(at, _)| *at);
        warnings.sort();
        (Tools { servers: servers.into_iter().map(|(_, server)| server).collect() }, warnings)
    }

    /// Whether the user allowed this tool for the rest of the session.
    pub fn is_permitted(&self, session: &str, call: &Call) -> bool {
        self.permitted().contains(&key(session, call))
    }

    /// The user allows this tool for the rest of the session.
    pub fn permit(&self, session: &str, call: &Call) {
        self.permitted().insert(key(session, call));
    }

    fn permitted(&self) -> std::sync::MutexGuard<'_, BTreeSet<[String; 3]>> {
        self.permitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(session: &str, call: &Call) -> [String; 3] {
    [session.to_owned(), call.server.clone(), call.tool.clone()]
}

impl Tools {
    /// Every server that runs, with all that it has.
    pub fn found(&self) -> impl Iterator<Item = Found<'_>> {
        self.servers.iter().map(|server| Found { about: &server.about, spec: &server.spec, tools: &server.tools })
    }

    /// The tools in reach as lines for the model, within so many tokens.
    pub fn told(&self, reach: Reach, tokens_max: usize, count: &dyn Fn(&str) -> usize) -> Told {
        tool::told(&self.offered(reach), tokens_max, count)
    }

    fn offered(&self, reach: Reach) -> Vec<(&str, &Tool)> {
        let mut offered = Vec::new();
        for server in &self.servers {
            offered.extend(server.offered(reach).map(|tool| (server.about.name.as_str(), tool)));
        }
        offered
    }

    /// Whether a command is meant for a tool in reach, and not for a shell.
    pub fn is_meant(&self, command: &str, reach: Reach) -> bool {
        call::is_meant(command, &self.offered(reach))
    }

    /// Reads a line as a call of a tool in reach.
    ///
    /// # Errors
    /// What is wrong with it, in words for the model.
    pub fn find(&self, command: &str, reach: Reach) -> Result<Call, String> {
        let (server, tool, arguments) = call::read(command, &self.offered(reach))?;
        let word = self.server(server).map_or(Word::Hidden, |of| of.spec.word(&tool.name, tool.read_only));
        let read_only = tool.read_only;
        Ok(Call { server: server.to_owned(), tool: tool.name.clone(), arguments, word, read_only })
    }

    fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.about.name == name)
    }

    /// Calls a tool. A failure of any kind is the call's, and ends nothing else.
    pub async fn call(&mut self, call: &Call, cancel: &Cancel) -> Called {
        let server = self.servers.iter_mut().find(|server| server.about.name == call.server);
        match server {
            Some(server) => server.call(&call.tool, &call.arguments, cancel).await,
            None => Called { failed: true, text: format!("there is no server {}", call.server) },
        }
    }
}

#[cfg(test)]
mod tests;
