//! Which file a block of a reply is about: reading a path off a heading, an info string or a comment, and
//! finding the project's file that is meant.
//!
//! Not for: deciding whether a path may be written (`workspace::guard` does that, for every path).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::only;

/// The files that the project has, as far as the reader of a reply needs to know them.
#[derive(Clone, Debug, Default)]
pub struct Known {
    paths: BTreeSet<String>,
    by_name: BTreeMap<String, Vec<String>>,
    /// Files that are to be made, and where: the task names them, or code imports from them.
    wanted: BTreeSet<String>,
}

impl Known {
    pub fn new(paths: impl IntoIterator<Item = String>) -> Self {
        let paths: BTreeSet<String> = paths.into_iter().collect();
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in &paths {
            by_name.entry(file_name(path).to_lowercase()).or_default().push(path.clone());
        }
        Self { paths, by_name, wanted: BTreeSet::new() }
    }

    /// The same, and these files are known to be wanted though they are not there.
    #[must_use]
    pub fn wanting(mut self, files: impl IntoIterator<Item = String>) -> Self {
        self.wanted.extend(files.into_iter().filter(|file| !self.paths.contains(file)));
        self
    }

    /// Files that are not there and that a new one may be.
    pub fn wanted(&self) -> &BTreeSet<String> {
        &self.wanted
    }

    pub fn contains(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// The project's only file, where it has exactly one.
    pub fn only(&self) -> Option<&str> {
        if self.paths.len() == 1 { self.paths.first().map(String::as_str) } else { None }
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// Whether the project has a file somewhere below this folder.
    pub fn has_folder(&self, folder: &str) -> bool {
        let inside = format!("{folder}/");
        self.paths.range(inside.clone()..).next().is_some_and(|path| path.starts_with(&inside))
    }

    /// Whether the folder that a path names is there; a bare name names none.
    pub fn has_folder_of(&self, path: &str) -> bool {
        path.rsplit_once('/').is_some_and(|(folder, _)| self.has_folder(folder))
    }

    /// Whether a file of this path is there, whatever its extension.
    pub fn has_stem(&self, without_extension: &str) -> bool {
        let from = self.paths.range(without_extension.to_owned()..);
        from.take_while(|path| path.starts_with(without_extension)).any(|path| stem(path) == without_extension)
    }

    /// The one file whose trailing components are `path`'s, or that `path` names with extra leading
    /// components (`myproject/src/a.py` for `src/a.py`).
    pub fn closest(&self, path: &str) -> Option<String> {
        let same_name = self.by_name.get(&file_name(path).to_lowercase())?;
        let wanted = path.to_lowercase();
        let hits = same_name.iter().filter(|known| {
            let known = known.to_lowercase();
            known == wanted || known.ends_with(&format!("/{wanted}")) || wanted.ends_with(&format!("/{known}"))
        });
        only(hits).cloned()
    }

    /// The files of this name, in whatever folder.
    pub fn namesakes(&self, path: &str) -> &[String] {
        self.by_name.get(&file_name(path).to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The one file of this name, in whatever folder.
    pub fn by_name_only(&self, path: &str) -> Option<String> {
        if let [only] = self.namesakes(path) { Some(only.clone()) } else { None }
    }
}

/// What a path in a reply stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// This path, as written (it may or may not exist).
    Exact(String),
    /// An existing file that was named loosely.
    Loosely { path: String, written: String },
    /// A made-up path (`path/to/file.py`) that stands for no file of the project.
    Placeholder(String),
}

/// Finds out which file `written` means.
///
/// A path that exists is itself. One that does not may be another file's in what an edit of existing text says: with
/// other leading folders, or in another case; never where its own folder exists, for then it may be a new file's.
pub fn meant(written: &str, known: &Known) -> Meant {
    let path = tidy(written);
    if known.contains(&path) {
        return Meant::Exact(path);
    }
    let loosely = |hit: String| Meant::Loosely { path: hit, written: path.clone() };
    if is_placeholder(&path) {
        return known.by_name_only(&path).map_or_else(|| Meant::Placeholder(path.clone()), loosely);
    }
    if known.has_folder_of(&path) {
        return Meant::Exact(path);
    }
    known.closest(&path).map_or_else(|| Meant::Exact(path.clone()), loosely)
}

/// Drops what people and models put around a path: quotes, `./`, back slashes for slashes.
fn tidy(written: &str) -> String {
    let mut path = written.trim().trim_matches(['"', '\'', '`', '<', '>']).trim().to_owned();
    if path.contains('\\') && !path.contains('/') {
        path = path.replace('\\', "/");
    }
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.to_owned();
    }
    path
}

/// Whether a path is an example's rather than a file's.
pub fn is_placeholder(path: &str) -> bool {
    let lower = path.to_lowercase();
    [
        "path/to/",
        "/path/to/",
        "your/path/",
        "your_project/",
        "your-project/",
        "path_to/",
        "some/path/",
        "project_root/",
        "my_project/",
        "path/to/your/",
    ]
    .iter()
    .any(|prefix| lower.starts_with(prefix))
        || lower.contains("/path/to/")
        || lower
            .split('/')
            .next_back()
            .is_some_and(|name| name.starts_with("your_file.") || name.starts_with("filename."))
        || lower.starts_with("src/example.")
        || matches!(lower.as_str(), "file.ext" | "filename" | "path" | "file" | "path/to/file")
}

/// Whether a file is prose, in which a row of `=` underlines a heading and fences are shown.
pub fn is_prose(path: &str) -> bool {
    matches!(extension(path).as_str(), "md" | "mdx" | "markdown" | "rst" | "txt" | "adoc" | "")
}

/// The extension, in lower case; empty where there is none.
pub fn extension(path: &str) -> String {
    file_name(path).rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_lowercase())
}

/// A path without its extension.
pub fn stem(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(stem, _)| stem)
}

