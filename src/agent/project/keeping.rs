//! A change with the definitions that it loses and that nobody asked to remove. Pure.
//!
//! A small model that adds a function to a file often writes the file without another one. Where no test looks at what
//! is lost, the check passes all the same. So the change is tried with it first, and as it was said only where that fails.
//! Not for: running either (`agent/round.rs`), single definitions in a reply (`reply/splice`).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::Patch;
use crate::agent::checks::compile;
use crate::reply::paths::is_header;
use crate::reply::splice;
use crate::repo_map::outline::{Definition, outline};
use crate::workspace::diff;
use crate::workspace::plan::Planned;

/// Whether a task asks for less code, or for other names. A word such as "remove" tells what a function is to do more often
/// than what is to be done with the code ("add `str_trim`, which removes white space"; "a method to remove an item from the class"),
/// so it counts at the beginning of a clause alone and with code as its object. What is kept by mistake does no harm; what is lost
/// by mistake was somebody's.
fn asks_for_less(task: &str) -> bool {
    const CODE: &str = r"(?:functions?|methods?|class(?:es)?|structs?|structures?|types?|code|definitions?|helpers?|modules?|implementations?|interfaces?|traits?|duplications?|copies|logic)";
    static CLAUSE: LazyLock<Regex> = LazyLock::new(|| compile(r"[.;:,!?\n]|\b(?:and|then)\b"));
    static OPENING: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^\W*(?:(?:please|also|now|just|first|let's|(?:can|could|would) you|i (?:want|need|would like) you to|we should|you should)\W+)*",
        )
    });
    static LESS: LazyLock<Regex> = LazyLock::new(|| {
        compile(&format!(
            r"(?i)^(?:remove|delete|drop|get rid of|throw out|merge|inline|split|replace|dedup\w*|consolidate)\s+((?:[\w'`-]+\s+){{0,4}}){CODE}\b"
        ))
    });
    static ELSE: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)^(?:refactor|restructure|reorgani[sz]e|rewrite|simplify|tidy|clean|rename|shorten)(?:[\s-]|$)")
    });
    static ANYWHERE: LazyLock<Regex> = LazyLock::new(|| {
        compile(&format!(
            r"(?i)\b(?:(?:unused|obsolete|dead|duplicated?|redundant|superfluous)\s+{CODE}|(?:better|clearer|other) names|no longer (?:needed|used)|(?:what|that) (?:nobody|no one|nothing) (?:calls|uses|needs)|refactoring|clean-?up)\b"
        ))
    });
    const AWAY: [&str; 9] = ["from", "to", "as", "in", "for", "with", "at", "by", "on"];
    let of_code = |clause: &str| {
        let between = LESS.captures(clause).map(|found| found[1].to_lowercase());
        between.is_some_and(|words| !words.split_whitespace().any(|word| AWAY.contains(&word)))
    };
    ANYWHERE.is_match(task)
        || CLAUSE.split(task).any(|clause| {
            let clause = &clause[OPENING.find(clause).map_or(0, |opening| opening.end())..];
            ELSE.is_match(clause) || of_code(clause)
        })
}

/// The change that keeps what `whole` loses unasked; `None` where it loses nothing, or nothing that can be kept, and where
/// the task asks for less.
pub(super) fn keeping(whole: &Patch, task: &str) -> Option<Patch> {
    if asks_for_less(task) {
        return None;
    }
    let words: BTreeSet<&str> = task.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let new = whole.files.iter().map(|file| {
        let (before, after) = (file.before.as_deref().unwrap_or_default(), file.after.as_deref().unwrap_or_default());
        (file.path.as_str(), splice::new_lines(&file.path, before, after))
    });
    let new: Vec<(&str, BTreeSet<&str>)> = new.collect();
    let mut kept: Vec<String> = Vec::new();
    let files = whole.files.iter().map(|file| {
        // Another name in the same file is most often a new function made of the old one's text: renaming is asked for.
        let others = new.iter().filter(|(path, _)| *path != file.path);
        let elsewhere: BTreeSet<&str> = others.flat_map(|(_, lines)| lines.iter().copied()).collect();
        let lost: Vec<String> =
            lost(file, &elsewhere).into_iter().filter(|name| !words.contains(last_part(name))).collect();
        match with(file, &lost) {
            Some(after) => {
                kept.extend(lost.iter().map(|name| format!("{name} in {}", file.path)));
                Planned { after: Some(after), ..file.clone() }
            }
            None => file.clone(),
        }
    });
    let mut keeps = Patch { files: files.collect(), ..whole.clone() };
    keeps.notes.push(format!("the reply leaves out {}, which the task does not name: kept", kept.join(", ")));
    (!kept.is_empty()).then_some(keeps)
}

