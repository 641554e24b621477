//! What templates written for Hugging Face's renderer may call: Python's way to print values and JSON, its clock, and
//! the functions that renderer gives.
//!
//! Not for: string methods (`minijinja_contrib::pycompat` has them).

use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value};
use serde::Serialize;

/// Instructions that one rendering may take. A conversation of a hundred turns takes some tens of thousands.
const FUEL: u64 = 5_000_000;

/// Gives an environment everything of Python's that templates use.
pub(super) fn furnish(environment: &mut Environment<'static>) {
    environment.set_fuel(Some(FUEL));
    // A refusal is one sentence, not a page of the template.
    environment.set_debug(false);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(print);
    environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: &str| now(format));
    environment.add_filter("tojson", tojson);
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_test("sequence", is_sequence);
    environment.add_filter("int", |value: &Value, default: Option<i64>| whole(value).unwrap_or(default.unwrap_or(0)));
    environment.add_filter("string", |value: &Value| shown(value));
}

/// Whether a value has a length and can be indexed, which in Python holds of strings and mappings too.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined)
}

/// A number, or a text that is one, without its fraction; what is none has no value and raises nothing.
fn whole(value: &Value) -> Option<i64> {
    let number =
        |value: &Value| i64::try_from(value.clone()).ok().or_else(|| Some(f64::try_from(value.clone()).ok()? as i64));
    match value.as_str().map(str::trim) {
        Some(text) => text.parse().ok().or_else(|| Some(text.parse::<f64>().ok().filter(|n| n.is_finite())? as i64)),
        None => number(value),
    }
}

/// Prints as Python does: `True`, `None`, lists and mappings by their representation.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Bool | ValueKind::None | ValueKind::Seq | ValueKind::Map => Ok(out.write_str(&shown(value))?),
        _ => minijinja::escape_formatter(out, state, value),
    }
}

fn shown(value: &Value) -> String {
    match value.kind() {
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        ValueKind::Undefined => String::new(),
        _ => represented(value),
    }
}

