//! Where the definitions of a file stand: names, lines, what is inside what. By tree-sitter, for every linked grammar.
//!
//! Not for: ranking (`rank`) and for changing a file (`reply::splice` puts definitions into one).

use std::ops::Range;

use tree_sitter::Node;

use super::grammar::Grammar;
use super::syntax;

/// A definition with its lines (from 0), its comments, decorators and attributes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub name: String,
    pub lines: Range<usize>,
    /// Definitions inside: a class's methods, an `impl` block's functions.
    pub inner: Vec<Definition>,
    /// It may hold other definitions: a class, an `impl` block, a namespace.
    pub is_container: bool,
    /// A function or method, rather than a value or a type.
    pub is_function: bool,
}

/// What a file is made of at its top level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    pub definitions: Vec<Definition>,
    pub imports: Vec<Range<usize>>,
    /// Other code: statements that are run when the file is.
    pub statements: Vec<Range<usize>>,
    /// The grammar stumbled somewhere.
    pub has_errors: bool,
}

impl Outline {
    /// Every definition with its name, those inside as `Outer.inner`.
    pub fn each(&self) -> Vec<(String, &Definition)> {
        let mut all = Vec::new();
        for definition in &self.definitions {
            all.push((definition.name.clone(), definition));
            all.extend(definition.inner.iter().map(|inner| (format!("{}.{}", definition.name, inner.name), inner)));
        }
        all
    }

    /// Every name, those inside as `Outer.inner`.
    pub fn names(&self) -> Vec<String> {
        self.each().into_iter().map(|(name, _)| name).collect()
    }
}

/// The outline of a file; nothing without a grammar for it.
pub fn outline(path: &str, text: &str) -> Option<Outline> {
    let grammar = Grammar::of_path(path)?;
    let tree = syntax::parse_with(&mut grammar.parser(), text)?;
    let reader = Reader { text };
    let mut found = Outline { has_errors: tree.root_node().has_error(), ..Outline::default() };
    reader.level(tree.root_node(), &mut found);
    Some(found)
}

struct Reader<'a> {
    text: &'a str,
}

/// Kinds of nodes that import names from elsewhere.
const IMPORTS: [&str; 8] = [
    "import_statement",
    "import_from_statement",
    "future_import_statement",
    "use_declaration",
    "extern_crate_declaration",
    "import_declaration",
    "preproc_include",
    "using_declaration",
];
/// Kinds of nodes that belong to the definition below them.
const ABOVE: [&str; 5] = ["comment", "line_comment", "block_comment", "attribute_item", "decorator"];
/// Kinds of nodes that say nothing of their own.
const FRAME: [&str; 4] = ["package_clause", "package_declaration", "{", "}"];
/// Kinds of nodes around definitions that are of the level outside: C's conditions and `extern "C"`.
const AROUND: [&str; 3] = ["preproc_ifdef", "preproc_if", "linkage_specification"];
/// What test frameworks call a test's or a suite's definition.
const TESTS: [&str; 6] = ["test", "it", "describe", "suite", "bench", "context"];

