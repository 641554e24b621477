//! Requests that are answered at once: what the agent can do, sessions, modes and settings.
//!
//! Not for: prompts.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Answer, CLOSE_WITHIN, Client, Desk, busy, refused, session_id};
use crate::acp::SESSIONS_MAX;
use crate::acp::commands;
use crate::acp::options::{self, Chosen};
use crate::acp::sessions::{self, Open};
use crate::acp::wire::{Refusal, code};
use crate::agent::sessions::Session;
use crate::agent::worker::{Setup, Worker};

impl Desk {
    fn initialize(&mut self, params: &Value) -> Answer {
        if !params["protocolVersion"].is_u64() {
            return Err(Refusal::params("`protocolVersion` is a number"));
        }
        // The field is an object or absent; servers of an older schema sent `true`.
        let notices = &params["clientCapabilities"]["session"]["notices"];
        self.client = Client { notices: notices.is_object() };
        Ok(json!({
            // The only one there is, whatever the client speaks besides.
            "protocolVersion": 1,
            "agentInfo": { "name": "z1", "title": "z1", "version": env!("CARGO_PKG_VERSION") },
            "authMethods": [],
            "agentCapabilities": {
                "loadSession": true,
                "promptCapabilities": { "image": false, "audio": false, "embeddedContext": true },
                "mcpCapabilities": { "http": false, "sse": false },
                "sessionCapabilities": { "list": {}, "resume": {}, "close": {}, "delete": {} },
            },
        }))
    }

    pub(super) fn begin(&mut self, params: &Value) -> Answer {
        let cwd = sessions::folder(params)?;
        mcp_servers(params, true)?;
        self.room_for_a_session()?;
        let root = sessions::root(&cwd, self.parts.home.as_deref());
        let mut session = Session::new(root.clone());
        while self.open.contains_key(&session.id) {
            session = Session::new(root.clone());
        }
        let id = session.id.clone();
        self.open.insert(id.clone(), Open::new(cwd, root, session));
        // The model is loaded while the user types.
        let _ = self.launch();
        let mut answer = self.state_of(Chosen::default());
        answer["sessionId"] = json!(id);
        Ok(answer)
    }

    fn room_for_a_session(&self) -> Result<(), Refusal> {
        if self.open.len() < SESSIONS_MAX {
            return Ok(());
        }
        let refusal = Refusal::new(code::INVALID_REQUEST, format!("{SESSIONS_MAX} sessions are open"));
        Err(refusal.hint("close one: session/close"))
    }

    pub(super) async fn load(&mut self, id: &Value, params: &Value, tell: bool) {
        match self.reopen(params, tell) {
            Err(refusal) => self.answer(id, Err(refusal)).await,
            Ok((session, answer)) => {
                if tell {
                    let past = self.open.get(&session).and_then(|open| open.session.as_ref());
                    for update in past.map(sessions::told_again).unwrap_or_default() {
                        self.update(&session, update).await;
                    }
                }
                self.answer(id, Ok(answer)).await;
                self.offer_commands(&session).await;
            }
        }
    }

    fn reopen(&mut self, params: &Value, tell: bool) -> Result<(String, Value), Refusal> {
        let id = session_id(params)?;
        let cwd = sessions::folder(params)?;
        mcp_servers(params, tell)?;
        if self.is_busy(id) {
            return Err(busy());
        }
        let root = sessions::root(&cwd, self.parts.home.as_deref());
        let kept = self.open.get(id).and_then(|open| open.session.clone());
        let session = match kept {
            Some(session) => session,
            None => sessions::load(self.parts.sessions.as_ref(), id)?,
        };
        if let Some(of) = session.root.as_ref().filter(|of| root.as_ref() != Some(of)) {
            return Err(Refusal::params(format!("the session `{id}` is of another folder: {}", of.display())));
        }
        if !self.open.contains_key(id) {
            self.room_for_a_session()?;
            self.open.insert(id.to_owned(), Open::new(cwd, root, session));
        }
        let _ = self.launch();
        let chosen = self.open.get(id).map(|open| open.chosen).unwrap_or_default();
        Ok((id.to_owned(), self.state_of(chosen)))
    }

    fn list(&self, params: &Value) -> Answer {
        let root = match &params["cwd"] {
            Value::Null => None,
            Value::String(cwd) => {
                let cwd = PathBuf::from(cwd);
                let cwd = cwd.canonicalize().unwrap_or(cwd);
                Some(sessions::root(&cwd, self.parts.home.as_deref()).unwrap_or(cwd))
            }
            _ => return Err(Refusal::params("`cwd` is a path")),
        };
        let rows = self.parts.sessions.as_ref().map(crate::agent::sessions::Sessions::list).unwrap_or_default();
        Ok(sessions::listed(rows, root.as_deref()))
    }

    async fn close_session(&mut self, params: &Value) -> Answer {
        let id = session_id(params)?.to_owned();
        if !self.open.contains_key(&id) {
            return Err(Refusal::no_session(&id));
        }
        self.cancel(|_, session| *session == id).await;
        self.open.remove(&id);
        Ok(json!({}))
    }

