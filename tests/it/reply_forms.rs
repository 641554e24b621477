//! One right change in the forms in which small models write it: each must come to the same files.
//!
//! `tests/data/replies/*.project` has the start (`--- path`), the files as they are to be (`+++ after path`) and, where a
//! model would show no more than that, the part that changes (`+++ part path`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use z1::reply::paths::Known;
use z1::reply::tolerant::{self, Shown};
use z1::reply::wanted;
use z1::task::Language;
use z1::workspace::plan::{self, Rules};

use crate::project_file::{self, Part, ProjectFile};
use crate::replies::{Files, applied, states};

/// One file of the change.
struct Change {
    path: String,
    new: String,
    part: String,
}

#[derive(Default)]
struct Case {
    name: String,
    tasks: Vec<String>,
    files: Files,
    changes: Vec<Change>,
}

fn case(file: ProjectFile) -> Case {
    let mut case = Case { name: file.name, ..Case::default() };
    case.tasks.extend(file.keys.into_iter().filter(|(key, _)| key == "task").map(|(_, task)| task));
    let mut parts: Files = BTreeMap::new();
    for Part { change, path, text } in file.parts {
        match change.as_str() {
            "" => drop(case.files.insert(path, text)),
            "part" => drop(parts.insert(path, text)),
            _ => case.changes.push(Change { path, new: text, part: String::new() }),
        }
    }
    for change in &mut case.changes {
        change.part = parts.remove(&change.path).unwrap_or_else(|| change.new.clone());
    }
    assert!(parts.is_empty() && !case.tasks.is_empty() && !case.changes.is_empty(), "{}", case.name);
    case
}

fn extension(path: &str) -> &str {
    path.rsplit('/').next().unwrap().rsplit('.').next().unwrap()
}

fn tag(path: &str) -> String {
    let other = match extension(path) {
        "h" => "c",
        "hpp" => "cpp",
        "md" => "markdown",
        "yml" => "yaml",
        other => other,
    };
    Language::from_extension(extension(path)).map_or(other.to_owned(), |language| language.fence_tag().to_owned())
}

fn comment(path: &str, words: &str) -> String {
    match extension(path) {
        "html" | "md" => format!("<!-- {words} -->"),
        "css" => format!("/* {words} */"),
        "js" | "ts" | "rs" | "go" | "c" | "h" | "cpp" | "hpp" | "java" => format!("// {words}"),
        "sql" => format!("-- {words}"),
        _ => format!("# {words}"),
    }
}

fn fence(tag: &str, body: &str) -> String {
    format!("```{tag}\n{}\n```", body.trim_end())
}

/// How much of a file a form shows.
#[derive(Clone, Copy, PartialEq)]
enum Shows {
    Whole,
    Part,
}

impl Change {
    fn body(&self, shows: Shows) -> &str {
        if shows == Shows::Whole { &self.new } else { &self.part }
    }

    fn fence(&self, shows: Shows) -> String {
        fence(&tag(&self.path), self.body(shows))
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }
}

const WHOLE: [&str; 10] = [
    "heading",
    "numbered heading",
    "bold",
    "comment",
    "one block",
    "no path",
    "name alone",
    "outer folder",
    "info string",
    "plain text tag",
];
const PART: [&str; 11] = [
    "heading",
    "bold",
    "in a sentence",
    "steps",
    "step headings",
    "with usage",
    "summary first",
    "first, next",
    "no tag",
    "elided",
    "comment",
];

