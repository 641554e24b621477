//! Which key does what. One table: the help, the settings and the dispatch all read it.
//!
//! Not for: doing anything.

use std::collections::HashMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::options::KeyBindings;

/// Where a binding holds. A key may mean different things in different places, never two in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Everywhere outside a review, a picker and the help.
    Main,
    Review,
    Picker,
}

macro_rules! actions {
    ($($action:ident $name:literal $place:ident [$($key:literal),*] $about:literal;)*) => {
        /// Something a key can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action { $($action,)* }

        /// Every action in the order of the help: name in the settings, place, keys, what it does.
        pub const ACTIONS: &[Binding] = &[$(Binding {
            action: Action::$action, name: $name, place: Place::$place, keys: &[$($key),*], about: $about,
        },)*];
    };
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub action: Action,
    pub name: &'static str,
    pub place: Place,
    /// The keys where the settings say nothing.
    pub keys: &'static [&'static str],
    pub about: &'static str,
}

actions! {
    Submit "submit" Main ["enter"] "send; while something runs, queue";
    Newline "newline" Main ["alt+enter", "shift+enter", "ctrl+j"] "begin a new line";
    Stop "stop" Main ["esc"] "stop what runs, keep what was said; close a list";
    Interrupt "interrupt" Main ["ctrl+c"] "stop, or clear the line; twice: leave";
    Leave "leave" Main ["ctrl+d"] "leave, where the line is empty";
    ToggleEffort "toggle_effort" Main ["shift+tab"] "fast / auto / deep";
    AnswerNow "answer_now" Main ["ctrl+n"] "answer now, with what was thought so far";
    ThinkMore "think_more" Main ["ctrl+t"] "widen the thinking window";
    ToggleThinking "toggle_thinking" Main ["ctrl+o"] "fold or open the thinking";
    Complete "complete" Main ["tab"] "complete a file or a command";
    HistorySearch "history_search" Main ["ctrl+r"] "search what was typed before";
    Editor "editor" Main ["ctrl+g"] "write in $VISUAL or $EDITOR";
    CopyCode "copy_code" Main ["alt+y"] "copy the last code block";
    AcceptOffer "accept_offer" Main ["ctrl+y"] "fetch the model that is offered, and use it";
    DeclineOffer "decline_offer" Main ["ctrl+x"] "never be offered a model again";
    Fullscreen "fullscreen" Main ["f11", "alt+f"] "alternate screen or scrollback";
    ScrollUp "scroll_up" Main ["pageup"] "scroll back (fullscreen)";
    ScrollDown "scroll_down" Main ["pagedown"] "scroll on (fullscreen)";
    Redraw "redraw" Main ["ctrl+l"] "draw the screen again";
    Suspend "suspend" Main ["ctrl+z"] "suspend; `fg` comes back";
    Help "help" Main ["f1"] "this list (also `?` on an empty line)";
    Left "left" Main ["left", "ctrl+b"] "one character left";
    Right "right" Main ["right", "ctrl+f"] "one character right";
    WordLeft "word_left" Main ["ctrl+left", "alt+left", "alt+b"] "one word left";
    WordRight "word_right" Main ["ctrl+right", "alt+right"] "one word right";
    Up "up" Main ["up", "ctrl+p"] "row up; earlier input";
    Down "down" Main ["down"] "row down; later input";
    LineStart "line_start" Main ["home", "ctrl+a"] "beginning of the line";
    LineEnd "line_end" Main ["end", "ctrl+e"] "end of the line";
    Backspace "backspace" Main ["backspace", "ctrl+h"] "erase to the left";
    Delete "delete" Main ["delete"] "erase to the right";
    EraseWord "erase_word" Main ["ctrl+w", "alt+backspace"] "erase the word to the left";
    EraseToStart "erase_to_start" Main ["ctrl+u"] "erase to the line's beginning";
    EraseToEnd "erase_to_end" Main ["ctrl+k"] "erase to the line's end";
    Undo "undo" Main ["ctrl+_", "alt+z"] "undo typing";
    Redo "redo" Main ["alt+r"] "redo typing";
    ReviewNext "review_next" Review ["down", "j"] "next hunk";
    ReviewPrevious "review_previous" Review ["up", "k"] "previous hunk";
    ReviewNextFile "review_next_file" Review ["tab", "right"] "next file";
    ReviewPreviousFile "review_previous_file" Review ["shift+tab", "left"] "previous file";
    ReviewToggle "review_toggle" Review ["space"] "take or leave this hunk";
    ReviewToggleFile "review_toggle_file" Review ["f"] "take or leave this file";
    ReviewAccept "review_accept" Review ["enter", "a"] "accept what is taken";
    ReviewReject "review_reject" Review ["r", "esc"] "reject everything";
    ReviewEdit "review_edit" Review ["e"] "edit this file first";
    ReviewAskAgain "review_ask_again" Review ["s"] "reject, and say what should be different";
    ReviewScrollDown "review_scroll_down" Review ["pagedown"] "scroll on";
    ReviewScrollUp "review_scroll_up" Review ["pageup"] "scroll back";
    ReviewStop "review_stop" Review ["ctrl+c"] "reject and stop the task";
    PickNext "pick_next" Picker ["down", "ctrl+n"] "next entry";
    PickPrevious "pick_previous" Picker ["up", "ctrl+p"] "previous entry";
    PickChoose "pick_choose" Picker ["enter"] "choose";
    PickClose "pick_close" Picker ["esc", "ctrl+c"] "close the list";
}

