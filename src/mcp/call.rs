//! A line that a model wrote, as a call: `mcp SERVER TOOL name=value …`, split as a shell would split it.
//!
//! Pure, and tolerant of the forms that models fall into: options (`--name value`), one JSON object, a value without its
//! name where one is wanted. What cannot be meant is an error that shows the right form.
//!
//! Not for: whether it may be called.

use serde_json::{Map, Value};

use super::tool::{Kind, Tool};

/// The word that such a line begins with.
const WORD: &str = "mcp";

/// Whether a command is meant for one of these tools: it says so, or it is one of their lines without the word that
/// small models leave out.
pub(super) fn is_meant(command: &str, tools: &[(&str, &Tool)]) -> bool {
    let mut words = bare(command).split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    is_call(command) || tools.iter().any(|(server, tool)| *server == first && tool.name == second)
}

fn bare(command: &str) -> &str {
    command.trim_start().trim_start_matches("$ ")
}

fn is_call(command: &str) -> bool {
    bare(command).strip_prefix(WORD).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// The line of words that a shell has split.
pub fn line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''")));
    format!("{WORD} {}", quoted.collect::<Vec<_>>().join(" "))
}

/// Reads a command as a call of one of these tools, with the server that each is of.
pub(super) fn read<'a>(
    command: &str,
    tools: &[(&'a str, &'a Tool)],
) -> Result<(&'a str, &'a Tool, Map<String, Value>), String> {
    let words = split(bare(command))?;
    let words = words.strip_prefix(&[WORD.to_owned()]).unwrap_or(&words);
    let (named, rest) = words.split_first().ok_or("it names no server: mcp SERVER TOOL name=value")?;
    let (server, tool, rest) = which(named, rest, tools)?;
    let arguments = arguments(tool, rest).map_err(|why| format!("{why}. Its form: {}", tool.form(server)))?;
    Ok((server, tool, arguments))
}

type Which<'a, 'w> = (&'a str, &'a Tool, &'w [String]);

fn which<'a, 'w>(named: &str, rest: &'w [String], tools: &[(&'a str, &'a Tool)]) -> Result<Which<'a, 'w>, String> {
    let find = |server: &str, tool: &str| tools.iter().find(|(of, known)| *of == server && known.name == tool).copied();
    if let Some((server, tool)) = rest.first().and_then(|tool| find(named, tool)) {
        return Ok((server, tool, &rest[1..]));
    }
    // `server.tool`, `server/tool`, `server:tool` as one word.
    for (at, mark) in named.match_indices(['.', '/', ':']) {
        if let Some((server, tool)) = find(&named[..at], &named[at + mark.len()..]) {
            return Ok((server, tool, rest));
        }
    }
    // A tool's name alone, where one server has it.
    let mut of_that_name = tools.iter().filter(|(_, tool)| tool.name == *named);
    if let (Some((server, tool)), None) = (of_that_name.next(), of_that_name.next()) {
        return Ok((server, tool, rest));
    }
    let known: Vec<String> = tools.iter().take(20).map(|(server, tool)| format!("{server} {}", tool.name)).collect();
    let said = rest.first().map_or_else(|| named.to_owned(), |tool| format!("{named} {tool}"));
    Err(format!("there is no tool `{said}`; there are: {}", known.join(", ")))
}

fn arguments(tool: &Tool, words: &[String]) -> Result<Map<String, Value>, String> {
    let mut arguments = Map::new();
    let mut bare = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if let Ok(Value::Object(object)) = serde_json::from_str(word) {
            for (name, value) in object {
                known(tool, &name)?;
                arguments.insert(name, value);
            }
            continue;
        }
        let option = word.strip_prefix("--").filter(|name| !name.is_empty());
        match (option, option.unwrap_or(word).split_once('=')) {
            // `a==b` or `x > 3` in a value that has no name is no name.
            (_, Some((name, value))) if option.is_some() || is_name(name) => put(tool, &mut arguments, name, value)?,
            (Some(name), None) => {
                let flag = known(tool, name)? == &Kind::Flag;
                let next = words.peek().filter(|next| !next.starts_with("--"));
                match next {
                    Some(next) if !flag || flag_of(next).is_some() => {
                        put(tool, &mut arguments, name, next)?;
                        words.next();
                    }
                    _ => put(tool, &mut arguments, name, "true")?,
                }
            }
            _ => bare.push(word),
        }
    }
    let missing: Vec<&str> = tool
        .parameters
        .iter()
        .filter(|parameter| parameter.required && !arguments.contains_key(&parameter.name))
        .map(|parameter| parameter.name.as_str())
        .collect();
    match (bare.as_slice(), missing.as_slice()) {
        ([], []) => Ok(arguments),
        // Values in their order, without their names.
        (values, names) if !values.is_empty() && values.len() == names.len() => {
            for (name, value) in names.iter().zip(values) {
                put(tool, &mut arguments, name, value)?;
            }
            Ok(arguments)
        }
        ([], names) => Err(format!("`{}` is missing", names.join("`, `"))),
        ([first, ..], _) => Err(format!("`{first}` is no name=value (pipes and other commands are not possible here)")),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

fn known<'a>(tool: &'a Tool, name: &str) -> Result<&'a Kind, String> {
    let parameter = tool.parameters.iter().find(|parameter| parameter.name == name);
    parameter.map(|parameter| &parameter.kind).ok_or_else(|| format!("it takes no `{name}`"))
}

