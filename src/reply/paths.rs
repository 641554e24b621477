//! Which file a block of a reply is about: reading a path off a heading, an info string or a comment, and
//! finding the project's file that is meant.
//!
//! Not for: deciding whether a path may be written (`workspace::guard` does that, for every path).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

/// The files that the project has, as far as the reader of a reply needs to know them.
#[derive(Clone, Debug, Default)]
pub struct Known {
    paths: BTreeSet<String>,
    by_name: BTreeMap<String, Vec<String>>,
}

impl Known {
    pub fn new(paths: impl IntoIterator<Item = String>) -> Self {
        let paths: BTreeSet<String> = paths.into_iter().collect();
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in &paths {
            by_name.entry(file_name(path).to_lowercase()).or_default().push(path.clone());
        }
        Self { paths, by_name }
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

    /// The one file whose trailing components are `path`'s, or that `path` names with extra leading
    /// components (`myproject/src/a.py` for `src/a.py`).
    fn closest(&self, path: &str) -> Option<String> {
        let same_name = self.by_name.get(&file_name(path).to_lowercase())?;
        let wanted = path.to_lowercase();
        let mut hits = same_name.iter().filter(|known| {
            let known = known.to_lowercase();
            known == wanted || known.ends_with(&format!("/{wanted}")) || wanted.ends_with(&format!("/{known}"))
        });
        match (hits.next(), hits.next()) {
            (Some(hit), None) => Some(hit.clone()),
            _ => None,
        }
    }

    /// The one file of this name, in whatever folder.
    fn by_name_only(&self, path: &str) -> Option<String> {
        match self.by_name.get(&file_name(path).to_lowercase()).map(Vec::as_slice) {
            Some([only]) => Some(only.clone()),
            _ => None,
        }
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
/// A path that exists is itself. Otherwise a placeholder is resolved by its file name, and a path that
/// differs only by leading folders or by case is taken for the one file that fits.
pub fn meant(written: &str, known: &Known) -> Meant {
    let path = tidy(written);
    if known.contains(&path) {
        return Meant::Exact(path);
    }
    let loosely = |hit: String| Meant::Loosely { path: hit, written: path.clone() };
    if is_placeholder(&path) {
        return known.by_name_only(&path).map_or_else(|| Meant::Placeholder(path.clone()), loosely);
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

fn is_placeholder(path: &str) -> bool {
    let lower = path.to_lowercase();
    ["path/to/", "/path/to/", "your/path/", "your_project/", "your-project/", "path_to/", "some/path/", "project_root/"]
        .iter()
        .any(|prefix| lower.starts_with(prefix))
        || lower.contains("/path/to/")
        || matches!(lower.as_str(), "filename.ext" | "file.ext" | "filename" | "path" | "file" | "path/to/file")
}

/// The extension, in lower case; empty where there is none.
pub fn extension(path: &str) -> String {
    file_name(path).rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_lowercase())
}

/// The last component.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A path read off a line of prose or a heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub path: String,
    /// The line is the path and a label at most. (Otherwise the path was only mentioned in a sentence.)
    pub bare: bool,
}

static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^(?:(?:the\s+)?(?:new|updated?|modified|complete|full|final|fixed|corrected|create|created|modify|edit|edited|add|save\s+as|in|for)\s+)*(?:file\s*name|file\s*path|path|file|filename|source)?\s*[:=\-–—]?\s+",
    )
    .expect("invariant: the label pattern is valid")
});
static BULLET: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*(?:[-*+>]\s+|\d{1,3}[.)]\s+)*").expect("invariant: the bullet pattern is valid"));
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"`([^`\n]+)`|\*\*([^*\n]+)\*\*").expect("invariant: the quote pattern is valid"));
static COMMENT_HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^\s*(?:#|//|--|;+|/\*+|<!--|%|\{/\*)\s*(?:(?:file\s*name|file\s*path|file|path|filename)\s*[:=]\s*)?(\S+?)\s*(?:\*/\}?|-->)?\s*$",
    )
    .expect("invariant: the comment pattern is valid")
});

/// A single word before a path that makes the line a heading all the same: "Updated `src/app.py`:".
const HEADING_VERBS: &[&str] =
    &["updated", "update", "modified", "modify", "new", "create", "created", "edit", "edited", "changed", "in"];

