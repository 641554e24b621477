//! A block that is added to a file where the words above it say so: a rule, a section, a line of a list, a statement,
//! imports. Pure.
//!
//! Not for: definitions and data with keys, which have a place of their own (`splice`).

use std::sync::LazyLock;

use regex::Regex;

use super::{compile, elision, joined, paths, splice};

/// Whether a line says that what follows is added to what is there.
pub(super) fn says_so(line: &str) -> bool {
    static ADDS: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)\b(?:add|append|insert|include|put)(?:ing|s|ed)?\b"));
    static ELSE: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)\b(?:replac\w*|rewrit\w*|whole|entire|complete|full|updated|instead|remov\w*|becomes?)\b")
    });
    ADDS.is_match(line) && !ELSE.is_match(line)
}

/// The file with the block added; `None` where it has some of the block already, so that it is not only an addition, and
/// where nothing can stand by itself.
pub(super) fn appended(path: &str, text: &str, content: &str) -> Option<String> {
    let new: Vec<&str> = content.trim_matches('\n').lines().collect();
    let old: Vec<&str> = text.lines().collect();
    let says = |line: &&str| line.ends_with('{') || line.chars().filter(|c| c.is_alphanumeric()).count() > 1;
    let has = |line: &&str| old.iter().any(|other| other.trim() == line.trim());
    if new.is_empty() || !elision::brought_in(text, content, splice::is_python(path)).is_empty() {
        return None;
    }
    if new.iter().filter(|line| says(line)).any(has) {
        return None;
    }
    if only_imports(path, content) {
        return with_imports(path, text, content);
    }
    let extension = paths::extension(path);
    let is_list = is_list(path, &old) && new.len() <= 3;
    let is_text = matches!(extension.as_str(), "css" | "scss" | "less" | "md" | "markdown" | "sql");
    let is_script = matches!(extension.as_str(), "js" | "mjs" | "cjs" | "ts" | "py");
    if is_script && only_shows(content) {
        return None;
    }
    if !(is_list || is_text || is_script) || new.iter().any(|line| line.starts_with([' ', '\t']) && is_list) {
        return None;
    }
    // What a script does last stays last.
    let last = ["module.exports", "export default", "export {", "if __name__"];
    let at = old.iter().rposition(|line| is_script && last.iter().any(|word| line.starts_with(word)));
    let (before, after) = old.split_at(at.unwrap_or(old.len()));
    let end = before.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |at| at + 1);
    let gap: &[&str] = match extension.as_str() {
        _ if is_list || end == 0 => &[],
        "py" => &["", ""],
        _ => &[""],
    };
    let behind: &[&str] = if after.is_empty() { &[] } else { gap };
    Some(joined([&before[..end], gap, &new, behind, after].concat()))
}

/// The file with a block's imports, where the block is nothing else; `None` where it is more, or where they are all there.
/// One that imports more from the same place takes the other's place.
pub(super) fn with_imports(path: &str, text: &str, content: &str) -> Option<String> {
    let new: Vec<&str> = content.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    if new.is_empty() || !new.iter().all(|line| is_import(path, line)) {
        return None;
    }
    let mut lines: Vec<&str> = text.lines().collect();
    for line in new {
        let words = |line: &'_ str| -> std::collections::BTreeSet<String> {
            line.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_owned).collect()
        };
        let smaller = |other: &str| {
            is_import(path, other)
                && source(other).is_some_and(|from| source(line) == Some(from))
                && words(other).is_subset(&words(line))
        };
        if lines.contains(&line) {
            continue;
        }
        if let Some(at) = lines.iter().position(|other| smaller(other)) {
            lines[at] = line;
        } else {
            let at = lines.iter().rposition(|other| is_import(path, other))? + 1;
            lines.insert(at, line);
        }
    }
    let text_after = joined(lines);
    (text_after.trim_end() != text.trim_end()).then_some(text_after)
}

/// Whether a text imports something and does nothing else.
pub(super) fn only_imports(path: &str, text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
    lines.peek().is_some() && lines.all(|line| is_import(path, line))
}

/// Whether a script does nothing but show what something gives: an example of its use.
pub(super) fn only_shows(text: &str) -> bool {
    static SHOWS: LazyLock<Regex> = LazyLock::new(|| compile(r"^(?:print|console\.\w+|assert)\b|^(?:#|//)"));
    text.lines().filter(|line| !line.trim().is_empty()).all(|line| SHOWS.is_match(line))
}

/// Whether a file and a block are nothing but imports from the same places: then the block is the file with other names.
pub(super) fn imports_the_same(path: &str, text: &str, content: &str) -> bool {
    let sources = |text: &str| -> Option<Vec<String>> {
        let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let mut all: Vec<String> = lines
            .map(|line| source(line).filter(|_| is_import(path, line)).map(str::to_owned))
            .collect::<Option<_>>()?;
        all.sort();
        Some(all)
    };
    let old = sources(text);
    old.as_ref().is_some_and(|old| !old.is_empty()) && old == sources(content)
}

