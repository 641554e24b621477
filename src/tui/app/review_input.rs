//! What keys do in a review.

use crossterm::event::KeyCode;

use super::input::printable;
use super::keys::{Action, Key, Place};
use super::review::Review;
use super::turn::Phase;
use super::{App, EditPurpose, Effect, Panel};
use crate::event::{Command, Decision};
use crate::tui::backend::Request;
use crate::tui::cell::{Cell, Tone};
use crate::tui::composer::Composer;

impl App {
    pub(super) fn review_key(&mut self, key: Key) -> Vec<Effect> {
        let action = self.keymap.action(Place::Review, key);
        let main = self.keymap.action(Place::Main, key);
        let Panel::Review(review) = &mut self.panel else { return Vec::new() };
        if review.remark.is_some() {
            return self.remark_key(key, main);
        }
        match action {
            Some(Action::ReviewAccept) => return self.decide(Review::decision),
            Some(Action::ReviewReject) => return self.decide(|_| Decision::Reject),
            Some(Action::ReviewStop) => return self.stop_review(),
            Some(Action::ReviewEdit) => return edit(review),
            Some(other) => step(review, other),
            None => return self.passing_key(key, main),
        }
        Vec::new()
    }

    /// Keys of the main place that make sense during a review.
    fn passing_key(&mut self, key: Key, main: Option<Action>) -> Vec<Effect> {
        match main {
            Some(Action::Suspend) => vec![Effect::Suspend],
            Some(Action::Redraw) => vec![Effect::Repaint],
            Some(Action::Help) => {
                self.flash(self.review_hint());
                Vec::new()
            }
            _ if key.code == KeyCode::Char('?') => {
                self.flash(self.review_hint());
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The review's keys in one line.
    pub fn review_hint(&self) -> String {
        let hint = |action, word: &str| format!("{} {word}", self.keymap.hint(action));
        [
            hint(Action::ReviewAccept, "accept"),
            hint(Action::ReviewReject, "reject"),
            hint(Action::ReviewToggle, "take/leave"),
            hint(Action::ReviewToggleFile, "file"),
            hint(Action::ReviewNext, "next"),
            hint(Action::ReviewEdit, "edit"),
            hint(Action::ReviewAskAgain, "ask again"),
        ]
        .join(" · ")
    }

    fn decide(&mut self, decision: impl FnOnce(&Review) -> Decision) -> Vec<Effect> {
        let Panel::Review(review) = std::mem::take(&mut self.panel) else { return Vec::new() };
        let decision = decision(&review);
        let (tone, text) = words(&review, &decision);
        self.transcript.push(Cell::note(tone, &text));
        if let Some(turn) = &mut self.turn {
            turn.enter(Phase::Waiting, self.now);
        }
        vec![Effect::Send(Request::Command(Command::Decide { patch_id: review.patch_id, decision }))]
    }

    /// A proposal that waits is answered "no" before the task is stopped.
    fn stop_review(&mut self) -> Vec<Effect> {
        let mut effects = self.decide(|_| Decision::Reject);
        effects.extend(self.stop());
        effects
    }

    fn remark_key(&mut self, key: Key, main: Option<Action>) -> Vec<Effect> {
        let Panel::Review(review) = &mut self.panel else { return Vec::new() };
        let Some(remark) = &mut review.remark else { return Vec::new() };
        match (main, key.code) {
            (_, KeyCode::Esc) | (Some(Action::Interrupt), _) => review.remark = None,
            (_, KeyCode::Enter) if !remark.is_empty() => {
                let text = remark.take();
                return self.decide(move |_| Decision::AskAgain(text));
            }
            (Some(Action::Left), _) => remark.left(),
            (Some(Action::Right), _) => remark.right(),
            (Some(Action::Backspace), _) => remark.backspace(),
            (Some(Action::Delete), _) => remark.delete(),
            (Some(Action::EraseWord), _) => remark.erase_word(),
            (Some(Action::EraseToStart), _) => remark.erase_to_start(),
            (Some(Action::LineStart), _) => remark.line_start(),
            (Some(Action::LineEnd), _) => remark.line_end(),
            _ => {
                if let Some(text) = printable(key) {
                    remark.insert(&text);
                }
            }
        }
        Vec::new()
    }
}

fn step(review: &mut Review, action: Action) {
    match action {
        Action::ReviewNext => review.step(true),
        Action::ReviewPrevious => review.step(false),
        Action::ReviewNextFile => review.step_file(true),
        Action::ReviewPreviousFile => review.step_file(false),
        Action::ReviewToggle => review.toggle_hunk(),
        Action::ReviewToggleFile => review.toggle_file(),
        Action::ReviewAskAgain => review.remark = Some(Composer::default()),
        Action::ReviewScrollDown => review.scroll += 5,
        Action::ReviewScrollUp => review.scroll = review.scroll.saturating_sub(5),
        _ => {}
    }
}

fn edit(review: &Review) -> Vec<Effect> {
    let Some((path, text)) = review.to_edit() else { return Vec::new() };
    let name = path.rsplit('/').next().unwrap_or("file").to_owned();
    vec![Effect::OpenEditor { purpose: EditPurpose::ReviewFile, text: text.to_owned(), name }]
}

fn words(review: &Review, decision: &Decision) -> (Tone, String) {
    let files = match review.files.len() {
        1 => review.files[0].path.clone(),
        n => format!("{n} files"),
    };
    let (taken, all) = review.counts();
    match decision {
        Decision::Accept => (Tone::Good, format!("accepted: {files} (/undo takes it back)")),
        Decision::AcceptHunks(_) => {
            (Tone::Good, format!("accepted {taken} of {all} hunks: {files} (/undo takes it back)"))
        }
        Decision::AcceptEdited(_) => (Tone::Good, format!("accepted as edited: {files} (/undo takes it back)")),
        Decision::Reject => (Tone::Plain, format!("rejected: {files}")),
        Decision::AskAgain(remark) => (Tone::Plain, format!("asked again: {remark}")),
    }
}