/// Whether a file declares in C or C++ what another one defines.
pub fn is_header(path: &str) -> bool {
    matches!(extension(path).as_str(), "h" | "hpp" | "hh" | "hxx" | "h++")
}

/// The last component.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A path read off a line of prose or a heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub path: String,
    pub strength: Strength,
}

/// What a line says about the block below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// The line is the path and a label at most: the block is the file.
    Bare,
    /// The path is mentioned in a sentence: the block may be a part of the file.
    Mention,
    /// The sentence says that the block shows output, use or an example.
    Shown,
}

impl Head {
    pub fn bare(path: String) -> Self {
        Self { path, strength: Strength::Bare }
    }
}

static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^(?:(?:the\s+)?(?:new|updated?|modified|complete|full|final|fixed|corrected|create|created|save\s+as|write)\s+)*(?:file\s*name|file\s*path|path|file|filename|source)?\s*[:=\-–—]?\s+",
    )
    .expect("invariant: the label pattern is valid")
});
static SHOWS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(?:outputs?|prints?|printed|results?|returns?|run|runs|running|execute[sd]?|executing|usage|uses?|using|examples?|e\.g\.|for instance|looks? like|currently|errors?|traceback|logs?|invoke|call it|call this|read|see|test it|before|original(?:ly)?|old|install|command|import it)\b",
    )
    .expect("invariant: the pattern of illustrations is valid")
});
/// Sentences that say what is to become of a file.
static MENDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:updat(?:e[ds]?|ing)|chang(?:e|ed|ing)|modif(?:y|ied|ying)|fix(?:e[ds]|ing)?|replac(?:e|ing)|correct(?:ed|ing)?|edit(?:ed)?|should|rewrit(?:e|ten)|instead|add(?:s|ed)?)\b")
        .expect("invariant: the pattern of mending is valid")
});
/// Sentences about how it was before.
static WAS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:before|originally|currently|was|were|(?:the|this is|your) (?:original|old|current) (?:code|file|version|content)\b(?:[^.]*\bis\b)?)")
        .expect("invariant: the pattern of the past is valid")
});
/// What opens a heading that names a whole file in a few words: "First, `a.py`:", "Here's the updated `a.py`:".
static LEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^(?:(?:first(?:ly)?|second(?:ly)?|third(?:ly)?|then|next|now|and|also|finally|lastly),?\s+|(?:(?:here(?:'s|’s|\s+is)|this\s+is)\s+)?the\s+(?:new|updated?|modified|complete|full|whole|final|fixed|corrected)\s+(?:(?:version|content|contents|code)\s+(?:of|for)\s+)?(?:file\s+)?)",
    )
    .expect("invariant: the pattern of leads is valid")
});
/// A heading's path with what is said of it: "`a.py` - the parser".
static REMARK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(\S+)\s+(?:-{1,2}|–|—)\s+\S").expect("invariant: the remark pattern is valid"));
/// Words of a remark that speak of a part of the file.
static CHANGES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:add|insert|append|change|replace|remove|delete|lines?|functions?|methods?|snippets?|part|section|imports?|after|below)\b")
        .expect("invariant: the pattern of changes is valid")
});
static LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\[([^\]\s]+)\]\(([^)\s]+)\)$").expect("invariant: the link pattern is valid"));
static TAGGED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^<(path|file_path|filepath|filename|file|target_file|summary)>\s*([^<>]+?)\s*</(path|file_path|filepath|filename|file|target_file|summary)>$")
        .expect("invariant: the tag pattern is valid")
});
static BULLET: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*(?:[-*+>]\s+|\d{1,3}[.)]\s+)*").expect("invariant: the bullet pattern is valid"));
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"`([^`\n]+)`|\*\*([^*\n]+)\*\*").expect("invariant: the quote pattern is valid"));
static COMMENT_HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^\s*(?:#|//|--|;+|/\*+|<!--|%|\{/\*)\s*(?:(?:file\s*name|file\s*path|file|path|filename)\s*[:=]\s*)?(\S+?)\s*(?:\((?:new|updated?|modified|complete|full|fixed)[^()]*\)\s*)?(?:\*/\}?|-->)?\s*$",
    )
    .expect("invariant: the comment pattern is valid")
});

