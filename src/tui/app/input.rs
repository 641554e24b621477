//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::keys::{Action, Key, Place};
use super::picker::Purpose;
use super::slash::COMMANDS;
use super::{App, Effect, Panel};
use crate::tui::backend::Request;
use crate::tui::composer::complete::{self, Completion, Entry};

impl App {
    pub(super) fn on_key(&mut self, event: KeyEvent) -> Vec<Effect> {
        if event.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let key = Key::from_event(event);
        match &self.panel {
            Panel::None => self.main_key(key),
            Panel::Help { .. } => self.help_key(key),
            Panel::Review(_) => self.review_key(key),
            Panel::Picker(_) => self.picker_key(key),
        }
    }

    fn main_key(&mut self, key: Key) -> Vec<Effect> {
        if key == (Key { code: KeyCode::Char('?'), modifiers: KeyModifiers::NONE }) && self.composer.is_empty() {
            return self.act(Action::Help);
        }
        if let Some(action) = self.keymap.action(Place::Main, key) {
            if let Some(effects) = self.completion_key(action) {
                return effects;
            }
            let effects = self.act(action);
            if !matches!(action, Action::Complete | Action::Stop) {
                self.refresh_completion_after(action);
            }
            return effects;
        }
        if let Some(text) = printable(key) {
            self.composer.insert(&text);
            self.refresh_completion();
        }
        Vec::new()
    }

    /// While a completion is open some keys belong to it.
    fn completion_key(&mut self, action: Action) -> Option<Vec<Effect>> {
        let typed = self.composer.text().to_owned();
        let completion = self.composer.completion.as_mut()?;
        match action {
            Action::Up => completion.move_by(false),
            Action::Down => completion.move_by(true),
            Action::Stop => self.composer.completion = None,
            Action::Complete => self.take_completion(),
            // A command that stands there in full is run, not completed.
            Action::Submit if completion.chosen().is_some_and(|entry| entry.insert.trim_end() == typed) => {
                self.composer.completion = None;
                return None;
            }
            Action::Submit => self.take_completion(),
            _ => return None,
        }
        Some(Vec::new())
    }

    fn take_completion(&mut self) {
        let Some(completion) = self.composer.completion.take() else { return };
        if let Some(entry) = completion.chosen() {
            let insert = entry.insert.clone();
            self.composer.replace(completion.range, &insert);
        }
    }

    fn refresh_completion_after(&mut self, action: Action) {
        match action {
            Action::Left | Action::Right | Action::Up | Action::Down => self.composer.completion = None,
            _ => self.refresh_completion(),
        }
    }

    pub(super) fn refresh_completion(&mut self) {
        let selected = self.composer.completion.take().map(|c| (c.range.start, c.selected));
        let Some((mark, range)) = complete::word_at(self.composer.text(), self.composer.cursor()) else { return };
        let query = self.composer.text()[range.start + 1..range.end].to_owned();
        let entries = match mark {
            '@' => self.file_entries(&query),
            _ => command_entries(&query),
        };
        if entries.is_empty() {
            return;
        }
        let selected = selected.filter(|(start, _)| *start == range.start).map_or(0, |(_, s)| s.min(entries.len() - 1));
        self.composer.completion = Some(Completion { range, entries, selected });
    }

