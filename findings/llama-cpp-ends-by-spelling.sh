#!/usr/bin/env bash
# Which tokens end a reply seems to be what a GGUF file says: its eos_token_id, and the tokens that its token_type array marks as
# control. llama.cpp goes by spelling as well: a token that is written `</s>`, `<end_of_turn>`, `<|eot_id|>` or like one of a
# dozen others is made a control token and an end of generation, although the file calls it an ordinary word (type 1) and names
# another end. Qwen2.5's vocabulary has such a word, `</s>`: a model that writes HTML's strike-through stops there, and the
# mark itself is not shown. `<|fim_prefix|>` becomes a control token in the same way. Who wants the file's word reads
# `tokenizer.ggml.token_type` and decides alone. Seen with llama.cpp 0.5.0 in node-llama-cpp 3.22.1, a file by gguf 0.19.0,
# Linux, 2026-11-28:
#
#   token            in the file    control  ends a reply
#   </p>             ordinary       no       no
#   </s>             ordinary       yes      yes
#   <end_of_turn>    ordinary       yes      yes
#   <|eot_id|>       ordinary       yes      yes
#   <|fim_prefix|>   user-defined   yes      no
#   <tool_call>      user-defined   no       no
#   <|im_start|>     control        yes      no
#   <|im_end|>       the end        yes      yes
#
# Needs python3, node, npm and a network, on Linux. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check gguf==0.19.0
echo '{"private": true}' >package.json
npm install --silent --no-fund --no-audit --ignore-scripts --omit=optional \
    node-llama-cpp@3.22.1 "@node-llama-cpp/linux-$(node -p process.arch)@3.22.1"

# A model of one layer with random weights: single bytes, and the words in question.
cat >write.py <<'PY'
import gguf
import numpy as np

printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
others = [byte for byte in range(256) if byte not in printable]
letter = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
words = {"</p>": 1, "</s>": 1, "<end_of_turn>": 1, "<|eot_id|>": 1}
words |= {"<|fim_prefix|>": 4, "<tool_call>": 4, "<|im_start|>": 3, "<|im_end|>": 3}
tokens = [letter[byte] for byte in range(256)] + list(words)
width = 64
model = gguf.GGUFWriter("model.gguf", "qwen2")
model.add_context_length(width)
model.add_embedding_length(width)
model.add_block_count(1)
model.add_feed_forward_length(width)
model.add_head_count(1)
model.add_head_count_kv(1)
model.add_layer_norm_rms_eps(1e-6)
model.add_tokenizer_model("gpt2")
model.add_tokenizer_pre("qwen2")
model.add_token_list(tokens)
model.add_token_types([1] * 256 + list(words.values()))
model.add_token_merges(["a b"])
model.add_eos_token_id(tokens.index("<|im_end|>"))
draw = np.random.default_rng(0)
shapes = {"token_embd.weight": (len(tokens), width), "output_norm.weight": (width,)}
shapes |= {f"blk.0.{name}_norm.weight": (width,) for name in ("attn", "ffn")}
shapes |= {f"blk.0.attn_{name}.bias": (width,) for name in "qkv"}
matrices = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
shapes |= {f"blk.0.{name}.weight": (width, width) for name in matrices}
for name, shape in shapes.items():
    model.add_tensor(name, draw.standard_normal(shape).astype(np.float32))
model.write_header_to_file()
model.write_kv_data_to_file()
model.write_tensors_to_file()
model.close()
PY
python/bin/python write.py

cat >read.mjs <<'JS'
import {getLlama, LlamaLogLevel} from "node-llama-cpp";
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.disabled});
console.error(`llama.cpp ${llama.llamaCppRelease.release}`);
const model = await llama.loadModel({modelPath: "model.gguf"});
const kinds = ["ordinary", "ordinary", "ordinary", "ordinary", "user-defined", "user-defined", "control", "the end"];
const row = (...cells) => console.log(cells.map((cell, i) => cell.padEnd([17, 15, 9, 0][i])).join(""));
row("token", "in the file", "control", "ends a reply");
for (const [i, kind] of kinds.entries()) {
    const word = model.detokenize([256 + i], true);
    const answer = (yes) => yes ? "yes" : "no";
    row(word, kind, answer(model.getTokenAttributes(256 + i).control), answer(model.isEogToken(256 + i)));
}
process.exit(0);
JS
said=$(node read.mjs)
echo "$said"
[ "$(awk 'NR > 1 { print $(NF - 1), $NF }' <<<"$said" | paste -sd,)" = "no no,yes yes,yes yes,yes yes,yes no,no no,yes no,yes yes" ] ||
    { echo "changed"; exit 1; }
