//! What happens to a task, as the protocol's updates: thoughts, messages, a plan, tool calls. Pure.
//!
//! Of several candidates the first is streamed; the end says which answer it was. Text that programs and models wrote
//! is cleaned: an editor may show it in a terminal.
//!
//! Not for: sending anything, or asking for permission (`desk.rs`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::agent::sessions::ended;
use crate::event::{Event, FileChange};
use crate::prompt::conversation::fenced;
use crate::sandbox::text::clean;
use crate::task::{Candidate, Outcome, Part, Status, Usage, Verdict};

/// A title longer than this is cut.
const TITLE_CHARS_MAX: usize = 120;
/// Failures of a check that are listed.
const FAILURES_SHOWN_MAX: usize = 5;

const IN_PROJECT: [&str; 4] =
    ["Look at the project", "Think, and write the change", "Run the project's check", "Show the change"];
const ALONE: [&str; 2] = ["Think, and write the program", "Run it"];

/// One prompt's updates so far.
#[derive(Debug)]
pub(super) struct Telling {
    /// Names the tool calls and messages of this prompt.
    prefix: String,
    root: Option<PathBuf>,
    notices: bool,
    context_tokens_max: u32,
    calls: u32,
    round: u32,
    /// How far the plan is; `None` before the first look at the task.
    phase: Option<usize>,
    /// The message as it was streamed in this round.
    said: String,
    loading: Option<String>,
    verifying: BTreeMap<u32, String>,
    proposed: Option<String>,
    /// The call of another program's tool that was asked for.
    permission: Option<String>,
    failed: bool,
}

impl Telling {
    /// `notices` says that the client shows warnings of their own kind.
    pub(super) fn new(prefix: String, root: Option<PathBuf>, notices: bool, context_tokens_max: u32) -> Self {
        Self {
            prefix,
            root,
            notices,
            context_tokens_max,
            calls: 0,
            round: 0,
            phase: None,
            said: String::new(),
            loading: None,
            verifying: BTreeMap::new(),
            proposed: None,
            permission: None,
            failed: false,
        }
    }

    /// Whether the last candidate that was run failed its check.
    pub(super) const fn check_failed(&self) -> bool {
        self.failed
    }

    /// The tool call of the change that was proposed last.
    pub(super) fn proposed(&self) -> Option<&str> {
        self.proposed.as_deref()
    }

    /// The tool call that waits for the user's word on a tool.
    pub(super) fn permission(&self) -> Option<&str> {
        self.permission.as_deref()
    }

    /// The user's word on it.
    pub(super) fn permitted(&mut self, yes: bool) -> Option<Value> {
        if yes {
            return self.permission.as_deref().map(|id| status(id, "in_progress", None));
        }
        self.permission.take().map(|id| status(&id, "failed", Some("not allowed")))
    }

    /// The updates that an event is worth, in order.
    pub(super) fn event(&mut self, event: &Event) -> Vec<Value> {
        // Whatever comes next, the tool has answered.
        let mut updates: Vec<Value> =
            self.permission.take().map(|id| status(&id, "completed", None)).into_iter().collect();
        updates.extend(self.worth(event));
        updates
    }

