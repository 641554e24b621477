//! The one loop that answers: reads what the client says, hands prompts to the worker one after another, passes on
//! what happens.
//!
//! Nothing in it waits for the worker, so a cancel is heard at once. Events are taken only while there is room for
//! what they are worth: a client that does not read makes the worker wait, and can still cancel.
//!
//! Not for: what an event or a prompt means (`telling.rs`, `input.rs`).

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::commands;
use super::input;
use super::sessions::{self, Open};
use super::telling::{self, Telling};
use super::wire::{self, Incoming, Refusal, code};
use super::{Parts, WAITING_MAX};
use crate::agent::intent::{self, Wish};
use crate::agent::sessions::Session;
use crate::agent::worker::{Running, Worker};
use crate::agent::{checks, project, transcript};
use crate::cancel::Cancel;
use crate::error::UserError;
use crate::event::{Command, Decision, Event};
use crate::task::{Check, Outcome, Scope, Task};

mod requests;

/// Lines that one event or one end may be worth.
const ROOM_LINES: usize = 16;
/// A client that takes no line for this long, while there are some, has gone.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// The worker gets this long to free its model at the end, or before another model is loaded.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// A cancelled task gets this long to save its transcript when the client has gone.
const SAVE_WITHIN: Duration = Duration::from_secs(2);

/// A prompt that waits for its turn.
struct Prompt {
    id: Value,
    session: String,
    task: Task,
    telling: Telling,
}

/// The prompt that is worked on.
struct Turn {
    id: Value,
    session: String,
    running: Running,
    telling: Telling,
    cancelled: bool,
}

/// A permission that was asked for.
struct Asked {
    request: u64,
    of: Wanted,
}

/// What a permission is for, by its number.
#[derive(Clone, Copy)]
enum Wanted {
    Change(u64),
    Tool(u64),
}

impl Wanted {
    /// The option that says yes.
    const fn once(self) -> &'static str {
        if matches!(self, Self::Change(_)) { "write" } else { "call" }
    }

    /// The option that says yes from now on, in this session.
    const fn always(self) -> &'static str {
        if matches!(self, Self::Change(_)) { "write-all" } else { "call-always" }
    }
}

/// What the client can show.
#[derive(Default)]
struct Client {
    notices: bool,
}

pub(super) struct Desk {
    parts: Parts,
    out: mpsc::Sender<String>,
    client: Client,
    worker: Option<Worker>,
    /// The model is loaded.
    ready: bool,
    model: String,
    context_tokens_max: u32,
    open: BTreeMap<String, Open>,
    running: Option<Turn>,
    waiting: VecDeque<Prompt>,
    asked: Option<Asked>,
    requests: u64,
    /// The client has read nothing for too long.
    gone: Cell<bool>,
}

type Answer = Result<Value, Refusal>;

impl Desk {
    pub(super) fn new(parts: Parts, out: mpsc::Sender<String>) -> Self {
        Self {
            parts,
            out,
            client: Client::default(),
            worker: None,
            ready: false,
            model: String::new(),
            context_tokens_max: 0,
            open: BTreeMap::new(),
            running: None,
            waiting: VecDeque::new(),
            asked: None,
            requests: 0,
            gone: Cell::new(false),
        }
    }

