"""Normalisation of features, always explicit: as delivered, by the training split, or within each segment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset
from modashift.errors import DataError

__all__ = ["Kind", "Normaliser"]

Kind = Literal["none", "train", "segment"]
EPSILON = 1e-6  # added to the deviation within a segment, as the field's alignment pipelines do
CHUNK = 65_536  # steps read at a time, so that fitting a large store stays small in memory


@dataclass(frozen=True)
class Normaliser:
    """How non-verbal features are scaled before a model sees them; word vectors stay as they are.

    Attributes:
        kind: ``none``; ``train`` (per feature, by mean and deviation over all real steps of the training split);
            ``segment`` (per utterance and feature, to mean 0 and deviation 1).
        mean: by modality (D,), for ``train``.
        scale: by modality (D,) standard deviation, 1 where a feature is constant, for ``train``.
    """

    kind: Kind = "none"
    mean: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    scale: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def fit(cls, kind: str, dataset: Dataset) -> "Normaliser":
        """Take the statistics from the training split, and from nothing else.

        Raises:
            DataError: for an unknown kind.
        """
        if kind not in get_args(Kind):
            raise DataError(f"normalisation {kind!r} is not one of {', '.join(get_args(Kind))}")
        if kind != "train":
            return cls(kind)  # type: ignore[arg-type]
        mean, scale = {}, {}
        rows = dataset.rows("train")
        for modality, feature in dataset.features.items():
            if modality == "linguistic":
                continue
            steps = np.concatenate(
                [np.arange(feature.offsets[r], feature.offsets[r + 1]) for r in rows] or [np.zeros(0, dtype=np.int64)]
            )
            total, squares = np.zeros(feature.dim), np.zeros(feature.dim)
            centre = np.asarray(feature.values[steps[:CHUNK]], dtype=np.float64).mean(0) if len(steps) else total
            for start in range(0, len(steps), CHUNK):
                # Sums about a value near the mean, so that large offsets cost no precision.
                part = np.asarray(feature.values[steps[start : start + CHUNK]], dtype=np.float64) - centre
                total, squares = total + part.sum(0), squares + (part**2).sum(0)
            count = max(1, len(steps))
            deviation = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
            mean[modality] = centre + total / count
            constant = deviation <= 1e-12 * np.maximum(1, np.abs(mean[modality]))
            scale[modality] = np.where(constant, 1.0, deviation)
        return cls("train", mean, scale)

    def apply(self, modality: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scale the steps (T, D) of one utterance."""
        if self.kind == "none" or modality == "linguistic" or not len(values):
            return values.astype(np.float32, copy=False)
        steps = values.astype(np.float64)
        if self.kind == "train":
            scaled = (steps - self.mean[modality]) / self.scale[modality]
        else:
            scaled = (steps - steps.mean(0)) / (steps.std(0) + EPSILON)
        return scaled.astype(np.float32)

    def state(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "kind": self.kind,
            "mean": {m: v.tolist() for m, v in self.mean.items()},
            "scale": {m: v.tolist() for m, v in self.scale.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Normaliser":
        """Inverse of `state`."""
        return cls(
            state["kind"],
            {m: np.array(v, dtype=np.float64) for m, v in state["mean"].items()},
            {m: np.array(v, dtype=np.float64) for m, v in state["scale"].items()},
        )
