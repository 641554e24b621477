//! `z1 tokenize`: turns text into token ids and back.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::engine::model::Vocabulary;
use crate::engine::{TokenId, vocabulary_of_json, vocabulary_of_model};
use crate::error::{Exit, UserError};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  z1 tokenize --model model.gguf 'fn main() {}'\n  \
                        cat notes.md | z1 tokenize --tokenizer tokenizer.json\n  \
                        z1 tokenize --model model.gguf --decode '[151644, 872, 198]'")]
pub struct Args {
    /// The text, or with --decode the ids; `-` or nothing reads stdin
    text: Option<String>,
    /// A GGUF file whose vocabulary is used (weights are not read)
    #[arg(long, value_name = "PATH", env = "Z1_MODEL", conflicts_with = "tokenizer")]
    model: Option<PathBuf>,
    /// A tokenizer.json whose vocabulary is used
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// Turn ids (a JSON list, an object with `ids`, or numbers) into text
    #[arg(long)]
    decode: bool,
    /// Let control tokens that are written in the text count as such
    #[arg(long)]
    special: bool,
    /// Show each token's text beside its id
    #[arg(long, conflicts_with = "decode")]
    pieces: bool,
}

/// Runs the subcommand: one JSON object on stdout, or the text with `--decode`.
///
/// # Errors
/// Where there is no vocabulary, or the input is neither text nor ids.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let vocabulary = vocabulary(args)?;
    let input = input(args)?;
    let mut stdout = std::io::stdout().lock();
    if args.decode {
        let bytes: Vec<u8> =
            parse_ids(&input, vocabulary.size())?.iter().flat_map(|&token| vocabulary.piece(token, true)).collect();
        stdout.write_all(&bytes).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
        return Ok(Exit::Success);
    }
    let ids = vocabulary.tokenize(&input, args.special);
    let mut answer = serde_json::json!({ "tokens": ids.len(), "ids": ids });
    if args.pieces {
        let text = |&id: &TokenId| String::from_utf8_lossy(&vocabulary.piece(id, true)).into_owned();
        answer["pieces"] = ids.iter().map(text).collect();
    }
    writeln!(stdout, "{answer}").context("cannot write to stdout")?;
    Ok(Exit::Success)
}

fn vocabulary(args: &Args) -> anyhow::Result<Arc<dyn Vocabulary>> {
    match (&args.tokenizer, &args.model) {
        (Some(path), _) => Ok(vocabulary_of_json(path).map_err(UserError::from)?),
        (None, Some(path)) => Ok(vocabulary_of_model(path).map_err(UserError::from)?),
        (None, None) => Err(UserError::usage("no vocabulary to tokenise with")
            .hint("name a GGUF with --model (or Z1_MODEL), or a tokenizer.json with --tokenizer")
            .into()),
    }
}

fn input(args: &Args) -> anyhow::Result<String> {
    if let Some(text) = args.text.as_ref().filter(|text| *text != "-") {
        return Ok(text.clone());
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read stdin")?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        UserError::usage(format!("stdin is not text: no UTF-8 at byte {at}")).hint("pipe a text file").into()
    })
}

/// Ids as `[1, 2]`, as `{"ids": [1, 2]}`, or as numbers with anything between them.
fn parse_ids(input: &str, size: usize) -> Result<Vec<TokenId>, UserError> {
    let text = match serde_json::from_str::<serde_json::Value>(input) {
        Ok(value) => value.get("ids").unwrap_or(&value).to_string(),
        Err(_) => input.to_owned(),
    };
    let words = text.split(|c: char| c == ',' || c.is_whitespace() || c == '[' || c == ']');
    words
        .filter(|word| !word.is_empty())
        .map(|word| match word.parse::<TokenId>() {
            Ok(id) if (0..size as i64).contains(&i64::from(id)) => Ok(id),
            Ok(id) => Err(UserError::usage(format!("{id} is no token: the vocabulary has {size}"))),
            Err(_) => Err(UserError::usage(format!("`{word}` is no token id")).hint("give a JSON list of numbers")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_every_form() {
        for input in ["[1, 2, 3]", "{\"ids\": [1,2,3]}", "1 2\n3", "1,2,3"] {
            assert_eq!(parse_ids(input, 10).expect("ids"), [1, 2, 3], "{input}");
        }
        assert!(parse_ids("[10]", 10).is_err());
        assert!(parse_ids("-1", 10).is_err());
        assert!(parse_ids("one", 10).is_err());
    }
}