    /// Until the client's lines end, it is gone, or `stop` is set.
    pub(super) async fn run(mut self, mut lines: mpsc::Receiver<Incoming>, stop: &Cancel) {
        loop {
            self.start_next().await;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                line = lines.recv() => match line {
                    Some(incoming) => self.take(incoming).await,
                    None => break,
                },
                event = next_event(&self.out, self.worker.as_mut()), if self.worker.is_some() => match event {
                    Some(event) => self.event(event).await,
                    None => self.worker_gone(None).await,
                },
                done = done(self.running.as_mut()), if self.running.is_some() => self.finished(done).await,
            }
            if self.gone.get() || self.out.is_closed() {
                break;
            }
        }
        self.close().await;
    }

    /// Says a line. A client that is gone, or reads nothing for so long, is noticed by the loop.
    async fn send(&self, line: String) {
        if !self.gone.get() && tokio::time::timeout(READ_WITHIN, self.out.send(line)).await.is_err() {
            self.gone.set(true);
        }
    }

    async fn update(&self, session: &str, update: Value) {
        self.send(wire::notice("session/update", &json!({ "sessionId": session, "update": update }))).await;
    }

    async fn answer(&self, id: &Value, answer: Answer) {
        self.send(wire::answer(id, answer)).await;
    }

    async fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Request { id, method, params } => match method.as_str() {
                "session/prompt" => self.prompt(id, &params).await,
                "session/load" => self.load(&id, &params, true).await,
                "session/resume" => self.load(&id, &params, false).await,
                "session/new" => {
                    let answer = self.begin(&params);
                    let begun = answer.as_ref().ok().and_then(|answer| answer["sessionId"].as_str().map(str::to_owned));
                    self.answer(&id, answer).await;
                    if let Some(session) = begun {
                        self.offer_commands(&session).await;
                    }
                }
                _ => {
                    let answer = self.request(&method, &params).await;
                    self.answer(&id, answer).await;
                }
            },
            Incoming::Notice { method, params } => match method.as_str() {
                "session/cancel" => self.cancel(|_, session| params["sessionId"] == *session).await,
                "$/cancel_request" => self.cancel(|id, _| params["requestId"] == *id).await,
                _ => {}
            },
            Incoming::Answer { id, result } => self.permission(&id, result).await,
            Incoming::Bad { id, code, message } => self.answer(&id, Err(Refusal::new(code, message))).await,
            Incoming::Nothing => {}
        }
    }

    fn is_busy(&self, id: &str) -> bool {
        self.running.as_ref().is_some_and(|turn| turn.session == id)
            || self.waiting.iter().any(|prompt| prompt.session == id)
    }

    /// Starts a worker where there is none.
    fn launch(&mut self) -> Result<(), Refusal> {
        if self.worker.is_none() {
            let wish = (!self.model.is_empty()).then_some(self.model.as_str());
            let setup = (self.parts.launch)(wish).map_err(|problem| refused(&problem))?;
            self.worker = Some(Worker::start(setup));
            self.ready = false;
        }
        Ok(())
    }

    async fn prompt(&mut self, id: Value, params: &Value) {
        match self.accept(params) {
            Err(refusal) => self.answer(&id, Err(refusal)).await,
            Ok((session, Asks::Command(said))) => {
                let root = self.open.get(&session).and_then(|open| open.root.clone());
                let text = commands::act(&said, root.as_deref(), &self.parts.state);
                let message = telling::chunk("agent_message_chunk", &text, &transcript::new_id());
                self.update(&session, message).await;
                self.answer(&id, Ok(json!({ "stopReason": "end_turn" }))).await;
            }
            Ok((session, Asks::Task(task))) => {
                let root = match &task.scope {
                    Scope::Project { root } => Some(root.clone()),
                    Scope::Standalone => None,
                };
                let telling = Telling::new(task.id.clone(), root, self.client.notices, self.context_tokens_max);
                self.waiting.push_back(Prompt { id, session, task: *task, telling });
            }
        }
    }

    /// Checks a prompt, and makes a task of it.
    fn accept(&mut self, params: &Value) -> Result<(String, Asks), Refusal> {
        let id = session_id(params)?.to_owned();
        let open = self.open.get(&id).ok_or_else(|| Refusal::no_session(&id))?;
        let words = input::words(&params["prompt"], open.root.as_deref().unwrap_or(&open.cwd))?;
        if self.is_busy(&id) {
            return Err(busy());
        }
        if let Some(said) = commands::read(&words) {
            return Ok((id, Asks::Command(said)));
        }
        if self.waiting.len() >= WAITING_MAX {
            return Err(Refusal::new(code::INVALID_REQUEST, format!("{WAITING_MAX} prompts wait already")));
        }
        let task = task(words, open);
        self.launch()?;
        Ok((id, Asks::Task(Box::new(task))))
    }

    /// Hands the next prompt to the worker, where both are there.
    async fn start_next(&mut self) {
        while self.ready && self.running.is_none() {
            let Some(prompt) = self.waiting.pop_front() else { return };
            let Some(open) = self.open.get_mut(&prompt.session) else { continue };
            let Some(worker) = &self.worker else { return self.waiting.push_front(prompt) };
            let session = open.session.take().unwrap_or_else(|| Session::new(open.root.clone()));
            let taken = worker.take_up(session.clone());
            let Prompt { id, session: name, task, telling } = prompt;
            match worker.submit(task).filter(|_| taken) {
                Some(running) => self.running = Some(Turn { id, session: name, running, telling, cancelled: false }),
                None => {
                    open.session = Some(session);
                    let refusal = Refusal::new(code::INTERNAL, "the worker is still busy");
                    self.answer(&id, Err(refusal.hint("try again in a moment"))).await;
                }
            }
        }
    }

    async fn event(&mut self, event: Event) {
        match &event {
            Event::Ready { model, context_tokens_max, .. } => {
                (self.ready, self.context_tokens_max) = (true, *context_tokens_max);
                if self.model != *model {
                    self.model.clone_from(model);
                    for (id, open) in &self.open {
                        let options = self.options_of(open.chosen);
                        let update = json!({ "sessionUpdate": "config_option_update", "configOptions": options });
                        self.update(id, update).await;
                    }
                }
            }
            Event::Fatal { message, hint } => return self.worker_gone(Some((message.clone(), hint.clone()))).await,
            _ => {}
        }
        self.tell(&event).await;
        let running = self.running.as_ref().map(|turn| &turn.running);
        match (event, running) {
            (Event::Proposal { patch_id, .. }, Some(_)) => self.ask(patch_id).await,
            (Event::Permission { id, .. }, Some(_)) => self.ask_for_tool(id).await,
            // Nobody can be asked for words here; `/check` says how a project is tested.
            (Event::Question { id, .. }, Some(running)) => {
                running.command(Command::Answer { id, text: String::new() });
            }
            _ => {}
        }
    }

    async fn tell(&mut self, event: &Event) {
        // The first that waits is told how far the model is.
        let (telling, session) = match (&mut self.running, self.waiting.front_mut()) {
            (Some(turn), _) => (&mut turn.telling, turn.session.clone()),
            (None, Some(prompt)) => (&mut prompt.telling, prompt.session.clone()),
            (None, None) => return,
        };
        let updates = telling.event(event);
        for update in updates {
            self.update(&session, update).await;
        }
    }

    /// Asks for the user's word on a change.
    async fn ask(&mut self, patch_id: u64) {
        let Some(turn) = &self.running else { return };
        let call = turn.telling.proposed().unwrap_or_default().to_owned();
        let accepts_all = self.open.get(&turn.session).is_some_and(|open| open.accepts_all);
        // A change that fails its check needs a person.
        if accepts_all && !turn.telling.check_failed() {
            turn.running.command(Command::Decide { patch_id, decision: Decision::Accept });
            let session = turn.session.clone();
            return self.update(&session, telling::status(&call, "in_progress", None)).await;
        }
        let session = turn.session.clone();
        let names = ["Write it", "Write it, and what holds later in this session", "Do not write it"];
        self.request_permission(Wanted::Change(patch_id), &session, &call, names).await;
    }

    /// Asks for the user's word on a call of another program's tool.
    async fn ask_for_tool(&mut self, id: u64) {
        let Some(turn) = &self.running else { return };
        let (session, call) = (turn.session.clone(), turn.telling.permission().unwrap_or_default().to_owned());
        let names = ["Call it", "Call it, and this tool again in this session", "Do not call it"];
        self.request_permission(Wanted::Tool(id), &session, &call, names).await;
    }

    /// `names` are those of yes, yes from now on, and no.
    async fn request_permission(&mut self, of: Wanted, session: &str, call: &str, names: [&str; 3]) {
        self.requests += 1;
        self.asked = Some(Asked { request: self.requests, of });
        let params = json!({
            "sessionId": session,
            "toolCall": { "toolCallId": call },
            "options": [
                { "optionId": of.once(), "name": names[0], "kind": "allow_once" },
                { "optionId": of.always(), "name": names[1], "kind": "allow_always" },
                { "optionId": "reject", "name": names[2], "kind": "reject_once" },
            ],
        });
        self.send(wire::request(self.requests, "session/request_permission", &params)).await;
    }

    /// The user's word. Anything but a clear yes is a no.
    async fn permission(&mut self, id: &Value, result: Result<Value, Value>) {
        if self.asked.as_ref().is_none_or(|asked| json!(asked.request) != *id) {
            return;
        }
        let (Some(asked), Some(turn)) = (self.asked.take(), &mut self.running) else { return };
        let outcome = result.unwrap_or_default();
        let chosen = Some(&outcome["outcome"]).filter(|outcome| outcome["outcome"] == "selected");
        let option = chosen.and_then(|outcome| outcome["optionId"].as_str()).unwrap_or_default();
        let always = option == asked.of.always();
        let yes = always || option == asked.of.once();
        let update = match asked.of {
            Wanted::Change(patch_id) => {
                let decision = if yes { Decision::Accept } else { Decision::Reject };
                turn.running.command(Command::Decide { patch_id, decision });
                if let Some(open) = self.open.get_mut(&turn.session).filter(|_| always) {
                    open.accepts_all = true;
                }
                let call = turn.telling.proposed().filter(|_| yes);
                call.map(|call| telling::status(call, "in_progress", None))
            }
            Wanted::Tool(id) => {
                let text = match (yes, always) {
                    (_, true) => "always",
                    (true, _) => "yes",
                    _ => "",
                };
                turn.running.command(Command::Answer { id, text: text.to_owned() });
                turn.telling.permitted(yes)
            }
        };
        let session = turn.session.clone();
        if let Some(update) = update {
            self.update(&session, update).await;
        }
    }

    /// Cancels the prompts that are meant, by their request's id and their session.
    async fn cancel(&mut self, meant: impl Fn(&Value, &String) -> bool) {
        let (gone, kept): (VecDeque<Prompt>, VecDeque<Prompt>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|prompt| meant(&prompt.id, &prompt.session));
        self.waiting = kept;
        for prompt in gone {
            self.answer(&prompt.id, Ok(json!({ "stopReason": "cancelled" }))).await;
        }
        let Some(turn) = self.running.as_mut().filter(|turn| meant(&turn.id, &turn.session)) else { return };
        turn.cancelled = true;
        turn.running.command(Command::Cancel);
        if let Some(asked) = self.asked.take() {
            self.send(wire::notice("$/cancel_request", &json!({ "requestId": asked.request }))).await;
        }
    }

    /// The task has ended: what was said before is sent before the answer.
    async fn finished(&mut self, done: Option<Result<Outcome, UserError>>) {
        while let Some(Ok(Some(event))) = self.worker.as_mut().map(Worker::try_next) {
            self.tell(&event).await;
        }
        let Some(mut turn) = self.running.take() else { return };
        self.asked = None;
        let kept = self.worker.as_ref().and_then(Worker::session);
        if let (Some(open), Some(session)) = (self.open.get_mut(&turn.session), kept) {
            open.session = Some(session);
        }
        let answer = match done {
            Some(Ok(outcome)) => {
                for update in turn.telling.end(&outcome) {
                    self.update(&turn.session, update).await;
                }
                self.tell_title(&turn.session).await;
                let reason = if turn.cancelled { "cancelled" } else { telling::stop_reason(outcome.status) };
                Ok(json!({ "stopReason": reason, "_meta": telling::meta(&outcome) }))
            }
            _ if turn.cancelled => Ok(json!({ "stopReason": "cancelled" })),
            Some(Err(error)) => Err(Refusal { code: code::INTERNAL, message: error.message, hint: error.hint }),
            None => Err(Refusal::new(code::INTERNAL, "the worker ended without an answer")),
        };
        self.answer(&turn.id, answer).await;
    }

    /// The title comes with the session's first task.
    async fn tell_title(&self, id: &str) {
        let Some(session) = self.open.get(id).and_then(|open| open.session.as_ref()) else { return };
        let title = (session.turns.len() == 1).then(|| crate::sandbox::text::clean(&session.title()));
        let mut update =
            json!({ "sessionUpdate": "session_info_update", "updatedAt": sessions::rfc3339(session.used_unix_s) });
        if let Some(title) = title {
            update["title"] = json!(title);
        }
        self.update(id, update).await;
    }

    /// There is no worker any more: everybody who waits for it is told, and the next prompt tries again.
    async fn worker_gone(&mut self, why: Option<(String, Option<String>)>) {
        let failure = self.worker.as_ref().and_then(Worker::failure).map(|error| (error.message, error.hint));
        let (message, hint) = why.or(failure).unwrap_or_else(|| ("the worker has ended".to_owned(), None));
        (self.worker, self.ready) = (None, false);
        let refusal = Refusal { code: code::INTERNAL, message, hint };
        let running = self.running.take().map(|turn| turn.id);
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|prompt| prompt.id);
        for id in running.into_iter().chain(waiting) {
            self.answer(&id, Err(refusal.clone())).await;
        }
    }

    /// The client has gone: what runs is cancelled, and saved.
    async fn close(mut self) {
        if let Some(turn) = &mut self.running {
            turn.running.command(Command::Cancel);
            let saved = async {
                while let Some(worker) = &mut self.worker {
                    tokio::select! {
                        _ = &mut turn.running.done => break,
                        event = worker.next() => if event.is_none() { break },
                    }
                }
            };
            // A task that does not end by then has saved what it had.
            let _ = tokio::time::timeout(SAVE_WITHIN, saved).await;
        }
        if let Some(worker) = self.worker.take() {
            worker.close(CLOSE_WITHIN);
        }
    }
}

