//! Inputs for a function whose tests are not known: from its type hints, from the names of its parameters, and from
//! variations of example calls. Pure and the same every time.

use serde_json::{Value, json};

/// Arguments of one call, in the workers' encoding (for JSON's own types that is JSON itself).
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub arguments: Vec<Value>,
}

/// Most inputs generated.
const INPUTS_MAX: usize = 24;
/// Values tried for one parameter.
const VALUES_MAX: usize = 8;

/// Inputs for the function `entry` as Python source declares it. Empty where it is not declared.
pub fn generate_inputs(source: &str, entry: &str) -> Vec<Input> {
    let Some(parameters) = parameters(source, entry) else { return Vec::new() };
    let choices: Vec<Vec<Value>> = parameters.iter().map(|(name, hint)| values(name, hint, 0)).collect();
    let count = choices.iter().map(Vec::len).max().unwrap_or(1).min(INPUTS_MAX);
    let mut inputs: Vec<Input> = Vec::new();
    // Parameters move at different paces, so that pairs of values vary without their whole product.
    for round in 0..count.max(1) * 3 {
        let pick =
            |(at, values): (usize, &Vec<Value>)| values[(round * (at + 1) + round / count * at) % values.len()].clone();
        let input = Input { arguments: choices.iter().enumerate().map(pick).collect() };
        if !inputs.contains(&input) {
            inputs.push(input);
        }
        if inputs.len() == INPUTS_MAX {
            break;
        }
    }
    inputs
}

/// Names and hints of the parameters that have no default.
fn parameters(source: &str, entry: &str) -> Option<Vec<(String, String)>> {
    let start = source.find(&format!("def {entry}("))? + "def (".len() + entry.len();
    let mut depth = 1;
    let rest = &source[start..];
    let end = rest.char_indices().find_map(|(at, sign)| {
        depth += match sign {
            '(' | '[' | '{' => 1,
            ')' | ']' | '}' => -1,
            _ => 0,
        };
        (depth == 0).then_some(at)
    })?;
    let all = split_outer(&rest[..end], ',');
    let wanted = all
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty() && !text.starts_with(['*', '/']) && !text.contains('=') && *text != "self");
    let split = |text: &str| match text.split_once(':') {
        Some((name, hint)) => (name.trim().to_owned(), hint.trim().to_owned()),
        None => (text.to_owned(), String::new()),
    };
    Some(wanted.map(split).collect())
}

