//! Whether an answer in mathematics is the right one: by meaning where both can be parsed, else by their letters.
//!
//! [`answer`] finds the final answer in a reply, [`same`] compares two. In between: `plain` makes one notation of many,
//! `units` takes off the words around a value, `form`, `relation` and `matrix` read tuples, intervals, sets, equations
//! and matrices, `parse` and `expr` read and evaluate what is inside them, `number` is exact where that is possible,
//! and `equal` and `sets` compare.
//!
//! Not for: proving. Expressions count as equal where they agree at several points.

mod announce;
mod calls;
mod equal;
mod expr;
mod extract;
mod form;
mod functions;
mod matrix;
mod number;
mod parse;
mod plain;
mod prose;
mod relation;
mod sets;
mod signs;
mod tokens;
mod units;

pub use extract::answer;

/// Most characters of an answer that are looked at.
const CHARS_MAX: usize = 2_000;

/// Whether two answers mean the same. The first is the right one, and may be a whole solution.
pub fn same(gold: &str, said: &str) -> bool {
    let gold = extract::of_gold(gold);
    if gold.len() > CHARS_MAX || said.len() > CHARS_MAX {
        return false;
    }
    let spelling = plain::spelling(&gold);
    if !spelling.is_empty() && spelling == plain::spelling(said) {
        return true;
    }
    let (mine, mut theirs) = (form::readings(&gold), form::readings(said));
    theirs.extend(form::letter_as_unit(&mine, said));
    // Two times of day are no ratios.
    let clock = |forms: &[form::Form]| forms.iter().position(|form| matches!(form, form::Form::Clock(..)));
    if let (Some(a), Some(b)) = (clock(&mine), clock(&theirs)) {
        return equal::equal(&mine[a], &theirs[b]);
    }
    if mine.iter().any(|a| theirs.iter().any(|b| equal::equal(a, b))) {
        return true;
    }
    let comma = |one: &str, other: &str, forms: &[form::Form]| {
        let comma = if other.contains('.') { form::decimal_comma(one) } else { None };
        comma.is_some_and(|comma| forms.iter().any(|form| equal::equal(form, &comma)))
    };
    comma(&gold, said, &theirs) || comma(said, &gold, &mine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_dress() {
        for (gold, said) in [
            ("-5", "-5"),
            ("1000", "1 000"),
            ("1000.0", "1,000.0"),
            ("1,22", "1.22"),
            ("0.4", ".4"),
            ("-10/9", "-\\frac{10}{9}"),
            ("\\frac13", "1/3"),
            ("\\frac 34", "0.75"),
            ("1\\frac{4}{5}", "9/5"),
            ("10,\\!080", "10080"),
            ("11,\\! 111,\\! 111,\\! 100", "11111111100"),
            ("\\$32,\\!348", "32348"),
            ("90^\\circ", "90"),
            ("\\frac{270}7\\text{ degrees}", "\\frac{270}{7}"),
            ("864 \\mbox{ inches}^2", "864"),
            ("5.4 \\text{ cents}", "5.4"),
            ("28\\%", "28 pct"),
            ("28\\%", "0.28"),
            ("\\frac{5\\sqrt{42}}{27}", "\\frac{10\\sqrt{10.5}}{27}"),
            ("1e3", "1000"),
            ("\\binom{5}{2}", "10"),
            ("5!", "120"),
            ("2^{10}", "1024"),
            ("\\log_2 8", "3"),
            ("52_8", "52_{8}"),
        ] {
            assert!(same(gold, said), "{gold} is {said}");
        }
        for (gold, said) in [
            ("2", "\\frac{1+\\sqrt{5}}{2}"),
            ("1\\sqrt{19}", "1"),
            ("10455678", "10455679"),
            ("52_8", "52_9"),
            ("1/3", "0.33"),
            ("12", "120"),
            ("-3", "3"),
            ("2", "2.5"),
        ] {
            assert!(!same(gold, said), "{gold} is not {said}");
        }
    }

    #[test]
    fn expressions_by_their_values() {
        for (gold, said) in [
            ("\\frac{x+2}{7}", "\\frac{x}{7}+\\frac{2}{7}"),
            ("(a+5)(b+2)", "ab + 2a + 5b + 10"),
            ("x^5 - x^4 + x^3 - x^2 + x - 1", "x(x^4-x^3+x^2-x+1)-1"),
            ("\\cot x", "\\frac{\\cos x}{\\sin x}"),
            ("6 - 5i", "-5i+6"),
            ("3 \\pm 2 \\sqrt{2}", "3+2\\sqrt2, 3-2\\sqrt2"),
            ("11 \\sqrt{5} + 11", "11(1+\\sqrt5)"),
            ("\\frac{\\pi r}{h+r}", "\\pi r/(h+r)"),
            ("\\text{Evelyn}", "Evelyn"),
            ("\\text{(C)}", "C"),
        ] {
            assert!(same(gold, said), "{gold} is {said}");
        }
        for (gold, said) in [("x+2n+1", "x+1"), ("\\text{east}", "west"), ("2k+2", "2k"), ("x^2", "x^3")] {
            assert!(!same(gold, said), "{gold} is not {said}");
        }
    }

    #[test]
    fn tuples_sets_intervals_matrices() {
        for (gold, said) in [
            ("\\left( 3, \\frac{\\pi}{2} \\right)", "(3, \\pi/2)"),
            ("\\{1\\pm\\sqrt{5},-2\\}", "\\{-2, 1-\\sqrt5, 1+\\sqrt5\\}"),
            ("1,-2", "-2, 1"),
            ("(-\\infty, 2) \\cup (3, \\infty)", "(3,\\infty)\\cup(-\\infty,2)"),
            ("x \\in [-2,7]", "-2 \\le x \\le 7"),
            ("(3,4]", "3 < x \\leq 4"),
            ("(5,\\infty)", "x > 5"),
            (
                "\\begin{pmatrix} -1/3 \\\\ 2/3 \\end{pmatrix}",
                "\\begin{bmatrix} -\\frac13 \\\\ \\frac{2}{3} \\end{bmatrix}",
            ),
            ("(1,2),(2,1)", "(2,1) \\text{ and } (1,2)"),
            ("(0;-2;6),(4;0;0)", "(4, 0, 0), (0, -2, 6)"),
            ("1 \\text{ or } 2", "1, 2"),
        ] {
            assert!(same(gold, said), "{gold} is {said}");
        }
        for (gold, said) in [
            ("(0,9)", "[0,9)"),
            ("(1,2)", "(2,1)"),
            ("1,2", "1,2,3"),
            ("\\begin{pmatrix} 1 & 2 \\end{pmatrix}", "\\begin{pmatrix} 2 & 1 \\end{pmatrix}"),
            ("(3,4]", "3 < x < 4"),
        ] {
            assert!(!same(gold, said), "{gold} is not {said}");
        }
    }

    #[test]
    fn relations() {
        for (gold, said) in [
            ("x=5", "5"),
            ("11", "x = 11"),
            ("x = 11", "x = 5+5+1 = 7 =11"),
            ("y = 2x + 3", "2x+3"),
            ("5x - 7y + 11z + 4 = 0", "-10x+14y-22z-8=0"),
            ("2x+4y-3=0", "y=-\\frac{1}{2}x+\\frac{3}{4}"),
            ("x \\leq 5", "5 \\geq x"),
            ("x != 3", "x \\neq 3"),
            ("(p,q,r)=(3,2,7)", "(3,2,7)"),
            ("f(x)=1", "1"),
            ("|AB|=1", "1"),
            ("k = 45, n = 2", "n=2, k=45"),
        ] {
            assert!(same(gold, said), "{gold} is {said}");
        }
        for (gold, said) in [("x < 1", "x > -1"), ("x \\geq 5", "x \\leq 5"), ("a +3z = 0", "0"), ("x=1", "y=1")] {
            assert!(!same(gold, said), "{gold} is not {said}");
        }
    }

    /// Cases written for this grader, right answers and wrong ones. What nobody can judge without the problem is not
    /// among them: a base that is left out, a value in another unit (60 minutes for an hour), a rounded value that the
    /// problem may have asked for, a single-digit list that may be a decimal comma (`2,5`), unit vectors for columns,
    /// a letter with its value where the value is asked for.
    #[test]
    fn cases_are_judged_as_they_are_labelled() {
        let text = include_str!("../../../tests/data/math_cases.jsonl");
        let mut wrong = Vec::new();
        for line in text.lines() {
            let case: serde_json::Value = serde_json::from_str(line).expect("a case");
            let (gold, reply) = (case["gold"].as_str().expect("a gold"), case["reply"].as_str().expect("a reply"));
            let verdict = answer(reply).is_some_and(|said| same(gold, &said));
            if case["right"] != verdict {
                wrong.push(format!("{reply} | {gold} | read as {:?} | judged {verdict}", answer(reply)));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn no_text_costs_much_or_ends_the_judge() {
        let nested =
            ["(", "{", "\\{", "\\sqrt{", "\\frac{1}{", "|", "[", "√", "\\sin", "-", "1,", "9^", "\\boxed{", "$"];
        let mut texts: Vec<String> = nested.iter().map(|part| part.repeat(700)).collect();
        texts.extend(
            ["9^{9^{9^{9^9}}}", "(10^9)!", "\\binom{10^9}{10^8}", "2^{-99999999999}", "1/(1-1)"].map(str::to_owned),
        );
        texts.push("\\begin{pmatrix}1&1\\\\1&1\\end{pmatrix}".repeat(60));
        texts.push(format!("\\boxed{{{}}}", "3^{5000}/7^{4000}+".repeat(90)));
        let began = std::time::Instant::now();
        for text in &texts {
            let said = answer(text).unwrap_or_default();
            same(text, &said);
            same("1", text);
        }
        assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    }

    /// Public cases, where they are: `../shared` is no part of the project.
    #[test]
    fn labelled_cases_are_judged_as_they_are_labelled() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/math_grader/cases.jsonl");
        let Ok(text) = std::fs::read_to_string(&path) else {
            eprintln!("skipped: {} is not there", path.display());
            return;
        };
        let (mut right, mut wrong) = (0, Vec::new());
        for (number, line) in text.lines().enumerate() {
            let case: serde_json::Value = serde_json::from_str(line).expect("a case");
            let (gold, said) = (case["gold"].as_str().unwrap_or_default(), case["pred"].as_str().unwrap_or_default());
            let verdict = answer(said).is_some_and(|said| same(gold, &said));
            if verdict == (case["expected"] == 1) {
                right += 1;
            } else {
                let tail: String = said.chars().rev().take(100).collect::<Vec<_>>().into_iter().rev().collect();
                wrong.push(format!("{number}: {gold:.80} | {tail} | read as {:?} | said {verdict}", answer(said)));
            }
        }
        eprintln!("{right} right\n{}", wrong.join("\n"));
        assert!(wrong.len() <= 3, "{right} right; {}", wrong.join("\n"));
    }
}
