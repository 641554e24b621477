//! Files that are not there and that others speak of: the task by their path, code by importing from them. What a block
//! about a new file may mean by a loose name. Pure.
//!
//! Not for: files that are there (`paths::Known`).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::paths::{self, Known, stem};
use super::{compile, only};
use crate::task::Language;

/// The new files that a task's words name.
pub fn named(task: &str, known: &Known) -> Vec<String> {
    static WORD: LazyLock<Regex> = LazyLock::new(|| compile(r"`([^`\s]+)`|([\w./-]*\w)"));
    static BEFORE: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)\b(?:files?|modules?|scripts?|called|named|in|into|to|create|write|add)\s*$"));
    let mut found = Vec::new();
    for groups in WORD.captures_iter(task) {
        let (quoted, plain) = (groups.get(1), groups.get(2));
        let Some(word) = quoted.or(plain) else { continue };
        let path = word.as_str().trim_start_matches("./");
        let is_code = Language::from_extension(&paths::extension(path)).is_some();
        let told = quoted.is_some() || path.contains('/') || BEFORE.is_match(&task[..word.start()]);
        let is_file = told && is_code && paths::is_path_like(path) && !path.starts_with(['/', '.']);
        // The end of a file's path is that file.
        if is_file && known.closest(path).is_none() && !found.iter().any(|other| other == path) {
            found.push(path.to_owned());
        }
    }
    found
}

/// The files that a file's text imports by their place in the project and that are not there.
pub(super) fn imported(path: &str, text: &str, known: &Known) -> Vec<String> {
    // A folder with an index, or the same in another language, is there all the same.
    let is_there = |file: &str| known.has_folder(stem(file)) || known.has_stem(stem(file));
    sources(path, text, known).into_iter().filter(|file| !is_there(file)).collect()
}

/// Whether a line of a file imports from another one, as far as its path says it; `None` where it says nothing of the place.
pub(super) fn imports_from(line: &str, path: &str, other: &str, known: &Known) -> Option<bool> {
    let found = sources(path, line, known);
    let index = |file: &String| [format!("{}/index", stem(file)), format!("{}/__init__", stem(file))];
    let is_other = |file: &String| stem(file) == stem(other) || index(file).iter().any(|index| index == stem(other));
    (!found.is_empty()).then(|| found.iter().any(is_other))
}

/// The files that a text imports by their place in the project, whether they are there or not.
fn sources(path: &str, text: &str, known: &Known) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    match paths::extension(path).as_str() {
        extension @ ("js" | "mjs" | "cjs" | "ts" | "mts" | "jsx" | "tsx") => scripts(folder, extension, text),
        "py" => modules(folder, text, known),
        "rs" => rust(path, folder, text),
        "c" | "h" | "cpp" | "hpp" | "cc" | "cxx" => headers(folder, text),
        _ => Vec::new(),
    }
}

/// `require('./a')`, `import … from '../b.js'`.
fn scripts(folder: &str, extension: &str, text: &str) -> Vec<String> {
    static FROM: LazyLock<Regex> =
        LazyLock::new(|| compile(r#"(?:require\(\s*|\bfrom\s+|\bimport\s*\(?\s*)["'](\.{1,2}/[^"'\n]+)["']"#));
    let file = |spec: &str| {
        let path = from_folder(folder, spec)?;
        let named = Language::from_extension(&paths::extension(&path)).is_some() || paths::extension(&path) == "json";
        Some(if named { path } else { format!("{path}.{extension}") })
    };
    FROM.captures_iter(text).filter_map(|found| file(found.get(1)?.as_str())).collect()
}

/// `from .a import x`, `from shop.b import y` where the package is there.
fn modules(folder: &str, text: &str, known: &Known) -> Vec<String> {
    static FROM: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?m)^\s*from\s+(\.*)([\w.]*)\s+import\s+[\w(*]|^\s*import\s+()([\w]+(?:\.\w+)+)\s*$")
    });
    let mut files = Vec::new();
    for groups in FROM.captures_iter(text) {
        let dots = groups.get(1).or(groups.get(3)).map_or(0, |dots| dots.as_str().len());
        let name = groups.get(2).or(groups.get(4)).map_or("", |name| name.as_str()).replace('.', "/");
        if name.is_empty() {
            continue;
        }
        let above = "../".repeat(dots.saturating_sub(1));
        let package = name.split('/').next().filter(|first| *first != name);
        match (dots, package) {
            (0, None) => {}
            (0, Some(package)) => {
                let roots = ["", "src/"].into_iter().filter(|root| known.has_folder(&format!("{root}{package}")));
                files.extend(roots.map(|root| format!("{root}{name}.py")));
            }
            _ => files.extend(from_folder(folder, &format!("{above}{name}.py"))),
        }
    }
    files
}

