//! HumanEvalPack (HumanEval-X with buggy solutions), in every language it comes in.

use std::collections::BTreeMap;

use crate::task::{Check, Language};

use super::functions::{before_last_declaration, blank, humaneval};
use super::rows::Row;
use super::{Assembly, Problem, Suite};

pub(super) fn humanevalpack(row: &Row) -> Result<Problem, String> {
    let language = language(row)?;
    let declaration = row.text(&["declaration", "prompt"]).unwrap_or_default();
    let wrong = row.text(&["buggy_solution"]).map(|body| format!("{declaration}{body}"));
    let mut texts: BTreeMap<&'static str, String> = wrong.into_iter().map(|code| ("buggy", code)).collect();
    if let Some(words) = row.text(&["docstring"]) {
        texts.insert("docstring", words.to_owned());
    }
    let group = row.text(&["bug_type"]).map(str::to_owned);
    if language == Language::Python {
        return Ok(Problem { suite: Suite::HumanEvalPack, group, texts, ..humaneval(row)? });
    }
    let prompt = row.need(&["prompt", "declaration"])?.to_owned();
    let entry = row.text(&["entry_point"]).map(str::to_owned);
    let setup = row.text(&["test_setup"]).unwrap_or_default();
    let source = format!("{setup}{}", row.need(&["test"])?);
    Ok(Problem {
        // Some rows spell the entry point otherwise than their own tests do.
        entry: entry.filter(|entry| source.contains(entry.as_str())),
        helpers: before_last_declaration(language, &prompt),
        checks: vec![Check::TestSource { language, source, hidden: true }],
        canonical: row.text(&["canonical_solution"]).map(str::to_owned),
        buggy: row.text(&["buggy_solution"]).map(str::to_owned),
        assembly: Assembly::Continue,
        prompt,
        suite: Suite::HumanEvalPack,
        group,
        texts,
        ..blank(row, language)
    })
}

/// The language, from a field of its own or from an id like `JavaScript/12`.
fn language(row: &Row) -> Result<Language, String> {
    let named = row.text(&["language", "lang", "programming_language"]).map(str::to_owned);
    let id = row.id();
    let word = named.or_else(|| id.split_once('/').map(|(word, _)| word.to_owned()));
    let word = word.ok_or("neither a field `language` nor an id like `Python/0`")?;
    let word = if word.eq_ignore_ascii_case("humaneval") { "python" } else { &word };
    Language::from_fence_tag(word).ok_or_else(|| format!("the language `{word}` is not known"))
}