/// A single word before a path that makes the line a heading all the same: "Updated `src/app.py`:".
const HEADING_VERBS: &[&str] =
    &["updated", "update", "modified", "new", "create", "created", "edited", "changed", "write", "file"];

/// Reads the path off a line that stands above a block.
pub fn head_path(line: &str, known: &Known) -> Option<Head> {
    let text = BULLET.replace(line, "").into_owned();
    let text = BULLET.replace(text.trim().trim_start_matches('#'), "").into_owned();
    let text = text.trim();
    let whole = text.trim_end_matches([':', ',']).trim();
    let quoted = whole.len() > 2
        && [("`", "`"), ("**", "**"), ("**`", "`**"), ("\"", "\"")].iter().any(|(open, close)| {
            let inner = whole.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
            inner.is_some_and(|inner| !inner.contains(['`', '*']))
        });
    let plain = text.replace(['*', '`'], "");
    let plain = plain.trim_start_matches(|c: char| !c.is_ascii() && !c.is_alphanumeric()).trim();
    // "**1. src/a.py**"
    let plain = &*BULLET.replace(plain, "");
    if let Some(tagged) = TAGGED.captures(plain).and_then(|found| found.get(2)) {
        return bare_path(tagged.as_str(), known).map(Head::bare);
    }
    if let Some(link) = LINK.captures(plain.trim_end_matches(':')) {
        return link.iter().skip(1).flatten().find_map(|part| bare_path(part.as_str(), known)).map(Head::bare);
    }
    if let Some(path) = bare_path(plain, known) {
        return Some(Head::bare(path));
    }
    if let Some(path) = LEAD.find(plain).and_then(|lead| bare_path(&plain[lead.end()..], known)) {
        return Some(Head::bare(path));
    }
    if let Some(path) = REMARK.captures(plain).and_then(|found| bare_path(found.get(1)?.as_str(), known)) {
        let remark = &plain[path.len().min(plain.len())..];
        let strength = match (shows(remark), CHANGES.is_match(remark)) {
            (true, _) => Strength::Shown,
            (false, true) => Strength::Mention,
            (false, false) => Strength::Bare,
        };
        return Some(Head { path, strength });
    }
    if let Some(found) = LABEL.find(&format!("{plain} ")).filter(|found| found.end() > 1) {
        let rest = plain.get(found.end()..).unwrap_or("");
        if let Some(path) = bare_path(rest, known) {
            return Some(Head::bare(path));
        }
    }
    if let Some((verb, rest)) = plain.split_once(' ')
        && HEADING_VERBS.contains(&verb.to_ascii_lowercase().as_str())
        && let Some(path) = bare_path(rest.trim_end_matches(':'), known)
    {
        return Some(Head::bare(path));
    }
    if let Some((label, rest)) = plain.split_once(": ")
        && label.len() <= 24
        && !SHOWS.is_match(label)
        && let Some(path) = bare_path(rest, known)
    {
        return Some(Head::bare(path));
    }
    let name = plain.trim_end_matches([':', ',']).trim();
    // "`bash tests/run.sh`" over a block: what it prints.
    if let Some(path) = run_path(name, known).filter(|_| quoted || name.starts_with("$ ")) {
        return Some(Head { path, strength: Strength::Shown });
    }
    if is_spaced_path(name, known) || (quoted && is_quoted_name(name)) {
        return Some(Head::bare(name.to_owned()));
    }
    let path = mentioned(text, known)?;
    let strength = if shows(&text.replace(&path, " ")) { Strength::Shown } else { Strength::Mention };
    Some(Head { path, strength })
}

