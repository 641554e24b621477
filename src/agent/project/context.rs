//! What was gathered, fitted into the window by the table of shares; and what was left out, said. Pure but for
//! reading the files that are shown.
//!
//! Not for: finding candidates (`gather.rs`).

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::gather::{Gathered, POINTS_MIN, Worth};
use crate::prompt::conversation::{self, ProjectContext, ProjectFile};
use crate::prompt::{Message, PromptError, Prompts};
use crate::reply::paths::is_prose;
use crate::repo_map::outline::outline;
use crate::task::Language;
use crate::traits::Traits;
use crate::workspace::plan::FileState;
use crate::workspace::tree::Tree;

/// Lines shown around a place that matters, on each side.
const AROUND_LINES: usize = 25;
/// Places of a file that are shown at most.
const REGIONS_MAX: usize = 4;
/// A project of so many files and tokens is shown whole.
const WHOLE_FILES_MAX: usize = 40;
const WHOLE_TOKENS_MAX: usize = 4_000;
/// A longer file is not asked for as a whole.
const WHOLE_LINES_MAX: usize = 200;
/// Mentions listed at most.
const MENTIONS_MAX: usize = 20;

/// The window that a context is fitted into.
pub(super) struct Frame<'a> {
    pub(super) traits: &'a Traits,
    pub(super) context_tokens_max: u32,
    pub(super) count: &'a dyn Fn(&str) -> usize,
    /// Path and digest of what the session has shown before.
    pub(super) shown: &'a BTreeMap<String, String>,
    /// The session's first prompt: it alone brings the map and the rules.
    pub(super) first: bool,
}

/// A file as it is shown, in full or in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) path: String,
    pub(super) part: Option<String>,
    content: String,
    fence: String,
}

/// Everything that goes into the prompt beside the task's words.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    pub(super) files: Vec<Shown>,
    pub(super) map: Option<String>,
    pub(super) rules: Option<String>,
    pub(super) mentions: Option<String>,
    pub(super) failure: Option<String>,
    pub(super) check: Option<String>,
    /// Words are wanted, and no change.
    pub(super) question: bool,
    /// The files are all that the project has.
    pub(super) whole: bool,
    /// A file is too long to be written whole.
    pub(super) long: bool,
    /// What went in and what was left out, a line each.
    pub(super) report: Vec<String>,
    /// Path and digest of the files shown whole.
    pub(super) digests: BTreeMap<String, String>,
}

/// Fits what was gathered into the window.
pub(super) fn fit(gathered: &Gathered, tree: &Tree, failure: &str, check: Option<&str>, frame: &Frame<'_>) -> Context {
    let (shares, room) = (&frame.traits.shares, frame.context_tokens_max);
    let mut context = Context { check: check.map(str::to_owned), ..Context::default() };
    let whole = whole_project(gathered, tree, shares.files.tokens(room), frame);
    context.whole = whole.is_some();
    // A map of what is shown anyway is noise.
    if frame.first && !context.whole && shares.map.tokens(room) > 0 && !gathered.map.text.is_empty() {
        context.report.push(format!("map: {} tokens of {} files", gathered.map.tokens, gathered.map.files_read));
        context.map = Some(gathered.map.text.trim_end().to_owned());
    }
    if frame.first {
        rules(&mut context, gathered, shares.rules.tokens(room), frame);
    }
    if !failure.is_empty() {
        let (text, cut) = clipped(failure, shares.failure.tokens(room), frame.count);
        context.report.push(format!("failure: {} tokens{}", (frame.count)(&text), if cut { ", cut" } else { "" }));
        context.failure = Some(text);
    }
    match whole {
        Some(all) => all_files(&mut context, all, frame),
        None => files(&mut context, gathered, tree, shares.files.tokens(room), frame),
    }
    context.long = context.files.iter().any(|file| {
        !crate::verify::decides_about_tests(&file.path)
            && (file.part.is_some() || file.content.lines().count() > WHOLE_LINES_MAX)
    });
    mentions(&mut context, gathered, shares.mentions.tokens(room), frame);
    context
}

