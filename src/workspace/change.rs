//! One edit against one file in the making.

use super::lines::Lines;
use super::matching::{self, Miss, Rung};
use super::plan::{Draft, Refused, Rules};
use super::splice;
use crate::reply::edits::{Hint, Origin, Proposed, Refusal, RefusalKind};
use crate::reply::{elision, paths};
use crate::repo_map::syntax;
use crate::task::Edit;

/// A whole-file block may not shrink a file of at least this many lines …
const LARGE_FILE_LINES: usize = 100;
/// … nor, where its path was only mentioned in a sentence, one of at least this many …
const WEAK_FILE_LINES: usize = 8;
/// … by more than this share.
const SHRINK_MAX: f64 = 0.30;

type Step = Result<(Draft, Option<String>), Refused>;

/// Applies one edit. `original` is the file before the whole reply. The second value is a note on what was
/// tolerated.
pub(super) fn applied(draft: &Draft, proposed: &Proposed, path: &str, original: Option<&str>, rules: Rules) -> Step {
    let context = Context { draft, proposed, path, rules };
    match &proposed.edit {
        Edit::Delete { .. } if draft.text.is_none() => {
            Err(context.refuse(RefusalKind::Missing, format!("{path} does not exist")))
        }
        Edit::Delete { .. } => Ok((Draft { text: None, ..draft.clone() }, None)),
        Edit::Write { content, .. } => context.write(content, original),
        Edit::Replace { search, replace, .. } => context.replace(search, replace),
    }
}

/// Whether `content` can be a new version of `text`: many of its lines stand there.
pub(super) fn resembles(content: &str, text: &str) -> bool {
    const SHARED_MIN: f64 = 0.3;
    let solid = |t: &str| -> std::collections::BTreeSet<String> {
        t.lines().map(str::trim).filter(|l| l.len() > 2).map(str::to_owned).collect()
    };
    let (new, old) = (solid(content), solid(text));
    let shared = new.intersection(&old).count();
    shared > 0 && shared as f64 >= SHARED_MIN * old.len().min(new.len()) as f64
}

/// What is wrong where `after` has more syntax errors than `before`.
pub(super) fn syntax_worsened(path: &str, before: Option<&str>, after: &str) -> Option<String> {
    let new = syntax::check(path, after)?;
    let old = before.and_then(|text| syntax::check(path, text)).map_or(0, |report| report.errors);
    let place = new.first.as_ref().filter(|_| new.errors > old)?;
    Some(format!("{path} would no longer parse: line {}: {}", place.line, place.what))
}

struct Context<'a> {
    draft: &'a Draft,
    proposed: &'a Proposed,
    path: &'a str,
    rules: Rules,
}

