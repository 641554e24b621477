//! What a task's words say about the project: files named, identifiers, whether it is a question. Pure.
//!
//! Not for: looking at the project (that is `gather.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::agent::checks::compile;
use crate::reply::paths;

/// What a text names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// Files of the project, in the order in which they were named; those with `@` first.
    pub(super) files: Vec<String>,
    /// Words that look like names in code.
    pub(super) identifiers: Vec<String>,
    /// Every word that might be one.
    pub(super) words: BTreeSet<String>,
    /// `@names` that no file of the project fits.
    pub(super) unknown: Vec<String>,
}

/// The files of a project by their name without folders.
pub(super) struct Names<'a> {
    paths: BTreeSet<&'a str>,
    by_name: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(paths: &'a [String]) -> Self {
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for path in paths {
            by_name.entry(path.rsplit('/').next().unwrap_or(path)).or_default().push(path);
        }
        Self { paths: paths.iter().map(String::as_str).collect(), by_name }
    }

    /// The one file that a word means: its path, or the end of exactly one path.
    pub(super) fn file(&self, word: &str) -> Option<&'a str> {
        let word = word.trim_start_matches("./").trim_matches('/');
        if let Some(path) = self.paths.get(word) {
            return Some(path);
        }
        let same = self.by_name.get(word.rsplit('/').next()?)?;
        let mut fitting = same.iter().filter(|path| **path == word || path.ends_with(&format!("/{word}")));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }
}

/// Reads a task's words against the project's files.
pub(super) fn named(text: &str, names: &Names<'_>) -> Named {
    static PATH: LazyLock<Regex> = LazyLock::new(|| compile(r"@?[\w./-]*\w"));
    static IDENTIFIER: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"`([A-Za-z_][\w.:]*)[()]*`|\b([A-Za-z_]\w*_\w+|[a-z]+[A-Z]\w*|[A-Z][a-z0-9]+[A-Z]\w*)\b|\b([A-Za-z_]\w*)\(",
        )
    });
    static WORD: LazyLock<Regex> = LazyLock::new(|| compile(r"[A-Za-z_]\w{2,}"));
    let mut found = Named::default();
    let mut others = Vec::new();
    for word in PATH.find_iter(text).map(|found| found.as_str()) {
        let marked = word.strip_prefix('@');
        match (names.file(marked.unwrap_or(word)), marked) {
            (Some(path), Some(_)) => found.files.push(path.to_owned()),
            (Some(path), None) if word.contains(['.', '/']) || paths::is_bare_name(word) => {
                others.push(path.to_owned());
            }
            (None, Some(marked)) => found.unknown.push(marked.to_owned()),
            _ => {}
        }
    }
    found.files.extend(others);
    let mut seen = BTreeSet::new();
    found.files.retain(|path| seen.insert(path.clone()));
    for groups in IDENTIFIER.captures_iter(text) {
        let name = groups.iter().skip(1).flatten().next().map_or("", |group| group.as_str());
        let last = name.rsplit(['.', ':']).next().unwrap_or(name);
        if last.len() > 1 && !found.identifiers.iter().any(|known| known == last) && names.file(name).is_none() {
            found.identifiers.push(last.to_owned());
        }
    }
    found.words = WORD.find_iter(text).map(|found| found.as_str().to_owned()).collect();
    found
}

/// The files that a task asks to change, in its order: a clause that names one says what is to be done there, and nothing
/// against it. `file` is the file that a word means. What is only read there ("to read config.json", "as README.md says",
/// "when data.csv is missing") is none of them.
pub(super) fn asked_to_change<'a>(prompt: &str, file: impl Fn(&str) -> Option<&'a str>) -> Vec<&'a str> {
    static CLAUSE: LazyLock<Regex> = LazyLock::new(|| compile(r"[;!?\n]|[.,:](?:\s|$)|\b(?:and|but)\b"));
    static WANTED: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)\b(add|declare|change|update|edit|document|export|register|write|put|move|mend|fix|extend|implement|rename|remove|delete|replace|correct|describe|mention|(?:use|call) (?:it|them|this|that))\b",
        )
    });
    const READ: [&str; 29] = [
        "after",
        "against",
        "as",
        "because",
        "before",
        "by",
        "following",
        "for",
        "if",
        "import",
        "imports",
        "load",
        "loads",
        "match",
        "open",
        "parse",
        "parses",
        "per",
        "read",
        "reading",
        "reads",
        "than",
        "unless",
        "use",
        "using",
        "via",
        "when",
        "where",
        "with",
    ];
    const PLACE: [&str; 8] = ["in", "to", "into", "of", "and", "inside", "within", "both"];
    static NOT: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)\b(not|never|don't|dont|leave|leaves|unchanged|without|stay|stays|keep|keeps|alone|no|untouched|like|as in|from|see)\b",
        )
    });
    let plain = |word: &'_ str| word.trim_matches(|c: char| "`'\"()[],.@".contains(c)).to_owned();
    let (mut found, mut goes_on): (Vec<&str>, bool) = (Vec::new(), false);
    for clause in CLAUSE.split(prompt) {
        let words: Vec<String> = clause.split_whitespace().map(plain).collect();
        // "a.py, b.py and c.py": the verb stands before the first.
        let list = goes_on && !words.is_empty() && words.iter().all(|word| file(word).is_some());
        let wanted = list || (WANTED.is_match(clause) && !NOT.is_match(clause));
        let mut first = true;
        for (at, word) in words.iter().enumerate().filter(|_| wanted) {
            let Some(path) = file(word) else { continue };
            let above = at.checked_sub(1).map_or(String::new(), |above| words[above].to_lowercase());
            let meant =
                !READ.contains(&above.as_str()) && (first || PLACE.contains(&above.as_str()) || file(&above).is_some());
            first = false;
            if meant && !found.contains(&path) {
                found.push(path);
            }
        }
        goes_on = wanted && words.last().is_some_and(|word| file(word).is_some());
    }
    found
}

