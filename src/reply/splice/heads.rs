//! What a part of a file leaves out of heads and lists: modifiers, the rest of an export list; and a head that it changes. Pure.

/// Words before a declaration that a model leaves out when it shows the declaration alone.
const MODIFIERS: [&str; 16] = [
    "export",
    "default",
    "pub",
    "pub(crate)",
    "pub(super)",
    "public",
    "private",
    "protected",
    "internal",
    "static",
    "final",
    "inline",
    "extern",
    "abstract",
    "override",
    "open",
];

/// Gives a definition the modifiers that it had, where its part has none.
pub(super) fn keep_modifiers(before: &[String], lines: &mut [String]) {
    let (Some(old), Some(at)) = (before.iter().find(|line| is_head(line)), lines.iter().position(|line| is_head(line)))
    else {
        return;
    };
    let words = |line: &str| -> Vec<String> {
        line.split_whitespace().take_while(|word| MODIFIERS.contains(word)).map(str::to_owned).collect()
    };
    let (had, has) = (words(old), words(&lines[at]));
    // The same kind of declaration: "export function f" for "function f", never "static int n" for "void f()".
    let kind = |line: &str, skip: usize| line.split_whitespace().nth(skip).map(str::to_owned);
    if !had.is_empty() && has.is_empty() && kind(old, had.len()) == kind(&lines[at], 0) {
        let text = lines[at].trim_start();
        let indent = lines[at].len() - text.len();
        lines[at] = format!("{}{} {text}", &lines[at][..indent], had.join(" "));
    }
}

/// A line that declares something: no comment, no attribute, not blank.
fn is_head(line: &str) -> bool {
    !line.trim().is_empty() && !is_above(line)
}

/// A line that stands above a definition and belongs to it: a comment, a decorator, an attribute.
pub(super) fn is_above(line: &str) -> bool {
    let text = line.trim_start();
    text.starts_with(['@', '#', '*']) || text.starts_with("//") || text.starts_with("/*")
}

/// How many lines stand above a definition.
pub(super) fn leading(lines: &[String]) -> usize {
    lines.iter().take_while(|line| is_above(line)).count()
}

/// The lines above a class with the decorators or attributes that the part gives it and that are new or changed, and how many
/// lines they stand for. What the part leaves out stays; one over several lines says nothing.
pub(super) fn other_attributes(old: &[String], new: &[String]) -> Option<(usize, Vec<String>)> {
    let is_attribute = |line: &String| line.trim_start().starts_with('@') || line.trim_start().starts_with("#[");
    let closed = |line: &String| line.matches(['(', '[', '{']).count() == line.matches([')', ']', '}']).count();
    let name = |line: &str| -> String {
        line.trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '@' | '#' | '[' | '_' | '.' | ':'))
            .collect()
    };
    let count = leading(old);
    let mut lines: Vec<String> = old[..count].to_vec();
    let given: Vec<&String> = new[..leading(new)].iter().filter(|line| is_attribute(line)).collect();
    if !given.iter().all(|line| closed(line)) || !lines.iter().filter(|line| is_attribute(line)).all(closed) {
        return None;
    }
    for line in given {
        if lines.iter().any(|other| other.trim() == line.trim()) {
            continue;
        }
        let is_same = |at: &usize| is_attribute(&lines[*at]) && name(&lines[*at]) == name(line);
        let same: Vec<usize> = (0..lines.len()).filter(is_same).collect();
        match same.as_slice() {
            [at] => lines[*at].clone_from(line),
            _ => lines.push(line.clone()),
        }
    }
    (lines != old[..count]).then_some((count, lines))
}

/// The place of a class's head within its lines and the head that the part gives it, where that is another one: another base,
/// another interface.
pub(super) fn other_head(old: &[String], new: &[String], name: &str) -> Option<(usize, String)> {
    let declares = |line: &String| {
        is_head(line)
            && line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
            && line.trim_end().ends_with([':', '{'])
    };
    let at = old.iter().position(declares)?;
    let mut head = vec![new.iter().find(|line| declares(line))?.clone()];
    keep_modifiers(&old[at..=at], &mut head);
    let indent = &old[at][..old[at].len() - old[at].trim_start().len()];
    let line = format!("{indent}{}", head[0].trim());
    (line.trim_end() != old[at].trim_end()).then_some((at, line))
}

