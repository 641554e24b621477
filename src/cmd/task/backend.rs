//! The worker as the terminal interface sees it: translates requests to the worker's and its events back.

use std::collections::VecDeque;
use std::time::Duration;

use crate::agent::worker::{Running, Worker};
use crate::agent::{checks, transcript};
use crate::dirs::Dirs;
use crate::error::UserError;
use crate::event::Event;
use crate::model_store::store::Store;
use crate::task::{Check, Outcome, Scope, Status, Task, Usage};
use crate::tui::{Backend, Gone, Incoming, ModelRow, Report, Request, SendFailed, Submit};

/// A worker behind the terminal's seam.
pub(super) struct WorkerBackend {
    worker: Option<Worker>,
    running: Option<Running>,
    ready: bool,
    /// Submitted before the model was loaded.
    early: Option<Task>,
    waiting: VecDeque<Incoming>,
    dirs: Dirs,
    /// Checks of the command line, for every task.
    checks: Vec<Check>,
    model: String,
}

impl WorkerBackend {
    pub(super) const fn new(worker: Worker, dirs: Dirs, checks: Vec<Check>) -> Self {
        Self {
            worker: Some(worker),
            running: None,
            ready: false,
            early: None,
            waiting: VecDeque::new(),
            dirs,
            checks,
            model: String::new(),
        }
    }

    fn submit(&mut self, submit: &Submit) {
        let stated = checks::stated(&submit.text);
        let mut all = stated.checks;
        all.extend(self.checks.iter().cloned());
        let language = stated.language.or_else(|| checks::wanted(&all, None).language);
        let task = Task {
            id: transcript::new_id(),
            prompt: submit.text.clone(),
            scope: Scope::Standalone,
            checks: all,
            language,
            effort: submit.effort,
        };
        if self.ready { self.start(task) } else { self.early = Some(task) }
    }

    fn start(&mut self, task: Task) {
        self.running = self.worker.as_ref().and_then(|worker| worker.submit(task));
        if self.running.is_none() {
            self.refuse("the task", "the worker is still busy", Some("try again in a moment"));
        }
    }

    fn refuse(&mut self, what: &str, why: &str, hint: Option<&str>) {
        self.waiting.push_back(Incoming::Report(Report::Refused {
            what: what.to_owned(),
            why: why.to_owned(),
            hint: hint.map(str::to_owned),
        }));
    }

    fn models(&mut self) {
        let (found, _broken) = match Store::new(&self.dirs.data).list() {
            Ok(found) => found,
            Err(problem) => return self.refuse("/models", &format!("{problem:#}"), None),
        };
        let row = |manifest: crate::model_store::store::Manifest| ModelRow {
            current: manifest.name == self.model,
            detail: format!("{}, {} MiB", manifest.quant, manifest.bytes >> 20),
            name: manifest.name,
        };
        let mut models: Vec<ModelRow> = found.into_iter().map(row).collect();
        if !models.iter().any(|model| model.current) {
            models.insert(0, ModelRow { name: self.model.clone(), detail: "loaded".to_owned(), current: true });
        }
        self.waiting.push_back(Incoming::Report(Report::Models { models }));
    }

    /// A task that broke ends like any other, with its error as the note.
    fn broke(&mut self, error: &UserError) {
        let text = match &error.hint {
            Some(hint) => format!("{} ({hint})", error.message),
            None => error.message.clone(),
        };
        let outcome = Outcome {
            status: Status::Failed,
            candidate: None,
            answer: String::new(),
            verdict: None,
            usage: Usage::default(),
            rounds: 0,
            notes: vec![text],
        };
        self.waiting.push_back(Incoming::Event(Event::Ended { outcome: Box::new(outcome) }));
    }
}

impl Backend for WorkerBackend {
    fn send(&mut self, request: Request) -> Result<(), SendFailed> {
        if self.worker.is_none() {
            return Err(SendFailed::Gone);
        }
        match request {
            Request::Submit(submit) => self.submit(&submit),
            Request::Command(command) => {
                if let Some(running) = &self.running
                    && !running.command(command.clone())
                {
                    return Err(SendFailed::Full(Box::new(Request::Command(command))));
                }
            }
            Request::ListModels => self.models(),
            Request::SwitchModel { name } => {
                self.refuse("switching models", "a model is chosen at the start", Some(&format!("z1 --model {name}")));
            }
            Request::NewSession => {}
            other => {
                self.refuse(name_of(&other), "it needs a project session", Some("see `z1 --help` for the commands"));
            }
        }
        Ok(())
    }

    fn try_next(&mut self) -> Result<Option<Incoming>, Gone> {
        if let Some(incoming) = self.waiting.pop_front() {
            return Ok(Some(incoming));
        }
        let Some(worker) = &mut self.worker else { return Err(Gone) };
        let Ok(event) = worker.try_next() else { return Err(Gone) };
        if let Some(Event::Ready { model, .. }) = &event {
            self.ready = true;
            self.model.clone_from(model);
            if let Some(task) = self.early.take() {
                self.start(task);
            }
        }
        // The answer comes after the last event: only when nothing else waits.
        if event.is_none()
            && let Some(running) = &mut self.running
            && let Ok(done) = running.done.try_recv()
        {
            self.running = None;
            if let Err(error) = done {
                self.broke(&error);
                return Ok(self.waiting.pop_front());
            }
        }
        Ok(event.map(Incoming::Event))
    }

    fn close(&mut self, patience: Duration) {
        if let Some(running) = &self.running {
            running.cancel.cancel();
        }
        if let Some(worker) = self.worker.take() {
            worker.close(patience);
        }
    }
}

const fn name_of(request: &Request) -> &'static str {
    match request {
        Request::Submit(_) => "the task",
        Request::Command(_) => "the command",
        Request::Shell { .. } => "the shell command",
        Request::ListModels | Request::SwitchModel { .. } => "models",
        Request::ListSessions | Request::Resume { .. } | Request::NewSession => "sessions",
        Request::Compact => "compacting",
        Request::Undo => "undo",
        Request::Doctor => "the doctor",
        Request::Map => "the map",
        Request::Export { .. } => "the export",
    }
}
