"""What differs between scores and classes once a model has answered: metrics, floor, choice of the checkpoint, files.

The labels of the data decide which of the two it is (`task_of`); everything else asks the task.
"""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset
from modashift.errors import ModashiftError
from modashift.evaluate.classification import CLASS_METRICS, LEGACY, class_metrics, confusion_matrix, per_class
from modashift.evaluate.metrics import regression_metrics

__all__ = ["Classes", "Scores", "Task", "balanced_weights", "reached", "task_of"]

Array = NDArray[np.float64]
TASK_LOSS = "mse"  # as a criterion it stands for the task's own loss, whatever that is


class Task(ABC):
    """What is predicted.

    Attributes:
        term: name of the task's loss.
        higher: dev metrics that can choose a checkpoint, and whether the higher value is the better one.
    """

    term: ClassVar[str]
    higher: ClassVar[Mapping[str, bool]]

    def criterion(self, select: str) -> str:
        """Name of the dev figure that ``select`` means: ``mse`` is the task's loss for both tasks.

        Raises:
            ModashiftError: it is a metric of the other task.
        """
        if select == TASK_LOSS:
            return self.term
        if select not in self.higher:
            there = ", ".join(dict.fromkeys([TASK_LOSS, *self.higher]))
            what = "classes" if self.term == "ce" else "scores"
            raise ModashiftError(f"select {select!r} is no metric of {what}, which the labels are; choose from {there}")
        return select

    def worth(self, select: str, value: float) -> float:
        """A value of the criterion, turned so that more is better."""
        return value if self.higher[self.criterion(select)] else -value

    @abstractmethod
    def metrics(self, gold: Array, answer: Array) -> dict[str, float]:
        """Metrics of answers that may be anything an untrained model gives, NaN included, without warnings."""

    @abstractmethod
    def results(self, gold: Array, answer: Array) -> dict[str, Any]:
        """Metrics of a trained model for ``results.json``."""

    @abstractmethod
    def floor(self, train: Array, gold: Array) -> dict[str, float]:
        """Metrics on `gold` of what predicts one answer for all, made of the training labels."""

    @abstractmethod
    def header(self) -> list[str]:
        """Columns of ``predictions.csv``."""

    @abstractmethod
    def lines(self, ids: Sequence[str], gold: Array, answer: Array, split: str) -> Iterator[list[Any]]:
        """Its lines."""

    @abstractmethod
    def spoken(self, line: Mapping[str, Any]) -> str:
        """Dev metrics of an epoch, for people."""


