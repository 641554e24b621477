#!/usr/bin/env bash
# Makes z1-nano from nothing: problems, vocabulary, training in two stages, export. Run from the repository's root;
# every step is skipped where its result is there, and training goes on from its newest checkpoint.
#
#   runs/z1-nano.sh [FOLDER] [further arguments of `z1-sft train`]
#
# Set by the environment: ROWS and MORE (rows of the two stages), INIT (a GGUF to begin the second stage with, instead
# of the first stage), Z1_SFT (the program).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-target/z1-nano}
shift || true
sft=${Z1_SFT:-$root/target/release/z1-sft}
rows=${ROWS:-150000}
more=${MORE:-300000}
init=${INIT:+$(realpath "$INIT")}

if [ ! -x "$sft" ]; then
  (cd "$root" && cargo build --release --no-default-features --bin z1-sft)
fi
mkdir -p "$folder"
cd "$folder"

[ -f valid.jsonl ] || "$sft" gym --split valid --seed 2 --count 2000 --out valid.jsonl
[ -f test.jsonl ] || "$sft" gym --split test --seed 3 --count 1200 --out test.jsonl
if [ -n "$init" ]; then
  [ -f tokenizer.json ] || "$sft" tokenizer "$init" --out tokenizer.json
else
  [ -f train.jsonl ] || "$sft" gym --split train --seed 1 --count "$rows" --out train.jsonl
  [ -f tokenizer.json ] || "$sft" tokenizer train.jsonl --vocab 1024 --rows 30000 --out tokenizer.json
  "$sft" train "$root/runs/z1-nano.toml" --out train --resume "$@"
fi
[ -f more.jsonl ] || "$sft" gym --split train --seed 11 --count "$more" --out more.jsonl
"$sft" train "$root/runs/z1-nano-more.toml" --out more --resume ${init:+--set "train.init=$init"} "$@"
"$sft" export more/final.safetensors --tokenizer tokenizer.json --type q8_0 --out z1-nano.gguf --name z1-nano
