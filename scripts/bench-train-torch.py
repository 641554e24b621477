#!/usr/bin/env python3
"""The same training steps as runs/bench.toml in PyTorch: transformers' Qwen2, AdamW, every token learnt. The peer of
scripts/bench-train, which calls it where TORCH names a Python with torch and transformers.

  bench-train-torch.py RECIPE DATA --steps N --threads N --precision f32|bf16
  bench-train-torch.py RECIPE DATA --roofline --precision f32|bf16

The second prints two numbers: what one training token costs, in MFLOP, and how many MFLOP of a large square matrix
product PyTorch's library does in a CPU second.
"""

import argparse
import json
import time
import tomllib
from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

# Side of the square product: its three f32 matrices are larger than any second-level cache.
SIDE = 1536


def flop_a_token(shape, row_tokens):
    """Forward and backward: three times two for each weight that is multiplied with, and for causal attention."""
    hidden, heads = shape["hidden"], shape["heads"]
    kv = hidden // heads * shape["kv_heads"]
    layer = 2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * shape["ffn"]
    attention = 2 * hidden * row_tokens / 2
    return 6 * (shape["layers"] * (layer + attention) + shape["vocab_size"] * hidden)


def roofline(precision):
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
    rates = []
    for _ in range(12):
        began = time.process_time()
        torch.mm(left, right)
        rates.append(2 * SIDE**3 / (time.process_time() - began))
    return max(rates)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--roofline", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)
    recipe = tomllib.loads(args.recipe.read_text())
    shape, batch_rows = recipe["model"], recipe["train"]["batch_rows"]
    if args.roofline:
        print(f"{flop_a_token(shape, recipe['data']['row_tokens']) / 1e6:.1f} {roofline(args.precision) / 1e6:.0f}")
        return
    model = Qwen2ForCausalLM(Qwen2Config(
        vocab_size=shape["vocab_size"], hidden_size=shape["hidden"], num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"], num_key_value_heads=shape["kv_heads"], intermediate_size=shape["ffn"],
        max_position_embeddings=shape["context"], tie_word_embeddings=shape.get("tied", True), use_cache=False,
        attn_implementation="sdpa"))
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    rows = [json.loads(line)["ids"] for line in args.data.read_text().splitlines()]
    ids = torch.tensor(rows)
    # Weights and moments stay f32, products are bf16: what the trainer does too.
    mixed = torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.precision == "bf16")
    for step in range(args.steps):
        at = step * batch_rows % len(ids)
        batch = ids[at : at + batch_rows]
        with mixed:
            loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    print(f"{loss.item():.4f}")


if __name__ == "__main__":
    main()
