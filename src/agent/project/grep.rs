//! Where the project's files hold these words.

use std::path::Path;
use std::time::{Duration, Instant};

use grep_regex::RegexMatcher;
use grep_searcher::sinks::UTF8;
use grep_searcher::{BinaryDetection, SearcherBuilder};

/// Hits kept, in all and of one file.
const HITS_MAX: usize = 400;
const HITS_OF_FILE_MAX: usize = 20;
const LINE_CHARS_MAX: usize = 140;
/// Larger files are not searched.
const FILE_BYTES_MAX: u64 = 1 << 20;
const TIME_MAX: Duration = Duration::from_secs(5);

/// A line that holds one of the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) path: String,
    /// From 1.
    pub(super) line: u32,
    pub(super) text: String,
}

/// Searches the files in their order; bounded in hits and time.
pub(super) fn find(root: &Path, paths: &[String], words: &[String]) -> Vec<Hit> {
    let mut hits = Vec::new();
    let names: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
    if names.is_empty() {
        return hits;
    }
    let Ok(matcher) = RegexMatcher::new_line_matcher(&format!(r"\b(?:{})\b", names.join("|"))) else { return hits };
    let mut searcher = SearcherBuilder::new().line_number(true).binary_detection(BinaryDetection::quit(0)).build();
    let until = Instant::now() + TIME_MAX;
    for path in paths {
        if hits.len() >= HITS_MAX || Instant::now() > until {
            break;
        }
        let file = root.join(path);
        if !std::fs::symlink_metadata(&file).is_ok_and(|found| found.is_file() && found.len() <= FILE_BYTES_MAX) {
            continue;
        }
        let before = hits.len();
        let sink = UTF8(|line, text| {
            let text = text.trim_end().chars().take(LINE_CHARS_MAX).collect();
            hits.push(Hit { path: path.clone(), line: line as u32, text });
            Ok(hits.len() < before + HITS_OF_FILE_MAX)
        });
        // A file that cannot be read or is no text has no hits.
        let _ = searcher.search_path(&matcher, &file, sink);
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole_and_binaries_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a.py"), "total = 1\ntotals = 2\nx = total + total\n").unwrap();
        std::fs::write(root.path().join("b.bin"), b"total\0total").unwrap();
        let paths = ["a.py", "b.bin", "gone.py"].map(str::to_owned);
        let hits = find(root.path(), &paths, &["total".to_owned()]);
        assert_eq!(
            hits.iter().map(|hit| (hit.path.as_str(), hit.line)).collect::<Vec<_>>(),
            [("a.py", 1), ("a.py", 3)]
        );
        assert!(find(root.path(), &paths, &[]).is_empty());
    }
}
