//! A change as a unified diff, for people.

/// The unified diff of one file; `None` stands for a file that is not there.
pub fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    const CONTEXT: usize = 3;
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
