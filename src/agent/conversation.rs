//! A conversation as the model sees it over the tasks of a session, and how it is made shorter. Pure.
//!
//! Replies are kept as they were written, thinking included: every token of them is in the cache already, so the
//! next turn decodes only what is new. Where the window has no room for that any more, the conversation is cut in
//! stated steps ([`Conversation::compacted`]), each of which keeps the beginning byte for byte.
//!
//! Not for: files on disk (`sessions.rs`).

use serde::{Deserialize, Serialize};

use crate::prompt::{Message, Role};

/// What an entry is; decides what becomes of it when room is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    System,
    /// A task with what was gathered for it.
    Opening,
    /// What the model wrote.
    Reply,
    /// What a check or a command showed, and what is asked for next.
    Output,
}

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: Kind,
    /// Which task of the session it belongs to, from 0.
    pub task: u32,
    pub text: String,
    /// What is left of it when room is needed.
    pub short: String,
}

impl Entry {
    const fn role(&self) -> Role {
        match self.kind {
            Kind::System => Role::System,
            Kind::Opening | Kind::Output => Role::User,
            Kind::Reply => Role::Assistant,
        }
    }
}

/// The turns of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    pub entries: Vec<Entry>,
}

/// How far a conversation had to be cut, in the order of what is given up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// Nothing was.
    Whole,
    /// The thinking of finished tasks.
    PastThinking,
    /// What was shown for finished tasks: files, test output, command output, attempts that failed.
    PastOutput,
    /// Finished tasks are one line each.
    Summary,
    /// The attempts at the present task before the last one.
    PresentAttempts,
}

impl Cut {
    const STEPS: [Self; 5] = [Self::Whole, Self::PastThinking, Self::PastOutput, Self::Summary, Self::PresentAttempts];

    /// What making room cost, as a sentence for the user.
    pub fn sentence(self) -> String {
        format!("to make room in the context, {} went", self.words())
    }

    /// What was given up, for the user.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Whole => "nothing",
            Self::PastThinking => "the thinking of earlier tasks",
            Self::PastOutput => "the thinking, files and output of earlier tasks",
            Self::Summary => "all of the earlier tasks but a line each",
            Self::PresentAttempts => "the earlier tasks but a line each, and earlier attempts at this one",
        }
    }
}

impl Conversation {
    pub fn push(&mut self, kind: Kind, task: u32, text: impl Into<String>, short: impl Into<String>) {
        self.entries.push(Entry { kind, task, text: text.into(), short: short.into() });
    }

    /// Forgets everything of a task, which then was never asked.
    pub fn forget(&mut self, task: u32) {
        self.entries.retain(|entry| entry.task != task || entry.kind == Kind::System);
        if self.entries.iter().all(|entry| entry.kind == Kind::System) {
            self.entries.clear();
        }
    }

    /// The turns for the renderer.
    pub fn messages(&self) -> Vec<Message> {
        self.entries.iter().map(|entry| Message::new(entry.role(), entry.text.as_str())).collect()
    }

    /// The least cut version that `fits`; the most cut one where none does. `task` is the present one.
    pub fn compacted(&self, task: u32, fits: impl Fn(&[Message]) -> bool) -> (Self, Cut) {
        let mut last = (self.clone(), Cut::Whole);
        for cut in Cut::STEPS {
            last = (self.cut(task, cut), cut);
            if fits(&last.0.messages()) {
                break;
            }
        }
        last
    }

