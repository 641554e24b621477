#!/usr/bin/env bash
# A byte-level BPE vocabulary is known for writing down any text, since every byte is a token. One that is trained with tokenizers,
# model BPE and pre-tokenizer ByteLevel, has only the bytes that were in its training data. Others are left out when a text is
# encoded: no error, no unknown token, the text is shorter. `initial_alphabet=ByteLevel.alphabet()` has to be given to the trainer.
# Trained on a sample that lacks a letter, one finds out when a name has lost it. Seen with tokenizers 0.23.3, 2026-11-28:
#
#   as it comes:      "Zoe Müller, quality: 100 %" -> "oe ller, ality:  "
#   with an alphabet: "Zoe Müller, quality: 100 %" -> "Zoe Müller, quality: 100 %"
#
# Needs python3 and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check tokenizers==0.23.3
cat >probe.py <<'PY'
import json

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SAMPLE = ["the caller, a teller of tales, was really able to tell: only a year earlier"] * 20
TEXT = "Zoe Müller, quality: 100 %"
for name, alphabet in (("as it comes:", []), ("with an alphabet:", pre_tokenizers.ByteLevel.alphabet())):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SAMPLE, trainer)
    back = tokenizer.decode(tokenizer.encode(TEXT).ids)
    print(f"{name:<17} {json.dumps(TEXT, ensure_ascii=False)} -> {json.dumps(back, ensure_ascii=False)}")
PY
python/bin/pip list 2>/dev/null | grep '^tokenizers ' | tr -s ' '
said=$(PYTHONIOENCODING=utf-8 python/bin/python probe.py)
echo "$said"
wanted=$(cat <<'END'
as it comes:      "Zoe Müller, quality: 100 %" -> "oe ller, ality:  "
with an alphabet: "Zoe Müller, quality: 100 %" -> "Zoe Müller, quality: 100 %"
END
)
[ "$said" = "$wanted" ] || { echo "changed"; exit 1; }
