//! Words in which benchmark problems are put to a model: sets of files under `prompts/suites/`, one file a kind of
//! problem, each in parts (`=== system ===`, `user`, `assistant` for words put into the model's mouth, `nothink`
//! for those that leave no room to think, `stop`).
//!
//! Not for: the agent's own prompts ([`super::Prompts`]).

use std::path::Path;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Message, PromptError, Role};
use crate::hex::hex;

/// Whose words: the makers of the models (Qwen2.5-Coder's published evaluation), the Z1 paper's, or a user's to z1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WordSet {
    Makers,
    Paper,
    Z1,
}

impl WordSet {
    /// Every set by the name that is typed.
    pub const NAMES: [(&'static str, Self); 3] = [("makers", Self::Makers), ("paper", Self::Paper), ("z1", Self::Z1)];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Makers => "makers",
            Self::Paper => "paper",
            Self::Z1 => "z1",
        }
    }
}

macro_rules! set {
    ($folder:literal) => {
        [
            ("bigcodebench", include_str!(concat!("../../prompts/suites/", $folder, "/bigcodebench.md"))),
            ("choice", include_str!(concat!("../../prompts/suites/", $folder, "/choice.md"))),
            ("contest", include_str!(concat!("../../prompts/suites/", $folder, "/contest.md"))),
            ("fix", include_str!(concat!("../../prompts/suites/", $folder, "/fix.md"))),
            ("gym", include_str!(concat!("../../prompts/suites/", $folder, "/gym.md"))),
            ("humaneval", include_str!(concat!("../../prompts/suites/", $folder, "/humaneval.md"))),
            ("input", include_str!(concat!("../../prompts/suites/", $folder, "/input.md"))),
            ("math", include_str!(concat!("../../prompts/suites/", $folder, "/math.md"))),
            ("mbpp", include_str!(concat!("../../prompts/suites/", $folder, "/mbpp.md"))),
            ("output", include_str!(concat!("../../prompts/suites/", $folder, "/output.md"))),
            ("program", include_str!(concat!("../../prompts/suites/", $folder, "/program.md"))),
        ]
    };
}

const MAKERS: [(&str, &str); 11] = set!("makers");
const PAPER: [(&str, &str); 11] = set!("paper");
const Z1: [(&str, &str); 11] = set!("z1");
/// What the paper's baselines are told when their thinking is cut.
const FORCE: &str = include_str!("../../prompts/suites/force.md");

/// What words may name. Everything is there for every suite; what a row lacks is empty.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct WordsContext<'a> {
    /// The problem in its row's words (for completions, the code to continue).
    pub prompt: &'a str,
    /// Fence tag of the answer's language.
    pub language: &'a str,
    /// The function that is asked for.
    pub entry: &'a str,
    /// A test that the published prompt shows.
    pub example: &'a str,
    pub starter: &'a str,
    pub instruct: &'a str,
    pub buggy: &'a str,
    pub code: &'a str,
    pub input: &'a str,
    pub output: &'a str,
    /// Lettered options, one a line.
    pub options: &'a str,
}

/// One file of words, ready to render.
#[derive(Clone, Debug)]
pub struct Words {
    /// `set/name`, or the user's file.
    pub name: String,
    pub sha256: String,
    environment: Environment<'static>,
    parts: Vec<String>,
    stops: Vec<String>,
}

/// A problem in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub messages: Vec<Message>,
    /// What the assistant's turn begins with; the model goes on from there.
    pub prefill: String,
    /// The same where the model is to answer without thinking.
    pub prefill_nothink: String,
    /// The answer ends before the first of these.
    pub stops: Vec<String>,
}

const PARTS: [&str; 5] = ["system", "user", "assistant", "stop", "nothink"];

impl Words {
    /// The words of a set for a kind of problem.
    ///
    /// # Errors
    /// There is no such kind.
    pub fn built_in(set: WordSet, kind: &str) -> Result<Self, PromptError> {
        let files = match set {
            WordSet::Makers => &MAKERS,
            WordSet::Paper => &PAPER,
            WordSet::Z1 => &Z1,
        };
        let name = format!("{}/{kind}", set.name());
        match files.iter().find(|(file, _)| *file == kind) {
            Some((_, text)) => Self::parse(name, text, "built in"),
            None => Err(PromptError::Unknown { name }),
        }
    }