/// Where a line imports from, where it says so apart from what.
fn source(line: &str) -> Option<&str> {
    static QUOTED: LazyLock<Regex> = LazyLock::new(|| compile(r#"["']([^"']+)["']"#));
    let module =
        line.strip_prefix("from ").and_then(|rest| rest.split_once(" import ")).map(|(module, _)| module.trim());
    module.or_else(|| QUOTED.captures(line).and_then(|found| found.get(1)).map(|found| found.as_str()))
}

/// A file of one thing a line: what is ignored, what is required.
fn is_list(path: &str, lines: &[&str]) -> bool {
    let name = paths::file_name(path);
    let plain = matches!(paths::extension(path).as_str(), "txt" | "in" | "list") || name.starts_with('.');
    let single = |line: &&str| !line.starts_with([' ', '\t', '[', '{', '<']) && !line.ends_with(['{', ':', '.']);
    plain && lines.iter().filter(|line| !line.trim().is_empty()).all(single)
}

/// Whether a line, alone, imports something into a file or out of it again.
pub(super) fn is_import(path: &str, line: &str) -> bool {
    static PYTHON: LazyLock<Regex> =
        LazyLock::new(|| compile(r"^(?:from\s+[\w.]+\s+import\s+[\w, *]+|import\s+[\w., ]+)\s*(?:#.*)?$"));
    static SCRIPT: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r#"^(?:import\b.*["'];?|export\s*(?:\*|type\b|\{).*\bfrom\s+["'].*["'];?|(?:const|let|var)\s.*=\s*require\(["'][^"']+["']\);?)\s*$"#,
        )
    });
    static OTHER: LazyLock<Regex> = LazyLock::new(|| {
        compile(r#"^(?:(?:pub\s+)?(?:use|mod)\s[\w:{}, *]+;|#\s*include\s+[<"].+[>"]|import\s+[\w.*]+;)\s*$"#)
    });
    match paths::extension(path).as_str() {
        "py" | "pyi" => PYTHON.is_match(line),
        "js" | "mjs" | "cjs" | "ts" | "tsx" | "jsx" => SCRIPT.is_match(line),
        _ => OTHER.is_match(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_words_say_that_something_is_added() {
        for line in ["Add this to your `.gitignore` file:", "Append the rule to `a.css`:", "and include:"] {
            assert!(says_so(line), "{line}");
        }
        for line in
            ["Here is the updated `a.css`:", "Replace it and add:", "The whole file, with the rule added:", "`a.css`"]
        {
            assert!(!says_so(line), "{line}");
        }
    }

    #[test]
    fn a_block_goes_where_such_things_stand() {
        let of = |path: &str, text: &str, content: &str| appended(path, text, content);
        assert_eq!(of(".gitignore", "*.pyc\n", "build/\n").unwrap(), "*.pyc\nbuild/\n");
        assert_eq!(of("requirements.txt", "flask==3.0\n\n", "numpy\n").unwrap(), "flask==3.0\nnumpy\n");
        assert_eq!(
            of("a.css", "p {\n  top: 0;\n}\n", "q {\n  left: 0;\n}\n").unwrap(),
            "p {\n  top: 0;\n}\n\nq {\n  left: 0;\n}\n"
        );
        let app = "const app = make();\n\nmodule.exports = app;\n";
        assert_eq!(
            of("app.js", app, "app.get('/health', ok);\n").unwrap(),
            "const app = make();\n\napp.get('/health', ok);\n\nmodule.exports = app;\n"
        );
        let package = "from .cart import Cart\n\nVERSION = 1\n";
        assert_eq!(
            of("shop/__init__.py", package, "from .utils import percent\n").unwrap(),
            "from .cart import Cart\nfrom .utils import percent\n\nVERSION = 1\n"
        );
        let index = "export { a } from \"./a\";\n";
        assert_eq!(
            of("index.ts", index, "export { b } from \"./b\";").unwrap(),
            format!("{index}export {{ b }} from \"./b\";\n")
        );
    }

    #[test]
    fn imports_are_put_among_the_others() {
        let cart = "import os\nfrom .utils import percent\n\nx = 1\n";
        let of = |content: &str| with_imports("cart.py", cart, content);
        assert_eq!(
            of("from .utils import percent, money\n").unwrap(),
            "import os\nfrom .utils import percent, money\n\nx = 1\n"
        );
        assert_eq!(
            of("from .tax import tax\n").unwrap(),
            "import os\nfrom .utils import percent\nfrom .tax import tax\n\nx = 1\n"
        );
        assert_eq!(
            of("from .utils import money\n").unwrap(),
            "import os\nfrom .utils import percent\nfrom .utils import money\n\nx = 1\n"
        );
        let init = "from .core import compute\n";
        assert!(imports_the_same("__init__.py", init, "from .core import evaluate\n"));
        assert!(!imports_the_same("__init__.py", init, "from .cli import main\n"));
        assert!(!imports_the_same("cart.py", cart, "from .utils import money\n"));
        assert_eq!((of("import os\n"), of("import sys\nx = 2\n"), of("")), (None, None, None));
        let index = "export { a, b } from \"./a\";\n";
        assert_eq!(
            with_imports("index.ts", index, "export { a, b, c } from \"./a\";\n").unwrap(),
            "export { a, b, c } from \"./a\";\n"
        );
    }

    #[test]
    fn what_is_there_already_is_no_addition() {
        assert_eq!(appended("a.css", "p {\n  top: 0;\n}\n", "p {\n  top: 0;\n}\nq {\n}\n"), None);
        assert_eq!(appended("notes.txt", "A sentence.\n", "more\n"), None, "a text is no list");
        assert_eq!(appended("a.c", "int a;\n", "a = 1;\n"), None, "no statement stands by itself");
        assert_eq!(appended("page.html", "<p>a</p>\n", "<p>b</p>\n"), None);
    }
}