/// Whether a line says that what follows is shown rather than meant: "the output of `a.py`", but not "to fix the error, update
/// `a.py` to use this".
pub(super) fn shows(line: &str) -> bool {
    SHOWS.is_match(line) && (WAS.is_match(line) || !MENDS.is_match(line))
}

/// The whole of `text` as a path, with a remark in brackets or a colon at its end tolerated.
fn bare_path(text: &str, known: &Known) -> Option<String> {
    let mut text = text.trim().trim_end_matches([':', ',']).trim();
    if let Some((path, remark)) = text.split_once(" (")
        && remark.ends_with(')')
    {
        text = path.trim();
    }
    let text = text.trim_matches(['"', '\'', '“', '”', '‘', '’', '«', '»']);
    // "[src/a.py]", "--- src/a.py ---"
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let text = text.strip_prefix("--- ").and_then(|rest| rest.strip_suffix(" ---")).map_or(text, str::trim);
    (known.contains(text) || is_path_like(text) || is_folder_path(text)).then(|| text.to_owned())
}

/// A path without an extension: folders and a name, no word of a sentence.
fn is_folder_path(text: &str) -> bool {
    let part = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_alphanumeric() || "._-+@[]()~".contains(c))
            && name.chars().any(char::is_alphanumeric)
    };
    let pair =
        ["and/or", "n/a", "i/o", "tcp/ip", "client/server", "read/write", "input/output", "yes/no", "true/false"];
    text.len() <= 200
        && text.contains('/')
        && !text.ends_with('.')
        && text.trim_start_matches("./").split('/').all(part)
        && !pair.contains(&text.to_lowercase().as_str())
}

