//! What holds of every problem, whatever the seed.

use std::collections::HashSet;

use super::corpus::Corpus;
use super::row::{Kind, Row, Style};
use super::*;
use crate::prompt::Prompts;
use crate::traits::PromptSet;

fn rows(corpus: &Corpus, count: u64) -> Vec<Row> {
    let prompts = Prompts::load(PromptSet::Nano, None).unwrap();
    (0..count).map(|index| corpus.row(index, &prompts).unwrap()).collect()
}

#[test]
fn every_family_has_problems_on_every_level_of_every_split() {
    for family in Family::JUDGED {
        for level in 0..=LEVEL_MAX {
            for split in [Split::Train, Split::Valid, Split::Test] {
                let problem = draw(family, level, split, 7, 0);
                assert_eq!(problem.level, level);
                assert!(problem.hidden.len() >= 4 && !problem.visible.is_empty(), "{problem:?}");
                assert!(family == Family::Edit || problem.task.ends_with(problem.visible.last().unwrap()));
            }
        }
    }
}

#[test]
fn a_seed_and_an_index_name_one_row() {
    let one = rows(&Corpus::training(3), 40);
    assert_eq!(one, rows(&Corpus::training(3), 40));
    assert_ne!(one, rows(&Corpus::training(4), 40));
}

/// A task without what makes two of the same kind look different: its examples and the function's name.
fn normalised(row: &Row) -> String {
    // A few words about a project are everybody's; the request is the words with the project.
    let request = if row.project.is_some() { &row.messages.last().unwrap().content } else { &row.task };
    let text = request.split("\nassert").next().unwrap_or("").replace(&row.entry, "NAME");
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[test]
fn splits_share_neither_composition_nor_wording_nor_text() {
    let train = rows(&Corpus::training(1), 4000);
    let compositions: HashSet<&str> = train.iter().map(|row| row.composition.as_str()).collect();
    let wordings: HashSet<&str> = train.iter().map(|row| row.wording.as_str()).collect();
    let texts: HashSet<String> = train.iter().map(normalised).collect();
    for row in rows(&Corpus::measuring(2, Split::Test), 400) {
        assert!(!compositions.contains(row.composition.as_str()), "{}", row.composition);
        assert!(!wordings.contains(row.wording.as_str()), "{}", row.wording);
        assert!(!texts.contains(&normalised(&row)), "{}", row.task);
    }
}

#[test]
fn a_reference_trace_passes_its_own_check_and_no_other_problems() {
    let rows: Vec<Row> =
        rows(&Corpus::measuring(5, Split::Test), 300).into_iter().filter(|row| !row.trace.is_empty()).collect();
    assert!(rows.len() > 50);
    for pair in rows.windows(2) {
        assert!(trace::check(&pair[0].trace, &trace::text(&pair[0].trace)).faithful);
        assert!(!trace::check(&pair[0].trace, &trace::text(&pair[1].trace)).faithful);
    }
}

#[test]
fn styles_share_problems_and_differ_in_thinking() {
    let style = |style| rows(&Corpus { style, ..Corpus::measuring(9, Split::Test) }, 120);
    let (short, mixed, long) = (style(Style::Short), style(Style::Mixed), style(Style::Long));
    for ((s, m), l) in short.iter().zip(&mixed).zip(&long) {
        assert_eq!((&s.task, &s.reference), (&l.task, &l.reference));
        assert!(s.trace.is_empty() && l.trace.len() > m.trace.len());
        let thinks = match m.family {
            Family::Write | Family::Drill => false,
            Family::Calc | Family::Plan => m.level > 0,
            Family::Infer => true,
            Family::Fix | Family::Edit => m.level > 2,
        };
        assert_eq!(!m.trace.is_empty(), thinks, "{}", m.id);
    }
}

#[test]
fn a_hinted_row_ends_as_inference_forces_it() {
    let corpus = Corpus { hinted_percent: 100, revised_percent: 0, ..Corpus::training(1) };
    for row in rows(&corpus, 60).into_iter().filter(|row| row.kind == Kind::Hinted) {
        let [cut, hint, answer] = row.reply.as_slice() else { panic!("three parts: {row:?}") };
        assert!(cut.keep.is_some() && cut.learn && !hint.learn && answer.learn);
        let Some(project) = &row.project else {
            assert!(hint.text.ends_with("```python\n") && answer.text.starts_with("def "));
            continue;
        };
        assert!(hint.text.ends_with(":\n\n") && answer.text.starts_with(&project.path));
    }
}

#[test]
fn a_revised_row_shows_the_failure_and_learns_only_the_correction() {
    let corpus = Corpus { hinted_percent: 0, revised_percent: 100, ..Corpus::training(1) };
    let revised: Vec<Row> = rows(&corpus, 80).into_iter().filter(|row| row.kind == Kind::Revised).collect();
    assert!(revised.len() > 40);
    for row in revised {
        assert_eq!(row.messages.len(), 3);
        assert!(!row.messages[1].content.contains(&row.reference), "{row:?}");
        assert_eq!(row.reply.len(), 1);
    }
}

#[test]
fn a_change_to_a_project_reads_back_as_the_reference() {
    use crate::reply::edits;
    use crate::reply::paths::Known;
    use crate::workspace::plan::{FileState, Rules, plan};
    let corpus = Corpus { families: vec![(Family::Edit, 1)], ..Corpus::measuring(4, Split::Test) };
    let mut blocks = 0;
    for row in rows(&corpus, 240) {
        let project = row.project.as_ref().unwrap();
        let known = Known::new(project.files.iter().map(|file| file.path.clone()));
        let before = project.files.iter().map(|f| (f.path.clone(), FileState::Text(f.content.clone()))).collect();
        let planned = plan(&before, &edits::read(&row.reply[0].text, &known), Rules::default());
        assert!(planned.holds(), "{:?}\n{}", planned.refused, row.reply[0].text);
        assert_eq!(planned.files.len(), 1);
        assert_eq!(planned.files[0].after.as_deref(), Some(row.reference.as_str()), "{}", row.reply[0].text);
        blocks += u32::from(row.reply[0].text.contains("<<<<<<<"));
        let shown = &row.messages.last().unwrap().content;
        assert!(!shown.contains(&row.reference), "the answer is not in the question: {shown}");
        assert!(project.failure.as_ref().is_none_or(|failure| shown.ends_with(failure.as_str())), "{shown}");
    }
    assert!(blocks > 20, "longer files are changed by blocks");
}
