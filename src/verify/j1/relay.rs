//! Carries lines between the judge and the worker, one reply a request, and reads nothing into them.
//!
//! The judge's lines begin with `>` (for the worker) or `=` (a report for us); ours to the judge with `<`
//! (the worker's line, as it came) or `!` (the worker is gone, and why). The worker is not trusted: its lines
//! have a size limit and a time limit, and a second line where one was asked for ends the trial.

use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::{Instant, timeout, timeout_at};

/// Longest line in either direction.
const LINE_BYTES_MAX: u64 = 32 << 20;
/// Most events that one judge may report.
const EVENTS_MAX: usize = 1_000;

/// One end of a process's private channel.
#[derive(Debug)]
pub(crate) struct Port<R, W> {
    reader: BufReader<R>,
    writer: W,
}

/// Why a line could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLine {
    Closed,
    TooLong,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Port<R, W> {
    pub(crate) fn new(reader: R, writer: W) -> Self {
        Self { reader: BufReader::new(reader), writer }
    }

    /// Reads one line, without its end.
    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, NoLine> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        match read {
            Ok(0) | Err(_) => Err(NoLine::Closed),
            Ok(_) if line.last() == Some(&b'\n') => {
                line.pop();
                Ok(line)
            }
            Ok(count) if count as u64 >= LINE_BYTES_MAX => Err(NoLine::TooLong),
            Ok(_) => Err(NoLine::Closed),
        }
    }

    /// Whether more has already come than the line that was read.
    fn has_more(&self) -> bool {
        !self.reader.buffer().is_empty()
    }

    pub(super) async fn send(&mut self, mark: Option<u8>, line: &[u8]) -> std::io::Result<()> {
        let mut data = Vec::with_capacity(line.len() + 2);
        data.extend(mark);
        data.extend_from_slice(line);
        data.push(b'\n');
        self.writer.write_all(&data).await?;
        self.writer.flush().await
    }
}

/// Why the worker answers no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Its process ended in the middle of a call.
    Exit,
    /// One call took longer than it may.
    Time,
    /// One answer was larger than it may be.
    Oversize,
    /// It said something that nobody had asked for.
    Protocol,
}

impl From<NoLine> for Gone {
    fn from(none: NoLine) -> Self {
        match none {
            NoLine::Closed => Self::Exit,
            NoLine::TooLong => Self::Oversize,
        }
    }
}

impl Gone {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Time => "time",
            Self::Oversize => "oversize",
            Self::Protocol => "protocol",
        }
    }
}

/// What the judge reports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "a failure is the common event and there are at most a few")]
pub(crate) enum Event {
    Fail(Fail),
    /// The tests ran to their end (or as far as they could).
    Done {
        passed: u32,
        failed: u32,
        calls: u32,
    },
    /// The tests cannot run here; never the candidate's fault.
    Unfit {
        why: String,
    },
}

/// One failure as the judge saw it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Fail {
    /// `wrong`, `crash`, `syntax` or `gone`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) got: String,
    pub(crate) expected: Option<String>,
    pub(crate) call: Option<String>,
    /// Line, function, source line in the candidate.
    pub(crate) frame: Option<(serde_json::Value, String, String)>,
    pub(crate) passed: u32,
}

/// What came of a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transcript {
    pub(crate) events: Vec<Event>,
    pub(crate) gone: Option<Gone>,
    /// The time for all calls was used up before the judge was done.
    pub(crate) out_of_time: bool,
}

/// Relays until the judge has reported its end, has itself ended, or `wall` is over. `call_wall` bounds each
/// answer of the worker.
pub(crate) async fn relay<R, W>(
    judge: &mut Port<R, W>,
    worker: &mut Port<R, W>,
    call_wall: Duration,
    wall: Duration,
) -> Transcript
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let deadline = Instant::now() + wall;
    let mut transcript = Transcript::default();
    while transcript.events.len() < EVENTS_MAX {
        let line = match timeout_at(deadline, judge.receive()).await {
            Ok(Ok(line)) => line,
            Ok(Err(_)) => break,
            Err(_) => {
                transcript.out_of_time = true;
                break;
            }
        };
        let Some((&mark, content)) = line.split_first() else { break };
        if mark == b'=' {
            let Ok(event) = serde_json::from_slice::<Event>(content) else { break };
            let last = !matches!(event, Event::Fail(_));
            transcript.events.push(event);
            if last {
                break;
            }
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let answered = match transcript.gone {
            Some(gone) => Err(gone),
            None => ask(worker, content, call_wall.min(left)).await,
        };
        let told = match answered {
            Ok(reply) => judge.send(Some(b'<'), &reply).await,
            Err(gone) => {
                transcript.gone = Some(gone);
                judge.send(Some(b'!'), format!("{{\"gone\":\"{}\"}}", gone.word()).as_bytes()).await
            }
        };
        if told.is_err() {
            break;
        }
    }
    transcript
}

