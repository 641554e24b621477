//! Structured data: how much of a file's keys a fence has, and a quoted part of JSON or YAML put into its file.
//!
//! A part is a mapping with its parent keys. What it has replaces the file's values, what it has not stays, comments and
//! layout too; a list that would lose items is no certain part.

use std::collections::BTreeSet;
use std::ops::Range;

mod json;
mod yaml;

use super::super::{elision, paths};
use super::Spliced;

/// The file with the fence's keys in it; nothing where that is not safe.
pub(super) fn merged(path: &str, text: &str, fence: &str, named: bool) -> Option<Spliced> {
    if !elision::brought_in(text, fence, false).is_empty() {
        return None;
    }
    let mut merge = Merge::default();
    match paths::extension(path).as_str() {
        "json" | "jsonc" | "json5" => {
            let old = json::read(text)?;
            // A part may come without the braces around it.
            let braced = format!("{{\n{}\n}}\n", fence.trim().trim_end_matches(','));
            let (fence, new) = match json::read(fence) {
                Some(new) => (fence, new),
                None => (braced.as_str(), json::read(&braced)?),
            };
            merge.json((text, &old), (fence, &new), &mut Vec::new())?;
        }
        "yaml" | "yml" => {
            let (old, new) = (yaml::read(text)?, yaml::read(fence)?);
            // A part that is indented comes without its parents.
            let nested = new.nodes.iter().any(|node| node.indent > 0);
            let home = if nested && named { yaml::home(&old.nodes, &new.nodes) } else { None };
            match home {
                Some(inside) => merge.yaml((&old, inside), (&new, &new.nodes))?,
                None if nested => return None,
                None => merge.yaml((&old, &old.nodes), (&new, &new.nodes))?,
            }
        }
        _ => return None,
    }
    if merge.replaced.is_empty() && (!named || merge.added.is_empty()) {
        return None;
    }
    let mut out = text.to_owned();
    merge.changes.sort_by_key(|(range, _)| (range.start, range.end));
    if merge.changes.windows(2).any(|pair| pair[0].0.end > pair[1].0.start) {
        return None;
    }
    for (range, with) in merge.changes.iter().rev() {
        out.replace_range(range.clone(), with);
    }
    let sound = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    if paths::extension(path) == "json" && sound(text) && !sound(&out) {
        return None;
    }
    Some(Spliced { text: out, replaced: merge.replaced, added: merge.added, left_out: 0 })
}

/// The share of the file's values (by their keys, lists as one) that the fence has too; nothing where either is no data.
pub fn coverage(path: &str, text: &str, fence: &str) -> Option<f64> {
    let keys: fn(&str) -> Option<BTreeSet<String>> = match paths::extension(path).as_str() {
        "json" | "jsonc" | "json5" => json::keys,
        "yaml" | "yml" => yaml::keys,
        "toml" => toml_keys,
        _ => return None,
    };
    let (old, new) = (keys(text)?, keys(fence)?);
    if old.is_empty() {
        return None;
    }
    Some(old.intersection(&new).count() as f64 / old.len() as f64)
}

fn toml_keys(text: &str) -> Option<BTreeSet<String>> {
    fn leaves(prefix: &str, table: &toml::Table, out: &mut BTreeSet<String>) {
        for (key, value) in table {
            let path = format!("{prefix}/{key}");
            match value {
                toml::Value::Table(inner) if !inner.is_empty() => leaves(&path, inner, out),
                _ => drop(out.insert(path)),
            }
        }
    }
    let mut out = BTreeSet::new();
    leaves("", &text.parse().ok()?, &mut out);
    Some(out)
}

#[derive(Default)]
struct Merge {
    changes: Vec<(Range<usize>, String)>,
    replaced: Vec<String>,
    added: Vec<String>,
}