    fn worth(&mut self, event: &Event) -> Vec<Value> {
        match event {
            Event::Loading { .. } => self.loading(),
            Event::Ready { context_tokens_max, .. } => {
                self.context_tokens_max = *context_tokens_max;
                self.loading.take().map(|id| status(&id, "completed", None)).into_iter().collect()
            }
            Event::Started { .. } => self.reach(0),
            Event::Prefill { done, total, .. } if done >= total => vec![self.usage(*total)],
            Event::Classified { complexity, budget } => {
                let level = crate::complexity::name(complexity.level);
                let title = format!("Judged {level}: up to {} tokens of thinking", budget.thinking_tokens_max);
                vec![self.call(&title, "think", "completed", &complexity.reasons.join("\n"))]
            }
            Event::Round { round, .. } => {
                self.round = *round;
                self.said.clear();
                self.reach(usize::from(self.root.is_some()))
            }
            Event::Piece { candidate: 0, part, text, .. } => self.piece(*part, text),
            Event::Verifying { candidate, command, tier } => self.verifying(*candidate, command, &format!("{tier:?}")),
            Event::Verified { candidate, verdict } => self.verified(*candidate, verdict),
            Event::Step { text } => {
                let (title, rest) = text.split_once('\n').unwrap_or((text, ""));
                vec![self.call(title.trim_end_matches(':'), "search", "completed", rest)]
            }
            Event::Proposal { files, .. } => self.proposal(files),
            Event::Permission { title, text, .. } => {
                let update = self.call(title, "other", "pending", text);
                self.permission = update["toolCallId"].as_str().map(str::to_owned);
                vec![update]
            }
            Event::Warning { text } => vec![self.warning(text)],
            Event::Prefill { .. }
            | Event::Piece { .. }
            | Event::Shifted { .. }
            | Event::Finished { .. }
            | Event::Question { .. }
            | Event::Ended { .. }
            | Event::Fatal { .. } => Vec::new(),
        }
    }

    /// The updates that the end is worth.
    pub(super) fn end(&mut self, outcome: &Outcome) -> Vec<Value> {
        let mut updates = Vec::new();
        let left_open = std::mem::take(&mut self.verifying).into_values().chain(self.loading.take());
        let left_open = left_open.chain(self.permission.take());
        updates.extend(left_open.map(|id| status(&id, "failed", Some("ended before there was a result"))));
        if let Some(id) = self.proposed.take() {
            let written = outcome.status != Status::Refused && outcome.status != Status::Cancelled;
            updates.push(status(&id, if written { "completed" } else { "failed" }, None));
        }
        if let Some(reached) = self.phase {
            let entries = self.entries(reached + 1, "completed");
            updates.push(json!({ "sessionUpdate": "plan", "entries": entries }));
        }
        updates.push(self.message(&self.last_words(outcome)));
        updates.push(self.usage(outcome.usage.prompt_tokens.saturating_add(outcome.usage.generated_tokens())));
        updates
    }

    /// The answer where it was not streamed, how it ended, and what should be known.
    fn last_words(&self, outcome: &Outcome) -> String {
        let answer = outcome.answer.trim();
        let shown = answer.is_empty() || self.said.contains(answer) || (self.phase == Some(3) && is_diff(answer));
        let mut text = String::new();
        if !self.said.is_empty() {
            // A fence that the end of a generation left open must not swallow what follows.
            let open = self.said.lines().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1;
            text.push_str(if open { "\n```\n\n" } else { "\n\n" });
        }
        if !shown {
            let tag = match &outcome.candidate {
                Some(Candidate::Program { language, .. }) => Some(language.fence_tag()),
                Some(Candidate::Edits { .. }) => Some("diff"),
                None => None,
            };
            text.push_str(&clean(&tag.map_or_else(|| answer.to_owned(), |tag| fenced(answer, Some(tag)))));
            text.push_str("\n\n");
        }
        text.push_str(&format!("*{}*", clean(&ended(outcome))));
        text.extend(outcome.notes.iter().map(|note| format!("\n- {}", clean(note))));
        text.push('\n');
        text
    }

    fn loading(&mut self) -> Vec<Value> {
        if self.loading.is_some() {
            return Vec::new();
        }
        let update = self.call("Loading the model", "other", "in_progress", "");
        self.loading = update["toolCallId"].as_str().map(str::to_owned);
        vec![update]
    }

    fn piece(&mut self, part: Part, text: &str) -> Vec<Value> {
        let text = clean(text);
        match part {
            Part::Thinking if text.is_empty() => Vec::new(),
            Part::Thinking => vec![chunk("agent_thought_chunk", &text, &self.message_id("thought"))],
            // The hint may open the fence that the answer's code stands in.
            Part::Shift => {
                let last = text.lines().last().unwrap_or_default();
                let opened = last.trim_start().starts_with("```").then(|| format!("{last}\n"));
                opened.map(|line| self.message(&line)).into_iter().collect()
            }
            Part::Answer if text.is_empty() => Vec::new(),
            Part::Answer => vec![self.message(&text)],
        }
    }

