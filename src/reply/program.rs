//! From a trajectory to a stand-alone program: which fence is the answer.
//!
//! The last complete fence that defines what the checks call wins; helpers that stand in fences of their own
//! are put before it. The answer's fences come before those of the thinking.

use super::fence::{Fence, fences};
use super::{FormatProblem, names};
use crate::task::{Candidate, Finish, Language, Trajectory};

/// What the task's checks need of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub language: Option<Language>,
    /// Functions or classes that the checks name.
    pub names: Vec<String>,
    /// The program is fed through standard input.
    pub stdin: bool,
}

/// Finds the program that a reply proposes.
///
/// # Errors
/// What is wrong with the reply's format, for the reminder that asks again.
pub fn program(trajectory: &Trajectory, wanted: &Wanted) -> Result<Candidate, FormatProblem> {
    if trajectory.text.trim().is_empty() {
        return Err(FormatProblem::Empty);
    }
    let cut = matches!(trajectory.finish, Finish::AnswerLimit | Finish::ContextFull | Finish::Loop | Finish::Cancelled);
    // The hint is part of the answer: it may open the fence.
    let (thinking, answer) = trajectory.text.split_at(trajectory.shift_at.unwrap_or(0));
    let answered = choose(blocks(answer, wanted, cut), wanted);
    let Err(problem) = answered else { return answered };
    // Code that the thinking had finished is better than none.
    if let Ok(candidate) = choose(blocks(thinking, wanted, true), wanted) {
        return Ok(candidate);
    }
    Err(problem)
}

/// Finds the program in fences that closed while the reply still streams.
pub fn program_in(closed: &[Fence], wanted: &Wanted) -> Option<Candidate> {
    choose(Blocks { usable: code_of(closed.to_vec(), wanted), cut: false }, wanted).ok()
}

/// A fence of an answer, in whatever language its tag names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Tagged {
    /// The tag as it was written, in lower case: `html`, `sql`, `dockerfile`; empty where there is none.
    pub tag: String,
    pub source: String,
    /// Its closing line was seen.
    pub closed: bool,
}

/// The fences of a reply's answer (of its thinking, where the answer has none), whatever their language. Commands for
/// a shell are among them only where there is nothing else, program output never.
///
/// For what [`program`] has no [`Language`] for: a page, a query, a configuration. Several tags are several parts of one
/// answer; nothing here says which of them could be run.
pub fn tagged(trajectory: &Trajectory) -> Vec<Tagged> {
    let (thinking, answer) = trajectory.text.split_at(trajectory.shift_at.unwrap_or(0));
    let of = |text: &str| -> Vec<Tagged> {
        let output = ["output", "text", "txt", "console", "plaintext", "log", "stdout"];
        let all: Vec<Fence> = fences(text)
            .into_iter()
            .filter(|fence| !fence.body.trim().is_empty() && !output.contains(&fence.tag().as_str()))
            .collect();
        let is_shell = |fence: &Fence| fence.language() == Some(Language::Shell);
        let only_shell = all.iter().all(is_shell);
        all.into_iter()
            .filter(|fence| only_shell || !is_shell(fence))
            .map(|fence| Tagged { tag: fence.tag(), closed: fence.closed, source: fence.body })
            .collect()
    };
    let found = of(answer);
    if found.is_empty() { of(thinking) } else { found }
}

/// The last fence in the wanted language, or without a tag, as it stands: the body of a function that the checks
/// complete, say. Nothing where there is none.
pub fn body(trajectory: &Trajectory, wanted: &Wanted) -> Option<String> {
    let fits = |fence: &Fence| match fence.language() {
        Some(language) => wanted.language.is_none_or(|wanted| wanted == language),
        None => fence.info.is_empty(),
    };
    let found = fences(&trajectory.text).into_iter().rfind(|fence| fits(fence) && !fence.body.trim().is_empty());
    found.map(|fence| fence.body)
}

