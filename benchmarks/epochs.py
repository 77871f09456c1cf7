"""Seconds of a training epoch of every model on the same data, side by side.

    python benchmarks/epochs.py [--repeats 5] [--precision fp32] [--json FILE]

Word-level CMU-MOSI (229 segments with words, 47 Facet and 74 COVAREP columns at every word), batches of 32 of like
length, one thread, every model with its own default options. A step is what the training loop does: collate, forward,
the model's losses, backward, clipping and AdamW; the moving average of the weights is left out. Models take turns
within every repeat, so that a busy moment meets all alike, and processor time is counted, not the clock. The frozen
states that vector models read are computed once and kept, so they are timed apart.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from modashift.backbones import load_backbone
from modashift.data.open import open_dataset
from modashift.linguistic import WordVectors
from modashift.models import MODELS, get_model
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.batching import training_batches
from modashift.train.distributed import World
from modashift.train.loop import make_optimizer, whole_batch
from modashift.train.setup import Setup, prepare


class Case:
    """One model with its data and optimiser."""

    def __init__(self, name: str, dataset: Any, args: TrainArgs) -> None:
        everything = dataset.with_splits(np.where(np.arange(len(dataset)) % 20 == 0, "dev", "train"))
        self.setup: Setup = prepare(name, {}, DataArgs("memory"), args, everything)
        self.args = args
        self.model = self.setup.model
        self.optimizer = make_optimizer(self.model.param_groups(1e-5, 1e-5, 0.0), args)
        self.rows = self.setup.labelled("train")
        labels = torch.full((len(dataset),), torch.nan, dtype=torch.float64)
        labels[self.rows] = torch.from_numpy(dataset.labels[self.rows])
        self.model.start_training(labels)

    def epoch(self, number: int) -> float:
        """Processor seconds of a pass over the training rows."""
        self.model.train()
        world, started = World(), time.process_time()
        for rows in training_batches(self.rows, self.setup.encoded.lengths, self.args.batch_size, 0, number):
            self.optimizer.zero_grad(set_to_none=True)
            output, batch = whole_batch(self.setup, self.model, rows, self.args, world)
            self.model.loss(output, batch)["loss"].backward()
            self.model.after_backward(output, batch, number + 1)
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
        return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mosi/mag_format.pkl"))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    if not options.data.is_file():
        raise SystemExit(f"{options.data} is not there: give a word-level CMU-MOSI file with --data")
    torch.set_num_threads(1)
    dataset = open_dataset(str(options.data))
    args = TrainArgs(precision=options.precision)
    load_backbone(args.backbone)  # fetched before anything is timed
    started = time.process_time()
    WordVectors("encoder", args.backbone).add_to(dataset)
    states = time.process_time() - started
    cases = {name: Case(name, dataset, args) for name in options.models}
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(options.repeats + 1):
        for name, case in cases.items():
            time_taken = case.epoch(number)
            if number:  # the first pass warms up
                seconds[name].append(time_taken)
    reference = seconds.get("bert")
    print(
        f"{len(dataset)} utterances, {options.repeats} epochs each, {options.precision}; frozen states: {states:.1f} s"
    )
    print("\n| model | text | trained parameters | CPU s an epoch (middle half) | to `bert` |\n|---|---|---|---|---|")
    rows = []
    for name, times in seconds.items():
        low, middle, high = np.quantile(times, [0.25, 0.5, 0.75])
        ratio = statistics.median(a / b for a, b in zip(times, reference)) if reference else float("nan")
        count = sum(p.numel() for p in cases[name].model.parameters() if p.requires_grad)
        text = get_model(name).text
        print(f"| `{name}` | {text} | {count:,} | {middle:.2f} ({low:.2f} to {high:.2f}) | {ratio:.2f} |")
        rows.append({"model": name, "text": text, "parameters": count, "seconds": times, "ratio": ratio})
    if options.json:
        options.json.write_text(json.dumps({"precision": options.precision, "models": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
