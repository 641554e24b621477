#!/usr/bin/env bash
# The paper's comparison at nano scale: three models from one base with the same number of training tokens, taught
# to think never (short), always (long), or as far as the problem needs (mixed). Then accuracy by execution against
# thinking tokens at several windows, on held-out problems, with exact tests, and a plot.
#
#   runs/curve.sh [FOLDER]
#
# Set by the environment: BASE (a GGUF of z1-sft in F32, F16 or Q8_0), TOKENS an arm, SEEDS, COUNT of held-out
# problems, WINDOWS, JOBS (trainings at a time, one thread each), Z1 and Z1_SFT (the programs). Every step is skipped
# where its result is there; a training that was killed goes on from its newest checkpoint.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-target/curve}
z1=${Z1:-$root/target/release/z1}
sft=${Z1_SFT:-$root/target/release/z1-sft}
base=$(realpath "${BASE:-$root/models/z1-nano.gguf}")
tokens=${TOKENS:-2000000}
seeds=${SEEDS:-1 2}
count=${COUNT:-500}
windows=${WINDOWS:-16,32,64,128,256,512}
jobs=${JOBS:-2}
# The families that one trace can carry; a file of a project has one way to be answered, whatever the style.
families=write=20,calc=22,plan=26,infer=22,fix=10
judged=write,calc,plan,infer,fix

if [ ! -x "$z1" ] || [ ! -x "$sft" ]; then
  (cd "$root" && cargo build --release)
fi
# One that fails takes the others with it.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
mkdir -p "$folder"
cd "$folder"
cp -f "$base" base.gguf
[ -f tokenizer.json ] || "$sft" tokenizer base.gguf --out tokenizer.json

# One arm: its problems, its training, its GGUF.
arm() {
  local arm=$1 style=${1%-*} seed=${1##*-}
  [ -f "$arm.jsonl" ] || "$sft" gym --split train --style "$style" --seed "$((40 + seed))" --family "$families" \
    --revised 0 --count "$((tokens / 60))" --out "$arm.jsonl"
  "$sft" train "$root/runs/curve.toml" --out "$arm" --resume --threads 1 --seed "$seed" \
    --set "data.train=['$arm.jsonl']" --set "train.tokens=$tokens"
  "$sft" export "$arm/final.safetensors" --tokenizer tokenizer.json --type q8_0 --out "$arm.gguf" --name "$arm"
}

models=()
running=0
for seed in $seeds; do
  for style in short long mixed; do
    models+=(--model "$style-$seed=$style-$seed.gguf")
    [ -f "$style-$seed.gguf" ] && continue
    if [ "$running" -ge "$jobs" ]; then
      wait -n
      running=$((running - 1))
    fi
    arm "$style-$seed" &
    running=$((running + 1))
  done
done
while [ "$running" -gt 0 ]; do
  wait -n
  running=$((running - 1))
done
"$z1" eval curve "${models[@]}" --family "$judged" --count "$count" --seed 7 --window "$windows" --out curve | tee curve.txt

# Beside it what the agent adds: eight candidates, the first that passes the examples counts; all tokens counted.
for seed in $seeds; do
  "$z1" eval gym --model "mixed-$seed.gguf" --family "$judged" --count "$count" --seed 7 --samples 8 --temperature 0.7
done | tee best-of-8.txt