/// Whether all that is wanted is that the tests pass: who names a file, a function or a behaviour wants that, whatever the
/// tests say.
pub(super) fn is_about_tests(prompt: &str) -> bool {
    static WISH: LazyLock<Regex> = LazyLock::new(|| {
        const TESTS: &str = r"(?:(?:unit |whole |entire |full )?(?:tests?|checks?|build|ci|suite|test suite))";
        const AGAIN: &str = r"[.,;!]?\s*(?:please\s*)?(?:(?:fix|mend|repair) (?:it|them|that|this)|again|now|please)?";
        compile(&format!(
            concat!(
                r"(?i)^\W*(?:please\s+|(?:can|could|would) you\s+(?:please\s+)?)?(?:",
                r"(?:make|get|let|have|bring)\s[a-z ,']{{0,40}}\b{tests}\b[a-z ]{{0,15}}\b(?:pass(?:es)?|green|succeed|work|run)\b[a-z ]{{0,15}}",
                r"|(?:fix|mend|repair)\s+(?:the |all |these |my |our )*(?:failing |broken |red )?{tests}(?: that fails?| failures?)?",
                r"|(?:the |my |our |some |all )*{tests} (?:is |are )?(?:failing|fails?|broken|red)",
                r"){again}\W*$"
            ),
            tests = TESTS,
            again = AGAIN
        ))
    });
    WISH.is_match(prompt.trim())
}

/// Whether a task speaks of tests that fail, in whatever words: what still fails after the change is its failure then.
pub(super) fn speaks_of_tests(prompt: &str) -> bool {
    static TESTS: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)\b(?:tests?|tested|testing|checks?|builds?|ci)\b"));
    static STATE: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)\b(?:pass(?:es|ed|ing)?|green|fail(?:s|ed|ing|ures?)?|fix(?:es|ed|ing)?|broken|mend|repair)\b")
    });
    TESTS.is_match(prompt) && STATE.is_match(prompt)
}

/// Whether tests are to be written, and not only to pass.
pub(super) fn wants_tests(prompt: &str) -> bool {
    static WANTED: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)\b(?:add|write|extend|update|create|include|cover|with)\b(?:[^.;:\n]|\.\w){0,60}\b(?:unit ?)?tests?\b",
        )
    });
    WANTED.is_match(prompt)
}

/// Whether a task that names one file wants more than that file changed.
pub(super) fn reaches_further(prompt: &str) -> bool {
    static FURTHER: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)\b(?:rename|move|split|extract|everywhere|wherever|throughout|of its own|other files?|new (?:file|module|page)|all (?:files|places)|(?:its|the|all) (?:uses|usages|callers|call sites))\b",
        )
    });
    FURTHER.is_match(prompt)
}

