//! The seam between the terminal and whoever does the work: requests go down, [`Incoming`] comes up.
//!
//! The agent's worker implements [`Backend`] over its two bounded channels;
//! [`super::script::ScriptedBackend`] implements it by playing a file. Nothing in this room knows which.
//!
//! Not for: how a request is served.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Command, Event};
use crate::model_store::offer::Offer;
use crate::task::{Effort, Tier};

/// The other side of the terminal. No method may block for longer than a few microseconds.
pub trait Backend {
    /// Hands a request over. Where the channel is full the request comes back and is tried again on the
    /// next turn of the loop; cancelling must therefore not depend on the channel's room.
    fn send(&mut self, request: Request) -> Result<(), SendFailed>;

    /// Returns the next thing that happened, or `None` where nothing waits.
    fn try_next(&mut self) -> Result<Option<Incoming>, Gone>;

    /// Called once, after the terminal was restored: stop what runs, save what must be saved, and return
    /// within `patience`.
    fn close(&mut self, patience: Duration);
}

/// There is no worker: no task can be served until [`Request::SwitchModel`] starts another. Answers to other
/// requests may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Why a request could not be handed over.
#[derive(Clone, Debug, PartialEq)]
pub enum SendFailed {
    /// No room just now; the request is returned.
    Full(Box<Request>),
    Gone,
}

/// Something the terminal wants of the worker.
///
/// [`Request::Submit`] comes only while no task runs (typing ahead is queued in the terminal). Every
/// other request may come at any time; one that cannot be served during a task is answered with
/// [`Report::Refused`].
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Submit(Submit),
    /// To the running task: answer now, think more, decide, cancel.
    Command(Command),
    /// `!command`: run it in the sandbox, answered by [`Report::Shell`]. Ended by [`Command::Cancel`].
    Shell {
        command: String,
    },
    /// Answered by [`Report::Models`].
    ListModels,
    /// Load another model; answered by [`Event::Loading`] … [`Event::Ready`].
    SwitchModel {
        name: String,
    },
    /// Answered by [`Report::Sessions`].
    ListSessions,
    /// Go on with an earlier session; answered by [`Report::Resumed`].
    Resume {
        id: String,
    },
    /// Forget the conversation and begin a new session.
    NewSession,
    /// Summarise the conversation to make room in the context; answered by [`Report::Text`].
    Compact,
    /// Without a command: say how the project is tested; else remember the command, `none` for "not at all", or
    /// `forget` what was remembered. Answered by [`Report::Text`].
    Check {
        command: Option<String>,
    },
    /// Revert the last accepted change; answered by [`Report::Text`] or [`Report::Refused`].
    Undo,
    /// Answered by [`Report::Text`].
    Doctor,
    /// The repository map as the model sees it; answered by [`Report::Text`].
    Map,
    /// Fetch a model; answered by [`Report::Pulling`] … [`Report::PullEnded`]. Once it is there it is loaded as soon as no
    /// task runs ([`Event::Loading`] … [`Event::Ready`]). Sent at the user's word only: it opens a connection.
    Pull {
        name: String,
    },
    /// Stop fetching; what has arrived is kept.
    CancelPull,
    /// The user does not want to be offered a model again; answered only where that cannot be remembered.
    DeclineOffer,
    /// Give up loading the model; answered by [`Event::Fatal`]. Another model may be loaded afterwards.
    CancelLoad,
}

/// A task as typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Submit {
    /// The request, folded pastes unfolded.
    pub text: String,
    pub effort: Effort,
    /// Files named with `@`, relative to the project, in the order in which they were named.
    pub files: Vec<String>,
}

/// Something that happened on the other side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Incoming {
    Event(Event),
    Report(Report),
}

/// The answer to a request that is not a task, or news of the surroundings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// Something to read, in Markdown, under a title of a few words.
    Text {
        title: String,
        body: String,
    },
    Sessions {
        sessions: Vec<SessionRow>,
    },
    Models {
        models: Vec<ModelRow>,
    },
    /// What a `!command` printed.
    Shell {
        command: String,
        output: String,
        /// `None` where it was ended by a limit, a signal or the user; `ended` says so in words.
        exit: Option<i32>,
        ended: Option<String>,
        tier: Tier,
        wall_ms: u64,
    },
    /// The conversation so far of a session that was resumed.
    Resumed {
        id: String,
        turns: Vec<PastTurn>,
    },
    /// How full the model's context is, where it is known better than by counting pieces.
    Context {
        used_tokens: u32,
        max_tokens: u32,
    },
    /// Only the model that z1 carries answers, and what could be done about it.
    Offer {
        offer: Offer,
    },
    /// How far a pull is.
    Pulling {
        name: String,
        done_bytes: u64,
        total_bytes: Option<u64>,
    },
    /// A pull ended: the model is there, or `why` not.
    PullEnded {
        name: String,
        why: Option<String>,
        hint: Option<String>,
    },
    /// A request that could not be served; not a task's failure.
    Refused {
        what: String,
        why: String,
        hint: Option<String>,
    },
}

/// One earlier session, newest first in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    pub id: String,
    /// The first task's beginning.
    pub title: String,
    /// When it was last used, in words ("2 hours ago"): the terminal looks at no clock.
    pub when: String,
    pub tasks: u32,
}

/// One model that could be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRow {
    pub name: String,
    /// Quantisation, size, whether it fits: one line.
    pub detail: String,
    pub current: bool,
}

/// One turn of a resumed session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastTurn {
    pub task: String,
    pub answer: String,
    /// The turn's end in words: `verified`, `failed: 2 of 5 tests`, …
    pub status: String,
}