/// A path with blanks in it, told from a sentence that ends with a path.
fn is_spaced_path(text: &str, known: &Known) -> bool {
    const WORDS_MAX: usize = 6;
    let words: Vec<&str> = text.split(' ').collect();
    let Some((folder, _)) = text.split_once('/') else { return false };
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return false };
    let name = file_name(text);
    // "src/app.py and more" begins with a path of its own.
    let begins = text.match_indices(' ').any(|(at, _)| is_path_like(&text[..at]));
    // "Here is the updated src/app.py file" holds a path of its own.
    let holds = || {
        let inner = words[..words.len() - 1].iter().map(|word| word.trim_matches(['[', ']', ',']));
        inner.clone().any(|word| known.contains(word) || (word.contains('/') && is_path_like(word)))
    };
    words.len() > 1
        && words.len() <= WORDS_MAX
        && (known.contains(text) || !(begins || holds()))
        && is_path_like(&name.replace(' ', "_"))
        && text.split('/').all(|part| !part.is_empty() && part.trim() == part)
        && !text.contains([':', '"', '\'', '?', '!', '*', '|', '<', '>'])
        // "Changes to src/app.py" ends with a path of its own.
        && (!last.contains('/') || known.has_folder(folder))
        && !HEADING_VERBS.contains(&first.to_ascii_lowercase().as_str())
        && !SHOWS.is_match(folder)
}

/// The file that a command runs, where a text is one and no file's name.
fn run_path(text: &str, known: &Known) -> Option<String> {
    const RUNS: [&str; 20] = [
        "bash", "sh", "zsh", "python", "python3", "node", "deno", "bun", "ruby", "perl", "php", "pytest", "npm", "npx",
        "cargo", "go", "make", "java", "source", "cat",
    ];
    let text = text.trim_start_matches("$ ");
    let (first, rest) = text.split_once(' ').filter(|_| !known.contains(text))?;
    let path = rest.split_whitespace().find(|word| is_path_like(word) || known.contains(word))?;
    RUNS.contains(&first).then(|| path.trim_start_matches("./").to_owned())
}

/// A name in quotes that stands alone on its line.
fn is_quoted_name(text: &str) -> bool {
    is_path_like(&text.replace(' ', "_")) && !text.contains("  ") && !text.contains(':') && text.split(' ').count() <= 6
}

/// The one path that a sentence mentions: in quotes, or a file that exists.
fn mentioned(text: &str, known: &Known) -> Option<String> {
    let mut found = BTreeSet::new();
    for capture in QUOTED.captures_iter(text) {
        let inner = capture.get(1).or_else(|| capture.get(2)).map_or("", |m| m.as_str());
        let inner = inner.trim_matches(['`', '*', ' ', ':']);
        let spaced = inner.contains('/') && is_quoted_name(inner) && run_path(inner, known).is_none();
        if known.contains(inner) || is_path_like(inner) || spaced {
            found.insert(inner.to_owned());
        }
    }
    if found.is_empty() {
        for word in text.split_whitespace() {
            let word = word.trim_matches(['`', '*', '"', '\'', ',', ';', ':', '(', ')']).trim_end_matches('.');
            if known.contains(word) {
                found.insert(word.to_owned());
            }
        }
    }
    if found.len() == 1 { found.pop_first() } else { None }
}

/// Reads the path out of a fence's info string: `python title="a.py"`, `a.py`, `python:a.py`, `js file=a.js`.
pub fn info_path(info: &str, known: &Known) -> Option<String> {
    for (index, token) in info.split_whitespace().enumerate() {
        let token = token.trim_matches(['{', '}', '(', ')', ',', '"', '\'']);
        let keyed = token.contains('=');
        let value = token.split_once('=').map_or(token, |(_, value)| value).trim_matches(['"', '\'']);
        let (tagged, value) = match value.split_once(':') {
            Some((tag, path)) if !path.is_empty() && !tag.contains(['/', '.']) => (true, path),
            _ => (false, value),
        };
        let media = ["text/", "application/", "image/", "x-"].iter().any(|kind| value.starts_with(kind));
        // A language's tag may be a file's name too: `Dockerfile`, `make`. Alone it is the tag.
        let is_tag = index == 0 && !keyed && !tagged && !value.contains(['/', '.']);
        if is_tag || (index == 0 && media && !known.contains(value)) {
            continue;
        }
        if known.contains(value) || is_path_like(value) || (value.contains('/') && is_folder_path(value)) {
            return Some(value.to_owned());
        }
    }
    // A name with blanks, in quotes: `title="my file.py"`.
    let value = info.split_once('=').map(|(_, value)| value.trim().trim_matches(['"', '\'', '}']))?;
    (value.contains(' ') && (known.contains(value) || is_quoted_name(value)) && !value.contains('='))
        .then(|| value.to_owned())
}

