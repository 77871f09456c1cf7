"""CMU-MOSI for real: bert, cmsbert and cmsbert-clr on its standard train and dev splits (``make real``).

The research files (``segments.jsonl`` with text and labels, ``utterance_covarep.npz`` with the mean of the COVAREP
features of each segment) must be in the folder given by ``--data``. A validation part is carved out of the training
videos and chooses the checkpoint; the standard dev split is held out and measured once. Runs are resumable: a run that
is finished is not run again.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mosi"))
    parser.add_argument("--runs", type=Path, default=Path("runs/real"))
    parser.add_argument("--models", nargs="+", default=["bert", "cmsbert", "cmsbert-clr"])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--epochs", type=int, default=TrainArgs.epochs)
    parser.add_argument("--init", default=None, help="run to start the weights from")
    parser.add_argument("--lr", type=float, default=TrainArgs.lr)
    parser.add_argument("--set", nargs="*", default=[], help="model options, name=value")
    options = parser.parse_args()
    if not (options.data / "segments.jsonl").is_file():
        raise SystemExit(f"no segments.jsonl in {options.data}: give the folder of the CMU-MOSI files with --data")
    dataset = mosi(options.data)
    data = DataArgs(str(options.data), validation=0.15, dev_as_test=True, normalise="train")
    table = {}
    for model in options.models:
        found = []
        for seed in options.seeds:
            args = TrainArgs(seed=seed, epochs=options.epochs, init=options.init, lr=options.lr)
            given = {k: json.loads(v) for k, v in (item.split("=", 1) for item in options.set)}
            run = options.runs / f"{model}-{seed}"
            found.append(train(model, data, run, args, given, resume=True, dataset=dataset))
            print(model, seed, {k: round(v, 4) for k, v in found[-1]["splits"]["test"].items() if k != "floor"})
        table[model] = found
    print("| model | MAE | Corr | Acc-2 has0 | Acc-7 |\n|---|---|---|---|---|")
    for model, found in table.items():
        cells = []
        for key, scale, digits in (("mae", 1, 3), ("corr", 1, 3), ("acc2_has0", 100, 2), ("acc7", 100, 2)):
            values = [scale * r["splits"]["test"][key] for r in found]
            sd = statistics.stdev(values) if len(values) > 1 else float("nan")
            cells.append(f"{statistics.mean(values):.{digits}f} ± {sd:.{digits}f}")
        print(f"| {model} | {' | '.join(cells)} |")
    floor = next(iter(table.values()))[0]["splits"]["test"]["floor"]["mae"]
    print(f"held-out MAE of the train mean: {floor:.3f}")


if __name__ == "__main__":
    main()
