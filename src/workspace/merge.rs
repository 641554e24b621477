//! Three-way merging by lines: what undo needs where the user went on editing.

use similar::{Algorithm, DiffOp};

/// A change of `base[range]` to other lines.
struct Hunk<'a> {
    range: std::ops::Range<usize>,
    lines: Vec<&'a str>,
}

/// `base` with the changes of both sides. Nothing where they touch the same or adjoining lines.
pub(super) fn merged(base: &str, ours: &str, theirs: &str) -> Option<String> {
    let base_lines: Vec<&str> = base.split_inclusive('\n').collect();
    let our_lines: Vec<&str> = ours.split_inclusive('\n').collect();
    let their_lines: Vec<&str> = theirs.split_inclusive('\n').collect();
    let mut hunks = hunks(&base_lines, &our_lines);
    let others = self::hunks(&base_lines, &their_lines);
    for other in others {
        // A hunk that only inserts has an empty range; adjoining counts as touching, to be safe.
        if hunks.iter().any(|hunk| other.range.start <= hunk.range.end && hunk.range.start <= other.range.end) {
            return None;
        }
        hunks.push(other);
    }
    hunks.sort_by_key(|hunk| hunk.range.start);
    let mut out = String::new();
    let mut next = 0;
    for hunk in &hunks {
        out.extend(base_lines[next..hunk.range.start].iter().copied());
        out.extend(hunk.lines.iter().copied());
        next = hunk.range.end;
    }
    out.extend(base_lines[next..].iter().copied());
    Some(out)
}

fn hunks<'a>(base: &[&'a str], side: &[&'a str]) -> Vec<Hunk<'a>> {
    similar::capture_diff_slices(Algorithm::Myers, base, side)
        .into_iter()
        .filter(|operation| !matches!(operation, DiffOp::Equal { .. }))
        .map(|operation| Hunk { range: operation.old_range(), lines: side[operation.new_range()].to_vec() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn joins_what_does_not_meet_and_refuses_what_does() {
        let base = "a\nb\nc\nd\ne\n";
        assert_eq!(merged(base, "A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n").as_deref(), Some("A\nb\nc\nd\nE\n"));
        assert_eq!(merged(base, "A\nb\nc\nd\ne\n", "x\nb\nc\nd\ne\n"), None);
        assert_eq!(merged(base, base, "").as_deref(), Some(""));
    }
}
