#!/usr/bin/env bash
# A loop that waits with `select!` for `tokio::signal::ctrl_c()` or for something else looks as if it heard every Ctrl-C. It does
# not: each call is a new listener that hears only what comes after it was polled, while the handler that the first call
# installed stays for the life of the process. A SIGINT that arrives while the loop is busy with the other branch neither ends
# the process nor wakes the next wait. A `Signal` that is made once, outside the loop, keeps it. Seen with tokio 1.54.1, rustc
# 1.95, Linux, 2026-11-28:
#
#   ctrl_c() anew each time: lost
#   one Signal for all of it: heard
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
use tokio::time::{sleep, timeout};

/// The other branch: it ends the wait, then Ctrl-C comes, before the next wait.
async fn interrupted_between_two_waits() {
    let pid = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    sleep(Duration::from_millis(200)).await;
}

fn word(heard: bool) -> &'static str {
    if heard { "heard" } else { "lost" }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let one_second = Duration::from_secs(1);
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => unreachable!("nothing was sent"),
        () = sleep(Duration::from_millis(50)) => {}
    }
    interrupted_between_two_waits().await;
    let heard = timeout(one_second, tokio::signal::ctrl_c()).await.is_ok();
    println!("ctrl_c() anew each time: {}", word(heard));

    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    tokio::select! {
        biased;
        _ = interrupt.recv() => unreachable!("nothing was sent"),
        () = sleep(Duration::from_millis(50)) => {}
    }
    interrupted_between_two_waits().await;
    let heard = timeout(one_second, interrupt.recv()).await.is_ok();
    println!("one Signal for all of it: {}", word(heard));
}
RUST
cd "$work"
said=$(cargo run --quiet)
echo "$said"
[ "$said" = $'ctrl_c() anew each time: lost\none Signal for all of it: heard' ] || { echo "changed"; exit 1; }
