//! A tool: read from what its server says, and told to a model as a line that it can write again.
//!
//! Pure. Names and descriptions are other people's text: names are checked, descriptions cleaned, made one line and cut.
//!
//! Not for: reading what a model wrote (`call.rs`).

use serde_json::Value;

use crate::sandbox::text::clean;

/// Tokens of a tool's description.
const DESCRIPTION_TOKENS_MAX: usize = 48;
/// Tokens of a parameter's description.
const PARAMETER_TOKENS_MAX: usize = 24;
/// Parameters of one tool that are told.
const PARAMETERS_MAX: usize = 16;
/// Values of an enumeration that are told.
const CHOICES_MAX: usize = 8;
/// Characters of a description that are kept at all.
const DESCRIPTION_CHARS_MAX: usize = 2_000;
const NAME_CHARS_MAX: usize = 64;

/// A tool as its server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    pub name: String,
    /// One line.
    pub description: String,
    pub parameters: Vec<Parameter>,
    /// What the server says; shown, never trusted.
    pub read_only: bool,
}

/// One argument that a tool takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub description: String,
    pub kind: Kind,
    pub required: bool,
}

/// What a parameter's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Number,
    Flag,
    /// Of values of this kind.
    List(Box<Kind>),
    /// An object, or what the schema leaves open.
    Json,
    /// One of these.
    Choice(Vec<String>),
}

/// Reads one entry of a list of tools.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(value: &Value) -> Result<Tool, String> {
    let name = value["name"].as_str().ok_or("a tool has no name")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
        let shown: String = one_line(name).chars().take(NAME_CHARS_MAX).collect();
        return Err(format!("the name of the tool `{shown}` is not usable"));
    }
    let schema = &value["inputSchema"];
    if !schema.is_object() {
        return Err(format!("the tool {name} has no usable inputSchema"));
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut parameters: Vec<Parameter> = properties
        .filter(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)))
        .map(|(name, property)| Parameter {
            name: name.clone(),
            description: one_line(property["description"].as_str().unwrap_or_default()),
            kind: kind(property, schema, 0),
            required: required.contains(&name.as_str()),
        })
        .collect();
    if let Some(lost) = required.iter().find(|name| parameters.iter().all(|parameter| parameter.name != **name)) {
        return Err(format!("the tool {name} requires `{}`, which it does not describe", one_line(lost)));
    }
    // What has to be said comes first.
    parameters.sort_by_key(|parameter| !parameter.required);
    let read_only = value["annotations"]["readOnlyHint"] == true;
    let description = one_line(value["description"].as_str().unwrap_or_default());
    Ok(Tool { name: name.to_owned(), description, parameters, read_only })
}

fn kind(property: &Value, schema: &Value, depth: u32) -> Kind {
    const DEPTH_MAX: u32 = 4;
    if depth > DEPTH_MAX {
        return Kind::Json;
    }
    if let Some(to) = property["$ref"].as_str().and_then(|to| to.strip_prefix('#')) {
        return schema.pointer(to).map_or(Kind::Json, |to| kind(to, schema, depth + 1));
    }
    if let Some(choices) = property["enum"].as_array() {
        let texts: Option<Vec<String>> = choices.iter().map(|c| c.as_str().map(str::to_owned)).collect();
        return texts.map_or(Kind::Json, Kind::Choice);
    }
    let is_null = |value: &Value| value == "null" || value["type"] == "null";
    for key in ["anyOf", "oneOf"] {
        let mut real = property[key].as_array().into_iter().flatten().filter(|one| !is_null(one));
        if let (Some(only), None) = (real.next(), real.next()) {
            return kind(only, schema, depth + 1);
        }
    }
    let name = match &property["type"] {
        Value::Array(names) => {
            let mut real = names.iter().filter(|name| !is_null(name));
            match (real.next(), real.next()) {
                (Some(only), None) => only.as_str(),
                _ => None,
            }
        }
        name => name.as_str(),
    };
    match name {
        Some("string") => Kind::Text,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Flag,
        Some("array") => Kind::List(Box::new(kind(&property["items"], schema, depth + 1))),
        _ => Kind::Json,
    }
}