impl Merge {
    fn json(
        &mut self,
        (text, old): (&str, &json::Value),
        (fence, new): (&str, &json::Value),
        at: &mut Vec<String>,
    ) -> Option<()> {
        use json::Inside;
        let (own, given) = (&text[old.span.clone()], &fence[new.span.clone()]);
        let given = moved(given, indent_at(fence, new.span.start), indent_at(text, old.span.start));
        let plain = |text: &str, span: &Range<usize>| text[span.clone()].split_whitespace().collect::<String>();
        let changed = match (&old.inside, &new.inside) {
            (Inside::Object(members), Inside::Object(others)) if !members.is_empty() => {
                for other in others {
                    at.push(other.key.clone());
                    let same: Vec<&json::Member> = members.iter().filter(|m| m.key == other.key).collect();
                    match (same.as_slice(), members.last()) {
                        ([member], _) => self.json((text, &member.value), (fence, &other.value), at)?,
                        ([], Some(last)) => self.json_member(text, last, fence, other, at),
                        _ => return None,
                    }
                    at.pop();
                }
                return Some(());
            }
            (Inside::Object(_), Inside::Object(others)) => !others.is_empty(),
            (Inside::List(items), Inside::List(others)) => {
                let others: Vec<String> = others.iter().map(|item| plain(fence, item)).collect();
                let items: Vec<String> = items.iter().map(|item| plain(text, item)).collect();
                if items.len() != others.len() && !items.iter().all(|item| others.contains(item)) {
                    return None;
                }
                items != others
            }
            (Inside::Scalar, Inside::Scalar) => own != given,
            (Inside::Scalar, _) if own == "null" => true,
            _ => return None,
        };
        self.replaced.push(at.join("."));
        if changed {
            self.changes.push((old.span.clone(), given));
        }
        Some(())
    }

    /// Adds a member behind the last one, with the same blanks before it.
    fn json_member(&mut self, text: &str, last: &json::Member, fence: &str, other: &json::Member, at: &[String]) {
        let given = &fence[other.start..other.value.span.end];
        let gap = &text[text[..last.start].trim_end().len()..last.start];
        let given = moved(given, indent_at(fence, other.start), indent_at(text, last.start));
        let place = last.value.span.end;
        self.added.push(at.join("."));
        self.changes.push((place..place, format!(",{gap}{given}")));
    }

    fn yaml(
        &mut self,
        (old, nodes): (&yaml::Doc, &[yaml::Node]),
        (new, others): (&yaml::Doc, &[yaml::Node]),
    ) -> Option<()> {
        for other in others {
            let same: Vec<&yaml::Node> = nodes.iter().filter(|node| node.key == other.key).collect();
            match (same.as_slice(), nodes.last()) {
                ([node], _) if !node.inside.is_empty() && !other.inside.is_empty() => {
                    self.yaml((old, &node.inside), (new, &other.inside))?;
                }
                ([node], _) => {
                    let given = new.lines_of(other, node.indent);
                    let own = old.lines_of(node, node.indent);
                    // A list that loses items, and what is a mapping here and a value there, may be quoted in part.
                    let lost = node.is_list && !own.iter().all(|line| given.contains(line)) && own.len() != given.len();
                    let other_kind = node.inside.is_empty() != other.inside.is_empty() && !node.is_empty;
                    if lost || other_kind || node.is_list != other.is_list && !node.is_empty {
                        return None;
                    }
                    self.replaced.push(node.key.clone());
                    if own != given {
                        self.changes.push((old.bytes(node), given.join("\n")));
                    }
                }
                ([], Some(last)) => {
                    let place = old.bytes(last).end;
                    self.added.push(other.key.clone());
                    self.changes.push((place..place, format!("\n{}", new.lines_of(other, last.indent).join("\n"))));
                }
                _ => return None,
            }
        }
        Some(())
    }
}

