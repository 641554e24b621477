//! Tests that share an interpreter with the program, for suites whose tests patch what the program uses or leave files
//! for it (BigCodeBench). One process behind walls, its own channel, one report.
//!
//! Unlike the two processes beside this, nothing here keeps expected values from the program: it is hindered, see
//! `workers/together.py` and `docs/decisions/shared-interpreter.md`.

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::relay::{Event, Fail, Gone, Transcript};
use super::report::{self, Circumstances};
use super::{EXIT_GRACE, PYTHON, Process, Spec, Workers, open};
use crate::cancel::Cancel;
use crate::sandbox::{End, Sandbox};
use crate::task::{Language, Verdict};
use crate::verify::VerifyOptions;
use crate::verify::setting;

const RUNNER: &str = concat!(include_str!("workers/wire.py"), "\n\n", include_str!("workers/together.py"));

/// What the process is told, on its channel and nowhere else.
#[derive(Serialize)]
struct Order<'a> {
    program: &'a str,
    tests: &'a str,
    /// The tests' name in tracebacks; nobody can guess it.
    file: String,
    /// The word that a report has to bring.
    word: &'a str,
}

#[derive(Deserialize)]
struct Told {
    word: String,
    events: Vec<Event>,
}

/// Judges a Python program by cases of unittest in its own interpreter.
pub(crate) async fn judge(
    source: &str,
    spec: &Spec,
    hidden: bool,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    let setting = match setting::of(Language::Python) {
        Ok(setting) => setting,
        Err(verdict) => return verdict,
    };
    let start = Instant::now();
    let workers = Workers { judge: RUNNER, ..PYTHON };
    let files = vec![setting::file(workers.main_file, RUNNER.as_bytes())];
    let mut process = match open(&setting, &workers, false, files, options.limits.clone(), sandbox, options).await {
        Ok(process) => process,
        Err(verdict) => return verdict,
    };
    let word = word();
    let order = Order { program: source, tests: &spec.tests, file: format!("tests-{}.py", self::word()), word: &word };
    let order = serde_json::to_vec(&order).expect("invariant: an order is plain data");
    let heard = tokio::select! {
        heard = timeout(options.limits.wall, converse(&mut process, &order)) => Some(heard),
        () = cancel.cancelled() => None,
    };
    let Some(heard) = heard else {
        process.finish(std::time::Duration::ZERO).await;
        return crate::verify::cancelled();
    };
    let transcript = transcript(heard.ok().map(|line| line.and_then(|line| said(&line, &word))));
    let patience = if transcript.gone == Some(Gone::Exit) { EXIT_GRACE } else { std::time::Duration::ZERO };
    let (end, stderr) = process.finish_with_stderr(patience).await;
    let end = settled(end, &transcript);
    report::verdict(
        &transcript,
        &Circumstances {
            command: "python tests in the program's own interpreter".to_owned(),
            worker: &end,
            judge: &End::Exit(0),
            judge_stderr: stderr,
            tier: sandbox.tier(),
            wall_ms: start.elapsed().as_millis() as u64,
            file: workers.candidate_file,
            hidden,
        },
    )
}

/// Gives the order and waits for the report.
async fn converse(process: &mut Process, order: &[u8]) -> Result<Vec<u8>, Gone> {
    // A process that is gone is noticed by its silence.
    let _ = process.port.send(None, order).await;
    process.port.receive().await.map_err(Gone::from)
}

/// What a report says; one without the word is not the runner's.
fn said(line: &[u8], word: &str) -> Result<Vec<Event>, Gone> {
    let told: Told = serde_json::from_slice(line).map_err(|_| Gone::Protocol)?;
    if told.word == word { Ok(told.events) } else { Err(Gone::Protocol) }
}

/// The report, or what stands in its place: `None` where the time was over.
fn transcript(heard: Option<Result<Vec<Event>, Gone>>) -> Transcript {
    let gone = match heard {
        Some(Ok(events)) => return Transcript { events, gone: None, out_of_time: false },
        Some(Err(gone)) => gone,
        None => Gone::Time,
    };
    let lost = Fail {
        kind: "gone".to_owned(),
        name: String::new(),
        got: String::new(),
        expected: None,
        call: None,
        frame: None,
        passed: 0,
    };
    let events = vec![Event::Fail(lost), Event::Done { passed: 0, failed: 1, calls: 1 }];
    Transcript { events, gone: Some(gone), out_of_time: gone == Gone::Time }
}

/// A process that has reported is stopped, and that is no finding; broken walls always are one.
fn settled(end: End, transcript: &Transcript) -> End {
    if transcript.gone.is_none() && !matches!(end, End::SandboxError { .. }) { End::Exit(0) } else { end }
}

/// A word that nobody can guess.
fn word() -> String {
    // Seeded by the system; one way, so that one word says nothing of the next.
    let part = |salt: u8| RandomState::new().hash_one((salt, std::time::SystemTime::now()));
    format!("{:016x}{:016x}", part(1), part(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_report_with_the_word_is_heard() {
        let line = br#"{"word":"w","events":[{"event":"done","passed":1,"failed":0,"calls":1}]}"#;
        assert_eq!(said(line, "w"), Ok(vec![Event::Done { passed: 1, failed: 0, calls: 1 }]));
        assert_eq!(said(line, "v"), Err(Gone::Protocol));
        assert_eq!(said(b"done", "w"), Err(Gone::Protocol));
        assert_ne!(word(), word());
    }

    #[test]
    fn silence_is_a_failure() {
        for (heard, gone) in [(None, Gone::Time), (Some(Err(Gone::Exit)), Gone::Exit)] {
            let transcript = transcript(heard);
            assert_eq!((transcript.gone, transcript.events.len()), (Some(gone), 2));
        }
    }
}