fn rules(context: &mut Context, gathered: &Gathered, tokens_max: usize, frame: &Frame<'_>) {
    let mut text = String::new();
    for (path, content) in &gathered.rules {
        let left = tokens_max.saturating_sub((frame.count)(&text));
        let (part, cut) = clipped(content.trim(), left, frame.count);
        if part.is_empty() {
            context.report.push(format!("left out {path}: no room"));
            continue;
        }
        let said = if cut { ", cut" } else { "" };
        context.report.push(format!("{path}: {} tokens{said}", (frame.count)(&part)));
        text.push_str(&format!(
            "{}{part}{}",
            if text.is_empty() { "" } else { "\n\n" },
            if cut { "\n(cut here)" } else { "" }
        ));
    }
    context.rules = (!text.is_empty()).then_some(text);
}

/// A file of the project with its text, and what it takes of the window.
struct Whole {
    path: String,
    text: String,
    tokens: usize,
}

/// Every file of the project, where all of it fits into a few thousand tokens: first what is least likely to change, the
/// tests last, next to the task. `None` where it does not fit or the model was taught to be shown one file.
fn whole_project(gathered: &Gathered, tree: &Tree, tokens_max: usize, frame: &Frame<'_>) -> Option<Vec<Whole>> {
    let listing = tree.listing();
    if !frame.traits.shows_tests || listing.cut || listing.paths.len() > WHOLE_FILES_MAX {
        return None;
    }
    let mut left = tokens_max.min(WHOLE_TOKENS_MAX);
    let mut all = Vec::new();
    for path in listing.paths.iter().filter(|path| !says_nothing(path)).chain(&gathered.unlisted) {
        match tree.read(path) {
            FileState::Text(text) if text.trim().is_empty() => {}
            FileState::Text(text) => {
                let tokens = (frame.count)(&text) + FRAME_TOKENS;
                left = left.checked_sub(tokens)?;
                all.push(Whole { path: path.clone(), text, tokens });
            }
            // Pictures and the like say nothing to a model of words.
            FileState::Missing | FileState::Unfit(..) => {}
        }
    }
    let points = |path: &str| gathered.files.iter().find(|worth| worth.path == path).map_or(0, |worth| worth.points);
    all.sort_by_key(|file| (crate::verify::decides_about_tests(&file.path), points(&file.path), file.path.clone()));
    (!all.is_empty()).then_some(all)
}

/// Files that no task is about unless it names them: locks, licences, settings of version control.
fn says_nothing(path: &str) -> bool {
    const NAMES: [&str; 10] = [
        "cargo.lock",
        "package-lock.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "poetry.lock",
        "uv.lock",
        "go.sum",
        "license",
        ".gitignore",
        ".gitattributes",
    ];
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let stem = name.split('.').next().unwrap_or("");
    NAMES.contains(&name.as_str())
        || ["license", "licence", "copying"].contains(&stem)
        || ["agents", "agent", "claude"].contains(&stem)
}

fn all_files(context: &mut Context, all: Vec<Whole>, frame: &Frame<'_>) {
    let mut shown_before = 0;
    let (mut count, mut tokens) = (0, 0);
    for file in all {
        let digest = digest(&file.text);
        if frame.shown.get(&file.path) == Some(&digest) {
            shown_before += 1;
            continue;
        }
        (count, tokens) = (count + 1, tokens + file.tokens);
        context.digests.insert(file.path.clone(), digest);
        context.files.push(shown(&file.path, None, &file.text));
    }
    context.report.push(format!("the whole project: {count} files, {tokens} tokens"));
    if shown_before > 0 {
        context.whole = false;
        context.report.push(format!("{shown_before} files shown before, unchanged"));
    }
}

