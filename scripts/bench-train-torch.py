#!/usr/bin/env python3
"""The same training steps as runs/bench.toml in PyTorch: transformers' Qwen2, AdamW, every token learnt. The peer of
scripts/bench-train, which calls it where TORCH names a Python with torch and transformers.

  bench-train-torch.py RECIPE DATA --steps N --threads N --precision f32|bf16
"""

import argparse
import json
import tomllib
from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)
    recipe = tomllib.loads(args.recipe.read_text())
    shape, batch_rows = recipe["model"], recipe["train"]["batch_rows"]
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
