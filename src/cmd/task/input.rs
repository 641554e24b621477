//! What comes in from outside: the prompt and the tests, bounded and checked before anything else happens.

use std::io::{IsTerminal, Read};
use std::path::Path;

use serde::Deserialize;

use crate::error::UserError;
use crate::task::{Check, Language, StdioCase};

/// A prompt larger than this fits no model's context.
const PROMPT_BYTES_MAX: usize = 1 << 20;
/// Tests larger than this are refused.
const TESTS_BYTES_MAX: u64 = 8 << 20;

/// The prompt as typed or piped.
pub(super) fn prompt(typed: Option<&str>) -> anyhow::Result<String> {
    let text = match typed {
        Some(text) if text != "-" => {
            // An empty task is wrong whatever is piped in.
            checked(text.to_owned())?;
            with_context(text, beside()?.as_deref())
        }
        _ => from_stdin()?,
    };
    Ok(checked(text)?)
}

/// What is piped in beside a typed prompt: a log, a file, a list. `None` where stdin is a terminal, closed or empty.
fn beside() -> Result<Option<String>, UserError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() || !is_piped() {
        return Ok(None);
    }
    let _waiting = say_while_waiting();
    from_stdin().map(|text| Some(text).filter(|text| !text.trim().is_empty()))
}

/// Says what is waited for where a pipe stays open, until what it returns is dropped: whoever starts z1 with one that never ends
/// would see nothing.
fn say_while_waiting() -> std::sync::mpsc::Sender<()> {
    const SILENT: std::time::Duration = std::time::Duration::from_secs(2);
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        if end.recv_timeout(SILENT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("z1: reading what is piped in beside the task (`< /dev/null` where nothing is meant)");
        }
    });
    ended
}

/// Whether something can come through stdin: a pipe, a socket or a file. A device like `/dev/null` holds nothing.
#[cfg(unix)]
fn is_piped() -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;

    // A copy, so that stdin stays open.
    let copy = std::io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from);
    copy.and_then(|file| file.metadata()).is_ok_and(|about| {
        let kind = about.file_type();
        kind.is_fifo() || kind.is_socket() || (kind.is_file() && about.len() > 0)
    })
}

#[cfg(not(unix))]
fn is_piped() -> bool {
    true
}

/// The typed words first: they say what is to be done with the rest.
fn with_context(typed: &str, piped: Option<&str>) -> String {
    let Some(piped) = piped else { return typed.to_owned() };
    let longest = piped.lines().map(|line| line.trim_start().bytes().take_while(|b| *b == b'`').count()).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    format!("{}\n\n{fence}\n{}\n{fence}\n", typed.trim_end(), piped.trim_end_matches('\n'))
}

fn from_stdin() -> Result<String, UserError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(UserError::usage("there is no task").hint("z1 -p \"…\", or pipe the task in"));
    }
    let mut bytes = Vec::new();
    stdin
        .lock()
        .take(PROMPT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|problem| UserError::usage(format!("stdin cannot be read: {problem}")))?;
    if bytes.len() > PROMPT_BYTES_MAX {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|problem| {
        UserError::usage(format!("stdin is not text: no UTF-8 at byte {}", problem.utf8_error().valid_up_to()))
            .hint("pipe a text file")
    })
}

fn checked(text: String) -> Result<String, UserError> {
    if text.len() > PROMPT_BYTES_MAX {
        return Err(too_large());
    }
    if text.contains('\0') {
        return Err(UserError::usage("the task is not text: it holds NUL bytes").hint("pipe a text file"));
    }
    if text.trim().is_empty() {
        return Err(UserError::usage("the task is empty").hint("say what is to be done: z1 -p \"…\""));
    }
    Ok(text)
}

fn too_large() -> UserError {
    UserError::usage(format!("the task is larger than {} MiB", PROMPT_BYTES_MAX >> 20))
        .hint("no model's context holds that much; name files instead of pasting them")
}

/// A file of tests as a check.
pub(super) fn tests(path: &Path, hidden: bool) -> Result<Check, UserError> {
    let place = path.display();
    let fail = |why: String| UserError::usage(format!("the tests {place}: {why}"));
    let size = std::fs::metadata(path).map_err(|problem| fail(problem.to_string()))?.len();
    if size > TESTS_BYTES_MAX {
        return Err(fail(format!("larger than {} MiB", TESTS_BYTES_MAX >> 20)));
    }
    let source = std::fs::read(path).map_err(|problem| fail(problem.to_string()))?;
    let source = String::from_utf8(source).map_err(|_| fail("not text".to_owned()))?;
    if source.trim().is_empty() {
        return Err(fail("empty".to_owned()));
    }
    let extension = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    match extension.as_str() {
        "json" | "jsonl" => cases(&source).map(|cases| Check::Stdio { cases, hidden }).map_err(fail),
        "py" => Ok(Check::Asserts { source, hidden }),
        other => match Language::from_extension(other) {
            Some(language) => Ok(Check::TestSource { language, source, hidden }),
            None => {
                Err(fail(format!("no language is known for `.{other}`")).hint("use .py, .js, .rs, .json or .jsonl"))
            }
        },
    }
}

#[derive(Deserialize)]
struct Case {
    input: String,
    output: String,
}

/// A JSON array, or a line for each case.
fn cases(text: &str) -> Result<Vec<StdioCase>, String> {
    let rows: Result<Vec<Case>, _> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text)
    } else {
        text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect()
    };
    let rows = rows.map_err(|problem| format!("each case needs `input` and `output`: {problem}"))?;
    if rows.is_empty() {
        return Err("no cases".to_owned());
    }
    Ok(rows.into_iter().map(|row| StdioCase { input: row.input, output: row.output }).collect())
}

#[cfg(test)]
mod tests_of_input {
    use super::*;

    #[test]
    fn bad_prompts_are_named() {
        for (text, word) in
            [("", "empty"), (" \n", "empty"), ("a\0b", "NUL"), (&"x".repeat(PROMPT_BYTES_MAX + 1), "larger")]
        {
            let error = prompt(Some(text)).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(crate::error::exit_of(&error), crate::error::Exit::Usage);
        }
    }

    #[test]
    fn what_is_piped_in_beside_a_prompt_is_its_context() {
        assert_eq!(with_context("Why?", None), "Why?");
        assert_eq!(with_context("Why?\n", Some("E  1 != 2\n")), "Why?\n\n```\nE  1 != 2\n```\n");
        assert!(with_context("x", Some("a\n```\nb\n")).contains("````\na\n```\nb\n````"));
    }

    #[test]
    fn tests_become_checks_by_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            tests(&path, false)
        };
        assert!(matches!(write("t.py", "assert f(1) == 1"), Ok(Check::Asserts { hidden: false, .. })));
        assert!(matches!(
            write("t.js", "console.log(1)"),
            Ok(Check::TestSource { language: Language::JavaScript, .. })
        ));
        let Ok(Check::Stdio { cases, .. }) = write("t.jsonl", "{\"input\": \"1\", \"output\": \"2\"}\n") else {
            panic!()
        };
        assert_eq!(cases.len(), 1);
        assert!(write("u.jsonl", "{\"in\": 1}").unwrap_err().to_string().contains("input"));
        assert!(write("t.txt", "x").is_err() && write("e.py", " ").is_err());
    }
}
