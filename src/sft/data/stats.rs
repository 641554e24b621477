//! Lengths of responses as numbers and as a histogram in text.

/// What a set of lengths looks like.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Stats {
    pub records: usize,
    pub tokens: u64,
    pub min: u32,
    pub median: u32,
    pub mean: f64,
    pub p90: u32,
    pub max: u32,
    /// (upper bound, count) in doubling steps.
    pub histogram: Vec<(u32, usize)>,
}

/// Measures lengths; `None` where there are none.
pub fn stats(tokens: &[u32]) -> Option<Stats> {
    let mut sorted = tokens.to_vec();
    sorted.sort_unstable();
    let (&min, &max) = (sorted.first()?, sorted.last()?);
    let sum: u64 = sorted.iter().map(|&n| u64::from(n)).sum();
    let mut histogram = Vec::new();
    let mut low = 0;
    let mut bound = 32_u32;
    loop {
        let upto = sorted.partition_point(|&n| n <= bound);
        histogram.push((bound, upto - low));
        low = upto;
        if upto == sorted.len() {
            break;
        }
        bound = bound.saturating_mul(2);
    }
    Some(Stats {
        records: sorted.len(),
        tokens: sum,
        min,
        median: sorted[sorted.len() / 2],
        mean: sum as f64 / sorted.len() as f64,
        p90: sorted[(sorted.len() * 9 / 10).min(sorted.len() - 1)],
        max,
        histogram,
    })
}

impl Stats {
    /// A table with bars for people.
    pub fn table(&self) -> String {
        const BAR_CELLS: usize = 40;
        let most = self.histogram.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        let mut text = format!(
            "{} records, {} tokens; min {}, median {}, mean {:.0}, p90 {}, max {}\n",
            self.records, self.tokens, self.min, self.median, self.mean, self.p90, self.max
        );
        for (bound, count) in &self.histogram {
            let bar = "█".repeat((count * BAR_CELLS).div_ceil(most));
            text.push_str(&format!("  ≤ {bound:>6}  {count:>8}  {bar}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bars_agree() {
        let found = stats(&[1, 32, 33, 64, 500]).unwrap();
        assert_eq!(found.histogram, [(32, 2), (64, 2), (128, 0), (256, 0), (512, 1)]);
        assert_eq!((found.min, found.median, found.max, found.tokens), (1, 33, 500, 630));
        assert!(found.table().contains("≤    512"));
        assert_eq!(stats(&[]), None);
    }
}
