//! From a trajectory to a candidate: fences, whole files, SEARCH/REPLACE, or what is wrong with the format.
//!
//! Not for: touching the disk; applying edits is the workspace's work.
