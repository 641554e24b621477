//! Settings in layers: defaults < the user's file < a trusted project's file < environment < flags; each
//! value remembers where it came from.
//!
//! One table ([`KEYS`]) says which settings exist, what they may be and whether a project may set them. An
//! unknown key is an error with a suggestion, never ignored.
//!
//! Not for: what a setting means; the rooms that use it know.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::UserError;

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    /// A whole number in this range, both ends included.
    Number(u64, u64),
    Fraction(f64, f64),
    Switch,
    Choice(&'static [&'static str]),
    /// A table of name = list of words.
    Table,
    /// A table of tables, read by the room that it is of.
    Tables,
}

/// One setting that exists.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// Empty where there is no default (something is decided from the task or the machine).
    pub default: &'static str,
    /// A project's file may set it: it cannot widen what runs or what is read.
    pub project: bool,
    pub help: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, project: bool, help: &'static str) -> Key {
    Key { name, kind, default, project, help }
}

/// Every setting.
pub const KEYS: &[Key] = &[
    key("model", Kind::Text, "", false, "a .gguf file or an installed name"),
    key("lora", Kind::Text, "", false, "a LoRA adapter laid over the model"),
    key("context", Kind::Number(128, 1 << 20), "", false, "context in tokens; otherwise the model's own, up to 16k"),
    key("threads", Kind::Number(1, 1024), "", false, "threads; otherwise the physical cores"),
    key("gpu_layers", Kind::Number(0, 10_000), "", false, "layers on the GPU; otherwise as many as fit"),
    key("kv", Kind::Choice(&["auto", "f16", "q8_0", "q4_0"]), "auto", false, "element type of the KV cache"),
    key("effort", Kind::Choice(&["fast", "auto", "deep"]), "auto", true, "how much to think"),
    key("window", Kind::Number(0, 1 << 20), "", true, "a thinking window of so many tokens; 0 answers at once"),
    key("samples", Kind::Number(1, 32), "", true, "candidates of the first round"),
    key("rounds", Kind::Number(0, 20), "", true, "revisions after the first attempt"),
    key("task_tokens", Kind::Number(64, 1 << 24), "", true, "tokens that a task may cost in all"),
    key("task_seconds", Kind::Number(1, 1 << 20), "", true, "seconds of the model's time that a task may cost in all"),
    key("seed", Kind::Number(0, u64::MAX), "0", true, "seed of every draw"),
    key("temperature", Kind::Fraction(0.0, 2.0), "", true, "of the first round; 0 is greedy"),
    key("probe", Kind::Switch, "false", true, "ask the model how hard a task is where its words leave a doubt"),
    key("deviations", Kind::Switch, "true", true, "after a failure, look where the model hesitates in its text"),
    key("prefixes", Kind::Switch, "true", true, "begin a reply for the model where its form is known"),
    key(
        "intent",
        Kind::Choice(&["auto", "question", "program", "change"]),
        "auto",
        true,
        "what a task wants; auto decides by its words",
    ),
    key("check", Kind::Text, "", true, "a command that must succeed in the sandbox"),
    key("require_verified", Kind::Switch, "false", true, "unverified ends with exit code 3"),
    key("min_tier", Kind::Choice(&["L", "B", "S", "F"]), "L", false, "refuse to run code behind weaker walls"),
    key("limits.seconds", Kind::Number(1, 86_400), "", true, "longest run of a project's check; otherwise 300"),
    key(
        "limits.cpu_seconds",
        Kind::Number(1, 10_000_000),
        "",
        true,
        "its processor time; otherwise what its run and cores allow",
    ),
    key(
        "limits.memory",
        Kind::Number(64, 1 << 24),
        "",
        true,
        "its memory in MiB; otherwise a quarter of the machine's, 4096 at least",
    ),
    key("limits.disk", Kind::Number(16, 1 << 24), "", true, "what it may write in MiB; otherwise 2048"),
    key(
        "limits.processes",
        Kind::Number(16, 1 << 20),
        "",
        true,
        "its processes and threads; otherwise 128 a core, 512 at least",
    ),
    key("transcripts", Kind::Switch, "true", false, "keep a transcript of every run"),
    key("tui.theme", Kind::Choice(&["auto", "light", "dark"]), "auto", false, "colours for this background"),
    key("tui.fullscreen", Kind::Switch, "false", false, "use the alternate screen"),
    key("tui.mouse", Kind::Switch, "false", false, "report mouse events"),
    key(
        "tui.notify",
        Kind::Choice(&["off", "bell", "desktop"]),
        "bell",
        false,
        "how the end of long work is announced",
    ),
    key("tui.keys", Kind::Table, "", false, "action = [keys]"),
    key("mcp", Kind::Tables, "", false, "tool servers: [mcp.NAME] with command and args, or url (docs/clients.md)"),
];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// The settings in force.
#[derive(Clone, Debug, Default)]
pub struct Config {
    values: BTreeMap<&'static str, (toml::Value, Origin)>,
    /// What was ignored, and why.
    pub warnings: Vec<String>,
}