    fn cut(&self, present: u32, cut: Cut) -> Self {
        if cut == Cut::Whole {
            return self.clone();
        }
        let mut entries = Vec::with_capacity(self.entries.len());
        let last_reply = |task: u32| self.entries.iter().rposition(|e| e.task == task && e.kind == Kind::Reply);
        let first_opening = self.entries.iter().position(|entry| entry.kind == Kind::Opening);
        let mut told = String::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let past = entry.task < present && entry.kind != Kind::System;
            let mut entry = entry.clone();
            if !past {
                // An attempt and what running it showed go together, so that the roles still alternate.
                let early = match entry.kind {
                    Kind::Reply => Some(at) != last_reply(present),
                    Kind::Output => last_reply(present).is_some_and(|last| at < last),
                    Kind::System | Kind::Opening => false,
                };
                if cut >= Cut::PresentAttempts && early {
                    continue;
                }
                if entry.kind == Kind::Opening && !told.is_empty() {
                    entry.text = format!("{told}\nNow:\n\n{}", entry.text);
                    told.clear();
                }
                entries.push(entry);
                continue;
            }
            match cut {
                Cut::Whole | Cut::PastThinking => {
                    if entry.kind == Kind::Reply {
                        entry.text.clone_from(&entry.short);
                    }
                    entries.push(entry);
                }
                Cut::PastOutput => {
                    let dropped = match entry.kind {
                        Kind::Reply => Some(at) != last_reply(entry.task),
                        Kind::Output => true,
                        Kind::System | Kind::Opening => false,
                    };
                    if !dropped {
                        // The first opening begins with the map and the rules, which later ones lean on.
                        entry.text.clone_from(&entry.short);
                        entries.push(entry);
                    }
                }
                Cut::Summary | Cut::PresentAttempts => match entry.kind {
                    Kind::Opening if Some(at) == first_opening => told.push_str(&format!("{}\n", entry.short)),
                    Kind::Opening => told.push_str(&format!("* {}\n", one_line(&entry.short))),
                    Kind::Reply if Some(at) == last_reply(entry.task) => {
                        told.push_str(&format!("  answered: {}\n", one_line(&entry.short)));
                    }
                    _ => {}
                },
            }
        }
        Self { entries }
    }
}

/// The beginning of a text on one line.
fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= CHARS_MAX { line } else { line.chars().take(CHARS_MAX - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Conversation {
        let mut all = Conversation::default();
        all.push(Kind::System, 0, "S", "");
        for task in 0..3 {
            let map = if task == 0 { "MAP " } else { "" };
            all.push(Kind::Opening, task, format!("{map}FILES task {task}"), format!("{map}task {task}"));
            all.push(Kind::Reply, task, format!("thinking {task} first"), format!("first {task}"));
            all.push(Kind::Output, task, format!("it failed {task}"), "failed");
            all.push(Kind::Reply, task, format!("thinking {task} second"), format!("second {task}"));
        }
        all
    }

    fn length(messages: &[Message]) -> usize {
        messages.iter().map(|message| message.content.len()).sum()
    }

    #[track_caller]
    fn cut_to(bytes_max: usize) -> (String, Cut) {
        let (cut, how) = session().compacted(2, |messages| length(messages) <= bytes_max);
        let messages = cut.messages();
        let roles: Vec<Role> = messages.iter().skip(1).map(|message| message.role).collect();
        assert!(roles.iter().step_by(2).all(|role| *role == Role::User), "{roles:?}");
        assert!(roles.iter().skip(1).step_by(2).all(|role| *role == Role::Assistant), "{roles:?}");
        (messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("|"), how)
    }

    #[test]
    fn thinking_goes_first_then_output_then_all_but_a_line() {
        let whole = length(&session().messages());
        assert_eq!(cut_to(whole).1, Cut::Whole);
        let (text, how) = cut_to(whole - 1);
        assert_eq!(how, Cut::PastThinking);
        assert!(text.starts_with("S|MAP FILES task 0|first 0|it failed 0|second 0|"), "{text}");
        assert!(text.ends_with("FILES task 2|thinking 2 first|it failed 2|thinking 2 second"), "{text}");
        let (text, how) = cut_to(length(&session().cut(2, Cut::PastThinking).messages()) - 1);
        assert_eq!(how, Cut::PastOutput);
        assert!(text.starts_with("S|MAP task 0|second 0|task 1|second 1|FILES task 2|"), "{text}");
        let (text, how) = cut_to(0);
        assert_eq!(how, Cut::PresentAttempts);
        assert!(text.starts_with("S|MAP task 0\n  answered: second 0\n* task 1\n"), "{text}");
        assert!(text.ends_with("FILES task 2|thinking 2 second"), "{text}");
    }

    #[test]
    fn a_first_task_that_does_not_fit_keeps_its_last_attempt() {
        let (cut, how) = session().compacted(0, |_| false);
        assert_eq!(how, Cut::PresentAttempts);
        assert_eq!(cut.entries[1].text, "MAP FILES task 0");
        assert_eq!(cut.entries[2].text, "thinking 0 second");
    }
}