fn files(context: &mut Context, gathered: &Gathered, tree: &Tree, tokens_max: usize, frame: &Frame<'_>) {
    let mut left = tokens_max;
    let good = gathered.files.iter().any(|worth| worth.points >= POINTS_MIN);
    let mut paths = 0;
    for worth in &gathered.files {
        let (path, why) = (&worth.path, worth.why);
        if paths == frame.traits.files_max || (good && worth.points < POINTS_MIN) || (!good && paths == 2) {
            break;
        }
        if !frame.traits.shows_tests && worth.is_test {
            context.report.push(format!("left out {path}: a test"));
            continue;
        }
        let FileState::Text(text) = tree.read(path) else { continue };
        let digest = digest(&text);
        if frame.traits.remembers && frame.shown.get(path) == Some(&digest) {
            context.report.push(format!("{path}: shown before, unchanged"));
            continue;
        }
        let tokens = (frame.count)(&text) + FRAME_TOKENS;
        if tokens <= left {
            context.report.push(format!("{path}: whole, {tokens} tokens ({why})"));
            context.digests.insert(path.clone(), digest);
            context.files.push(shown(path, None, &text));
            left -= tokens;
            paths += 1;
            continue;
        }
        let parts = regions(worth, &text, left, frame.count);
        if parts.is_empty() {
            context.report.push(format!("left out {path}: {tokens} tokens, room for {left} ({why})"));
            continue;
        }
        for (part, content) in parts {
            let tokens = (frame.count)(&content) + FRAME_TOKENS;
            context.report.push(format!("{path}: {part}, {tokens} tokens ({why})"));
            left = left.saturating_sub(tokens);
            context.files.push(shown(path, Some(part), &content));
        }
        paths += 1;
    }
}

/// A path, two fences and a part's remark.
const FRAME_TOKENS: usize = 24;

impl Context {
    /// The files that are shown whole and may be changed, the likeliest first.
    pub(super) fn likeliest(&self, gathered: &Gathered) -> Vec<String> {
        let of = |path: &str| gathered.files.iter().position(|worth| worth.path == path).unwrap_or(usize::MAX);
        let changes = |file: &&Shown| {
            file.part.is_none() && !is_prose(&file.path) && !crate::verify::decides_about_tests(&file.path)
        };
        let mut paths: Vec<String> = self.files.iter().filter(changes).map(|file| file.path.clone()).collect();
        paths.sort_by_key(|path| of(path));
        paths
    }
}

impl Shown {
    /// How a reply begins that writes this file.
    pub(super) fn begun(&self) -> String {
        format!("{}\n{}{}\n", self.path, self.fence, language(&self.path))
    }
}

/// How a reply begins that writes this file of the project.
pub(super) fn begun(tree: &Tree, path: &str) -> String {
    match tree.read(path) {
        FileState::Text(text) => shown(path, None, &text).begun(),
        _ => String::new(),
    }
}

/// How a reply begins that writes a file with this content, and what frames it.
pub(super) fn framed(path: &str, content: &str) -> (String, String) {
    let shown = shown(path, None, content);
    (shown.begun(), shown.fence)
}

fn shown(path: &str, part: Option<String>, content: &str) -> Shown {
    let fence = crate::prompt::conversation::fence_for(content);
    Shown { path: path.to_owned(), part, content: content.trim_end_matches('\n').to_owned(), fence }
}

/// The stretches of a file around the lines that matter, as many as there is room for; without such lines its
/// beginning.
fn regions(worth: &Worth, text: &str, tokens_max: usize, count: &dyn Fn(&str) -> usize) -> Vec<(String, String)> {
    const LINES_MIN: usize = 5;
    let lines: Vec<&str> = text.lines().collect();
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut matter: Vec<usize> = worth.lines.iter().map(|line| *line as usize - 1).collect();
    if matter.is_empty() {
        matter.push(0);
    }
    // A file that the task names is shown as far as there is room where nothing in it is named.
    let around = if worth.named && worth.lines.is_empty() { lines.len() } else { AROUND_LINES };
    let functions = functions(&worth.path, text);
    for line in matter {
        let (from, to) = (line.saturating_sub(around), (line + around).min(lines.len()));
        // The whole of a function that the line is in.
        let own = functions.iter().filter(|lines| lines.contains(&line)).min_by_key(|lines| lines.len());
        let (from, to) = own.map_or((from, to), |own| (from.min(own.start), to.max(own.end)));
        let enough = ranges.len() == REGIONS_MAX;
        match ranges.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ if enough => break,
            _ => ranges.push((from, to)),
        }
    }
    let mut left = tokens_max;
    let mut parts = Vec::new();
    for (from, mut to) in ranges {
        // Shorten from the end until it fits.
        while to > from + LINES_MIN && count(&lines[from..to].join("\n")) + FRAME_TOKENS > left {
            to -= ((to - from) / 4).max(1);
        }
        let content = lines[from..to].join("\n");
        let tokens = count(&content) + FRAME_TOKENS;
        if tokens > left || content.trim().is_empty() {
            break;
        }
        left -= tokens;
        parts.push((format!("lines {}-{} of {}", from + 1, to, lines.len()), content));
    }
    parts
}