/// Whether a word of the prompt is in the last part of a test's name, `test_shop.TestShop.test_with_fee`: what stands
/// before it names a file or a group, which a task may be about without being about this test.
pub(super) fn names(prompt: &str, test: &str) -> bool {
    /// Shorter words are in names by chance.
    const LETTERS_MIN: usize = 4;
    const EVERYWHERE: [&str; 6] = ["test", "tests", "with", "does", "should", "that"];
    let name = test.split(" (").next().unwrap_or(test);
    let last = name.rsplit(['.', ':', '>', '/', ' ']).next().unwrap_or(name).to_lowercase();
    let lower = prompt.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .filter(|word| word.chars().count() >= LETTERS_MIN && !EVERYWHERE.contains(word))
        .any(|word| last.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Vec<String> {
        ["src/csv.py", "src/io/line.py", "tests/test_csv.py", "src/io/util.py", "lib/util.py"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn a_task_that_reaches_beyond_the_file_it_names_says_so() {
        for further in [
            "Rename compute in calc/core.py to evaluate and update its uses",
            "Rename compute in calc/core.py to evaluate everywhere.",
            "Move the function area out of a.py into a new module of its own named shapes",
        ] {
            assert!(reaches_further(further), "{further}");
        }
        for plain in ["Add a function move_left to game.py.", "mean() in stats.py is wrong for an empty list"] {
            assert!(!reaches_further(plain), "{plain}");
        }
    }

    #[test]
    fn files_and_identifiers_are_found_in_prose() {
        let paths = paths();
        let named = named(
            "In csv.py parse_rows drops a row (see @line.py, `Reader.next`), util.py @gone.py too.",
            &Names::new(&paths),
        );
        assert_eq!(named.files, ["src/io/line.py", "src/csv.py"]);
        assert_eq!(named.identifiers, ["parse_rows", "next"]);
        assert_eq!(named.unknown, ["gone.py"]);
        assert!(named.words.contains("drops") && !named.words.contains("In"));
    }

    #[test]
    fn what_is_to_be_changed_is_told_from_what_is_only_named() {
        let files = ["src/a.h", "app.py", "config.json", "README.md", "views.py"];
        let of = |prompt: &str| asked_to_change(prompt, |word| files.iter().copied().find(|file| *file == word));
        let asks = |prompt: &str| of(prompt).contains(&"src/a.h");
        for prompt in ["Declare it in src/a.h.", "Please add a function f, and document it in `src/a.h`", "fix src/a.h"]
        {
            assert!(asks(prompt), "{prompt}");
        }
        for prompt in [
            "Add f to src/a.c; src/a.h stays as it is",
            "add it, but don't change src/a.h",
            "Fix the crash without editing src/a.h",
            "src/a.h declares it",
            "write a function like the one in src/a.h",
            "add f. See src/a.h",
        ] {
            assert!(!asks(prompt), "{prompt}");
        }
        assert_eq!(of("Change load() in app.py to read config.json."), ["app.py"]);
        assert_eq!(of("Fix the crash in app.py when config.json is missing"), ["app.py"]);
        assert_eq!(of("Add parse_line to app.py as README.md describes."), ["app.py"]);
        assert_eq!(of("Add slugify to views.py and use it in app.py."), ["views.py", "app.py"]);
        assert_eq!(of("Update views.py, app.py and README.md"), ["views.py", "app.py", "README.md"]);
        assert!(of("Write unit tests for app.py").is_empty());
    }

    #[test]
    fn a_sentence_that_ends_with_a_path_still_names_it() {
        let paths = paths();
        let of = |text: &str| named(text, &Names::new(&paths)).files;
        assert_eq!(of("Look at src/io/util.py."), ["src/io/util.py"]);
        assert_eq!(of("./src/csv.py, please"), ["src/csv.py"]);
        assert!(of("csv").is_empty());
    }

    #[test]
    fn a_task_that_names_a_test_s_subject_is_about_it() {
        let test = "test_shop.TestShop.test_with_fee (it failed before the change as well)";
        assert!(names("fix with_fee", test) && names("With_Fee is wrong", test));
        for prompt in ["fix the shop", "rename total", "add a test with more cases", "it failed before"] {
            assert!(!names(prompt, test), "{prompt}");
        }
        assert!(names("largest is wrong", "test_shop.py::test_largest") && names("sum adds wrongly", "sum › adds"));
    }

    #[test]
    fn tasks_about_tests() {
        for prompt in [
            "make the tests pass",
            "Please make all the tests pass again.",
            "Fix the failing tests.",
            "The build is broken. Please fix it.",
            "fix the tests",
            "get the test suite green",
        ] {
            assert!(is_about_tests(prompt), "{prompt}");
        }
        for prompt in [
            "rename the parser",
            "Add a check to register() that the password is long enough",
            "Fix latest_price() in user.py",
            "Build a prefix table",
            "register() fails when the name is None. Fix it, and add a test.",
            "The tests pass, but median() of an empty list fails. Fix that.",
        ] {
            assert!(!is_about_tests(prompt), "{prompt}");
        }
        assert!(wants_tests("Add parse_line to parser.py and a test for it") && wants_tests("with unit tests"));
        assert!(!wants_tests("Make the tests pass") && !wants_tests("add it; the tests stay as they are"));
    }
}
