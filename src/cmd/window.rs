//! `z1 window`: replays a recorded stream of pieces through the thinking window.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::error::{Exit, UserError};
use crate::thinking::{PAPER_HINT, RecordedPiece, Said, WindowSpec, replay};

/// Tokens of the paper's hint in Qwen2's vocabulary.
const PAPER_HINT_TOKENS: u32 = 12;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "The input is JSON lines of pieces, {\"text\": \"…\", \"tokens\": 1, \"part\": \"thinking\"} \
                        or just \"…\", or one JSON list of them.\nThe output is JSON lines: piece, widened, shifted, \
                        finished.\n\nExample:\n  z1 window --window 512 < pieces.jsonl | tail -1")]
pub struct Args {
    /// The recorded pieces; `-` or nothing reads stdin
    file: Option<PathBuf>,
    /// The thinking window, in tokens
    #[arg(long, value_name = "TOKENS")]
    window: u32,
    /// The answer's allowance after a shift, in tokens
    #[arg(long, value_name = "TOKENS", default_value_t = 1024)]
    answer: u32,
    /// What is forced at the shift
    #[arg(long, default_value = PAPER_HINT, hide_default_value = true)]
    hint: String,
    /// How many tokens the hint has
    #[arg(long, value_name = "TOKENS", default_value_t = PAPER_HINT_TOKENS)]
    hint_tokens: u32,
    /// Exactly the paper's algorithm: cut at the window, no line ends, no loop detection
    #[arg(long)]
    paper: bool,
    /// Say "answer now" before the token with this number
    #[arg(long, value_name = "TOKEN")]
    answer_now: Option<u32>,
    /// Say "think more" before a token, for example 100:50 for 50 tokens more
    #[arg(long, value_name = "TOKEN:TOKENS", value_parser = parse_think_more)]
    think_more: Vec<Said>,
}

fn parse_think_more(text: &str) -> Result<Said, String> {
    let wrong = || format!("`{text}` is not TOKEN:TOKENS, for example 100:50");
    let (before, tokens) = text.split_once(':').ok_or_else(wrong)?;
    let number = |part: &str| part.trim().parse().map_err(|_| wrong());
    Ok(Said::ThinkMore { before_token: number(before)?, tokens: number(tokens)? })
}

/// Runs the subcommand.
///
/// # Errors
/// Where the input cannot be read or is no list of pieces.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let pieces = parse_pieces(&read(args)?)?;
    let spec = WindowSpec {
        thinking_tokens_max: args.window,
        answer_tokens_max: args.answer,
        hint: args.hint.clone(),
        paper_exact: args.paper,
        ..WindowSpec::default()
    };
    let now = args.answer_now.map(|before_token| Said::AnswerNow { before_token });
    let said: Vec<Said> = args.think_more.iter().copied().chain(now).collect();
    let mut stdout = std::io::stdout().lock();
    for event in replay(&spec, &pieces, args.hint_tokens, &said) {
        match writeln!(stdout, "{}", serde_json::to_string(&event)?) {
            // Whoever read had enough, as `head` does.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            written => written.context("cannot write to stdout")?,
        }
    }
    Ok(Exit::Success)
}

fn read(args: &Args) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    match args.file.as_ref().filter(|file| file.as_os_str() != "-") {
        Some(file) => {
            bytes = std::fs::read(file).map_err(|error| {
                UserError::usage(format!("cannot read {}: {error}", file.display())).hint("check the path")
            })?;
        }
        None => _ = std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read stdin")?,
    }
    Ok(String::from_utf8(bytes).map_err(|_| UserError::usage("the input is not text").hint("give JSON lines"))?)
}

fn parse_pieces(text: &str) -> Result<Vec<RecordedPiece>, UserError> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text)
            .map_err(|error| UserError::usage(format!("the list of pieces cannot be read: {error}")));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| {
                UserError::usage(format!("line {} is no piece: {error}", number + 1))
                    .hint("each line is a JSON text or an object with `text`")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_as_lines_or_as_a_list() {
        assert_eq!(parse_pieces("\"a\"\n\n{\"text\":\"b\"}\n").expect("pieces").len(), 2);
        assert_eq!(parse_pieces(" [\"a\", {\"text\":\"b\",\"tokens\":2}]").expect("pieces").len(), 2);
        let error = parse_pieces("\"a\"\nnonsense").expect_err("no piece");
        assert!(error.message.starts_with("line 2 is no piece"), "{}", error.message);
    }
}
