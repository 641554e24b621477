//! One server: the handshake, its list of tools, a call.
//!
//! One malformed tool is left out and named; one malformed reply is that call's failure. A server that has ended says so
//! at each further call.
//!
//! Not for: how it was started (`process.rs`) or is reached (`http.rs`).

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::content;
use super::http::Http;
use super::link::{Failure, shortened};
use super::process::Process;
use super::spec::{Spec, Way, Word};
use super::tool::{self, Tool};
use super::{Called, Place, Reach};
use crate::cancel::Cancel;
use crate::sandbox::Sandbox;

/// The newest version with a handshake.
const VERSION: &str = "2025-11-25";
/// Versions that a server may answer with. What z1 uses is alike in all of them.
const VERSIONS: [&str; 4] = [VERSION, "2025-06-18", "2025-03-26", "2024-11-05"];
/// A list of tools has no more pages, and a server no more tools.
const PAGES_MAX: usize = 20;
const TOOLS_MAX: usize = 256;
const NAME_CHARS_MAX: usize = 80;

/// A server that answered.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) spec: Spec,
    pub(super) about: About,
    pub(super) tools: Vec<Tool>,
    link: Link,
    gone: Option<String>,
}

/// What is known about a server that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// As the user calls it.
    pub name: String,
    /// As it calls itself, and its version.
    pub title: String,
    /// The version of the protocol.
    pub protocol: String,
    /// What it runs behind, or where.
    pub walls: String,
    /// From its start to its list of tools.
    pub started_ms: u64,
}

#[derive(Debug)]
enum Link {
    Process(Box<Process>),
    Http(Box<Http>),
}

impl Link {
    async fn request(
        &mut self,
        method: &str,
        params: &Value,
        within: std::time::Duration,
        cancel: &Cancel,
    ) -> Result<Value, Failure> {
        let result = match self {
            Self::Process(process) => process.lines.request(method, params, within, cancel).await,
            Self::Http(http) => http.request(method, params, within, cancel).await,
        };
        // How it ended says more than that its output is closed.
        match (result, self) {
            (Err(Failure::Gone(why)), Self::Process(process)) => {
                Err(Failure::Gone(process.last_words().await.unwrap_or(why)))
            }
            (result, _) => result,
        }
    }

    async fn notify(&mut self, method: &str, params: &Value) -> Result<(), Failure> {
        match self {
            Self::Process(process) => process.lines.notify(method, params).await,
            Self::Http(http) => http.notify(method, params).await,
        }
    }
}

impl Server {
    /// Starts a server and lists its tools, within its limit; with what was odd about it.
    ///
    /// # Errors
    /// Why it cannot be used, in words.
    pub(super) async fn start(
        spec: Spec,
        sandbox: Option<&Sandbox>,
        place: Place<'_>,
        cancel: &Cancel,
    ) -> Result<(Self, Vec<String>), String> {
        let since = Instant::now();
        let (link, walls) = match &spec.way {
            Way::Program(program) => {
                let process = Process::start(program, sandbox, place, cancel).await?;
                let walls = process.walls.clone();
                (Link::Process(Box::new(process)), walls)
            }
            Way::Url { url, headers } => (Link::Http(Box::new(Http::new(url, headers)?)), format!("at {url}")),
        };
        let about = About { name: spec.name.clone(), walls, ..About::default() };
        let mut server = Self { spec, about, tools: Vec::new(), link, gone: None };
        let mut odd = Vec::new();
        server.shake_hands(since, cancel).await?;
        server.list(since, cancel, &mut odd).await?;
        server.about.started_ms = since.elapsed().as_millis() as u64;
        Ok((server, odd))
    }

