//! A change as a unified diff, for people.

/// The unified diff of one file; `None` stands for a file that is not there.
pub fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    let name = |side: &str, text: Option<&str>| text.map_or("/dev/null".to_owned(), |_| format!("{side}/{path}"));
    similar::TextDiff::from_lines(before.unwrap_or(""), after.unwrap_or(""))
        .unified_diff()
        .context_radius(CONTEXT)
        .header(&name("a", before), &name("b", after))
        .to_string()
}

/// How many lines come and go.
pub fn counts(before: Option<&str>, after: Option<&str>) -> (u32, u32) {
    let diff = similar::TextDiff::from_lines(before.unwrap_or(""), after.unwrap_or(""));
    diff.iter_all_changes().fold((0, 0), |(added, removed), change| match change.tag() {
        similar::ChangeTag::Insert => (added + 1, removed),
        similar::ChangeTag::Delete => (added, removed + 1),
        similar::ChangeTag::Equal => (added, removed),
    })
}

/// Lines around a change in a diff.
const CONTEXT: usize = 3;

/// The text with only these hunks (counted from 0, as [`unified`] shows them) of the change.
pub fn with_hunks(before: &str, after: &str, taken: &[usize]) -> String {
    with_places(before, after, CONTEXT, taken)
}

/// At how many places a text changes; changed lines with no more than twice `radius` lines between them are one place.
pub fn places(before: &str, after: &str, radius: usize) -> usize {
    similar::TextDiff::from_lines(before, after).grouped_ops(radius).len()
}

/// The text with only these places (counted from 0, see [`places`]) of the change.
pub fn with_places(before: &str, after: &str, radius: usize, taken: &[usize]) -> String {
    let diff = similar::TextDiff::from_lines(before, after);
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let mut text = String::new();
    let mut at = 0;
    for (number, group) in diff.grouped_ops(radius).iter().enumerate() {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let range = first.old_range().start..last.old_range().end;
        text.extend(old[at..range.start].iter().copied());
        if taken.contains(&number) {
            let lines = group.iter().flat_map(|op| diff.iter_changes(op));
            text.extend(lines.filter(|change| change.tag() != similar::ChangeTag::Delete).map(|change| change.value()));
        } else {
            text.extend(old[range.clone()].iter().copied());
        }
        at = range.end;
    }
    text.extend(old[at..].iter().copied());
    text
}

/// The text after the change, with those changed or deleted lines before the new ones of which one is to be `kept`.
pub fn union(before: &str, after: &str, kept: &dyn Fn(&str) -> bool) -> String {
    let diff = similar::TextDiff::from_lines(before, after);
    let mut text = String::new();
    for op in diff.ops() {
        let (mut old, mut new) = (String::new(), String::new());
        let mut keeps = false;
        for change in diff.iter_changes(op) {
            if change.tag() == similar::ChangeTag::Delete {
                keeps |= kept(change.value());
                old.push_str(change.value());
            } else {
                new.push_str(change.value());
            }
        }
        if keeps {
            text.push_str(&old);
        }
        text.push_str(&new);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_are_taken_one_by_one() {
        let before: String = (1..=30).map(|n| format!("{n}\n")).collect();
        let after = before.replace("\n3\n", "\nthree\n").replace("\n25\n", "\n25\n25b\n");
        assert_eq!(with_hunks(&before, &after, &[]), before);
        assert_eq!(with_hunks(&before, &after, &[0, 1]), after);
        assert_eq!(with_hunks(&before, &after, &[0]), before.replace("\n3\n", "\nthree\n"));
        assert_eq!(with_hunks(&before, &after, &[1]), before.replace("\n25\n", "\n25\n25b\n"));
        assert_eq!(with_hunks("", "new", &[0]), "new");
        let near = before.replace("\n3\n", "\nthree\n").replace("\n5\n", "\nfive\n");
        assert_eq!((places(&before, &near, 0), places(&before, &near, 1), places(&before, &before, 0)), (2, 1, 0));
        assert_eq!(with_places(&before, &near, 0, &[1]), before.replace("\n5\n", "\nfive\n"));
    }
}
