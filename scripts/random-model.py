#!/usr/bin/env python3
"""Writes a Hugging Face folder of a Qwen2 model with random weights and a byte-level BPE vocabulary that means
nothing, of any size: for measuring import, quantisation and memory without a download. Standard library only.

  scripts/random-model.py OUT [--shape nano|0.5b|1.5b|3b|7b] [--layers N] [--vocab N] [--untied] [--dtype BF16|F16|F32] [--tokenizer FILE]
"""

import argparse
import json
import random
import struct
from pathlib import Path

# layers, width, heads, heads for keys, feed-forward, rows of the embedding, tied
SHAPES = {
    "nano": (6, 256, 4, 2, 768, 4096, True),
    "0.5b": (24, 896, 14, 2, 4864, 151936, True),
    "1.5b": (28, 1536, 12, 2, 8960, 151936, True),
    "3b": (36, 2048, 16, 2, 11008, 151936, True),
    "7b": (28, 3584, 28, 4, 18944, 152064, False),
}
SHARD_BYTES = 2 << 30
BLOCK_VALUES = 1 << 19
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_characters():
    """GPT-2's table: printable bytes stand for themselves, the others for characters from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(hidden)) for byte in range(256)]


def vocabulary(rows):
    """Bytes, then merges of pairs that exist, then the special tokens; 256 rows stay empty where there is room."""
    tokens, merges = byte_characters(), []
    count = max(300, rows - 256) - len(SPECIAL)
    known = set(tokens)
    left = 0
    while len(tokens) < count:
        for right in range(256):
            token = tokens[left] + tokens[right]
            if token not in known and len(tokens) < count:
                known.add(token)
                merges.append(f"{tokens[left]} {tokens[right]}")
                tokens.append(token)
        left += 1
    return tokens, merges


def tensors(layers, width, heads, kv_heads, ff, rows, tied):
    kv = width // heads * kv_heads
    yield "model.embed_tokens.weight", (rows, width)
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        for name, shape in [
            ("input_layernorm.weight", (width,)), ("mlp.down_proj.weight", (width, ff)),
            ("mlp.gate_proj.weight", (ff, width)), ("mlp.up_proj.weight", (ff, width)),
            ("post_attention_layernorm.weight", (width,)), ("self_attn.k_proj.bias", (kv,)),
            ("self_attn.k_proj.weight", (kv, width)), ("self_attn.o_proj.weight", (width, width)),
            ("self_attn.q_proj.bias", (width,)), ("self_attn.q_proj.weight", (width, width)),
            ("self_attn.v_proj.bias", (kv,)), ("self_attn.v_proj.weight", (kv, width)),
        ]:
            yield prefix + name, shape
    yield "model.norm.weight", (width,)
    if not tied:
        yield "lm_head.weight", (rows, width)


# bytes of a value, and how one is written
DTYPES = {
    "BF16": (2, lambda value: struct.pack("<f", value)[2:]),
    "F16": (2, lambda value: struct.pack("<e", value)),
    "F32": (4, lambda value: struct.pack("<f", value)),
}


def block(dtype):
    """Half a million numbers of about 0.02, used again and again: random enough for every measurement."""
    draw = random.Random(1)
    values = (draw.gauss(0.0, 0.02) for _ in range(BLOCK_VALUES))
    return b"".join(map(DTYPES[dtype][1], values))


def write_shard(path, entries, dtype, filler):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, size in entries:
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, _, size in entries:
            for _ in range(size // len(filler)):
                out.write(filler)
            out.write(filler[: size % len(filler)])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="nano")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--vocab", type=int)
    parser.add_argument("--untied", action="store_true")
    parser.add_argument("--dtype", choices=DTYPES, default="BF16")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json of Qwen2's, instead of one made up")
    args = parser.parse_args()
    layers, width, heads, kv_heads, ff, rows, tied = SHAPES[args.shape]
    layers, rows, tied = args.layers or layers, args.vocab or rows, tied and not args.untied
    given = json.loads(args.tokenizer.read_text()) if args.tokenizer else None
    if given:
        highest = max([*given["model"]["vocab"].values(), *(token["id"] for token in given["added_tokens"])])
        rows = args.vocab or (highest + 128) // 128 * 128
    args.out.mkdir(parents=True)
    shards, size = [[]], 0
    for name, shape in tensors(layers, width, heads, kv_heads, ff, rows, tied):
        bytes_ = DTYPES[args.dtype][0] * shape[0] * (shape[1] if len(shape) > 1 else 1)
        if size + bytes_ > SHARD_BYTES and shards[-1]:
            shards.append([])
            size = 0
        shards[-1].append((name, shape, bytes_))
        size += bytes_
    filler, index = block(args.dtype), {}
    for number, entries in enumerate(shards, 1):
        name = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_shard(args.out / name, entries, args.dtype, filler)
        index.update({entry[0]: name for entry in entries})
    if len(shards) > 1:
        (args.out / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    tokens, merges = ([], []) if given else vocabulary(rows)
    ids = {token: len(tokens) + at for at, token in enumerate(SPECIAL)}
    if given:
        ids = {token["content"]: token["id"] for token in given["added_tokens"]}
    config = {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": width, "hidden_act": "silu",
        "intermediate_size": ff, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "vocab_size": rows, "max_position_embeddings": 32768,
        "rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": tied, "use_sliding_window": False,
        "torch_dtype": {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}[args.dtype], "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"],
    }
    (args.out / "config.json").write_text(json.dumps(config))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = given["added_tokens"] if given else [{"id": ids[token], "content": token, **flags} for token in SPECIAL]
    split = {"type": "Split", "behavior": "Isolated", "invert": False, "pattern": {"Regex": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")}}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]}, "post_processor": level,
        "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                  "vocab": {token: at for at, token in enumerate(tokens)}, "merges": merges},
    }
    (args.out / "tokenizer.json").write_text(json.dumps(given or tokenizer, ensure_ascii=False))
    settings = {
        "tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "eos_token": "<|im_end|>", "unk_token": None,
        "pad_token": "<|endoftext|>", "add_bos_token": False, "add_prefix_space": False,
        "added_tokens_decoder": {str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in added},
        "chat_template": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
                         " + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}"
                         "{{ '<|im_start|>assistant\\n' }}{% endif %}",
    }
    (args.out / "tokenizer_config.json").write_text(json.dumps(settings))
    (args.out / "generation_config.json").write_text(json.dumps({"eos_token_id": [ids["<|im_end|>"]]}))


if __name__ == "__main__":
    main()
