//! The agent in the background: a thread that owns engine, judge and runtime, serves one task at a time, and
//! speaks over bounded channels.
//!
//! Not for: what the terminal wants besides tasks; its adapter translates.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::conversation::{Conversation, Cut};
use super::sessions::{Session, Sessions};
use super::{Agent, Judge, Line, Settings, Transcript, talk};
use crate::cancel::Cancel;
use crate::engine::{Engine, ModelInfo};
use crate::error::{Exit, UserError, exit_of};
use crate::event::{COMMANDS_MAX, Command, EVENTS_MAX, Event};
use crate::task::{Outcome, Task};
use crate::traits::Traits;

/// How the engine is opened: called on the worker's thread with a progress callback and the load's cancel.
pub type Open = Box<dyn FnOnce(Box<dyn FnMut(f32) + Send>, &Cancel) -> Result<Engine, UserError> + Send>;

/// What the opened model is like.
pub type Know = Box<dyn FnOnce(&ModelInfo) -> Traits + Send>;

/// What a worker starts with.
pub struct Setup {
    pub open: Open,
    pub traits: Know,
    pub judge: Arc<dyn Judge>,
    /// Folder of prompt files that replace the built-in ones.
    pub prompts: Option<PathBuf>,
    pub settings: Settings,
    /// Where transcripts are kept; `None` keeps none.
    pub transcripts: Option<PathBuf>,
    /// Where sessions are kept; `None` keeps none.
    pub sessions: Option<Sessions>,
    /// The session to go on with; a new one where there is none.
    pub session: Option<Session>,
}

/// One task under way.
#[derive(Debug)]
pub struct Running {
    commands: mpsc::Sender<Command>,
    pub cancel: Cancel,
    /// The outcome, after [`Event::Ended`]; the error where the task broke.
    pub done: oneshot::Receiver<Result<Outcome, UserError>>,
}

impl Running {
    /// Says something to the task. Cancelling needs no room in the channel.
    pub fn command(&self, command: Command) -> bool {
        if command == Command::Cancel {
            self.cancel.cancel();
            return true;
        }
        self.commands.try_send(command).is_ok()
    }
}

struct Job {
    task: Task,
    commands: mpsc::Receiver<Command>,
    cancel: Cancel,
    done: oneshot::Sender<Result<Outcome, UserError>>,
}

/// The thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// A handle to the thread.
pub struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    events: mpsc::Receiver<Event>,
    load_cancel: Cancel,
    failure: Arc<Mutex<Option<UserError>>>,
    thread: Option<JoinHandle<()>>,
    /// The conversation is being kept for the next run.
    keeping: Arc<AtomicBool>,
    sessions: Option<Sessions>,
    session: Desk,
}

/// The session that the next task belongs to; empty while a task has it.
type Desk = Arc<Mutex<Option<Session>>>;

impl Worker {
    /// Starts the thread; loading begins at once and is told in events.
    pub fn start(mut setup: Setup) -> Self {
        let session: Desk = Arc::new(Mutex::new(Some(setup.session.take().unwrap_or_else(|| Session::new(None)))));
        let (sessions, desk) = (setup.sessions.clone(), Arc::clone(&session));
        let (jobs, inbox) = mpsc::channel(1);
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let load_cancel = Cancel::new();
        let failure = Arc::new(Mutex::new(None));
        let (cancel, told) = (load_cancel.clone(), Arc::clone(&failure));
        let keeping = Arc::new(AtomicBool::new(false));
        let keeps = Arc::clone(&keeping);
        let thread = std::thread::Builder::new()
            .name("agent".to_owned())
            .spawn(move || {
                if let Err(error) = serve(setup, &desk, inbox, (&sender, &keeps), &cancel) {
                    let (message, hint) = (error.message.clone(), error.hint.clone());
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    // Nobody listens any more: then nobody needs to know.
                    let _ = sender.blocking_send(Event::Fatal { message, hint });
                }
            })
            .expect("invariant: the system can start a thread");
        Self { jobs: Some(jobs), events, load_cancel, failure, thread: Some(thread), keeping, sessions, session }
    }

    /// Hands a task over; `None` where the worker is busy or gone.
    pub fn submit(&self, task: Task) -> Option<Running> {
        let (commands, for_task) = mpsc::channel(COMMANDS_MAX);
        let (sender, done) = oneshot::channel();
        let cancel = Cancel::new();
        let job = Job { task, commands: for_task, cancel: cancel.clone(), done: sender };
        self.jobs.as_ref()?.try_send(job).ok()?;
        Some(Running { commands, cancel, done })
    }

