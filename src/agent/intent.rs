//! What a task wants: an answer in words, a program of its own, or a change of the project. Decided once, from what the
//! task says and where it was said, with the reason. Pure.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::checks::compile;

/// The kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// Words; about the project, where there is one.
    Question,
    /// A program of its own.
    Program,
    /// A change of the project.
    Change,
}

impl Wish {
    /// By the word that a user types.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "question" => Self::Question,
            "program" => Self::Program,
            "change" => Self::Change,
            _ => return None,
        })
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Program => "program",
            Self::Change => "change",
        }
    }
}

/// A wish and why it was taken for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub wish: Wish,
    pub why: String,
}

impl Intent {
    fn new(wish: Wish, why: &str) -> Self {
        Self { wish, why: why.to_owned() }
    }

    #[cfg(test)]
    pub(super) fn question(why: &str) -> Self {
        Self::new(Wish::Question, why)
    }

    #[cfg(test)]
    pub(super) fn program(why: &str) -> Self {
        Self::new(Wish::Program, why)
    }

    pub fn is_question(&self) -> bool {
        self.wish == Wish::Question
    }
}

/// What is known when it is decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub prompt: &'a str,
    /// z1 was started in a project.
    pub project: bool,
    /// The project was named by the user.
    pub project_named: bool,
    /// The task states checks of its own: asserts, examples, sample inputs.
    pub states_checks: bool,
    /// The task names a file that the project has.
    pub names_a_file: bool,
    /// A check of the project came with the task: who gives one wants it to pass.
    pub check_given: bool,
    /// A language is asked for.
    pub language: bool,
    /// The user's own word.
    pub said: Option<Wish>,
}

/// Decides.
pub fn decide(facts: Facts<'_>) -> Intent {
    if let Some(wish) = facts.said {
        // Without a project there is nothing to change.
        return match wish {
            Wish::Change if !facts.project => Intent::new(Wish::Program, "there is no project to change"),
            wish => Intent::new(wish, "you said so"),
        };
    }
    if facts.states_checks && !(facts.project && (facts.project_named || facts.names_a_file || facts.check_given)) {
        return Intent::new(Wish::Program, "it states its own checks");
    }
    if facts.project && facts.check_given {
        return Intent::new(Wish::Change, "a check came with it");
    }
    if asks(facts.prompt) {
        return Intent::new(Wish::Question, "it asks and orders nothing");
    }
    if facts.project {
        let why = if facts.names_a_file { "it names a file of the project" } else { "it was said in a project" };
        return Intent::new(Wish::Change, why);
    }
    let code = facts.states_checks || facts.language || speaks_of_code(facts.prompt);
    Intent::new(Wish::Program, if code { "it speaks of code" } else { "it asks nothing; words will do as well" })
}

/// Whether the words ask for an explanation rather than for work.
fn asks(prompt: &str) -> bool {
    static OPENERS: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^(?:what|why|how|which|who|whose|can|could|would|(?:where|when) (?:is|are|was|were|do|does|did|can|could|will|would|should)|is|are|was|were|does|do|did|has|have)\b",
        )
    });
    // Of these only the mark makes a question: "where a list is empty, None comes back", "does not work with tabs".
    static MARKED: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)^(?:where|when|should|will|am|in (?:which|what)|is|are|was|were|does|do|did|has|have)\b")
    });
    static NEGATED: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)^(?:is|are|was|were|does|do|did|has|have) (?:not|no|never|broken|missing|wrong)\b")
    });
    // "describe(values) must …", "Summarize orders in a function total(orders)" are no wishes to be told something.
    static WORK: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^(?:please\s+)?(?:describe|summari[sz]e)(?:\w*\(|.*\b(?:must|should|shall|(?:in|as|with|by) an? (?:new )?(?:function|method|class|script|program|module|command))\b)",
        )
    });
    static TELL: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)^(?:please\s+)?(?:explain|describe|summari[sz]e|tell me|show me (?:where|how|why|what|which))\b")
    });
    static POLITE: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)^(?:please\s+)?(?:can|could|would|will) you (?:please |kindly |maybe |also )*(\w+)")
    });
    static SPEAK: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^(?:explain|describe|tell|say|summari[sz]e|help|clarify|elaborate|walk|give me an overview|outline)$",
        )
    });
    let prose = prose(prompt);
    let sentences = sentences(&prose);
    let Some(first) = sentences.first() else { return false };
    if sentences.iter().any(|sentence| orders(sentence)) {
        return false;
    }
    // "Could you fix that?", wherever it stands, is an order; "could you explain that?" asks.
    let polite: Vec<bool> = sentences
        .iter()
        .filter_map(|sentence| POLITE.captures(sentence))
        .map(|found| SPEAK.is_match(&found[1]))
        .collect();
    if !polite.is_empty() {
        return polite.iter().all(|speaks| *speaks);
    }
    // "When it rains, nothing is shown." states something.
    let states = first.ends_with(['.', '!', ';', ':']);
    let opens = |sentence: &str| {
        (OPENERS.is_match(sentence) && !NEGATED.is_match(sentence))
            || (MARKED.is_match(sentence) && sentence.ends_with('?'))
    };
    (TELL.is_match(first) && !WORK.is_match(first))
        || (opens(first) && !states)
        || sentences.last().is_some_and(|last| last.ends_with('?') && opens(last))
}

