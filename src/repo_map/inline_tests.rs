//! Tests that stand in the code they test (Rust's `#[cfg(test)]` items and `#[test]` functions, and the examples of doc
//! comments), so that a change of both can be told apart. Pure.
//!
//! Not for: deciding what such a change means (`verify`).

use std::collections::BTreeMap;
use std::ops::Range;

use super::grammar::Grammar;
use super::syntax;

/// One item of tests: what it is called (`mod tests`, `fn adds`) and where it stands, attributes included.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    key: String,
    range: Range<usize>,
}

/// The new text with the old text's tests in place of its own, where the two differ in them; `None` where they do not
/// or where this is no file with tests in it.
pub fn with_old_tests(path: &str, old: &str, new: &str) -> Option<String> {
    if Grammar::of_path(path) != Some(Grammar::Rust) {
        return None;
    }
    let (before, after) = (items(old)?, items(new)?);
    let texts = |text: &str, items: &[Item]| -> BTreeMap<String, String> {
        items.iter().map(|item| (item.key.clone(), text[item.range.clone()].to_owned())).collect()
    };
    let (before, of_after) = (texts(old, &before), texts(new, &after).into_iter().collect::<BTreeMap<_, _>>());
    // Tests that are only added take nothing away from those that were there.
    if before.iter().all(|(key, text)| of_after.get(key) == Some(text)) {
        return None;
    }
    let mut text = new.to_owned();
    for item in after.iter().rev() {
        text.replace_range(item.range.clone(), before.get(&item.key).map_or("", String::as_str));
    }
    for (key, gone) in before.iter().filter(|(key, _)| !of_after.contains_key(*key)) {
        debug_assert!(!key.is_empty());
        text.push('\n');
        text.push_str(gone);
        text.push('\n');
    }
    Some(text)
}

/// Lines of examples in doc comments that the old text has and the new one has not.
pub fn examples_lost(path: &str, old: &str, new: &str) -> bool {
    if Grammar::of_path(path) != Some(Grammar::Rust) {
        return false;
    }
    let mut left = examples(new);
    examples(old).iter().any(|line| match left.iter().position(|other| other == line) {
        Some(at) => {
            left.swap_remove(at);
            false
        }
        None => true,
    })
}

/// The lines between fences in `///` and `//!` comments.
fn examples(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        let Some(told) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        if told.trim().starts_with("```") {
            inside = !inside;
        } else if inside {
            lines.push(told.trim().to_owned());
        }
    }
    lines
}

/// The outermost items behind `#[cfg(test)]`, `#[test]` and the attributes of test frameworks.
fn items(text: &str) -> Option<Vec<Item>> {
    let tree = syntax::parse(Grammar::Rust, text)?;
    let mut found = Vec::new();
    let mut next = vec![tree.root_node()];
    while let Some(node) = next.pop() {
        let mut cursor = node.walk();
        let mut start: Option<usize> = None;
        let mut is_test = false;
        for child in node.children(&mut cursor) {
            match child.kind() {
                "attribute_item" => {
                    start.get_or_insert(child.start_byte());
                    is_test |= names_tests(&text[child.byte_range()]);
                }
                "line_comment" | "block_comment" => {}
                kind => {
                    if is_test {
                        let name = child.child_by_field_name("name").map_or("", |name| &text[name.byte_range()]);
                        let key = format!("{kind} {name}");
                        let twice = found.iter().filter(|item: &&Item| item.key.starts_with(&key)).count();
                        let key = if twice == 0 { key } else { format!("{key} {twice}") };
                        found.push(Item { key, range: start.unwrap_or(child.start_byte())..child.end_byte() });
                    } else if matches!(kind, "mod_item" | "declaration_list" | "impl_item") {
                        next.push(child);
                    }
                    (start, is_test) = (None, false);
                }
            }
        }
    }
    found.sort_by_key(|item| item.range.start);
    Some(found)
}

fn names_tests(attribute: &str) -> bool {
    let inner: String = attribute.chars().filter(|c| !c.is_whitespace()).collect();
    let inner = inner.trim_start_matches("#[").trim_end_matches(']');
    let name = inner.split('(').next().unwrap_or(inner).rsplit("::").next().unwrap_or(inner);
    (inner.starts_with("cfg(") && inner.contains("test") && !inner.contains("not(test)"))
        || matches!(name, "test" | "rstest" | "proptest" | "test_case" | "quickcheck" | "wasm_bindgen_test" | "bench")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "pub fn add(a: i32, b: i32) -> i32 { a - b }\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn adds() { assert_eq!(add(1, 2), 3); }\n}\n";

    #[test]
    fn changed_tests_are_put_back_and_the_code_is_kept() {
        let new = OLD.replace("a - b", "a + b").replace("(1, 2), 3", "(1, 2), -1");
        let text = with_old_tests("src/lib.rs", OLD, &new).unwrap();
        assert_eq!(text, OLD.replace("a - b", "a + b"));
        let gone = "pub fn add(a: i32, b: i32) -> i32 { a + b }\n";
        assert!(with_old_tests("src/lib.rs", OLD, gone).unwrap().contains("assert_eq!(add(1, 2), 3)"));
    }

    #[test]
    fn untouched_and_added_tests_are_no_change_of_tests() {
        assert_eq!(with_old_tests("src/lib.rs", OLD, &OLD.replace("a - b", "a + b")), None);
        let more = format!("{OLD}\n#[test]\nfn more() {{}}\n");
        assert_eq!(with_old_tests("src/lib.rs", OLD, &more), None);
        assert_eq!(with_old_tests("a.py", "x", "y"), None);
    }

    #[test]
    fn an_example_that_is_taken_away_is_seen() {
        let old = "/// ```\n/// assert_eq!(f(), 1);\n/// ```\nfn f() {}\n";
        assert!(examples_lost("a.rs", old, &old.replace("1)", "2)")));
        assert!(!examples_lost("a.rs", old, &format!("{old}/// ```\n/// more();\n/// ```\nfn g() {{}}\n")));
    }
}