impl Reader<'_> {
    fn level(&self, parent: Node<'_>, out: &mut Outline) {
        let mut cursor = parent.walk();
        let mut above: Option<Range<usize>> = None;
        for node in parent.named_children(&mut cursor) {
            let rows = rows(node);
            if ABOVE.contains(&node.kind()) {
                // A comment behind code on its line belongs to that code.
                let trails = self.line(rows.start).trim_start().as_bytes().first()
                    != self.text.as_bytes().get(node.start_byte());
                let joined = above.filter(|before| before.end == rows.start && !trails);
                above = (!trails).then(|| joined.map_or(rows.start, |before| before.start)..rows.end);
                continue;
            }
            let above = above.take().filter(|before| before.end == rows.start);
            // C++'s namespace without a name is of the file, and nobody writes it around a part.
            let unnamed = node.kind() == "namespace_definition" && node.child_by_field_name("name").is_none();
            if AROUND.contains(&node.kind()) || unnamed {
                let mut inside = Outline::default();
                self.level(node.child_by_field_name("body").unwrap_or(node), &mut inside);
                out.definitions.append(&mut inside.definitions);
                out.imports.append(&mut inside.imports);
            } else if IMPORTS.contains(&node.kind()) || self.is_require(node) {
                out.imports.push(rows);
            } else if let Some(mut found) = self.definition(node) {
                found.lines.start = above.map_or(found.lines.start, |before| before.start);
                out.definitions.push(found);
            } else if !FRAME.contains(&node.kind()) && !node.is_error() {
                out.statements.push(rows);
            }
        }
    }

    /// `const x = require('y')`.
    fn is_require(&self, node: Node<'_>) -> bool {
        let value = || node.named_child(0)?.child_by_field_name("value");
        matches!(node.kind(), "lexical_declaration" | "variable_declaration")
            && value().is_some_and(|value| {
                value.kind() == "call_expression" && self.field(value, "function").as_deref() == Some("require")
            })
    }

    fn line(&self, row: usize) -> &str {
        self.text.lines().nth(row).unwrap_or("")
    }

    fn text_of(&self, node: Node<'_>) -> String {
        node.utf8_text(self.text.as_bytes()).unwrap_or("").to_owned()
    }

    fn field(&self, node: Node<'_>, name: &str) -> Option<String> {
        node.child_by_field_name(name).map(|child| self.text_of(child))
    }

    fn definition(&self, node: Node<'_>) -> Option<Definition> {
        let make = |name: String, is_function| made(name, node, is_function);
        match node.kind() {
            "decorated_definition" | "export_statement" | "template_declaration" => self.wrapped(node),
            "function_definition"
            | "function_declaration"
            | "generator_function_declaration"
            | "function_item"
            | "function_signature_item"
            | "method_definition"
            | "constructor_declaration"
            | "macro_definition" => {
                let declarator = node.child_by_field_name("declarator");
                // A test in C++ is a macro's call with a body: `TEST(Suite, Name) { … }`.
                if let Some(declarator) = declarator.filter(|_| node.child_by_field_name("type").is_none())
                    && self.text_of(declarator).split_once('(').is_some_and(|(word, rest)| {
                        word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') && rest.contains(',')
                    })
                {
                    return Some(make(self.text_of(declarator), true));
                }
                let name = self.field(node, "name").or_else(|| self.declared(declarator?))?;
                Some(make(name, true))
            }
            "method_declaration" => {
                let name = self.field(node, "name")?;
                let receiver = self.field(node, "receiver").map(|text| {
                    let inner = text.trim_matches(['(', ')']).to_owned();
                    inner.rsplit([' ', '*']).next().unwrap_or("").to_owned()
                });
                Some(make(receiver.map_or_else(|| name.clone(), |of| format!("{of}.{name}")), true))
            }
            "class_definition"
            | "class_declaration"
            | "abstract_class_declaration"
            | "interface_declaration"
            | "enum_declaration"
            | "record_declaration"
            | "trait_item"
            | "mod_item"
            | "namespace_definition"
            | "class_specifier"
            | "internal_module" => {
                let name = self.field(node, "name").unwrap_or_default();
                Some(self.container(node, make(name, false)))
            }
            "impl_item" => {
                let of = self.field(node, "trait").map_or(String::new(), |of| format!("{of} for "));
                let name = format!("impl {of}{}", self.field(node, "type")?);
                Some(self.container(node, make(name, false)))
            }
            _ => self.value(node),
        }
    }

    /// A definition that is no function and holds none: a type, a constant, a field.
    fn value(&self, node: Node<'_>) -> Option<Definition> {
        let make = |name: String, is_function| made(name, node, is_function);
        match node.kind() {
            // An include guard, a flag.
            "preproc_def" if node.child_by_field_name("value").is_none() => None,
            "struct_item"
            | "enum_item"
            | "union_item"
            | "const_item"
            | "static_item"
            | "type_item"
            | "struct_specifier"
            | "enum_specifier"
            | "union_specifier"
            | "type_alias_declaration"
            | "preproc_def"
            | "preproc_function_def"
            | "variable_assignment" => Some(make(self.field(node, "name")?, false)),
            "type_definition" | "field_declaration" | "declaration" => {
                Some(make(self.declared(node.child_by_field_name("declarator")?)?, false))
            }
            "type_declaration"
            | "const_declaration"
            | "var_declaration"
            | "lexical_declaration"
            | "variable_declaration" => {
                let mut cursor = node.walk();
                let is_function =
                    |value: Node<'_>| matches!(value.kind(), "arrow_function" | "function_expression" | "function");
                let named = |child: Node<'_>| {
                    let value = child.child_by_field_name("value");
                    Some((self.field(child, "name")?, value.is_some_and(is_function)))
                };
                let (name, is_function) = node.named_children(&mut cursor).find_map(named)?;
                Some(make(name, is_function))
            }
            "field_definition" | "public_field_definition" => {
                let name = self.field(node, "property").or_else(|| self.field(node, "name"))?;
                Some(make(name, false))
            }
            "expression_statement" if node.named_child(0).is_some_and(|n| n.kind() == "call_expression") => {
                self.test(node)
            }
            "expression_statement" => {
                let inner =
                    node.named_child(0).filter(|n| matches!(n.kind(), "assignment" | "assignment_expression"))?;
                let left = inner.child_by_field_name("left")?;
                let plain = matches!(left.kind(), "identifier" | "member_expression");
                plain.then(|| make(self.text_of(left), false))
            }
            _ => None,
        }
    }

    /// A test or a suite of JavaScript: a call with a name and a function.
    fn test(&self, node: Node<'_>) -> Option<Definition> {
        let call = node.named_child(0)?;
        let called = self.field(call, "function")?;
        let word = called.split('.').next().unwrap_or("");
        let arguments = call.child_by_field_name("arguments")?;
        let title = arguments.named_child(0).filter(|first| matches!(first.kind(), "string" | "template_string"))?;
        let body = arguments.named_child(u32::try_from(arguments.named_child_count()).ok()?.checked_sub(1)?)?;
        if !TESTS.contains(&word) || !matches!(body.kind(), "arrow_function" | "function_expression" | "function") {
            return None;
        }
        let mut definition = made(format!("{word} {}", self.text_of(title)), node, true);
        if matches!(word, "describe" | "suite" | "context") {
            definition.is_function = false;
            definition = self.container(body, definition);
        }
        Some(definition)
    }

    /// A definition inside decorators, an export or a template's parameters.
    fn wrapped(&self, node: Node<'_>) -> Option<Definition> {
        let last = || node.named_child(u32::try_from(node.named_child_count()).ok()?.checked_sub(1)?);
        let inner =
            node.child_by_field_name("definition").or_else(|| node.child_by_field_name("declaration")).or_else(last);
        let found = self.definition(inner?);
        let lines = rows(node);
        let is_default = node.kind() == "export_statement" && self.text_of(node).starts_with("export default");
        match found {
            Some(found) => Some(Definition { lines, ..found }),
            None if is_default => {
                let name = "export default".to_owned();
                Some(Definition { name, lines, inner: Vec::new(), is_container: false, is_function: true })
            }
            None => None,
        }
    }

    fn container(&self, node: Node<'_>, mut definition: Definition) -> Definition {
        definition.is_container = true;
        if let Some(body) = node.child_by_field_name("body") {
            let mut inside = Outline::default();
            self.level(body, &mut inside);
            definition.inner = inside.definitions;
        }
        definition
    }

    /// The name inside C's declarators.
    fn declared(&self, node: Node<'_>) -> Option<String> {
        match node.kind() {
            "identifier"
            | "field_identifier"
            | "type_identifier"
            | "qualified_identifier"
            | "destructor_name"
            | "operator_name" => Some(self.text_of(node)),
            "variable_declarator" => self.field(node, "name"),
            _ => self.declared(node.child_by_field_name("declarator").or_else(|| {
                let mut cursor = node.walk();
                node.named_children(&mut cursor).find(|child| child.kind().ends_with("declarator"))
            })?),
        }
    }
}

