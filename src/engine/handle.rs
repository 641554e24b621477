//! The handle: channels down to the engine's thread and up from it.
//!
//! Not for: what happens to a request (`worker.rs`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::job::Call;
use super::model::{TokenModel, Vocabulary};
use super::scripted::{Script, ScriptedModel};
use super::weigh::Weighed;
use super::worker::Worker;
use super::{
    EVENTS_MAX, EngineError, EngineEvent, GenerateRequest, LoadOptions, ModelInfo, REQUESTS_MAX, SessionId,
    SessionStats, Steer, TokenId,
};
use crate::cancel::Cancel;
use crate::prompt::Rendered;

pub(super) type Answer<T> = oneshot::Sender<Result<T, EngineError>>;

/// How long the engine's thread rests where every listener has yet to take what was said: at first, and at most.
const REST_MIN: Duration = Duration::from_micros(200);
const REST_MAX: Duration = Duration::from_millis(5);

/// What can be asked of the engine's thread.
pub(super) enum Request {
    Generate(Call),
    Choose { prompt: Rendered, choices: Vec<String>, cancel: Cancel, answer: Answer<Vec<f32>> },
    Weigh(Box<Weigh>),
    Save { session: SessionId, path: PathBuf, answer: Answer<u64> },
    Restore { session: SessionId, path: PathBuf, answer: Answer<u32> },
    Keep { session: SessionId, prompt: Rendered, answer: Answer<bool> },
    Stats { session: SessionId, answer: Answer<Option<SessionStats>> },
    End { session: SessionId, answer: Answer<()> },
}

/// A text that is to be weighed as the reply to a prompt.
pub(super) struct Weigh {
    pub(super) session: SessionId,
    pub(super) prompt: Rendered,
    pub(super) given: Vec<TokenId>,
    pub(super) others_max: usize,
    pub(super) cancel: Cancel,
    pub(super) answer: Answer<Vec<Weighed>>,
}

impl Request {
    /// The session that it is about.
    pub(super) fn session(&self) -> SessionId {
        match self {
            Self::Generate(call) => call.request.session,
            Self::Choose { .. } => SessionId::PROBE,
            Self::Weigh(weigh) => weigh.session,
            Self::Save { session, .. }
            | Self::Restore { session, .. }
            | Self::Keep { session, .. }
            | Self::Stats { session, .. }
            | Self::End { session, .. } => *session,
        }
    }
}

/// Words to a running generation that it has not read yet. They commute, so there is no queue that could
/// be full: two "answer now" are one, two "think more" add up.
#[derive(Debug, Default)]
pub(super) struct Steering {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    answer_now: bool,
    more_tokens: u32,
    stop: std::collections::BTreeSet<u32>,
    stop_all: bool,
}

impl Steering {
    fn say(&self, word: Steer) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match word {
            Steer::AnswerNow => said.answer_now = true,
            Steer::ThinkMore(tokens) => said.more_tokens = said.more_tokens.saturating_add(tokens),
            Steer::Stop(candidate) => {
                said.stop.insert(candidate);
            }
            Steer::StopAll => said.stop_all = true,
        }
    }

    /// What was said since the last call.
    pub(super) fn take(&self) -> Vec<Steer> {
        let said = std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
        let mut words: Vec<Steer> = said.stop.into_iter().map(Steer::Stop).collect();
        if said.stop_all {
            words.push(Steer::StopAll);
        }
        if said.more_tokens > 0 {
            words.push(Steer::ThinkMore(said.more_tokens));
        }
        if said.answer_now {
            words.push(Steer::AnswerNow);
        }
        words
    }
}