/// Whether a reply ends inside a fence, so that its last code may be a part only.
pub fn ends_open(text: &str) -> bool {
    fences(text).last().is_some_and(|fence| !fence.closed)
}

/// A fence with the language it is in.
#[derive(Clone, Debug)]
struct Block {
    language: Language,
    source: String,
}

struct Blocks {
    usable: Vec<Block>,
    /// The text ended inside a fence because of a limit.
    cut: bool,
}

fn blocks(text: &str, wanted: &Wanted, cut: bool) -> Blocks {
    let mut found = fences(text);
    // A turn that simply ends without the closing line is complete all the same.
    let cut_inside = cut && found.last().is_some_and(|fence| !fence.closed);
    if cut_inside {
        found.pop();
    }
    let mut usable = code_of(found, wanted);
    if usable.is_empty() && !cut {
        usable.extend(bare_code(text, wanted));
    }
    Blocks { usable, cut: cut_inside }
}

fn code_of(found: Vec<Fence>, wanted: &Wanted) -> Vec<Block> {
    let block = |fence: Fence| {
        let language = match fence.language() {
            Some(language) => language,
            None if fence.info.is_empty() => names::guess(&fence.body)?,
            None => return None,
        };
        // JavaScript is TypeScript too, and C is mostly C++.
        let language = match (language, wanted.language) {
            (Language::JavaScript, Some(Language::TypeScript)) => Language::TypeScript,
            (Language::C, Some(Language::Cpp)) => Language::Cpp,
            _ => language,
        };
        Some(Block { language, source: fence.body })
    };
    found.into_iter().filter(|fence| !fence.body.trim().is_empty()).filter_map(block).collect()
}

/// A reply that is code from its first line on, without any fence.
fn bare_code(text: &str, wanted: &Wanted) -> Option<Block> {
    let text = text.trim_matches('\n');
    let first = text.lines().next()?;
    let starts = ["def ", "class ", "import ", "from ", "fn ", "#include", "package ", "func ", "function ", "const "];
    if !starts.iter().any(|start| first.starts_with(start)) {
        return None;
    }
    // Prose after the code begins with a line at the margin that ends like a sentence.
    let prose = |line: &&str| {
        line.starts_with(|c: char| c.is_ascii_uppercase())
            && line.trim_end().ends_with(['.', ':', '!'])
            && line.contains(' ')
    };
    let source: String = text.lines().take_while(|line| !prose(line)).flat_map(|line| [line, "\n"]).collect();
    let language = names::guess(&source).or(wanted.language)?;
    Some(Block { language, source })
}

fn choose(blocks: Blocks, wanted: &Wanted) -> Result<Candidate, FormatProblem> {
    let all = blocks.usable;
    let none = if blocks.cut { FormatProblem::Truncated } else { FormatProblem::NoCode };
    let language = pick_language(&all, wanted, none)?;
    let mine: Vec<&Block> = all.iter().filter(|block| block.language == language).collect();
    let missing = |source: &str| -> Vec<String> {
        let defined = names::defined(source, language);
        wanted.names.iter().filter(|name| !defined.contains(name)).cloned().collect()
    };
    if let Some(at) = best(&mine, wanted, |block| missing(&block.source).is_empty()) {
        return Ok(Candidate::Program { language, source: with_helpers(&mine, at, language) });
    }
    let joined = mine.iter().map(|block| block.source.as_str()).collect::<Vec<_>>().join("\n");
    match missing(&joined) {
        names if names.is_empty() => Ok(Candidate::Program { language, source: joined }),
        _ if blocks.cut => Err(FormatProblem::Truncated),
        names => Err(FormatProblem::MissingNames { names }),
    }
}