/// The lines of every function of a file, methods too.
fn functions(path: &str, text: &str) -> Vec<std::ops::Range<usize>> {
    let definitions = outline(path, text).map(|outline| outline.definitions).unwrap_or_default();
    let all = definitions.into_iter().flat_map(|of| {
        std::iter::once((of.is_function, of.lines))
            .chain(of.inner.into_iter().map(|inner| (inner.is_function, inner.lines)))
    });
    all.filter(|(is_function, _)| *is_function).map(|(_, lines)| lines).collect()
}

fn mentions(context: &mut Context, gathered: &Gathered, tokens_max: usize, frame: &Frame<'_>) {
    let shown: BTreeSet<&str> = context.files.iter().map(|file| file.path.as_str()).collect();
    let elsewhere: Vec<_> = gathered.hits.iter().filter(|hit| !shown.contains(hit.path.as_str())).collect();
    let mut text = String::new();
    let mut taken = 0;
    for hit in elsewhere.iter().take(MENTIONS_MAX) {
        let line = format!("{}:{}: {}\n", hit.path, hit.line, hit.text.trim());
        if (frame.count)(&text) + (frame.count)(&line) > tokens_max {
            break;
        }
        text.push_str(&line);
        taken += 1;
    }
    if taken > 0 {
        context.report.push(format!("mentions elsewhere: {taken} of {}", elsewhere.len()));
        context.mentions = Some(text.trim_end().to_owned());
    }
}

/// The beginning of a text in whole lines, within so many tokens; whether something was left out.
fn clipped(text: &str, tokens_max: usize, count: &dyn Fn(&str) -> usize) -> (String, bool) {
    if count(text) <= tokens_max {
        return (text.to_owned(), false);
    }
    let lines: Vec<&str> = text.lines().collect();
    let (mut low, mut high) = (0, lines.len());
    while low < high {
        let middle = (low + high).div_ceil(2);
        if count(&lines[..middle].join("\n")) <= tokens_max { low = middle } else { high = middle - 1 }
    }
    (lines[..low].join("\n"), true)
}

/// What stands for a file's content.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The turns that open the task.
///
/// # Errors
/// A prompt file that names an unknown variable.
pub(super) fn messages(prompts: &Prompts, prompt: &str, context: &Context) -> Result<Vec<Message>, PromptError> {
    let files: Vec<ProjectFile<'_>> = context
        .files
        .iter()
        .map(|file| ProjectFile {
            path: &file.path,
            language: language(&file.path),
            content: &file.content,
            fence: &file.fence,
            part: file.part.as_deref(),
        })
        .collect();
    let given = ProjectContext {
        prompt,
        map: context.map.as_deref(),
        instructions: context.rules.as_deref(),
        files: &files,
        mentions: context.mentions.as_deref(),
        failure: context.failure.as_deref(),
        check: context.check.as_deref(),
        question: context.question,
        whole: context.whole,
        long: context.long,
    };
    conversation::project(prompts, given)
}

