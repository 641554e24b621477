//! Suites whose answer is no program: mathematics and questions with options.

use serde_json::Value;

use crate::task::Language;

use super::functions::blank;
use super::rows::Row;
use super::{Gold, Problem, Suite};

/// Fewest and most options of a question.
const OPTIONS_MIN: usize = 2;
const OPTIONS_MAX: usize = 26;

pub(super) fn gsm8k(row: &Row) -> Result<Problem, String> {
    let question = row.need(&["question", "problem", "prompt"])?;
    let answer = answer_text(row, &["answer", "solution"])?;
    let gold = answer.rsplit_once("####").map_or(answer.as_str(), |(_, gold)| gold).trim();
    if gold.is_empty() {
        return Err("no answer behind `####`".to_owned());
    }
    Ok(Problem {
        prompt: question.to_owned(),
        gold: Gold::Math(gold.to_owned()),
        suite: Suite::Gsm8k,
        ..blank(row, Language::Python)
    })
}

pub(super) fn math(row: &Row) -> Result<Problem, String> {
    let question = row.need(&["problem", "question", "prompt"])?;
    let gold = match answer_text(row, &["answer", "final_answer", "target"]) {
        Ok(answer) => answer,
        Err(why) => row.text(&["solution"]).and_then(last_boxed).ok_or(why)?,
    };
    let level = match row.get("level") {
        Some(Value::Number(number)) => Some(format!("level {number}")),
        Some(Value::String(text)) => Some(text.to_ascii_lowercase()),
        _ => None,
    };
    let subject = row.text(&["subject", "type"]).map(str::to_owned);
    let (group, subject) = if level.is_some() { (level, subject) } else { (subject, None) };
    Ok(Problem {
        prompt: question.to_owned(),
        gold: Gold::Math(gold),
        group,
        subject,
        suite: Suite::Math,
        ..blank(row, Language::Python)
    })
}

/// A question with its right answer apart from the wrong ones, or with lettered options. The right answer stands first
/// until [`Problem::shuffled`] is asked.
pub(super) fn gpqa(row: &Row) -> Result<Problem, String> {
    let question = row.need(&["Question", "question", "problem", "prompt"])?;
    let (right, wrong) = match row.text(&["Correct Answer", "correct_answer"]) {
        Some(right) => (right.to_owned(), wrong_answers(row)),
        None => lettered(row)?,
    };
    let options: Vec<String> = std::iter::once(right).chain(wrong).map(|text| text.trim().to_owned()).collect();
    if !(OPTIONS_MIN..=OPTIONS_MAX).contains(&options.len()) {
        return Err(format!("{} options", options.len()));
    }
    let group = row.text(&["High-level domain", "Subdomain", "domain", "subject", "category"]).map(str::to_owned);
    Ok(Problem {
        prompt: question.trim().to_owned(),
        subject: row.text(&["Subdomain"]).map(str::to_owned).filter(|subject| group.as_ref() != Some(subject)),
        group,
        suite: Suite::Gpqa,
        options,
        gold: Gold::Choice('A'),
        ..blank(row, Language::Python)
    })
}

