"""Every model on word-level CMU-MOSI, leaving out one video at a time (``make real-words``).

The ten dev videos (229 segments with words, 47 Facet and 74 COVAREP columns at every word) are each held out once; a
validation part of whole videos is carved out of the other nine and chooses the checkpoint. The predictions for the ten
held-out videos are pooled and scored together, once for each seed. Runs are resumable, one by one: give the same
command again after an interruption. So little data says whether a model works, not which one is best.
"""

import argparse
import csv
import json
import os
import statistics
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

SEEDS = (1111, 1112, 1113)
PIECES = {"epochs": 5, "batch_size": 16, "lr": 5e-4, "lr_backbone": 2e-4}
VECTORS = {"epochs": 15, "batch_size": 16, "lr": 1e-3}
HIDDEN = {"modality_dropout": 0.5}
RECIPES: dict[str, tuple[dict, dict]] = {  # how to train, options of the model, as in real_mosi.py
    "cmsbert-1": ({"lr": 1e-4}, {}),
    "cmsbert": ({"lr": 1e-4}, {}),
    "cmsbert-clr": ({"lr": 1e-4, **HIDDEN}, {"initial_weight": 0.01, "loss_momentum": 0.999}),
    "mag-bert": ({"lr": 1e-4}, {"beta": 0.1, "gate_dropout": 0.1}),
    **dict.fromkeys(("misa", "self-mm", "tfn", "mfn", "raven", "mfm", "mult"), (HIDDEN, {})),
}


def one(model: str, video: str, seed: int, data: str, runs: str, precision: str = "fp32") -> dict:
    """One run; its weights are deleted when it is finished."""
    from modashift.models import get_model
    from modashift.train.args import DataArgs, TrainArgs
    from modashift.train.command import train

    run = Path(runs) / model / f"{video}-{seed}"
    recipe, options = RECIPES.get(model, ({}, {}))
    base = VECTORS if get_model(model).text == "vectors" else PIECES
    args = TrainArgs(
        **{**base, **recipe, "seed": seed, "threads": 1, "tensorboard": False, "save_every": 0, "precision": precision}
    )
    split = DataArgs(data, leave_out=video, validation=0.15)
    results = train(model, split, run, args, options, resume=True, silent=True)
    for name in ("model.safetensors", "tokenizer.json", "word_vectors.npz"):
        (run / name).unlink(missing_ok=True)
    seconds = [json.loads(line)["seconds"] for line in (run / "timing.jsonl").read_text().splitlines()]
    return {"model": model, "seconds": statistics.median(seconds), "floor": results["splits"]["test"]["floor"]["mae"]}


def pooled(model: str, videos: list[str], seed: int, runs: Path) -> dict[str, float]:
    """Metrics over the held-out predictions of all videos."""
    from modashift.evaluate.metrics import regression_metrics

    gold, found = [], []
    for video in videos:
        with (runs / model / f"{video}-{seed}" / "predictions.csv").open(encoding="utf-8", newline="") as file:
            rows = [r for r in csv.DictReader(file) if r["split"] == "test"]
        gold += [float(r["gold"]) for r in rows]
        found += [float(r["prediction"]) for r in rows]
    return regression_metrics(gold, found)


def floor(videos: list[str], groups: list[str], labels: np.ndarray) -> float:
    """Error of predicting the mean of the other nine videos, over all segments."""
    own = np.asarray(groups)
    return float(np.mean(np.concatenate([np.abs(labels[own == v] - labels[own != v].mean()) for v in videos])))


def main() -> None:
    from modashift.data.open import open_dataset
    from modashift.models import MODELS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mosi/mag_format.pkl"))
    parser.add_argument("--runs", type=Path, default=Path("runs/words"))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--precision", default="fp32", help="bf16 is twice as fast where the processor has it")
    options = parser.parse_args()
    if not options.data.is_file():
        raise SystemExit(f"{options.data} is not there: give a word-level CMU-MOSI file with --data")
    dataset = open_dataset(str(options.data))
    groups = list(dataset.groups)
    videos = sorted(set(groups))
    jobs = [(m, v, s) for m in options.models for s in options.seeds for v in videos]
    seconds: dict[str, list[float]] = {}
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        waiting = [pool.submit(one, *job, str(options.data), str(options.runs), options.precision) for job in jobs]
        for count, job in enumerate(as_completed(waiting), 1):
            seconds.setdefault(job.result()["model"], []).append(job.result()["seconds"])
            print(f"\r{count} of {len(jobs)} runs", end="", flush=True)
    print(f"\n\n{len(videos)} videos, {len(dataset)} segments; held-out MAE of the others' mean: "
          f"{floor(videos, groups, dataset.labels):.3f}\n")  # fmt: skip
    print("| model | MAE | Corr | Acc-2 has0 | Acc-7 | s an epoch |\n|---|---|---|---|---|---|")
    for model in options.models:
        found = [pooled(model, videos, seed, options.runs) for seed in options.seeds]
        cells = []
        for key, scale, digits in (("mae", 1, 3), ("corr", 1, 3), ("acc2_has0", 100, 1), ("acc7", 100, 1)):
            values = [scale * f[key] for f in found]
            sd = statistics.stdev(values) if len(values) > 1 else float("nan")
            cells.append(f"{statistics.mean(values):.{digits}f} ± {sd:.{digits}f}")
        print(f"| `{model}` | {' | '.join(cells)} | {statistics.median(seconds[model]):.2f} |")


if __name__ == "__main__":
    main()
