//! A uniform shift of indentation between what a model wrote and what the file has.

/// How the indentation of written lines becomes the file's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reindent {
    Keep,
    /// The file has this in front of every line.
    Add(String),
    /// The written lines have this in front of every line.
    Remove(String),
    /// Each written indentation stands for one of the file's (tabs for spaces, say).
    Swap(Vec<(String, String)>),
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

impl Reindent {
    /// The shift that makes `written` into `file`, where one and the same shift does for every line.
    pub(super) fn between(written: &[&str], file: &[&str]) -> Option<Self> {
        let pairs: Vec<(&str, &str)> = written
            .iter()
            .zip(file)
            .filter(|(w, _)| !w.trim().is_empty())
            .map(|(w, f)| (indentation(w), indentation(f)))
            .collect();
        let (w, f) = *pairs.first()?;
        if let Some(extra) = f.strip_suffix(w)
            && pairs.iter().all(|(w, f)| *f == format!("{extra}{w}"))
        {
            return Some(Self::Add(extra.to_owned()));
        }
        if let Some(extra) = w.strip_suffix(f)
            && pairs.iter().all(|(w, f)| *w == format!("{extra}{f}"))
        {
            return Some(Self::Remove(extra.to_owned()));
        }
        let mut swaps: Vec<(String, String)> = Vec::new();
        for (w, f) in pairs {
            match swaps.iter().find(|(from, _)| from == w) {
                Some((_, to)) if to != f => return None,
                Some(_) => {}
                None => swaps.push((w.to_owned(), f.to_owned())),
            }
        }
        swaps.sort_by_key(|(from, _)| from.len());
        // Deeper must stay deeper, whether the indenting character changes or the width of a step.
        let ordered = swaps.windows(2).all(|pair| pair[0].1.len() < pair[1].1.len());
        (ordered && is_one_step(&swaps)).then_some(Self::Swap(swaps))
    }

    /// A written line with the file's indentation. Nothing where the shift cannot be applied to it.
    pub(super) fn apply(&self, line: &str) -> Option<String> {
        if line.trim().is_empty() {
            return Some(if matches!(self, Self::Keep) { line.to_owned() } else { String::new() });
        }
        match self {
            Self::Keep => Some(line.to_owned()),
            Self::Add(extra) => Some(format!("{extra}{line}")),
            Self::Remove(extra) => line.strip_prefix(extra.as_str()).map(str::to_owned),
            Self::Swap(swaps) => {
                let indent = indentation(line);
                // Where no step is common to both, only what was seen can be told.
                let (from, to) = swaps.iter().rev().find(|(from, _)| indent.starts_with(from.as_str()))?;
                let rest = &indent[from.len()..];
                let rest = if rest.is_empty() { String::new() } else { converted(rest, swaps)? };
                Some(format!("{to}{rest}{}", line.trim_start()))
            }
        }
    }
}

/// Whether spaces stand for spaces by one width of a step: where one depth stays and another moves, or steps differ, these
/// are other lines of the same look (a row of closing brackets).
fn is_one_step(swaps: &[(String, String)]) -> bool {
    let only_spaces = |text: &str| text.chars().all(|c| c == ' ');
    if !swaps.iter().all(|(from, to)| only_spaces(from) && only_spaces(to)) {
        return true;
    }
    let widths: Vec<(i64, i64)> = swaps.iter().map(|(from, to)| (from.len() as i64, to.len() as i64)).collect();
    let stays = widths.iter().any(|(from, to)| from == to && *from > 0);
    let even =
        widths.windows(3).all(|w| (w[1].1 - w[0].1) * (w[2].0 - w[1].0) == (w[2].1 - w[1].1) * (w[1].0 - w[0].0));
    !stays && even
}

/// Further levels of indentation in the file's character.
fn converted(rest: &str, swaps: &[(String, String)]) -> Option<String> {
    let (from, to) = swaps.iter().find(|(from, to)| !from.is_empty() && !to.is_empty())?;
    let only = |text: &str, mark: char| text.chars().all(|c| c == mark);
    if swaps.iter().all(|(from, to)| only(from, ' ') && only(to, ' ')) {
        // Steps of two for steps of four: every pair has one ratio.
        let even = swaps.iter().all(|(f, t)| f.len() * to.len() == t.len() * from.len());
        let width = rest.len() * to.len();
        return (even && width.is_multiple_of(from.len())).then(|| " ".repeat(width / from.len()));
    }
    if to.chars().all(|c| c == '\t') && from.chars().all(|c| c == ' ') {
        let unit = from.len() / to.len();
        return (unit > 0 && rest.len().is_multiple_of(unit)).then(|| "\t".repeat(rest.len() / unit));
    }
    if to.chars().all(|c| c == ' ') && from.chars().all(|c| c == '\t') {
        return Some(" ".repeat(to.len() / from.len() * rest.len()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_and_applies_one_shift_for_all_lines() {
        let add = Reindent::between(&["a", "  b"], &["    a", "      b"]).unwrap();
        assert_eq!(add, Reindent::Add("    ".into()));
        assert_eq!(add.apply("  c").as_deref(), Some("      c"));
        let remove = Reindent::between(&["    a"], &["a"]).unwrap();
        assert_eq!(remove.apply("      c").as_deref(), Some("  c"));
        assert_eq!(remove.apply("c"), None);
        let swap = Reindent::between(&["    a", "        b"], &["\ta", "\t\tb"]).unwrap();
        assert_eq!(swap.apply("            c").as_deref(), Some("\t\t\tc"));
        assert_eq!(Reindent::between(&["a", "  b"], &["    a", "   b"]), None);
        let wider = Reindent::between(&["a", "  b"], &["a", "    b"]).unwrap();
        assert_eq!(wider.apply("    c").as_deref(), Some("        c"));
        let uneven = Reindent::between(&["a", "  b"], &["  a", "      b"]).unwrap();
        assert_eq!(uneven.apply("  c").as_deref(), Some("      c"));
        assert_eq!(uneven.apply("    c"), None);
        let brackets = ["                a", "            }", "        }"];
        assert_eq!(Reindent::between(&brackets, &["                a", "        }", "    }"]), None);
        assert_eq!(Reindent::between(&brackets[..2], &["                a", "        }"]), None);
        assert_eq!(Reindent::between(&["a", "  b", "      c"], &["a", "    b", "        c"]), None);
    }
}
