"""The end of a run: the chosen checkpoint meets each split once, and the run becomes a model folder."""

import json
from collections.abc import Mapping
from typing import Any

from safetensors.torch import load_file

from modashift.atomic import write_atomic
from modashift.models.base import Model
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.distributed import World
from modashift.train.loop import predict_rows
from modashift.train.protocol import protocol_in_words
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

    The floor is the error of predicting the mean score of the training split (its majority class, where labels are
    classes) for everybody: a model that does not beat it has learnt nothing.
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
        **({"classes": list(setup.dataset.classes)} if setup.dataset.classes else {}),
        **({"protocol": protocol_in_words(data, setup.dataset)} if setup.dataset.classes else {}),
        "splits": {},
    }
    train = setup.dataset.labels[setup.labelled("train")]
    rows_out: list[list[Any]] = []
    for split in ("train", "dev", "test"):
        rows = setup.labelled(split)
        if not len(rows):
            continue
        answer = predict_rows(setup, rows, world.device)
        gold = setup.dataset.labels[rows]
        rows_out += setup.task.lines([setup.dataset.ids[int(r)] for r in rows], gold, answer, split)
        floor = setup.task.floor(train, gold)
        results["splits"][split] = {"n": len(rows), **setup.task.results(gold, answer), "floor": floor}
    run.save_predictions(setup.task.header(), rows_out)
    write_atomic(run.path / "README.md", model_card(model, results, data, args))
    write_atomic(run.results, json.dumps(results, indent=2) + "\n")
    run.state.unlink(missing_ok=True)
    return results


def model_card(model: Model, results: Mapping[str, Any], data: DataArgs, args: TrainArgs) -> str:
    """Model card in the hub's format: what it is, how it was made, what it measured, how to use it."""
    classes = results.get("classes", ())
    rows = class_rows(results) if classes else score_rows(results)
    what = f"Which of {len(classes)} classes" if classes else "Sentiment score in [−3, 3]"
    what += f" ({', '.join(classes)}) an utterance is of" if classes else " of an utterance"
    protocol = f"\nProtocol: {results['protocol']}.\n" if classes else ""
    tags = f"multimodal, {'emotion-recognition' if classes else 'sentiment-analysis'}, {model.name}"
    predict = 'model.predict_classes(["it was really good"])' if classes else 'model.predict(["it was really good"])'
    return f"""---
library_name: modashift
tags: [{tags}]
pipeline_tag: text-classification
---

# {model.title} on {results["data"]}

{what}, from {", ".join(("words", *model.config.get("modality_sizes", {})))}.
Method: {model.paper}. {results["parameters"]:,} parameters, backbone `{args.backbone}`.

{rows}
{protocol}
One run, seed {args.seed}; the checkpoint of epoch {results["best_epoch"]} was chosen by {results["select"]}.
{"The dev split of the data served as test split. " if data.dev_as_test else ""}Other splits had no part in the choice.

```python
import modashift

model = modashift.load("path/of/this/folder")
{predict}
```
"""


def score_rows(results: Mapping[str, Any]) -> str:
    """Table of a model card with the metrics of scores."""
    rows = "\n".join(
        f"| {split} | {m['n']} | {m['mae']:.3f} | {m['floor']['mae']:.3f} | {m['corr']:.3f} | "
        f"{100 * m['acc2_has0']:.2f}/{100 * m['acc2_non0']:.2f} | {100 * m['acc7']:.2f} |"
        for split, m in results["splits"].items()
    )
    return f"""| split | n | MAE | MAE of the train mean | Corr | Acc-2 has0/non0 | Acc-7 |
|---|---|---|---|---|---|---|
{rows}"""


def class_rows(results: Mapping[str, Any]) -> str:
    """Table of a model card with the metrics of classes."""
    names = ("wa", "ua", "f1_weighted", "f1_macro")
    rows = "\n".join(
        f"| {split} | {m['n']} | {' | '.join(f'{100 * m[k]:.2f}' for k in names)} | {100 * m['floor']['wa']:.2f} |"
        for split, m in results["splits"].items()
    )
    return f"""| split | n | WA | UA | F1 weighted | F1 macro | WA of the majority class |
|---|---|---|---|---|---|---|
{rows}"""
