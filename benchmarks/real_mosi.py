"""CMU-MOSI for real: bert, cmsbert, cmsbert-clr and a warm-started bert (``make real``).

The research files (``segments.jsonl`` with text and labels, ``utterance_covarep.npz`` with the mean of the COVAREP
features of each segment) must be in the folder given by ``--data``. A validation part is carved out of the training
videos and chooses the checkpoint; the standard dev split is held out and measured once. ``warm`` starts from a bert
trained on human-rated review sentences. Runs are resumable: a run that is finished is not run again.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from modashift.data.dataset import Dataset, Feature, Strings
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train

SEEDS = (1111, 1112, 1113)


def mosi(folder: Path) -> Dataset:
    """Standard train and dev splits: text, and the acoustic means as one vector for each utterance."""
    rows = [json.loads(line) for line in (folder / "segments.jsonl").read_text(encoding="utf-8").splitlines()]
    with np.load(folder / "utterance_covarep.npz", allow_pickle=False) as file:
        means = dict(zip(file["ids"].tolist(), file["covarep_mean"]))
    acoustic = Feature.pack([means[r["id"]][None] for r in rows], 73)
    return Dataset(
        name="CMU-MOSI train+dev",
        ids=[r["id"] for r in rows],
        groups=[r["video_id"] for r in rows],
        splits=np.array([r["split"] for r in rows]),
        labels=np.array([r["label"] for r in rows], dtype=np.float64),
        texts=Strings.pack(r["text"] for r in rows),
        words=[r["text"].lower().split() for r in rows],
        features={"acoustic": Feature(acoustic.values, acoustic.offsets, "utterance")},
    )


def reviews_run(runs: Path) -> Path:
    """``bert`` trained on the rated review sentences: configs/bert-reviews.yaml."""
    folder = runs / "reviews"
    args = TrainArgs(epochs=2, lr=5e-5, lr_backbone=5e-5, average=0.0)
    train("bert", DataArgs("reviews"), folder, args, resume=True)
    return folder


def row(name: str, found: list[dict]) -> str:
    """One line of the table: mean and sample deviation over seeds on the held-out split."""
    cells = []
    for key, scale, digits in (
        ("mae", 1, 3),
        ("corr", 1, 3),
        ("acc2_has0", 100, 2),
        ("acc2_non0", 100, 2),
        ("acc7", 100, 2),
    ):
        values = [scale * r["splits"]["test"][key] for r in found]
        sd = statistics.stdev(values) if len(values) > 1 else float("nan")
        cells.append(f"{statistics.mean(values):.{digits}f} ± {sd:.{digits}f}")
    return f"| {name} | {len(found)} | {' | '.join(cells)} |"


def seconds(run: Path) -> float:
    """Median seconds of an epoch."""
    lines = (run / "timing.jsonl").read_text(encoding="utf-8").splitlines()
    return statistics.median(json.loads(line)["seconds"] for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mosi"))
    parser.add_argument("--runs", type=Path, default=Path("runs/real"))
    parser.add_argument("--models", nargs="+", default=["bert", "cmsbert", "cmsbert-clr", "warm"])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if not (options.data / "segments.jsonl").is_file():
        raise SystemExit(f"no segments.jsonl in {options.data}: give the folder of the CMU-MOSI files with --data")
    dataset = mosi(options.data)
    data = DataArgs(str(options.data), validation=0.15, dev_as_test=True, normalise="train")
    print("| model | seeds | MAE | Corr | Acc-2 has0 | Acc-2 non0 | Acc-7 |\n|---|---|---|---|---|---|---|", flush=True)
    times, floor = {}, float("nan")
    for name in options.models:
        recipe, model = {}, name
        if name == "warm":  # configs/bert-warm.yaml
            model = "bert"
            recipe = {"init": str(reviews_run(options.runs)), "epochs": 6, "lr": 5e-4, "lr_backbone": 5e-5}
        # configs/cmsbert-clr-small.yaml says why
        given = {"initial_weight": 0.01, "loss_momentum": 0.999} if name == "cmsbert-clr" else {}
        if name == "cmsbert":  # configs/cmsbert-small.yaml
            recipe = {"lr": 1e-4}
        found = []
        for seed in options.seeds:
            args = TrainArgs(seed=seed, threads=options.threads, **recipe)
            run = options.runs / f"{name}-{seed}"
            found.append(train(model, data, run, args, given, resume=True, dataset=dataset))
        times[name] = statistics.median(seconds(options.runs / f"{name}-{seed}") for seed in options.seeds)
        floor = found[0]["splits"]["test"]["floor"]["mae"]
        print(row("bert, warm-started" if name == "warm" else name, found), flush=True)
    print(f"\nheld-out MAE of the train mean: {floor:.3f}")
    print("seconds an epoch: " + ", ".join(f"{name} {value:.1f}" for name, value in times.items()))


if __name__ == "__main__":
    main()
