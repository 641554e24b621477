#!/usr/bin/env bash
# Makes z1-nano from nothing: problems, vocabulary, training. Run from the repository's root; every step is
# skipped where its result is there, and training goes on from its newest checkpoint.
#
#   runs/z1-nano.sh [FOLDER] [further arguments of `z1-sft train`]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-target/z1-nano}
shift || true
sft=${Z1_SFT:-$root/target/release/z1-sft}
rows=${ROWS:-150000}

if [ ! -x "$sft" ]; then
  (cd "$root" && cargo build --release --no-default-features --bin z1-sft)
fi
mkdir -p "$folder"
cd "$folder"

[ -f train.jsonl ] || "$sft" gym --split train --seed 1 --count "$rows" --out train.jsonl
[ -f valid.jsonl ] || "$sft" gym --split valid --seed 2 --count 2000 --out valid.jsonl
[ -f test.jsonl ] || "$sft" gym --split test --seed 3 --count 1200 --out test.jsonl
[ -f tokenizer.json ] || "$sft" tokenizer train.jsonl --vocab 1024 --rows 30000 --out tokenizer.json
"$sft" train "$root/runs/z1-nano.toml" --out train --resume "$@"