fn made(name: String, node: Node<'_>, is_function: bool) -> Definition {
    Definition { name, lines: rows(node), inner: Vec::new(), is_container: false, is_function }
}

fn rows(node: Node<'_>) -> Range<usize> {
    let end = node.end_position();
    // A node that ends with a line break ends on the line before.
    let last = if end.column == 0 && end.row > node.start_position().row { end.row } else { end.row + 1 };
    node.start_position().row..last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grammar_has_its_definitions_with_their_lines() {
        for (path, text, expected) in [
            (
                "a.py",
                "import os\n\n# why\n@d\ndef f():\n    pass\n\nclass A:\n    x = 1\n    def g(self):\n        pass\nX = 2\n",
                "f2-6 A7-11(x g) X11-12",
            ),
            (
                "a.rs",
                "use a;\n/// D\n#[t]\nfn f() {}\nstruct S;\nimpl S {\n    fn g(&self) {}\n}\n",
                "f1-4 S4-5 impl S5-8(g)",
            ),
            (
                "a.js",
                "import x from 'x';\nexport function f() {}\nconst g = () => 1;\nclass A {\n  m() {}\n}\nmodule.exports = f;\n",
                "f1-2 g2-3 A3-6(m) module.exports6-7",
            ),
            ("a.ts", "interface I { a: number }\nexport const f = (x: number) => x;\n", "I0-1(…) f1-2"),
            (
                "a.go",
                "package a\nimport \"x\"\n// F\nfunc F() {}\nfunc (s *S) G() {}\ntype S struct{}\n",
                "F2-4 S.G4-5 S5-6",
            ),
            ("a.c", "#include <x.h>\nstatic int *f(int a) {\n  return 0;\n}\nstruct S { int x; };\n", "f1-4 S4-5"),
            ("a.cpp", "void A::f() {}\ntemplate <class T> T g(T x) { return x; }\n", "A::f0-1 g1-2"),
            ("a.h", "#ifndef A_H\n#define A_H\n#include <x.h>\n\nint f(int a);\n#define N 3\n#endif\n", "f4-5 N5-6"),
            ("a.test.js", "const a = require('a');\ntest('x', () => {\n  a();\n});\n", "test 'x'1-4"),
            ("a.java", "import x.Y;\nclass A {\n  int x;\n  A() {}\n  void f() {}\n}\n", "A1-6(x A f)"),
            ("a.sh", "f() {\n  ls\n}\nX=1\n", "f0-3 X3-4"),
        ] {
            let found = outline(path, text).unwrap();
            let shown: Vec<String> = found
                .definitions
                .iter()
                .map(|d| {
                    let inner: Vec<&str> = d.inner.iter().map(|i| i.name.as_str()).collect();
                    let inner = if inner.is_empty() { String::new() } else { format!("({})", inner.join(" ")) };
                    format!("{}{}-{}{inner}", d.name, d.lines.start, d.lines.end)
                })
                .collect();
            let expected = expected.replace("(…)", "");
            assert_eq!(shown.join(" "), expected, "{path}: {found:?}");
        }
    }
}
