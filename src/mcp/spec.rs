//! What the user wrote about tool servers: `[mcp.NAME]` of the settings, checked.
//!
//! Not for: starting them (`process.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::error::UserError;

/// From the start to the list of tools, in seconds, where nothing else is said.
const START_S: u64 = 30;
/// A call, in seconds, where nothing else is said.
const CALL_S: u64 = 60;
/// The longest that either may be set to, in seconds.
const WAIT_S_MAX: u64 = 3600;
/// A server's name is written by the model: it is short.
const NAME_CHARS_MAX: usize = 32;

/// A server that the user named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub name: String,
    pub way: Way,
    /// Patterns of tools that are called without asking, that are offered and asked for, that are not offered.
    allow: Vec<String>,
    ask: Vec<String>,
    deny: Vec<String>,
    /// From the start to the list of tools.
    pub start_max: Duration,
    /// One call.
    pub call_max: Duration,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    Program(Program),
    /// A server that runs already, on this machine.
    Url {
        url: String,
        headers: BTreeMap<String, String>,
    },
}

/// A program that speaks on its stdin and stdout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    pub command: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Folders besides the project that it may read.
    pub read: Vec<PathBuf>,
    /// It gets a loopback of its own, where the walls have one.
    pub loopback: bool,
    /// Without walls it has the rights of the user.
    pub walls: bool,
}

/// What the user's rules say of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Called without asking.
    Allowed,
    /// Offered where somebody can be asked, and asked for at each call.
    Asked,
    /// Not offered.
    Hidden,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    command: Option<String>,
    url: Option<String>,
    args: Option<Vec<String>>,
    env: Option<BTreeMap<String, String>>,
    read: Option<Vec<String>>,
    loopback: Option<bool>,
    walls: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    ask: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
    start_s: Option<u64>,
    call_s: Option<u64>,
}

/// Reads the table `mcp` of the settings; `home` stands for `~`.
///
/// # Errors
/// A server that cannot be meant, by its name and with what is wrong.
pub fn read(table: &toml::Table, home: Option<&std::path::Path>) -> Result<Vec<Spec>, UserError> {
    table.iter().map(|(name, value)| one(name, value.clone(), home)).collect()
}

fn one(name: &str, value: toml::Value, home: Option<&std::path::Path>) -> Result<Spec, UserError> {
    let fail = |why: String, hint: &str| UserError::usage(format!("the tool server [mcp.{name}]: {why}")).hint(hint);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
        return Err(fail(
            "its name is not usable".to_owned(),
            "letters, digits, `_` and `-`, up to 32: the model writes it",
        ));
    }
    let raw: Raw = value.try_into().map_err(|problem: toml::de::Error| {
        fail(problem.message().to_owned(), "docs/clients.md shows what a server may have")
    })?;
    let wait = |given: Option<u64>, default: u64, what: &str| match given.unwrap_or(default) {
        seconds @ 1..=WAIT_S_MAX => Ok(Duration::from_secs(seconds)),
        other => Err(fail(format!("`{what}` cannot be {other}"), "it takes 1 to 3600 seconds")),
    };
    let (start_max, call_max) = (wait(raw.start_s, START_S, "start_s")?, wait(raw.call_s, CALL_S, "call_s")?);
    let at = |path: &str| match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest).to_string_lossy().into_owned(),
        _ => path.to_owned(),
    };
    let way = match (raw.command, raw.url) {
        (Some(command), None) if !command.trim().is_empty() => {
            if raw.headers.is_some() {
                return Err(fail("`headers` belong to a `url`".to_owned(), "a program is told things by `env`"));
            }
            Way::Program(Program {
                command: at(command.trim()),
                args: raw.args.unwrap_or_default(),
                env: raw.env.unwrap_or_default(),
                read: raw.read.unwrap_or_default().iter().map(|path| PathBuf::from(at(path))).collect(),
                loopback: raw.loopback.unwrap_or(false),
                walls: raw.walls.unwrap_or(true),
            })
        }
        (None, Some(url)) => {
            let of_programs = [
                raw.args.is_some(),
                raw.env.is_some(),
                raw.read.is_some(),
                raw.loopback.is_some(),
                raw.walls.is_some(),
            ];
            if of_programs.contains(&true) {
                return Err(fail(
                    "it has a `url` and settings of a program".to_owned(),
                    "args, env, read, loopback and walls belong to a `command`",
                ));
            }
            super::http::address(&url).map_err(|why| fail(why, "http://127.0.0.1:PORT/mcp is one that can be used"))?;
            Way::Url { url, headers: raw.headers.unwrap_or_default() }
        }
        _ => {
            return Err(fail(
                "it has neither a `command` nor a `url`, or both".to_owned(),
                "command = \"PROGRAM\" and args = [\"…\"], or url = \"http://127.0.0.1:PORT/mcp\"",
            ));
        }
    };
    Ok(Spec { name: name.to_owned(), way, allow: raw.allow, ask: raw.ask, deny: raw.deny, start_max, call_max })
}

