//! One edit against one file in the making.

use super::done::{changes_blanks_only, has_words, stands_already, stands_around, stands_better};
use super::lines::{Line, Lines};
use super::matching::{self, Miss, Rung};
use super::parsing;
use super::plan::{Draft, Refused, Rules};
use super::{splice, version};
pub(super) use crate::reply::becomes::kept;
use crate::reply::edits::{Hint, Insert, Origin, Proposed, Refusal, RefusalKind};
use crate::reply::{elision, paths};
use crate::task::Edit;

type Step = Result<(Draft, Option<String>), Refused>;

/// Applies one edit. `original` is the file before the whole reply. The second value is a note on what was
/// tolerated.
pub(super) fn applied(draft: &Draft, proposed: &Proposed, path: &str, original: Option<&str>, rules: Rules) -> Step {
    let context = Context { draft, proposed, path, original, rules };
    match &proposed.edit {
        Edit::Delete { .. } if draft.text.is_none() => {
            Err(context.refuse(RefusalKind::Missing, format!("{path} does not exist")))
        }
        Edit::Delete { .. } => context.delete(),
        Edit::Write { content, .. } => context.write(content, original),
        Edit::Replace { search, replace, .. } => context.replace(search, replace),
    }
}

/// The reading of a block that is meant: of several, the one whose search text the file has.
pub(super) fn chosen(draft: &Draft, proposed: &Proposed, path: &str) -> Result<Proposed, Refused> {
    if proposed.others.is_empty() {
        return Ok(proposed.clone());
    }
    let text = draft.text.as_deref().unwrap_or("");
    let readings: Vec<&Edit> = std::iter::once(&proposed.edit)
        .chain(&proposed.others)
        .filter(
            |edit| matches!(edit, Edit::Replace { search, .. } if !search.trim().is_empty() && stands_in(text, search)),
        )
        .collect();
    // A longer text that the file has as well says more than its beginning.
    let longest =
        readings.into_iter().max_by_key(|edit| if let Edit::Replace { search, .. } = edit { search.len() } else { 0 });
    longest.map_or_else(
        || {
            let message =
                "the block has several ======= lines, and the file has none of the texts that may stand before them";
            Err(Box::new(Refusal::new(RefusalKind::Malformed, Some(path), proposed.reply_line, message)))
        },
        |edit| Ok(Proposed { edit: edit.clone(), others: Vec::new(), ..proposed.clone() }),
    )
}

/// Whether the lines of `search` stand in the text, white space at line ends aside.
pub(super) fn stands_in(text: &str, search: &str) -> bool {
    let (file, wanted): (Vec<&str>, Vec<&str>) =
        (text.lines().map(str::trim_end).collect(), search.lines().map(str::trim_end).collect());
    if wanted.is_empty() {
        return false;
    }
    file.windows(wanted.len()).any(|window| window == wanted) || (wanted.len() == 1 && text.contains(search.trim_end()))
}