fn pick_language(all: &[Block], wanted: &Wanted, none: FormatProblem) -> Result<Language, FormatProblem> {
    if let Some(language) = wanted.language {
        return match all.last() {
            _ if all.iter().any(|block| block.language == language) => Ok(language),
            Some(other) => Err(FormatProblem::WrongLanguage { wanted: language, found: other.language }),
            None => Err(none),
        };
    }
    let mut languages: Vec<Language> = all.iter().map(|block| block.language).collect();
    languages.sort_unstable();
    languages.dedup();
    // A shell block beside a program says how to start it.
    if languages.len() > 1 {
        languages.retain(|language| *language != Language::Shell);
    }
    match languages.as_slice() {
        [] => Err(none),
        [one] => Ok(*one),
        _ => Err(FormatProblem::SeveralLanguages { languages }),
    }
}

/// The last block that holds everything wanted; among those, one that reads its input where input is given,
/// and one that defines something rather than a call that shows its use.
fn best(blocks: &[&Block], wanted: &Wanted, complete: impl Fn(&Block) -> bool) -> Option<usize> {
    let rank = |block: &Block| {
        let reads = ["input(", "stdin", "open(0)", "Scanner", "scanf", "cin", "Scan(", "read_line", "readline"];
        let fits_input = !wanted.stdin || reads.iter().any(|sign| block.source.contains(sign));
        (fits_input, !names::defined(&block.source, block.language).is_empty())
    };
    (0..blocks.len()).filter(|at| complete(blocks[*at])).max_by_key(|at| (rank(blocks[*at]), *at))
}

