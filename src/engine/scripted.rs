//! A model that says what a script tells it: for tests of everything above the seam.
//!
//! It goes through the same decode loop as llama.cpp: its "logits" make the script's next token the most
//! probable one, its cache counts cells and sequences, and it refuses what a real model would refuse.
//!
//! Not for: production. Nothing outside tests and examples starts one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::model::{BatchToken, Constraint, Decoded, Sequence, TokenModel, Turn, Vocabulary};
use super::{CANDIDATES_MAX, EngineError, ModelInfo, TokenId};
use crate::cancel::Cancel;

/// The logit of the token that the script wants; all others have 0.
const WANTED_LOGIT: f32 = 60.0;
/// Room for this many different words.
const VOCABULARY_MAX: usize = 4096;
/// Control tokens come after the 256 bytes.
const CONTROL: [&str; 3] = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];
const IM_END: TokenId = 257;
const END_OF_TEXT: TokenId = 258;
const FIRST_WORD: usize = 256 + CONTROL.len();

/// One reply of a scripted model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub text: String,
    /// What it says after a shift; without it, it goes on with `text` as if nothing had happened.
    pub after_shift: Option<String>,
    /// Pause before each token.
    pub token_delay: Duration,
    /// Decoding fails after so many tokens of the reply.
    pub fail_after: Option<u32>,
    /// `text` starts again for ever; the model ends its turn only after a shift, where it has a word for it.
    pub endless: bool,
}

impl Reply {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// What the model says once the hint was forced.
    #[must_use]
    pub fn after_shift(mut self, text: impl Into<String>) -> Self {
        self.after_shift = Some(text.into());
        self
    }

    #[must_use]
    pub const fn slow(mut self, token_delay: Duration) -> Self {
        self.token_delay = token_delay;
        self
    }

    #[must_use]
    pub const fn failing_after(mut self, tokens: u32) -> Self {
        self.fail_after = Some(tokens);
        self
    }

    #[must_use]
    pub const fn endless(mut self) -> Self {
        self.endless = true;
        self
    }
}

impl<T: Into<String>> From<T> for Reply {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// What a computed script is asked: the prompt as text and which candidate of it this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub prompt: String,
    pub candidate: u32,
    /// How many replies were given before.
    pub nth: usize,
}

/// Computes the reply to an [`Ask`].
pub type Answerer = dyn Fn(&Ask) -> Option<Reply> + Send + Sync;

/// Is shown each text before it is split, on whichever thread that happens; it may take its time.
pub type Splitting = dyn Fn(&str) + Send + Sync;

/// How a scripted model splits text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tokens {
    /// A word with the space before it, or a single other byte.
    #[default]
    Words,
    Bytes,
}

/// What a scripted model is and says.
#[derive(Clone)]
pub struct Script {
    /// Gives each candidate its reply; `None` is an error.
    pub answerer: Arc<Answerer>,
    pub tokens: Tokens,
    pub context_tokens_max: u32,
    /// Cache cells for all sequences together; 0 means four full contexts, or one for each slot where those are more.
    pub cells_max: u32,
    pub sequences_max: u32,
    /// Requests that are decoded beside one another.
    pub slots: u32,
    /// What caches outside the cache may take, a token being one byte.
    pub parking_bytes_max: u64,
    pub batch_tokens_max: usize,
    /// Pause for each prompt token.
    pub prefill_delay: Duration,
    /// For tests of what must not wait for a long text.
    pub splitting: Option<Arc<Splitting>>,
    /// Logits outside a generation, by text: what [`super::Engine::choose`] sees.
    pub leanings: Vec<(String, f32)>,
}

impl Script {
    /// Replies given in order, one for each candidate of each request; asking for more is an error.
    pub fn new<R: Into<Reply>>(replies: impl IntoIterator<Item = R>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().map(Into::into).collect();
        Self::answering(move |ask| replies.get(ask.nth).cloned())
    }

