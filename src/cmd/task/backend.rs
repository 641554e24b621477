//! The worker as the terminal interface sees it: translates requests to the worker's and its events back.
//!
//! Not for: what is no task (see [`super::errands`]).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use super::errands::{self, Errands, refused};
use super::offer;
use super::project::Project;
use crate::agent::worker::{Running, Setup, Worker};
use crate::agent::{checks, transcript};
use crate::cancel::Cancel;
use crate::dirs::Dirs;
use crate::error::UserError;
use crate::event::{COMMANDS_MAX, Command, Event};
use crate::sandbox::Sandbox;
use crate::task::{Check, Outcome, Status, Task, Usage};
use crate::tui::{Backend, Gone, Incoming, Report, Request, SendFailed, Submit};

/// A worker that is replaced gets this long to free its model before it is left to itself.
const REPLACE_WITHIN: Duration = Duration::from_secs(10);

/// What to start a worker with, for the model of this name.
pub(super) type Launch = Box<dyn Fn(&str) -> anyhow::Result<Setup>>;

/// What the terminal's requests are served with.
pub(super) struct Parts {
    pub(super) dirs: Dirs,
    /// The project's root, or the current folder.
    pub(super) project: PathBuf,
    pub(super) within: Project,
    /// Checks of the command line, for every task.
    pub(super) checks: Vec<Check>,
    /// What the user says that tasks want.
    pub(super) wish: Option<crate::agent::intent::Wish>,
    /// The walls, or why there are none.
    pub(super) walls: Result<Sandbox, String>,
    pub(super) launch: Launch,
}

/// A worker behind the terminal's seam.
pub(super) struct WorkerBackend {
    worker: Option<Worker>,
    running: Option<Running>,
    ready: bool,
    /// Submitted before the model was loaded, with what was said to it since.
    early: Option<(Task, Vec<Command>)>,
    waiting: VecDeque<Incoming>,
    errands: Errands,
    /// Ends the pull that is under way.
    pull: Option<Cancel>,
    /// Was pulled, and is loaded as soon as no task runs.
    pulled: Option<String>,
    model: String,
    parts: Parts,
}

impl WorkerBackend {
    pub(super) fn new(worker: Worker, parts: Parts) -> Self {
        Self {
            worker: Some(worker),
            running: None,
            ready: false,
            early: None,
            waiting: VecDeque::new(),
            errands: Errands::new(),
            pull: None,
            pulled: None,
            model: String::new(),
            parts,
        }
    }

    /// Looks on a thread of its own whether a real model is to be offered.
    pub(super) fn look_for_an_offer(&self) {
        let dirs = self.parts.dirs.clone();
        self.errands.beside(move |tell| offer::report(&dirs).into_iter().for_each(tell));
    }

    /// Fetches a model beside whatever else goes on.
    fn pull(&mut self, name: String) {
        if self.pull.is_some() {
            let why = "another one is still under way".to_owned();
            return self.answer(Report::PullEnded { name, why: Some(why), hint: None });
        }
        let (dirs, cancel) = (self.parts.dirs.clone(), Cancel::new());
        self.pull = Some(cancel.clone());
        self.errands.beside(move |tell| {
            let ended = offer::pull(&dirs, &name, &cancel, &mut *tell);
            tell(ended);
        });
    }

    /// What an errand has to say.
    fn next_report(&mut self) -> Option<Report> {
        let report = self.errands.try_next()?;
        if let Report::PullEnded { name, why, .. } = &report {
            self.pull = None;
            self.pulled = why.is_none().then(|| name.clone());
        }
        Some(report)
    }

    /// Loads what was pulled, once nobody is in the middle of anything.
    fn take_up_what_was_pulled(&mut self) {
        if self.running.is_none()
            && self.early.is_none()
            && let Some(name) = self.pulled.take()
        {
            self.switch(&name);
        }
    }