/// A key with its modifiers, in one normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub code: KeyCode,
    pub modifiers: KeyModifiers,
}

impl Key {
    /// Terminals report the same key in several ways; here they become one.
    pub fn from_event(event: KeyEvent) -> Self {
        Self::normal(event.code, event.modifiers)
    }

    fn normal(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let known = KeyModifiers::SHIFT | KeyModifiers::CONTROL | KeyModifiers::ALT;
        let mut modifiers = modifiers & known;
        let code = match code {
            KeyCode::BackTab => {
                modifiers |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            // Byte 0x1F is Ctrl-_, Ctrl-/ and Ctrl-7.
            KeyCode::Char('7' | '/') if modifiers == KeyModifiers::CONTROL => KeyCode::Char('_'),
            KeyCode::Char(c) => {
                let control = modifiers.contains(KeyModifiers::CONTROL);
                modifiers -= KeyModifiers::SHIFT;
                KeyCode::Char(if control { c.to_ascii_lowercase() } else { c })
            }
            other => other,
        };
        Self { code, modifiers }
    }

    /// Reads `ctrl+n`, `shift+tab`, `f1`, `space`, `?`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text.trim();
        while let Some((head, tail)) = rest.split_once('+').filter(|(_, tail)| !tail.is_empty()) {
            modifiers |= match head.to_ascii_lowercase().as_str() {
                "ctrl" | "control" | "c" => KeyModifiers::CONTROL,
                "alt" | "meta" | "option" => KeyModifiers::ALT,
                "shift" => KeyModifiers::SHIFT,
                _ => return None,
            };
            rest = tail;
        }
        Some(Self::normal(code_named(rest)?, modifiers))
    }

    /// The key as a person would write it.
    pub fn name(self) -> String {
        let mut name = String::new();
        for (modifier, text) in
            [(KeyModifiers::CONTROL, "ctrl+"), (KeyModifiers::ALT, "alt+"), (KeyModifiers::SHIFT, "shift+")]
        {
            if self.modifiers.contains(modifier) {
                name.push_str(text);
            }
        }
        match self.code {
            KeyCode::Char(' ') => name.push_str("space"),
            KeyCode::Char(c) => name.push(c),
            KeyCode::F(n) => name.push_str(&format!("f{n}")),
            other => name.push_str(&format!("{other:?}").to_ascii_lowercase()),
        }
        name
    }
}

fn code_named(name: &str) -> Option<KeyCode> {
    let mut chars = name.chars();
    if let (Some(only), None) = (chars.next(), chars.next()) {
        return Some(KeyCode::Char(only));
    }
    let lower = name.to_ascii_lowercase();
    if let Some(n) = lower.strip_prefix('f').and_then(|n| n.parse::<u8>().ok()) {
        return (1..=24).contains(&n).then_some(KeyCode::F(n));
    }
    Some(match lower.as_str() {
        "enter" | "return" => KeyCode::Enter,
        "esc" | "escape" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "space" => KeyCode::Char(' '),
        "backspace" => KeyCode::Backspace,
        "delete" | "del" => KeyCode::Delete,
        "insert" => KeyCode::Insert,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "pageup" => KeyCode::PageUp,
        "pagedown" => KeyCode::PageDown,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        _ => return None,
    })
}

/// The bindings in force.
#[derive(Clone, Debug)]
pub struct Keymap {
    by_key: HashMap<(Place, Key), Action>,
    keys: HashMap<Action, Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::new(&KeyBindings::new()).0
    }
}

