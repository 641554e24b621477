//! Plays one request on the engine: rendered, windowed, streamed, told apart.
//!
//! Not for: bytes on a connection (`http.rs`).

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::mpsc;

use super::ask::{Ask, Fault, Kind};
use super::content::{in_turn, without_system};
use super::form::{Answer, Ended, Form, Spent};
use super::split::{Splitter, Told};
use super::stops::Stops;
use super::tools::{self, Found, Scanner};
use super::window::{self, Chosen, Facts};
use super::{Server, WRITE_WITHIN};
use crate::engine::{EngineError, EngineEvent, GenerateRequest, Sampling, Steer};
use crate::prompt::{Message, Rendered, Role, Segment};
use crate::task::{Finish, Part, Trajectory};
use crate::traits::ThinkTags;

/// No vocabulary has a longer token (runs of spaces are the longest): a text of more bytes for each token of the context
/// is refused without being read.
const TOKEN_BYTES_MAX: usize = 256;

/// How tokens are drawn where neither the request nor the model's makers say it.
const SAMPLING: Sampling = Sampling { temperature: 0.6, top_p: 0.95, ..Sampling::GREEDY };

/// Where the pieces of a stream go.
pub(super) struct Stream {
    pub(super) form: Box<dyn Form>,
    pub(super) out: mpsc::Sender<hyper::body::Bytes>,
}

impl Stream {
    /// Sends events.
    ///
    /// # Errors
    /// The client has gone, or takes nothing any more.
    pub(super) async fn send(&self, events: String) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        let sent = tokio::time::timeout(WRITE_WITHIN, self.out.send(events.into())).await;
        if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(gone()) }
    }
}

fn gone() -> Fault {
    Fault::new(Kind::Broken, "the client has gone")
}

/// A request, ready to be played.
#[derive(Debug)]
pub(super) struct Prepared {
    prompt: Rendered,
    turns: Vec<Message>,
    chosen: Chosen,
    tags: Option<ThinkTags>,
    opened: bool,
    /// What the model's answer is begun with for it, part of the hint.
    begun: String,
    pub(super) prompt_tokens: u32,
}

/// Renders a request's conversation.
///
/// # Errors
/// A conversation that the model's template refuses.
fn render(server: &Server, ask: &Ask) -> Result<(Rendered, Vec<Message>), Fault> {
    if let Some(text) = &ask.raw {
        let traits = server.agent.traits();
        let mut segments = vec![Segment { text: text.clone(), special: false, learn: false }];
        if traits.adds_bos && !traits.bos.is_empty() {
            segments.insert(0, Segment { text: traits.bos.clone(), special: true, learn: false });
        }
        return Ok((Rendered { segments }, vec![Message::new(Role::User, text.as_str())]));
    }
    let mut turns = in_turn(ask.messages.clone());
    if !ask.tools.is_empty() {
        turns = with_tools(server, ask, turns)?;
    }
    if turns.iter().all(|turn| turn.role == Role::System) {
        return Err(Fault::field("messages", "there is nothing to answer"));
    }
    let agent = &server.agent;
    match agent.render(&turns) {
        Ok(prompt) => Ok((prompt, turns)),
        // Some templates know no system turn.
        Err(problem) => {
            let turns = without_system(turns);
            let refused = |_| Fault::field("messages", format!("the model's chat template refuses them: {problem:#}"));
            agent.render(&turns).map(|prompt| (prompt, turns)).map_err(refused)
        }
    }
}

fn with_tools(server: &Server, ask: &Ask, mut turns: Vec<Message>) -> Result<Vec<Message>, Fault> {
    #[derive(Serialize)]
    struct Context<'a> {
        tools: &'a str,
        must: &'a str,
    }
    let (tools, must) = (tools::lines(&ask.tools), ask.must_call.as_deref().unwrap_or_default());
    let words = server.agent.prompts.render("serve_tools", Context { tools: &tools, must });
    let words = words.map_err(|problem| Fault::new(Kind::Broken, problem.to_string()))?;
    match turns.first_mut().filter(|turn| turn.role == Role::System) {
        Some(system) => system.content = format!("{}\n\n{}", system.content.trim_end(), words.trim()),
        None => turns.insert(0, Message::new(Role::System, words.trim())),
    }
    Ok(turns)
}

