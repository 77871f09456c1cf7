"""From an extracted recording to what a model takes: its utterances as a data set, with the model's features."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset, Feature
from modashift.data.states import StateColumns
from modashift.errors import DataError
from modashift.extract.dataset import clips_dataset
from modashift.extract.recording import Clip, Frames, Span
from modashift.serve.ensemble import Ensemble
from modashift.serve.needs import frame_columns

__all__ = ["coverage", "model_input", "spoken"]


def spoken(clip: Clip) -> list[int]:
    """Numbers of the utterances that have words."""
    return [k for k, span in enumerate(clip.spans) if span.stop > span.first]


def model_input(clip: Clip, models: Ensemble) -> tuple[Dataset, list[str]]:
    """The utterances that have words, with the features that the models take.

    Features are made exactly as `modashift extract` makes those that models are trained on. A modality that the
    recording lacks is missing from every utterance.

    Args:
        clip: with features of the models' sets, as far as they could be had.
        models: what will score it.

    Returns:
        The data set, and notes on values that had to be filled in.

    Raises:
        DataError: the recording's features are not those the models were trained on, naming the columns.
    """
    kept = replace(clip, spans=tuple(clip.spans[k] for k in spoken(clip)))
    features: dict[str, Feature] = {}
    dataset = clips_dataset([replace(kept, features={})])
    dataset = replace(dataset, ids=[f"{clip.name}_{k + 1}" for k in spoken(clip)])
    notes: list[str] = []
    for m in (*(["linguistic"] if models.encoded_words else []), *models.modalities):
        columns, alignment = models.columns(m), models.alignment(m)
        frames = clip.features.get(m)
        empty = Feature.pack([np.zeros((0, models.size(m)), np.float32)] * len(kept.spans), models.size(m))
        features[m] = replace(empty, alignment=alignment, columns=columns)  # type: ignore[arg-type]
        if frames is None:
            continue
        _check(clip, m, frames, columns)
        if alignment == "utterance":
            features[m] = _means(frames, kept.spans)
            continue
        made = clips_dataset(
            [replace(kept, features={m: frames})],
            alignment="frame" if alignment == "frame" else "word",
            statistics=frame_columns(columns)[1],
        )
        features[m] = made.features.get(m, features[m])
        notes += made.provenance.get("notes", [])
    return replace(dataset, features=features), notes


def coverage(frames: Frames, span: Span) -> float:
    """Share of the frames within an utterance at which the features were found."""
    low, high = np.searchsorted(frames.times, [span.start, span.end])
    return float(frames.mask[low:high].mean()) if high > low else 0.0


def _check(clip: Clip, modality: str, frames: Frames, columns: Sequence[str]) -> None:
    wanted, own = frame_columns(columns)[0], frames.columns
    states = isinstance(wanted, StateColumns) and isinstance(own, StateColumns)
    if states and (wanted.encoder, wanted.size) == (own.encoder, own.size):  # type: ignore[attr-defined]
        own.only(wanted.layers)  # type: ignore[attr-defined]  # says which are not there; the model drops the others
        return
    if columns and tuple(frames.columns) != wanted:
        raise DataError(
            f"{clip.name}: the model takes the {len(wanted)} {modality} columns {_some(wanted)}; the recording has the "
            f"{len(frames.columns)} of {frames.set_name}: {_some(frames.columns)}. Extract it with the set that the "
            "model was trained on (`modashift features` lists them)"
        )


def _some(columns: Sequence[str]) -> str:
    return ", ".join(columns[:6]) + (" …" if len(columns) > 6 else "")


def _means(frames: Frames, spans: Sequence[Span]) -> Feature:
    """One vector an utterance: the mean of its valid frames, values that are not finite left out."""
    found: list[NDArray[np.float32]] = []
    for span in spans:
        values = frames.values[frames.inside(span)].astype(np.float64)
        finite = np.isfinite(values)
        mean = np.where(finite, values, 0).sum(0) / np.maximum(finite.sum(0), 1)
        found.append(mean[None].astype(np.float32) if len(values) else np.zeros((0, values.shape[1]), np.float32))
    packed = Feature.pack(found, len(frames.columns))
    return replace(packed, alignment="utterance", columns=frames.columns)