    fn submit(&mut self, submit: &Submit) -> Result<(), SendFailed> {
        if self.worker.is_none() {
            return Err(SendFailed::Gone);
        }
        let stated = checks::stated(&submit.text);
        let mut all = stated.checks;
        all.extend(self.parts.checks.iter().cloned());
        let language = stated.language.or_else(|| checks::wanted(&all, None).language);
        let task = Task {
            id: transcript::new_id(),
            prompt: submit.text.clone(),
            scope: self.parts.within.args.scope(self.parts.within.root.as_deref(), &submit.text, &all, self.parts.wish),
            checks: all,
            language,
            effort: submit.effort,
        };
        if self.ready {
            self.start(task, Vec::new());
        } else {
            self.early = Some((task, Vec::new()));
        }
        Ok(())
    }

    fn start(&mut self, task: Task, said: Vec<Command>) {
        self.running = self.worker.as_ref().and_then(|worker| worker.submit(task));
        match &self.running {
            // The channel is new and holds as many as were kept.
            Some(running) => said.into_iter().for_each(|command| _ = running.command(command)),
            None => self.end(Status::Failed, "the worker is still busy; try again in a moment".to_owned()),
        }
    }

    /// A command for the task; `Err` where its channel has no room.
    fn command(&mut self, command: Command) -> Result<(), SendFailed> {
        if command == Command::Cancel {
            self.errands.cancel();
            if self.early.take().is_some() {
                self.end(Status::Cancelled, "stopped before the model was loaded".to_owned());
            }
        }
        if let Some((_, said)) = self.early.as_mut().filter(|(_, said)| said.len() < COMMANDS_MAX) {
            said.push(command);
            return Ok(());
        }
        match &self.running {
            Some(running) if !running.command(command.clone()) => {
                Err(SendFailed::Full(Box::new(Request::Command(command))))
            }
            _ => Ok(()),
        }
    }

    fn answer(&mut self, report: Report) {
        self.waiting.push_back(Incoming::Report(report));
    }

    fn shell(&mut self, command: String) {
        match &self.parts.walls {
            Err(why) => self.answer(refused(
                "the shell command",
                format!("there are no walls to run it behind: {why}"),
                Some("nothing is run without a sandbox; `z1 doctor` says what is missing".to_owned()),
            )),
            Ok(sandbox) => {
                let (sandbox, project) = (sandbox.clone(), self.parts.project.clone());
                self.errands.start(move |cancel| errands::shell(&sandbox, &project, command, cancel));
            }
        }
    }

    fn models(&mut self) {
        let (dirs, current) = (self.parts.dirs.clone(), self.model.clone());
        self.errands.start(move |_| errands::models(&dirs, &current));
    }

    fn begin_session(&mut self) {
        if self.worker.as_ref().is_some_and(|worker| !worker.begin_session()) {
            self.answer(refused("a new session", "a task runs", Some("stop it first (esc)".to_owned())));
        }
    }

    fn resume(&mut self, id: &str) {
        let Some(worker) = &self.worker else {
            return self.answer(refused(
                "sessions",
                "there is no model to go on with",
                Some("choose one: /model".into()),
            ));
        };
        let report = match worker.resume(id) {
            Err(problem) => refused("sessions", problem.message, problem.hint),
            Ok(session) => errands::resumed(session),
        };
        self.answer(report);
    }

    fn compact(&mut self) {
        let report = match self.worker.as_ref().and_then(Worker::compact) {
            None => refused("making room", "a task runs, or there is no model", None),
            Some((before, after)) if after < before => Report::Text {
                title: "the conversation was made shorter".to_owned(),
                body: format!("{} KiB before, {} KiB now. What you see here stays.", before >> 10, after >> 10),
            },
            Some(_) => refused("making room", "there is nothing that could be left out yet", None),
        };
        self.answer(report);
    }