/// The tokens of a request's prompt.
///
/// # Errors
/// A conversation that the model's template refuses.
pub(super) async fn count(server: &Server, ask: &Ask) -> Result<u32, Fault> {
    let (prompt, _) = render(server, ask)?;
    tokens(server, &prompt).await
}

/// Counts a prompt's tokens where others are not held up by it: megabytes take their time.
async fn tokens(server: &Server, prompt: &Rendered) -> Result<u32, Fault> {
    let (engine, prompt) = (server.agent.engine.clone(), prompt.clone());
    let counted = tokio::task::spawn_blocking(move || engine.tokenize(&prompt).len() as u32).await;
    counted.map_err(|problem| Fault::new(Kind::Broken, format!("the prompt could not be tokenized: {problem}")))
}

/// Makes a request ready.
///
/// # Errors
/// A conversation that the model's template refuses, or that leaves no room for an answer.
pub(super) async fn prepare(server: &Server, ask: &Ask) -> Result<Prepared, Fault> {
    let (prompt, turns) = render(server, ask)?;
    let (engine, info) = (&server.agent.engine, server.agent.engine.info());
    let least = (prompt.segments.iter().map(|segment| segment.text.len()).sum::<usize>() / TOKEN_BYTES_MAX) as u32;
    if least > info.context_tokens_max {
        return Err(too_long(&format!("{least} tokens at least"), info.context_tokens_max));
    }
    let prompt_tokens = tokens(server, &prompt).await?;
    // The closing tag is laid over every hint, the request's own as well.
    let own = server.agent.prompts.hint(None, "");
    let own = own.map_err(|problem| Fault::new(Kind::Broken, problem.to_string()))?;
    let hint = ask.hint.as_deref().unwrap_or(&own);
    let traits = server.agent.traits();
    let tags = traits.think.clone().filter(|_| ask.raw.is_none());
    let opened = tags.as_ref().is_some_and(|tags| prompt.text().trim_end().ends_with(&tags.open));
    let facts = Facts {
        wish: ask.thinking,
        tags: tags.as_ref(),
        answer_prefix: &traits.answer_prefix,
        opened,
        hint,
        // The closing tag comes to it.
        hint_tokens: engine.count_tokens(hint) as u32 + 8,
        prompt_tokens,
        context_tokens_max: info.context_tokens_max,
        tokens_max: ask.tokens_max,
        window_tokens: server.window_tokens.or(traits.window_tokens),
    };
    match window::choose(facts) {
        Some(mut chosen) => {
            // A model that marks its thinking thinks first, and a grammar begins with its own beginning.
            let is_begun = ask.must_call.is_some() && tags.is_none() && ask.grammar.is_none();
            let begun = if is_begun { tools::begun(&ask.tools) } else { String::new() };
            chosen.spec.hint.push_str(&begun);
            Ok(Prepared { prompt, turns, chosen, tags, opened, begun, prompt_tokens })
        }
        None => Err(too_long(&format!("{prompt_tokens} tokens"), info.context_tokens_max)),
    }
}

fn too_long(length: &str, context_tokens_max: u32) -> Fault {
    let message = format!(
        "the prompt has {length}, and the model's context of {context_tokens_max} leaves no room for an \
         answer; shorten it, or start z1 serve with a larger --context"
    );
    Fault::new(Kind::TooLong, message)
}

