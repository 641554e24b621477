//! What a problem's own code imports that Python does not bring with it and that is not installed.

use crate::repo_map::modules::is_standard;
use crate::task::{Check, Language};
use crate::verify::packages::is_installed;

use super::{Problem, Suite};

/// What tests ask of this is done without it, unless they run where the program does.
const STOOD_IN_FOR: &str = "numpy";

/// Why nothing can be said of any answer to a problem: what it needs is not there.
pub fn hindrance(problem: &Problem) -> Option<String> {
    let missing = third_party(problem);
    (!missing.is_empty()).then(|| format!("it needs {}, which Python does not bring with it", missing.join(", ")))
}

/// The packages of third parties that the problem's tests and reference need and that are not there.
fn third_party(problem: &Problem) -> Vec<String> {
    if problem.language != Language::Python {
        return Vec::new();
    }
    let tests = problem.checks.iter().filter_map(|check| match check {
        Check::Asserts { source, .. } | Check::TestSource { source, .. } => Some(source.as_str()),
        Check::Stdio { .. } | Check::Command { .. } => None,
    });
    let code = ["code", "complete"].into_iter().filter_map(|name| problem.texts.get(name).map(String::as_str));
    let mut found: Vec<String> = tests.flat_map(imported).collect();
    if problem.suite != Suite::BigCodeBench {
        found.retain(|name| name != STOOD_IN_FOR);
    }
    found.extend(code.chain(problem.canonical.as_deref()).flat_map(imported));
    found.retain(|name| !name.starts_with('_') && !is_standard(name) && !is_installed(name));
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