/// The change in a form.
fn reply(form: &str, changes: &[Change], shows: Shows) -> String {
    let each = |of: &dyn Fn(usize, &Change) -> String| {
        changes.iter().enumerate().map(|(at, change)| of(at, change)).collect::<Vec<_>>().join("\n\n")
    };
    let (before, after) = match form {
        "heading" => ("To solve this, we need to change the following files.\n\n", "\n\nThese changes implement it."),
        "bold" => ("", "\n\nLet me know if you need anything else!"),
        "steps" => ("To implement this, follow these steps:\n\n", "\n\nWith these changes, the tests should pass."),
        "step headings" => ("Here's how to do it.\n\n", "\n\n### Explanation\n\n- It does what was asked."),
        "with usage" => (
            "You can change the code like this:\n\n",
            "\n\nTo run the tests:\n\n```bash\nmake test\n```\n\nExpected output:\n\n```\nOK\n```",
        ),
        "no path" => ("Here's the updated code:\n\n", "\n\nThis should work."),
        _ => ("Here are the changes:\n\n", ""),
    };
    let middle = match form {
        "heading" => each(&|_, c| format!("### `{}`\n\n{}", c.path, c.fence(shows))),
        "numbered heading" => each(&|at, c| format!("### {}. {}\n\n{}", at + 1, c.path, c.fence(shows))),
        "bold" => each(&|_, c| format!("**{}**:\n{}", c.path, c.fence(shows))),
        "in a sentence" | "with usage" => each(&|_, c| format!("In `{}`:\n\n{}", c.path, c.fence(shows))),
        "steps" => each(&|at, c| {
            let block = c.fence(shows).replace('\n', "\n   ");
            format!("{}. **Update `{}`**:\n\n   {block}", at + 1, c.path)
        }),
        "step headings" => each(&|at, c| {
            format!(
                "### Step {}: Update `{}`\n\nFirst we change the code as follows:\n\n{}",
                at + 1,
                c.path,
                c.fence(shows)
            )
        }),
        "comment" => each(&|_, c| fence(&tag(&c.path), &format!("{}\n{}", comment(&c.path, &c.path), c.body(shows)))),
        "one block" => {
            let parts = each(&|_, c| format!("{}\n{}", comment(&c.path, &c.path), c.body(shows).trim_end()));
            fence(&tag(&changes[0].path), &parts)
        }
        "no path" => each(&|_, c| c.fence(shows)),
        "name alone" => each(&|_, c| format!("**{}**\n\n{}", c.name(), c.fence(shows))),
        "outer folder" => each(&|_, c| format!("### `myproject/{}`\n{}", c.path, c.fence(shows))),
        "info string" => each(&|_, c| fence(&format!("{}:{}", tag(&c.path), c.path), c.body(shows))),
        "plain text tag" => each(&|_, c| format!("`{}`\n{}", c.path, fence("plaintext", c.body(shows)))),
        "no tag" => each(&|_, c| format!("{}:\n{}", c.path, fence("", c.body(shows)))),
        "summary first" => {
            let list = changes.iter().fold(String::new(), |all, c| all + "- `" + &c.path + "`\n");
            let blocks = each(&|_, c| format!("#### Changes in `{}`\n\n{}", c.path, c.fence(shows)));
            format!("{list}\n{blocks}\n\n#### Explanation\n1. The first change is needed.\n2. The second follows.")
        }
        "first, next" => each(&|at, c| {
            let word = ["First, update", "Next, modify", "Then, change", "Finally, edit"][at.min(3)];
            format!("{word} the `{}` file to include the new code:\n\n{}", c.path, c.fence(shows))
        }),
        "elided" => each(&|_, c| {
            let dots = comment(&c.path, "... existing code ...");
            let body = format!("{dots}\n\n{}\n\n{dots}", c.body(shows).trim_end());
            format!("**`{}`**\n{}", c.path, fence(&tag(&c.path), &body))
        }),
        other => panic!("there is no form {other}"),
    };
    format!("{before}{middle}{after}\n")
}

/// What the reader makes of a reply.
fn after(case: &Case, task: &str, reply: &str) -> Files {
    let known = Known::new(case.files.keys().cloned());
    let new = wanted::named(task, &known);
    let shown: Vec<Shown<'_>> = case.files.iter().map(|(path, text)| Shown { path, text }).collect();
    let reading = tolerant::read(reply, &known.wanting(new), &shown, "");
    let rules = Rules { each_file: true, reply_is_complete: true, ..Rules::default() };
    applied(&case.files, &plan::plan(&states(&case.files, &reading.edits), &reading, rules))
}

/// A file's lines in any order: where a part does not say where it goes, two places are right.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines
}

fn differs(case: &Case, found: &Files) -> Option<String> {
    let mut wanted = case.files.clone();
    wanted.extend(case.changes.iter().map(|change| (change.path.clone(), change.new.clone())));
    let extra = found.keys().find(|path| !wanted.contains_key(*path)).map(|path| format!("{path} is one too many"));
    let other = wanted.iter().find(|(path, text)| found.get(*path).is_none_or(|now| lines(now) != lines(text)));
    extra.or_else(|| other.map(|(path, _)| format!("{path} is not right")))
}

/// Whether a form of a project leaves too much unsaid for the reader alone.
fn is_unsaid(name: &str, form: &str, shows: Shows) -> bool {
    match (name, shows, form) {
        // Nothing names the new file; whether imports follow on the block before, or are another file.
        ("go-packages" | "python-rename", Shows::Whole, "no path") => true,
        // Whether the import comes to the file's own.
        ("python-rename", Shows::Part, "first, next" | "elided") => true,
        // It begins as the file does and has most of it: the rest may be meant to go. The agent puts it back
        // (`project/keeping.rs`).
        ("typescript-types", Shows::Part, form) => form != "elided",
        _ => false,
    }
}

#[test]
fn every_form_of_a_right_change_comes_to_the_same_files() {
    let (mut problems, mut read_rightly) = (String::new(), 0);
    for case in project_file::all("replies").into_iter().map(case) {
        let forms = WHOLE.map(|form| (form, Shows::Whole)).into_iter().chain(PART.map(|form| (form, Shows::Part)));
        for (form, shows) in forms {
            let unsaid = is_unsaid(&case.name, form, shows);
            let reply = reply(form, &case.changes, shows);
            let wrong = |task: &String| Some((task.clone(), differs(&case, &after(&case, task, &reply))?));
            let wrong: Vec<(String, String)> = case.tasks.iter().filter_map(wrong).collect();
            read_rightly += case.tasks.len() - wrong.len();
            let how = if shows == Shows::Whole { "whole" } else { "part" };
            if unsaid && wrong.is_empty() {
                writeln!(problems, "{}: {form} ({how}) is read by now", case.name).unwrap();
            }
            for (task, wrong) in wrong.iter().filter(|_| !unsaid) {
                writeln!(problems, "{}: {form} ({how}): {wrong}: {task}", case.name).unwrap();
            }
        }
    }
    assert!(problems.is_empty(), "{problems}{read_rightly} are right");
    assert!(read_rightly > 600, "{read_rightly}");
}