/// Whether a sentence is an order to do something: it begins with a verb of work.
fn orders(sentence: &str) -> bool {
    static ORDER: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^(?:please|then|and|now|so|also|just|first|ok(?:ay)?|hey|hi|thanks|let's|lets|pls|kindly|if so|if not|in that case|[,:\s])*\s*(?:fix|add|change|make|implement|write|rename|remove|refactor|update|mend|repair|create|delete|replace|move|extract|speed|optimi[sz]e|convert|port|support|handle|ensure|correct|simplify|clean|improve|rewrite|generate|build|extend|split|merge|introduce|migrate|translate|document|test|solve|complete|finish|modify|adjust|set|turn|use|allow|prevent|reject|validate|sort|return|print|drop|bump|upgrade|apply|revert|undo|debug|resolve|patch|format|wrap|inline|cache|log|catch|raise|throw)\b",
        )
    });
    ORDER.is_match(sentence)
}

/// A prompt without its fences and without what was pasted: traces, quoted lines, indented blocks.
fn prose(prompt: &str) -> String {
    let mut fenced = false;
    let mut kept = String::new();
    for line in prompt.lines() {
        let plain = line.trim_start();
        if plain.starts_with("```") || plain.starts_with("~~~") {
            fenced = !fenced;
            continue;
        }
        let pasted = fenced || line.starts_with("    ") || line.starts_with('\t') || plain.starts_with(['>', '|', '$']);
        if !pasted {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn sentences(prose: &str) -> Vec<&str> {
    static END: LazyLock<Regex> = LazyLock::new(|| compile(r"[.!?;:]+(?:\s+|$)|\n+|,\s+(?:and|then|please)\s+| - "));
    let mut found = Vec::new();
    let mut from = 0;
    for end in END.find_iter(prose) {
        // The mark belongs to its sentence.
        let mark = prose[end.start()..end.end()].trim_end().len().min(1);
        found.push(prose[from..end.start() + mark].trim());
        from = end.end();
    }
    found.push(prose[from..].trim());
    found.retain(|sentence| sentence.chars().any(char::is_alphanumeric));
    found
}

/// Whether the words ask for something that is written in a language of machines.
pub(super) fn speaks_of_code(prompt: &str) -> bool {
    static CODE: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)\b(?:write|implement|code|program|function|script|class|solve|fix|def|create|refactor|return|algorithm|method|sql|query|regex|html|css|page|json|yaml|dockerfile|makefile|test|fn|func|struct|module|api|bash|python|javascript|rust|java|build|generate|convert|compute|calculate|parse|sort)\b|```|[{};]\s*$",
        )
    });
    CODE.is_match(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(prompt: &str, project: bool) -> Wish {
        decide(Facts { prompt, project, ..Facts::default() }).wish
    }

    #[test]
    fn questions_are_told_from_orders() {
        for text in [
            "Where is the CSV parsed?",
            "explain the cache",
            "How does undo work",
            "How does a hash function work?",
            "Why is the build slow?",
            "Could you explain how the scheduler works?",
            "What would happen if I add a field to Row?",
            "the parser drops a row. Why is that?",
            "The cache is slow. Could you explain why?",
            "please explain the cache.",
            "where is the config read",
            "when does it flush",
            "is there a test of the cache",
            "describe the cache",
        ] {
            assert_eq!(of(text, true), Wish::Question, "{text}");
            assert_eq!(of(text, false), Wish::Question, "{text}");
        }
        for text in [
            "fix the parser",
            "Why does it fail? Fix it.",
            "make the tests pass",
            "the parser drops a row",
            "Could you speed up the loop?",
            "When a listener that was added with once() is called, the next one is skipped. Could you fix that please?",
            "When the list is empty, the average is NaN.",
            "When the list is empty, average() should return 0",
            "does not work with tabs",
            "describe(values) must also return the median",
            "Summarize orders by customer in a function total_by_customer(orders)",
            "Where there is no config, the program dies.",
            "Can you extract the constant?",
            "would you please optimise load()?",
            "What is wrong with add()? Please mend it.",
            "Please add a command to notes.sh: search TEXT prints the notes that contain the text. When nothing is found, it prints nothing.",
            "This test fails, fix cache.py:\n\n>       assert fill() == 3\nE       assert 2 == 3",
        ] {
            assert_eq!(of(text, true), Wish::Change, "{text}");
        }
    }

    #[test]
    fn without_a_project_what_asks_nothing_is_a_program() {
        for text in
            ["Write an HTML page with a login form", "Create a web page with a red button", "def f(x):\n    pass"]
        {
            assert_eq!(of(text, false), Wish::Program, "{text}");
        }
        assert_eq!(of("say hello", false), Wish::Program);
        assert!(speaks_of_code("Write an SQL query") && !speaks_of_code("a poem about the sea"));
    }

    #[test]
    fn stated_checks_stand_alone_unless_the_project_is_meant() {
        let facts =
            Facts { prompt: "Write f. assert f(1) == 2", project: true, states_checks: true, ..Facts::default() };
        assert_eq!(decide(facts).wish, Wish::Program);
        assert_eq!(decide(Facts { names_a_file: true, ..facts }).wish, Wish::Change);
        assert_eq!(decide(Facts { project_named: true, ..facts }).wish, Wish::Change);
        let why = Facts { prompt: "Why does the test fail?", project: true, ..Facts::default() };
        assert_eq!(decide(why).wish, Wish::Question);
        assert_eq!(decide(Facts { check_given: true, ..why }).wish, Wish::Change);
    }

    #[test]
    fn the_users_word_goes_first_and_the_reason_is_said() {
        let facts = Facts { prompt: "fix it", project: true, said: Some(Wish::Question), ..Facts::default() };
        assert_eq!((decide(facts).wish, decide(facts).why.as_str()), (Wish::Question, "you said so"));
        let nowhere = Facts { project: false, said: Some(Wish::Change), ..facts };
        assert_eq!(decide(nowhere).wish, Wish::Program);
        for wish in [Wish::Question, Wish::Program, Wish::Change] {
            assert_eq!(Wish::from_name(wish.name()), Some(wish));
        }
    }
}