/// Where the layers come from.
#[derive(Debug, Default)]
pub struct Sources {
    pub user_file: Option<PathBuf>,
    /// The project's file, and whether the user trusts the project.
    pub project_file: Option<(PathBuf, bool)>,
    /// `Z1_…` variables.
    pub environment: Vec<(String, String)>,
    /// Setting and value, as typed.
    pub flags: Vec<(&'static str, String)>,
}

impl Config {
    /// Puts the layers over one another.
    ///
    /// # Errors
    /// An unknown key, a value out of range, a file that does not parse; each names the place.
    pub fn load(sources: Sources) -> Result<Self, UserError> {
        let mut config = Self::default();
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            config.set(key, from_text(key, key.default)?, Origin::Default);
        }
        if let Some(path) = sources.user_file.filter(|path| path.exists()) {
            config.file(&path, |_| true)?;
        }
        match sources.project_file.filter(|(path, _)| path.exists()) {
            Some((path, true)) => config.file(&path, |key| key.project)?,
            Some((path, false)) => config
                .warnings
                .push(format!("{} is ignored: the project is not trusted (`z1 config --trust` in it)", path.display())),
            None => {}
        }
        for (name, text) in sources.environment.iter().filter(|(_, text)| !text.is_empty()) {
            if let Some(key) = KEYS.iter().find(|key| *name == variable(key)) {
                let value = from_text(key, text).map_err(|error| named(error, &format!("${name}")))?;
                config.set(key, value, Origin::Environment(name.clone()));
            }
        }
        for (name, text) in sources.flags {
            let key = find(name).expect("invariant: flags name settings that exist");
            let value =
                from_text(key, &text).map_err(|error| named(error, &format!("--{}", name.replace('_', "-"))))?;
            config.set(key, value, Origin::Flag);
        }
        Ok(config)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|(value, _)| value.as_str())
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.values.get(name).and_then(|(value, _)| value.as_integer()).map(|number| number as u64)
    }

    pub fn fraction(&self, name: &str) -> Option<f64> {
        self.values.get(name).and_then(|(value, _)| value.as_float().or(value.as_integer().map(|n| n as f64)))
    }

    pub fn switch(&self, name: &str) -> bool {
        self.values.get(name).and_then(|(value, _)| value.as_bool()).unwrap_or(false)
    }

    /// A table of words, empty where it is not set.
    pub fn table(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let words = |value: &toml::Value| match value {
            toml::Value::Array(list) => list.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect(),
            other => other.as_str().map(str::to_owned).into_iter().collect(),
        };
        let table = self.values.get(name).and_then(|(value, _)| value.as_table());
        table.map(|table| table.iter().map(|(name, value)| (name.clone(), words(value))).collect()).unwrap_or_default()
    }

    /// A table of tables as it was written.
    pub fn tables(&self, name: &str) -> Option<&toml::Table> {
        self.values.get(name).and_then(|(value, _)| value.as_table())
    }

    /// Every setting with its value and where it came from. Of tables of tables the names alone: a server's settings may
    /// hold keys.
    pub fn explain(&self) -> impl Iterator<Item = (&'static Key, Option<String>, Option<&Origin>)> {
        KEYS.iter().map(|key| match self.values.get(key.name) {
            Some((toml::Value::Table(tables), origin)) if matches!(key.kind, Kind::Tables) => {
                (key, Some(tables.keys().map(String::as_str).collect::<Vec<_>>().join(", ")), Some(origin))
            }
            Some((value, origin)) => (key, Some(value.to_string()), Some(origin)),
            None => (key, None, None),
        })
    }

    fn set(&mut self, key: &Key, value: toml::Value, origin: Origin) {
        self.values.insert(key.name, (value, origin));
    }

    fn file(&mut self, path: &Path, allowed: impl Fn(&Key) -> bool) -> Result<(), UserError> {
        let place = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|problem| UserError::usage(format!("the settings file {place} cannot be read: {problem}")))?;
        let table: toml::Table = text.parse().map_err(|problem: toml::de::Error| {
            UserError::usage(format!("the settings file {place} does not parse: {}", problem.to_string().trim_end()))
        })?;
        for (name, value) in flattened(table) {
            let Some(key) = find(&name) else {
                return Err(unknown(&name, &place.to_string()));
            };
            if !allowed(key) {
                self.warnings.push(format!("{place}: `{name}` is the user's to set and is ignored"));
                continue;
            }
            check(key, &value).map_err(|error| named(error, &place.to_string()))?;
            self.set(key, value, Origin::File(path.to_owned()));
        }
        Ok(())
    }
}

