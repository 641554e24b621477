//! Rows that call a function (APPS with `fn_name`, LiveCodeBench `functional`), written as a test program.

use serde_json::Value;

use super::large;

/// Compares as the published checkers do: tuples are lists, fractions may differ a little. A whole number that is
/// expected is meant exactly.
const PRELUDE: &str = "\
def z1_plain(value):
    if isinstance(value, (list, tuple)):
        return [z1_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): z1_plain(item) for key, item in value.items()}
    return value


def z1_same(got, expected):
    got = z1_plain(got)
    if isinstance(got, float) and isinstance(expected, float):
        return got == expected or abs(got - expected) <= 1e-6 + 1e-9 * abs(expected)
    if isinstance(got, float) or isinstance(expected, float):
        return not isinstance(got, bool) and isinstance(got, (int, float)) and got == expected
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(z1_same(g, e) for g, e in zip(got, expected))
    return type(got) is type(expected) and got == expected
";

/// What the runner of LiveCodeBench puts before a program, in its order: starter code uses such names, and answers do.
/// What the program defines itself stands behind it and holds.
const FURNITURE: &str = "\
from string import *; from re import *; from datetime import *; from collections import *; from heapq import *; \
from bisect import *; from copy import *; from math import *; from random import *; from statistics import *; \
from itertools import *; from functools import *; from operator import *; from io import *; from sys import *; \
from json import *; from builtins import *; from typing import *; \
import string, re, datetime, collections, heapq, bisect, copy, math, random, statistics, itertools, functools, \
operator, io, sys, json; sys.setrecursionlimit(50000)
";

/// A program with what its runner brings. Imports from the future have to stay in front.
pub(super) fn furnished(program: &str) -> String {
    let mut offset = 0;
    let mut behind = 0;
    for line in program.split_inclusive('\n') {
        offset += line.len();
        if line.starts_with("from __future__ ") {
            behind = offset;
        }
    }
    let (front, rest) = program.split_at(behind);
    let gap = if front.is_empty() || front.ends_with('\n') { "" } else { "\n" };
    format!("{front}{gap}{FURNITURE}{rest}")
}

/// A test program of one assert a case. The function is a method of `Solution` where the starter code says so; `wrapped`
/// answers may stand in a list of one, as those of APPS do.
pub(super) fn asserts(
    function: &str,
    starter: &str,
    cases: &[(Value, Value)],
    wrapped: bool,
) -> Result<String, String> {
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
            // Either reading is accepted, as APPS' checker does.
            Value::Array(only) if wrapped && only.len() == 1 => {
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
        Value::String(text) if let Some(digits) = large::digits(text) => digits.to_owned(),
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
        let source = asserts("f", "class Solution:\n", &cases, true).expect("a proper name");
        assert!(source.contains("z1_got = Solution().f(1, \"a\\\"b\", None, True)\n"), "{source}");
        assert!(source.contains("for e in ([3], 3)"), "{source}");
        assert!(asserts("f; import os", "", &cases, true).is_err());
        let exact = asserts("f", "", &cases, false).expect("a proper name");
        assert!(exact.contains("z1_same(z1_got, [3])") && !exact.contains("any("), "{exact}");
    }

    #[test]
    fn what_the_runner_brings_stands_behind_imports_from_the_future() {
        let plain = furnished("def f(x: List[int]): ...\n");
        assert!(
            plain.starts_with("from string")
                && plain.ends_with("json; sys.setrecursionlimit(50000)\ndef f(x: List[int]): ...\n")
        );
        let future = furnished("from __future__ import annotations\nx = 1\n");
        assert!(future.starts_with("from __future__ import annotations\nfrom string"), "{future}");
        assert!(furnished("from __future__ import annotations").contains("annotations\nfrom string"));
    }
}