fn put(tool: &Tool, arguments: &mut Map<String, Value>, name: &str, text: &str) -> Result<(), String> {
    let value = typed(known(tool, name)?, text).map_err(|wanted| format!("`{name}` is {wanted}, not `{text}`"))?;
    match (arguments.get_mut(name), value) {
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
        (_, value) => {
            arguments.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

/// A value by what its parameter is; the error says what is wanted.
fn typed(kind: &Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Integer => text.trim().parse::<i64>().map(Value::from).map_err(|_| "a whole number".to_owned()),
        Kind::Number => {
            text.trim().parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from).ok_or("a number".to_owned())
        }
        Kind::Flag => flag_of(text).map(Value::Bool).ok_or_else(|| "true or false".to_owned()),
        Kind::List(of) => match serde_json::from_str::<Value>(text) {
            Ok(list @ Value::Array(_)) => Ok(list),
            _ if text.is_empty() => Ok(Value::Array(Vec::new())),
            _ => text.split(',').map(|one| typed(of, one.trim())).collect::<Result<Vec<_>, _>>().map(Value::Array),
        },
        Kind::Json => Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))),
        Kind::Choice(choices) if choices.iter().any(|choice| choice == text) => Ok(Value::String(text.to_owned())),
        Kind::Choice(choices) => Err(format!("one of {}", choices.join(", "))),
    }
}

fn flag_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" | "on" => Some(true),
        "false" | "no" | "0" | "off" => Some(false),
        _ => None,
    }
}

