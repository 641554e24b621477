//! JSON-RPC over lines, as a client: one request at a time, every wait and every line bounded.
//!
//! What a server says between is dealt with: its own requests are refused, its notices and log lines passed over, late
//! answers forgotten. A line that is too long is skipped, and is the answer to what was asked.
//!
//! Not for: what the messages mean (`server.rs`).

use std::fmt;
use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use crate::cancel::Cancel;
use crate::sandbox::text::clean;

/// The longest line that is read; a longer one is skipped.
pub(super) const LINE_BYTES_MAX: usize = 4 << 20;
/// What is kept of other people's messages, in characters.
const MESSAGE_CHARS_MAX: usize = 1_000;
/// What is kept of a line that is no message.
const NOISE_CHARS_MAX: usize = 200;
/// A last word to a server that may not be reading.
const LAST_WORD_WITHIN: Duration = Duration::from_millis(500);

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The other side has ended, or cannot be reached.
    Gone(String),
    /// No answer within this time; what it printed meanwhile that is no message.
    Late(Duration, String),
    Cancelled,
    /// An answer that is none.
    Malformed(String),
    /// The session is none that it knows (over HTTP): it has carried nothing out.
    NoSession(String),
    /// An error of the protocol.
    Refused {
        code: i64,
        message: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(why) => write!(f, "it is gone: {why}"),
            Self::Late(within, noise) => {
                write!(f, "no answer within {:.0} s", within.as_secs_f32())?;
                if noise.is_empty() { Ok(()) } else { write!(f, "; it printed `{noise}`, which is no message") }
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::Malformed(why) => write!(f, "its reply is malformed: {why}"),
            Self::NoSession(message) => write!(f, "error 404: {message}"),
            Self::Refused { code, message } => write!(f, "error {code}: {message}"),
        }
    }
}

/// Both ends of a program that speaks lines.
pub(super) struct Lines {
    reader: BufReader<Box<dyn AsyncRead + Send + Sync + Unpin>>,
    writer: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    /// The line that is being read.
    partial: Vec<u8>,
    /// The line that is being read is too long.
    skipping: bool,
    /// A message went out in part only: nothing more can be said.
    half_said: bool,
    noise: String,
    last_id: u64,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("last_id", &self.last_id).finish_non_exhaustive()
    }
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

