#!/usr/bin/env bash
# The paper's comparison at nano scale: three models from one base with the same number of training tokens, taught
# to think never (short), always (long), or as far as the problem needs (mixed). Then accuracy by execution against
# thinking tokens at several windows, on held-out problems, with exact tests, and a plot.
#
#   runs/curve.sh [FOLDER]
#
# The base is made here, from nothing, on all three styles equally often; BASE names another one instead (a GGUF of
# z1-sft in F32, F16 or Q8_0, with z1-nano's vocabulary). Also set by the environment: BASE_TOKENS, TOKENS an arm, SEEDS,
# COUNT of held-out problems, WINDOWS, JOBS (threads of the base's training, and arms trained at a time, one thread
# each), Z1 and Z1_SFT (the programs). Every step is skipped where its result is there; a training that was killed goes on
# from its newest checkpoint.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-target/curve}
z1=${Z1:-$root/target/release/z1}
sft=${Z1_SFT:-$root/target/release/z1-sft}
base=${BASE:+$(realpath "$BASE")}
base_tokens=${BASE_TOKENS:-8000000}
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
[ -f tokenizer.json ] || "$sft" tokenizer "$root/models/z1-nano.gguf" --out tokenizer.json

# Problems of one style: STYLE SEED COUNT FILE [FAMILIES].
problems() {
  [ -f "$4" ] || "$sft" gym --split train --style "$1" --seed "$2" --family "${5:-$families}" --revised 0 --count "$3" --out "$4"
}

if [ -n "$base" ]; then
  cp -f "$base" base.gguf
elif [ ! -f base.gguf ]; then
  for style in short mixed long; do
    # With the single steps that every style is made of.
    problems "$style" 40 "$((base_tokens / 240))" "base-$style.jsonl" "drill=18,$families"
  done
  "$sft" train "$root/runs/curve-base.toml" --out base --resume --threads "$jobs" --set "train.tokens=$base_tokens"
  "$sft" export base/final.safetensors --tokenizer tokenizer.json --type f32 --out base.gguf --name base
fi

# One arm: its problems, its training, its GGUF.
arm() {
  local arm=$1 style=${1%-*} seed=${1##*-}
  problems "$style" "$((40 + seed))" "$((tokens / 60))" "$arm.jsonl"
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