/// What a prompt asks for.
enum Asks {
    Task(Box<Task>),
    Command(commands::Said),
}

fn task(words: String, open: &Open) -> Task {
    let stated = checks::stated(&words);
    let language = stated.language.or_else(|| checks::wanted(&stated.checks, None).language);
    let scope = match &open.root {
        Some(root) if !is_program(&words, &stated.checks, root) => Scope::Project { root: root.clone() },
        _ => Scope::Standalone,
    };
    let effort = open.chosen.effort();
    Task { id: transcript::new_id(), prompt: words, scope, checks: stated.checks, language, effort }
}

/// Whether a task asked for in a project is for a program of its own.
fn is_program(prompt: &str, checks: &[Check], root: &Path) -> bool {
    let states_checks = project::is_standalone(checks);
    let facts = intent::Facts {
        prompt,
        project: true,
        project_named: false,
        states_checks,
        names_a_file: states_checks && project::names_a_file(prompt, root),
        check_given: false,
        language: false,
        said: None,
    };
    intent::decide(facts).wish == Wish::Program
}

fn session_id(params: &Value) -> Result<&str, Refusal> {
    params["sessionId"].as_str().ok_or_else(|| Refusal::params("`sessionId` is a string and required"))
}

fn busy() -> Refusal {
    Refusal::new(code::INVALID_REQUEST, "a prompt of this session is being worked on")
        .hint("wait for its end, or cancel it: session/cancel")
}

fn refused(problem: &anyhow::Error) -> Refusal {
    let hint = problem.downcast_ref::<UserError>().and_then(|error| error.hint.clone());
    Refusal { code: code::INTERNAL, message: format!("{problem:#}"), hint }
}

/// The worker's next event, once there is room for what it is worth. Cancel safe.
async fn next_event(out: &mpsc::Sender<String>, worker: Option<&mut Worker>) -> Option<Event> {
    let Some(worker) = worker else { return std::future::pending().await };
    // Where the client is gone the loop ends anyway.
    drop(out.reserve_many(ROOM_LINES).await);
    worker.next().await
}

/// The end of the task under way; `None` where the worker broke. Cancel safe.
async fn done(turn: Option<&mut Turn>) -> Option<Result<Outcome, UserError>> {
    match turn {
        Some(turn) => (&mut turn.running.done).await.ok(),
        None => std::future::pending().await,
    }
}