    fn message(&mut self, text: &str) -> Value {
        self.said.push_str(text);
        chunk("agent_message_chunk", text, &self.message_id("message"))
    }

    fn message_id(&self, what: &str) -> String {
        format!("{}-{what}-{}", self.prefix, self.round)
    }

    fn verifying(&mut self, candidate: u32, command: &str, tier: &str) -> Vec<Value> {
        let last = if self.root.is_some() { 2 } else { 1 };
        // A project's check is run once before anything was written: that is a look at the project.
        let mut updates = if self.phase.is_some_and(|phase| phase + 1 >= last) { self.reach(last) } else { Vec::new() };
        let update = self.call(command, "execute", "in_progress", &format!("behind walls of tier {tier}"));
        if let Some(id) = update["toolCallId"].as_str() {
            self.verifying.insert(candidate, id.to_owned());
        }
        updates.push(update);
        updates
    }

    fn verified(&mut self, candidate: u32, verdict: &Verdict) -> Vec<Value> {
        self.failed = matches!(verdict, Verdict::Failed(_));
        let Some(id) = self.verifying.remove(&candidate) else { return Vec::new() };
        let good = matches!(verdict, Verdict::Passed(_) | Verdict::NothingToCheck { .. });
        vec![status(&id, if good { "completed" } else { "failed" }, Some(&words(verdict)))]
    }

    fn proposal(&mut self, files: &[FileChange]) -> Vec<Value> {
        let mut updates = self.reach(3);
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let mut update = self.call(&format!("Change {}", names.join(", ")), "edit", "pending", "");
        let at = |file: &FileChange| self.root.as_deref().unwrap_or(Path::new("/")).join(&file.path);
        update["content"] = files.iter().map(|file| diff(&at(file), file)).collect();
        update["locations"] = files.iter().map(|file| json!({ "path": at(file) })).collect();
        self.proposed = update["toolCallId"].as_str().map(str::to_owned);
        updates.push(update);
        updates
    }

    fn warning(&mut self, text: &str) -> Value {
        let text = clean(text);
        if self.notices {
            return json!({ "sessionUpdate": "notice", "severity": "warning", "title": text });
        }
        self.call(&format!("Warning: {text}"), "other", "completed", &text)
    }

    /// A new tool call.
    fn call(&mut self, title: &str, kind: &str, status: &str, text: &str) -> Value {
        self.calls += 1;
        let mut update = json!({
            "sessionUpdate": "tool_call", "toolCallId": format!("{}-{}", self.prefix, self.calls),
            "title": title_of(title), "kind": kind, "status": status,
        });
        if !text.trim().is_empty() {
            update["content"] = json!([content(text)]);
        }
        update
    }

    /// The plan at this step, where it is a new one.
    fn reach(&mut self, phase: usize) -> Vec<Value> {
        if self.phase == Some(phase) {
            return Vec::new();
        }
        self.phase = Some(phase);
        vec![json!({ "sessionUpdate": "plan", "entries": self.entries(phase, "in_progress") })]
    }

    /// The plan's entries: those before `phase` are done, that one has `now`, a later one waits.
    fn entries(&self, phase: usize, now: &str) -> Value {
        let all: &[&str] = if self.root.is_some() { &IN_PROJECT } else { &ALONE };
        let entry = |(at, text): (usize, &&str)| {
            let status = match at.cmp(&phase) {
                std::cmp::Ordering::Less => "completed",
                std::cmp::Ordering::Equal => now,
                std::cmp::Ordering::Greater => "pending",
            };
            json!({ "content": text, "priority": "medium", "status": status })
        };
        // At the end what was not needed is no longer part of the plan.
        let count = if now == "completed" { phase.min(all.len()) } else { all.len() };
        all.iter().enumerate().take(count).map(entry).collect()
    }

