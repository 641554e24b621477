//! The parts of a change that fails its check: its places one by one, then all but one of them. Pure.
//!
//! A small model often mends the right line and makes another worse in the same reply. Which is which, the check can say,
//! and a trial costs no token. Not for: running them (`agent/round.rs`), what a person takes of a change (`propose.rs`).

use super::Patch;
use crate::workspace::diff;
use crate::workspace::plan::Planned;

/// A change with more places than this, however coarsely they are counted, is tried as it is or not at all.
const PLACES_MAX: usize = 6;
/// How far apart two changed lines may stand and still be one place, half of it: the finest that leaves few enough.
const RADII: [usize; 3] = [0, 1, 3];
/// What the trials of one change's parts may take together, by what the whole took.
const TRIALS_MS_MAX: u64 = 6_000;

/// One place of a change: a run of lines of a file, or the whole file where it comes, goes or moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    file: usize,
    run: Option<usize>,
}

/// The changes that hold some of the places of `whole`, whose trial took `wall_ms`.
pub(super) fn parts(whole: &Patch, wall_ms: u64) -> Vec<Patch> {
    let few = |places: &Vec<Place>| (2..=PLACES_MAX).contains(&places.len());
    let by_radius = RADII.iter().map(|&radius| (Some(radius), places(whole, Some(radius))));
    let Some((radius, places)) = by_radius.chain([(None, places(whole, None))]).find(|(_, places)| few(places)) else {
        return Vec::new();
    };
    let alone = (0..places.len()).map(|at| vec![places[at]]);
    let all_but_one = (0..places.len())
        .filter(|_| places.len() > 2)
        .map(|at| places.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, place)| *place).collect());
    let paid = usize::try_from(TRIALS_MS_MAX / wall_ms.max(1)).unwrap_or(usize::MAX);
    alone
        .chain(all_but_one)
        .take(paid)
        .map(|taken: Vec<Place>| part(whole, &taken, radius, places.len()))
        .filter(|part| !part.files.is_empty())
        .collect()
}

/// The places of a change, files alone where `radius` is `None`.
fn places(whole: &Patch, radius: Option<usize>) -> Vec<Place> {
    let of = |(number, file): (usize, &Planned)| match (&file.before, &file.after, radius) {
        (Some(before), Some(after), Some(radius)) if file.renamed_from.is_none() => {
            (0..diff::places(before, after, radius)).map(|run| Place { file: number, run: Some(run) }).collect()
        }
        _ => vec![Place { file: number, run: None }],
    };
    whole.files.iter().enumerate().flat_map(of).collect()
}

fn part(whole: &Patch, taken: &[Place], radius: Option<usize>, of: usize) -> Patch {
    let files = whole.files.iter().enumerate().filter_map(|(number, file)| {
        let own: Vec<Option<usize>> =
            taken.iter().filter(|place| place.file == number).map(|place| place.run).collect();
        let runs: Vec<usize> = own.iter().copied().flatten().collect();
        let after = match (own.as_slice(), &file.before, &file.after, radius) {
            ([], ..) => return None,
            (_, Some(before), Some(after), Some(radius)) if !runs.is_empty() => {
                Some(diff::with_places(before, after, radius, &runs))
            }
            _ => file.after.clone(),
        };
        Some(Planned { after, ..file.clone() }).filter(|file| file.before != file.after || file.renamed_from.is_some())
    });
    let mut part = Patch { files: files.collect(), ..whole.clone() };
    part.notes.push(format!("only {} of the {of} places that the reply changes pass together", taken.len()));
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, before: Option<&str>, after: Option<&str>) -> Planned {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Planned { path: path.into(), renamed_from: None, before: own(before), after: own(after) }
    }

    fn change(files: Vec<Planned>) -> Patch {
        Patch { files, ..Patch::default() }
    }

    fn texts(parts: &[Patch]) -> Vec<&str> {
        parts.iter().map(|part| part.files[0].after.as_deref().unwrap_or("gone")).collect()
    }

    const BEFORE: &str = "a\nb\nc\nd\ne\n";

    #[test]
    fn two_places_are_tried_one_by_one() {
        let both = change(vec![file("f", Some(BEFORE), Some("A\nb\nc\nD\ne\n"))]);
        let tried = parts(&both, 100);
        assert_eq!(texts(&tried), ["A\nb\nc\nd\ne\n", "a\nb\nc\nD\ne\n"]);
        assert!(tried[0].notes[0].starts_with("only 1 of the 2 places"), "{:?}", tried[0].notes);
    }

    #[test]
    fn three_places_also_without_one_of_them() {
        let three = change(vec![file("f", Some(BEFORE), Some("A\nb\nC\nd\nE\n"))]);
        let tried = parts(&three, 100);
        assert_eq!(tried.len(), 6);
        assert_eq!(texts(&tried)[3..], ["a\nb\nC\nd\nE\n", "A\nb\nc\nd\nE\n", "A\nb\nC\nd\ne\n"]);
    }

    #[test]
    fn files_that_come_or_go_are_places_of_their_own() {
        let all = change(vec![file("f", Some(BEFORE), Some("A\nb\nc\nd\ne\n")), file("new", None, Some("n\n"))]);
        let tried = parts(&all, 100);
        let paths: Vec<&str> = tried.iter().map(|part| part.files[0].path.as_str()).collect();
        assert_eq!((paths.as_slice(), tried[0].files.len()), (["f", "new"].as_slice(), 1));
    }

    #[test]
    fn many_places_are_counted_more_coarsely_and_at_last_by_files() {
        let before: String = (0..40).map(|n| format!("{n}\n")).collect();
        let spread = |step: usize| -> String {
            (0..40).map(|n| if n % step == 0 { format!("new {n}\n") } else { format!("{n}\n") }).collect()
        };
        let one = change(vec![file("f", Some(&before), Some(&spread(2)))]);
        assert!(parts(&one, 100).is_empty(), "one run of changes is one place");
        let two = change(vec![file("f", Some(&before), Some(&spread(2))), file("g", Some(&before), Some(&spread(2)))]);
        let tried = parts(&two, 100);
        assert_eq!(tried.iter().map(|part| part.files.len()).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(tried[0].files[0].after.as_deref(), Some(spread(2).as_str()));
        let far = change(vec![file("f", Some(&before), Some(&spread(4)))]);
        assert!(parts(&far, 100).is_empty(), "ten places are too many, and near each other");
    }

    #[test]
    fn a_single_place_has_no_parts_and_a_slow_check_is_not_run_for_each() {
        assert!(parts(&change(vec![file("f", Some(BEFORE), Some("A\nb\nc\nd\ne\n"))]), 100).is_empty());
        let three = change(vec![file("f", Some(BEFORE), Some("A\nb\nC\nd\nE\n"))]);
        assert_eq!(parts(&three, 2_500).len(), 2);
        assert!(parts(&three, 60_000).is_empty());
    }
}