/// The environment variable of a setting.
pub fn variable(key: &Key) -> String {
    format!("Z1_{}", key.name.replace('.', "_").to_ascii_uppercase())
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// `[tui] theme = …` is the setting `tui.theme`; a table that is itself a setting stays whole.
fn flattened(table: toml::Table) -> Vec<(String, toml::Value)> {
    let mut flat = Vec::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) if find(&name).is_none() => {
                flat.extend(inner.into_iter().map(|(inner, value)| (format!("{name}.{inner}"), value)));
            }
            value => flat.push((name, value)),
        }
    }
    flat
}

fn from_text(key: &Key, text: &str) -> Result<toml::Value, UserError> {
    let value = match key.kind {
        Kind::Number(..) => text.parse::<i64>().map(toml::Value::Integer).ok(),
        Kind::Fraction(..) => text.parse().map(toml::Value::Float).ok(),
        Kind::Switch => match text {
            "1" | "true" | "yes" | "on" => Some(toml::Value::Boolean(true)),
            "0" | "false" | "no" | "off" => Some(toml::Value::Boolean(false)),
            _ => None,
        },
        Kind::Text | Kind::Choice(_) => Some(toml::Value::String(text.to_owned())),
        Kind::Table | Kind::Tables => None,
    };
    let value = value.ok_or_else(|| wrong(key, text))?;
    check(key, &value)?;
    Ok(value)
}

fn check(key: &Key, value: &toml::Value) -> Result<(), UserError> {
    let fits = match (key.kind, value) {
        (Kind::Text, toml::Value::String(_))
        | (Kind::Switch, toml::Value::Boolean(_))
        | (Kind::Table, toml::Value::Table(_)) => true,
        (Kind::Tables, toml::Value::Table(tables)) => tables.values().all(toml::Value::is_table),
        (Kind::Number(least, most), toml::Value::Integer(number)) => {
            u64::try_from(*number).is_ok_and(|number| (least..=most).contains(&number))
        }
        (Kind::Fraction(least, most), value) => {
            let number = value.as_float().or(value.as_integer().map(|n| n as f64));
            number.is_some_and(|number| (least..=most).contains(&number))
        }
        (Kind::Choice(choices), toml::Value::String(text)) => choices.contains(&text.as_str()),
        _ => false,
    };
    if fits { Ok(()) } else { Err(wrong(key, value.to_string().trim_matches('"'))) }
}