/// Cleaned, on one line, of a bounded length.
pub(super) fn one_line(text: &str) -> String {
    let short: String = text.chars().take(DESCRIPTION_CHARS_MAX).collect();
    clean(&short).split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Kind {
    /// What stands for a value.
    fn stand_in(&self) -> String {
        match self {
            Self::Text => "TEXT".to_owned(),
            Self::Integer => "INTEGER".to_owned(),
            Self::Number => "NUMBER".to_owned(),
            Self::Flag => "true|false".to_owned(),
            Self::List(of) => format!("{0},{0}", of.stand_in()),
            Self::Json => "JSON".to_owned(),
            Self::Choice(choices) => {
                // As it has to be written.
                let quoted = |choice: &String| {
                    let plain = choice.chars().all(|c| c.is_alphanumeric() || "_-./:+@".contains(c));
                    if plain { one_line(choice) } else { format!("'{}'", one_line(choice)) }
                };
                let shown: Vec<String> = choices.iter().take(CHOICES_MAX).map(quoted).collect();
                format!("{}{}", shown.join("|"), if choices.len() > CHOICES_MAX { "|…" } else { "" })
            }
        }
    }
}

impl Tool {
    /// The line that calls it, with words in capitals for the values.
    pub fn form(&self, server: &str) -> String {
        let mut line = format!("mcp {server} {}", self.name);
        for parameter in self.parameters.iter().take(PARAMETERS_MAX) {
            let word = format!("{}={}", parameter.name, parameter.kind.stand_in());
            line.push_str(&if parameter.required { format!(" {word}") } else { format!(" [{word}]") });
        }
        line
    }
}

/// Tools as a model is told of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Empty where there is nothing to offer.
    pub text: String,
    /// Tools that are in it.
    pub offered: usize,
    /// Tools whose description was cut.
    pub cut: usize,
    /// Tools for which there was no room.
    pub left_out: Vec<String>,
}

impl Told {
    /// What was offered and what was cut, for people.
    pub fn report(&self) -> String {
        let mut line = format!("tools: {} offered", self.offered);
        if self.cut > 0 {
            line.push_str(&format!(", the descriptions of {} cut", self.cut));
        }
        if !self.left_out.is_empty() {
            line.push_str(&format!(", no room for {}", self.left_out.join(", ")));
        }
        line
    }
}

/// The tools as lines, within so many tokens: with what their parameters are, where there is room for that; without,
/// where there is not; and as many as fit.
pub(super) fn told(tools: &[(&str, &Tool)], tokens_max: usize, count: &dyn Fn(&str) -> usize) -> Told {
    let whole = lines(tools, true, count);
    let fits =
        |entries: &[(String, bool)]| entries.iter().map(|(text, _)| count(text) + 1).sum::<usize>() <= tokens_max;
    let entries = if fits(&whole) { whole } else { lines(tools, false, count) };
    let mut told = Told::default();
    let mut left = tokens_max;
    for ((server, tool), (text, cut)) in tools.iter().zip(entries) {
        let tokens = count(&text) + 1;
        if tokens > left {
            told.left_out.push(format!("{server} {}", tool.name));
            continue;
        }
        left -= tokens;
        told.text.push_str(&text);
        told.text.push('\n');
        told.offered += 1;
        told.cut += usize::from(cut);
    }
    told.text.truncate(told.text.trim_end().len());
    told
}

/// Each tool's text, and whether something of it was cut.
fn lines(tools: &[(&str, &Tool)], parameters: bool, count: &dyn Fn(&str) -> usize) -> Vec<(String, bool)> {
    let line = |(server, tool): &(&str, &Tool)| {
        let (description, mut cut) = shortened(&tool.description, DESCRIPTION_TOKENS_MAX, count);
        let mut text = tool.form(server);
        if !description.is_empty() {
            text.push_str(&format!("\n    {description}"));
        }
        cut |= tool.parameters.len() > PARAMETERS_MAX;
        for parameter in tool.parameters.iter().take(PARAMETERS_MAX).filter(|p| !p.description.is_empty()) {
            if !parameters {
                cut = true;
                break;
            }
            let (description, shorter) = shortened(&parameter.description, PARAMETER_TOKENS_MAX, count);
            text.push_str(&format!("\n    {}: {description}", parameter.name));
            cut |= shorter;
        }
        (text, cut)
    };
    tools.iter().map(line).collect()
}

