#!/usr/bin/env bash
# A number that Rust prints with `{x}` is the shortest text that reads back as the same f64, `str::parse` reads it so, and so, one
# would think, does serde_json. As it comes it trades the last bit for speed: about one in eleven f64 of full length comes back
# as its neighbour. Scores, log-probabilities and expected values that pass through JSON are no longer equal to themselves. Its
# feature `float_roundtrip` reads them right (and, as cargo joins features, for every crate in the build). An integer beyond 64
# bits is no error in a `Value` but becomes an f64, in either case; that takes the feature `arbitrary_precision`. Seen with
# serde_json 1.0.154, rustc 1.95, 2026-11-28:
#
#   as it comes: 18271 of 200000 changed, the first 55.393536131272924 -> 55.39353613127293
#   as it comes: 21! = 51090942171709440000 -> 5.109094217170944e+19
#   float_roundtrip: 0 of 200000 changed
#   float_roundtrip: 21! = 51090942171709440000 -> 5.109094217170944e+19
#
# Needs cargo and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR="$work/target"
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[features]
exact = ["serde_json/float_roundtrip"]

[dependencies]
serde_json = "=1.0.154"
TOML
cat >"$work/src/main.rs" <<'RUST'
fn main() {
    let name = if cfg!(feature = "exact") { "float_roundtrip" } else { "as it comes" };
    let (mut state, mut changed, mut first) = (1_u64, 0, String::new());
    for _ in 0..200_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = (state >> 11) as f64 / (1_u64 << 53) as f64 * 100.0;
        let text = format!("{x}");
        assert_eq!(text.parse::<f64>().unwrap(), x, "the standard library is exact");
        let read: f64 = serde_json::from_str(&text).unwrap();
        if read != x {
            changed += 1;
            if first.is_empty() {
                first = format!(", the first {text} -> {read}");
            }
        }
    }
    println!("{name}: {changed} of 200000 changed{first}");
    let whole = "51090942171709440000";
    println!("{name}: 20! * 21 = {whole} -> {}", serde_json::from_str::<serde_json::Value>(whole).unwrap());
}
RUST
cd "$work"
said=$(cargo run --quiet && cargo run --quiet --features exact)
echo "serde_json 1.0.154, $(rustc --version)"
echo "$said"
grep -Eq '^as it comes: 1[0-9]{4} of 200000 changed' <<<"$said" || { echo "changed"; exit 1; }
grep -q '^float_roundtrip: 0 of 200000 changed$' <<<"$said" || { echo "changed"; exit 1; }
[ "$(grep -c -- '-> 5.109094217170944e+19$' <<<"$said")" = 2 ] || { echo "changed"; exit 1; }
