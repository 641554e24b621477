//! The tolerant reading of a reply, for an agent whose check decides: what small models leave out is inferred from the
//! files that they were shown.
//!
//! Everything inferred here is `weak`: it may be tried behind walls and shown as such, and is never written unless a
//! check passed or a person looked. `z1 apply` reads strictly.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use super::becomes::{Became, How, Seen, WHOLE_KEPT_MIN, become_file, kept, likeness};
use super::edits::{self, Origin, Proposed, Reading, Refusal, RefusalKind};
use super::paths::{self, Known};
use super::walk::{Loose, Walk};
use super::{append, elision, only, pairs, splice, wanted, words};
use crate::scan;
use crate::task::{Edit, Language};

/// A file that the model was shown, as it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

/// Of two files that a fence resembles, the better one must be better by this.
const LEAD_MIN: f64 = 0.15;

/// Reads every edit out of a reply, tolerantly.
///
/// * A fence without a path, or with a made-up one, stands for the shown file that it resembles or whose definitions it
///   has.
/// * A path that does not exist stands for the one file of that name where its text says so.
/// * A fence that holds only some definitions of a file, or only new ones, replaces those and adds new ones; the rest of
///   the file stays. So it is with the keys of JSON, YAML and TOML.
/// * A whole file without an import that its code still uses keeps that import.
/// * A SEARCH/REPLACE block or a diff without a path means the one file that has its lines; so do two fences of which
///   the words say that the first becomes the second.
/// * Commands that do nothing but write files (`cat > PATH <<'EOF'`) are those files.
/// * What repeats the prompt is cut.
///
/// `shown` are the files in the prompt as they stand now; `prompt` is its text, or empty.
pub fn read(reply: &str, known: &Known, shown: &[Shown<'_>], prompt: &str) -> Reading {
    let text = scan::proper(&without_echo(reply, prompt));
    let imported = shown.iter().flat_map(|file| wanted::imported(file.path, file.text, known));
    let known = known.clone().wanting(imported.collect::<Vec<_>>());
    let mut walk = Walk::over(&text, &known, shown);
    if walk.out.edits.is_empty() && walk.loose.is_empty() {
        walk.take_commands();
    }
    let lines = std::mem::take(&mut walk.lines);
    let (mut loose, mut out) = (walk.loose, walk.out);
    pairs::join(&lines, &known, shown, &mut loose, &mut out);
    let blocks = out.edits.iter().filter_map(|proposed| match &proposed.edit {
        Edit::Write { path, content } => Some((path.clone(), content.clone())),
        _ => None,
    });
    let mut reader = Reader::new(known, shown, blocks.collect());
    for proposed in &mut out.edits {
        reader.place(proposed);
    }
    let (edits, refused): (Vec<_>, Vec<_>) =
        std::mem::take(&mut out.edits).into_iter().map(|proposed| reader.fitted(proposed)).partition(Result::is_ok);
    out.edits = edits.into_iter().filter_map(Result::ok).collect();
    out.refused.extend(refused.into_iter().filter_map(Result::err).map(|refusal| *refusal));
    let as_it_is = |edit: &Edit| {
        let Edit::Write { path, content } = edit else { return false };
        shown.iter().any(|file| file.path == path && file.text.trim_end() == content.trim_end())
    };
    let changes = out.edits.iter().filter(|proposed| !as_it_is(&proposed.edit));
    let taken: Vec<String> = changes.map(|proposed| proposed.edit.path().to_owned()).collect();
    for fence in &loose {
        // Beside plain edits, a fence of new definitions alone is rather an example, unless they need it.
        let found = reader.resolve(fence, &taken).or_else(|| reader.continued(fence, &out.edits));
        let found = found.or_else(|| reader.new_file(fence, &out.edits)).or_else(|| {
            let alone = taken.is_empty() || (!fence.shows && reader.is_needed(fence, &out.edits));
            if alone { reader.at_home(fence, &text) } else { None }
        });
        if let Some(proposed) = found {
            // The refusal of its made-up path is answered by this.
            out.refused.retain(|refusal| refusal.reply_line != fence.reply_line);
            // It holds what the blocks about that file had made of it, wherever in the reply they stand.
            out.edits.retain(|edit| !(edit.fitted && edit.edit.path() == proposed.edit.path()));
            out.edits.push(proposed);
        }
    }
    out.edits.sort_by_key(|proposed| proposed.reply_line);
    out.notes.append(&mut reader.notes);
    edits::settle(&mut out, &reader.known);
    if out.edits.is_empty() && out.refused.is_empty() {
        let message = "the reply holds no change: no fence, block or diff that is about a file of the project";
        out.refused.push(Refusal::new(RefusalKind::NoEdits, None, 1, message));
    }
    out
}

/// The reply without lines at its beginning that repeat the prompt's.
fn without_echo(reply: &str, prompt: &str) -> String {
    const ECHO_LINES_MIN: usize = 3;
    let said: std::collections::BTreeSet<&str> = prompt.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let mut echoed = 0;
    let mut cut = 0;
    let mut at = 0;
    for line in reply.split_inclusive('\n') {
        at += line.len();
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        if !said.contains(text) || scan::delimiter(text).is_some() {
            break;
        }
        echoed += 1;
        cut = at;
    }
    // Where a path heads a block it is no echo, though the prompt has it too.
    let last = reply[..cut].lines().rfind(|line| !line.trim().is_empty()).unwrap_or("");
    let heads = paths::head_path(last, &Known::default()).is_some_and(|h| h.strength == paths::Strength::Bare);
    if echoed < ECHO_LINES_MIN || heads { reply.to_owned() } else { reply[cut..].to_owned() }
}

struct Reader<'a> {
    known: Known,
    shown: &'a [Shown<'a>],
    /// The folder that the reply takes the project to lie in.
    outer: Option<String>,
    /// The reply's blocks about whole files, as they were written.
    blocks: Vec<(String, String)>,
    /// What earlier fences of the reply made of a file.
    texts: BTreeMap<String, String>,
    /// The file that each block was about, and the names that it defines, without those of their classes.
    given: Vec<(String, BTreeSet<String>)>,
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(known: Known, shown: &'a [Shown<'a>], blocks: Vec<(String, String)>) -> Self {
        // Where a block of the reply is, its imports say where its new files are.
        let place = |(path, content): &(String, String)| {
            let like = |other: &Shown<'_>| (kept(other.text, content) * 100.0) as u32;
            let of_name = shown.iter().filter(|file| paths::file_name(file.path) == paths::file_name(path));
            let best = of_name.max_by_key(|file| like(file)).map(|file| file.path.to_owned());
            known.closest(path).or(best).unwrap_or_else(|| path.clone())
        };
        let imported = blocks.iter().flat_map(|block| wanted::imported(&place(block), &block.1, &known));
        let imported: Vec<String> = imported.collect();
        let known = known.wanting(imported);
        let outer = blocks.iter().find_map(|(path, _)| {
            let inner = known.closest(path).filter(|inner| inner != path)?;
            let folder = path.strip_suffix(&inner)?;
            (!known.has_folder(folder.trim_end_matches('/'))).then(|| folder.to_owned())
        });
        Self { known, shown, outer, blocks, texts: BTreeMap::new(), given: Vec::new(), notes: Vec::new() }
    }

    fn shown_as(&self, path: &str) -> Option<&Shown<'a>> {
        self.shown.iter().find(|file| file.path == path)
    }

    fn text_of(&self, path: &str) -> Option<String> {
        self.texts.get(path).cloned().or_else(|| self.shown_as(path).map(|file| file.text.to_owned()))
    }

    /// What is known of a fence about a file. `elsewhere` holds what stands in other files' blocks now and did not before.
    fn seen(&self, path: &str, closed: bool, named: bool) -> Seen {
        let text = self.text_of(path).unwrap_or_default();
        let name = |path: &str| paths::file_name(path).to_owned();
        let others = self.blocks.iter().filter(|(other, _)| name(other) != name(path));
        let came = others.flat_map(|(other, content)| {
            let before = self.shown_as(other).map_or("", |file| file.text);
            splice::moved(path, &text, other, before, content)
        });
        Seen { closed, named, adds: false, elsewhere: came.collect() }
    }

    /// An edit of existing text that names a file that is not there: the one file of that name may be meant, or the one of
    /// several that has the text.
    fn place(&self, proposed: &mut Proposed) {
        let path = proposed.edit.path();
        let existing = matches!(&proposed.edit, Edit::Replace { search, .. } if !search.trim().is_empty());
        if existing && !self.known.contains(path) && proposed.instead.is_none() {
            proposed.instead = self.known.by_name_only(path).or_else(|| self.namesake_with(&proposed.edit));
        }
        proposed.weak |= proposed.instead.is_some();
    }

    /// A whole file that rather is a part of one becomes that file with the part spliced in.
    fn fitted(&mut self, proposed: Proposed) -> Result<Proposed, Box<Refusal>> {
        let Edit::Write { path, content } = &proposed.edit else { return Ok(proposed) };
        if proposed.origin != Origin::WholeFile || proposed.creates {
            return Ok(proposed);
        }
        let target = if self.known.contains(path) { Some(path.clone()) } else { self.namesake(path, content) };
        let Some(target) = target else {
            if let Some(place) = self.place_of_new(path) {
                self.notes.push(format!("{path} was taken for the new file {place}"));
                let edit = Edit::Write { path: place, content: content.clone() };
                return Ok(Proposed { edit, weak: true, instead: None, ..proposed });
            }
            if paths::is_placeholder(path) {
                let message = format!("{path} is a placeholder; name a real file of the project");
                return Err(Box::new(Refusal::new(RefusalKind::NoPath, Some(path), proposed.reply_line, message)));
            }
            // There is no other code of a new file.
            let rest = elision::stripped(content);
            if rest.len() < content.len() && proposed.closed && !rest.lines().any(elision::is_elision) {
                let edit = Edit::Write { path: path.clone(), content: format!("{}\n", rest.trim_end()) };
                return Ok(Proposed { edit, weak: true, ..proposed });
            }
            return Ok(proposed);
        };
        let Some(text) = self.text_of(&target) else { return Ok(proposed) };
        let content = label_off(content, proposed.label.as_deref(), &text);
        let renamed = target != *path;
        let seen = Seen { adds: proposed.adds, ..self.seen(&target, proposed.closed, true) };
        let Some(became) = become_file(&target, &text, &content, seen) else {
            // What an earlier block has made of the file is not undone by one that cannot be put into it.
            if self.texts.contains_key(&target) {
                let message = format!("what this block is of {target} cannot be told; nothing of it was taken");
                return Err(Box::new(Refusal::new(
                    RefusalKind::Malformed,
                    Some(&target),
                    proposed.reply_line,
                    message,
                )));
            }
            // Whether it is the file cannot be told.
            let part =
                splice::is_outlined(&target, &text) || splice::data::coverage(&target, &text, &content).is_some();
            return Ok(Proposed { weak: proposed.weak || part, ..proposed });
        };
        if renamed {
            self.notes.push(format!("{path} does not exist; its content was taken for {target}"));
        }
        self.note(&became, &target, proposed.reply_line);
        self.given.push((target.clone(), last_names(&target, &content)));
        self.texts.insert(target.clone(), became.text.clone());
        let weak = !matches!(became.how, How::Whole);
        Ok(Proposed {
            edit: Edit::Write { path: target, content: became.text },
            weak: proposed.weak || weak || renamed,
            label: None,
            closed: proposed.closed || weak,
            fitted: true,
            ..proposed
        })
    }

    /// Where a new file belongs that is named loosely: where the task or an import has it, or without the folder that the
    /// reply takes the project to lie in.
    fn place_of_new(&self, path: &str) -> Option<String> {
        let inner = || Some(path.strip_prefix(self.outer.as_deref()?)?.to_owned());
        wanted::meant(path, self.known.wanted(), &self.known).or_else(inner)
    }

    /// The wanted file that a fence of new definitions without a path, or with a made-up one, is.
    fn new_file(&mut self, fence: &Loose, edits: &[Proposed]) -> Option<Proposed> {
        if !fence.closed || fence.shows || fence.content.trim().is_empty() {
            return None;
        }
        let is_given = |file: &String| edits.iter().any(|proposed| proposed.edit.path() == file);
        let path = match &fence.head {
            Some(head) => wanted::meant(&head.path, self.known.wanted(), &self.known)?,
            None => self.awaited(fence, &is_given)?,
        };
        if is_given(&path) {
            return None;
        }
        let line = fence.reply_line;
        self.notes.push(format!(
            "the block at line {line} names no file of the project; it was taken for {path}, which is new"
        ));
        Some(self.inferred_write(fence, path, fence.content.clone()))
    }

    /// The one wanted file that new definitions can be; `is_given` says which ones the reply has already.
    fn awaited(&self, fence: &Loose, is_given: &dyn Fn(&String) -> bool) -> Option<String> {
        let tag = Language::from_fence_tag(&fence.info);
        let there = LazyCell::new(|| -> BTreeSet<String> {
            self.shown.iter().flat_map(|file| last_names(file.path, file.text)).collect()
        });
        let is_new = |file: &&String| {
            let fits = tag.is_none() || tag == Language::from_extension(&paths::extension(file));
            let names = if fits && !is_given(file) { splice::defined(file, &fence.content) } else { Vec::new() };
            // Half of what the project has is an example that uses it, or an older form of it.
            !names.is_empty() && !names.iter().any(|name| there.contains(name))
        };
        let wanted = self.known.wanted().iter().filter(is_new);
        only(wanted.filter(|file| self.is_awaited(file, fence))).cloned()
    }

    /// Whether those that import from a file that is not there use what a fence defines: a file may be missing for other
    /// reasons, such as that a build makes it.
    fn is_awaited(&self, file: &str, fence: &Loose) -> bool {
        let names = splice::defined(file, &fence.content);
        let imports =
            |path: &str, line: &str| wanted::imports_from(line, path, file, &self.known).is_some_and(|from| from);
        let shown = self.shown.iter().map(|other| (other.path, self.text_of(other.path).unwrap_or_default()));
        let importers: Vec<String> =
            shown.filter(|(path, text)| text.lines().any(|line| imports(path, line))).map(|(_, text)| text).collect();
        let uses =
            |text: &String| words(text).any(|word| names.iter().any(|name| name.rsplit(' ').next() == Some(word)));
        // Where nobody imports it, the task names it.
        importers.is_empty() || importers.iter().any(uses)
    }

    /// Says what of a block was put where, and what was not.
    fn note(&mut self, became: &Became, path: &str, line: u32) {
        match became.how {
            How::Whole => {}
            How::Mended => {
                self.notes
                    .push(format!("{path}: what the block at line {line} left out at the top of the file was kept"));
            }
            How::Shortened => {
                self.notes.push(format!("the block at line {line} leaves out some of what {path} defines"));
            }
            How::Spliced { left_out } => {
                let rest = if left_out == 0 { "" } else { "; what it has besides definitions was left out" };
                self.notes.push(format!("the block at line {line} is a part of {path} and was put into it{rest}"));
            }
        }
    }

    /// The one file of the project with this file name, where the content can be (a part of) it.
    fn namesake(&self, path: &str, content: &str) -> Option<String> {
        // "README" is README.md, where there is one.
        let stem = || {
            let same =
                |other: &&str| !path.contains('.') && other.rsplit_once('.').is_some_and(|(stem, _)| stem == path);
            only(self.known.iter().filter(same)).map(str::to_owned)
        };
        let other = self.known.by_name_only(path).or_else(|| self.known.closest(path));
        let other = other.or_else(|| self.likeliest(path, content)).or_else(stem)?;
        let text = self.text_of(&other)?;
        // New definitions resemble nothing; with a name alone, or a folder that is not there, the file's own name says enough.
        let lost = !self.known.has_folder_of(path);
        let fits = likeness(&other, &text, content) >= LEAD_MIN
            || (lost && (text.trim().is_empty() || become_file(&other, &text, content, Seen::named()).is_some()));
        fits.then_some(other)
    }

    /// Of several files of a name without a folder, the one that a content resembles; of those that it resembles alike, the
    /// only one that is a test as it is, or is none. (With a folder it may be one more `__init__.py`.)
    fn likeliest(&self, name: &str, content: &str) -> Option<String> {
        if name.contains('/') {
            return None;
        }
        let of_name = self.known.namesakes(name).iter();
        let like = |other: &str| self.text_of(other).map(|text| likeness(other, &text, content));
        let mut scored: Vec<(f64, &String)> = of_name.filter_map(|other| Some((like(other)?, other))).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let best = scored.first()?.0;
        if best >= LEAD_MIN {
            scored.retain(|(score, _)| best - score < LEAD_MIN);
        }
        if scored.len() > 1 {
            scored.retain(|(_, other)| is_named_a_test(other) == holds_tests(content));
        }
        if scored.len() > 1 {
            let names = splice::defined(name, content);
            scored.retain(|(_, other)| self.shown_as(other).is_some_and(|file| self.imports_from(file, &names)));
        }
        if let [(_, only)] = scored.as_slice() { Some((*only).clone()) } else { None }
    }

    /// Of several files of the name that an edit gives, the one that has its text.
    fn namesake_with(&self, edit: &Edit) -> Option<String> {
        let Edit::Replace { path, search, .. } = edit else { return None };
        let has = |other: &&String| self.text_of(other).is_some_and(|text| text.contains(search.trim_end()));
        only(self.known.namesakes(path).iter().filter(has)).cloned()
    }

    /// The shown file that a fence without a usable path is about.
    fn resolve(&mut self, fence: &Loose, taken: &[String]) -> Option<Proposed> {
        if fence.content.trim().is_empty() {
            return None;
        }
        let named = fence.head.as_ref().map(|head| paths::file_name(&head.path).to_lowercase());
        let mut scored: Vec<(f64, String, String)> = self
            .shown
            .iter()
            .filter(|file| !taken.iter().any(|path| path == file.path) || self.goes_on(file.path, fence))
            .filter(|file| fits_tag(&fence.info, file.path))
            .filter_map(|file| {
                // An empty file resembles nothing.
                let text = self.text_of(file.path).filter(|text| !text.trim().is_empty())?;
                let same_name = named.as_deref() == Some(&paths::file_name(file.path).to_lowercase());
                let score = likeness(file.path, &text, &fence.content) + if same_name { 0.5 } else { 0.0 };
                Some((score, file.path.to_owned(), text))
            })
            .filter(|(score, ..)| *score > 0.2)
            .filter(|(_, _, text)| taken.is_empty() || !fence.shows || kept(text, &fence.content) >= WHOLE_KEPT_MIN)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let lead = scored.get(1).map_or(1.0, |second| scored[0].0 - second.0);
        let (_, path, text) = scored.into_iter().next().filter(|_| lead >= LEAD_MIN)?;
        let same_name = named.as_deref() == Some(&paths::file_name(&path).to_lowercase());
        let seen = Seen { adds: fence.adds, ..self.seen(&path, fence.closed, same_name) };
        let became = become_file(&path, &text, &fence.content, seen)?;
        self.inferred(fence, path, &text, became)
    }

    /// Whether a fence has other definitions of a file than the reply's blocks about it: then it is one more of them.
    fn goes_on(&self, path: &str, fence: &Loose) -> bool {
        let Some(text) = self.shown_as(path).map(|file| file.text) else { return false };
        let (own, new) = (last_names(path, text), last_names(path, &fence.content));
        // A quotation of what stood there, and an example, undo nothing.
        let quotes = splice::spliced(path, text, &fence.content, true).is_none_or(|spliced| spliced.text == text);
        // What a block with markers made of the file is not known here.
        let fitted = self.texts.contains_key(path);
        let given = |name: &String| self.given.iter().any(|(file, names)| file == path && names.contains(name));
        // A class with a new method has one of them.
        let code = new.iter().any(|name| own.contains(name)) && !new.iter().any(given);
        fitted && code && !quotes && !fence.shows
    }

    /// The file of the block before, where a fence says no path and can only go on with it: its imports, or what the words
    /// above say is added.
    fn continued(&mut self, fence: &Loose, edits: &[Proposed]) -> Option<Proposed> {
        let before = edits.iter().filter(|proposed| proposed.reply_line < fence.reply_line);
        let path = before.max_by_key(|proposed| proposed.reply_line)?.edit.path().to_owned();
        // What a block with markers made of the file is not known here.
        if !edits.iter().all(|proposed| proposed.fitted || proposed.edit.path() != path) {
            return None;
        }
        let imports = append::only_imports(&path, &fence.content);
        let adds = fence.adds && !splice::defined(&path, &fence.content).is_empty();
        if fence.head.is_some() || fence.shows || !(imports || adds) || !fits_tag(&fence.info, &path) {
            return None;
        }
        let text = self.text_of(&path)?;
        let seen = Seen { adds: fence.adds, ..self.seen(&path, fence.closed, true) };
        let became = become_file(&path, &text, &fence.content, seen)?;
        self.inferred(fence, path, &text, became)
    }

    /// The file that a fence of new definitions can only belong to: the one that can hold them, that others import them
    /// from, or that the reply speaks of.
    fn at_home(&mut self, fence: &Loose, reply: &str) -> Option<Proposed> {
        let can_hold = |file: &Shown<'_>| {
            let names = splice::defined(file.path, &fence.content);
            let header = paths::is_header(file.path);
            let language = Language::from_extension(&paths::extension(file.path));
            let tagged = Language::from_fence_tag(&fence.info).is_none_or(|tag| language == Some(tag));
            let is_code = !names.is_empty() && names != ["main"] && !header && tagged;
            is_code
                && splice::is_outlined(file.path, file.text)
                && is_named_a_test(file.path) == holds_tests(&fence.content)
        };
        // A rule of a style sheet resembles no other.
        let extension = fence.info.to_lowercase();
        let sheets = || self.shown.iter().filter(|file| paths::extension(file.path) == extension).copied().collect();
        let homes: Vec<Shown<'_>> = match extension.as_str() {
            "css" | "scss" | "less" => sheets(),
            _ => self.shown.iter().filter(|file| can_hold(file)).copied().collect(),
        };
        let of = |fits: &dyn Fn(&Shown<'_>) -> bool| {
            let found: Vec<Shown<'_>> = homes.iter().filter(|file| fits(file)).copied().collect();
            if let [only] = found.as_slice() { Some(*only) } else { None }
        };
        let home = of(&|_| true)
            .or_else(|| of(&|file| self.imports_from(file, &splice::defined(file.path, &fence.content))))
            .or_else(|| of(&|file| reply.contains(file.path)))?;
        let text = self.text_of(home.path)?;
        let became = become_file(home.path, &text, &fence.content, self.seen(home.path, fence.closed, true))?;
        self.inferred(fence, home.path.to_owned(), &text, became)
    }

    /// Whether what the reply changes elsewhere uses what a fence defines and no file has.
    fn is_needed(&self, fence: &Loose, edits: &[Proposed]) -> bool {
        let new = |file: &Shown<'_>| {
            let own = last_names(file.path, file.text);
            splice::defined(file.path, &fence.content).into_iter().filter(move |name| !own.contains(name))
        };
        let names: BTreeSet<String> = self.shown.iter().flat_map(new).collect();
        let uses = |text: &str| words(text).any(|word| names.contains(word));
        edits.iter().any(|proposed| match &proposed.edit {
            Edit::Write { content, .. } | Edit::Replace { replace: content, .. } => uses(content),
            Edit::Delete { .. } => false,
        })
    }

    /// Whether another file imports one of these names from this file.
    fn imports_from(&self, file: &Shown<'_>, names: &[String]) -> bool {
        let parts: Vec<&str> = file.path.split('/').collect();
        let stem = |name: &str| name.split('.').next().unwrap_or("").to_owned();
        let own = stem(parts.last().unwrap_or(&""));
        let folder = parts.len().checked_sub(2).map_or("", |at| parts[at]);
        let module = if matches!(own.as_str(), "mod" | "__init__" | "index") { folder.to_owned() } else { own };
        let words = |line: &str| -> Vec<String> {
            line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).map(str::to_owned).collect()
        };
        let imports = |line: &str| {
            let line = line.trim_start();
            let is_import = ["import ", "from ", "use ", "pub use "].iter().any(|word| line.starts_with(word));
            is_import || line.contains("require(")
        };
        // As the reply leaves them.
        self.shown.iter().filter(|other| other.path != file.path).any(|other| {
            self.text_of(other.path).unwrap_or_default().lines().filter(|line| imports(line)).any(|line| {
                let words = words(line);
                let by_name = || words.contains(&module);
                let from = wanted::imports_from(line, other.path, file.path, &self.known).unwrap_or_else(by_name);
                from && names.iter().any(|name| words.contains(name))
            })
        })
    }

    fn inferred(&mut self, fence: &Loose, path: String, text: &str, became: Became) -> Option<Proposed> {
        if became.text == text {
            return None;
        }
        let line = fence.reply_line;
        if let How::Whole = became.how {
            self.notes.push(format!("the block at line {line} names no file of the project; it was taken for {path}"));
        } else {
            self.note(&became, &path, line);
        }
        self.texts.insert(path.clone(), became.text.clone());
        let imported = wanted::imported(&path, &became.text, &self.known);
        self.known = std::mem::take(&mut self.known).wanting(imported);
        Some(self.inferred_write(fence, path, became.text))
    }

    /// A fence as a file whose path it does not give.
    fn inferred_write(&mut self, fence: &Loose, path: String, content: String) -> Proposed {
        self.given.push((path.clone(), last_names(&path, &fence.content)));
        let mut proposed = Proposed::new(Edit::Write { path, content }, Origin::WholeFile, fence.reply_line);
        proposed.weak = true;
        proposed.fitted = true;
        proposed
    }
}

