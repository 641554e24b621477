//! The problem as the judge's process reads it from `spec.json`.

use serde::Serialize;

/// What the judge is told. Nothing of it ever reaches the worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Spec {
    pub(crate) kind: Kind,
    /// The test program or the doctest text.
    pub(crate) tests: String,
    /// Trusted code that the tests use besides the candidate.
    pub(crate) helpers: String,
    /// The function that `check(candidate)` is about.
    pub(crate) entry: Option<String>,
    /// Names that the candidate defines for certain and that may therefore shadow built-in names.
    pub(crate) names: Vec<String>,
}

/// How the tests are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    #[default]
    Source,
    Doctest,
}

impl Kind {
    /// Doctest text has prompts; a test program never has a line that begins with one outside a string.
    pub(crate) fn of(tests: &str) -> Self {
        let prompts = tests.lines().any(|line| line.trim_start().starts_with(">>> "));
        let asserts = tests.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("assert ") || line.starts_with("assert(") || line.starts_with("def ")
        });
        if prompts && !asserts { Self::Doctest } else { Self::Source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_makes_a_doctest_and_an_assert_does_not() {
        assert_eq!(Kind::of(">>> f(1)\n2\n"), Kind::Doctest);
        assert_eq!(Kind::of("assert f(1) == 2"), Kind::Source);
        assert_eq!(Kind::of("def check(f):\n    '''\n    >>> f(1)\n    '''\n    assert f(1) == 2\n"), Kind::Source);
    }
}