/// Splits where no bracket is open.
fn split_outer(text: &str, at: char) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, sign) in text.char_indices() {
        match sign {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ if sign == at && depth == 0 => {
                parts.push(&text[start..index]);
                start = index + sign.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Values of a type; by the parameter's name where there is no hint.
fn values(name: &str, hint: &str, depth: usize) -> Vec<Value> {
    let hint = hint.trim().trim_matches(['"', '\'']);
    let hint = hint.strip_prefix("typing.").unwrap_or(hint);
    let (outer, inner) = match hint.split_once('[') {
        Some((outer, inner)) => (outer.trim(), inner.strip_suffix(']').unwrap_or(inner)),
        None => (hint, ""),
    };
    let mut made = match outer.to_ascii_lowercase().as_str() {
        "int" => [0, 1, 2, 7, -3, 10, 100, 13].map(Value::from).to_vec(),
        "float" => [0.5, 1.0, -2.5, 3.25, 100.0].map(Value::from).to_vec(),
        "bool" => vec![json!(true), json!(false)],
        "str" => ["", "a", "abc", "Hello World", "racecar", "a1 b2", "aabbc", "xyz xyz"].map(Value::from).to_vec(),
        "none" | "nonetype" => vec![Value::Null],
        "list" | "sequence" | "iterable" | "collection" => lists(name, inner, depth),
        "tuple" => tuples(inner, depth).into_iter().map(|items| json!({"t": items})).collect(),
        "set" => lists(name, inner, depth).into_iter().map(|items| json!({"s": distinct(items)})).collect(),
        "dict" | "mapping" => dicts(inner, depth),
        "optional" => [vec![Value::Null], values(name, inner, depth)].concat(),
        "union" => {
            split_outer(inner, ',').into_iter().flat_map(|part| values(name, part, depth).into_iter().take(3)).collect()
        }
        _ if hint.contains('|') => {
            split_outer(hint, '|').into_iter().flat_map(|part| values(name, part, depth).into_iter().take(3)).collect()
        }
        _ => by_name(name, depth),
    };
    made.truncate(VALUES_MAX);
    made
}

/// Lists of the inner type: none, one, some, in order, reversed, with repeats.
fn lists(name: &str, inner: &str, depth: usize) -> Vec<Value> {
    if depth >= 3 {
        return vec![json!([])];
    }
    let inner = if inner.is_empty() {
        if name.contains("word") || name.contains("str") { "str" } else { "int" }
    } else {
        inner
    };
    let items = values("", inner, depth + 1);
    let take = |count: usize| items.iter().take(count).cloned().collect::<Vec<_>>();
    let mut reversed = take(5);
    reversed.reverse();
    let doubled: Vec<Value> = take(3).into_iter().flat_map(|item| [item.clone(), item]).collect();
    [vec![], take(1), take(3), reversed, doubled, take(8)].into_iter().map(Value::Array).collect()
}

fn tuples(inner: &str, depth: usize) -> Vec<Vec<Value>> {
    if depth >= 3 {
        return vec![vec![]];
    }
    let parts: Vec<_> = split_outer(inner, ',').into_iter().map(str::trim).filter(|part| !part.is_empty()).collect();
    let parts = if parts.is_empty() { vec!["int", "int"] } else { parts };
    let parts = if parts.get(1) == Some(&"...") { vec![parts[0]; 3] } else { parts };
    let columns: Vec<_> = parts.iter().map(|part| values("", part, depth + 1)).collect();
    (0..4)
        .map(|row| columns.iter().enumerate().map(|(at, column)| column[(row + at) % column.len()].clone()).collect())
        .collect()
}

fn dicts(inner: &str, depth: usize) -> Vec<Value> {
    if depth >= 3 {
        return vec![json!({"d": []})];
    }
    let parts = split_outer(inner, ',');
    let keys = values("", parts.first().copied().filter(|part| !part.is_empty()).unwrap_or("str"), depth + 1);
    let items = values("", parts.get(1).copied().unwrap_or("int"), depth + 1);
    let table = |count: usize| {
        let pairs: Vec<_> =
            keys.iter().zip(items.iter().cycle()).take(count).map(|(key, value)| json!([key, value])).collect();
        json!({ "d": pairs })
    };
    vec![table(0), table(1), table(3)]
}

fn distinct(items: Value) -> Value {
    let Value::Array(items) = items else { return items };
    let mut kept = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    Value::Array(kept)
}

/// What a parameter without a hint most often is.
fn by_name(name: &str, depth: usize) -> Vec<Value> {
    let name = name.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if any(&["text", "str", "word", "name", "sentence"]) || matches!(name.as_str(), "s" | "t" | "string") {
        values("", "str", depth)
    } else if any(&["list", "arr", "nums", "lst", "items", "values", "array"])
        || matches!(name.as_str(), "xs" | "l" | "a")
    {
        lists(&name, "int", depth)
    } else if any(&["dict", "map"]) {
        dicts("str, int", depth)
    } else if any(&["matrix", "grid"]) {
        lists(&name, "list[int]", depth)
    } else {
        values("", "int", depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(source: &str) -> Vec<Value> {
        generate_inputs(source, "f").remove(0).arguments
    }

    #[test]
    fn hints_decide_and_defaults_are_left_alone() {
        let source =
            "def f(a: int, b: List[str], c: dict[str, int], d: Tuple[int, str] , *, e=1, g: int = 2):\n    pass";
        let inputs = generate_inputs(source, "f");
        assert!(inputs.len() > 5 && inputs.len() <= INPUTS_MAX);
        for input in &inputs {
            assert_eq!(input.arguments.len(), 4);
            assert!(input.arguments[0].is_i64() && input.arguments[1].is_array());
            assert!(input.arguments[2].get("d").is_some() && input.arguments[3].get("t").is_some());
        }
        assert_eq!(inputs, generate_inputs(source, "f"));
    }

    #[test]
    fn names_help_where_there_are_no_hints() {
        assert!(first("def f(text): pass")[0].is_string());
        assert!(first("def f(nums): pass")[0].is_array());
        assert!(first("def f(n): pass")[0].is_i64());
        assert!(generate_inputs("def g(): pass", "f").is_empty());
        assert_eq!(generate_inputs("def f(): pass", "f"), [Input { arguments: vec![] }]);
    }

    #[test]
    fn deep_types_end() {
        assert!(!generate_inputs("def f(x: list[list[list[list[int]]]]): pass", "f").is_empty());
    }
}
