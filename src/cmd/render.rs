//! `z1 render`: messages → prompt text, segments and token ids, by the one renderer that inference and
//! training use.

use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::engine::{vocabulary_of_json, vocabulary_of_model};
use crate::error::{Exit, UserError};
use crate::gguf::{Gguf, Label};
use crate::prompt::{ChatTemplate, Message, Rendered, render_chatml};

/// Messages larger than this are no conversation.
const INPUT_BYTES_MAX: u64 = 64 << 20;
/// A template is a page of text.
const TEMPLATE_BYTES_MAX: u64 = 1 << 20;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  echo '[{\"role\":\"user\",\"content\":\"hi\"}]' | z1 render --text\n  \
    z1 render --template chat_template.jinja messages.json\n  \
    z1 render --model model.gguf messages.json        the model's own template and token ids\n\n\
    Input: a JSON list of {role, content}, or {\"messages\": [...]}.")]
pub struct Args {
    /// The messages as JSON; standard input where it is left out or `-`
    messages: Option<PathBuf>,
    /// A GGUF whose chat template and vocabulary are used (weights are not read)
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// A chat template in Jinja; ChatML where neither this nor a model is given
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// A tokenizer.json for the ids
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    tokenizer: Option<PathBuf>,
    /// The text of the token that begins a prompt; otherwise the model's, or nothing
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    bos: Option<String>,
    /// The text of the token that ends a turn; otherwise the model's, or <|im_end|>
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    eos: Option<String>,
    /// Tell a template that has a switch whether to think
    #[arg(long, value_enum)]
    thinking: Option<Thinking>,
    /// Do not open the assistant's turn at the end
    #[arg(long)]
    closed: bool,
    /// Print the prompt's text and nothing else
    #[arg(long)]
    text: bool,
}

/// What a template is told of thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Thinking {
    On,
    Off,
}

/// Runs the subcommand.
///
/// # Errors
/// Unreadable input, messages that are none, or what the template refuses.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let messages = messages(args)?;
    let rendered = render(args, &messages)?;
    if args.text {
        print!("{}", rendered.text());
        return Ok(Exit::Success);
    }
    let vocabulary = match (&args.tokenizer, &args.model) {
        (Some(path), _) => Some(vocabulary_of_json(path).map_err(UserError::from)?),
        (None, Some(path)) => Some(vocabulary_of_model(path).map_err(UserError::from)?),
        (None, None) => None,
    };
    let ids: Option<Vec<_>> = vocabulary.map(|vocabulary| {
        rendered.segments.iter().flat_map(|segment| vocabulary.tokenize(&segment.text, segment.special)).collect()
    });
    println!(
        "{}",
        json!({ "text": rendered.text(), "segments": rendered.segments, "tokens": ids.as_ref().map(Vec::len), "ids": ids })
    );
    Ok(Exit::Success)
}

fn render(args: &Args, messages: &[Message]) -> anyhow::Result<Rendered> {
    let mut label = Label { eos: "<|im_end|>".to_owned(), ..Label::default() };
    if let Some(path) = &args.model {
        let file = Gguf::open(path)
            .map_err(|problem| UserError::new(Exit::NoModel, problem.to_string()).hint(problem.hint()))?;
        label = Label::of(&file);
    }
    let source = match &args.template {
        Some(path) => Some(read(Some(path), TEMPLATE_BYTES_MAX)?),
        None => label.chat_template.take(),
    };
    let Some(source) = source else { return Ok(render_chatml(messages, !args.closed)) };
    let refused =
        |problem: &dyn std::fmt::Display| UserError::new(Exit::Error, format!("the chat template: {problem}"));
    let bos = args.bos.as_ref().unwrap_or(&label.bos);
    let eos = args.eos.as_ref().unwrap_or(&label.eos);
    let mut template = ChatTemplate::new(&source, bos, eos).map_err(|problem| refused(&problem))?;
    if let Some(thinking) = args.thinking {
        let switch = template.habits().switch.ok_or_else(|| {
            UserError::usage("the chat template has no switch for thinking").hint("leave out --thinking")
        })?;
        template = template.with_switch(&switch, thinking == Thinking::On);
    }
    Ok(template.render(messages, !args.closed).map_err(|problem| refused(&problem))?)
}

fn messages(args: &Args) -> anyhow::Result<Vec<Message>> {
    let text = read(args.messages.as_ref(), INPUT_BYTES_MAX)?;
    let wrong = |problem: serde_json::Error| {
        UserError::usage(format!("these are no messages: {problem}"))
            .hint("give [{\"role\": \"user\", \"content\": \"…\"}]")
    };
    let value: Value = serde_json::from_str(&text).map_err(wrong)?;
    let list = value.get("messages").cloned().unwrap_or(value);
    Ok(serde_json::from_value(list).map_err(wrong)?)
}

fn read(path: Option<&PathBuf>, bytes_max: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = match path.filter(|path| path.as_os_str() != "-") {
        None => std::io::stdin().lock().take(bytes_max).read_to_string(&mut text),
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(bytes_max).read_to_string(&mut text)),
    };
    let named = path.map_or_else(|| "stdin".to_owned(), |path| path.display().to_string());
    read.map_err(|problem| UserError::new(Exit::Error, format!("cannot read {named}: {problem}")))?;
    Ok(text)
}
