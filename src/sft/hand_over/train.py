#!/usr/bin/env python3
"""Trains the run that z1-sft handed over in this folder (README.md says what is in it), with transformers' Trainer:

  torchrun --standalone --nproc-per-node 8 train.py        weights sharded over 8 GPUs (FSDP)
  python train.py                                          one device

Each step takes the rows that z1-sft would have taken for it, however many devices there are.
"""

import argparse
import json
import math
import os
import shutil
import sys
from bisect import bisect_right
from pathlib import Path

import pyarrow.parquet as parquet
import torch
from safetensors import safe_open
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoConfig, AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM, Trainer, TrainerCallback
from transformers import TrainingArguments, set_seed

HERE = Path(__file__).resolve().parent
COLUMNS = ("input_ids", "labels", "position_ids")
# What a device is given where a step has no row for it: nothing learnt, so it adds nothing.
EMPTY = {"input_ids": [0, 0], "labels": [-100, -100], "position_ids": [0, 1]}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
                   "chat_template.jinja", "generation_config.json")
# What `run.json` calls a size, and what transformers calls it.
SHAPE = {"vocab_size": "vocab_size", "hidden": "hidden_size", "layers": "num_hidden_layers", "ffn": "intermediate_size",
         "heads": "num_attention_heads", "kv_heads": "num_key_value_heads"}


def tensors(row):
    return {name: torch.tensor(row[name], dtype=torch.long) for name in COLUMNS}


class Rows(torch.utils.data.Dataset):
    """The rows of some shards, in their order; one group of them is held in memory."""

    def __init__(self, shards):
        self.groups, self.starts, count = [], [], 0
        for shard in shards:
            about = parquet.ParquetFile(HERE / shard["file"]).metadata
            if about.num_rows != shard["rows"]:
                sys.exit(f"{shard['file']} has {about.num_rows} rows, not {shard['rows']}: is it whole?")
            for number in range(about.num_row_groups):
                self.groups.append((HERE / shard["file"], number))
                self.starts.append(count)
                count += about.row_group(number).num_rows
        self.count, self.held, self.columns = count, None, None

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        group = bisect_right(self.starts, index) - 1
        if group != self.held:
            file, number = self.groups[group]
            table = parquet.ParquetFile(file).read_row_group(number, columns=list(COLUMNS))
            self.columns = {name: table[name].combine_chunks() for name in COLUMNS}
            self.held = group
        at = index - self.starts[group]
        return tensors({name: self.columns[name][at].values.to_numpy() for name in COLUMNS})


class Slots(torch.utils.data.Dataset):
    """Rows as the devices take them: one each at a time, and at a step's end none where there is no more."""

    def __init__(self, rows, rows_per_step, steps, devices):
        self.rows, self.rows_per_step, self.steps = rows, rows_per_step, steps
        self.moments = math.ceil(rows_per_step / devices)
        self.slots = self.moments * devices

    def __len__(self):
        return self.steps * self.slots

    def __getitem__(self, index):
        step, slot = divmod(index, self.slots)
        return self.rows[step * self.rows_per_step + slot] if slot < self.rows_per_step else tensors(EMPTY)


def collate(rows):
    (row,) = rows
    return {name: values[None] for name, values in row.items()}


def rate_factor(schedule, steps):
    """The rate of a step, counted from 0, as a share of the peak: z1-sft's own course."""
    warmup, decay, floor = schedule["warmup_steps"], schedule["decay"], schedule["floor"]
    begin = max(schedule["decay_from"] * steps, warmup)

    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        done = min(max((step + 1 - begin) / max(steps - begin, 1.0), 0.0), 1.0)
        left = {"constant": 1.0, "linear": 1.0 - done, "cosine": 0.5 * (1.0 + math.cos(math.pi * done))}[decay]
        return floor + (1.0 - floor) * left

    return factor


