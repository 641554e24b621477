//! A list to choose from, with a line to filter it: sessions, models, earlier inputs.

use crate::tui::composer::complete;
use crate::tui::text::clean;

/// What choosing does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    Session,
    Model,
    History,
}

/// One entry: what is handed on, what is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub label: String,
    pub detail: String,
}

impl Choice {
    pub fn new(value: &str, label: &str, detail: &str) -> Self {
        Self { value: value.to_owned(), label: clean::one_line(label), detail: clean::one_line(detail) }
    }
}

/// The open list.
#[derive(Clone, Debug)]
pub struct Picker {
    pub purpose: Purpose,
    pub title: String,
    pub filter: String,
    choices: Vec<Choice>,
    pub selected: usize,
}

impl Picker {
    pub fn new(purpose: Purpose, title: &str, choices: Vec<Choice>) -> Self {
        Self { purpose, title: title.to_owned(), filter: String::new(), choices, selected: 0 }
    }

    /// The entries that the filter leaves, best first.
    pub fn shown(&self) -> Vec<&Choice> {
        if self.filter.is_empty() {
            return self.choices.iter().collect();
        }
        let lines: Vec<String> = self.choices.iter().map(|c| format!("{} {}", c.label, c.detail)).collect();
        let best = complete::best(&self.filter, lines.iter().map(String::as_str));
        let choice = |hit: &&str| lines.iter().position(|line| line == hit).map(|at| &self.choices[at]);
        best.iter().filter_map(choice).collect()
    }

    pub fn chosen(&self) -> Option<Choice> {
        self.shown().get(self.selected).map(|choice| (*choice).clone())
    }

    pub fn step(&mut self, down: bool) {
        let n = self.shown().len().max(1);
        self.selected = (self.selected + if down { 1 } else { n - 1 }) % n;
    }

    /// Adds to the filter.
    pub fn narrow(&mut self, text: &str) {
        self.filter.push_str(&clean::one_line(text));
        self.selected = 0;
    }

    /// Takes the filter's last character away.
    pub fn widen(&mut self) {
        self.filter.pop();
        self.selected = 0;
    }
}