    async fn shake_hands(&mut self, since: Instant, cancel: &Cancel) -> Result<(), String> {
        let params = json!({
            "protocolVersion": VERSION,
            // Nothing is announced: what a client announces it is asked for, and it changes what some servers offer.
            "capabilities": {},
            "clientInfo": { "name": "z1", "title": "z1", "version": env!("CARGO_PKG_VERSION") },
        });
        let within = self.spec.start_max.saturating_sub(since.elapsed());
        let answer = self.link.request("initialize", &params, within, cancel).await.map_err(|why| match why {
            Failure::Late(..) => format!("it did not start (`start_s` sets the limit): {why}"),
            other => other.to_string(),
        })?;
        let version = answer["protocolVersion"].as_str().unwrap_or_default();
        if !VERSIONS.contains(&version) {
            let shown = shortened(version, NAME_CHARS_MAX);
            return Err(format!("it speaks version `{shown}` of the protocol, which z1 does not know"));
        }
        version.clone_into(&mut self.about.protocol);
        if let Link::Http(http) = &mut self.link {
            http.speaks(version);
        }
        let info = &answer["serverInfo"];
        let word = |key: &str| shortened(info[key].as_str().unwrap_or_default(), NAME_CHARS_MAX);
        let title = format!("{} {}", word("name"), word("version"));
        title.trim().clone_into(&mut self.about.title);
        self.link.notify("notifications/initialized", &json!({})).await.map_err(|why| why.to_string())
    }

    async fn list(&mut self, since: Instant, cancel: &Cancel, odd: &mut Vec<String>) -> Result<(), String> {
        let mut params = json!({});
        for _ in 0..PAGES_MAX {
            let within = self.spec.start_max.saturating_sub(since.elapsed());
            let page = match self.link.request("tools/list", &params, within, cancel).await {
                Ok(page) => page,
                // Who has no tools need not know the word.
                Err(Failure::Refused { code: -32601, .. }) => return Ok(()),
                Err(why) => return Err(format!("its list of tools: {why}")),
            };
            let entries = page["tools"].as_array();
            let entries = entries.ok_or("its list of tools: its reply is malformed: there is no array `tools`")?;
            for entry in entries {
                match tool::read(entry) {
                    _ if self.tools.len() == TOOLS_MAX => {
                        odd.push(format!("it has more than {TOOLS_MAX} tools; the rest are left out"));
                        return Ok(());
                    }
                    Ok(tool) if self.tools.iter().any(|known| known.name == tool.name) => {
                        odd.push(format!("it has two tools {}; the second is left out", tool.name));
                    }
                    Ok(tool) => self.tools.push(tool),
                    Err(why) => odd.push(format!("{why}; it is left out")),
                }
            }
            match page["nextCursor"].as_str().filter(|cursor| !cursor.is_empty()) {
                Some(cursor) => params = json!({ "cursor": cursor }),
                None => return Ok(()),
            }
        }
        odd.push(format!("its list has more than {PAGES_MAX} pages; the rest is left out"));
        Ok(())
    }

    /// The tools in reach.
    pub(super) fn offered(&self, reach: Reach) -> impl Iterator<Item = &Tool> {
        self.tools.iter().filter(move |tool| match self.spec.word(&tool.name, tool.read_only) {
            Word::Allowed => true,
            Word::Asked => reach != Reach::Allowed,
            Word::Hidden => reach == Reach::All,
        })
    }

    /// Calls a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: &Map<String, Value>, cancel: &Cancel) -> Called {
        let failed = |server: &str, why: &dyn std::fmt::Display| Called {
            failed: true,
            text: format!("The call failed. The server {server}: {why}"),
        };
        if let Some(why) = &self.gone {
            return failed(&self.about.name, &format!("it is gone: {why}"));
        }
        let params = json!({ "name": tool, "arguments": arguments });
        let mut result = self.link.request("tools/call", &params, self.spec.call_max, cancel).await;
        // A server over HTTP that was started anew, or let the session run out: the protocol asks for a new one.
        if let (Err(Failure::NoSession(_)), Link::Http(http)) = (&result, &mut self.link) {
            http.forget();
            if self.shake_hands(Instant::now(), cancel).await.is_ok() {
                result = self.link.request("tools/call", &params, self.spec.call_max, cancel).await;
            }
        }
        match result {
            Ok(result) => content::read(&result)
                .unwrap_or_else(|| failed(&self.about.name, &"its reply is malformed: it is no result of a call")),
            Err(why) => {
                if let Failure::Gone(why) = &why {
                    self.gone = Some(why.clone());
                }
                failed(&self.about.name, &why)
            }
        }
    }
}