/// `mod a;`
fn rust(path: &str, folder: &str, text: &str) -> Vec<String> {
    static MOD: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?m)^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+([A-Za-z_]\w*)\s*;"));
    let name = paths::file_name(path).trim_end_matches(".rs");
    let inside = match name {
        "mod" | "lib" | "main" => String::new(),
        other => format!("{other}/"),
    };
    MOD.captures_iter(text).filter_map(|found| from_folder(folder, &format!("{inside}{}.rs", &found[1]))).collect()
}

/// `#include "a.h"`
fn headers(folder: &str, text: &str) -> Vec<String> {
    static INCLUDE: LazyLock<Regex> = LazyLock::new(|| compile(r#"(?m)^\s*#\s*include\s+"([^"\n]+)""#));
    INCLUDE.captures_iter(text).filter_map(|found| from_folder(folder, &found[1])).collect()
}

/// A relative path from a folder of the project; `None` where it leaves the project.
fn from_folder(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

/// The one wanted file that a loose path of a new file means: of the same name, with folders that are left out or made up.
pub(super) fn meant(written: &str, wanted: &BTreeSet<String>, known: &Known) -> Option<String> {
    if wanted.contains(written) || known.contains(written) {
        return None;
    }
    let lower = written.to_lowercase();
    let lost = !known.has_folder_of(written);
    let fits = |file: &&String| {
        let file = file.to_lowercase();
        let inside = file.ends_with(&format!("/{lower}")) || lower.ends_with(&format!("/{file}"));
        inside || (lost && paths::file_name(&file) == paths::file_name(&lower))
    };
    only(wanted.iter().filter(fits)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(paths: &[&str]) -> Known {
        Known::new(paths.iter().map(|path| (*path).to_owned()))
    }

    #[test]
    fn a_task_names_new_files() {
        let known = known(&["src/store/index.js", "README.md"]);
        let of = |task: &str| named(task, &known);
        assert_eq!(of("Write parseTags(text) in a new file src/tags.js, use it in Store.add."), ["src/tags.js"]);
        assert_eq!(of("Create `wrap.py` with a function wrap"), ["wrap.py"]);
        assert_eq!(of("Put it into a module called slug.py."), ["slug.py"]);
        for task in ["With Node.js 20, use store/index.js", "call Store.withTag(tag)", "version 1.1 of /etc/hosts.sh"] {
            assert_eq!(of(task), [""; 0], "{task}");
        }
    }

    #[test]
    fn code_imports_what_is_not_there_yet() {
        let known = known(&["src/main.js", "src/lib/index.js", "shop/cart.py", "src/lib.rs", "src/shapes/mod.rs"]);
        let of = |path: &str, text: &str| imported(path, text, &known);
        let js = "const { a } = require('../src/tags');\nimport b from \"./main\";\nconst fs = require('fs');\nconst l = require('../src/lib');\n";
        assert_eq!(of("test/a.test.js", js), ["src/tags.js", "test/main.js"]);
        let py = "from .utils import x\nfrom shop.tax import rate\nfrom os.path import join\nimport numpy\nfrom shop.cart import Cart\n";
        assert_eq!(of("shop/cart.py", py), ["shop/utils.py", "shop/tax.py"]);
        assert_eq!(
            of("src/shapes/mod.rs", "mod rect;\npub mod circle;\n"),
            ["src/shapes/rect.rs", "src/shapes/circle.rs"]
        );
        assert_eq!(of("src/lib.rs", "mod shapes;\nmod tests {\n}\n"), [""; 0]);
        assert_eq!(of("src/units.rs", "mod feet;"), ["src/units/feet.rs"]);
        assert_eq!(of("src/a.c", "#include \"a.h\"\n#include <stdio.h>\n"), ["src/a.h"]);
        assert_eq!(of("a.js", "require('../../out')"), [""; 0], "outside the project");
    }

    #[test]
    fn a_loose_name_means_the_one_file_that_is_wanted() {
        let known = known(&["src/main.js"]);
        let wanted = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect::<BTreeSet<_>>();
        let of = |written: &str, files: &[&str]| meant(written, &wanted(files), &known);
        assert_eq!(of("tags.js", &["src/tags.js"]).as_deref(), Some("src/tags.js"));
        assert_eq!(of("myproject/src/tags.js", &["src/tags.js"]).as_deref(), Some("src/tags.js"));
        assert_eq!(of("lib/tags.js", &["src/tags.js"]).as_deref(), Some("src/tags.js"), "there is no such folder");
        assert_eq!(of("src/tags.js", &["lib/tags.js"]), None, "its folder is there");
        assert_eq!(of("src/tags.js", &["src/tags.js"]), None, "as it is written");
        assert_eq!(of("tags.js", &["src/tags.js", "lib/tags.js"]), None, "two of them");
        assert_eq!(of("note.js", &["src/tags.js"]), None);
    }
}