/// Puts earlier blocks before the chosen one where it calls what only they define.
fn with_helpers(blocks: &[&Block], chosen: usize, language: Language) -> String {
    let mut source = blocks[chosen].source.clone();
    for block in blocks[..chosen].iter().rev() {
        let known = names::defined(&source, language);
        let helps = names::defined(&block.source, language)
            .iter()
            .any(|name| !known.contains(name) && names::calls(&source, name));
        if helps {
            source = format!("{}\n{source}", block.source);
        }
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Usage;

    fn trajectory(text: &str, finish: Finish) -> Trajectory {
        Trajectory {
            text: text.to_owned(),
            shift_at: None,
            answer_at: 0,
            shifted: None,
            finish,
            usage: Usage::default(),
        }
    }

    fn wanted(names: &[&str]) -> Wanted {
        Wanted {
            language: Some(Language::Python),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            stdin: false,
        }
    }

    fn source(result: Result<Candidate, FormatProblem>) -> String {
        match result.unwrap() {
            Candidate::Program { source, .. } => source,
            Candidate::Edits { .. } => panic!("a program was asked for"),
        }
    }

    #[track_caller]
    fn check(text: &str, names: &[&str], expected: &str) {
        assert_eq!(source(program(&trajectory(text, Finish::EndOfTurn), &wanted(names))), expected);
    }

    #[test]
    fn the_last_fence_that_defines_what_is_called() {
        check(
            "```python\ndef f(): 1\n```\nbetter:\n```python\ndef f(): 2\n```\nuse:\n```python\nprint(f())\n```",
            &["f"],
            "def f(): 2\n",
        );
        check("```\ndef f(): 1\n```\noutput:\n```\n42\n```", &["f"], "def f(): 1\n");
        check("```sh\npip install x\n```\n```py\ndef f(): 1\n```", &[], "def f(): 1\n");
    }

    #[test]
    fn helpers_are_joined() {
        check(
            "```python\ndef h(): 1\n```\nthen\n```python\ndef f(): return h()\n```",
            &["f"],
            "def h(): 1\n\ndef f(): return h()\n",
        );
        check("```python\ndef a(): 1\n```\n```python\ndef b(): 2\n```", &["a", "b"], "def a(): 1\n\ndef b(): 2\n");
    }

    #[test]
    fn a_reply_without_a_fence_or_without_its_end() {
        check("def f():\n    return 1\n\nThis returns one.", &["f"], "def f():\n    return 1\n\n");
        check("Sure:\n```python\ndef f(): 1", &["f"], "def f(): 1\n");
    }

    #[test]
    fn the_answer_comes_before_the_thinking() {
        let thinking = "Draft:\n```python\ndef f(): 1\n```\nhm";
        let hint = "\n\nfinal:\n\n```python\n";
        let mut shifted = trajectory(&format!("{thinking}{hint}def f(): 2\n```\n"), Finish::EndOfTurn);
        shifted.shift_at = Some(thinking.len());
        shifted.answer_at = thinking.len() + hint.len();
        assert_eq!(source(program(&shifted, &wanted(&["f"]))), "def f(): 2\n");
        let mut cut = trajectory(&format!("{thinking}{hint}def f("), Finish::AnswerLimit);
        cut.shift_at = Some(thinking.len());
        cut.answer_at = thinking.len() + hint.len();
        assert_eq!(source(program(&cut, &wanted(&["f"]))), "def f(): 1\n");
    }

    #[test]
    fn any_tag_is_an_answer() {
        let of = |text: &str| -> Vec<(String, String)> {
            tagged(&trajectory(text, Finish::EndOfTurn)).into_iter().map(|t| (t.tag, t.source)).collect()
        };
        let pair = |tag: &str, source: &str| (tag.to_owned(), source.to_owned());
        assert_eq!(of("```html\n<p>\n```\nrun\n```bash\nls\n```\n"), [pair("html", "<p>\n")]);
        assert_eq!(of("```Dockerfile\nFROM a\n```\n```text\nout\n```"), [pair("dockerfile", "FROM a\n")]);
        assert_eq!(of("```css\na{}\n```\n```index.html\n<p>\n```\n"), [pair("css", "a{}\n"), pair("html", "<p>\n")]);
        assert_eq!(of("```bash\nls\n```\n"), [pair("bash", "ls\n")]);
        assert!(ends_open("```sql\nselect") && !ends_open("```sql\nselect 1;\n```\n"));
    }

    #[test]
    fn a_fenced_function_body_is_taken_as_it_stands() {
        let text = "```python\n    return x\n```\nThat is all.";
        assert_eq!(body(&trajectory(text, Finish::EndOfTurn), &wanted(&["f"])).as_deref(), Some("    return x\n"));
        assert_eq!(body(&trajectory("```sql\nx\n```", Finish::EndOfTurn), &wanted(&[])), None);
    }

    #[test]
    fn problems_say_what_is_wrong() {
        let check = |text: &str, finish, problem: FormatProblem| {
            assert_eq!(program(&trajectory(text, finish), &wanted(&["f"])), Err(problem), "{text:?}");
        };
        check("  \n", Finish::EndOfTurn, FormatProblem::Empty);
        check("I think it is easy.", Finish::EndOfTurn, FormatProblem::NoCode);
        check("```python\ndef f(", Finish::AnswerLimit, FormatProblem::Truncated);
        check("```python\ndef g(): 1\n```", Finish::EndOfTurn, FormatProblem::MissingNames { names: vec!["f".into()] });
        check(
            "```rust\nfn f() {}\n```",
            Finish::EndOfTurn,
            FormatProblem::WrongLanguage { wanted: Language::Python, found: Language::Rust },
        );
        let any = Wanted::default();
        assert_eq!(
            program(&trajectory("```rust\nfn f() {}\n```\n```go\nfunc f() {}\n```", Finish::EndOfTurn), &any),
            Err(FormatProblem::SeveralLanguages { languages: vec![Language::Rust, Language::Go] })
        );
    }

    #[test]
    fn a_program_for_standard_input_reads_it() {
        let stdin = Wanted { stdin: true, ..wanted(&[]) };
        let text = "```python\nimport sys\nprint(sys.stdin.read())\n```\nFor example:\n```python\nx = 1\n```";
        assert!(source(program(&trajectory(text, Finish::EndOfTurn), &stdin)).contains("stdin"));
    }
}
