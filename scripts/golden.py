#!/usr/bin/env python3
"""Writes tests/data/sft/golden.safetensors: a tiny Qwen2 with its loss, logits and gradients.

The reference is independent of the trainer: the forward pass is written out here after transformers'
modeling_qwen2 in float64, and every gradient is a central difference of the loss, not a backward pass.
Needs numpy. Usage: python3 scripts/golden.py [OUT]
"""

import json
import struct
import sys

import numpy as np

CONFIG = {
    "vocab_size": 31, "hidden": 16, "layers": 2, "heads": 4, "kv_heads": 2, "ffn": 24, "context": 32,
    "rope_theta": 10000.0, "norm_eps": 1e-6, "tied": False,
}
STEP = 1e-5


def shapes():
    d, f, v = CONFIG["hidden"], CONFIG["ffn"], CONFIG["vocab_size"]
    kv = d // CONFIG["heads"] * CONFIG["kv_heads"]
    yield "token_embd.weight", (v, d)
    for layer in range(CONFIG["layers"]):
        for name, shape in [
            ("attn_norm.weight", (d,)), ("ffn_norm.weight", (d,)), ("attn_q.bias", (d,)), ("attn_k.bias", (kv,)),
            ("attn_v.bias", (kv,)), ("attn_q.weight", (d, d)), ("attn_k.weight", (kv, d)), ("attn_v.weight", (kv, d)),
            ("attn_output.weight", (d, d)), ("ffn_gate.weight", (f, d)), ("ffn_up.weight", (f, d)),
            ("ffn_down.weight", (d, f)),
        ]:
            yield f"blk.{layer}.{name}", shape
    yield "output_norm.weight", (d,)
    yield "output.weight", (v, d)


def rms_norm(x, gain):
    return gain * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + CONFIG["norm_eps"])


def rotate_half(x):
    half = x.shape[-1] // 2
    return np.concatenate([-x[..., half:], x[..., :half]], axis=-1)


def rotary(x):
    """x is [heads, tokens, size]."""
    size = x.shape[-1]
    frequency = 1.0 / CONFIG["rope_theta"] ** (np.arange(0, size, 2) / size)
    angle = np.outer(np.arange(x.shape[1]), frequency)
    angle = np.concatenate([angle, angle], axis=-1)
    return x * np.cos(angle) + rotate_half(x) * np.sin(angle)


def logits(p, ids):
    heads, kv_heads = CONFIG["heads"], CONFIG["kv_heads"]
    size = CONFIG["hidden"] // heads
    x = p["token_embd.weight"][ids]
    n = len(ids)
    mask = np.triu(np.full((n, n), -np.inf), 1)
    for layer in range(CONFIG["layers"]):
        w = lambda name: p[f"blk.{layer}.{name}"]
        h = rms_norm(x, w("attn_norm.weight"))
        split = lambda y, count: y.reshape(n, count, size).transpose(1, 0, 2)
        q = rotary(split(h @ w("attn_q.weight").T + w("attn_q.bias"), heads))
        k = rotary(split(h @ w("attn_k.weight").T + w("attn_k.bias"), kv_heads))
        v = split(h @ w("attn_v.weight").T + w("attn_v.bias"), kv_heads)
        k, v = (np.repeat(y, heads // kv_heads, axis=0) for y in (k, v))
        score = q @ k.transpose(0, 2, 1) / np.sqrt(size) + mask
        prob = np.exp(score - score.max(-1, keepdims=True))
        prob /= prob.sum(-1, keepdims=True)
        x = x + (prob @ v).transpose(1, 0, 2).reshape(n, -1) @ w("attn_output.weight").T
        h = rms_norm(x, w("ffn_norm.weight"))
        gate = h @ w("ffn_gate.weight").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w("ffn_up.weight").T)) @ w("ffn_down.weight").T
    return rms_norm(x, p["output_norm.weight"]) @ p["output.weight"].T


def loss(p, sequences):
    total, count = 0.0, 0
    for ids, learn in sequences:
        z = logits(p, ids)
        z = z - z.max(-1, keepdims=True)
        log_prob = z - np.log(np.exp(z).sum(-1, keepdims=True))
        for i in range(1, len(ids)):
            if learn[i]:
                total -= log_prob[i - 1, ids[i]]
                count += 1
    return total / count


def main():
    rng = np.random.default_rng(5)
    p = {}
    for name, shape in shapes():
        noise = rng.standard_normal(shape)
        p[name] = 1 + 0.3 * noise if "norm" in name else 0.35 * noise
        p[name] = p[name].astype(np.float32).astype(np.float64)
    sequences = [
        (rng.integers(0, CONFIG["vocab_size"], n), rng.random(n) < 0.7) for n in (13, 8)
    ]
    out = {name: value for name, value in p.items()}
    for name, value in p.items():
        grad = np.zeros_like(value)
        for i in np.ndindex(value.shape):
            kept = value[i]
            value[i] = kept + STEP
            above = loss(p, sequences)
            value[i] = kept - STEP
            below = loss(p, sequences)
            value[i] = kept
            grad[i] = (above - below) / (2 * STEP)
        out["grad." + name] = grad
        print(name, float(np.abs(grad).max()), file=sys.stderr)
    for index, (ids, _) in enumerate(sequences):
        out[f"logits.{index}"] = logits(p, ids)
    metadata = {
        "z1.model": json.dumps(CONFIG),
        "loss": repr(float(loss(p, sequences))),
        "sequences": json.dumps([{"ids": ids.tolist(), "learn": learn.tolist()} for ids, learn in sequences]),
    }
    write(sys.argv[1] if len(sys.argv) > 1 else "tests/data/sft/golden.safetensors", out, metadata)


def write(path, tensors, metadata):
    header, at = {"__metadata__": metadata}, 0
    for name, value in tensors.items():
        end = at + 4 * value.size
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(value.astype("<f4").tobytes())


if __name__ == "__main__":
    main()