/// Sends the worker one request and reads its one answer.
pub(crate) async fn ask<R, W>(worker: &mut Port<R, W>, request: &[u8], wall: Duration) -> Result<Vec<u8>, Gone>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if worker.has_more() {
        return Err(Gone::Protocol);
    }
    let exchange = async {
        worker.send(None, request).await.map_err(|_| Gone::Exit)?;
        worker.receive().await.map_err(Gone::from)
    };
    let reply = timeout(wall, exchange).await.map_err(|_| Gone::Time)??;
    if worker.has_more() { Err(Gone::Protocol) } else { Ok(reply) }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, ReadHalf, WriteHalf, duplex, split};

    use super::*;

    type Half = Port<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

    fn pair() -> (Half, Half) {
        let (near, far) = duplex(1 << 16);
        let (near_read, near_write) = split(near);
        let (far_read, far_write) = split(far);
        (Port::new(near_read, near_write), Port::new(far_read, far_write))
    }

    const DONE: &[u8] = br#"{"event":"done","passed":1,"failed":0,"calls":1}"#;

    /// Plays a judge that asks once and says what it was told, and a worker that answers with these bytes.
    async fn play(answer: Option<&'static [u8]>) -> (Vec<u8>, Transcript) {
        let (mut judge, mut judge_far) = pair();
        let (mut worker, mut worker_far) = pair();
        let judging = async move {
            judge_far.send(Some(b'>'), b"[\"load\"]").await.expect("the relay listens");
            let told = judge_far.receive().await.expect("the relay answers");
            judge_far.send(Some(b'='), DONE).await.expect("the relay listens");
            told
        };
        let working = async move {
            let request = worker_far.receive().await.expect("a request comes");
            assert_eq!(request, b"[\"load\"]");
            match answer {
                Some(bytes) => worker_far.writer.write_all(bytes).await.expect("the relay reads"),
                None => drop(worker_far),
            }
        };
        let wall = Duration::from_millis(300);
        let (told, (), transcript) = tokio::join!(judging, working, relay(&mut judge, &mut worker, wall, wall * 10));
        (told, transcript)
    }

    #[tokio::test]
    async fn an_answer_reaches_the_judge_as_it_came() {
        let (told, transcript) = play(Some(b"[\"ok\",1,{}]\n")).await;
        assert_eq!(told, b"<[\"ok\",1,{}]");
        assert_eq!(transcript.events, [Event::Done { passed: 1, failed: 0, calls: 1 }]);
        assert_eq!(transcript.gone, None);
    }

    #[tokio::test]
    async fn a_second_line_is_a_breach() {
        let (told, transcript) = play(Some(b"[\"ok\",1,{}]\n[\"ok\",2,{}]\n")).await;
        assert_eq!(told, b"!{\"gone\":\"protocol\"}");
        assert_eq!(transcript.gone, Some(Gone::Protocol));
    }

    #[tokio::test]
    async fn a_closed_channel_is_an_exit_even_behind_half_a_line() {
        assert_eq!(play(None).await.1.gone, Some(Gone::Exit));
        assert_eq!(play(Some(b"[\"ok\",")).await.1.gone, Some(Gone::Exit));
    }

    #[tokio::test]
    async fn a_worker_cannot_speak_to_us_through_the_judge() {
        // The worker's bytes always arrive behind `<`, so they are never taken for a report.
        let (told, transcript) = play(Some(b"={\"event\":\"done\",\"passed\":9,\"failed\":0,\"calls\":9}\n")).await;
        assert_eq!(told.first(), Some(&b'<'));
        assert_eq!(transcript.events, [Event::Done { passed: 1, failed: 0, calls: 1 }]);
    }
}
