//! The unfinished code that a task shows: a function's head and its docstring, a block that is still open. A reply is begun
//! with it: what the model would copy first it reads instead, which is some five times faster.
//!
//! Pure. Not for: what a reply is read as (`reply/program.rs`).

use std::sync::LazyLock;

use regex::Regex;

use super::checks::compile;
use crate::reply::fence::{self, Fence};
use crate::task::Language;

/// A stub longer than this is a file, and a reply may want to change any part of it.
const LINES_MAX: usize = 120;

/// The one block of a task that is a stub, with its language: everything up to where the model has to go on.
pub(super) fn stub(prompt: &str, wanted: Option<Language>) -> Option<(Language, String)> {
    let found: Vec<Fence> = fence::fences(prompt);
    let block = match found.as_slice() {
        [block] => block,
        [] if wanted.is_none_or(|wanted| wanted == Language::Python) => return unfenced(prompt),
        _ => return None,
    };
    let language = match (block.language(), wanted) {
        (Some(own), Some(wanted)) if own != wanted => return None,
        (Some(own), _) => own,
        (None, wanted) => wanted.filter(|_| block.info.is_empty())?,
    };
    if !block.closed || block.body.lines().count() > LINES_MAX {
        return None;
    }
    let text = match language {
        Language::Python => python(&block.body)?,
        Language::Shell => return None,
        _ => braces(&block.body)?,
    };
    Some((language, text + "\n"))
}

/// Python that was pasted without a fence, at the end of a task's words.
fn unfenced(prompt: &str) -> Option<(Language, String)> {
    let begins = |line: &&str| {
        ["from ", "import ", "def ", "async def ", "class ", "@"].iter().any(|word| line.starts_with(word))
    };
    let code: Vec<&str> = prompt.lines().skip_while(|line| !begins(line)).collect();
    let text = python(&code.join("\n")).filter(|_| code.len() <= LINES_MAX)?;
    Some((Language::Python, text + "\n"))
}

/// Python whose last function has a docstring and nothing else, as the only one of its functions.
fn python(body: &str) -> Option<String> {
    let lines: Vec<&str> = body.trim_end().lines().collect();
    let kept = lines.len() - lines.iter().rev().take_while(|line| stands_for_a_body(line)).count();
    let heads: Vec<usize> = (0..kept).filter(|at| is_head(lines[*at])).collect();
    let last = *heads.last()?;
    let unfinished = |from: usize, to: usize| is_docstring(after_head(&lines[from..to])?);
    if !unfinished(last, kept)? {
        return None;
    }
    // Another one without a body would be left without one.
    let finished = heads.windows(2).all(|pair| unfinished(pair[0], pair[1]) == Some(false));
    finished.then(|| lines[..kept].join("\n"))
}

fn is_head(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("def ") || line.starts_with("async def ")
}

/// A line that people put where the body is to come.
fn stands_for_a_body(line: &str) -> bool {
    let line = line.trim();
    let lower = line.to_ascii_lowercase();
    let says_so = ["todo", "your code", "write", "implement", "fill in"].iter().any(|word| lower.contains(word));
    matches!(line, "" | "pass" | "...")
        || line.starts_with("raise NotImplementedError")
        || (line.starts_with('#') && says_so)
}

