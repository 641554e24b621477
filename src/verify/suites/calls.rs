//! Rows that call a function (APPS with `fn_name`, LiveCodeBench `functional`), written as a test program.

use serde_json::Value;

/// Compares as the published checkers do: tuples are lists, an answer may be wrapped in one list, fractions may
/// differ a little.
const PRELUDE: &str = "\
def z1_plain(value):
    if isinstance(value, (list, tuple)):
        return [z1_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): z1_plain(item) for key, item in value.items()}
    return value


def z1_same(got, expected):
    got = z1_plain(got)
    if isinstance(got, float) or isinstance(expected, float):
        numbers = isinstance(got, (int, float)) and isinstance(expected, (int, float))
        return numbers and abs(got - expected) <= 1e-6 * max(1.0, abs(expected))
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(z1_same(g, e) for g, e in zip(got, expected))
    return type(got) is type(expected) and got == expected
";

/// A test program of one assert a case. The function is a method of `Solution` where the starter code says so.
pub(super) fn asserts(function: &str, starter: &str, cases: &[(Value, Value)]) -> Result<String, String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    if function.is_empty() || !function.chars().all(is_name) {
        return Err(format!("`{function}` is not a function's name"));
    }
    let of_class = starter.contains("class Solution");
    let target = if of_class { format!("Solution().{function}") } else { function.to_owned() };
    let mut source = PRELUDE.to_owned();
    for (args, expected) in cases {
        let Value::Array(args) = args else { return Err("the arguments of a call are not a list".to_owned()) };
        let args: Vec<_> = args.iter().map(literal).collect();
        let call = format!("{target}({})", args.join(", "));
        let check = match expected {
            // APPS wraps answers in a list of one; either reading is accepted, as its checker does.
            Value::Array(only) if only.len() == 1 => {
                format!("any(z1_same(z1_got, e) for e in ({}, {}))", literal(expected), literal(&only[0]))
            }
            _ => format!("z1_same(z1_got, {})", literal(expected)),
        };
        source.push_str(&format!("z1_got = {call}\nassert {check}\n"));
    }
    Ok(source)
}

/// JSON as a Python literal.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        // JSON's escapes are Python's, and the astral characters stand for themselves.
        Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let pair = |(key, value): (&String, &Value)| format!("{}: {}", Value::String(key.clone()), literal(value));
            format!("{{{}}}", fields.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_written_in_python() {
        let cases = [(json!([1, "a\"b", null, true]), json!([3]))];
        let source = asserts("f", "class Solution:\n", &cases).expect("a proper name");
        assert!(source.contains("z1_got = Solution().f(1, \"a\\\"b\", None, True)\n"), "{source}");
        assert!(source.contains("for e in ([3], 3)"), "{source}");
        assert!(asserts("f; import os", "", &cases).is_err());
    }
}