impl Spec {
    /// What is to be done about a tool; `read_only` is what its server says of it. That alone allows nothing.
    pub fn word(&self, tool: &str, read_only: bool) -> Word {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, tool));
        if any(&self.deny) {
            Word::Hidden
        } else if any(&self.allow) {
            Word::Allowed
        } else if read_only || any(&self.ask) {
            Word::Asked
        } else {
            Word::Hidden
        }
    }

    /// Whether it runs behind walls.
    pub const fn is_walled(&self) -> bool {
        matches!(&self.way, Way::Program(program) if program.walls)
    }
}

/// A name, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(text: &str) -> Result<Vec<Spec>, UserError> {
        read(&text.parse().unwrap(), Some(std::path::Path::new("/home/u")))
    }

    #[test]
    fn a_program_and_an_address_are_read() {
        let specs = specs(
            "[time]\ncommand = '~/bin/time'\nargs = ['-x']\nread = ['~/notes']\nstart_s = 5\n\
             [other]\nurl = 'http://localhost:3000/mcp'\n",
        )
        .unwrap();
        let Way::Program(program) = &specs.iter().find(|spec| spec.name == "time").unwrap().way else {
            panic!("{specs:?}")
        };
        assert_eq!((program.command.as_str(), program.walls, program.loopback), ("/home/u/bin/time", true, false));
        assert_eq!(program.read, [PathBuf::from("/home/u/notes")]);
        assert!(!specs.iter().find(|spec| spec.name == "other").unwrap().is_walled());
    }

    #[test]
    fn what_cannot_be_meant_names_its_server() {
        for (text, wanted) in [
            ("[a]\n", "neither"),
            ("[a]\ncommand = 'x'\nurl = 'http://localhost/'\n", "both"),
            ("[a]\ncomand = 'x'\n", "unknown field"),
            ("[a]\ncommand = 'x'\nstart_s = 0\n", "start_s"),
            ("[a]\nurl = 'https://example.com/mcp'\n", "https"),
            ("[a]\nurl = 'http://example.com/mcp'\n", "loopback"),
            ("[a]\nurl = 'http://localhost/'\nargs = ['x']\n", "settings of a program"),
            ("[a]\ncommand = 'x'\nheaders = {}\n", "headers"),
            ("a = 1\n", "invalid type"),
            ("['a b']\ncommand = 'x'\n", "name"),
        ] {
            let error = specs(text).unwrap_err();
            assert!(error.message.contains("[mcp.a") && error.message.contains(wanted), "{text}: {}", error.message);
            assert!(error.hint.is_some());
        }
    }

    #[test]
    fn a_hint_of_the_server_allows_nothing_and_deny_beats_all() {
        let spec =
            &specs("[a]\ncommand = 'x'\nallow = ['log', 'show_*']\nask = ['add']\ndeny = ['show_s*t']\n").unwrap()[0];
        for (tool, read_only, word) in [
            ("log", false, Word::Allowed),
            ("show_all", false, Word::Allowed),
            ("show_secret", true, Word::Hidden),
            ("status", true, Word::Asked),
            ("status", false, Word::Hidden),
            ("add", false, Word::Asked),
            ("logs", false, Word::Hidden),
        ] {
            assert_eq!(spec.word(tool, read_only), word, "{tool}");
        }
        assert!(matches("*", "x") && matches("a*b*c", "a-b-c") && !matches("a*b", "a") && !matches("ab*b", "ab"));
    }
}
