//! Whether what a program printed is what it should have printed. Pure; runs outside the sandbox.

/// Compares outputs line by line: white space at the ends of lines and blank lines at the end do not count.
/// With `tolerance`, words that are numbers with a fraction may differ by that much, absolutely or relatively.
pub(crate) fn same_output(expected: &str, got: &str, tolerance: Option<f64>) -> bool {
    let (expected, got) = (lines(expected), lines(got));
    if expected == got {
        return true;
    }
    let Some(tolerance) = tolerance else { return false };
    expected.len() == got.len() && expected.iter().zip(&got).all(|(want, have)| same_line(want, have, tolerance))
}

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}

fn same_line(expected: &str, got: &str, tolerance: f64) -> bool {
    let (expected, got): (Vec<_>, Vec<_>) = (expected.split_whitespace().collect(), got.split_whitespace().collect());
    expected.len() == got.len() && expected.iter().zip(&got).all(|(want, have)| same_word(want, have, tolerance))
}

fn same_word(expected: &str, got: &str, tolerance: f64) -> bool {
    if expected == got {
        return true;
    }
    // A whole number is meant exactly; `inf` and `nan` are words.
    if !expected.contains(['.', 'e', 'E']) {
        return false;
    }
    let (Ok(want), Ok(have)) = (expected.parse::<f64>(), got.parse::<f64>()) else { return false };
    want.is_finite() && have.is_finite() && (want - have).abs() <= tolerance * want.abs().max(1.0)
}

/// The first line where two outputs part, as `(line number, expected, got)`.
pub(crate) fn first_difference<'a>(
    expected: &'a str,
    got: &'a str,
    tolerance: Option<f64>,
) -> Option<(usize, &'a str, &'a str)> {
    let (expected, got) = (lines(expected), lines(got));
    (0..expected.len().max(got.len())).find_map(|index| {
        let want = expected.get(index).copied();
        let have = got.get(index).copied();
        let same = match (want, have) {
            (Some(want), Some(have)) => want == have || tolerance.is_some_and(|t| same_line(want, have, t)),
            _ => false,
        };
        (!same).then_some((index + 1, want.unwrap_or("(no more lines)"), have.unwrap_or("(no more lines)")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_at_ends_does_not_count_and_inside_it_does() {
        assert!(same_output("1 2\n3\n", "1 2  \r\n3\n\n\n", None));
        assert!(same_output("", "\n", None));
        assert!(!same_output("1 2", "12", None));
        assert!(!same_output("1  2", "1 2", None));
        assert!(!same_output("1\n\n2", "1\n2", None));
        assert!(!same_output("1", "", None));
    }

    #[test]
    fn only_fractions_are_near_enough() {
        assert!(same_output("0.333333", "0.3333333333", Some(1e-6)));
        assert!(!same_output("0.333333", "0.3333333333", None));
        assert!(!same_output("1000000", "1000001", Some(1e-3)));
        assert!(!same_output("0.5", "nan", Some(1e9)));
        assert!(!same_output("0.5", "inf", Some(f64::INFINITY)));
        assert!(same_output("x 1e3", "x 1000.0", Some(1e-9)));
    }

    #[test]
    fn the_first_difference_is_named_by_line() {
        assert_eq!(first_difference("a\nb\nc", "a\nx\nc", None), Some((2, "b", "x")));
        assert_eq!(first_difference("a\nb", "a", None), Some((2, "b", "(no more lines)")));
        assert_eq!(first_difference("0.5", "0.50", Some(1e-9)), None);
    }
}