    fn usage(&self, used_tokens: u32) -> Value {
        let size = self.context_tokens_max.max(used_tokens);
        json!({ "sessionUpdate": "usage_update", "used": used_tokens, "size": size })
    }
}

/// What the prompt's answer says beyond the protocol's stop reason.
pub(super) fn meta(outcome: &Outcome) -> Value {
    let Usage { prompt_tokens, reused_tokens, thinking_tokens, forced_tokens, answer_tokens } = outcome.usage;
    json!({ "z1": {
        "status": outcome.status, "verdict": outcome.verdict, "rounds": outcome.rounds,
        "usage": {
            "prompt_tokens": prompt_tokens, "reused_tokens": reused_tokens, "thinking_tokens": thinking_tokens,
            "forced_tokens": forced_tokens, "answer_tokens": answer_tokens,
        },
    } })
}

/// One of the protocol's closed set of reasons.
pub(super) const fn stop_reason(status: Status) -> &'static str {
    match status {
        Status::Verified | Status::Unverified | Status::Failed | Status::Refused => "end_turn",
        Status::LimitReached => "max_tokens",
        Status::Cancelled => "cancelled",
    }
}

/// A piece of a message.
pub(super) fn chunk(kind: &str, text: &str, id: &str) -> Value {
    json!({ "sessionUpdate": kind, "content": { "type": "text", "text": text }, "messageId": id })
}

/// A tool call's new status, and what came out of it.
pub(super) fn status(id: &str, status: &str, text: Option<&str>) -> Value {
    let mut update = json!({ "sessionUpdate": "tool_call_update", "toolCallId": id, "status": status });
    if let Some(text) = text {
        update["content"] = json!([content(text)]);
    }
    update
}

fn content(text: &str) -> Value {
    json!({ "type": "content", "content": { "type": "text", "text": clean(text) } })
}

fn diff(path: &Path, file: &FileChange) -> Value {
    json!({ "type": "diff", "path": path, "oldText": file.before, "newText": file.after.as_deref().unwrap_or("") })
}

fn is_diff(text: &str) -> bool {
    text.starts_with("--- ") || text.starts_with("diff ")
}