    fn file_entries(&self, query: &str) -> Vec<Entry> {
        let best = complete::best(query, self.files.iter().map(String::as_str));
        best.into_iter().map(|path| Entry { insert: format!("@{path} "), about: String::new() }).collect()
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Submit => return self.enter(),
            Action::Newline => self.composer.insert("\n"),
            Action::Stop => return self.escape(),
            Action::Interrupt => return self.interrupt(),
            Action::Leave if self.composer.is_empty() => return self.leave(self.exit()),
            Action::ToggleEffort => return self.cycle_effort(),
            Action::AnswerNow => return self.answer_now(),
            Action::ThinkMore => return self.think_more(),
            Action::ToggleThinking => return self.toggle_thinking(),
            Action::Complete => self.refresh_completion(),
            Action::HistorySearch => self.search_history(),
            Action::Editor => return self.open_editor(),
            Action::CopyCode => return self.copy_code(),
            Action::AcceptOffer => return self.accept_offer(),
            Action::DeclineOffer if self.offered.as_ref().is_some_and(|offered| offered.open) => {
                return self.decline_offer();
            }
            Action::Fullscreen => return self.toggle_fullscreen(),
            Action::ScrollUp => return self.on_scroll(true, self.page()),
            Action::ScrollDown => return self.on_scroll(false, self.page()),
            Action::Redraw => return vec![Effect::Repaint],
            Action::Suspend => return vec![Effect::Suspend],
            Action::Help => self.panel = Panel::Help { scroll: 0 },
            other => self.edit(other),
        }
        Vec::new()
    }

    fn edit(&mut self, action: Action) {
        let width = self.composer_width();
        let composer = &mut self.composer;
        match action {
            Action::Left => composer.left(),
            Action::Right => composer.right(),
            Action::WordLeft => composer.word_left(),
            Action::WordRight => composer.word_right(),
            Action::LineStart => composer.line_start(),
            Action::LineEnd => composer.line_end(),
            Action::Backspace => composer.backspace(),
            Action::Delete | Action::Leave => composer.delete(),
            Action::EraseWord => composer.erase_word(),
            Action::EraseToStart => composer.erase_to_start(),
            Action::EraseToEnd => composer.erase_to_end(),
            Action::Undo => composer.undo(),
            Action::Redo => composer.redo(),
            Action::Up if !composer.vertical(width, false) => self.recall(true),
            Action::Down if !composer.vertical(width, true) => self.recall(false),
            _ => {}
        }
    }

    /// An earlier or later input. On an empty line the newest queued input comes back first.
    fn recall(&mut self, older: bool) {
        if older
            && self.composer.is_empty()
            && let Some(queued) = self.queue.pop_back()
        {
            return self.composer.set(&queued);
        }
        let current = self.composer.full_text();
        let history = &mut self.composer.history;
        let text = if older { history.older(&current) } else { history.newer() };
        if let Some(text) = text.map(str::to_owned) {
            self.composer.set(&text);
        }
    }

    pub(super) fn on_paste(&mut self, text: &str) -> Vec<Effect> {
        match &mut self.panel {
            Panel::Picker(picker) => picker.narrow(text),
            Panel::Review(review) => {
                if let Some(remark) = &mut review.remark {
                    remark.paste(text);
                }
            }
            Panel::None | Panel::Help { .. } => {
                self.panel = Panel::None;
                self.composer.paste(text);
                self.composer.completion = None;
            }
        }
        Vec::new()
    }

    pub(super) fn on_scroll(&mut self, up: bool, rows: usize) -> Vec<Effect> {
        match &mut self.panel {
            Panel::Help { scroll } => *scroll = if up { scroll.saturating_sub(rows) } else { *scroll + rows },
            Panel::Review(review) => {
                review.scroll = if up { review.scroll.saturating_sub(rows) } else { review.scroll + rows };
            }
            _ if self.fullscreen => {
                self.scroll = if up { self.scroll + rows } else { self.scroll.saturating_sub(rows) }
            }
            _ => {}
        }
        Vec::new()
    }

    fn page(&self) -> usize {
        usize::from(self.rows / 2).max(1)
    }

    /// The width of the composer's text.
    pub fn composer_width(&self) -> usize {
        usize::from(self.columns).saturating_sub(2).max(2)
    }

    fn help_key(&mut self, key: Key) -> Vec<Effect> {
        let page = self.page();
        match (key.code, self.keymap.action(Place::Main, key)) {
            (KeyCode::Down, _) => self.on_scroll(false, 1),
            (KeyCode::Up, _) => self.on_scroll(true, 1),
            (KeyCode::PageDown | KeyCode::Char(' '), _) => self.on_scroll(false, page),
            (KeyCode::PageUp, _) => self.on_scroll(true, page),
            (_, Some(action @ (Action::Suspend | Action::Interrupt))) => {
                self.panel = Panel::None;
                self.act(action)
            }
            _ => {
                self.panel = Panel::None;
                Vec::new()
            }
        }
    }

    fn picker_key(&mut self, key: Key) -> Vec<Effect> {
        let action = self.keymap.action(Place::Picker, key);
        let Panel::Picker(picker) = &mut self.panel else { return Vec::new() };
        match (action, key.code) {
            (Some(Action::PickNext), _) => picker.step(true),
            (Some(Action::PickPrevious), _) => picker.step(false),
            (Some(Action::PickClose), _) => self.panel = Panel::None,
            (Some(Action::PickChoose), _) => return self.choose(),
            (_, KeyCode::Backspace) => picker.widen(),
            _ => {
                if let Some(text) = printable(key) {
                    picker.narrow(&text);
                }
            }
        }
        Vec::new()
    }

    fn choose(&mut self) -> Vec<Effect> {
        let Panel::Picker(picker) = std::mem::take(&mut self.panel) else { return Vec::new() };
        let Some(choice) = picker.chosen() else { return Vec::new() };
        match picker.purpose {
            Purpose::Session => vec![Effect::Send(Request::Resume { id: choice.value })],
            Purpose::Model => vec![Effect::Send(Request::SwitchModel { name: choice.value })],
            Purpose::History => {
                self.composer.set(&choice.value);
                Vec::new()
            }
        }
    }
}

fn command_entries(query: &str) -> Vec<Entry> {
    let best = complete::best(query, COMMANDS.iter().map(|(name, ..)| *name));
    // The table's order, as far as the query says nothing.
    let names: Vec<&str> = if query.is_empty() { COMMANDS.iter().map(|(name, ..)| *name).collect() } else { best };
    let entry = |name: &str| {
        let (name, argument, about) = COMMANDS.iter().find(|(n, ..)| *n == name)?;
        let insert = if argument.is_empty() { (*name).to_owned() } else { format!("{name} ") };
        let about = if argument.is_empty() { (*about).to_owned() } else { format!("{argument}  {about}") };
        Some(Entry { insert, about })
    };
    names.into_iter().filter_map(entry).collect()
}

/// The text that a key types, where it types one.
pub(super) fn printable(key: Key) -> Option<String> {
    match key.code {
        KeyCode::Char(c) if (key.modifiers - KeyModifiers::SHIFT).is_empty() => Some(c.to_string()),
        _ => None,
    }
}