struct Context<'a> {
    draft: &'a Draft,
    proposed: &'a Proposed,
    path: &'a str,
    /// The file before the whole reply.
    original: Option<&'a str>,
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

    /// Refuses text that leaves code out. A comment that only sounds like it is one where nothing is lost there.
    fn no_elision(&self, old: &str, new: &str) -> Result<(), Refused> {
        let brought = elision::brought_in(old, new, self.is_python());
        let found = brought.into_iter().find(|(line, text)| {
            text.contains("...") || text.contains('…') || loses_lines_at(old, new, *line as usize - 1)
        });
        match found {
            None => Ok(()),
            Some((line, text)) => {
                let message = format!("the new text leaves code out at its line {line}: `{text}`; write all of it");
                Err(self.refuse(RefusalKind::Elided, message))
            }
        }
    }

    fn delete(&self) -> Step {
        let same = |a: &str, b: &str| a.lines().map(str::trim_end).eq(b.lines().map(str::trim_end));
        let text = self.draft.text.as_deref().unwrap_or("");
        if self.proposed.deletes.as_deref().is_some_and(|believed| !same(believed, text) && !stands_in(text, believed))
        {
            let message = format!("{} is not what the reply wants to delete", self.path);
            return Err(self.refuse(RefusalKind::NotFound, message));
        }
        Ok((Draft { text: None, ..self.draft.clone() }, None))
    }

    fn write(&self, content: &str, original: Option<&str>) -> Step {
        let before = self.draft.text.as_deref().or(original);
        let content = self.without_label(content, before);
        if !self.proposed.closed && !self.rules.reply_is_complete && !ends_like(content, before) {
            return Err(self.refuse(RefusalKind::Truncated, "the reply ends inside this file; send it whole"));
        }
        self.no_elision(before.unwrap_or(""), content)?;
        let Some(before) = before else { return Ok((self.next(content.to_owned()), None)) };
        if self.proposed.creates && self.draft.text.is_some() {
            if before == content {
                return Ok((self.draft.clone(), None));
            }
            let message = format!("{} exists already; a patch that adds it cannot be applied", self.path);
            return Err(self.refuse(RefusalKind::Forbidden, message));
        }
        if !self.proposed.fitted {
            self.is_the_file(before, content)?;
        }
        if holds_edit_of(content, before) {
            let message = "an edit block stands inside a whole file; put it in a fence of its own";
            return Err(self.refuse(RefusalKind::Malformed, message));
        }
        // A call's content is exact where it says how lines end.
        let exact = self.proposed.origin == Origin::ToolCall && content.contains("\r\n");
        let text = if exact { content.to_owned() } else { Lines::parse(before).rewritten(content).text() };
        Ok((self.next(text), None))
    }

    /// Refuses a block that is rather a part of the file, or no version of it at all.
    fn is_the_file(&self, before: &str, content: &str) -> Result<(), Refused> {
        let block = version::Block {
            path: self.path,
            before,
            content,
            weak: self.proposed.weak,
            may_shrink: self.rules.may_shrink,
        };
        let Some(message) = block.doubt() else { return Ok(()) };
        let lines: Vec<&str> = before.lines().collect();
        let part: Vec<&str> = content.lines().collect();
        let mut refusal = self.refuse(RefusalKind::Shrinks, message);
        if let Err(Miss::NotFound(nearest)) = matching::find(&lines, &part, &vec![true; part.len()], &Hint::default()) {
            refusal.nearest = nearest;
        }
        Err(refusal)
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
        if let Some(place) = self.proposed.insert.filter(|_| search.is_empty()) {
            return self.insert(text, replace, place);
        }
        if search.trim().is_empty() {
            return self.among_blanks(text, search, replace).unwrap_or_else(|| self.fill(text, replace));
        }
        if self.proposed.origin == Origin::ToolCall
            && let Some(step) = self.replace_text(text, search, replace)
        {
            return step;
        }
        let search_lines: Vec<&str> = search.lines().collect();
        let replace_lines: Vec<&str> = replace.lines().collect();
        let found = match self.replace_lines(text, &search_lines, &replace_lines, &self.shifted_hint()) {
            Err(Miss::Ambiguous(starts)) => self
                .by_original(&search_lines)
                .and_then(|hint| self.replace_lines(text, &search_lines, &replace_lines, &hint).ok())
                .ok_or(Miss::Ambiguous(starts)),
            other => other,
        };
        match found {
            Err(Miss::NotFound(nearest)) => self
                .expand_dots(text, &search_lines, &replace_lines)
                .unwrap_or_else(|| Err(self.not_found(text, &search_lines, &replace_lines, nearest))),
            Err(Miss::Ambiguous(starts)) => Err(self.ambiguous(&starts)),
            Err(Miss::Done) => Err(self.done()),
            Ok(None) => {
                Err(self
                    .refuse(RefusalKind::NotFound, "the text was found, but the new lines do not fit its indentation"))
            }
            Ok(Some((next, rung))) => {
                self.not_done(text, &search_lines, &replace_lines, rung)?;
                if rung > Rung::TrailingSpace
                    && let Some(why) =
                        parsing::misplaced(self.path, text, next.text.as_deref().unwrap_or(""), (search, replace))
                {
                    let message = format!("the text is not in the file as it stands, and where it fits {why}");
                    return Err(self.refuse(RefusalKind::NotFound, message));
                }
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

    /// Refuses a change that stands there already, as far as a place that was found by tolerance can tell.
    fn not_done(&self, text: &str, search: &[&str], replace: &[&str], rung: Rung) -> Result<(), Refused> {
        if rung >= Rung::BlankLines && changes_blanks_only(search, replace) {
            // Where blank lines are not told apart, such a change cannot be placed.
            return Err(self.not_found(text, search, replace, None));
        }
        if rung > Rung::Exact && (stands_already(text, search, replace) || stands_better(text, search, replace, rung)) {
            return Err(self.done());
        }
        Ok(())
    }

    /// Adds lines that replace nothing.
    fn insert(&self, text: &str, added: &str, place: Insert) -> Step {
        self.no_elision(text, added)?;
        let file = Lines::parse(text);
        let at = match place {
            Insert::AfterLine(line) => {
                let moved: i64 = self.draft.shifts.iter().filter(|(at, _)| *at < line).map(|(_, delta)| delta).sum();
                let at = (i64::from(line) + moved).max(0) as usize;
                if at > file.lines.len() {
                    let message = format!(
                        "{} has {} lines; nothing can be inserted after line {line}",
                        self.path,
                        file.lines.len()
                    );
                    return Err(self.refuse(RefusalKind::NotFound, message));
                }
                at
            }
            Insert::End => file.lines.len(),
            Insert::AfterAnchor => match matching::anchored(&file.texts(), &self.proposed.hint.anchors) {
                Some(at) => at + 1,
                None => {
                    let message = format!("the line to insert after is not in {}, or there more than once", self.path);
                    return Err(self.refuse(RefusalKind::NotFound, message));
                }
            },
        };
        let ending = file.convention();
        let new: Vec<Line> = added.lines().map(|line| Line { text: line.to_owned(), ending }).collect();
        let texts = file.texts();
        let same = |from: Option<usize>| {
            from.and_then(|from| texts.get(from..from + new.len()))
                .is_some_and(|window| window.iter().zip(&new).all(|(file, line)| *file == line.text))
        };
        if !new.is_empty()
            && new.iter().any(|line| !line.text.trim().is_empty())
            && (same(Some(at)) || same(at.checked_sub(new.len())))
        {
            return Err(self.done());
        }
        let count = new.len() as i64;
        let mut next = self.next(file.splice(at..at, new).text());
        next.shifts.push((self.line_before(at), count));
        Ok((next, None))
    }

    /// An empty search text: a new file, or the content of an empty one.
    fn fill(&self, text: &str, replace: &str) -> Step {
        if replace.trim().is_empty() {
            // A move or a mode alone.
            return Ok((self.draft.clone(), None));
        }
        if text.trim().is_empty() {
            self.no_elision("", replace)?;
            return Ok((self.next(Lines::parse(text).rewritten(replace).text()), None));
        }
        let message = format!("the SEARCH part is empty but {} has content; say what to replace", self.path);
        Err(self.refuse(RefusalKind::Malformed, message))
    }

    /// Blank lines say nothing of where they are: such a change is made where its line number says, and only where blank
    /// lines stand there.
    fn among_blanks(&self, text: &str, search: &str, replace: &str) -> Option<Step> {
        let (old, new): (Vec<&str>, Vec<&str>) = (search.lines().collect(), replace.lines().collect());
        let hint = self.shifted_hint();
        let at = hint.line?.checked_sub(1)? as usize;
        let lines: Vec<&str> = text.lines().collect();
        lines.get(at..at + old.len()).filter(|window| !window.is_empty() && **window == old[..])?;
        match self.replace_lines(text, &old, &new, &hint) {
            Ok(Some((next, Rung::Exact))) => Some(Ok((next, None))),
            Err(Miss::Done) => Some(Err(self.done())),
            _ => None,
        }
    }

    /// A tool call's text need not be whole lines. Nothing where it is not in the file as it stands.
    fn replace_text(&self, text: &str, search: &str, replace: &str) -> Option<Step> {
        let crlf = Lines::parse(text).convention() == super::lines::Ending::CrLf;
        // Where only one side says CR LF, the line ends are what is to change.
        let ends_differ =
            search.contains("\r\n") != replace.contains("\r\n") && search.contains('\n') && text.contains(search);
        let native = |t: &str| match (ends_differ, crlf) {
            (true, _) => t.to_owned(),
            (false, true) => t.replace("\r\n", "\n").replace('\n', "\r\n"),
            (false, false) => t.replace("\r\n", "\n"),
        };
        let (search, replace) = (native(search), native(replace));
        let places: Vec<usize> = text.match_indices(&search).map(|(at, _)| at).collect();
        if places.is_empty() {
            return None;
        }
        // Every place that is a part of the new text already.
        let offsets: Vec<usize> = if search == replace {
            Vec::new()
        } else {
            replace.match_indices(&search).map(|(offset, _)| offset).collect()
        };
        // In bytes: what is before the place may be letters of several.
        let stands_at = |from: usize| text.as_bytes()[from..].starts_with(replace.as_bytes());
        let is_done = |at: &usize| offsets.iter().any(|offset| at.checked_sub(*offset).is_some_and(stands_at));
        let open: Vec<usize> =
            places.iter().copied().filter(|at| !text.is_char_boundary(*at) || !is_done(at)).collect();
        if open.is_empty() {
            return Some(Err(self.done()));
        }
        match open.len() {
            1 => {
                let at = open[0];
                let next = format!("{}{replace}{}", &text[..at], &text[at + search.len()..]);
                Some(self.no_elision(&search, &replace).map(|()| (self.next(next), None)))
            }
            _ if self.proposed.all => {
                Some(self.no_elision(&search, &replace).map(|()| (self.next(text.replace(&search, &replace)), None)))
            }
            _ => {
                let starts: Vec<usize> = open.iter().map(|at| text[..*at].matches('\n').count()).collect();
                Some(Err(self.ambiguous(&starts)))
            }
        }
    }

    /// Where the text stood once before the reply, its blocks above have brought in the others.
    fn by_original(&self, search: &[&str]) -> Option<Hint> {
        let lines: Vec<&str> = self.original?.lines().collect();
        let found = matching::find(&lines, search, &vec![true; search.len()], &Hint::default()).ok()?;
        let line = u32::try_from(found.range.start + 1).ok()?;
        (found.rung == Rung::Exact).then(|| self.shifted(Hint { line: Some(line), anchors: Vec::new() }))
    }

    fn replace_lines(
        &self,
        text: &str,
        search: &[&str],
        replace: &[&str],
        hint: &Hint,
    ) -> Result<Option<(Draft, Rung)>, Miss> {
        let file = Lines::parse(text);
        let texts = file.texts();
        let touched = splice::touched(search, replace);
        let found = matching::find(&texts, search, &touched, hint)?;
        let elsewhere = hint.line.map(|line| line as usize).filter(|line| *line != found.range.start + 1);
        if let Some(line) = elsewhere {
            // Brackets alone are everywhere, and lines that go without a trace can go twice: where a line number says
            // which, no others are meant.
            if !has_words(search) || replace.is_empty() {
                return Err(Miss::NotFound(None));
            }
            let at = line.saturating_sub(1);
            if has_words(replace) && texts.get(at..at + replace.len()).is_some_and(|window| window == replace) {
                return Err(Miss::Done);
            }
        }
        if stands_around(&texts, &found, search, replace) {
            return Err(Miss::Done);
        }
        let delta = replace.len() as i64 - search.len() as i64;
        Ok(splice::spliced(&file, &found, search, replace).map(|lines| {
            let mut next = self.next(self.ended(lines.text()));
            next.shifts.push((self.line_before(found.range.start), delta));
            (next, found.rung)
        }))
    }

    /// The text with or without a line break at its end, where the edit says which.
    fn ended(&self, mut text: String) -> String {
        match self.proposed.final_newline {
            Some(true) if !text.is_empty() && !text.ends_with('\n') => text.push('\n'),
            Some(false) => {
                text.truncate(text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text).len());
            }
            _ => {}
        }
        text
    }

    /// The line of the file before the reply that this line of the draft was.
    fn line_before(&self, now: usize) -> u32 {
        let mut shifts = self.draft.shifts.clone();
        shifts.sort_unstable();
        let now = now as i64;
        let moved = shifts
            .iter()
            .fold(0, |moved, (at, delta)| if i64::from(*at) + moved < now { moved + delta } else { moved });
        u32::try_from((now - moved).max(0)).unwrap_or(u32::MAX)
    }

    /// The reply's line numbers speak of the file before it; the blocks above have moved lines since.
    fn shifted_hint(&self) -> Hint {
        self.shifted(self.proposed.hint.clone())
    }

    fn shifted(&self, mut hint: Hint) -> Hint {
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
            let (next, rung) = context.replace_lines(&current, old, new, &context.shifted_hint()).ok()??;
            if rung > Rung::Indentation {
                return None;
            }
            draft = next;
        }
        let note = format!("{}: `...` was taken for the lines that stand there", self.path);
        Some(Ok((draft, Some(note))))
    }

    fn done(&self) -> Refused {
        self.refuse(RefusalKind::AlreadyApplied, format!("the new text stands in {} already", self.path))
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
            return self.done();
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

/// Whether the lines before or behind an elision in `new` are fewer than those in `old`: something is lost there.
fn loses_lines_at(old: &str, new: &str, at: usize) -> bool {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    similar::capture_diff_slices(similar::Algorithm::Myers, &old, &new).iter().any(|operation| match operation {
        similar::DiffOp::Replace { old_len, new_index, new_len, .. } => {
            *old_len > 1 && (*new_index..new_index + new_len).contains(&at)
        }
        similar::DiffOp::Delete { new_index, old_len, .. } => *old_len > 1 && new_index.abs_diff(at) <= 1,
        _ => false,
    })
}

/// Whether a whole file's content has a SEARCH/REPLACE block whose search text the file before has: then the block is
/// an edit and no text.
fn holds_edit_of(content: &str, before: &str) -> bool {
    let blocks = crate::scan::blocks(content);
    blocks
        .iter()
        .filter(|block| block.kind == crate::scan::Kind::Edit(crate::scan::Format::SearchReplace) && block.closed)
        .any(|block| {
            let opening = content[block.start..].lines().next().unwrap_or("");
            let Some(head) = crate::scan::marker::head(opening) else { return false };
            let body = content.get(block.body.clone()).unwrap_or("");
            let search: String =
                body.lines().take_while(|line| !head.is_divider(line)).flat_map(|line| [line, "\n"]).collect();
            !before.lines().any(|line| line == opening) && stands_in(before, &search)
        })
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
        Rung::Invented => "leaving out lines around it that the file has not",
        Rung::Close => "its close likeness",
    }
}