    /// Replies computed from the prompt; `None` is an error ("no reply left").
    pub fn answering(answerer: impl Fn(&Ask) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self {
            answerer: Arc::new(answerer),
            tokens: Tokens::Words,
            context_tokens_max: 8192,
            cells_max: 0,
            sequences_max: 64,
            slots: 1,
            parking_bytes_max: 0,
            batch_tokens_max: 256,
            prefill_delay: Duration::ZERO,
            splitting: None,
            leanings: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("context_tokens_max", &self.context_tokens_max).finish_non_exhaustive()
    }
}

/// Words get their number when they are first seen.
pub(super) struct ScriptVocabulary {
    kind: Tokens,
    splitting: Option<Arc<Splitting>>,
    words: Mutex<(Vec<String>, HashMap<String, TokenId>)>,
}

impl std::fmt::Debug for ScriptVocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptVocabulary").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl ScriptVocabulary {
    fn intern(&self, word: &str) -> Vec<TokenId> {
        let mut guard = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let (words, numbers) = &mut *guard;
        if let Some(&token) = numbers.get(word) {
            return vec![token];
        }
        if FIRST_WORD + words.len() >= VOCABULARY_MAX {
            return word.bytes().map(TokenId::from).collect();
        }
        let token = (FIRST_WORD + words.len()) as TokenId;
        words.push(word.to_owned());
        numbers.insert(word.to_owned(), token);
        vec![token]
    }

    fn plain(&self, text: &str) -> Vec<TokenId> {
        if self.kind == Tokens::Bytes {
            return text.bytes().map(TokenId::from).collect();
        }
        let bytes = text.as_bytes();
        let mut tokens = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let letters = at + usize::from(bytes[at] == b' ');
            let length = bytes[letters..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            if length == 0 {
                tokens.push(TokenId::from(bytes[at]));
                at += 1;
            } else {
                tokens.extend(self.intern(&text[at..letters + length]));
                at = letters + length;
            }
        }
        tokens
    }
}

impl Vocabulary for ScriptVocabulary {
    fn tokenize(&self, text: &str, special: bool) -> Vec<TokenId> {
        if let Some(splitting) = &self.splitting {
            splitting(text);
        }
        let next_control = |rest: &str| {
            let found =
                CONTROL.iter().zip(256..).filter_map(|(word, token)| Some((rest.find(word)?, word.len(), token)));
            found.min().filter(|_| special)
        };
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some((at, length, token)) = next_control(rest) {
            tokens.extend(self.plain(&rest[..at]));
            tokens.push(token);
            rest = &rest[at + length..];
        }
        tokens.extend(self.plain(rest));
        tokens
    }

    fn piece(&self, token: TokenId, special: bool) -> Vec<u8> {
        let number = token as usize;
        match number {
            0..256 => vec![number as u8],
            256..FIRST_WORD if special => CONTROL[number - 256].as_bytes().to_vec(),
            256..FIRST_WORD => Vec::new(),
            _ => {
                let guard = self.words.lock().unwrap_or_else(PoisonError::into_inner);
                guard.0.get(number - FIRST_WORD).map(|word| word.as_bytes().to_vec()).unwrap_or_default()
            }
        }
    }

    fn is_end_of_turn(&self, token: TokenId) -> bool {
        token == IM_END || token == END_OF_TEXT
    }

    fn is_control(&self, token: TokenId) -> bool {
        (256..FIRST_WORD as TokenId).contains(&token)
    }

    fn size(&self) -> usize {
        VOCABULARY_MAX
    }
}

/// Where one sequence stands in its reply.
#[derive(Clone, Debug, Default)]
struct Cursor {
    reply: Reply,
    said: Vec<TokenId>,
    after_shift: Option<Vec<TokenId>>,
    prompt_tokens: u32,
    /// After each token that was decoded beyond the prompt: a sequence can be cut back.
    stands: Vec<Stand>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stand {
    at: usize,
    shifted: bool,
    spoken: u32,
}

impl Cursor {
    fn stand(&self) -> Stand {
        self.stands.last().copied().unwrap_or_default()
    }

    fn words(&self, stand: Stand) -> &[TokenId] {
        if stand.shifted { self.after_shift.as_deref().unwrap_or(&self.said) } else { &self.said }
    }

    /// Follows one token of the reply.
    fn advance(&mut self, token: TokenId) {
        let mut stand = self.stand();
        if self.words(stand).get(stand.at) == Some(&token) {
            stand.at += 1;
            stand.spoken += 1;
        } else if !stand.shifted && self.after_shift.is_some() {
            // A token that the script did not want is the hint: from here on the model answers.
            (stand.at, stand.shifted) = (0, true);
        }
        if self.reply.endless && !stand.shifted && stand.at == self.said.len() {
            stand.at = 0;
        }
        self.stands.push(stand);
    }

