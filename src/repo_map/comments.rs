//! A file without what is said in it to people: comments, and strings of Python that are statements of their own (docstrings).

use super::grammar::Grammar;
use super::syntax;

/// The text with blanks in the place of its comments, line by line as it was; `None` where there is no grammar for it or the
/// grammar does not understand it (then nobody knows what is a comment).
pub fn without_comments(path: &str, text: &str) -> Option<String> {
    let grammar = Grammar::of_path(path)?;
    let tree = syntax::parse(grammar, text)?;
    let root = tree.root_node();
    if root.has_error() {
        return None;
    }
    let mut bytes = text.as_bytes().to_vec();
    let mut next = vec![root];
    while let Some(node) = next.pop() {
        if says_nothing(node) {
            for byte in &mut bytes[node.byte_range()] {
                // Whole characters go, so that what is left is text.
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            continue;
        }
        let mut cursor = node.walk();
        next.extend(node.children(&mut cursor));
    }
    String::from_utf8(bytes).ok()
}

fn says_nothing(node: tree_sitter::Node<'_>) -> bool {
    match node.kind() {
        "comment" | "line_comment" | "block_comment" | "html_comment" => true,
        // An interpolated one runs what stands in it.
        "expression_statement" if node.named_child_count() == 1 => node.named_child(0).is_some_and(|child| {
            let mut cursor = child.walk();
            child.kind() == "string" && !child.children(&mut cursor).any(|part| part.kind() == "interpolation")
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_docstrings_go_and_lines_stay() {
        let text = "def f():\n    \"\"\"Says é\n    import pytest.\"\"\"\n    return '#'  # import pytest\n";
        let code = without_comments("a.py", text).expect("a text that parses");
        assert_eq!((code.lines().count(), code.contains("pytest")), (4, false));
        assert!(code.contains("return '#'") && code.contains("def f():"));
        for (path, text) in [
            ("a.js", "/* pytest\n pytest */ const a = '// x' // pytest\n"),
            ("a.rs", "//! pytest\nfn f() { /* pytest */ let _ = \"// x\"; }\n"),
            ("a.c", "// pytest\nint a; /* pytest */ char *b = \"// x\";\n"),
            ("a.go", "package a\n// pytest\nvar a = \"// x\"\n"),
            ("a.sh", "a=1 # pytest\necho '// x'\n"),
        ] {
            let code = without_comments(path, text).expect("a text that parses");
            assert!(!code.contains("pytest") && code.contains("// x"), "{path}: {code}");
        }
        assert_eq!(without_comments("a.py", "def f(:"), None);
        assert_eq!(without_comments("a.txt", "# x"), None);
        assert!(without_comments("a.py", "f'{g()}'\n").is_some_and(|code| code.contains("g()")));
    }
}