class Scores(Task):
    """Sentiment scores: an answer is (n,)."""

    term = "mse"
    higher: ClassVar[Mapping[str, bool]] = {
        "mse": False,
        "mae": False,
        "corr": True,
        "acc2_has0": True,
        "acc2_non0": True,
        "acc7": True,
    }

    def metrics(self, gold: Array, answer: Array) -> dict[str, float]:
        """All of `regression_metrics`; a constant answer (usual in a first epoch) has correlation 0 without a word."""
        if not np.isfinite(answer).all():
            return dict.fromkeys(("mae", "corr"), math.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return dict(regression_metrics(gold, answer))

    def results(self, gold: Array, answer: Array) -> dict[str, Any]:
        """All of `regression_metrics`."""
        return dict(regression_metrics(gold, answer))

    def floor(self, train: Array, gold: Array) -> dict[str, float]:
        """Errors of the mean training score."""
        centre = float(train.mean())
        return {"mae": float(np.abs(gold - centre).mean()), "mse": float(((gold - centre) ** 2).mean())}

    def header(self) -> list[str]:
        """Id, gold, prediction, split."""
        return ["id", "gold", "prediction", "split"]

    def lines(self, ids: Sequence[str], gold: Array, answer: Array, split: str) -> Iterator[list[Any]]:
        """A line an utterance."""
        for i, g, p in zip(ids, gold, answer):
            yield [i, float(g), float(p), split]

    def spoken(self, line: Mapping[str, Any]) -> str:
        """MAE and correlation."""
        return f"MAE {line['dev_mae']:.3f}  Corr {line['dev_corr']:.3f}"


@dataclass(frozen=True)
class Classes(Task):
    """Classes: an answer is (n, C), the probability of each class.

    Attributes:
        names: of the classes.
        weights: (C,) of their cross-entropy in training and validation; 1 each where None.
    """

    names: tuple[str, ...]
    weights: Array | None = None
    term: ClassVar[str] = "ce"
    higher: ClassVar[Mapping[str, bool]] = {"ce": False, **dict.fromkeys(CLASS_METRICS, True)}

    def metrics(self, gold: Array, answer: Array) -> dict[str, float]:
        """The `CLASS_METRICS`."""
        if not np.isfinite(answer).all():
            return dict.fromkeys(CLASS_METRICS, math.nan)
        found = class_metrics(gold, answer.argmax(1), len(self.names))
        return {name: found[name] for name in CLASS_METRICS}

    def results(self, gold: Array, answer: Array) -> dict[str, Any]:
        """Metrics, the legacy precisions, each class, the confusion matrix, and classes that UA leaves out."""
        matrix = confusion_matrix(gold, answer.argmax(1), len(self.names))
        found: dict[str, Any] = class_metrics(gold, answer.argmax(1), len(self.names))
        legacy = {name: found.pop(name) for name in LEGACY}
        classes = per_class(matrix, self.names)
        absent = [name for name, c in classes.items() if not c["support"]]
        for name in absent:
            del classes[name]["recall"]  # there is none, and NaN is no JSON
        found |= {"legacy": legacy, "classes": classes, "confusion": matrix.tolist()}
        return {**found, "absent": absent} if absent else found

    def floor(self, train: Array, gold: Array) -> dict[str, float]:
        """Metrics of the majority class of the training split, and the least loss of an answer that is one for all."""
        counts = np.bincount(train.astype(np.int64), minlength=len(self.names))
        majority = np.full(len(gold), counts.argmax())
        weights = np.ones(len(self.names)) if self.weights is None else self.weights
        share = counts * weights / (counts * weights).sum()
        numbers = gold.astype(np.int64)
        chance = np.maximum(share[numbers], 1e-12)  # a class that training never saw
        found = class_metrics(gold, majority, len(self.names))
        loss = float((-np.log(chance) * weights[numbers]).mean())
        return {**{name: found[name] for name in CLASS_METRICS}, "ce": loss}

    def header(self) -> list[str]:
        """Id, gold, prediction, the probability of each class, split."""
        return ["id", "gold", "prediction", *(f"p({name})" for name in self.names), "split"]

    def lines(self, ids: Sequence[str], gold: Array, answer: Array, split: str) -> Iterator[list[Any]]:
        """A line an utterance; classes by name, an unlabelled one empty."""
        for i, g, p in zip(ids, gold, answer):
            name = "" if math.isnan(g) else self.names[int(g)]
            yield [i, name, self.names[int(p.argmax())], *(float(q) for q in p), split]

    def spoken(self, line: Mapping[str, Any]) -> str:
        """WA, UA and F1."""
        return f"WA {line['dev_wa']:.3f}  UA {line['dev_ua']:.3f}  F1 {line['dev_f1_macro']:.3f}"


def task_of(classes: Sequence[str], weights: Array | None = None) -> Task:
    """The task of labels with these class names: scores where there are none."""
    return Classes(tuple(classes), weights) if classes else Scores()


def reached(line: Mapping[str, Any], select: str) -> Any:
    """What an epoch reached by a criterion, in a line of ``metrics.jsonl``; None where it does not say."""
    return line.get(f"dev_{select}", line.get(f"dev_{Classes.term}") if select == TASK_LOSS else None)


def balanced_weights(dataset: Dataset) -> Array:
    """(C,) weights that make all classes of the training split count alike, with mean 1 over its utterances.

    w_c = n / (C' · n_c) for the C' classes that occur there; 1 for one that does not.
    """
    labels = dataset.labels[dataset.rows("train")]
    counts = np.bincount(labels[np.isfinite(labels)].astype(np.int64), minlength=len(dataset.classes))
    there = counts > 0
    result: Array = np.ones(len(counts))
    result[there] = counts.sum() / (there.sum() * counts[there])
    return result