    fn has_failed(&self) -> bool {
        self.reply.fail_after.is_some_and(|tokens| self.stand().spoken >= tokens)
    }

    fn wanted_logits(&self) -> Vec<f32> {
        let stand = self.stand();
        let mut logits = vec![0.0; VOCABULARY_MAX];
        logits[self.words(stand).get(stand.at).copied().unwrap_or(IM_END) as usize] = WANTED_LOGIT;
        logits
    }
}

/// The scripted model.
pub(super) struct ScriptedModel {
    script: Script,
    info: ModelInfo,
    vocabulary: Arc<ScriptVocabulary>,
    cursors: HashMap<Sequence, Cursor>,
    /// Which sequences hold which (position, token), as a cache does.
    logs: HashMap<Sequence, Vec<TokenId>>,
    rows: Vec<Vec<f32>>,
    replies_given: usize,
}

impl ScriptedModel {
    pub(super) fn new(script: Script) -> Self {
        let info = ModelInfo {
            name: "scripted".to_owned(),
            architecture: "script".to_owned(),
            context_tokens_max: script.context_tokens_max,
            slots: script.slots.max(1),
            candidates_max: CANDIDATES_MAX.min(script.sequences_max),
            quantisation: "none".to_owned(),
            offload: "nowhere".to_owned(),
            fingerprint: "scripted".to_owned(),
            ..ModelInfo::default()
        };
        let vocabulary = Arc::new(ScriptVocabulary {
            kind: script.tokens,
            splitting: script.splitting.clone(),
            words: Mutex::default(),
        });
        Self {
            script,
            info,
            vocabulary,
            cursors: HashMap::new(),
            logs: HashMap::new(),
            rows: Vec::new(),
            replies_given: 0,
        }
    }

    pub(super) fn vocabulary(&self) -> Arc<ScriptVocabulary> {
        Arc::clone(&self.vocabulary)
    }

    /// Cells in use: positions that several sequences share count once, as in a unified cache.
    fn cells_used(&self) -> usize {
        let mut cells = std::collections::HashSet::new();
        for log in self.logs.values() {
            let mut hash = 0u64;
            for (position, &token) in log.iter().enumerate() {
                hash = (hash ^ token as u64).wrapping_mul(0x0100_0000_01b3).wrapping_add(position as u64);
                cells.insert(hash);
            }
        }
        cells.len()
    }

    fn leaning_logits(&self) -> Vec<f32> {
        let mut logits = vec![0.0; VOCABULARY_MAX];
        for (text, logit) in &self.script.leanings {
            for token in self.vocabulary.tokenize(text, false) {
                logits[token as usize] = *logit;
            }
        }
        logits
    }

    /// Follows one decoded token and returns the logits after it.
    fn follow(&mut self, item: BatchToken) -> Result<Vec<f32>, EngineError> {
        let Some(cursor) = self.cursors.get_mut(&item.sequence) else { return Ok(self.leaning_logits()) };
        if item.position < cursor.prompt_tokens {
            return Ok(cursor.wanted_logits());
        }
        std::thread::sleep(cursor.reply.token_delay);
        cursor.advance(item.token);
        if cursor.has_failed() {
            return Err(EngineError::Script("told to fail here".to_owned()));
        }
        Ok(cursor.wanted_logits())
    }
}

impl TokenModel for ScriptedModel {
    type Parked = Vec<TokenId>;

    fn parking_bytes_max(&self) -> u64 {
        self.script.parking_bytes_max
    }

    fn park(&mut self, sequence: Sequence) -> Option<(Self::Parked, u64)> {
        let log = self.logs.get(&sequence)?.clone();
        let bytes = log.len() as u64;
        Some((log, bytes))
    }