/// The fence tag of a file; its bare extension where the language is unknown.
fn language(path: &str) -> &str {
    let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    let known = extension.and_then(Language::from_extension).map(Language::fence_tag);
    known.or(extension).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo_map::{RepoMap, estimate};

    fn worth(path: &str, points: u32, lines: &[u32]) -> Worth {
        let is_test = crate::verify::decides_about_tests(path);
        let lines = lines.iter().copied().collect();
        Worth { path: path.into(), points, why: "named in the task", named: true, lines, is_test }
    }

    fn fitted(traits: &Traits, context_tokens_max: u32, files: &[(&str, String)], worths: Vec<Worth>) -> Context {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            std::fs::write(root.path().join(path), text).unwrap();
        }
        let tree = Tree::open(root.path()).unwrap();
        let map = RepoMap { text: "a.py:\n".into(), tokens: 2, ..RepoMap::default() };
        let rules = vec![("AGENTS.md".into(), "Use tabs.\n".repeat(2000))];
        let gathered = Gathered { files: worths, map, rules, ..Gathered::default() };
        let shown = BTreeMap::new();
        let frame = Frame { traits, context_tokens_max, count: &estimate, shown: &shown, first: true };
        fit(&gathered, &tree, "it fails", Some("pytest"), &frame)
    }

    #[test]
    fn what_has_no_room_is_shown_in_part_or_left_out_and_said() {
        let long: String = (1..=2000).map(|n| format!("line_{n} = {n}\n")).collect();
        let files = [("a.py", "x = 1\n".to_owned()), ("b.py", long)];
        let traits = Traits::default();
        let context = fitted(&traits, 4096, &files, vec![worth("a.py", 900, &[]), worth("b.py", 500, &[1000])]);
        assert!(context.long && !context.whole);
        let of = |at: usize| (context.files[at].path.as_str(), context.files[at].part.as_deref());
        assert_eq!(of(0), ("a.py", None));
        assert_eq!(of(1), ("b.py", Some("lines 975-1024 of 2000")));
        assert!(context.rules.as_ref().unwrap().ends_with("(cut here)"));
        assert!(
            context.report.iter().any(|line| line.starts_with("AGENTS.md") && line.ends_with("cut")),
            "{:?}",
            context.report
        );
        let tokens: usize = context.files.iter().map(|file| estimate(&file.content)).sum();
        assert!(tokens <= traits.shares.files.tokens(4096));
    }

    #[test]
    fn a_function_that_matters_is_shown_to_its_end_and_a_named_file_as_far_as_there_is_room() {
        let body: String = (1..=60).map(|n| format!("    x{n} = {n}\n")).collect();
        let rest: String = (1..=1000).map(|n| format!("y{n} = {n}\n")).collect();
        let text = format!("{rest}\n\ndef big():\n{body}    return 1\n");
        let of = |lines: &[u32]| {
            let context =
                fitted(&Traits::default(), 8192, &[("big.py", text.clone())], vec![worth("big.py", 900, lines)]);
            context.files[0].content.clone()
        };
        assert!(of(&[1003]).contains("def big():") && of(&[1003]).ends_with("    return 1"));
        assert!(of(&[]).lines().count() > 100, "{}", of(&[]).lines().count());
    }

    #[test]
    fn the_tiny_model_gets_one_file_that_it_may_change_and_the_failure() {
        let files = [("a.py", "x = 1\n".to_owned()), ("test_a.py", "import a\n".to_owned())];
        let tiny = crate::model_store::registry::Registry::built_in().entries["z1-nano"].traits(Traits::default());
        let context = fitted(&tiny, 1024, &files, vec![worth("test_a.py", 600, &[]), worth("a.py", 400, &[])]);
        assert_eq!(context.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a.py"]);
        assert!(context.map.is_none() && context.rules.is_none() && context.failure.is_some());
        let turns = messages(&Prompts::load(tiny.prompts, None).unwrap(), "Fix it.", &context).unwrap();
        assert_eq!(turns[0].content, "Fix it.\na.py\n```python\nx = 1\n```\nError:\nit fails");
    }

    #[test]
    fn a_small_project_is_shown_whole_its_tests_last() {
        let files = [
            ("b.py", "def b(): pass\n".to_owned()),
            ("test_b.py", "import b\n".to_owned()),
            ("z.py", "def z(): pass\n".to_owned()),
            ("Cargo.lock", "[[package]]\n".to_owned()),
        ];
        let context = fitted(&Traits::default(), 8192, &files, vec![worth("b.py", 900, &[])]);
        let paths: Vec<&str> = context.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["z.py", "b.py", "test_b.py"]);
        assert!(context.whole && !context.long && context.map.is_none(), "{:?}", context.report);
    }

    #[test]
    fn texts_are_clipped_at_line_ends() {
        let (text, cut) = clipped("one\ntwo\nthree\n", 2, &|text: &str| text.lines().count());
        assert_eq!((text.as_str(), cut), ("one\ntwo", true));
        assert_eq!(clipped("one", 2, &|text: &str| text.lines().count()), ("one".to_owned(), false));
    }
}