fn wrong_answers(row: &Row) -> Vec<String> {
    let numbered = (1..=OPTIONS_MAX).map_while(|number| {
        let names = [format!("Incorrect Answer {number}"), format!("incorrect_answer_{number}")];
        row.text(&names.each_ref().map(String::as_str)).map(str::to_owned)
    });
    let found: Vec<String> = numbered.collect();
    if !found.is_empty() {
        return found;
    }
    match row.get("incorrect_answers") {
        Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// Options in a list (or by letter), and which of them is right: a letter, a number from 0, or the option itself.
fn lettered(row: &Row) -> Result<(String, Vec<String>), String> {
    let field = ["options", "choices"].into_iter().find_map(|field| row.get(field));
    let options: Vec<String> = match field {
        Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        Some(Value::Object(fields)) => match fields.get("text") {
            Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => fields.values().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        },
        _ => return Err("neither `Correct Answer` nor a list `options`".to_owned()),
    };
    let answer = answer_text(row, &["answer", "answer_index", "label", "answerKey"])?;
    let by_letter = || {
        let mut letters = answer.trim().trim_matches(['(', ')', '.']).chars();
        let letter = letters.next().filter(char::is_ascii_alphabetic)?;
        letters.next().is_none().then(|| (letter.to_ascii_uppercase() as u8 - b'A') as usize)
    };
    let at = by_letter()
        .or_else(|| answer.parse().ok())
        .or_else(|| options.iter().position(|option| option.trim() == answer.trim()))
        .filter(|at| *at < options.len())
        .ok_or_else(|| format!("the answer `{answer}` is none of the options"))?;
    let mut wrong = options;
    let right = wrong.remove(at);
    Ok((right, wrong))
}

/// An answer that is text or a number.
fn answer_text(row: &Row, fields: &[&str]) -> Result<String, String> {
    let found = fields.iter().find_map(|field| match row.get(field)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    found.ok_or_else(|| format!("no answer in the field `{}`", fields.join("` or `")))
}

/// What the last `\boxed{…}` of a text holds.
pub fn last_boxed(text: &str) -> Option<String> {
    let at = text.rfind("\\boxed")?;
    let rest = text[at + "\\boxed".len()..].trim_start();
    let Some(inner) = rest.strip_prefix('{') else {
        // `\boxed 5`: one token.
        let word: String = rest.chars().take_while(|c| !c.is_whitespace() && *c != '$').collect();
        return (!word.is_empty()).then_some(word);
    };
    let mut depth = 1_u32;
    for (index, sign) in inner.char_indices() {
        match sign {
            '{' if !escaped(inner, index) => depth += 1,
            '}' if !escaped(inner, index) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(inner[..index].to_owned());
        }
    }
    None
}

fn escaped(text: &str, at: usize) -> bool {
    text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Row {
        Row { fields: serde_json::from_str(text).expect("the test's own JSON"), number: 1 }
    }

    #[test]
    fn the_answer_of_a_word_problem_stands_behind_the_marks() {
        let problem = gsm8k(&row(r#"{"question":"q","answer":"5 + 7 = <<5+7=12>>12\n#### 1,012"}"#)).expect("a row");
        assert_eq!(problem.gold, Gold::Math("1,012".to_owned()));
        assert!(gsm8k(&row(r#"{"question":"q"}"#)).is_err_and(|why| why.contains("answer")));
    }

    #[test]
    fn competition_rows_bring_an_answer_or_a_boxed_one() {
        let problem = math(&row(r#"{"problem":"p","answer":"\\frac{1}{2}","level":5}"#)).expect("a row");
        assert_eq!((problem.gold, problem.group), (Gold::Math("\\frac{1}{2}".to_owned()), Some("level 5".to_owned())));
        let boxed = math(&row(r#"{"problem":"p","solution":"so $\\boxed{x^{2}}$."}"#)).expect("a row");
        assert_eq!(boxed.gold, Gold::Math("x^{2}".to_owned()));
    }

    #[test]
    fn options_are_read_in_every_shape() {
        for text in [
            r#"{"Question":"q","Correct Answer":"r","Incorrect Answer 1":"x","Incorrect Answer 2":"y"}"#,
            r#"{"question":"q","correct_answer":"r","incorrect_answers":["x","y"]}"#,
            r#"{"question":"q","options":["x","r","y"],"answer":"B"}"#,
            r#"{"question":"q","choices":["x","r","y"],"answer":1}"#,
            r#"{"question":"q","choices":{"text":["x","r","y"],"label":["A","B","C"]},"answerKey":"B"}"#,
        ] {
            let problem = gpqa(&row(text)).expect("a row");
            assert_eq!((problem.options[0].as_str(), problem.options.len()), ("r", 3), "{text}");
        }
        assert!(gpqa(&row(r#"{"question":"q","options":["x"],"answer":"D"}"#)).is_err());
    }

    #[test]
    fn a_box_may_hold_braces() {
        assert_eq!(last_boxed("\\boxed{1} then \\boxed{\\{1,2\\}}").as_deref(), Some("\\{1,2\\}"));
        assert_eq!(last_boxed("\\boxed 5$").as_deref(), Some("5"));
        assert_eq!(last_boxed("\\boxed{1"), None);
    }
}