impl Keymap {
    /// Lays the settings over the defaults. Returns what is wrong with them, one sentence each; a wrong
    /// entry is left out and the default stays.
    pub fn new(bindings: &KeyBindings) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        for name in bindings.keys().filter(|name| ACTIONS.iter().all(|b| b.name != name.as_str())) {
            problems.push(format!("keys: there is no action `{name}`; `?` lists them"));
        }
        let mut map = Self { by_key: HashMap::new(), keys: HashMap::new() };
        // The user's own bindings come first: a default that collides with one gives way silently.
        for own in [true, false] {
            for binding in ACTIONS {
                let set = bindings.get(binding.name).and_then(|keys| parsed(binding.name, keys, own, &mut problems));
                match (set, own) {
                    (Some(keys), true) => map.bind(binding, &keys, &mut problems),
                    (None, false) => {
                        let keys: Vec<Key> = binding.keys.iter().filter_map(|key| Key::parse(key)).collect();
                        map.bind(binding, &keys, &mut Vec::new());
                    }
                    _ => {}
                }
            }
        }
        (map, problems)
    }

    fn bind(&mut self, binding: &Binding, keys: &[Key], problems: &mut Vec<String>) {
        for key in keys {
            match self.by_key.get(&(binding.place, *key)) {
                Some(other) if *other != binding.action => {
                    let other = ACTIONS.iter().find(|b| b.action == *other).map_or("", |b| b.name);
                    problems.push(format!(
                        "keys: `{}` is both `{other}` and `{}`; it stays `{other}`",
                        key.name(),
                        binding.name
                    ));
                }
                _ => {
                    self.by_key.insert((binding.place, *key), binding.action);
                    self.keys.entry(binding.action).or_default().push(*key);
                }
            }
        }
    }

    pub fn action(&self, place: Place, key: Key) -> Option<Action> {
        self.by_key.get(&(place, key)).copied()
    }

    /// The keys of an action, as a person would write them.
    pub fn keys_of(&self, action: Action) -> Vec<String> {
        self.keys.get(&action).into_iter().flatten().map(|key| key.name()).collect()
    }

    /// The first key of an action, for a hint in passing.
    pub fn hint(&self, action: Action) -> String {
        self.keys_of(action).into_iter().next().unwrap_or_else(|| "(no key)".to_owned())
    }
}

/// The keys of one setting; `None` where one cannot be read (reported once).
fn parsed(name: &str, keys: &[String], report: bool, problems: &mut Vec<String>) -> Option<Vec<Key>> {
    let mut all = Vec::new();
    for key in keys {
        match Key::parse(key) {
            Some(key) => all.push(key),
            None => {
                if report {
                    problems.push(format!(
                        "keys: `{key}` of `{name}` is no key; write it like `ctrl+n`, `alt+enter`, `f1`"
                    ));
                }
                return None;
            }
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_parse_and_do_not_collide() {
        let mut seen = HashMap::new();
        for binding in ACTIONS {
            for key in binding.keys {
                let parsed = Key::parse(key).unwrap_or_else(|| panic!("{key}"));
                let before = seen.insert((binding.place, parsed), binding.name);
                assert_eq!(before, None, "{key} is also {}", binding.name);
            }
        }
    }

    #[test]
    fn a_key_has_one_form() {
        let event = |code, modifiers| Key::from_event(KeyEvent::new(code, modifiers));
        assert_eq!(event(KeyCode::BackTab, KeyModifiers::NONE), Key::parse("shift+tab").unwrap());
        assert_eq!(event(KeyCode::Char('7'), KeyModifiers::CONTROL), Key::parse("ctrl+_").unwrap());
        assert_eq!(event(KeyCode::Char('?'), KeyModifiers::SHIFT), Key::parse("?").unwrap());
        assert_eq!(Key::parse("ctrl+N").unwrap().name(), "ctrl+n");
        assert_eq!(Key::parse("hyper+x"), None);
        assert_eq!(Key::parse("f99"), None);
    }

    #[test]
    fn settings_win_and_mistakes_are_said() {
        let set = |pairs: &[(&str, &str)]| {
            let bindings = pairs.iter().map(|(name, key)| ((*name).to_owned(), vec![(*key).to_owned()])).collect();
            Keymap::new(&bindings)
        };
        let (map, problems) = set(&[("answer_now", "ctrl+t")]);
        assert_eq!(map.action(Place::Main, Key::parse("ctrl+t").unwrap()), Some(Action::AnswerNow));
        assert_eq!(map.action(Place::Main, Key::parse("ctrl+n").unwrap()), None);
        assert!(problems.is_empty() && map.keys_of(Action::ThinkMore).is_empty());
        assert_eq!(set(&[("answer_now", "f5"), ("think_more", "f5")]).1.len(), 1);
        assert_eq!(set(&[("nonsense", "f5")]).1.len(), 1);
        let (map, problems) = set(&[("help", "hyper+q")]);
        assert_eq!((map.hint(Action::Help), problems.len()), ("f1".to_owned(), 1));
    }
}