class HandedOver(Trainer):
    """The Trainer with z1-sft's rates, held-out loss and metrics."""

    factor = held_out = metrics = None
    # The newest evaluation: its step and what it found.
    evaluated = (None, None)

    def create_scheduler(self, num_training_steps, optimizer=None):
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, self.factor)
        return self.lr_scheduler

    def evaluate(self, *_args, **_kwargs):
        """The mean loss of all learnt tokens, not of rows."""
        step, found = self.evaluated
        if step == self.state.global_step:
            return found
        devices, rank = self.args.world_size, self.args.process_index
        total = torch.zeros(2, dtype=torch.float64 if self.args.device.type != "mps" else torch.float32,
                            device=self.args.device)
        self.model_wrapped.eval()
        for first in range(0, len(self.held_out), devices):
            index = first + rank
            row = self.held_out[index] if index < len(self.held_out) else tensors(EMPTY)
            inputs = self._prepare_inputs(collate([row]))
            with torch.no_grad(), self.compute_loss_context_manager():
                total[0] += self.model_wrapped(**inputs, num_items_in_batch=1).loss
            total[1] += (inputs["labels"] != -100).sum()
        self.model_wrapped.train()
        total = self.accelerator.reduce(total, "sum")
        loss = {"eval_loss": (total[0] / total[1]).item()}
        self.log(loss)
        self.evaluated = (self.state.global_step, loss)
        return loss

    def log(self, logs, *args, **kwargs):
        super().log(logs, *args, **kwargs)
        names = {"loss": "loss", "learning_rate": "lr", "grad_norm": "gradient_norm", "eval_loss": "held_out_loss"}
        record = {ours: logs[theirs] for theirs, ours in names.items() if theirs in logs}
        if record and self.is_world_process_zero():
            with open(self.metrics, "a") as file:
                file.write(json.dumps({"step": self.state.global_step} | record) + "\n")


class StopAfter(TrainerCallback):
    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, args, state, control, **_):
        if state.global_step >= self.steps:
            control.should_training_stop = control.should_save = True


def check_packing(attention, device, dtype):
    """Attention across two sequences of a row would be learnt from silently: a small model shows that there is none."""
    torch.manual_seed(0)
    small = Qwen2Config(vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                        num_key_value_heads=1, initializer_range=0.5)
    model = Qwen2ForCausalLM._from_config(small, attn_implementation=attention, dtype=dtype).to(device).train()
    row = torch.randint(64, (1, 24), device=device)
    places = torch.cat([torch.arange(10), torch.arange(14)])[None].to(device)
    with torch.no_grad():
        packed = model(input_ids=row, position_ids=places, use_cache=False).logits[:, 10:].float()
        alone = model(input_ids=row[:, 10:], position_ids=places[:, 10:], use_cache=False).logits.float()
    gap = ((packed - alone).norm() / alone.norm()).item()
    if not gap < (1e-4 if dtype == torch.float32 else 0.05):
        sys.exit(f"attention `{attention}` looks across the sequences of a row here (difference {gap:.2g}): "
                 "give another --attention, or the versions in requirements.txt")


def check_shape(config, shape, path):
    for ours, theirs in SHAPE.items():
        if getattr(config, theirs) != shape[ours]:
            sys.exit(f"{path} is not the model that the run was made for: "
                     f"its {theirs} is {getattr(config, theirs)}, not {shape[ours]}")


def load_model(run, path, attention):
    config = AutoConfig.from_pretrained(path)
    check_shape(config, run["model"]["shape"], path)
    config.use_cache = False
    model = AutoModelForCausalLM.from_pretrained(path, config=config, dtype=torch.float32, attn_implementation=attention)
    if run["lora"]:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, HERE / "adapter", is_trainable=True)
    return model


def copy_tokenizer(base, to):
    for name in TOKENIZER_FILES:
        if (Path(base) / name).is_file():
            shutil.copy(Path(base) / name, to / name)


def check_saved(run, path, folder):
    if not run["lora"]:
        return copy_tokenizer(path, folder)
    count = [len(safe_open(where / "adapter_model.safetensors", "pt").keys()) for where in (HERE / "adapter", folder)]
    if count[0] != count[1]:
        sys.exit(f"the adapter in {folder} has {count[1]} tensors, not {count[0]}: it was not saved whole; "
                 "the last checkpoint's pytorch_model_fsdp.bin has the weights")
    return None


def merge(run, path, out):
    """An adapter's final values added into its base."""
    from peft import PeftModel

    if not run["lora"] or not (out / "final").exists():
        sys.exit(f"{out / 'final'} is no adapter that could be merged")
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    PeftModel.from_pretrained(model, out / "final").merge_and_unload().save_pretrained(out / "merged")
    copy_tokenizer(path, out / "merged")
    print(f"wrote {out / 'merged'}")


