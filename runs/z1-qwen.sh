#!/usr/bin/env bash
# A Z1 from a Qwen2.5-Coder of one's own, on a CPU: an adapter trained on what the model itself said and what then passed, and the
# figures of the model with it and without it, on problems that were kept out.
#
#   runs/z1-qwen.sh MODEL.gguf MBPP.jsonl HUMANEVAL.jsonl [FOLDER] [sample|train|measure]...
#
# sample   asks MBPP's rows outside its test split (11 to 510); what says what HumanEval or the test split say is left out
# train    an adapter on the rows that passed
# measure  HumanEval and MBPP's test split: the words alone and windows of 0, 64 and 128 tokens, in the agent's words, model and
#          adapter beside one another
# Every step goes on where it was interrupted. Set by the environment: SAMPLES (4), WINDOW (96), HINTED (60) of `z1 sft sample`,
# SAMPLE_SECONDS (no limit), EPOCHS (2), LR (1e-4), SUITES ("humaneval mbpp"), WINDOWS (0,64,128), SLOTS (8), Z1 (the program).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
if [ $# -lt 3 ]; then
  sed -n '2,14p' "$0" >&2
  exit 2
fi
model=$(realpath "$1")
mbpp=$(realpath "$2")
humaneval=$(realpath "$3")
folder=${4:-target/z1-qwen}
shift $(($# < 4 ? $# : 4))
steps=${*:-sample train measure}
z1=${Z1:-$root/target/release/z1}
if [ ! -x "$z1" ]; then
  (cd "$root" && cargo build --release --bin z1)
fi
mkdir -p "$folder"
cd "$folder"

# MBPP's authors' split: 11 to 510 are for tests.
python3 - "$mbpp" <<'PY'
import gzip, json, sys
opened = gzip.open if sys.argv[1].endswith(".gz") else open
rows = [json.loads(line) for line in opened(sys.argv[1], "rt", encoding="utf-8") if line.strip()]
for name, of_tests in (("mbpp-train.jsonl", False), ("mbpp-test.jsonl", True)):
    with open(name, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows if (11 <= row["task_id"] <= 510) == of_tests)
PY

sample() {
  # An interrupt ends it well, and the next run goes on.
  ${SAMPLE_SECONDS:+timeout --signal INT "$SAMPLE_SECONDS"} "$z1" sft sample mbpp-train.jsonl --model "$model" \
    --decontaminate "$humaneval" mbpp-test.jsonl --samples "${SAMPLES:-4}" --window "${WINDOW:-96}" --answer-tokens 256 \
    --hinted-percent "${HINTED:-60}" --out own.jsonl || [ -n "${SAMPLE_SECONDS:-}" ]
}

train() {
  "$z1" sft train --model "$model" --data own.jsonl --out run --resume --epochs "${EPOCHS:-2}" --lr "${LR:-1e-4}" \
    --row-tokens 1024 --set train.batch_rows=2 --set train.lanes=2 --set train.checkpoint_minutes=5
  "$z1" sft export run --adapter --out adapter.gguf
}

measure() {
  for suite in ${SUITES:-humaneval mbpp}; do
    problems=$humaneval
    [ "$suite" = humaneval ] || problems=mbpp-test.jsonl
    for who in base adapter; do
      "$z1" eval suite "$problems" --model "$model" $([ "$who" = base ] || echo --lora adapter.gguf) --words z1 --chat \
        --window "${WINDOWS:-0,64,128}" --hint code --max-tokens 768 --slots "${SLOTS:-8}" --out "$suite-$who" --resume
    done
    for arm in chat $(printf 'window-%s ' $(tr ',' ' ' <<<"${WINDOWS:-0,64,128}")); do
      "$z1" eval compare "$suite-base" "$suite-adapter" --first-arm "$arm" --second-arm "$arm"
    done
  done
}

for step in $steps; do
  case $step in
    sample | train | measure) "$step" ;;
    *) echo "there is no step $step" >&2; exit 2 ;;
  esac
done