/// The blanks that the line of this byte begins with.
fn indent_at(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
    let line = &text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Text of several lines with another indentation for all but the first.
fn moved(text: &str, from: &str, to: &str) -> String {
    let line = |(at, line): (usize, &str)| match line.strip_prefix(from) {
        Some(rest) if at > 0 => format!("{to}{rest}"),
        _ => line.to_owned(),
    };
    text.split('\n').enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "{\n  \"name\": \"a\",\n  \"scripts\": {\n    \"test\": \"node --test\"\n  },\n  \"files\": [\"x\", \"y\"]\n}\n";
    const COMPOSE: &str = "# Services.\nservices:\n  web:\n    image: web:1\n    ports:\n      - \"80:80\"\n  # The store.\n  db:\n    image: db\n\nvolumes:\n  data:\n";

    fn put(path: &str, text: &str, fence: &str) -> Option<String> {
        merged(path, text, fence, true).map(|spliced| spliced.text)
    }

    #[test]
    fn a_part_of_json_goes_where_its_keys_are() {
        let after = PACKAGE.replace("node --test\"", "jest\",\n    \"lint\": \"eslint .\"");
        let part = "{\n    \"scripts\": {\n        \"test\": \"jest\",\n        \"lint\": \"eslint .\"\n    }\n}\n";
        assert_eq!(put("package.json", PACKAGE, part).as_deref(), Some(after.as_str()));
        let bare = "\"scripts\": {\n  \"test\": \"jest\",\n  \"lint\": \"eslint .\"\n},\n";
        assert_eq!(put("package.json", PACKAGE, bare).as_deref(), Some(after.as_str()));
        assert_eq!(put("package.json", &after, part).as_deref(), Some(after.as_str()));
        assert_eq!(put("package.json", PACKAGE, "{\"files\": [\"x\"]}"), None, "an item would be lost");
        assert_eq!(put("package.json", PACKAGE, "{\"scripts\": 1}"), None);
        let settings = "{\n  // why\n  \"a\": 1, // one\n}\n";
        let expected = "{\n  // why\n  \"a\": 1,\n  \"b\": {\"c\": []}, // one\n}\n";
        assert_eq!(put("settings.jsonc", settings, "{\"b\": {\"c\": []}}").as_deref(), Some(expected));
    }

    #[test]
    fn a_part_of_yaml_goes_where_its_keys_are() {
        let after =
            COMPOSE.replace("image: web:1", "image: web:2").replace("\"80:80\"\n", "\"80:80\"\n    restart: always\n");
        let part = "services:\n    web:\n        image: web:2\n        restart: always\n";
        assert_eq!(put("compose.yaml", COMPOSE, part).as_deref(), Some(after.as_str()));
        assert_eq!(put("compose.yaml", &after, part).as_deref(), Some(after.as_str()));
        let list = "services:\n  web:\n    ports:\n      - \"80:80\"\n      - \"81:81\"\n";
        let longer = COMPOSE.replace("- \"80:80\"\n", "- \"80:80\"\n      - \"81:81\"\n");
        assert_eq!(put("compose.yaml", COMPOSE, list).as_deref(), Some(longer.as_str()));
        assert_eq!(put("compose.yaml", COMPOSE, "services:\n  web:\n    ports: []\n"), None);
        assert_eq!(put("two.yaml", "a: 1\n---\na: 2\n", "a: 3\n"), None);
    }

    #[test]
    fn coverage_counts_keys() {
        let of = |path: &str, text: &str, fence: &str| coverage(path, text, fence).map(|share| (share * 100.0) as u32);
        assert_eq!(of("a.json", PACKAGE, "{\"name\": \"b\"}"), Some(33));
        assert_eq!(of("a.yml", COMPOSE, COMPOSE), Some(100));
        assert_eq!(of("a.yml", COMPOSE, "services:\n  db:\n    image: x\n"), Some(25));
        assert_eq!(of("a.toml", "[a]\nb = 1\nc = 2\n", "[a]\nb = 3\n"), Some(50));
        assert_eq!(of("a.txt", "a\n", "b\n"), None);
    }
}