fn title_of(text: &str) -> String {
    let line = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TITLE_CHARS_MAX {
        return line;
    }
    line.chars().take(TITLE_CHARS_MAX - 1).chain(['…']).collect()
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed(report) => format!("{} passed, {} ms", report.passed, report.wall_ms),
        Verdict::Failed(report) => {
            let mut text = format!("{} passed, {} failed", report.passed, report.failed);
            for failure in report.failures.iter().take(FAILURES_SHOWN_MAX) {
                text.push_str(&format!("\n{} {}", failure.name, failure.got));
                if let Some(expected) = &failure.expected {
                    text.push_str(&format!(" (expected {expected})"));
                }
            }
            text
        }
        Verdict::NothingToCheck { why } => format!("nothing to check: {why}"),
        Verdict::SandboxFailed { step, why } => format!("the sandbox failed at {step}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Report, Tier};

    fn piece(part: Part, text: &str) -> Event {
        Event::Piece { candidate: 0, part, text: text.into(), forced: false, tokens: 1 }
    }

    fn outcome(status: Status, answer: &str) -> Outcome {
        Outcome {
            status,
            candidate: None,
            answer: answer.into(),
            verdict: None,
            usage: Usage::default(),
            rounds: 1,
            notes: vec!["a note".into()],
        }
    }

    fn report() -> Report {
        Report {
            command: "pytest".into(),
            passed: 1,
            failed: 0,
            failures: vec![],
            tier: Tier::L,
            wall_ms: 3,
            flags: vec![],
        }
    }

    fn text(update: &Value) -> &str {
        update["content"]["text"].as_str().unwrap()
    }

    #[test]
    fn thoughts_and_answers_have_their_own_kinds_and_are_clean() {
        let mut telling = Telling::new("t".into(), None, false, 100);
        let thought = telling.event(&piece(Part::Thinking, "a\u{1b}[31mb"));
        assert_eq!((thought[0]["sessionUpdate"].as_str(), text(&thought[0])), (Some("agent_thought_chunk"), "ab"));
        assert!(telling.event(&piece(Part::Shift, "I overthought it.\n")).is_empty());
        let opened = telling.event(&piece(Part::Shift, "The answer:\n```python\n"));
        assert_eq!(text(&opened[0]), "```python\n");
        let answer = telling.event(&piece(Part::Answer, "x = 1"));
        assert_eq!(answer[0]["sessionUpdate"], "agent_message_chunk");
        let end = telling.end(&outcome(Status::Unverified, "x = 1"));
        let last = end.iter().find(|update| update["sessionUpdate"] == "agent_message_chunk").unwrap();
        assert!(
            text(last).starts_with("\n```\n\n*unverified*\n- a note"),
            "closes the fence, says no code twice: {last}"
        );
    }

    #[test]
    fn an_answer_that_was_not_streamed_is_said_at_the_end() {
        let mut telling = Telling::new("t".into(), None, false, 100);
        telling.event(&piece(Part::Thinking, "It is 4."));
        let end = telling.end(&outcome(Status::Unverified, "It is 4."));
        assert!(end.iter().any(|update| update["content"]["text"].as_str().is_some_and(|t| t.starts_with("It is 4."))));
    }

    #[test]
    fn a_project_has_a_plan_checks_and_a_diff() {
        let mut telling = Telling::new("t".into(), Some("/p".into()), false, 100);
        let plan = telling.event(&Event::Started { task_id: "t".into() });
        let state = |plan: &Value| -> Vec<String> {
            plan["entries"].as_array().unwrap().iter().map(|e| e["status"].as_str().unwrap().into()).collect()
        };
        assert_eq!(state(&plan[0]), ["in_progress", "pending", "pending", "pending"]);
        let verifying = Event::Verifying { candidate: 0, tier: Tier::L, command: "pytest\nx".into() };
        let before = telling.event(&verifying);
        assert_eq!((before.len(), before[0]["title"].as_str()), (1, Some("pytest x")));
        let passed = Event::Verified { candidate: 0, verdict: Verdict::Passed(report()) };
        assert_eq!(telling.event(&passed)[0]["status"], "completed");
        telling.event(&Event::Round { round: 0, candidates: 1 });
        assert_eq!(state(&telling.event(&verifying)[0]), ["completed", "completed", "in_progress", "pending"]);
        let change = |path: &str, before: Option<&str>| FileChange {
            path: path.into(),
            added_lines: 1,
            removed_lines: 0,
            before: before.map(str::to_owned),
            after: Some("2\n".into()),
        };
        let files = vec![change("a.py", Some("1\n")), change("new.py", None)];
        let updates = telling.event(&Event::Proposal { patch_id: 1, diff: String::new(), files });
        let call = &updates[1];
        assert_eq!((call["kind"].as_str(), call["status"].as_str()), (Some("edit"), Some("pending")));
        assert_eq!(call["content"][0]["path"], "/p/a.py");
        assert!(call["content"][1]["oldText"].is_null());
        let end = telling.end(&outcome(Status::Refused, "--- a/a.py\n"));
        let closed: Vec<&Value> = end.iter().filter(|u| u["sessionUpdate"] == "tool_call_update").collect();
        assert_eq!(closed.len(), 2, "the check that was still running, and the change");
        assert!(closed.iter().all(|update| update["status"] == "failed"));
        let plan = end.iter().find(|update| update["sessionUpdate"] == "plan").unwrap();
        assert_eq!(state(plan), ["completed"; 4]);
    }

    #[test]
    fn warnings_are_notices_only_where_the_client_knows_them() {
        let warning = Event::Warning { text: "w".into() };
        let kind = |notices| Telling::new("t".into(), None, notices, 0).event(&warning)[0]["sessionUpdate"].clone();
        assert_eq!((kind(true), kind(false)), (json!("notice"), json!("tool_call")));
    }
}
