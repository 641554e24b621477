//! Suites, the accuracy-against-thinking-tokens curve, reports and plots.
//!
//! Not for: generating or judging by itself.