/// Reads the path off a line that stands above a block.
pub fn head_path(line: &str, known: &Known) -> Option<Head> {
    let text = BULLET.replace(line, "").into_owned();
    let text = BULLET.replace(text.trim().trim_start_matches('#'), "").into_owned();
    let text = text.trim();
    let plain = text.replace(['*', '`'], "");
    let plain = plain.trim();
    if let Some(path) = bare_path(plain, known) {
        return Some(Head { path, bare: true });
    }
    if let Some(found) = LABEL.find(&format!("{plain} ")).filter(|found| found.end() > 1) {
        let rest = plain.get(found.end()..).unwrap_or("");
        if let Some(path) = bare_path(rest, known) {
            return Some(Head { path, bare: true });
        }
    }
    if let Some((verb, rest)) = plain.split_once(' ')
        && HEADING_VERBS.contains(&verb.to_ascii_lowercase().as_str())
        && let Some(path) = bare_path(rest.trim_end_matches(':'), known)
    {
        return Some(Head { path, bare: true });
    }
    if let Some((label, rest)) = plain.split_once(": ")
        && label.len() <= 24
        && let Some(path) = bare_path(rest, known)
    {
        return Some(Head { path, bare: true });
    }
    mentioned(text, known).map(|path| Head { path, bare: false })
}

/// The whole of `text` as a path, with a remark in brackets or a colon at its end tolerated.
fn bare_path(text: &str, known: &Known) -> Option<String> {
    let mut text = text.trim().trim_end_matches([':', ',']).trim();
    if let Some((path, remark)) = text.split_once(" (")
        && remark.ends_with(')')
    {
        text = path.trim();
    }
    let text = text.trim_matches(['"', '\'']);
    (known.contains(text) || is_path_like(text)).then(|| text.to_owned())
}

/// The one path that a sentence mentions: in quotes, or a file that exists.
fn mentioned(text: &str, known: &Known) -> Option<String> {
    let mut found = BTreeSet::new();
    for capture in QUOTED.captures_iter(text) {
        let inner = capture.get(1).or_else(|| capture.get(2)).map_or("", |m| m.as_str());
        let inner = inner.trim_matches(['`', '*', ' ', ':']);
        if known.contains(inner) || is_path_like(inner) {
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
    for token in info.split_whitespace() {
        let token = token.trim_matches(['{', '}', '(', ')', ',', '"', '\'']);
        let value = token.split_once('=').map_or(token, |(_, value)| value).trim_matches(['"', '\'']);
        let value = match value.split_once(':') {
            Some((tag, path)) if !path.is_empty() && !tag.contains(['/', '.']) => path,
            _ => value,
        };
        if known.contains(value) || is_path_like(value) {
            return Some(value.to_owned());
        }
    }
    None
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

/// Whether one word could be a relative path to a file.
pub fn is_path_like(text: &str) -> bool {
    if text.is_empty() || text.len() > 200 || text.contains(char::is_whitespace) || text.contains("://") {
        return false;
    }
    if text.contains(['<', '>', '"', '|', '?', '*', ';', '`', '{', '}', ',']) || text.ends_with(['/', '.', '(', ')']) {
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
        ] {
            let head = head_path(line, &known());
            assert_eq!(head, Some(Head { path: "src/app.py".into(), bare: true }), "{line}");
        }
        let mention = head_path("Here is the corrected version of `src/app.py` that you wanted:", &known());
        assert_eq!(mention, Some(Head { path: "src/app.py".into(), bare: false }));
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
        assert_eq!(info_path("python", &known()), None);
        for line in ["# src/app.py", "// src/app.py", "# File: src/app.py", "<!-- src/app.py -->", "/* src/app.py */"] {
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
        assert_eq!(meant("./src/app.py", &known()), Meant::Exact("src/app.py".into()));
        assert_eq!(meant("path/to/new.py", &known()), Meant::Placeholder("path/to/new.py".into()));
        // Two files of that name: nobody is guessed.
        assert_eq!(meant("util.py", &known()), Meant::Exact("util.py".into()));
    }
}
