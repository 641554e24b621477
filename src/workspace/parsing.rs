//! What the linked grammars make of a changed file. A suspicion, never a reason to refuse: a grammar is older than its
//! language. Pure.

use crate::repo_map::syntax;

/// What of a whole file the linked grammar does not know and did know before.
pub(super) fn suspicion(path: &str, before: Option<&str>, after: &str) -> Option<String> {
    let place = syntax::worsened(path, before, after)?;
    Some(format!(
        "{path}, line {}: {}; either it does not parse, or the linked grammar is older than it",
        place.line, place.what
    ))
}

/// Where a file no longer parses although the new text brings in nothing that the grammar does not know: then the text was
/// put in the wrong place.
pub(super) fn misplaced(path: &str, before: &str, after: &str, (search, replace): (&str, &str)) -> Option<String> {
    let errors = |text: &str| syntax::check(path, text).map_or(0, |report| report.errors);
    let place = syntax::worsened(path, Some(before), after)?;
    let own = errors(replace).saturating_sub(errors(search));
    (errors(after) > errors(before) + own)
        .then(|| format!("{path} would no longer parse: line {}: {}", place.line, place.what))
}