    /// The next event; `None` when the worker is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The next event where one waits. `Err` when the worker is gone.
    pub fn try_next(&mut self) -> Result<Option<Event>, Gone> {
        match self.events.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(Gone),
        }
    }

    /// The session as it stands; `None` while a task runs.
    pub fn session(&self) -> Option<Session> {
        lock(&self.session).clone()
    }

    /// Forgets the conversation: the next task begins a new session. `false` while a task runs.
    pub fn begin_session(&self) -> bool {
        let mut desk = lock(&self.session);
        let free = desk.is_some();
        if free {
            *desk = Some(Session::new(None));
        }
        free
    }

    /// Lays a session on the desk: the next task is its next turn. `false` while a task runs.
    pub fn take_up(&self, session: Session) -> bool {
        let mut desk = lock(&self.session);
        let free = desk.is_some();
        if free {
            *desk = Some(session);
        }
        free
    }

    /// Goes on with an earlier session (`last`, its id or the beginning of it) and returns it.
    ///
    /// # Errors
    /// No such session, a damaged file, or a task is running.
    pub fn resume(&self, id: &str) -> Result<Session, UserError> {
        let sessions = self.sessions.as_ref().ok_or_else(|| UserError::new(Exit::Error, "no sessions are kept"))?;
        let found = sessions.load(id)?;
        let mut desk = lock(&self.session);
        if desk.is_none() {
            return Err(UserError::new(Exit::Error, "a task is running").hint("wait for its end, or cancel it"));
        }
        *desk = Some(found.clone());
        Ok(found)
    }

    /// Makes the conversation shorter at the user's wish: it is cut, in the stated steps, to half of its length.
    /// Returns its bytes before and after; `None` while a task runs.
    pub fn compact(&self) -> Option<(usize, usize)> {
        let mut desk = lock(&self.session);
        let session = desk.as_mut()?;
        let bytes = |messages: &[crate::prompt::Message]| messages.iter().map(|m| m.content.len()).sum::<usize>();
        let all = |of: &Session| bytes(&of.conversation.messages()) + bytes(&of.alone.messages());
        let before = all(session);
        // Every task so far is past: the next one is present.
        let next = session.turns.len() as u32;
        let half = |of: &Conversation| {
            let before = bytes(&of.messages());
            of.compacted(next, |messages| bytes(messages) * 2 <= before)
        };
        let (shorter, how) = half(&session.conversation);
        if how >= Cut::PastOutput {
            session.shown.clear();
        }
        (session.conversation, session.alone) = (shorter, half(&session.alone).0);
        Some((before, all(session)))
    }

    /// Gives up loading the model.
    pub fn cancel_load(&self) {
        self.load_cancel.cancel();
    }

    /// Why the worker is gone, where it could not go on.
    pub fn failure(&self) -> Option<UserError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends the thread and waits for it, but not for ever: the model is freed on the way out, and a long conversation is kept
    /// before.
    pub fn close(mut self, patience: Duration) {
        const STEP: Duration = Duration::from_millis(5);
        const KEPT_WITHIN: Duration = Duration::from_secs(20);
        self.load_cancel.cancel();
        self.jobs = None;
        self.events.close();
        let Some(thread) = self.thread.take() else { return };
        let mut waited = Duration::ZERO;
        let longer = || if self.keeping.load(Ordering::Relaxed) { KEPT_WITHIN } else { patience };
        while !thread.is_finished() && waited < longer() {
            std::thread::sleep(STEP);
            waited += STEP;
        }
        if thread.is_finished() {
            // A panic has been reported by the hook; there is nothing left to save.
            let _ = thread.join();
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(
    setup: Setup,
    desk: &Desk,
    mut inbox: mpsc::Receiver<Job>,
    (events, keeping): (&mpsc::Sender<Event>, &AtomicBool),
    load_cancel: &Cancel,
) -> Result<(), UserError> {
    let progress = {
        let events = events.clone();
        // A progress figure that finds no room is not worth waiting for.
        move |fraction| drop(events.try_send(Event::Loading { fraction }))
    };
    let engine = (setup.open)(Box::new(progress), load_cancel)?;
    let settings = Settings { traits: (setup.traits)(engine.info()), ..setup.settings };
    let agent = Agent::new(engine, setup.judge, setup.prompts.as_deref(), settings)?;
    let info = agent.engine.info();
    let ready = Event::Ready {
        model: info.name.clone(),
        context_tokens_max: info.context_tokens_max,
        offload: info.offload.clone(),
    };
    let _ = events.blocking_send(ready);
    if !info.given_up.is_empty() {
        let text = format!("so that the model fits into memory: {}", info.given_up.join("; "));
        let _ = events.blocking_send(Event::Warning { text });
    }
    for note in &agent.notes {
        let _ = events.blocking_send(Event::Warning { text: note.clone() });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("agent-work")
        .enable_all()
        .build()
        .map_err(|problem| UserError::new(Exit::Error, format!("cannot start threads: {problem}")))?;
    runtime.block_on(async {
        while let Some(job) = inbox.recv().await {
            let transcript = match &setup.transcripts {
                Some(folder) => Transcript::create(folder, &job.task.id),
                None => Transcript::none(),
            };
            let mut line = Line::new(events.clone(), job.commands, job.cancel, transcript);
            let mut session = lock(desk).take().unwrap_or_else(|| Session::new(None));
            let result = agent.run_in(&job.task, &mut session, &mut line).await.map_err(into_user_error);
            if let Some(Err(problem)) = setup.sessions.as_ref().map(|sessions| sessions.save(&session)) {
                line.emit(Event::Warning { text: problem.message }).await;
            }
            *lock(desk) = Some(session);
            // The one who asked may have gone.
            let _ = job.done.send(result);
        }
        let last = lock(desk).clone().filter(|_| setup.sessions.is_some());
        if let Some(session) = last {
            keeping.store(true, Ordering::Relaxed);
            talk::keep_for_later(&agent, &session).await;
            keeping.store(false, Ordering::Relaxed);
        }
    });
    // A trial that hangs in the kernel must not hold the exit.
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

fn into_user_error(problem: anyhow::Error) -> UserError {
    let exit = exit_of(&problem);
    match problem.downcast::<UserError>() {
        Ok(error) => error,
        Err(problem) => match problem.downcast::<crate::engine::EngineError>() {
            Ok(error) => error.into(),
            Err(problem) => UserError::new(exit, format!("{problem:#}")),
        },
    }
}