fn represented(value: &Value) -> String {
    let items = |value: &Value| value.try_iter().into_iter().flatten().collect::<Vec<Value>>();
    match value.kind() {
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::None | ValueKind::Undefined => "None".to_owned(),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Seq => format!("[{}]", items(value).iter().map(represented).collect::<Vec<_>>().join(", ")),
        ValueKind::Map => {
            let pair = |key: &Value| {
                let item = value.get_item(key).unwrap_or_default();
                format!("{}: {}", represented(key), represented(&item))
            };
            format!("{{{}}}", items(value).iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// `datetime.now().strftime(format)`, in local time.
fn now(format: &str) -> Result<String, Error> {
    use std::fmt::Write;
    let mut text = String::new();
    // A format that makes no sense is an error of the formatter, not of the parser.
    write!(text, "{}", chrono::Local::now().format(format))
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("{format:?} is no format of a date")))?;
    Ok(text)
}

/// `json.dumps` as Hugging Face's renderer calls it: nothing escaped for HTML, Python's separators.
#[expect(clippy::needless_pass_by_value, reason = "a filter is given its options by value")]
fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let ensure_ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let sort_keys = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let indent = match options.get::<Option<Value>>("indent")? {
        None => None,
        Some(value) if value.is_none() || value.is_undefined() => None,
        Some(value) => match value.as_str() {
            Some(text) => Some(text.to_owned()),
            None => Some(" ".repeat(usize::try_from(value).unwrap_or(0).min(INDENT_MAX))),
        },
    };
    let separators = match options.get::<Option<Value>>("separators")? {
        Some(pair) if !pair.is_none() && !pair.is_undefined() => from_pair(&pair)?,
        _ if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        _ => (", ".to_owned(), ": ".to_owned()),
    };
    options.assert_all_used()?;
    let value = serde_json::to_value(value)
        .map_err(|problem| Error::new(ErrorKind::InvalidOperation, format!("cannot be written as JSON: {problem}")))?;
    let mut json = Json { out: String::new(), ensure_ascii, sort_keys, indent, separators };
    json.write(&value, 0);
    Ok(Value::from_safe_string(json.out))
}

const INDENT_MAX: usize = 32;

fn from_pair(pair: &Value) -> Result<(String, String), Error> {
    let items: Vec<Value> = pair.try_iter()?.collect();
    from_args(&items)
}

struct Json {
    out: String,
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    separators: (String, String),
}

impl Json {
    fn write(&mut self, value: &serde_json::Value, depth: usize) {
        use serde_json::Value::{Array, Object, String};
        match value {
            Array(items) if items.is_empty() => self.out.push_str("[]"),
            Object(items) if items.is_empty() => self.out.push_str("{}"),
            Array(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.between(index, depth + 1);
                    self.write(item, depth + 1);
                }
                self.line(depth);
                self.out.push(']');
            }
            Object(items) => {
                self.out.push('{');
                let mut keys: Vec<_> = items.keys().collect();
                if self.sort_keys {
                    keys.sort();
                }
                for (index, key) in keys.into_iter().enumerate() {
                    self.between(index, depth + 1);
                    self.text(key);
                    self.out.push_str(&self.separators.1.clone());
                    self.write(&items[key], depth + 1);
                }
                self.line(depth);
                self.out.push('}');
            }
            String(text) => self.text(text),
            other => self.out.push_str(&other.to_string()),
        }
    }

    fn between(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push_str(&self.separators.0.clone());
        }
        self.line(depth);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn text(&mut self, text: &str) {
        let mut plain = Vec::new();
        // A text always serialises.
        let _ = text.serialize(&mut serde_json::Serializer::new(&mut plain));
        let plain = String::from_utf8(plain).unwrap_or_default();
        if !self.ensure_ascii {
            return self.out.push_str(&plain);
        }
        for c in plain.chars() {
            if c.is_ascii() {
                self.out.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                self.out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use minijinja::context;
    use minijinja::value::Serde;

    use super::*;

    fn rendered(source: &str, value: &Value) -> String {
        let mut environment = Environment::new();
        furnish(&mut environment);
        environment.render_str(source, context! { x => value.clone() }).unwrap()
    }

    #[test]
    fn values_print_as_in_python() {
        let value: Value = Value::from(Serde(serde_json::json!({"a": [1, true, null, "it's"], "b": "\n"})));
        assert_eq!(rendered("{{ x }}", &value), r#"{'a': [1, True, None, "it's"], 'b': '\n'}"#);
        assert_eq!(rendered("{{ x.a[1] }} {{ x.a[2] }} {{ x.a[1] | string }}", &value), "True None True");
        assert_eq!(rendered("[{{ x }}]", &Value::UNDEFINED), "[]");
    }

    #[test]
    fn json_is_written_as_python_s_dumps() {
        let value = Value::from(Serde(serde_json::json!({"b": "<ä>", "a": [1, {}]})));
        assert_eq!(rendered("{{ x | tojson }}", &value), r#"{"b": "<ä>", "a": [1, {}]}"#);
        assert_eq!(
            rendered("{{ x | tojson(ensure_ascii=true, sort_keys=true) }}", &value),
            r#"{"a": [1, {}], "b": "<\u00e4>"}"#
        );
        assert_eq!(rendered("{{ x | tojson(separators=(',', ':')) }}", &value), r#"{"b":"<ä>","a":[1,{}]}"#);
        assert_eq!(rendered("{{ x.a | tojson(indent=2) }}", &value), "[\n  1,\n  {}\n]");
    }

    #[test]
    fn the_clock_is_read_and_a_wrong_format_is_an_error() {
        let year = rendered("{{ strftime_now('%Y-%m-%d') }}", &Value::UNDEFINED);
        assert_eq!((year.len(), year.as_bytes()[4]), (10, b'-'));
        let mut environment = Environment::new();
        furnish(&mut environment);
        assert!(environment.render_str("{{ strftime_now('%Q') }}", ()).is_err());
    }

    #[test]
    fn a_template_without_end_runs_out_of_fuel() {
        let mut environment = Environment::new();
        furnish(&mut environment);
        let source = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
        assert!(environment.render_str(source, ()).unwrap_err().to_string().contains("fuel"));
    }
}
