"""CMU-MOSI for real: bert, the shifted models, a warm-started bert and the baselines (``make real``).

The research files (``segments.jsonl`` with text and labels, ``utterance_covarep.npz`` with the mean of the COVAREP
features of each segment) must be in the folder given by ``--data``. A validation part is carved out of the training
videos and chooses the checkpoint; the standard dev split is held out and measured once. ``warm`` starts from a bert
trained on human-rated review sentences; models that read words as vectors get the frozen states of the same encoder.
Runs are resumable: a run that is finished is not run again. ``--models`` takes any of them.
"""

import argparse
import json
import os
import statistics
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from modashift.data.dataset import Dataset, Feature, Strings
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train

SEEDS = (1111, 1112, 1113)
PROPER = ("bert", "cmsbert", "cmsbert-clr", "warm")
BASELINES = ("mag-bert", "misa", "self-mm", "tfn", "mfn", "raven", "mfm", "mult")
# How each is trained where it is not the quick recipe, and options of the model. configs/cmsbert-small.yaml and
# cmsbert-clr-small.yaml say why; warm is configs/bert-warm.yaml.
HEAD = {"lr": 1e-4}  # one linear layer on BERT, and new weights within it
HIDDEN = {"modality_dropout": 0.5}
DEEP = {"epochs": 6, "lr": 1e-4, "lr_backbone": 1e-4, "modality_dropout": 0.5}  # several new layers on top
FROZEN = {"epochs": 15, "lr": 1e-3, "modality_dropout": 0.5}  # small networks over frozen states
RECIPES: dict[str, tuple[dict, dict]] = {
    "warm": ({"epochs": 6, "lr": 5e-4, "lr_backbone": 5e-5}, {"task_loss": "huber"}),
    "cmsbert": (HEAD, {}),
    "mag-bert": (HEAD, {"beta": 0.1, "gate_dropout": 0.1}),  # its gate comes before all of MiniLM
    "cmsbert-clr": (DEEP, {"initial_weight": 0.01, "loss_momentum": 0.999}),
    **dict.fromkeys(("misa", "self-mm"), (HIDDEN, {})),
    **dict.fromkeys(("tfn", "mfn", "raven", "mfm", "mult"), (FROZEN, {})),
}


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
    args = TrainArgs(epochs=3, lr=5e-4, lr_backbone=1e-4, average=0.99)
    train("bert", DataArgs("reviews", plain_words=True), folder, args, resume=True, silent=True)
    return folder


def one(name: str, seed: int, folder: str, runs: str, threads: int | None) -> tuple[str, dict, float]:
    """One run: its name, results and seconds an epoch."""
    recipe, options = RECIPES.get(name, ({}, {}))
    if name == "warm":
        recipe = {**recipe, "init": str(Path(runs) / "reviews")}
    data = DataArgs(folder, validation=0.15, dev_as_test=True, normalise="train", plain_words=name == "warm")
    args = TrainArgs(seed=seed, threads=threads, **recipe)
    run = Path(runs) / f"{name}-{seed}"
    model = "bert" if name == "warm" else name
    found = train(model, data, run, args, options, resume=True, silent=True, dataset=mosi(Path(folder)))
    return name, found, seconds(run)


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
    parser.add_argument("--models", nargs="+", default=[*PROPER, *BASELINES], choices=[*PROPER, *BASELINES])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at a time, a thread each")
    options = parser.parse_args()
    if not (options.data / "segments.jsonl").is_file():
        raise SystemExit(f"no segments.jsonl in {options.data}: give the folder of the CMU-MOSI files with --data")
    os.environ["OMP_NUM_THREADS"] = "1"
    found: dict[str, list[tuple[dict, float]]] = {name: [] for name in options.models}
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        first = pool.submit(reviews_run, options.runs) if "warm" in options.models else None
        jobs = [(name, seed) for name in options.models for seed in options.seeds]
        waiting = [pool.submit(one, *job, str(options.data), str(options.runs), 1) for job in jobs if job[0] != "warm"]
        if first is not None:
            first.result()
            warm = [job for job in jobs if job[0] == "warm"]
            waiting += [pool.submit(one, *job, str(options.data), str(options.runs), 1) for job in warm]
        for count, job in enumerate(as_completed(waiting), 1):
            name, results, time = job.result()
            found[name].append((results, time))
            test = results["splits"]["test"]
            done = f"{count} of {len(jobs)}: {name}, seed {results['seed']}"
            print(f"{done}: MAE {test['mae']:.3f} Corr {test['corr']:.3f}", flush=True)
    print("\n| model | seeds | MAE | Corr | Acc-2 has0 | Acc-2 non0 | Acc-7 | s an epoch |")
    print("|---|---|---|---|---|---|---|---|")
    for name, runs in found.items():
        time = statistics.median(t for _, t in runs)
        print(f"{row('bert, warm-started' if name == 'warm' else name, [r for r, _ in runs])} {time:.1f} |")
    floor = next(iter(found.values()))[0][0]["splits"]["test"]["floor"]["mae"]
    print(f"\nheld-out MAE of the train mean: {floor:.3f}")


if __name__ == "__main__":
    main()
