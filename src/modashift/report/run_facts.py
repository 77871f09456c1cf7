"""What a report says of single runs in words, and what one answer for everybody would have reached."""

import warnings
from collections.abc import Mapping

import numpy as np

from modashift.evaluate.classification import class_metrics
from modashift.evaluate.metrics import Variant, regression_metrics
from modashift.evaluate.results import Run

__all__ = ["constant_floor", "data_in_words", "selection"]


def data_in_words(run: Run) -> str:
    """Name of the data, its file, and what was made of its splits."""
    path = str(run.config.get("data") or "").rstrip("/")
    parts = [f"{run.results.get('data', run.data)}" + (f" ({path.split('/')[-1]})" if path else "")]
    if run.config.get("dev_as_test"):
        parts.append("dev split as test")
    if run.parts:
        parts.append(f"{len(run.parts)} of {run.folds} folds pooled")
    elif run.fold is not None:
        parts.append(f"fold {run.fold} of {run.folds}")
    if run.config.get("leave_out"):
        parts.append(f"{run.config['leave_out']} left out")
    return ", ".join(parts)


def selection(run: Run) -> str:
    """How the checkpoint was chosen."""
    rule = f"best epoch by {run.results.get('select', 'an unrecorded rule')}"
    return rule + (f", on {run.config['validation']:.0%} of train" if run.config.get("validation") else "")


def constant_floor(run: Run, split: str, variant: Variant) -> Mapping[str, float]:
    """Metrics of one answer for all: the mean, or the majority class, of the training split (of each fold its own).

    Where a run kept no predictions of its training split, only what its results have: the MAE of the mean.
    """
    gold, answer = [], []
    for part in run.parts or (run,):
        if "train" not in part.scores or split not in part.scores:
            stored = run.results.get("splits", {}).get(split, {}).get("floor", {})
            return {"mae": float(stored["mae"])} if "mae" in stored and not run.parts else {}
        train, own = part.scores["train"].gold, part.scores[split].gold
        constant = np.bincount(train.astype(np.int64)).argmax() if run.classes else train.mean()
        gold.append(own)
        answer.append(np.full(len(own), float(constant)))
    y, p = np.concatenate(gold), np.concatenate(answer)
    if run.classes:
        return class_metrics(y, p, len(run.classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a constant has no correlation: 0, as it should be
        return regression_metrics(y, p, variant=variant)