/// Reads the path out of a comment that is a block's first line (`# src/a.py`, `// File: a.js`).
pub fn comment_path(line: &str, known: &Known) -> Option<String> {
    if line.starts_with("#!") {
        return None;
    }
    let path = COMMENT_HEAD.captures(line)?.get(1)?.as_str();
    let tidy_path = tidy(path);
    (known.contains(&tidy_path) || (is_path_like(path) && (path.contains('/') || has_known_extension(path))))
        .then(|| path.to_owned())
}

fn has_known_extension(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| crate::task::Language::from_extension(extension).is_some())
}

/// Files that people name without an extension.
const BARE_NAMES: [&str; 10] = [
    "Makefile",
    "Dockerfile",
    "LICENSE",
    "Procfile",
    "Gemfile",
    "Rakefile",
    "Jenkinsfile",
    "Vagrantfile",
    "README",
    "CODEOWNERS",
];

/// Whether a word without an extension is a file's name all the same.
pub fn is_bare_name(word: &str) -> bool {
    BARE_NAMES.contains(&word)
}

/// Whether one word could be a relative path to a file.
pub fn is_path_like(text: &str) -> bool {
    if text.is_empty() || text.len() > 200 || text.contains(char::is_whitespace) || text.contains("://") {
        return false;
    }
    if text.contains(['<', '>', '"', '|', '?', '*', ';', '`', '{', '}', ',']) || text.ends_with(['/', '.', '(', ')']) {
        return false;
    }
    if text.contains("](") {
        return false;
    }
    let name = file_name(&text.replace('\\', "/")).to_owned();
    if BARE_NAMES.contains(&name.as_str()) {
        return true;
    }
    if matches!(text.to_lowercase().as_str(), "vb.net" | "asp.net" | "e.g" | "i.e" | "node.js" | "vue.js" | "next.js") {
        return false;
    }
    match name.rsplit_once('.') {
        // `.gitignore`, `.env`
        Some(("", rest)) => rest.len() >= 2 && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)),
        Some((_, extension)) => {
            (1..=12).contains(&extension.len())
                && extension.chars().all(|c| c.is_ascii_alphanumeric() || "-_+".contains(c))
                && extension.chars().any(|c| c.is_ascii_alphabetic())
                && !name.contains('(')
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known::new(["src/app.py", "src/util.py", "tests/util.py", "Makefile"].map(str::to_owned))
    }

    #[test]
    fn reads_a_path_off_every_style_of_heading() {
        for line in [
            "src/app.py",
            "src/app.py:",
            "**src/app.py**",
            "`src/app.py`",
            "**`src/app.py`**:",
            "### src/app.py",
            "### `src/app.py`",
            "## File: src/app.py",
            "File: `src/app.py`",
            "**File:** `src/app.py`",
            "**File: src/app.py**",
            "Filename: src/app.py",
            "1. `src/app.py`",
            "- **src/app.py**",
            "src/app.py (new file)",
            "Updated `src/app.py`:",
            "File path: src/app.py",
            "#### 2. src/app.py",
            "### `src/app.py` - the loader",
            "**1. src/app.py**",
            "“src/app.py”",
            "<summary>src/app.py</summary>",
            "[src/app.py](./src/app.py)",
            "<path>src/app.py</path>",
            "📄 **src/app.py**",
            "First, `src/app.py`:",
            "Here's the updated `src/app.py`:",
            "Here is the full code for `src/app.py`:",
            "The final `src/app.py`:",
        ] {
            let head = head_path(line, &known());
            assert_eq!(head, Some(Head::bare("src/app.py".into())), "{line}");
        }
        let mention = head_path("Here is the corrected version of `src/app.py` that you wanted:", &known());
        assert_eq!(mention, Some(Head { path: "src/app.py".into(), strength: Strength::Mention }));
        for (line, strength) in [
            ("In src/app.py:", Strength::Mention),
            ("Add this to `src/app.py`:", Strength::Mention),
            ("Output of `src/app.py`:", Strength::Shown),
            ("1. Read `src/app.py`:", Strength::Shown),
            ("`src/app.py` - usage", Strength::Shown),
            ("`src/app.py` - add this function", Strength::Mention),
            ("Usage: src/app.py", Strength::Shown),
            ("**`python src/app.py`**", Strength::Shown),
            ("$ python3 -m unittest src/app.py", Strength::Shown),
            ("- make `src/app.py` greet:", Strength::Mention),
        ] {
            assert_eq!(head_path(line, &known()).map(|head| head.strength), Some(strength), "{line}");
        }
    }

    #[test]
    fn names_of_every_kind_are_paths() {
        assert_eq!(head_path("`bash`", &known()), None);
        for path in ["bin/tool", "my dir/new file.py", "café/données.txt", "src/[id]/page.tsx", "данные/файл.txt"]
        {
            assert_eq!(head_path(path, &known()), Some(Head::bare(path.into())), "{path}");
        }
        assert_eq!(head_path("`a file.py`", &known()), Some(Head::bare("a file.py".into())));
        for line in ["and/or", "Changes to src/app.py and others", "See the a/b testing guide."] {
            assert_ne!(head_path(line, &known()).map(|h| h.strength), Some(Strength::Bare), "{line}");
        }
    }

    #[test]
    fn prose_is_no_heading() {
        for line in ["Here is the code:", "Use Python 3.11.", "e.g.", "Run `foo.bar()` now:", "", "It prints 3.5"] {
            assert_eq!(head_path(line, &known()), None, "{line}");
        }
    }

    #[test]
    fn reads_info_strings_and_comments() {
        for info in
            ["python title=\"src/app.py\"", "src/app.py", "python:src/app.py", "py src/app.py", "py file=src/app.py"]
        {
            assert_eq!(info_path(info, &known()).as_deref(), Some("src/app.py"), "{info}");
        }
        for info in ["python", "Dockerfile", "Makefile", "text/html"] {
            assert_eq!(info_path(info, &known()), None, "{info}");
        }
        for line in [
            "# src/app.py",
            "// src/app.py",
            "# File: src/app.py",
            "<!-- src/app.py -->",
            "/* src/app.py */",
            "# src/app.py (updated)",
        ] {
            assert_eq!(comment_path(line, &known()).as_deref(), Some("src/app.py"), "{line}");
        }
        assert_eq!(comment_path("#!/usr/bin/env python3.py", &known()), None);
        assert_eq!(comment_path("# compute the sum", &known()), None);
    }

    #[test]
    fn a_loose_path_means_the_one_file_that_fits() {
        let loosely = |written: &str| match meant(written, &known()) {
            Meant::Loosely { path, .. } => path,
            other => format!("{other:?}"),
        };
        assert_eq!(loosely("path/to/app.py"), "src/app.py");
        assert_eq!(loosely("app.py"), "src/app.py");
        assert_eq!(loosely("myproject/src/app.py"), "src/app.py");
        assert_eq!(loosely("makefile"), "Makefile");
        assert_eq!(meant("tests/app.py", &known()), Meant::Exact("tests/app.py".into()), "its folder exists");
        assert_eq!(meant("./src/app.py", &known()), Meant::Exact("src/app.py".into()));
        assert_eq!(meant("path/to/new.py", &known()), Meant::Placeholder("path/to/new.py".into()));
        // Two files of that name: nobody is guessed.
        assert_eq!(meant("util.py", &known()), Meant::Exact("util.py".into()));
    }
}