fn wrong(key: &Key, text: &str) -> UserError {
    let wanted = match key.kind {
        Kind::Text => "a text".to_owned(),
        Kind::Number(least, u64::MAX) => format!("a whole number from {least} on"),
        Kind::Number(least, most) => format!("a whole number from {least} to {most}"),
        Kind::Fraction(least, most) => format!("a number from {least} to {most}"),
        Kind::Switch => "true or false".to_owned(),
        Kind::Choice(choices) => choices.join(", "),
        Kind::Table => "a table".to_owned(),
        Kind::Tables => "a table for each name".to_owned(),
    };
    UserError::usage(format!("`{}` cannot be `{text}`", key.name)).hint(format!("it takes {wanted}: {}", key.help))
}

fn named(error: UserError, place: &str) -> UserError {
    UserError { message: format!("{place}: {}", error.message), ..error }
}

fn unknown(name: &str, place: &str) -> UserError {
    let nearest = KEYS.iter().map(|key| (distance(name, key.name), key.name)).min();
    let hint = match nearest {
        Some((distance, nearest)) if distance <= 3 => format!("did you mean `{nearest}`?"),
        _ => "`z1 config --explain` lists every setting".to_owned(),
    };
    UserError::usage(format!("{place}: there is no setting `{name}`")).hint(hint)
}

/// Levenshtein distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (folder, Sources { user_file: Some(path), ..Sources::default() })
    }

    #[test]
    fn every_default_is_one_of_its_own_values() {
        let config = Config::load(Sources::default()).unwrap();
        assert_eq!(config.text("effort"), Some("auto"));
        assert!(!config.switch("probe") && config.number("window").is_none());
    }

    #[test]
    fn later_layers_win_and_are_named() {
        let (_folder, mut sources) =
            user("samples = 2\nrounds = 3\nseed = 5\n[tui]\ntheme = \"dark\"\n[tui.keys]\nquit = [\"q\"]\n");
        sources.environment = vec![("Z1_ROUNDS".into(), "4".into()), ("Z1_TUI_THEME".into(), "light".into())];
        sources.flags = vec![("seed", "9".into())];
        let config = Config::load(sources).unwrap();
        assert_eq!(
            (config.number("samples"), config.number("rounds"), config.number("seed")),
            (Some(2), Some(4), Some(9))
        );
        assert_eq!(config.text("tui.theme"), Some("light"));
        assert_eq!(config.table("tui.keys")["quit"], ["q"]);
        let origin = |name: &str| config.explain().find(|row| row.0.name == name).unwrap().2.unwrap().to_string();
        assert!(origin("samples").ends_with("config.toml"));
        assert_eq!(
            (origin("rounds").as_str(), origin("seed").as_str(), origin("kv").as_str()),
            ("$Z1_ROUNDS", "command line", "default")
        );
    }

    #[test]
    fn a_misspelt_key_and_a_wrong_value_say_how_to_mend_them() {
        let error = |text: &str| Config::load(user(text).1).unwrap_err();
        assert_eq!(error("sampels = 2").hint.as_deref(), Some("did you mean `samples`?"));
        assert!(error("samples = 0").message.contains("`samples` cannot be `0`"));
        assert!(error("effort = \"much\"").hint.unwrap().contains("fast, auto, deep"));
        assert!(error("effort = ").message.contains("does not parse"));
    }

    #[test]
    fn a_project_sets_only_what_it_may_and_only_when_trusted() {
        let (folder, _) = user("model = \"evil.gguf\"\nwindow = 99\n");
        let path = folder.path().join("config.toml");
        let load = |trusted| {
            Config::load(Sources { project_file: Some((path.clone(), trusted)), ..Sources::default() }).unwrap()
        };
        let trusted = load(true);
        assert_eq!((trusted.text("model"), trusted.number("window")), (None, Some(99)));
        assert_eq!(trusted.warnings.len(), 1);
        let stranger = load(false);
        assert_eq!(stranger.number("window"), None);
        assert!(stranger.warnings[0].contains("not trusted"));
    }

    #[test]
    fn distances() {
        assert_eq!((distance("abc", "abc"), distance("abc", "acb"), distance("", "ab")), (0, 2, 2));
    }
}
