"""The end of a run: the chosen checkpoint meets each split once, and the run becomes a model folder."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.torch import load_file

from modashift.atomic import write_atomic
from modashift.evaluate.metrics import regression_metrics
from modashift.models.base import Model
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.distributed import World
from modashift.train.loop import predict_rows
from modashift.train.runs import RunFolder
from modashift.train.setup import Setup

__all__ = ["describe_model", "finish", "model_card"]


def describe_model(setup: Setup, run: RunFolder) -> None:
    """Write what `modashift.load` needs beside the weights."""
    write_atomic(run.path / "config.json", json.dumps(setup.model.config, indent=2, sort_keys=True) + "\n")
    setup.preprocessor.save(run.path)


def finish(
    setup: Setup, data: DataArgs, args: TrainArgs, run: RunFolder, world: World, fitted: Mapping[str, Any]
) -> dict[str, Any]:
    """Score every split with the chosen checkpoint and write predictions, results and the model card.

    The floor is the error of predicting the mean score of the training split for everybody: a model that does not
    beat it has learnt nothing.
    """
    model = setup.model
    model.load_state_dict(load_file(run.path / "model.safetensors"))
    model.to(world.device)
    results: dict[str, Any] = {
        "model": model.name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": setup.dataset.name,
        "seed": args.seed,
        **fitted,
        "splits": {},
    }
    centre = float(setup.dataset.labels[setup.labelled("train")].mean())
    rows_out = []
    for split in ("train", "dev", "test"):
        rows = setup.labelled(split)
        if not len(rows):
            continue
        prediction = predict_rows(setup, rows, world.device)
        gold = setup.dataset.labels[rows]
        rows_out += [(setup.dataset.ids[int(r)], float(g), float(p), split) for r, g, p in zip(rows, gold, prediction)]
        metrics = regression_metrics(gold, prediction)
        floor = {"mae": float(np.abs(gold - centre).mean()), "mse": float(((gold - centre) ** 2).mean())}
        results["splits"][split] = {"n": len(rows), **metrics, "floor": floor}
    run.save_predictions(rows_out)
    write_atomic(run.path / "README.md", model_card(model, results, data, args))
    write_atomic(run.results, json.dumps(results, indent=2) + "\n")
    run.state.unlink(missing_ok=True)
    return results


def model_card(model: Model, results: Mapping[str, Any], data: DataArgs, args: TrainArgs) -> str:
    """Model card in the hub's format: what it is, how it was made, what it measured, how to use it."""
    rows = "\n".join(
        f"| {split} | {m['n']} | {m['mae']:.3f} | {m['floor']['mae']:.3f} | {m['corr']:.3f} | "
        f"{100 * m['acc2_has0']:.2f}/{100 * m['acc2_non0']:.2f} | {100 * m['acc7']:.2f} |"
        for split, m in results["splits"].items()
    )
    return f"""---
library_name: modashift
tags: [multimodal, sentiment-analysis, {model.name}]
pipeline_tag: text-classification
---

# {model.title} on {results["data"]}

Sentiment score in [−3, 3] of an utterance, from {", ".join(("words", *model.config.get("modality_sizes", {})))}.
Method: {model.paper}. {results["parameters"]:,} parameters, backbone `{args.backbone}`.

| split | n | MAE | MAE of the train mean | Corr | Acc-2 has0/non0 | Acc-7 |
|---|---|---|---|---|---|---|
{rows}

One run, seed {args.seed}; the checkpoint of epoch {results["best_epoch"]} was chosen by {results["select"]}.
{"The dev split of the data served as test split. " if data.dev_as_test else ""}Other splits had no part in the choice.

```python
import modashift

model = modashift.load("path/of/this/folder")
model.predict(["it was really good"])
```
"""