    fn delete(&mut self, params: &Value) -> Answer {
        let id = session_id(params)?.to_owned();
        if self.is_busy(&id) {
            return Err(busy());
        }
        let was_open = self.open.remove(&id).is_some();
        match sessions::load(self.parts.sessions.as_ref(), &id) {
            Err(refusal) if refusal.code == code::NOT_FOUND && was_open => Ok(json!({})),
            Err(refusal) => Err(refusal),
            Ok(session) => {
                let path = self.parts.sessions.as_ref().map(|sessions| sessions.path(&session.id)).unwrap_or_default();
                std::fs::remove_file(&path).map(|()| json!({})).map_err(|problem| {
                    Refusal::new(code::INTERNAL, format!("{} cannot be removed: {problem}", path.display()))
                })
            }
        }
    }

    /// `modes` and `configOptions`.
    fn state_of(&self, chosen: Chosen) -> Value {
        json!({ "modes": chosen.modes(), "configOptions": self.options_of(chosen) })
    }

    pub(super) fn options_of(&self, chosen: Chosen) -> Value {
        let mut models = (self.parts.models)();
        // The loaded one is always among them.
        if !self.model.is_empty() && models.iter().all(|(name, _)| *name != self.model) {
            models.insert(0, (self.model.clone(), "loaded".to_owned()));
        }
        let current = models.iter().find(|(name, _)| *name == self.model).or(models.first());
        let current = current.map_or_else(String::new, |(name, _)| name.clone());
        chosen.options(&models, &current)
    }

    async fn set_mode(&mut self, params: &Value) -> Answer {
        let id = session_id(params)?.to_owned();
        let mode = params["modeId"].as_str().ok_or_else(|| Refusal::params("`modeId` is required"))?;
        let open = self.open.get_mut(&id).ok_or_else(|| Refusal::no_session(&id))?;
        open.chosen = open.chosen.in_mode(mode)?;
        let options = self.options_of(self.open[&id].chosen);
        self.update(&id, json!({ "sessionUpdate": "config_option_update", "configOptions": options })).await;
        Ok(json!({}))
    }

    async fn set_option(&mut self, params: &Value) -> Answer {
        let id = session_id(params)?.to_owned();
        let option = params["configId"].as_str().ok_or_else(|| Refusal::params("`configId` is required"))?;
        let value = params["value"].as_str().ok_or_else(|| Refusal::params("`value` is one of the option's values"))?;
        let open = self.open.get_mut(&id).ok_or_else(|| Refusal::no_session(&id))?;
        match option {
            options::MODE => {
                open.chosen = open.chosen.in_mode(value)?;
                let mode = open.chosen.mode();
                self.update(&id, json!({ "sessionUpdate": "current_mode_update", "currentModeId": mode })).await;
            }
            options::THOUGHT => open.chosen = open.chosen.thinking(value)?,
            options::MODEL => self.switch_model(&id, value).await?,
            other => {
                let other: String = other.chars().take(80).collect();
                let refusal = Refusal::params(format!("there is no option `{other}`"));
                return Err(refusal.hint("mode, thought_level or model"));
            }
        }
        Ok(json!({ "configOptions": self.options_of(self.open[&id].chosen) }))
    }

    /// Another model means another worker; the old one frees its memory before the new one takes any.
    async fn switch_model(&mut self, by: &str, name: &str) -> Result<(), Refusal> {
        if name == self.model {
            return Ok(());
        }
        if self.running.is_some() {
            return Err(busy());
        }
        let setup = (self.parts.launch)(Some(name)).map_err(|problem| refused(&problem))?;
        let old = self.worker.take();
        let open = setup.open;
        let open = Box::new(move |progress, cancel: &_| {
            if let Some(old) = old {
                old.close(CLOSE_WITHIN);
            }
            open(progress, cancel)
        });
        self.worker = Some(Worker::start(Setup { open, ..setup }));
        self.ready = false;
        name.clone_into(&mut self.model);
        for (id, open) in self.open.iter().filter(|(id, _)| *id != by) {
            let options = self.options_of(open.chosen);
            self.update(id, json!({ "sessionUpdate": "config_option_update", "configOptions": options })).await;
        }
        Ok(())
    }

    pub(super) async fn offer_commands(&self, session: &str) {
        let commands = commands::available();
        self.update(session, json!({ "sessionUpdate": "available_commands_update", "availableCommands": commands }))
            .await;
    }

    /// Requests that are answered at once.
    pub(super) async fn request(&mut self, method: &str, params: &Value) -> Answer {
        match method {
            "initialize" => self.initialize(params),
            "session/list" => self.list(params),
            "session/close" => self.close_session(params).await,
            "session/delete" => self.delete(params),
            "session/set_mode" => self.set_mode(params).await,
            "session/set_config_option" => self.set_option(params).await,
            "authenticate" => Err(Refusal::params("there is nothing to log in to: the model runs on this machine")),
            "logout" => Ok(json!({})),
            _ => {
                let method: String = method.chars().take(80).collect();
                Err(Refusal::new(code::NO_METHOD, format!("there is no method `{method}`")))
            }
        }
    }
}

/// The client's list of tool servers: looked at for its form, and not used.
fn mcp_servers(params: &Value, required: bool) -> Result<(), Refusal> {
    match &params["mcpServers"] {
        Value::Array(_) => Ok(()),
        Value::Null if !required => Ok(()),
        _ => Err(Refusal::params("`mcpServers` is an array and required (it may be empty)")),
    }
}