/// A handle to the thread that owns the model. Clones share it; the last one to go ends it.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    requests: Option<mpsc::Sender<Request>>,
    info: ModelInfo,
    vocabulary: Arc<dyn Vocabulary>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Closing the channel ends the thread, which frees the model. It is waited for, because a process
        // that ends while the back end is being torn down can crash on the way out. No generation can be
        // running: each keeps the engine alive.
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("info", &self.shared.info).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that says what a script tells it; for tests and examples.
    pub fn start_scripted(script: Script) -> Self {
        let model = ScriptedModel::new(script);
        let (info, vocabulary) = (model.info().clone(), model.vocabulary());
        let shared: Arc<dyn Vocabulary> = vocabulary;
        let for_thread = Arc::clone(&shared);
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let thread = spawn(move || serve(Worker::new(model, for_thread), inbox));
        Self::from_parts(requests, info, shared, thread)
    }

    /// Loads a model with llama.cpp; blocks until it is loaded.
    ///
    /// `progress` is called on the engine's thread with fractions in 0..=1 while weights are read; `cancel`
    /// gives up at the next one.
    ///
    /// # Errors
    /// Every kind of file that is no usable model has its own words; so has a model that does not fit.
    pub fn start_llama(
        options: LoadOptions,
        progress: impl FnMut(f32) + Send + 'static,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        #[cfg(feature = "llama")]
        return super::llama::start(options, progress, cancel);
        #[cfg(not(feature = "llama"))]
        {
            let _ = (options, progress, cancel);
            Err(EngineError::NotBuilt)
        }
    }

    pub(super) fn from_parts(
        requests: mpsc::Sender<Request>,
        info: ModelInfo,
        vocabulary: Arc<dyn Vocabulary>,
        thread: JoinHandle<()>,
    ) -> Self {
        Self { shared: Arc::new(Shared { requests: Some(requests), info, vocabulary, thread: Some(thread) }) }
    }

    /// What is known of the model.
    pub fn info(&self) -> &ModelInfo {
        &self.shared.info
    }

    /// Starts a generation. Errors come as the stream's last item. May be called again while others run: see the module's
    /// first lines.
    pub fn generate(&self, request: GenerateRequest) -> Generation {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let steering = Arc::new(Steering::default());
        let cancel = Cancel::new();
        let sent = self.requests().try_send(Request::Generate(Call {
            request: Box::new(request),
            events: sender,
            steering: Arc::clone(&steering),
            cancel: cancel.clone(),
        }));
        let refused = sent.err().map(|error| match error {
            mpsc::error::TrySendError::Full(_) => EngineError::Busy,
            mpsc::error::TrySendError::Closed(_) => EngineError::Gone,
        });
        Generation { events, steering, cancel, refused, _engine: self.clone() }
    }

    /// The tokens of a rendered prompt, as a fresh session would see them. Does not wait for the model.
    pub fn tokenize(&self, prompt: &Rendered) -> Vec<TokenId> {
        prompt
            .segments
            .iter()
            .flat_map(|segment| self.shared.vocabulary.tokenize(&segment.text, segment.special))
            .collect()
    }

    /// The tokens of a text; control tokens written in it count as such only with `special`.
    pub fn tokenize_text(&self, text: &str, special: bool) -> Vec<TokenId> {
        self.shared.vocabulary.tokenize(text, special)
    }

    /// How many tokens a text has. Does not wait for the model.
    pub fn count_tokens(&self, text: &str) -> usize {
        self.shared.vocabulary.tokenize(text, false).len()
    }

    /// The text of tokens; control tokens appear as they are written. Bytes that are no text become U+FFFD.
    pub fn detokenize(&self, tokens: &[TokenId]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|&token| self.shared.vocabulary.piece(token, true)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A token's bytes as they are written, which may be a part of a character.
    pub fn token_bytes(&self, token: TokenId) -> Vec<u8> {
        self.shared.vocabulary.piece(token, true)
    }

    /// How probable each choice is as the next text after the prompt: log-probabilities, normalised over
    /// the choices (their exponentials sum to 1). One prefill, no sampling. Dropping the call cancels it; nothing of
    /// it stays in the cache.
    ///
    /// # Errors
    /// Where the prompt is empty or too long, or the model failed.
    pub async fn choose(&self, prompt: &Rendered, choices: &[&str]) -> Result<Vec<f32>, EngineError> {
        let choices = choices.iter().map(|&choice| choice.to_owned()).collect();
        let cancel = CancelOnDrop(Cancel::new());
        let flag = cancel.0.clone();
        self.ask(|answer| Request::Choose { prompt: prompt.clone(), choices, cancel: flag, answer }).await
    }

    /// What the model thinks of each token of `given` as its reply to the prompt: how probable it is, and which at most
    /// `others_max` others are likelier or nearly as likely. One pass, nothing is drawn. It stays in the session's cache: replies
    /// whose [`GenerateRequest::given`] begins like it go on from there. Dropping the call cancels it.
    ///
    /// # Errors
    /// Where the two are too long for the context, or the model failed.
    pub async fn weigh(
        &self,
        session: SessionId,
        prompt: &Rendered,
        given: &[TokenId],
        others_max: usize,
    ) -> Result<Vec<Weighed>, EngineError> {
        let flag = CancelOnDrop(Cancel::new());
        let (cancel, prompt, given) = (flag.0.clone(), prompt.clone(), given.to_vec());
        self.ask(|answer| Request::Weigh(Box::new(Weigh { session, prompt, given, others_max, cancel, answer }))).await
    }

    /// Writes a session's cached prompt and reply to a file; returns its size in bytes.
    ///
    /// # Errors
    /// Where the session is empty or the file cannot be written.
    pub async fn save_session(&self, session: SessionId, path: &Path) -> Result<u64, EngineError> {
        self.ask(|answer| Request::Save { session, path: path.to_owned(), answer }).await
    }

    /// Replaces a session by what a file holds; returns its number of tokens. The file must have been
    /// written with the same model file, context settings and version of z1.
    ///
    /// # Errors
    /// Where the file is missing, damaged or of another model; the session is empty then.
    pub async fn restore_session(&self, session: SessionId, path: &Path) -> Result<u32, EngineError> {
        self.ask(|answer| Request::Restore { session, path: path.to_owned(), answer }).await
    }

    /// Keeps a session's cache for the next run of the program, as far as a prompt that goes on with it would use it; returns
    /// whether it was worth a file (see [`LoadOptions::prompt_states`](super::LoadOptions::prompt_states)).
    ///
    /// # Errors
    /// Where the engine is gone.
    pub async fn keep_session(&self, session: SessionId, prompt: &Rendered) -> Result<bool, EngineError> {
        self.ask(|answer| Request::Keep { session, prompt: prompt.clone(), answer }).await
    }

    /// Forgets a session and frees its cache.
    ///
    /// # Errors
    /// Where the engine is gone.
    pub async fn end_session(&self, session: SessionId) -> Result<(), EngineError> {
        self.ask(|answer| Request::End { session, answer }).await
    }

    /// What a session has cost so far; `None` for a session that does not exist.
    ///
    /// # Errors
    /// Where the engine is gone.
    pub async fn session_stats(&self, session: SessionId) -> Result<Option<SessionStats>, EngineError> {
        self.ask(|answer| Request::Stats { session, answer }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, EngineError> {
        let (sender, answer) = oneshot::channel();
        self.requests().send(request(sender)).await.map_err(|_| EngineError::Gone)?;
        answer.await.map_err(|_| EngineError::Gone)?
    }

    fn requests(&self) -> &mpsc::Sender<Request> {
        self.shared.requests.as_ref().expect("invariant: the sender lives as long as the handle")
    }
}

/// Sets the flag when whoever waits has gone.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A running generation. Dropping it cancels it.
pub struct Generation {
    events: mpsc::Receiver<Result<EngineEvent, EngineError>>,
    steering: Arc<Steering>,
    cancel: Cancel,
    refused: Option<EngineError>,
    _engine: Engine,
}

impl Generation {
    /// The next event; `None` after the last `Finished` or after an error.
    ///
    /// Cancel safe: a call that is dropped loses nothing.
    pub async fn next(&mut self) -> Option<Result<EngineEvent, EngineError>> {
        if let Some(error) = self.refused.take() {
            self.events.close();
            return Some(Err(error));
        }
        self.events.recv().await
    }

    /// Says something to the generation; heeded before its next token.
    pub fn steer(&self, word: Steer) {
        self.steering.say(word);
    }

    /// Ends it within one token or one chunk of the prompt. The events up to there, and `Finished` with
    /// what was written, still come.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("cancelled", &self.cancel.is_cancelled()).finish_non_exhaustive()
    }
}

pub(super) fn spawn(body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name("engine".to_owned()).spawn(body).expect("invariant: the system can start a thread")
}

/// Serves requests until every handle is gone.
pub(super) fn serve<M: TokenModel>(mut worker: Worker<M>, mut inbox: mpsc::Receiver<Request>) {
    let mut rest = REST_MIN;
    loop {
        if worker.is_idle() {
            let Some(request) = inbox.blocking_recv() else { return };
            worker.take(request);
        }
        while worker.has_room() {
            let Ok(request) = inbox.try_recv() else { break };
            worker.take(request);
        }
        if worker.turn() {
            rest = REST_MIN;
        } else {
            std::thread::sleep(rest);
            rest = (rest * 2).min(REST_MAX);
        }
    }
}
