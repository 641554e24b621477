//! Python's indentation, which its grammar for tree-sitter takes as it comes: a body that is not indented, a line
//! that is for no reason and one that goes back to nowhere all parse without an error there.
//!
//! Not for: files in which a grammar stumbles anyway, and pieces of files.

use super::syntax::{Place, shown};

/// Columns between tab stops, as Python counts them.
const TAB_COLUMNS: usize = 8;

/// One line of Python's, which may go over several of the text.
struct Logical {
    row: usize,
    column: usize,
    opens_block: bool,
}

/// The first line that Python refuses for its indentation.
pub(super) fn first_wrong(tree: &tree_sitter::Tree, text: &str) -> Option<Place> {
    let rows: Vec<&str> = text.split('\n').collect();
    let mut levels = vec![0];
    let mut block_is_due = false;
    for line in logical_lines(tree, text, &rows) {
        let level = *levels.last().expect("invariant: the first level is never taken off");
        let wrong = |what: &str| {
            Some(Place { line: line.row as u32 + 1, what: format!("{what}: `{}`", shown(rows[line.row])) })
        };
        if block_is_due && line.column <= level {
            return wrong("an indented block is missing before");
        }
        if !block_is_due && line.column > level {
            return wrong("indented for no reason");
        }
        if block_is_due {
            levels.push(line.column);
        }
        while levels.last().is_some_and(|&level| level > line.column) {
            levels.pop();
        }
        if levels.last() != Some(&line.column) {
            return wrong("goes back to no level before");
        }
        block_is_due = line.opens_block;
    }
    None
}

/// Where Python's lines begin and whether they end with a colon: text in brackets, strings and after a backslash goes on with the
/// line before; comments and blank lines are none.
fn logical_lines(tree: &tree_sitter::Tree, text: &str, rows: &[&str]) -> Vec<Logical> {
    let mut lines: Vec<Logical> = Vec::new();
    let (mut depth, mut last) = (0_usize, None);
    let mut cursor = tree.walk();
    loop {
        let node = cursor.node();
        let is_token = node.child_count() == 0 || node.kind() == "string";
        if is_token && node.kind() != "comment" && node.start_byte() < node.end_byte() {
            let start = node.start_position().row;
            let goes_on = depth > 0
                || last.is_some_and(|(row, end): (usize, usize)| {
                    row == start || text[end..node.start_byte()].trim_start().starts_with('\\')
                });
            if !goes_on {
                lines.push(Logical { row: start, column: column(rows[start]), opens_block: false });
            }
            match node.kind() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if let Some(line) = lines.last_mut() {
                line.opens_block = depth == 0 && node.kind() == ":";
            }
            last = Some((node.end_position().row, node.end_byte()));
        }
        if !is_token && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return lines;
            }
        }
    }
}

fn column(row: &str) -> usize {
    let mut column = 0;
    for byte in row.bytes() {
        match byte {
            b' ' => column += 1,
            b'\t' => column = (column / TAB_COLUMNS + 1) * TAB_COLUMNS,
            // A form feed begins the line anew.
            0x0c => column = 0,
            _ => break,
        }
    }
    column
}

#[cfg(test)]
mod tests {
    use crate::repo_map::syntax::worsened;

    fn wrong(text: &str) -> Option<(u32, String)> {
        worsened("a.py", None, text).map(|place| (place.line, place.what))
    }

    #[test]
    fn indentation_that_python_refuses_is_seen() {
        for (text, line) in [
            ("for x in xs:\nprint(x)\n", 2),
            ("def f():\n    pass\n  # a comment may stand anywhere\n      \n    y = 1\n     z = 2\n", 6),
            ("x = 1\n    y = 2\n", 2),
            ("if x:\n        a()\n    b()\n", 3),
            ("class A:\n    def f(self):\n    return 1\n", 3),
            ("def f():\n    # nothing but a comment\nx = 1\n", 3),
        ] {
            assert_eq!(wrong(text).map(|(line, _)| line), Some(line), "{text}");
        }
    }

    #[test]
    fn indentation_that_python_takes_is_not() {
        for text in [
            "def f(a,\n  b=1):\n      x = [\n1,\n        2]\n      return (a +\n              b)\n",
            "x = '''\n    a:\n  b\n'''\nif x: y = 1\nelse: y = 2\n",
            "def f():\n\tif x:\n\t\treturn 1\n\treturn 2\n",
            "if a and \\\n        b:\n    c()\n# at the margin\n    d()\n",
            "with open(f'{a!r:>{width}}') as f: pass\n",
            "match x:\n    case {'a': 1}:\n        y = lambda: 0\n    case _: pass\n",
            "def f(): return {\n    'a': 1,\n}\n\n\nclass B: pass\n",
            "def f(x: int) -> dict[str, int]:\n    'doc'\n    return x[1:]; y = 1\n",
            "try:\n    a()\nexcept (B,\n        C):\n    pass\nfinally:\n  d()\n",
            "if True:\r\n    a = 1\r\nelse:\r\n    b = 2\r\n",
            "if a:\n    b()\nelse:  # \\\n    c()\n",
            "",
            "# only a comment",
            "@decorated(\n    1)\nasync def f():\n    async with a as b, \\\n         c as d:\n        await e\n",
        ] {
            assert_eq!(wrong(text), None);
        }
    }
}
