"""What the shift costs: training steps of each model against plain BERT on the same batches, side by side.

    python benchmarks/shift.py [--backbone minilm] [--pieces 20] [--batch 32] [--repeats 15] [--json FILE]

Steps are forward, loss, backward and AdamW, models in turn within every repeat, so that a machine whose speed drifts
treats all alike; the median of the ratios to plain BERT is quoted with its spread. ``cmsbert`` without its shift is
measured too: the difference to it is the share of a step that goes into the shift. Memory is the peak of a process of
its own for each model.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import torch

from modashift.backbones import load_backbone
from modashift.batch import Batch, Pieces, Seq
from modashift.models import get_model

SIZES = {"visual": 47, "acoustic": 74}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {}),
    "cmsbert, no layer shifted": ("cmsbert", {"layers": "none"}),
    "cmsbert-1": ("cmsbert-1", {}),
    "cmsbert": ("cmsbert", {}),
    "cmsbert-clr": ("cmsbert-clr", {}),
}


def random_batch(size: int, pieces: int, vocabulary: int) -> Batch:
    """Utterances of one length with random words and features."""
    word = torch.arange(pieces) - 1
    word[-1] = -1
    word = word.repeat(size, 1)
    real = word >= 0
    features = {m: Seq(torch.randn(size, pieces, d) * real.unsqueeze(-1), real) for m, d in SIZES.items()}
    ids = torch.randint(1000, vocabulary, (size, pieces))
    return Batch(Pieces(ids, torch.ones_like(real), word), torch.randn(size), torch.arange(size), features)


def build(case: str, config: dict[str, Any]) -> tuple[Any, torch.optim.Optimizer]:
    name, options = CASES[case]
    cls: Any = get_model(name)
    torch.manual_seed(0)
    model = cls(backbone=config, modality_sizes=SIZES, **options)
    return model, torch.optim.AdamW(model.param_groups(1e-5, 1e-5, 0.0))


def step(model: Any, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    optimizer.zero_grad(set_to_none=True)
    model.loss(model(batch), batch)["loss"].backward()
    optimizer.step()


def peak(case: str, config: dict[str, Any], batch: Batch) -> float:
    """Growth of resident memory over a few training steps, in MiB; run in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model, optimizer = build(case, config)
    for _ in range(3):
        step(model, optimizer, batch)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument("--pieces", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", default=None)
    parser.add_argument("--peak", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    config = load_backbone(options.backbone).config
    batch = random_batch(options.batch, options.pieces, config.get("vocab_size", 30522))
    if options.peak:
        print(peak(options.peak, config, batch))
        return
    # Before this process grows: the peak of a new process starts from the size of the one that made it.
    arguments = [sys.executable, __file__, "--backbone", options.backbone, "--pieces", str(options.pieces)]
    arguments += ["--batch", str(options.batch), "--peak"]
    memory = {
        case: float(subprocess.run([*arguments, case], capture_output=True, text=True, check=True).stdout)
        for case in CASES
    }
    built = {case: build(case, config) for case in CASES}
    times: dict[str, list[float]] = {case: [] for case in CASES}
    for repeat in range(options.repeats + 2):
        for case, (model, optimizer) in built.items():
            started = time.perf_counter()
            step(model, optimizer, batch)
            if repeat >= 2:  # the first two warm up
                times[case].append(time.perf_counter() - started)
    rows = []
    for case, seconds in times.items():
        ratios = sorted(a / b for a, b in zip(seconds, times["bert"]))
        rows.append(
            {
                "model": case,
                "ms": 1000 * statistics.median(seconds),
                "ratio": statistics.median(ratios),
                "from": ratios[len(ratios) // 4],
                "to": ratios[-len(ratios) // 4 - 1],
                "mib": memory[case],
            }
        )
    shares = [1 - a / b for a, b in zip(times["cmsbert, no layer shifted"], times["cmsbert"])]
    found = {
        "backbone": options.backbone,
        "pieces": options.pieces,
        "batch": options.batch,
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rows": rows,
        "share of a cmsbert step in the shift": statistics.median(shares),
    }
    print(f"{options.backbone}, batch {options.batch}, {options.pieces} pieces, {torch.get_num_threads()} threads")
    print("| model | ms a step | ratio to bert (middle half) | peak memory, MiB |\n|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['model']} | {row['ms']:.0f} | {row['ratio']:.2f} ({row['from']:.2f} to {row['to']:.2f}) "
            f"| {row['mib']:.0f} |"
        )
    print(f"share of a cmsbert training step spent in the shift: {100 * statistics.median(shares):.1f} %")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
