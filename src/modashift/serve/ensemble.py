"""The models that are asked: one run, or several whose scores are averaged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset
from modashift.data.states import StateColumns
from modashift.errors import ModashiftError
from modashift.predictor import Predictor, load
from modashift.serve.needs import DEFAULT
from modashift.serve.result import ModelInfo
from modashift.serve.uncertainty import Residuals, dev_residuals

__all__ = ["Ensemble", "load_ensemble"]


@dataclass(frozen=True)
class Ensemble:
    """Models that take the same input.

    Attributes:
        sources: what they were loaded from, as named by the user.
        predictors: one each.
        residuals: errors of their mean prediction on dev.
    """

    sources: tuple[str, ...]
    predictors: tuple[Predictor, ...]
    residuals: Residuals

    @property
    def modalities(self) -> tuple[str, ...]:
        """Non-verbal modalities that the models take."""
        return self.predictors[0].modalities

    @property
    def reads_words(self) -> bool:
        """Whether they take words at all."""
        own = self.predictors[0].preprocessor
        return own.tokenizer is not None or "linguistic" in own.modality_sizes

    @property
    def encoded_words(self) -> bool:
        """Whether they read an encoder's states of the words, which must be extracted like face and voice."""
        return isinstance(self.columns("linguistic"), StateColumns)

    def columns(self, modality: str) -> Sequence[str]:
        """Names of the feature columns of a modality, none where the models do not know them."""
        return self.predictors[0].preprocessor.columns.get(modality, ())

    def size(self, modality: str) -> int:
        """Number of feature columns of a modality."""
        return self.predictors[0].preprocessor.modality_sizes[modality]

    def alignment(self, modality: str) -> str:
        """Whether a step of a modality is a word, a frame or the utterance."""
        return self.predictors[0].preprocessor.alignments.get(modality, "word")

    def info(self) -> ModelInfo:
        """Which models these are, for the results."""
        titles = list(dict.fromkeys(p.model.title for p in self.predictors))
        names = list(dict.fromkeys(p.model.name for p in self.predictors))
        return ModelInfo(
            title=" and ".join(titles),
            name=",".join(names),
            sources=self.sources,
            data=self.residuals.data,
            modalities=self.modalities,
            uncertainty=self.residuals.sentence(len(self.predictors)),
        )

    def scores(self, dataset: Dataset) -> NDArray[np.float64]:
        """(models, n) scores of all utterances."""
        return np.stack([p.predict_dataset(dataset) for p in self.predictors])


def load_ensemble(
    sources: Sequence[str], device: str = "auto", provide_default: Callable[[], Path] | None = None
) -> Ensemble:
    """Load one or several models.

    Args:
        sources: run folders, model folders, ids on the hub, or ``default``.
        device: auto, cpu, cuda or cuda:N.
        provide_default: where the default model is; makes it where needed.

    Raises:
        ModashiftError: no model there, or models that take different input.
    """
    if not sources:
        raise ModashiftError("no model named: give a run folder, or `default`")
    from modashift.default_model import provide_default_model

    provide = provide_default or provide_default_model
    predictors = tuple(load(provide() if s == DEFAULT else s, device) for s in sources)
    for source, predictor in zip(sources[1:], predictors[1:]):
        _same_input(sources[0], predictors[0], source, predictor)
    for source, predictor in zip(sources, predictors):
        if predictor.classes:
            raise ModashiftError(
                f"{source} tells classes apart ({', '.join(predictor.classes)}); recordings are scored, and scores of "
                "several models averaged, with models of scores only. For texts or a data file it can be used alone"
            )
        vectors = predictor.preprocessor.vectors
        states = isinstance(predictor.preprocessor.columns.get("linguistic"), StateColumns)
        if vectors is not None and vectors.kind == "given" and not states:
            raise ModashiftError(
                f"{source} reads word vectors that came with its data, and nothing here makes those of new words; "
                "train it with --text encoder (or --glove FILE), or use a model that reads word pieces"
            )
    return Ensemble(tuple(sources), predictors, dev_residuals([p.folder for p in predictors]))


def _same_input(first: str, one: Predictor, second: str, other: Predictor) -> None:
    if one.modalities != other.modalities:
        names = [" and ".join(p.modalities) or "words alone" for p in (one, other)]
        raise ModashiftError(
            f"{first} takes {names[0]} and {second} takes {names[1]}: scores of several models are averaged only where "
            "they take the same input; predict with each on its own"
        )
    a, b = one.preprocessor, other.preprocessor
    states = any(isinstance(p.columns.get("linguistic"), StateColumns) for p in (a, b))
    for m in (*(["linguistic"] if states else []), *one.modalities):
        same = a.modality_sizes.get(m) == b.modality_sizes.get(m)
        same = same and tuple(a.columns.get(m, ())) == tuple(b.columns.get(m, ()))
        if not same or a.alignments.get(m) != b.alignments.get(m):
            raise ModashiftError(
                f"{first} and {second} were trained on different {m} features; predict with each on its own"
            )