/// What follows a function's head; `None` where the head does not end.
fn after_head<'a>(lines: &'a [&'a str]) -> Option<&'a [&'a str]> {
    let mut depth = 0_i32;
    for (at, line) in lines.iter().enumerate() {
        depth += line.matches(['(', '[']).count() as i32 - line.matches([')', ']']).count() as i32;
        if depth == 0 && line.trim_end().ends_with(':') {
            return Some(&lines[at + 1..]);
        }
    }
    None
}

/// Whether lines are one docstring; `None` where it is not closed.
fn is_docstring(lines: &[&str]) -> Option<bool> {
    let text = lines.join("\n");
    let text = text.trim();
    let text = text.trim_start_matches(['r', 'R']);
    let Some(mark) = ["\"\"\"", "'''"].into_iter().find(|mark| text.starts_with(mark)) else { return Some(false) };
    let rest = &text[mark.len()..];
    let end = rest.find(mark)?;
    Some(rest[end + mark.len()..].trim().is_empty())
}

/// Code that ends in the block that it opens.
fn braces(body: &str) -> Option<String> {
    let text = body.trim_end();
    let open = text.matches('{').count() > text.matches('}').count();
    (open && text.ends_with('{')).then(|| text.to_owned())
}

/// Whether a reply goes on from a Python stub, rather than from a fence alone.
pub(super) fn begins(prefix: &str) -> bool {
    prefix.strip_prefix("```python\n").is_some_and(|rest| !rest.trim().is_empty())
}

/// Python with what it names of the standard library imported: a reply that was begun behind the imports cannot add any.
pub(super) fn with_imports(source: &str) -> String {
    static NAMES: LazyLock<Vec<(String, Regex, Regex)>> = LazyLock::new(|| {
        let modules = [
            "bisect",
            "collections",
            "copy",
            "datetime",
            "decimal",
            "fractions",
            "functools",
            "hashlib",
            "heapq",
            "itertools",
            "json",
            "math",
            "operator",
            "random",
            "re",
            "statistics",
            "string",
            "sys",
        ];
        let taken = [
            ("collections", ["Counter", "defaultdict", "deque", "OrderedDict"].as_slice()),
            ("functools", &["reduce", "lru_cache", "cmp_to_key"]),
            ("itertools", &["accumulate", "combinations", "permutations", "product"]),
            ("typing", &["Dict", "List", "Optional", "Set", "Tuple"]),
        ];
        // Bound by the program itself: imported, assigned, a parameter, a loop's name.
        let bound = |name: &str| {
            compile(&format!(
                r"(?m)^\s*(?:import|from)\b.*\b{name}\b|\b{name}\s*(?:=[^=]|,|\)|:)|\b(?:for|as|def|class)\s+{name}\b"
            ))
        };
        let module = |name: &&'static str| {
            (format!("import {name}\n"), compile(&format!(r"(?m)(?:^|[^.\w]){name}\.\w")), bound(name))
        };
        let part = |(from, names): &(&str, &'static [&'static str])| {
            let one = |name: &&'static str| {
                let used = compile(&format!(r"(?m)(?:^|[^.\w]){name}[(\[]|@{name}\b"));
                (format!("from {from} import {name}\n"), used, bound(name))
            };
            names.iter().map(one).collect::<Vec<_>>()
        };
        modules.iter().map(module).chain(taken.iter().flat_map(part)).collect()
    });
    let mut imports = String::new();
    for (line, used, bound) in NAMES.iter() {
        if used.is_match(source) && !bound.is_match(source) {
            imports.push_str(line);
        }
    }
    if imports.is_empty() { source.to_owned() } else { format!("{imports}\n\n{source}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str) -> Option<String> {
        stub(&format!("Complete this:\n\n```python\n{code}\n```\n"), Some(Language::Python)).map(|(_, text)| text)
    }

    #[test]
    fn a_head_with_its_docstring_is_begun_with() {
        let f = "from typing import List\n\n\ndef f(xs: List[int],\n      n: int = 3) -> int:\n    \"\"\" Adds.\n    >>> f([1])\n    1\n    \"\"\"";
        assert_eq!(of(f).unwrap(), format!("{f}\n"));
        for rest in
            ["\n    pass", "\n    ...\n", "\n    # TODO: your code here\n    raise NotImplementedError()", "\n\n"]
        {
            assert_eq!(of(&format!("{f}{rest}")).unwrap(), format!("{f}\n"), "{rest:?}");
        }
        let helped = format!("def h(x):\n    return x\n\n\n{f}");
        assert_eq!(of(&helped).unwrap(), format!("{helped}\n"));
        let method = "class A:\n    def f(self):\n        '''One line.'''";
        assert_eq!(of(method).unwrap(), format!("{method}\n"));
    }

    #[test]
    fn what_is_finished_or_has_several_holes_is_not() {
        for code in [
            "def f(x):\n    \"\"\"Adds.\"\"\"\n    return x",
            "def f(x):\n    pass",
            "def f(x):\n    \"\"\"One.\"\"\"\n\ndef g(x):\n    \"\"\"Two.\"\"\"",
            "def f(x):\n    \"\"\"One.\n\ndef g(x):\n    \"\"\"Two.\"\"\"",
            "print(1)",
            "def f(x",
            "",
        ] {
            assert_eq!(of(code), None, "{code}");
        }
        let f = "def f(x):\n    \"\"\"Adds.\"\"\"";
        assert_eq!(stub(&format!("```python\n{f}\n```\n```python\nf(1)\n```\n"), None), None, "two blocks");
        assert_eq!(stub(&format!("```python\n{f}\n```\n"), Some(Language::Rust)), None);
        assert_eq!(stub(&format!("```text\n{f}\n```\n"), Some(Language::Python)), None);
        assert!(stub(&format!("```\n{f}\n```\n"), Some(Language::Python)).is_some());
        assert_eq!(of(&format!("{}{f}", "# a line\n".repeat(LINES_MAX))), None);
        let pasted = |task: &str| stub(task, None).map(|(_, text)| text);
        assert_eq!(pasted(&format!("Complete this.\n\n{f}\n")).unwrap(), format!("{f}\n"));
        assert_eq!(pasted(&format!("{f}\n\nIt must be fast.")), None);
        assert_eq!(pasted("Write def f(x)."), None);
    }

    #[test]
    fn what_is_named_and_not_bound_is_imported() {
        let head = "def f(x):\n    ";
        let of = |body: &str| with_imports(&format!("{head}{body}\n"));
        assert_eq!(of("return math.sqrt(x)"), format!("import math\n\n\n{head}return math.sqrt(x)\n"));
        assert!(of("return Counter(x)").starts_with("from collections import Counter\n"));
        let both = of("return re.sub('a', 'b', hashlib.md5(x).hexdigest())");
        assert!(both.starts_with("import hashlib\nimport re\n\n\n"), "{both}");
        for same in [
            "import math\n    return math.pi",
            "return x.re.sub(1)",
            "string = 'a'\n    return string.upper()",
            "return sum(product for product in x)",
            "product = 1\n    return product",
            "return [copy.x for copy in x]",
        ] {
            assert_eq!(of(same), format!("{head}{same}\n"));
        }
        let parameter = "def f(string, n):\n    return string.lower()\n";
        assert_eq!(with_imports(parameter), parameter);
        let imported = "from math import *\nimport numpy as math\ndef f(x):\n    return math.pi\n";
        assert_eq!(with_imports(imported), imported);
    }

    #[test]
    fn elsewhere_an_open_block_is_a_stub() {
        let of = |code: &str, wanted| stub(&format!("```rust\n{code}\n```\n"), wanted).map(|(_, text)| text);
        assert_eq!(of("/// Adds.\nfn add(a: u8) -> u8 {", None).unwrap(), "/// Adds.\nfn add(a: u8) -> u8 {\n");
        assert_eq!(of("fn add(a: u8) -> u8 {}", None), None);
        assert_eq!(of("fn add(a: u8) -> u8 {\n    a\n}", None), None);
    }
}