/// Whether a name stands for the list of what a file gives to others.
pub(super) fn is_export_list(name: &str) -> bool {
    matches!(name, "module.exports" | "exports" | "__all__")
}

/// A list with the entries of the old one that the file still defines.
pub(super) fn united(before: &[String], lines: Vec<String>, defined: &dyn Fn(&str) -> bool) -> Vec<String> {
    let (old, new) = (before.join("\n"), lines.join("\n"));
    let (Some(had), Some((from, to))) = (entries(&old), inside(&new)) else { return lines };
    let Some(has) = entries(&new) else { return lines };
    let key = |entry: &str| entry.split(':').next().unwrap_or(entry).trim().trim_matches(['"', '\'']).to_owned();
    let missing: Vec<&String> =
        had.iter().filter(|entry| defined(&key(entry)) && !has.iter().any(|other| key(other) == key(entry))).collect();
    if missing.is_empty() {
        return lines;
    }
    let body = new[from..to].trim_end().trim_end_matches(',');
    let (glue, end) = if new[from..to].contains('\n') {
        let indent: String = new[from..to].trim_start_matches('\n').chars().take_while(|c| c.is_whitespace()).collect();
        (format!(",\n{indent}"), "\n".to_owned())
    } else {
        (", ".to_owned(), new[from..to].chars().rev().take_while(|c| c.is_whitespace()).collect())
    };
    let added: String = missing.iter().map(|entry| format!("{glue}{entry}")).collect();
    format!("{}{body}{added}{end}{}", &new[..from], &new[to..]).lines().map(str::to_owned).collect()
}

/// The entries of a flat list; `None` where it holds more than names.
fn entries(text: &str) -> Option<Vec<String>> {
    let (from, to) = inside(text)?;
    let body = &text[from..to];
    let flat = !body.contains(['{', '[', '(', '`']) && !body.contains("...") && !body.contains("//");
    flat.then(|| body.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect())
}

/// Where the inside of the outermost brackets lies.
fn inside(text: &str) -> Option<(usize, usize)> {
    let from = text.find(['{', '['])? + 1;
    let to = text.rfind(['}', ']'])?;
    (from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_list_of_exports_keeps_what_is_still_defined() {
        let defined = |name: &str| name != "gone";
        let of = |old: &str, new: &str| united(&lines(old), lines(new), &defined).join("\n");
        let old = "module.exports = { add, mul, gone };";
        assert_eq!(of(old, "module.exports = { add };"), "module.exports = { add, mul };");
        assert_eq!(of(old, "module.exports = {\n  add,\n  sub,\n};"), "module.exports = {\n  add,\n  sub,\n  mul\n};");
        assert_eq!(of("__all__ = [\"a\", \"b\"]", "__all__ = [\"c\"]"), "__all__ = [\"c\", \"a\", \"b\"]");
        assert_eq!(of(old, "module.exports = add;"), "module.exports = add;");
        assert_eq!(of(old, "module.exports = { ...rest };"), "module.exports = { ...rest };");
    }

    #[test]
    fn modifiers_stay_and_another_base_is_taken() {
        let of = |old: &str, new: &str| {
            let mut new = lines(new);
            keep_modifiers(&lines(old), &mut new);
            new.join("\n")
        };
        assert_eq!(of("/** Adds. */\nexport function f(a) {", "function f(a, b) {"), "export function f(a, b) {");
        assert_eq!(of("pub fn f() {", "fn f(a: u8) {"), "pub fn f(a: u8) {");
        assert_eq!(of("    static int f(void)", "    int f(int a)"), "    static int f(int a)");
        assert_eq!(of("export const f = 1;", "function f() {"), "function f() {");
        assert_eq!(of("pub fn f() {", "pub(crate) fn f() {"), "pub(crate) fn f() {");
        let head = |old: &str, new: &str| other_head(&lines(old), &lines(new), "A");
        assert_eq!(head("@final\nclass A:\n    x = 1", "class A(dict):"), Some((1, "class A(dict):".to_owned())));
        assert_eq!(head("export class A {", "class A {"), None);
        assert_eq!(head("export class A {", "class A extends B {"), Some((0, "export class A extends B {".to_owned())));
    }
}