impl Lines {
    pub(super) fn new(
        reader: impl AsyncRead + Send + Sync + Unpin + 'static,
        writer: impl AsyncWrite + Send + Sync + Unpin + 'static,
    ) -> Self {
        Self {
            reader: BufReader::new(Box::new(reader)),
            writer: Box::new(writer),
            partial: Vec::new(),
            skipping: false,
            half_said: false,
            noise: String::new(),
            last_id: 0,
        }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn request(
        &mut self,
        method: &str,
        params: &Value,
        within: Duration,
        cancel: &Cancel,
    ) -> Result<Value, Failure> {
        self.last_id += 1;
        let id = self.last_id;
        self.noise.clear();
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let exchange = async {
            self.say(&message).await?;
            self.answer(id).await
        };
        let result = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Failure::Cancelled),
            done = tokio::time::timeout(within, exchange) => match done {
                Ok(done) => done,
                Err(_) => Err(Failure::Late(within, std::mem::take(&mut self.noise))),
            },
        };
        // No answer follows, or one that nobody waits for. `initialize` cannot be taken back.
        if matches!(result, Err(Failure::Cancelled | Failure::Late(..))) && method != "initialize" {
            let params = json!({ "requestId": id, "reason": "nobody waits for it any more" });
            let _ = tokio::time::timeout(LAST_WORD_WITHIN, self.notify("notifications/cancelled", &params)).await;
        }
        result
    }

    /// Says something that is not answered.
    pub(super) async fn notify(&mut self, method: &str, params: &Value) -> Result<(), Failure> {
        self.say(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await
    }

    async fn say(&mut self, message: &Value) -> Result<(), Failure> {
        if self.half_said {
            return Err(Failure::Gone("it does not read what it is told".to_owned()));
        }
        let mut line = message.to_string();
        line.push('\n');
        self.half_said = true;
        let written = async {
            self.writer.write_all(line.as_bytes()).await?;
            self.writer.flush().await
        };
        written.await.map_err(|problem| Failure::Gone(format!("it takes no message ({problem})")))?;
        self.half_said = false;
        Ok(())
    }

    async fn answer(&mut self, id: u64) -> Result<Value, Failure> {
        loop {
            let line = match self.line().await {
                Err(problem) => return Err(Failure::Gone(problem.to_string())),
                Ok(Line::End) => return Err(Failure::Gone("it closed its output".to_owned())),
                Ok(Line::TooLong) => return Err(too_long()),
                Ok(Line::Whole(line)) => line,
            };
            match read(&line, id) {
                Said::Answer(answer) => return answer,
                Said::Asks(id, method) => {
                    // Nothing was announced that it could ask for; `ping` is everybody's.
                    let reply = if method == "ping" {
                        json!({ "jsonrpc": "2.0", "id": id, "result": {} })
                    } else {
                        let message = "not supported by this client";
                        json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": message } })
                    };
                    self.say(&reply).await?;
                }
                Said::Noise(noise) => self.noise = noise,
                Said::Nothing => {}
            }
        }
    }

    /// The next line. Cancel safe: what was read of it is kept.
    async fn line(&mut self) -> io::Result<Line> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(Line::End);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(chunk.len(), |at| at + 1);
            if !self.skipping {
                self.partial.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
            }
            self.reader.consume(used);
            if self.partial.len() > LINE_BYTES_MAX {
                (self.partial, self.skipping) = (Vec::new(), true);
            }
            if end.is_some() {
                let line = std::mem::take(&mut self.partial);
                return Ok(if std::mem::take(&mut self.skipping) { Line::TooLong } else { Line::Whole(line) });
            }
        }
    }
}

/// A message beyond [`LINE_BYTES_MAX`].
pub(super) fn too_long() -> Failure {
    Failure::Malformed(format!("it is longer than {} MiB", LINE_BYTES_MAX >> 20))
}

/// What a line is to somebody who waits for the answer to a request.
pub(super) enum Said {
    Answer(Result<Value, Failure>),
    /// A request of the server's own, and its method.
    Asks(Value, String),
    /// No message at all.
    Noise(String),
    /// A notice, or an answer that nobody waits for.
    Nothing,
}

pub(super) fn read(line: &[u8], id: u64) -> Said {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    let mut object = match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        Err(problem) if text.starts_with('{') && text.contains("\"jsonrpc\"") => {
            return Said::Answer(Err(Failure::Malformed(format!("it is not JSON ({problem})"))));
        }
        _ if text.is_empty() => return Said::Nothing,
        _ => return Said::Noise(shortened(text, NOISE_CHARS_MAX)),
    };
    let of = object.remove("id").unwrap_or_default();
    if let Some(method) = object.get("method") {
        let method = method.as_str().unwrap_or_default().to_owned();
        return if of.is_null() { Said::Nothing } else { Said::Asks(of, method) };
    }
    let error = object.remove("error").filter(|error| !error.is_null());
    // An error without an id is about what was sent last.
    let ours = of == json!(id) || of == json!(id.to_string()) || (of.is_null() && error.is_some());
    if !ours {
        return Said::Nothing;
    }
    if let Some(error) = error {
        let message = error["message"].as_str().map_or_else(|| error.to_string(), str::to_owned);
        let code = error["code"].as_i64().unwrap_or_default();
        return Said::Answer(Err(Failure::Refused { code, message: shortened(&message, MESSAGE_CHARS_MAX) }));
    }
    let result = object.remove("result");
    Said::Answer(result.ok_or_else(|| Failure::Malformed("it has neither a result nor an error".to_owned())))
}

/// Other people's text, cleaned, up to so many characters.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    let short: String = text.chars().take(chars_max).collect();
    clean(&short).trim().to_owned()
}