fn last_part(name: &str) -> &str {
    name.rsplit(['.', ':']).next().unwrap_or(name)
}

/// The names that a file defines before the change and not after it, unless their lines are in another file now.
fn lost(file: &Planned, elsewhere: &BTreeSet<&str>) -> Vec<String> {
    let (Some(before), Some(after)) = (&file.before, &file.after) else { return Vec::new() };
    if is_header(&file.path) {
        let after = declared(after);
        return declared(before).into_iter().filter(|name| !after.contains(name)).collect();
    }
    let (Some(old), Some(new)) = (outline(&file.path, before), outline(&file.path, after)) else { return Vec::new() };
    let lines: Vec<&str> = before.lines().collect();
    let names: BTreeSet<String> = new.names().into_iter().collect();
    let here: BTreeSet<&str> = names.iter().map(|name| last_part(name)).collect();
    let gone = |name: &String, definition: &Definition| {
        !here.contains(last_part(name)) && !splice::stands_in(&lines, definition, elsewhere)
    };
    let mut lost = Vec::new();
    for definition in &old.definitions {
        let inner = definition.inner.iter().map(|inner| (format!("{}.{}", definition.name, inner.name), inner));
        // A value counts where what is left still needs it.
        let needed = || file.after.as_deref().is_some_and(|after| is_word_in(after, &definition.name));
        let whole = definition.is_function || definition.is_container || needed();
        let own = whole.then(|| (definition.name.clone(), definition));
        lost.extend(own.into_iter().chain(inner).filter(|(name, of)| gone(name, of)).map(|(name, _)| name));
    }
    lost
}

fn is_word_in(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

/// The functions that a header declares.
fn declared(text: &str) -> BTreeSet<String> {
    static DECLARED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^[A-Za-z_][\w\s*&:<>,]*?[\s*&]([A-Za-z_]\w*)\s*\([^;{}]*\)[^;{}]*;")
            .expect("invariant: a valid pattern")
    });
    DECLARED.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The file after the change with these names still in it.
