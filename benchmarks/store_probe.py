"""What linear probes make of a store of classes, on the folds that models are tested on.

    python benchmarks/store_probe.py ravdess-states.store [more.store …] [--protocol actors6]

Each utterance becomes one vector: the mean over its steps of every column. A logistic regression (C = 0.01) and a
linear discriminant analysis with the shrinkage of Ledoit and Wolf are trained on the training part of each fold; dev is
not used, as nothing is chosen. Unweighted recall (UA) of all test predictions together, one table a store.
"""

import argparse
from itertools import chain, combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modashift.data.dataset import Dataset
from modashift.data.speaker_folds import declare_protocol
from modashift.data.store import open_store

PROBES = {
    "logistic regression": lambda: LogisticRegression(C=0.01, max_iter=2000),
    "discriminant analysis": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
}


def averages(dataset: Dataset, modality: str) -> NDArray[np.float64]:
    """Mean over the steps of each utterance (n, D), zero where there is none."""
    feature = dataset.features[modality]
    return np.stack(
        [np.asarray(feature[k], dtype=np.float64).sum(0) / max(1, len(feature[k])) for k in range(len(dataset))]
    )


def recall(dataset: Dataset, columns: NDArray[np.float64], probe: str, protocol: str) -> float:
    """UA of all test predictions together."""
    gold = dataset.labels.astype(int)
    found = np.full(len(dataset), -1)
    for fold in range(1, int("".join(c for c in protocol if c.isdigit())) + 1):
        parts = declare_protocol(dataset, protocol, fold, 0)
        train, test = parts.rows("train"), parts.rows("test")
        model = make_pipeline(StandardScaler(), PROBES[probe]())
        found[test] = model.fit(columns[train], gold[train]).predict(columns[test])
    assert (found >= 0).all()  # each utterance is tested
    return float(recall_score(gold, found, average="macro"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path, nargs="+")
    parser.add_argument("--protocol", default="actors6")
    options = parser.parse_args()
    for path in options.stores:
        dataset = open_store(path)
        columns = {m: averages(dataset, m) for m in dataset.features}
        subsets = chain.from_iterable(combinations(columns, k) for k in range(1, len(columns) + 1))
        print(f"\n{path.name}, {len(dataset)} utterances, {options.protocol}; chance {1 / len(dataset.classes):.3f}\n")
        print(f"| features | columns | {' | '.join(PROBES)} |\n|---|--:|{'--:|' * len(PROBES)}")
        for subset in subsets:
            together = np.concatenate([columns[m] for m in subset], axis=1)
            cells = [f"{recall(dataset, together, probe, options.protocol):.3f}" for probe in PROBES]
            print(f"| {' and '.join(subset)} | {together.shape[1]} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
