#!/usr/bin/env bash
# A program that listens for SIGHUP with `tokio::signal::unix::signal`, as one does to end cleanly when the terminal closes, is
# woken by it although it was started with `nohup`: the ignored signal that `nohup` hands down is replaced by a handler, and
# what was started to outlive the terminal ends with it. Who wants both looks whether SIGHUP is ignored (bit 0 of SigIgn in
# /proc/self/status on Linux) before listening. Seen with tokio 1.54.1, rustc 1.95, Linux, 2026-11-28:
#
#   ignored at the start: true
#   a hang-up was heard
#
# Needs cargo and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[dependencies]
tokio = { version = "=1.54.1", features = ["rt", "macros", "signal", "time"] }
TOML
cat >"$work/src/main.rs" <<'RUST'
use std::time::Duration;
use tokio::signal::unix::{signal, SignalKind};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    println!("ignored at the start: {}", u64::from_str_radix(mask, 16).unwrap() & 1 == 1);
    let mut hang_up = signal(SignalKind::hangup()).unwrap();
    let pid = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    match tokio::time::timeout(Duration::from_secs(1), hang_up.recv()).await {
        Ok(_) => println!("a hang-up was heard"),
        Err(_) => println!("nothing was heard"),
    }
}
RUST
cd "$work"
cargo build --quiet
nohup target/debug/probe >said </dev/null 2>/dev/null
cat said
[ "$(cat said)" = $'ignored at the start: true\na hang-up was heard' ] || { echo "changed"; exit 1; }
