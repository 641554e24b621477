//! What a problem's own code imports that Python does not bring with it.

use crate::repo_map::modules::is_standard;
use crate::task::{Check, Language};
use crate::verify::suites::Problem;

/// The packages of third parties that the problem's tests and reference need; empty where there are none.
pub fn third_party(problem: &Problem) -> Vec<String> {
    if problem.language != Language::Python {
        return Vec::new();
    }
    let tests = problem.checks.iter().filter_map(|check| match check {
        Check::Asserts { source, .. } | Check::TestSource { source, .. } => Some(source.as_str()),
        Check::Stdio { .. } | Check::Command { .. } => None,
    });
    let code = ["code", "complete"].into_iter().filter_map(|name| problem.texts.get(name).map(String::as_str));
    let mut found: Vec<String> = tests.chain(code).chain(problem.canonical.as_deref()).flat_map(imported).collect();
    found.retain(|name| !name.starts_with('_') && !is_standard(name));
    found.sort();
    found.dedup();
    found
}

/// The top-level packages that Python source imports.
fn imported(source: &str) -> Vec<String> {
    let package = |path: &str| path.trim().split(['.', ' ']).next().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("from ") {
            if let Some((path, _)) = rest.split_once(" import ")
                && !path.starts_with('.')
            {
                found.push(package(path));
            }
        } else if let Some(rest) = line.strip_prefix("import ") {
            let rest = rest.split('#').next().unwrap_or(rest);
            found.extend(rest.split(',').map(package));
        }
    }
    let is_name = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    found.retain(is_name);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_python_lacks_is_named() {
        let found =
            imported("import os, numpy as np\n  from sklearn.svm import SVC\nfrom . import x\nimport a.b  # c\n");
        assert_eq!(found, ["os", "numpy", "sklearn", "a"]);
    }
}