#[expect(clippy::unnecessary_box_returns, reason = "a refusal travels in the error of a Result, where its size counts")]
impl Context<'_> {
    fn refuse(&self, kind: RefusalKind, message: impl Into<String>) -> Refused {
        Box::new(Refusal::new(kind, Some(self.path), self.proposed.reply_line, message))
    }

    fn is_python(&self) -> bool {
        matches!(paths::extension(self.path).as_str(), "py" | "pyi")
    }

    fn next(&self, text: String) -> Draft {
        Draft { text: Some(text), ..self.draft.clone() }
    }

    fn no_elision(&self, old: &str, new: &str) -> Result<(), Refused> {
        match elision::brought_in(old, new, self.is_python()).first() {
            None => Ok(()),
            Some((line, text)) => {
                let message = format!("the new text leaves code out at its line {line}: `{text}`; write all of it");
                Err(self.refuse(RefusalKind::Elided, message))
            }
        }
    }

    fn write(&self, content: &str, original: Option<&str>) -> Step {
        let before = self.draft.text.as_deref().or(original);
        let content = self.without_label(content, before);
        if !self.proposed.closed && !self.rules.reply_is_complete && !ends_like(content, before) {
            return Err(self.refuse(RefusalKind::Truncated, "the reply ends inside this file; send it whole"));
        }
        self.no_elision(before.unwrap_or(""), content)?;
        let Some(before) = before else { return Ok((self.next(content.to_owned()), None)) };
        let (old, new) = (before.lines().count(), content.lines().count());
        let floor = if self.proposed.weak { WEAK_FILE_LINES } else { LARGE_FILE_LINES };
        if old >= floor && (new as f64) < old as f64 * (1.0 - SHRINK_MAX) && !self.rules.may_shrink {
            let message =
                format!("the block has {new} lines, the file {old}: change it with SEARCH/REPLACE blocks instead");
            return Err(self.refuse(RefusalKind::Shrinks, message));
        }
        Ok((self.next(Lines::parse(before).rewritten(content).text()), None))
    }

    /// Without the comment that served as the heading, unless the file has that line itself.
    fn without_label<'t>(&self, content: &'t str, before: Option<&str>) -> &'t str {
        let Some(label) = self.proposed.label.as_deref() else { return content };
        let is_content = before.is_some_and(|text| text.lines().next() == Some(label));
        match content.split_once('\n') {
            Some((first, rest)) if first == label && !is_content => rest,
            _ => content,
        }
    }

    fn replace(&self, search: &str, replace: &str) -> Step {
        let Some(text) = self.draft.text.as_deref() else {
            if search.trim().is_empty() && !replace.is_empty() {
                self.no_elision("", replace)?;
                return Ok((self.next(replace.to_owned()), None));
            }
            return Err(self.refuse(RefusalKind::Missing, format!("{} does not exist", self.path)));
        };
        if !self.proposed.closed && !self.rules.reply_is_complete {
            return Err(self.refuse(RefusalKind::Truncated, "the reply ends inside this change; send it whole"));
        }
        if search.trim().is_empty() {
            return self.fill(text, replace);
        }
        if self.proposed.origin == Origin::ToolCall
            && let Some(step) = self.replace_text(text, search, replace)
        {
            return step;
        }
        let search_lines: Vec<&str> = search.lines().collect();
        let replace_lines: Vec<&str> = replace.lines().collect();
        match self.replace_lines(text, &search_lines, &replace_lines) {
            Err(Miss::NotFound(nearest)) => self
                .expand_dots(text, &search_lines, &replace_lines)
                .unwrap_or_else(|| Err(self.not_found(text, &search_lines, &replace_lines, nearest))),
            Err(Miss::Ambiguous(starts)) => Err(self.ambiguous(&starts)),
            Ok(None) => {
                Err(self
                    .refuse(RefusalKind::NotFound, "the text was found, but the new lines do not fit its indentation"))
            }
            Ok(Some((next, rung))) => {
                // Where the search text has the same elision, the file has it too: it is content then.
                self.no_elision(&format!("{search}\n{text}"), replace)?;
                let note = (rung > Rung::Exact).then(|| {
                    format!(
                        "{}: the block at line {} matched by {}",
                        self.path,
                        self.proposed.reply_line,
                        rung_words(rung)
                    )
                });
                Ok((next, note))
            }
        }
    }

    /// An empty search text: a new file, or the content of an empty one.
    fn fill(&self, text: &str, replace: &str) -> Step {
        if replace.trim().is_empty() {
            return Ok((self.draft.clone(), None));
        }
        if text.trim().is_empty() {
            self.no_elision("", replace)?;
            return Ok((self.next(Lines::parse(text).rewritten(replace).text()), None));
        }
        let message = format!("the SEARCH part is empty but {} has content; say what to replace", self.path);
        Err(self.refuse(RefusalKind::Malformed, message))
    }

    /// A tool call's text need not be whole lines. Nothing where it is not in the file as it stands.
    fn replace_text(&self, text: &str, search: &str, replace: &str) -> Option<Step> {
        let crlf = Lines::parse(text).convention() == super::lines::Ending::CrLf;
        let native =
            |t: &str| if crlf { t.replace("\r\n", "\n").replace('\n', "\r\n") } else { t.replace("\r\n", "\n") };
        let (search, replace) = (native(search), native(replace));
        let starts: Vec<usize> = text.match_indices(&search).map(|(at, _)| text[..at].matches('\n').count()).collect();
        match starts.len() {
            0 => None,
            1 => Some(
                self.no_elision(&search, &replace).map(|()| (self.next(text.replacen(&search, &replace, 1)), None)),
            ),
            _ => Some(Err(self.ambiguous(&starts))),
        }
    }

    fn replace_lines(&self, text: &str, search: &[&str], replace: &[&str]) -> Result<Option<(Draft, Rung)>, Miss> {
        let file = Lines::parse(text);
        let touched = splice::touched(search, replace);
        let found = matching::find(&file.texts(), search, &touched, &self.shifted_hint())?;
        let delta = replace.len() as i64 - search.len() as i64;
        Ok(splice::spliced(&file, &found, search, replace).map(|lines| {
            let mut next = self.next(lines.text());
            next.shifts.push((found.range.start as u32, delta));
            (next, found.rung)
        }))
    }

    /// The reply's line numbers speak of the file before it; the blocks above have moved lines since.
    fn shifted_hint(&self) -> Hint {
        let mut hint = self.proposed.hint.clone();
        if let Some(line) = hint.line {
            let moved: i64 = self.draft.shifts.iter().filter(|(at, _)| *at < line).map(|(_, delta)| delta).sum();
            hint.line = u32::try_from(i64::from(line) + moved).ok();
        }
        hint
    }

    /// `...` lines that stand in both parts mean "what is between here stays": each piece between them is
    /// replaced by itself, where all of them are found exactly once.
    fn expand_dots(&self, text: &str, search: &[&str], replace: &[&str]) -> Option<Step> {
        let is_dots = |line: &&str| elision::is_bare_dots(line) || elision::is_elision(line);
        let dots = |lines: &[&str]| -> Vec<String> {
            lines.iter().filter(|l| is_dots(l)).map(|l| l.trim().to_owned()).collect()
        };
        if dots(search).is_empty() || dots(search) != dots(replace) {
            return None;
        }
        let old_pieces: Vec<&[&str]> = search.split(is_dots).collect();
        let new_pieces: Vec<&[&str]> = replace.split(is_dots).collect();
        let mut draft = self.draft.clone();
        text.clone_into(draft.text.get_or_insert_default());
        for (old, new) in old_pieces.into_iter().zip(new_pieces) {
            if old.is_empty() && new.is_empty() || old == new {
                continue;
            }
            if old.iter().all(|line| line.trim().is_empty()) {
                return None;
            }
            let context = Context { draft: &draft, ..*self };
            let current = draft.text.clone().unwrap_or_default();
            let (next, rung) = context.replace_lines(&current, old, new).ok()??;
            if rung > Rung::Indentation {
                return None;
            }
            draft = next;
        }
        let note = format!("{}: `...` was taken for the lines that stand there", self.path);
        Some(Ok((draft, Some(note))))
    }

    fn ambiguous(&self, starts: &[usize]) -> Refused {
        const SHOWN_MAX: usize = 8;
        let lines: Vec<u32> = starts.iter().map(|start| *start as u32 + 1).collect();
        let shown: Vec<String> = lines.iter().take(SHOWN_MAX).map(u32::to_string).collect();
        let message = format!(
            "the text stands {} times in {} (lines {}); add lines around it that make it unique",
            lines.len(),
            self.path,
            shown.join(", ")
        );
        let mut refusal = self.refuse(RefusalKind::Ambiguous, message);
        refusal.lines = lines;
        refusal
    }

    fn not_found(
        &self,
        text: &str,
        search: &[&str],
        replace: &[&str],
        nearest: Option<crate::reply::edits::Region>,
    ) -> Refused {
        if stands_already(text, search, replace) {
            return self.refuse(RefusalKind::AlreadyApplied, format!("the new text stands in {} already", self.path));
        }
        let place = nearest.as_ref().map_or(String::new(), |region| {
            format!("; the nearest lines are {}–{}", region.first_line, region.last_line)
        });
        let mut refusal =
            self.refuse(RefusalKind::NotFound, format!("the text to replace is not in {}{place}", self.path));
        refusal.nearest = nearest;
        refusal
    }
}