def arguments(run, args, devices, moments):
    on_gpu = torch.cuda.is_available() and not args.cpu
    sharded = devices > 1 and args.sharding == "fsdp"
    optimiser, recompute = run["optimiser"], run["recompute"] and not args.keep_activations
    # FSDP's own way of recomputing renames layers, and PEFT, which goes by names, would then save an adapter of nothing.
    by_fsdp = sharded and not run["lora"]
    settings = TrainingArguments(
        output_dir=str(args.out),
        use_cpu=not on_gpu,
        seed=run["seed"],
        bf16=args.precision == "bf16" or (args.precision == "auto" and on_gpu),
        max_steps=run["steps"],
        per_device_train_batch_size=1,
        gradient_accumulation_steps=moments,
        # Labels are counted over all devices and moments of a step.
        average_tokens_across_devices=True,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        optim="adamw_torch",
        learning_rate=optimiser["lr"],
        adam_beta1=optimiser["beta1"],
        adam_beta2=optimiser["beta2"],
        adam_epsilon=optimiser["eps"],
        weight_decay=optimiser["weight_decay"],
        max_grad_norm=optimiser["clip"],
        activation_checkpointing=recompute and not by_fsdp,
        activation_checkpointing_kwargs={"use_reentrant": False},
        fsdp=True if sharded else None,
        fsdp_config={
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "transformer_layer_cls_to_wrap": ["Qwen2DecoderLayer"],
            "activation_checkpointing": recompute and by_fsdp,
        } if sharded else None,
        logging_steps=1,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        report_to="none",
        save_strategy="steps",
        save_steps=run["checkpoint_steps"],
        save_total_limit=run["keep_checkpoints"],
        eval_strategy="steps" if run["eval_steps"] else "no",
        eval_steps=run["eval_steps"] or None,
    )
    if sharded and settings.bf16:
        # Left to itself, gradients would be added up among the devices in bf16, and the loss rounded to it.
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        settings.fsdp_plugin_args["mixed_precision_policy"] = policy
    return settings


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the base, where it is not where run.json says")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="checkpoints, metrics and the final model")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in the folder")
    parser.add_argument("--stop-after", type=int, metavar="STEPS", help="end early, with a checkpoint")
    parser.add_argument("--check", action="store_true", help="look at data, base and attention, and train nothing")
    parser.add_argument("--merge", action="store_true", help="write out/merged: the final adapter added into its base")
    parser.add_argument("--attention", help="flash_attention_2, sdpa or eager (default: sdpa)", default="sdpa")
    parser.add_argument("--precision", choices=("auto", "bf16", "f32"), default="auto", help="auto: bf16 on a GPU")
    parser.add_argument("--sharding", choices=("fsdp", "none"), default="fsdp", help="of several devices")
    parser.add_argument("--keep-activations", action="store_true", help="faster, much more memory")
    parser.add_argument("--cpu", action="store_true", help="no GPU, even where there is one")
    return parser.parse_args()


def main():
    args = options()
    run = json.loads((HERE / "run.json").read_text())
    if run["format"] != "z1 hand-over 1":
        sys.exit(f"run.json is `{run['format']}`, which this script does not know")
    path = args.model or run["model"]["path"]
    path = str(HERE / path) if (HERE / path).exists() else path
    if args.merge:
        return merge(run, path, args.out)
    if args.out.exists() and any(args.out.iterdir()) and not args.resume and not args.check:
        sys.exit(f"{args.out} already holds a run: add --resume, or give another --out")
    rows, held_out = Rows(run["data"]["train"]), Rows(run["data"]["held_out"])
    if len(rows) != run["steps"] * run["data"]["rows_per_step"]:
        sys.exit(f"{run['steps']} steps of {run['data']['rows_per_step']} rows are not the {len(rows)} rows in data/")
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    slots = Slots(rows, run["data"]["rows_per_step"], run["steps"], devices)
    settings = arguments(run, args, devices, slots.moments)
    check_packing(args.attention, settings.device, torch.bfloat16 if settings.bf16 else torch.float32)
    set_seed(run["seed"])
    if args.check:
        check_shape(AutoConfig.from_pretrained(path), run["model"]["shape"], path)
        longest = max(len(rows[index]["input_ids"]) for index in range(0, len(rows), max(len(rows) // 100, 1)))
        print(f"{len(rows)} rows, {len(held_out)} held out, the longest of a hundred has {longest} tokens; base {path}: "
              "all well")
        return None
    trainer = HandedOver(model=load_model(run, path, args.attention), args=settings, train_dataset=slots,
                         data_collator=collate, eval_dataset=held_out if run["eval_steps"] else None)
    trainer.factor, trainer.held_out = rate_factor(run["schedule"], run["steps"]), held_out
    args.out.mkdir(parents=True, exist_ok=True)
    trainer.metrics = args.out / "metrics.jsonl"
    if args.stop_after:
        trainer.add_callback(StopAfter(args.stop_after))
    if trainer.is_world_process_zero():
        print(f"{trainer.accelerator.num_processes} device(s), {trainer.accelerator.distributed_type.value}, "
              f"{slots.moments} row(s) each a step, {'bf16' if settings.bf16 else 'f32'}", flush=True)
    trainer.train(resume_from_checkpoint=args.resume or None)
    if trainer.state.global_step >= run["steps"]:
        trainer.save_model(str(args.out / "final"))
        if trainer.is_world_process_zero():
            check_saved(run, path, args.out / "final")
    return None


if __name__ == "__main__":
    main()