fn with(file: &Planned, lost: &[String]) -> Option<String> {
    let (Some(before), Some(after), false) = (&file.before, &file.after, lost.is_empty()) else { return None };
    let text = if is_header(&file.path) {
        diff::union(before, after, &|line| lost.iter().any(|name| line.contains(name.as_str())))
    } else {
        splice::spliced(&file.path, before, after, true)?.text
    };
    (text != *before && text != *after).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(path: &str, before: &str, after: &str, task: &str) -> Option<String> {
        let file = Planned {
            path: path.into(),
            renamed_from: None,
            before: Some(before.to_owned()),
            after: Some(after.to_owned()),
        };
        let change = Patch { files: vec![file], ..Patch::default() };
        keeping(&change, task)?.files.remove(0).after
    }

    const C: &str = "#include \"t.h\"\n\nint one(int a)\n{\n    int twice = a + a;\n    return twice - a;\n}\n\nint copy(int to, int from)\n{\n    int length = from - to;\n    return length * 2;\n}\n";

    #[test]
    fn a_function_that_was_left_out_stays() {
        let after = "#include \"t.h\"\n\nint one(int a)\n{\n    int twice = a + a;\n    return twice - a;\n}\n\nint trim(int text)\n{\n    return text - 1;\n}\n";
        let text = kept("t.c", C, after, "Add trim to t.c").unwrap();
        assert!(text.contains("int copy(") && text.contains("int trim(") && text.contains("int one("), "{text}");
        assert_eq!(kept("t.c", C, after, "Let trim do what copy did"), None, "the task names it");
        assert_eq!(kept("t.c", C, after, "Add trim, and remove what nobody calls"), None, "the task asks for less");
        assert_eq!(kept("t.c", C, &format!("{C}\nint trim(int t)\n{{\n    return t;\n}}\n"), "Add trim"), None);
    }

    #[test]
    fn what_a_function_is_to_remove_is_not_what_the_task_asks_for() {
        for asks in [
            "Remove the functions that nobody calls",
            "delete dead code",
            "Please get rid of the old upload code",
            "Clean up this module",
            "Find better names",
            "Split it into two classes",
            "merge both helpers",
            "Refactor t.c",
        ] {
            assert!(asks_for_less(asks), "{asks}");
        }
        for other in [
            "Please add a function void trim(char *text) that removes the white space from both ends of a text, in place.",
            "Add unique(list): it deletes what is there twice",
            "slug() must replace spaces by dashes. Add a test of the function.",
            "dropped orders must not be counted",
            "The splitter loses a line; add merge(a, b)",
            "greet(name) must say the name twice",
            "Add a method remove(item) to the class Cart",
            "Add a method to remove an item from the class Cart",
            "Add merge(a, b) as a helper",
            "Add delete(code) and simplify(fraction)",
            "Fix rewrite_url()",
            "Mark unused vouchers",
            "Add a command rename OLD NEW",
        ] {
            assert!(!asks_for_less(other), "{other}");
        }
    }

    #[test]
    fn what_has_another_name_now_is_not_lost() {
        assert_eq!(kept("t.c", C, &C.replace("int copy(", "int difference("), "Find better names"), None);
    }

    #[test]
    fn a_function_that_another_was_made_of_stays() {
        let like = |name: &str| {
            format!(
                "def load_{name}(path):\n    with open(path) as file:\n        data = json.load(file)\n    return data[\"{name}\"]\n"
            )
        };
        let before = format!("import json\n\n\n{}\n\n{}", like("users"), like("items"));
        let after = format!("import json\n\n\n{}\n\n{}", like("users"), like("orders"));
        let text = kept("loader.py", &before, &after, "Add load_orders(path) to loader.py").unwrap();
        assert!(text.contains("def load_items") && text.contains("def load_orders"), "{text}");
        assert_eq!(kept("loader.py", &before, &after, "Rename load_items to load_orders"), None);
    }

    #[test]
    fn a_constant_that_is_still_needed_stays() {
        let before =
            "import sys\n\nRATE = 3\n\n\ndef add(a, b):\n    return a - b\n\n\ndef rated(a):\n    return a * RATE\n";
        let after = before.replace("RATE = 3\n", "").replace("a - b", "a + b");
        let text = kept("m.py", before, &after, "add must add").unwrap();
        assert!(text.contains("RATE = 3") && text.contains("a + b"), "{text}");
    }

    #[test]
    fn a_declaration_that_was_left_out_stays() {
        let before = "#ifndef T_H\n#define T_H\n\n/* Copies. */\nint copy(int to, int from);\n\n#endif\n";
        let after = "#ifndef T_H\n#define T_H\n\n/* Trims. */\nint trim(int text);\n\n#endif\n";
        let text = kept("t.h", before, after, "Declare trim").unwrap();
        assert!(text.contains("/* Copies. */\nint copy(int to, int from);\n"), "{text}");
        assert!(text.contains("/* Trims. */\nint trim(int text);\n") && text.matches("#endif").count() == 1, "{text}");
    }

    #[test]
    fn methods_of_a_class_that_only_its_file_knows_stay() {
        let before = "namespace {\n\nclass P {\npublic:\n    int one()\n    {\n        int value = 1;\n        return value;\n    }\n\n    int two()\n    {\n        int other = 2;\n        return other * 3;\n    }\n};\n\n}  // namespace\n\nint go()\n{\n    return P().one();\n}\n";
        let after = before
            .replace("    int two()\n    {\n        int other = 2;\n        return other * 3;\n    }\n", "")
            .replace("value = 1", "value = 10");
        let text = kept("p.cpp", before, &after, "one must be ten").unwrap();
        assert!(
            text.contains("value = 10") && text.contains("int two()") && text.matches("namespace {").count() == 1,
            "{text}"
        );
    }

    #[test]
    fn methods_of_a_class_stay_as_well() {
        let before = "class A:\n    def one(self):\n        value = 1\n        return value\n\n    def two(self):\n        other = 2\n        return other\n";
        let after = "class A:\n    def one(self):\n        value = 10\n        return value\n";
        let text = kept("a.py", before, after, "one must be ten").unwrap();
        assert!(text.contains("value = 10") && text.contains("def two"), "{text}");
    }
}