/// The first words, within so many tokens, with a mark where some are missing.
fn shortened(text: &str, tokens_max: usize, count: &dyn Fn(&str) -> usize) -> (String, bool) {
    if count(text) <= tokens_max {
        return (text.to_owned(), false);
    }
    let words: Vec<&str> = text.split(' ').collect();
    let (mut low, mut high) = (0, words.len());
    while low < high {
        let middle = (low + high).div_ceil(2);
        if count(&words[..middle].join(" ")) < tokens_max { low = middle } else { high = middle - 1 }
    }
    (format!("{} …", words[..low].join(" ")).trim_start().to_owned(), true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    #[test]
    fn a_tool_is_a_line_that_can_be_written_again() {
        let tool = read(&json!({
            "name": "git_log", "description": "Shows\n  the \u{1b}[31mlog", "annotations": { "readOnlyHint": true },
            "inputSchema": {
                "type": "object", "required": ["repo_path"],
                "$defs": { "Mode": { "enum": ["a", "b c"] } },
                "properties": {
                    "max": { "anyOf": [{ "type": "integer" }, { "type": "null" }], "description": "How many" },
                    "mode": { "$ref": "#/$defs/Mode" },
                    "files": { "type": "array", "items": { "type": "string" } },
                    "deep": { "type": ["boolean", "null"] },
                    "any": {},
                    "repo_path": { "type": "string" },
                },
            },
        }))
        .unwrap();
        assert!(tool.read_only);
        assert_eq!(
            tool.form("git"),
            "mcp git git_log repo_path=TEXT [max=INTEGER] [mode=a|'b c'] [files=TEXT,TEXT] [deep=true|false] [any=JSON]"
        );
        let told = told(&[("git", &tool)], 100, &words);
        assert_eq!(told.text.lines().nth(1), Some("    Shows the log"));
        assert!(told.text.ends_with("    max: How many") && told.cut == 0, "{told:?}");
    }

    #[test]
    fn what_is_odd_is_an_error_that_names_the_tool() {
        for (value, wanted) in [
            (json!({}), "no name"),
            (json!({ "name": "a b", "inputSchema": {} }), "`a b`"),
            (json!({ "name": "x" }), "inputSchema"),
            (json!({ "name": "x", "inputSchema": { "required": ["y"] } }), "`y`"),
        ] {
            assert!(read(&value).unwrap_err().contains(wanted));
        }
        // A hint that is none is no hint.
        let yes = json!({ "name": "x", "inputSchema": {}, "annotations": { "readOnlyHint": "yes" } });
        assert!(!read(&yes).unwrap().read_only);
    }

    #[test]
    fn descriptions_are_cut_and_tools_without_room_are_named() {
        let tool = |name: &str, description: &str| {
            let property = json!({ "p": { "type": "string", "description": "one two three four" } });
            let schema = json!({ "type": "object", "properties": property });
            read(&json!({ "name": name, "description": description, "inputSchema": schema })).unwrap()
        };
        let long = vec!["word"; 500].join(" ");
        let (a, b, c) = (tool("a", &long), tool("b", "short"), tool("c", &long));
        let told = told(&[("s", &a), ("s", &b), ("s", &c)], 70, &words);
        assert_eq!((told.offered, told.left_out.as_slice()), (2, ["s c".to_owned()].as_slice()));
        assert!(told.cut == 2 && told.text.contains("word …") && words(&told.text) <= 70, "{told:?}");
        assert_eq!(told.report(), "tools: 2 offered, the descriptions of 2 cut, no room for s c");
    }
}