/// The words of the first command: quotes and backslashes as in a shell, nothing is expanded. A second command is not
/// run, and the model is told.
fn split(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = command.chars();
    while let Some(c) = characters.next() {
        match c {
            '\'' => {
                let part = word.get_or_insert_default();
                let mut closed = false;
                for c in characters.by_ref() {
                    if c == '\'' {
                        closed = true;
                        break;
                    }
                    part.push(c);
                }
                if !closed {
                    return Err("a single quote is not closed".to_owned());
                }
            }
            '"' => {
                let part = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        None => return Err("a double quote is not closed".to_owned()),
                        Some('"') => break,
                        Some('\\') => match characters.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => part.push(c),
                            Some('\n') => {}
                            Some(c) => part.extend(['\\', c]),
                            None => return Err("a double quote is not closed".to_owned()),
                        },
                        Some(c) => part.push(c),
                    }
                }
            }
            '\\' => match characters.next() {
                Some('\n') | None => {}
                Some(c) => word.get_or_insert_default().push(c),
            },
            '\n' | ';' => {
                words.extend(word.take());
                let rest = characters.as_str();
                let more = rest.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
                if more && !words.is_empty() {
                    return Err("only one call at a time: write one line, and the next when you have seen its result"
                        .to_owned());
                }
                if !words.is_empty() {
                    break;
                }
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn tool(name: &str, properties: &Value, required: &Value) -> Tool {
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        super::super::tool::read(&json!({ "name": name, "inputSchema": schema })).unwrap()
    }

    fn log() -> Tool {
        let properties = json!({
            "repo": { "type": "string" }, "max": { "type": "integer" }, "deep": { "type": "boolean" },
            "files": { "type": "array", "items": { "type": "string" } },
            "sizes": { "type": "array", "items": { "type": "integer" } },
            "mode": { "enum": ["a", "b"] }, "extra": { "type": "object" }, "ratio": { "type": "number" },
        });
        tool("log", &properties, &json!(["repo"]))
    }

    fn read_one(command: &str) -> Result<Value, String> {
        let log = log();
        read(command, &[("git", &log)]).map(|(_, _, arguments)| Value::Object(arguments))
    }

    #[test]
    fn the_forms_that_models_write_are_one_call() {
        for (command, wanted) in [
            ("mcp git log repo=.", json!({ "repo": "." })),
            ("git log repo=.", json!({ "repo": "." })),
            ("$ mcp git log repo=. max=3\n", json!({ "repo": ".", "max": 3 })),
            ("mcp git log --repo . --max 3 --deep", json!({ "repo": ".", "max": 3, "deep": true })),
            ("mcp git log --repo=. --deep=no", json!({ "repo": ".", "deep": false })),
            ("mcp git.log repo=.", json!({ "repo": "." })),
            ("mcp log repo=.", json!({ "repo": "." })),
            ("mcp git log .", json!({ "repo": "." })),
            ("mcp git log '{\"repo\": \".\", \"max\": 2}'", json!({ "repo": ".", "max": 2 })),
            ("mcp git log repo=\"a b\" mode=a", json!({ "repo": "a b", "mode": "a" })),
            ("mcp git log repo='it is \"so\"\nand so'", json!({ "repo": "it is \"so\"\nand so" })),
            (
                "mcp git log repo=. files=a.py,b.py sizes=1,2",
                json!({ "repo": ".", "files": ["a.py", "b.py"], "sizes": [1, 2] }),
            ),
            ("mcp git log repo=. files='[\"a\"]' files=b", json!({ "repo": ".", "files": ["a", "b"] })),
            (
                "mcp git log repo=. extra='{\"a\": 1}' ratio=0.5",
                json!({ "repo": ".", "extra": { "a": 1 }, "ratio": 0.5 }),
            ),
            ("mcp git log 'a == b'", json!({ "repo": "a == b" })),
            ("mcp git log \\\n  repo=.\n# that is all\n", json!({ "repo": "." })),
        ] {
            assert_eq!(read_one(command).as_ref(), Ok(&wanted), "{command}");
        }
    }

    #[test]
    fn what_cannot_be_meant_shows_the_right_form() {
        for (command, wanted) in [
            ("mcp", "names no server"),
            ("mcp git", "there is no tool `git`"),
            ("mcp git blame", "there are: git log"),
            ("mcp git log", "`repo` is missing. Its form: mcp git log repo=TEXT"),
            ("mcp git log repo=. max=many", "`max` is a whole number, not `many`"),
            ("mcp git log repo=. what=1", "it takes no `what`"),
            ("mcp git log repo=. mode=c", "one of a, b"),
            ("mcp git log repo=. deep=perhaps", "true or false"),
            ("mcp git log repo=. | head", "`|` is no name=value"),
            ("mcp git log repo='.", "not closed"),
            ("mcp git log repo=.\nmcp git log repo=..", "one call at a time"),
        ] {
            let said = read_one(command).unwrap_err();
            assert!(said.contains(wanted), "{command}: {said}");
        }
    }

    #[test]
    fn words_of_a_shell_come_through_whole() {
        let words = ["git", "log", "repo=it's \"a\" \\n\nb"].map(str::to_owned);
        assert_eq!(read_one(&line(&words)), Ok(json!({ "repo": "it's \"a\" \\n\nb" })));
    }

    #[test]
    fn only_lines_of_that_word_are_meant() {
        assert!(is_call("mcp") && is_call("  mcp git log") && is_call("$ mcp git"));
        assert!(!is_call("mcpx a") && !is_call("ls mcp") && !is_call("") && !is_call("echo mcp"));
        let log = log();
        let meant = |command| is_meant(command, &[("git", &log)]);
        assert!(
            meant("mcp x") && meant("git log repo=.") && meant("$ git log") && !meant("git status") && !meant("log")
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_written_breaks_it(text in "\\PC*|[mcp gitlo=\\-{}\"'\\\\\n;,]*") {
            let _ = read_one(&format!("mcp git log {text}"));
        }
    }
}