/// Plays a request to its end; with a stream, tells what happens as it happens.
///
/// # Errors
/// The engine broke, too many wait for it, or the client has gone.
pub(super) async fn generate(
    server: &Server,
    ask: &Ask,
    prepared: &Prepared,
    id: &str,
    mut stream: Option<&mut Stream>,
) -> Result<Answer, Fault> {
    let busy = || Fault::new(Kind::Busy, "all conversations are busy; try again in a moment");
    let taken = server.slots.take(&prepared.turns).ok_or_else(busy)?;
    let sampling = ask.draw.over(server.agent.traits().sampling.unwrap_or(SAMPLING));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let mut generation = server.agent.engine.generate(GenerateRequest {
        session: taken.session(),
        prompt: prepared.prompt.clone(),
        window: prepared.chosen.spec.clone(),
        thinking_sampling: sampling,
        answer_sampling: sampling,
        candidates: 1,
        seed: ask.seed.unwrap_or_else(now),
        grammar: ask.grammar.clone(),
        ..GenerateRequest::default()
    });
    let mut reading = Reading::new(ask, prepared, id);
    let mut trajectory = None;
    loop {
        let closed = async {
            match &stream {
                Some(stream) => stream.out.closed().await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            event = generation.next() => event,
            () = closed => return Err(gone()),
        };
        match event.transpose().map_err(|error| fault(&error, prepared))? {
            None => break,
            Some(EngineEvent::Piece { part, text, tokens, .. }) => {
                let found = reading.piece(part, &text, tokens);
                tell(&mut stream, &found).await?;
                if std::mem::take(&mut reading.widen) {
                    // The answer has begun: its words are not to be taken for thinking that must be cut.
                    generation.steer(Steer::ThinkMore(prepared.chosen.tokens_max));
                }
                if reading.enough() {
                    generation.steer(Steer::StopAll);
                }
            }
            Some(EngineEvent::Finished { trajectory: whole, .. }) => trajectory = Some(whole),
            // What a rewind takes back of a loop was sent already; a stream cannot unsay it.
            Some(
                EngineEvent::Allotted { .. }
                | EngineEvent::Prefill { .. }
                | EngineEvent::Shifted { .. }
                | EngineEvent::Rewound { .. },
            ) => {}
        }
    }
    let rest = reading.finish();
    tell(&mut stream, &rest).await?;
    let trajectory = trajectory.ok_or_else(|| Fault::new(Kind::Broken, "the model ended without an answer"))?;
    Ok(reading.answer(&trajectory))
}

async fn tell(stream: &mut Option<&mut Stream>, heard: &[Heard]) -> Result<(), Fault> {
    let Some(stream) = stream else { return Ok(()) };
    for heard in heard {
        let events = match heard {
            Heard::Thought(text) => stream.form.thought(text),
            Heard::Found(Found::Text(text)) => stream.form.text(text),
            Heard::Found(Found::Call(call)) => stream.form.call(call),
        };
        stream.send(events).await?;
    }
    Ok(())
}

fn fault(error: &EngineError, prepared: &Prepared) -> Fault {
    match error {
        EngineError::PromptTooLong { context_tokens_max, .. } => {
            too_long(&format!("{} tokens", prepared.prompt_tokens), *context_tokens_max)
        }
        EngineError::Busy => Fault::new(Kind::Busy, error.to_string()),
        EngineError::Grammar(why) => Fault::field("grammar", why.as_str()),
        EngineError::PromptEmpty => Fault::field("messages", "there is nothing to answer"),
        _ => Fault::new(Kind::Broken, error.to_string()),
    }
}

/// What was read of a generation, ready to be told.
enum Heard {
    Thought(String),
    Found(Found),
}

/// A generation as it is read.
struct Reading {
    splitter: Splitter,
    stops: Stops,
    scanner: Scanner,
    begun: String,
    tokens_max: u32,
    generated_tokens: u32,
    thinking_tokens: u32,
    limit: bool,
    /// The model has closed its thinking just now.
    widen: bool,
    widened: bool,
    thought: String,
    text: String,
    calls: Vec<tools::Call>,
}

impl Reading {
    fn new(ask: &Ask, prepared: &Prepared, id: &str) -> Self {
        Self {
            splitter: Splitter::new(prepared.tags.clone(), prepared.opened, prepared.chosen.unmarked),
            stops: Stops::new(ask.stops.clone()),
            scanner: Scanner::new(&ask.tools, id),
            begun: prepared.begun.clone(),
            tokens_max: prepared.chosen.tokens_max,
            generated_tokens: 0,
            thinking_tokens: 0,
            limit: false,
            widen: false,
            widened: false,
            thought: String::new(),
            text: String::new(),
            calls: Vec::new(),
        }
    }

    fn piece(&mut self, part: Part, text: &str, tokens: u32) -> Vec<Heard> {
        if self.enough() {
            return Vec::new();
        }
        if part == Part::Shift && self.splitter.has_closed() {
            // The window ended in the middle of the answer: there is no room left.
            self.limit = true;
            return Vec::new();
        }
        let thinking = self.splitter.is_thinking();
        let mut told = self.splitter.push(part, text);
        if part == Part::Shift && !self.begun.is_empty() {
            told.push(Told::Text(std::mem::take(&mut self.begun)));
        }
        if part != Part::Shift {
            self.generated_tokens += tokens;
            self.thinking_tokens += if thinking { tokens } else { 0 };
        }
        if part == Part::Thinking && self.splitter.has_closed() && !self.widened {
            (self.widen, self.widened) = (true, true);
        }
        self.limit |= self.generated_tokens >= self.tokens_max;
        self.take(told)
    }

    fn take(&mut self, told: Vec<Told>) -> Vec<Heard> {
        let mut heard = Vec::new();
        for told in told {
            match told {
                Told::Thought(text) => {
                    self.thought.push_str(&text);
                    heard.push(Heard::Thought(text));
                }
                Told::Text(text) => {
                    let text = self.stops.push(&text);
                    let found = self.scanner.push(&text);
                    heard.extend(self.keep(found));
                }
            }
        }
        heard
    }

    fn keep(&mut self, found: Vec<Found>) -> Vec<Heard> {
        let mut heard = Vec::new();
        for found in found {
            match &found {
                Found::Text(text) if text.is_empty() => continue,
                Found::Text(text) => self.text.push_str(text),
                Found::Call(call) => self.calls.push(call.clone()),
            }
            heard.push(Heard::Found(found));
        }
        heard
    }

    fn enough(&self) -> bool {
        self.limit || self.stops.found().is_some()
    }

    fn finish(&mut self) -> Vec<Heard> {
        let told = self.splitter.finish();
        let mut heard = self.take(told);
        let rest = self.stops.finish();
        let mut found = self.scanner.push(&rest);
        found.extend(self.scanner.finish());
        heard.extend(self.keep(found));
        heard
    }

    fn answer(self, trajectory: &Trajectory) -> Answer {
        let was_answer = self.splitter.was_answer();
        let ended = match (self.stops.found(), trajectory.finish) {
            _ if self.scanner.calls() > 0 => Ended::Calls,
            (Some(word), _) => Ended::Stop(word.to_owned()),
            (None, Finish::AnswerLimit | Finish::ContextFull) => Ended::Limit,
            (None, _) if self.limit && trajectory.finish != Finish::EndOfTurn => Ended::Limit,
            (None, _) => Ended::Turn,
        };
        Answer {
            thought: if was_answer { String::new() } else { self.thought },
            text: self.text,
            calls: self.calls,
            ended,
            spent: Spent {
                prompt_tokens: trajectory.usage.prompt_tokens,
                reused_tokens: trajectory.usage.reused_tokens,
                // The hint was given, not written.
                generated_tokens: trajectory.usage.generated_tokens().saturating_sub(trajectory.usage.forced_tokens),
                thinking_tokens: if was_answer { 0 } else { self.thinking_tokens },
            },
            verified: None,
        }
    }
}
