"""Run folders as training writes them, with made-up predictions: no training."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from modashift.evaluate.metrics import regression_metrics

SPLITS = {"train": 60, "dev": 30, "test": 120}
WORDS = "the movie was really good but a bit long and they know it".split()


def gold_scores(sizes: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Scores like those of MOSI: in fifths, some exactly 0."""
    rng = np.random.default_rng(seed)
    return {s: np.round(np.clip(rng.normal(0.2, 1.5, n), -3, 3) * 5) / 5 for s, n in sizes.items()}


def make_run(
    folder: Path,
    model: str = "bert",
    seed: int = 1111,
    noise: float = 0.9,
    data: str = "CMU-MOSI",
    sizes: dict[str, int] | None = None,
    parameters: int = 22_700_000,
    dev_mse: Sequence[float] | None = None,
    finished: bool = True,
    config: dict[str, Any] | None = None,
    shared: float = 0.6,
    options: dict[str, Any] | None = None,
) -> Path:
    """Write a run: predictions are 0.8 of the gold score plus noise, a part of which all seeds of a model share."""
    sizes = sizes or SPLITS
    folder.mkdir(parents=True)
    given = {"name": model, "data": "no/such/file.pkl", "seed": seed, "validation": 0.15, **(config or {})}
    given["model"] = options or {}
    (folder / "config.yaml").write_text(yaml.safe_dump(given))
    (folder / "environment.json").write_text("{}")
    gold = gold_scores(sizes)
    centre = gold["train"].mean()
    common = np.random.default_rng(sum(map(ord, model)))
    own = np.random.default_rng([seed, sum(map(ord, model))])
    losses = dev_mse or [2.2, 1.3, 1.0 + 0.1 * own.random(), 1.1]
    (folder / "metrics.jsonl").write_text(
        "".join(
            json.dumps(
                {"epoch": e, "train_mse": 2.5 / e, "dev_mse": v, "dev_mae": v**0.5, "best": v == min(losses[:e])}
            )
            + "\n"
            for e, v in enumerate(losses, 1)
        )
    )
    (folder / "timing.jsonl").write_text("".join(f'{{"epoch": {e}, "seconds": {20 + e}}}\n' for e in (1, 2, 3, 4)))
    if not finished:
        return folder
    results: dict[str, Any] = {"model": model, "parameters": parameters, "data": data, "seed": seed}
    results |= {"best_epoch": 3, "epochs": 4, "select": "dev mse", "splits": {}}
    rows = []
    for split, y in gold.items():
        together = shared * common.normal(size=len(y)) + (1 - shared**2) ** 0.5 * own.normal(size=len(y))
        p = 0.8 * y + noise * together
        floor = {"mae": float(np.abs(y - centre).mean()), "mse": float(((y - centre) ** 2).mean())}
        results["splits"][split] = {"n": len(y), **regression_metrics(y, p), "floor": floor}
        rows += [
            (f"{split}{i // 5}_{i % 5 + 1}", repr(float(g)), repr(float(q)), split)
            for i, (g, q) in enumerate(zip(y, p))
        ]
    with (folder / "predictions.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "gold", "prediction", "split"), *rows])
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def make_experiment(
    root: Path,
    rows: dict[str, tuple[str, float]],
    seeds: Sequence[int] = (1111, 1112, 1113),
    data: str = "mosi",
    **options: Any,
) -> Path:
    """An experiment folder: by row, its model and the noise of its predictions."""
    root.mkdir(parents=True, exist_ok=True)
    declared = {r: {"model": model} for r, (model, _) in rows.items()}
    declaration = {"title": "Made up", "data": {data: {}}, "seeds": list(seeds), "rows": declared}
    (root / "experiment.yaml").write_text(yaml.safe_dump(declaration, sort_keys=False))
    for row, (model, noise) in rows.items():
        for seed in seeds:
            make_run(root / "runs" / row / data / str(seed), model, seed, noise, **options)
    return root


def make_texts(path: Path, sizes: dict[str, int] | None = None) -> Path:
    """A table of utterances with the ids and scores of `make_run`."""
    lines = []
    rng = np.random.default_rng(3)
    for split, y in gold_scores(sizes or SPLITS).items():
        for i, score in enumerate(y):
            text = " ".join(rng.choice(WORDS, rng.integers(2, 30)))
            lines.append({"id": f"{split}{i // 5}_{i % 5 + 1}", "split": split, "label": float(score), "text": text})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