    /// The words of a user's file.
    ///
    /// # Errors
    /// A file that cannot be read or parsed.
    pub fn read(path: &Path) -> Result<Self, PromptError> {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| PromptError::Unreadable { path: shown.clone(), source })?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Self::parse(name, &text, &shown)
    }

    fn parse(name: String, text: &str, origin: &str) -> Result<Self, PromptError> {
        let fail = |problem: String| PromptError::Template { name: name.clone(), origin: origin.to_owned(), problem };
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut parts: Vec<(String, String)> = Vec::new();
        for line in text.split_inclusive('\n') {
            let title = line.trim_end().strip_prefix("=== ").and_then(|rest| rest.strip_suffix(" ==="));
            match (title, parts.last_mut()) {
                (Some(title), _) if PARTS.contains(&title) => parts.push((title.to_owned(), String::new())),
                (Some(title), _) => {
                    return Err(fail(format!("there is no part `{title}` (there are {})", PARTS.join(", "))));
                }
                (None, Some((_, body))) => body.push_str(line),
                (None, None) if line.trim().is_empty() => {}
                (None, None) => return Err(fail("it has to begin with `=== user ===`".to_owned())),
            }
        }
        if !parts.iter().any(|(title, _)| title == "user") {
            return Err(fail("it has no part `=== user ===`".to_owned()));
        }
        let mut stops = Vec::new();
        for (title, body) in &parts {
            if title == "stop" {
                stops = serde_json::from_str(body).map_err(|error| fail(format!("stop: no list of texts: {error}")))?;
            } else {
                environment
                    .add_template_owned(title.clone(), body.clone())
                    .map_err(|problem| fail(format!("{problem:#}")))?;
            }
        }
        let titles = parts.into_iter().map(|(title, _)| title).collect();
        Ok(Self { name, sha256: hex(&Sha256::digest(text.as_bytes())), environment, parts: titles, stops })
    }

    /// Puts a problem into these words.
    ///
    /// # Errors
    /// The file names something that [`WordsContext`] lacks.
    pub fn ask(&self, context: &WordsContext<'_>) -> Result<Asked, PromptError> {
        let part = |title: &str| {
            if !self.parts.iter().any(|part| part == title) {
                return Ok(String::new());
            }
            let rendered = self.environment.get_template(title).and_then(|template| template.render(Serde(context)));
            rendered.map_err(|problem| PromptError::Template {
                name: self.name.clone(),
                origin: title.to_owned(),
                problem: format!("{problem:#}"),
            })
        };
        let mut messages = Vec::with_capacity(2);
        let system = part("system")?;
        if !system.is_empty() {
            messages.push(Message::new(Role::System, system));
        }
        messages.push(Message::new(Role::User, part("user")?));
        Ok(Asked {
            messages,
            prefill: part("assistant")?,
            prefill_nothink: part("nothink")?,
            stops: self.stops.clone(),
        })
    }
}

/// The words that force an answer in the paper's baselines.
///
/// # Panics
/// Never: the embedded file is rendered by a test.
pub fn force_hint() -> String {
    let environment = Environment::new();
    environment.render_str(FORCE, ()).expect("invariant: the embedded file renders")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_words_for_every_kind() {
        for (_, set) in WordSet::NAMES {
            for (kind, _) in MAKERS {
                let words = Words::built_in(set, kind).expect("the file parses");
                let context = WordsContext {
                    prompt: "PROMPT",
                    options: "(A) x",
                    code: "CODE",
                    instruct: "INSTRUCT",
                    ..WordsContext::default()
                };
                let asked = words.ask(&context).expect("the file renders");
                let user = &asked.messages.last().expect("a user's turn").content;
                assert!(
                    ["PROMPT", "CODE", "INSTRUCT"].iter().any(|word| user.contains(word)),
                    "{set:?} {kind}: {user}"
                );
            }
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts/suites").join(set.name());
            let count = std::fs::read_dir(folder).expect("the folder is there").count();
            assert_eq!(count, MAKERS.len(), "a file of {} is in no table", set.name());
        }
        assert_eq!(force_hint(), "\n\nthe final answer is:\n\n");
    }

    #[test]
    fn the_makers_ask_for_a_completion_and_open_the_fence() {
        let words = Words::built_in(WordSet::Makers, "humaneval").expect("words");
        let asked =
            words.ask(&WordsContext { prompt: "def f():\n    pass\n", ..WordsContext::default() }).expect("text");
        assert_eq!(
            asked.messages[1].content,
            "Can you complete the following Python function?\n```python\ndef f():\n    pass\n```\n"
        );
        assert_eq!(asked.prefill, "```python\n");
        assert!(asked.stops.contains(&"\n```".to_owned()));
    }

    #[test]
    fn a_users_file_with_a_mistake_says_where() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mine.md");
        for (text, what) in [
            ("hello", "has to begin"),
            ("=== user ===\n{{ nope }}\n", "nope"),
            ("=== user ===\nx\n=== stop ===\nnot json\n", "stop"),
            ("=== usr ===\nx\n", "`usr`"),
            ("=== system ===\nx\n", "no part"),
        ] {
            std::fs::write(&path, text).expect("the file can be written");
            let error =
                Words::read(&path).and_then(|words| words.ask(&WordsContext::default()).map(|_| ())).expect_err(text);
            assert!(error.to_string().contains(what) || error.to_string().contains("undefined"), "{error}");
        }
    }
}