/// Whether the replacement, with something in it that the search text has not, is in the file.
fn stands_already(text: &str, search: &[&str], replace: &[&str]) -> bool {
    let is_new = |line: &&&str| line.chars().any(char::is_alphanumeric) && !search.contains(*line);
    if replace.iter().filter(is_new).count() == 0 {
        return false;
    }
    let file: Vec<&str> = text.lines().collect();
    let untouched = vec![true; replace.len()];
    matching::find(&file, replace, &untouched, &Hint::default()).is_ok_and(|found| found.rung < Rung::Close)
}

/// Whether an unclosed block ends where the file ends, so that only the fence is missing.
fn ends_like(content: &str, before: Option<&str>) -> bool {
    const LENGTH_MIN: f64 = 0.9;
    let last =
        |text: &str| text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim_end().to_owned());
    before.is_some_and(|before| {
        let enough = content.lines().count() as f64 >= before.lines().count() as f64 * LENGTH_MIN;
        enough && last(content).is_some() && last(content) == last(before)
    })
}

const fn rung_words(rung: Rung) -> &'static str {
    match rung {
        Rung::Exact => "its exact text",
        Rung::TrailingSpace => "ignoring white space at line ends",
        Rung::Indentation => "shifting its indentation",
        Rung::BlankLines => "ignoring blank lines and typographic punctuation",
        Rung::Close => "its close likeness",
    }
}
