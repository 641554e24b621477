//! The names that a piece of Python uses and does not bind itself. Pure.
//!
//! Not for: whole programs (a name may be bound after it is used, or in another scope).

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::grammar::Grammar;
use super::syntax;

/// Names of a piece of Python.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Bound by it: assigned, imported, defined, parameters.
    pub bound: BTreeSet<String>,
    /// Called and not bound.
    pub called: BTreeSet<String>,
    /// Used in another way and not bound.
    pub used: BTreeSet<String>,
}

/// Reads statements; `None` where they are no Python.
pub fn of_python(source: &str) -> Option<Names> {
    const BYTES_MAX: usize = 1 << 16;
    if source.len() > BYTES_MAX {
        return None;
    }
    let tree = syntax::parse(Grammar::Python, source)?;
    let root = tree.root_node();
    if root.has_error() {
        return None;
    }
    let mut names = Names::default();
    let mut pending = vec![root];
    while let Some(node) = pending.pop() {
        if node.kind() == "identifier" {
            let Ok(text) = node.utf8_text(source.as_bytes()) else { continue };
            let found = match role(node) {
                Role::Bound => &mut names.bound,
                Role::Called => &mut names.called,
                Role::Used => &mut names.used,
                Role::Label => continue,
            };
            found.insert(text.to_owned());
        }
        let mut cursor = node.walk();
        pending.extend(node.children(&mut cursor));
    }
    names.called.retain(|name| !names.bound.contains(name));
    names.used.retain(|name| !names.bound.contains(name));
    Some(names)
}

enum Role {
    Bound,
    Called,
    Used,
    /// No name of its own: an attribute, a keyword.
    Label,
}

fn role(node: Node<'_>) -> Role {
    let Some(parent) = node.parent() else { return Role::Used };
    let is = |field: &str| parent.child_by_field_name(field).is_some_and(|child| child.id() == node.id());
    match parent.kind() {
        "attribute" if is("attribute") => Role::Label,
        "keyword_argument" if is("name") => Role::Label,
        "function_definition" | "class_definition" if is("name") => Role::Bound,
        "call" if is("function") => Role::Called,
        "dotted_name" | "aliased_import" | "parameters" | "lambda_parameters" | "as_pattern_target"
        | "global_statement" => Role::Bound,
        "default_parameter" | "typed_default_parameter" if is("name") => Role::Bound,
        "typed_parameter" | "list_splat_pattern" | "dictionary_splat_pattern" => Role::Bound,
        "named_expression" if is("name") => Role::Bound,
        _ if is_target(node) => Role::Bound,
        _ => Role::Used,
    }
}

/// Whether a name stands on the left of an assignment or after `for`, alone or in a pattern.
fn is_target(node: Node<'_>) -> bool {
    let mut at = node;
    while let Some(parent) = at.parent() {
        let left = parent.child_by_field_name("left").is_some_and(|left| left.id() == at.id());
        match parent.kind() {
            "assignment" | "for_statement" | "for_in_clause" => return left,
            "pattern_list" | "tuple_pattern" | "list_pattern" => at = parent,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, called: &[&str], used: &[&str]) {
        let names = of_python(source).expect("it is Python");
        let of = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            (of(&names.called), of(&names.used)),
            (called.iter().map(ToString::to_string).collect(), used.iter().map(ToString::to_string).collect()),
            "{source}"
        );
    }

    #[test]
    fn what_is_bound_is_not_free() {
        check("assert f(1, key=2) == g.h(x)", &["f"], &["g", "x"]);
        check("s = Stack()\ns.push(1)\nassert s.pop() == 1", &["Stack"], &[]);
        check("from math import isclose\nimport os.path\nassert isclose(f(1), 2) and os.sep", &["f"], &[]);
        check("for n, m in [(1, 2)]:\n    assert f(n) == m", &["f"], &[]);
        check("assert sorted(g(x) for x in [1]) == [lambda y, z=1: y]", &["g", "sorted"], &[]);
        check(
            "def test_f(tmp, *more, a: int = 1):\n    with open(tmp) as file:\n        assert f(file, a, more)",
            &["f", "open"],
            &["int"],
        );
        check("(a, b), c = f()\nassert a == b == c", &["f"], &[]);
        assert_eq!(of_python("assert f(1) == 2 holds"), None);
        assert_eq!(of_python("assert f(1) == {1, ..}"), None);
    }
}
