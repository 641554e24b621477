//! Mend a file of a small project: the user's few words, the file, and what the failing test said, laid out as
//! the agent lays them out; the answer is the whole file, or a SEARCH/REPLACE block where the file is longer.
//!
//! Front door: [`draw`]. [`function`] makes a function and its slip, [`known`] lists functions that everybody
//! knows, [`told`] holds the words and what a test run says.

pub mod function;
pub mod known;
pub mod told;

use serde::{Deserialize, Serialize};

use self::function::Function;
use super::dice::Dice;
use super::trace::Line;
use super::{Family, Problem};

/// From this many functions on a file is changed by a block rather than written anew.
const BLOCK_FUNCTIONS_MIN: usize = 3;

/// A file of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub path: String,
    pub content: String,
}

/// The project that a problem is set in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Every file that the request shows, in its order.
    pub files: Vec<File>,
    /// The file to change.
    pub path: String,
    /// What running the tests showed, in the judge's words; `None` where the request says what to do.
    pub failure: Option<String>,
    /// The command that was run.
    pub check: String,
    /// The answer: a whole file headed by its path, or a block.
    pub answer: String,
}

/// A problem of `level`: 0 a known function or one step, 1 and 2 more steps in longer files, 3 and 4 a constant
/// that the failing test gives away, 5 two of them.
pub fn draw(level: u8, dice: &mut Dice) -> Option<Problem> {
    let broken = broken(level, dice)?;
    let more = match level {
        0 => usize::from(dice.percent(35)),
        1 | 3 => usize::from(dice.percent(60)),
        5 => 0,
        _ => 1 + dice.below(2),
    };
    let sound: Vec<Function> = (0..more).map(|_| sound(dice)).collect::<Option<_>>()?;
    let mut names: Vec<&str> = broken.iter().chain(&sound).map(|f| f.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < broken.len() + sound.len() {
        return None;
    }
    let file = Layout::draw(&broken, &sound, dice);
    let words = told::request(&broken, &file, dice);
    let failure = words.fails.then(|| told::failure(&broken, &file, &words.check, dice));
    // Without a failure only words can say what is wanted.
    if !words.fails && broken.iter().any(|f| f.does.is_none()) {
        return None;
    }
    let mut files = vec![File { path: file.path.clone(), content: file.text(Version::Wrong) }];
    if words.fails && file.functions.len() < BLOCK_FUNCTIONS_MIN && dice.percent(35) {
        files
            .insert(dice.below(2), File { path: file.test_path(), content: told::tests(&broken, &file, &words.check) });
    }
    let first = broken.first()?;
    let asserts = |calls: &mut dyn Iterator<Item = (&str, &function::Tried)>| -> Vec<String> {
        calls.map(|(name, call)| format!("assert {name}({}) == {}", call.arguments, call.right)).collect()
    };
    let visible = asserts(&mut broken.iter().map(|f| (f.name.as_str(), &f.calls[0])));
    let hidden =
        asserts(&mut broken.iter().chain(&sound).flat_map(|f| f.calls[1..].iter().map(|call| (f.name.as_str(), call))));
    let keys: Vec<&str> = broken.iter().map(|f| f.key.as_str()).collect();
    let said: Vec<&str> = broken.iter().map(|f| f.worded.as_str()).collect();
    Some(Problem {
        family: Family::Edit,
        level,
        composition: format!("edit:{}", keys.join("|")),
        wording: format!("edit:{}/{}/{}", words.key, file.key, said.join("|")),
        task: words.text,
        entry: first.name.clone(),
        reference: file.text(Version::Right),
        visible,
        hidden,
        work: if level > 2 { broken.iter().flat_map(|f| f.work.clone()).collect() } else { Vec::new() },
        draft: draft(&broken, &file),
        attempt: None,
        project: Some(Project { answer: file.answer(), path: file.path, check: words.check, files, failure }),
    })
}

/// The functions with a slip.
fn broken(level: u8, dice: &mut Dice) -> Option<Vec<Function>> {
    let one = match level {
        0..=2 => {
            let known = dice.percent(if level == 0 { 65 } else { 40 });
            let function = if known { function::known(dice)? } else { function::steps(usize::from(level) + 1, dice)? };
            if dice.percent(15) { function::misspelt(function, dice)? } else { function }
        }
        3 if dice.percent(30) => function::factor(dice)?,
        3 => function::constant(false, dice)?,
        4 => function::constant(true, dice)?,
        _ => return Some(vec![function::constant(false, dice)?, function::constant(true, dice)?]),
    };
    Some(vec![one])
}

/// A function with nothing wrong in it.
fn sound(dice: &mut Dice) -> Option<Function> {
    let function = if dice.percent(70) { function::known(dice)? } else { function::steps(1, dice)? };
    Some(Function { wrong: function.right.clone(), ..function })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Right,
    Wrong,
}

/// A file: its path and its functions in order.
pub struct Layout {
    pub path: String,
    pub functions: Vec<Function>,
    /// Which functions say in a docstring what they do.
    documented: Vec<bool>,
    opening: String,
    key: String,
}

const STEMS: &[&str] = &[
    "tools", "util", "utils", "calc", "shop", "stats", "text", "numbers", "core", "lib", "main", "app", "helpers",
    "scores", "cart", "prices", "geometry", "lists", "words", "report", "bank", "game", "orders", "maths",
];
const FOLDERS: &[&str] = &["", "", "", "", "src/", "app/", "pkg/"];

impl Layout {
    fn draw(broken: &[Function], sound: &[Function], dice: &mut Dice) -> Self {
        let mut functions: Vec<Function> = broken.iter().chain(sound).cloned().collect();
        dice.shuffle(&mut functions);
        let stem = *dice.pick(STEMS);
        let path = format!("{}{stem}.py", dice.pick(FOLDERS));
        let style = dice.below(3);
        let documented: Vec<bool> = functions.iter().map(|f| f.does.is_some() && (style > 0 || !f.named)).collect();
        let opening =
            if dice.percent(25) { format!("\"\"\"{}\"\"\"\n\n\n", told::heading(stem, dice)) } else { String::new() };
        let key = format!("{style}{}{}", usize::from(opening.is_empty()), functions.len());
        Self { path, functions, documented, opening, key }
    }

    fn source(&self, at: usize, version: Version) -> String {
        let function = &self.functions[at];
        let code = if version == Version::Right { &function.right } else { &function.wrong };
        match (&function.does, self.documented[at]) {
            (Some(does), true) => {
                let (head, body) = code.split_once('\n').expect("invariant: a function has a head and a body");
                format!("{head}\n    \"\"\"{}.\"\"\"\n{body}", told::capitalised(does))
            }
            _ => code.clone(),
        }
    }

    fn text(&self, version: Version) -> String {
        let functions: Vec<String> = (0..self.functions.len()).map(|at| self.source(at, version)).collect();
        format!("{}{}", self.opening, functions.join("\n\n"))
    }

    /// The module's name in an import.
    pub fn module(&self) -> String {
        self.path.trim_end_matches(".py").replace('/', ".")
    }

    fn test_path(&self) -> String {
        format!("test_{}.py", self.module().rsplit('.').next().unwrap_or(""))
    }

    /// The line of the file where this text stands, from 1, and the line.
    pub fn line_of(&self, part: &str) -> Option<(usize, String)> {
        let text = self.text(Version::Wrong);
        let found = text.lines().enumerate().find(|(_, line)| line.contains(part));
        found.map(|(at, line)| (at + 1, line.trim().to_owned()))
    }

    /// The whole file, or a block for each changed function where the file is longer.
    fn answer(&self) -> String {
        if self.functions.len() < BLOCK_FUNCTIONS_MIN {
            return format!("{}\n```python\n{}```", self.path, self.text(Version::Right));
        }
        let changed = (0..self.functions.len()).filter(|&at| self.functions[at].right != self.functions[at].wrong);
        let blocks: Vec<String> = changed
            .map(|at| {
                let (wrong, right) = (self.source(at, Version::Wrong), self.source(at, Version::Right));
                format!("{}\n<<<<<<< SEARCH\n{wrong}=======\n{right}>>>>>>> REPLACE", self.path)
            })
            .collect();
        blocks.join("\n")
    }
}

/// What a thinker at length goes through.
fn draft(broken: &[Function], file: &Layout) -> Vec<Line> {
    let mut lines = vec![Line::new("restate", format!("We need to change {}.", file.path))];
    for function in broken {
        let does = function.does.as_ref().map_or_else(String::new, |does| format!(" It must {does}."));
        lines.push(Line::new("restate", format!("Look at {}.{does}", function.name)));
        let body = function.right.lines().last().unwrap_or("").trim();
        lines.push(Line::new("draft", format!("In Python: {body}")));
    }
    lines.push(Line::new("restate", "Now write the change."));
    lines
}
