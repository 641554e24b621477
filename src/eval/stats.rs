//! Exact tests and intervals for passes and failures.

/// Wilson's score interval for a share, at 95 %. Without trials it is the whole range.
pub fn wilson(passed: u32, of: u32) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (f64::from(of), f64::from(passed) / f64::from(of));
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}

/// A paired comparison of two systems on the same problems.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Paired {
    /// Problems that only the first solved.
    pub first_only: u32,
    /// Problems that only the second solved.
    pub second_only: u32,
    /// Two-sided exact p of McNemar's test: how likely so uneven a split is if both are equally good.
    pub p: f64,
}

/// McNemar's exact test on pairs of verdicts.
pub fn mcnemar(pairs: impl IntoIterator<Item = (bool, bool)>) -> Paired {
    let (mut first_only, mut second_only) = (0, 0);
    for (first, second) in pairs {
        first_only += u32::from(first && !second);
        second_only += u32::from(second && !first);
    }
    let p = (2.0 * binomial_tail(first_only.min(second_only), first_only + second_only)).min(1.0);
    Paired { first_only, second_only, p }
}

/// P(X ≤ k) for X of Binomial(n, ½), summed in logarithms so that large n do not overflow.
fn binomial_tail(k: u32, n: u32) -> f64 {
    let log_half = f64::from(n) * 0.5_f64.ln();
    let mut log_choose = 0.0;
    let mut sum = log_half.exp();
    for i in 1..=k {
        log_choose += f64::from(n - i + 1).ln() - f64::from(i).ln();
        sum += (log_choose + log_half).exp();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 5e-4, "{a} is not {b}");
    }

    #[test]
    fn wilson_agrees_with_published_values() {
        // 15 of 20 and 0 of 10: standard worked examples of the interval.
        let (low, high) = wilson(15, 20);
        close(low, 0.5313);
        close(high, 0.8881);
        let (low, high) = wilson(0, 10);
        close(low, 0.0);
        close(high, 0.2775);
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn mcnemar_is_the_exact_binomial_test() {
        let pairs = |b: usize, c: usize| {
            std::iter::repeat_n((true, false), b).chain(std::iter::repeat_n((false, true), c)).chain([(true, true)])
        };
        close(mcnemar(pairs(12, 2)).p, 0.0129);
        close(mcnemar(pairs(10, 7)).p, 0.6291);
        close(mcnemar(pairs(3, 3)).p, 1.0);
        close(mcnemar(pairs(0, 0)).p, 1.0);
        assert!(mcnemar(pairs(900, 600)).p < 1e-12);
    }
}
