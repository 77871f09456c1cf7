"""A trained model beside data made ready for it: what explaining, embedding and disturbing have in common."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import torch
from numpy.typing import NDArray

from modashift.batch import Batch
from modashift.data.dataset import Dataset
from modashift.errors import DataError, ModashiftError
from modashift.models.base import Output
from modashift.predictor import Predictor
from modashift.preprocess import Encoded
from modashift.train.batching import evaluation_batches
from modashift.train.setup import run_data

__all__ = ["Change", "Subject", "open_data", "open_subject", "short_names"]

Change = Callable[[Batch], Batch]
"""What is done to a batch before the model sees it; ``batch.index`` holds rows of the subject's data set."""


@dataclass(frozen=True)
class Subject:
    """A model, and rows of a data set it can score.

    Attributes:
        name: what to call it in pictures and tables.
        predictor: the model with its preprocessing.
        source: the utterances with the features the model takes, but without word vectors that are made from words,
            so that words can be changed.
        dataset: `source` with those vectors.
        encoded: its word pieces.
        rows: the rows in question.
    """

    name: str
    predictor: Predictor
    source: Dataset
    dataset: Dataset
    encoded: Encoded
    rows: NDArray[np.intp]

    @classmethod
    def of(
        cls, predictor: Predictor, dataset: Dataset, rows: NDArray[np.intp] | None = None, name: str = ""
    ) -> "Subject":
        """Make data ready for a model.

        Args:
            predictor: the model.
            dataset: with at least the features of the model.
            rows: all where not given.
            name: the model's title where not given.

        Raises:
            DataError: for features other than those the model was trained on.
            ModashiftError: for a model of classes.
        """
        preprocessor = predictor.preprocessor
        if predictor.classes:
            raise ModashiftError(
                f"{predictor.folder} tells classes apart ({', '.join(predictor.classes)}); explain, embed and "
                "robustness measure changes of a score, and are for models of scores only"
            )
        complete = preprocessor.complete(dataset)
        made = preprocessor.vectors is not None and preprocessor.vectors.kind != "given"
        source = dataset.keep_features([m for m in preprocessor.modality_sizes if not (made and m == "linguistic")])
        rows = np.arange(len(dataset)) if rows is None else rows
        return cls(name or predictor.model.title, predictor, source, complete, preprocessor.encode(complete), rows)

    @property
    def gold(self) -> NDArray[np.float64]:
        """(n,) true scores of the rows."""
        return np.asarray(self.dataset.labels[self.rows], dtype=np.float64)

    @property
    def centre(self) -> float:
        """Mean score of the training split, NaN where there is none: what predicts without looking."""
        train = self.dataset.labels[self.dataset.rows("train")]
        train = train[np.isfinite(train)]
        return float(train.mean()) if len(train) else float("nan")

    def batches(self, batch_size: int = 64) -> Iterator[Batch]:
        """The rows in batches of like length, on the model's device."""
        for part in evaluation_batches(self.rows, self.encoded.lengths, batch_size, 1):
            batch = self.predictor.preprocessor.collate(self.dataset, self.encoded, part)
            yield batch.to(self.predictor.device)

    @torch.no_grad()
    def outputs(self, change: Change | None = None, batch_size: int = 64) -> Iterator[tuple[Batch, Output]]:
        """What the model makes of each batch, and the batch itself as the model saw it."""
        model = self.predictor.model.eval()
        for batch in self.batches(batch_size):
            seen = batch if change is None else change(batch)
            yield seen, model(seen)

    def score(self, change: Change | None = None, batch_size: int = 64) -> NDArray[np.float64]:
        """(n,) predictions in the order of the rows."""
        found = np.zeros(len(self.dataset))
        for batch, output in self.outputs(change, batch_size):
            found[batch.index.cpu().numpy()] = output.prediction.double().cpu().numpy()
        return found[self.rows]


def open_data(run: str, data: str | None) -> Dataset:
    """A data file, or where none is given the run's own data with its splits as declared for it.

    Raises:
        ModashiftError: where the run does not know its data, or they cannot be read.
    """
    if data is None:
        return run_data(Path(run))
    from modashift.data.open import open_dataset

    return open_dataset(data)


def open_subject(run: str, data: str | None = None, split: str = "test", name: str = "") -> Subject:
    """Load a run and the labelled utterances of one split.

    Args:
        run: run folder, model folder or hub id.
        data: data file; the run's own where not given.
        split: train, dev, test, or all.
        name: of the subject.

    Raises:
        ModashiftError: where there is no such model, no such data, or the split has no labelled utterance.
    """
    from modashift.predictor import load

    predictor = load(run)
    dataset = open_data(run, data)
    rows = np.arange(len(dataset)) if split == "all" else dataset.rows(split)
    rows = rows[np.isfinite(dataset.labels[rows])]
    if not len(rows):
        raise DataError(f"{dataset.name} has no labelled utterance in split {split!r}; choose another with --split")
    return Subject.of(predictor, dataset, rows, name)


def short_names(runs: Sequence[str]) -> list[str]:
    """Names that tell runs apart: the last parts of their paths, as many as are needed."""
    parts = [PurePath(run).parts for run in runs]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-count:]) for p in parts]
        if len(set(names)) == len(set(runs)):
            return names
    return list(runs)