/// The names that a text defines; a method's without its class's.
fn last_names(path: &str, text: &str) -> BTreeSet<String> {
    let last = |name: String| name.rsplit('.').next().unwrap_or_default().to_owned();
    let loose = splice::defined(path, text);
    splice::names(path, text).into_iter().chain(loose).map(last).collect()
}

/// Without the comment that served as the heading, unless the file has that line itself.
fn label_off(content: &str, label: Option<&str>, text: &str) -> String {
    match (label, content.split_once('\n')) {
        (Some(label), Some((first, rest))) if first == label && text.lines().next() != Some(label) => rest.to_owned(),
        _ => content.to_owned(),
    }
}

/// Whether a fence's tag can be a file's: models tag data with the language they talk about, so only another
/// programming language than the file's counts against it.
fn fits_tag(info: &str, path: &str) -> bool {
    let file = Language::from_extension(&paths::extension(path));
    match (Language::from_fence_tag(info), file) {
        (Some(tag), Some(file)) => {
            tag == file
                || matches!(
                    (tag, file),
                    (Language::JavaScript, Language::TypeScript)
                        | (Language::TypeScript, Language::JavaScript)
                        | (Language::C, Language::Cpp)
                        | (Language::Cpp, Language::C)
                )
        }
        _ => true,
    }
}

fn is_named_a_test(path: &str) -> bool {
    let path = path.to_lowercase();
    ["test", "spec"].iter().any(|word| path.contains(word))
}

fn holds_tests(text: &str) -> bool {
    ["#[test]", "assert", "import pytest"].iter().any(|word| text.contains(word))
}