    fn unpark(&mut self, sequence: Sequence, parked: &Self::Parked) -> bool {
        self.logs.insert(sequence, parked.clone());
        true
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn cells_max(&self) -> u32 {
        let contexts = self.script.slots.max(4);
        if self.script.cells_max == 0 { self.script.context_tokens_max * contexts } else { self.script.cells_max }
    }

    fn sequences_max(&self) -> u32 {
        self.script.sequences_max
    }

    fn batch_tokens_max(&self) -> usize {
        self.script.batch_tokens_max
    }

    fn batch_logits_max(&self) -> usize {
        self.script.batch_tokens_max
    }

    fn begin_turn(&mut self, turn: &Turn<'_>) -> Result<(), EngineError> {
        for (candidate, &sequence) in (0..).zip(turn.sequences) {
            let ask = Ask { prompt: turn.prompt.to_owned(), candidate, nth: self.replies_given };
            let reply = (self.script.answerer)(&ask)
                .ok_or_else(|| EngineError::Script(format!("no reply left for request {}", ask.nth)))?;
            self.replies_given += 1;
            let said = self.vocabulary.tokenize(&reply.text, false);
            let after_shift = reply.after_shift.as_ref().map(|text| self.vocabulary.tokenize(text, false));
            let prompt_tokens = turn.prompt_tokens;
            let mut cursor = Cursor { reply, said, after_shift, prompt_tokens, stands: Vec::new() };
            // What the cache holds beyond the prompt is said already.
            for &token in self.logs.get(&sequence).into_iter().flatten().skip(prompt_tokens as usize) {
                cursor.advance(token);
            }
            self.cursors.insert(sequence, cursor);
        }
        Ok(())
    }

    fn end_turn(&mut self, sequences: &[Sequence]) {
        for sequence in sequences {
            self.cursors.remove(sequence);
        }
    }

    fn decode(&mut self, batch: &[BatchToken], cancels: &[Cancel]) -> Result<Decoded, EngineError> {
        assert!(batch.len() <= self.script.batch_tokens_max, "invariant: batches respect the limit");
        for item in batch {
            let log = self.logs.entry(item.sequence).or_default();
            assert_eq!(log.len(), item.position as usize, "invariant: positions are consecutive");
            log.push(item.token);
        }
        if self.cells_used() > self.cells_max() as usize {
            for item in batch {
                self.logs.entry(item.sequence).or_default().pop();
            }
            return Ok(Decoded::Full);
        }
        self.rows.clear();
        for &item in batch {
            if self.cursors.get(&item.sequence).is_none_or(|cursor| item.position < cursor.prompt_tokens) {
                std::thread::sleep(self.script.prefill_delay);
            }
            if cancels.iter().all(Cancel::is_cancelled) {
                return Ok(Decoded::Aborted);
            }
            let logits = self.follow(item)?;
            if item.logits {
                self.rows.push(logits);
            }
        }
        Ok(Decoded::Done)
    }

    fn logits(&self, row: usize) -> &[f32] {
        &self.rows[row]
    }

    fn copy_sequence(&mut self, from: Sequence, to: Sequence, tokens: u32) {
        let log = self.logs.get(&from).map(|log| log[..tokens as usize].to_vec()).unwrap_or_default();
        if let Some(cursor) = self.cursors.get_mut(&to) {
            cursor.stands.clear();
            for &token in log.iter().skip(cursor.prompt_tokens as usize) {
                cursor.advance(token);
            }
        }
        let before = self.logs.insert(to, log);
        assert!(before.is_none_or(|log| log.is_empty()), "invariant: the target of a copy is empty");
    }

    fn truncate_sequence(&mut self, sequence: Sequence, tokens: u32) {
        if let Some(log) = self.logs.get_mut(&sequence) {
            log.truncate(tokens as usize);
        }
        if let Some(cursor) = self.cursors.get_mut(&sequence) {
            cursor.stands.truncate(tokens.saturating_sub(cursor.prompt_tokens) as usize);
        }
    }

    fn constraint(&self, _grammar: &str) -> Result<Box<dyn Constraint>, EngineError> {
        Err(EngineError::Grammar("a scripted model knows no grammars".to_owned()))
    }

    fn save_sequence(&mut self, _sequence: Sequence, tokens: &[TokenId], path: &Path) -> Result<u64, EngineError> {
        let text = tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        std::fs::write(path, &text)
            .map_err(|error| EngineError::State { path: path.to_owned(), reason: error.to_string() })?;
        Ok(text.len() as u64)
    }

    fn load_sequence(&mut self, sequence: Sequence, path: &Path) -> Result<Vec<TokenId>, EngineError> {
        let damaged = |reason: String| EngineError::State { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| damaged(error.to_string()))?;
        let tokens = text.split_whitespace().map(str::parse).collect::<Result<Vec<TokenId>, _>>();
        let tokens = tokens.map_err(|error| damaged(error.to_string()))?;
        self.logs.insert(sequence, tokens.clone());
        Ok(tokens)
    }
}