    /// Another model means another worker: the old one frees its memory before the new one takes any.
    fn switch(&mut self, name: &str) {
        if self.running.is_some() {
            return self.answer(refused("/model", "a task runs", Some("stop it first (esc)".to_owned())));
        }
        match (self.parts.launch)(name) {
            Err(problem) => {
                let hint = problem.downcast_ref::<UserError>().and_then(|error| error.hint.clone());
                self.answer(refused("/model", format!("{problem:#}"), hint));
            }
            Ok(mut setup) => {
                setup.session = self.worker.as_ref().and_then(Worker::session);
                let old = self.worker.take();
                let open = setup.open;
                let open = Box::new(move |progress, cancel: &_| {
                    if let Some(old) = old {
                        old.close(REPLACE_WITHIN);
                    }
                    open(progress, cancel)
                });
                self.worker = Some(Worker::start(Setup { open, ..setup }));
                self.ready = false;
                self.waiting.push_back(Incoming::Event(Event::Loading { fraction: 0.0 }));
            }
        }
    }

    /// The task's end, where the agent could not tell it itself.
    fn end(&mut self, status: Status, note: String) {
        let outcome = Outcome {
            status,
            candidate: None,
            answer: String::new(),
            verdict: None,
            usage: Usage::default(),
            rounds: 0,
            notes: vec![note],
        };
        self.waiting.push_back(Incoming::Event(Event::Ended { outcome: Box::new(outcome) }));
    }

    /// A task that broke ends like any other, with its error as the note.
    fn broke(&mut self, error: &UserError) {
        let text = match &error.hint {
            Some(hint) => format!("{} ({hint})", error.message),
            None => error.message.clone(),
        };
        self.end(Status::Failed, text);
    }

    /// What the worker has to say.
    fn next_event(&mut self) -> Result<Option<Event>, Gone> {
        let worker = self.worker.as_mut().ok_or(Gone)?;
        let Ok(event) = worker.try_next() else {
            (self.worker, self.running, self.ready) = (None, None, false);
            return Err(Gone);
        };
        if let Some(Event::Ready { model, .. }) = &event {
            self.ready = true;
            self.model.clone_from(model);
            if let Some((task, said)) = self.early.take() {
                self.start(task, said);
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
            }
        }
        Ok(event)
    }
}

impl Backend for WorkerBackend {
    fn send(&mut self, request: Request) -> Result<(), SendFailed> {
        let (project, dirs) = (self.parts.project.clone(), self.parts.dirs.clone());
        match request {
            Request::Submit(submit) => return self.submit(&submit),
            Request::Command(command) => return self.command(command),
            Request::CancelLoad => self.worker.iter().for_each(Worker::cancel_load),
            Request::Shell { command } => self.shell(command),
            Request::ListModels => self.models(),
            Request::SwitchModel { name } => self.switch(&name),
            Request::Map => self.errands.start(move |_| errands::map(&project, &dirs)),
            Request::Check { command } => {
                self.errands.start(move |_| errands::check(&project, &dirs, command.as_deref()));
            }
            Request::Undo => self.errands.start(move |_| errands::undo(&project, &dirs)),
            Request::NewSession => self.begin_session(),
            Request::ListSessions => self.errands.start(move |_| errands::sessions(&dirs)),
            Request::Resume { id } => self.resume(&id),
            Request::Compact => self.compact(),
            Request::Doctor => self.errands.start(move |_| errands::doctor(&dirs)),
            Request::Pull { name } => self.pull(name),
            Request::CancelPull => self.pull.iter().for_each(Cancel::cancel),
            Request::DeclineOffer => self.errands.beside(move |tell| offer::decline(&dirs).into_iter().for_each(tell)),
        }
        Ok(())
    }

    fn try_next(&mut self) -> Result<Option<Incoming>, Gone> {
        if let Some(incoming) = self.waiting.pop_front() {
            return Ok(Some(incoming));
        }
        if let Some(report) = self.next_report() {
            return Ok(Some(Incoming::Report(report)));
        }
        self.take_up_what_was_pulled();
        Ok(self.next_event()?.map(Incoming::Event).or_else(|| self.waiting.pop_front()))
    }

    fn close(&mut self, patience: Duration) {
        self.errands.cancel();
        self.pull.iter().for_each(Cancel::cancel);
        if let Some(running) = &self.running {
            running.cancel.cancel();
        }
        if let Some(worker) = self.worker.take() {
            worker.close(patience);
        }
    }
}
