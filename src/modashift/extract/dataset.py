"""Extracted recordings to a data set: one row an utterance, features on its words or as frames.

A store has no mask within an utterance, so a word without a valid frame (no face while it was said) needs some value
that a model cannot mistake for a finding. It stands at the mean of the utterance's other words, column by column: what
a model averages over the utterance is then the mean of what was found. How many were filled is said in the provenance.
A modality without any valid frame in an utterance is missing there, and models see it masked.

Hidden states of encoders (`modashift.encoders`) stay in half precision and keep their layers apart. States of word
pieces are frames whatever the others are: a piece is less than a word, and special tokens are none.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modashift.data.build import Row, assemble
from modashift.data.classes import number_labels
from modashift.data.dataset import MODALITIES, Alignment, Dataset
from modashift.data.states import StateColumns
from modashift.errors import DataError
from modashift.extract.align import Statistic, align_to_words
from modashift.extract.labels import Label, Labels, refuse_strangers
from modashift.extract.pile import Pile
from modashift.extract.recording import Clip, Frames, Span

__all__ = ["REACH", "Label", "Labels", "clips_dataset", "column_names"]

REACH = 0.04  # seconds, the time between pictures at 25 a second: a word shorter than that takes the nearest frame
EARLY = 1e-6  # seconds by which times that are computed may lie beside where they should


def clips_dataset(
    clips: Iterable[Clip],
    labels: Labels | None = None,
    *,
    name: str = "recordings",
    alignment: Literal["word", "frame"] = "word",
    statistics: Sequence[Statistic] = ("mean",),
    reach: float = REACH,
    group: str | None = None,
    scratch: Path | None = None,
) -> Dataset:
    """Make a data set of recordings.

    Args:
        clips: read one after the other; only what goes into the data set is kept.
        labels: NaN, ``train`` and the recording's name where nothing is said.
        name: of the data set.
        alignment: features on each ``word``, or the ``frame`` of each modality that are valid within the utterance.
        statistics: of the frames of each word, see `align_to_words`; without meaning for frames.
        reach: seconds from a word in which a frame counts for it where none lies within it; for hidden states at least
            half the time between two of them.
        group: regular expression whose first group, or whole match, in a recording's name is what must not be split;
            the name itself where not given. A group in `labels` counts more.
        scratch: folder in which features are laid until the data set is written elsewhere; it must stay until then.
            In memory where not given.

    Returns:
        Utterances with the ids ``NAME_k``, k from 1. The provenance has the feature sets, and in its notes what was
        filled or left out.

    Raises:
        DataError: recordings have different feature sets, a name occurs twice, a label or the group fits nothing.
    """
    labels = labels or Labels()
    pattern = _pattern(group)
    rows: list[Row] = []
    written: list[str | None] = []
    sets = _Sets()
    counts = _Counts()
    piles: dict[str, Pile] = {}
    sources: dict[str, str] = {}
    for clip in clips:
        if clip.name in sources:
            raise DataError(f"two recordings have the name {clip.name}; extract them together, or rename one")
        sources[clip.name] = clip.sha256
        sets.add(clip)
        for number, span in enumerate(clip.spans, 1):
            identifier = f"{clip.name}_{number}"
            about = labels.of(clip.name, identifier)
            words = [word.text for word in clip.words[span.first : span.stop]]
            row = Row(
                id=identifier,
                group=about.group or _group(pattern, clip.name),
                split=about.split or "train",
                label=math.nan,
                text=" ".join(words),
                words=words,
            )
            for modality, frames in clip.features.items():
                if _alignment(modality, alignment) == "frame":
                    values = _frames(frames, span, counts.of(modality))
                else:
                    values = _on_words(frames, clip, span, statistics, reach, counts.of(modality))
                pile = piles.setdefault(modality, Pile(None if scratch is None else scratch / f"{modality}.values"))
                pile.add(len(rows), values)
            counts.utterance(words)
            written.append(about.label)
            rows.append(row)
    refuse_strangers(labels, sources, {row.id for row in rows})
    scores, classes = number_labels(written, [f"{labels.source}, {row.id}" for row in rows], labels.classes or None)
    for row, score in zip(rows, scores.tolist()):
        row.label = score
    dataset = assemble(
        name,
        rows,
        {},
        {
            "format": "recordings",
            "source": name,
            "sha256": sources,
            "options": {"alignment": alignment, "statistics": list(statistics), "reach": reach, "group": group},
            "feature_sets": {m: f[0] for m, f in sets.found.items()},
            "labels": labels.source or None,
            "notes": counts.notes(alignment),
        },
        classes=classes,
    )
    features = {}
    for modality in (m for m in MODALITIES if m in piles):
        own = _alignment(modality, alignment)
        names = _names(sets.found[modality][1], own, statistics)
        feature = piles[modality].feature(len(rows), own, names)
        if feature is not None:
            features[modality] = feature
    return replace(dataset, features=features)


def column_names(columns: Sequence[str], statistics: Sequence[Statistic]) -> Sequence[str]:
    """Names of word features: those of the frames' columns for means alone, else ``COLUMN:STATISTIC``.

    The statistics of hidden states stand within each layer, so that a layer stays one piece: a layer of width H becomes
    one of as many times H as there are statistics, of the encoder ``ENCODER:STATISTIC+STATISTIC``.
    """
    if list(statistics) == ["mean"]:
        return columns
    if isinstance(columns, StateColumns):
        encoder = f"{columns.encoder}:{'+'.join(statistics)}"
        return StateColumns(encoder, columns.layers, columns.size * len(statistics))
    return tuple(f"{column}:{statistic}" for statistic in statistics for column in columns)


def _alignment(modality: str, wanted: Literal["word", "frame"]) -> Alignment:
    return "frame" if modality == "linguistic" else wanted


def _names(columns: Sequence[str], alignment: str, statistics: Sequence[Statistic]) -> Sequence[str]:
    return columns if alignment == "frame" else column_names(columns, statistics)


@dataclass
class _Count:
    """Of one modality: words, words filled, single entries filled, and entries of a whole utterance set to 0."""

    words: int = 0
    filled: int = 0
    entries: int = 0
    nothing: int = 0


class _Counts:
    """What had to be filled or left out."""

    def __init__(self) -> None:
        self.by: dict[str, _Count] = {}
        self.wordless = 0

    def of(self, modality: str) -> _Count:
        return self.by.setdefault(modality, _Count())

    def utterance(self, words: Sequence[str]) -> None:
        self.wordless += not words

    def notes(self, alignment: str) -> list[str]:
        found = []
        if self.wordless and alignment == "word":
            found.append(
                f"{self.wordless} utterances without words have no features either; alignment frame keeps them"
            )
        for modality, count in self.by.items():
            if count.filled:
                found.append(
                    f"{modality}: {count.filled} of {count.words} words had no valid frame and stand at the mean of "
                    "their utterance's other words"
                )
            if count.entries:
                found.append(f"{modality}: {count.entries} values that were not finite stand at their column's mean")
            if count.nothing:
                found.append(f"{modality}: {count.nothing} columns without a finite value in an utterance are 0 there")
        return found


class _Sets:
    """Name and columns of the feature set of each modality, the same in all recordings."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[str, Sequence[str], str]] = {}

    def add(self, clip: Clip) -> None:
        for modality, frames in clip.features.items():
            name, columns, first = self.found.setdefault(modality, (frames.set_name, frames.columns, clip.name))
            if (frames.set_name, frames.columns) != (name, columns):
                raise DataError(
                    f"{clip.name} has the {modality} features {frames.set_name} ({len(frames.columns)} columns), "
                    f"{first} has {name} ({len(columns)}); extract all recordings with the same options"
                )


def _on_words(
    frames: Frames, clip: Clip, span: Span, statistics: Sequence[Statistic], reach: float, count: _Count
) -> NDArray[Any]:
    """Features (W, D) of the words of an utterance, or no row at all where no word has a valid frame."""
    if isinstance(frames.columns, StateColumns) and len(frames.times) > 1:
        reach = max(reach, float(np.median(np.diff(frames.times))) / 2 + EARLY)
    times = np.array([(w.start, w.end) for w in clip.words[span.first : span.stop]], dtype=np.float64).reshape(-1, 2)
    if not len(times):
        return np.zeros((0, len(frames.columns) * len(statistics)), dtype=np.float32)
    low, high = np.searchsorted(frames.times, [times[:, 0].min() - reach, times[:, 1].max() + reach])
    part = slice(int(low), int(high) + 1)
    values, at, mask = frames.values[part], frames.times[part], frames.mask[part]
    aligned = align_to_words(values, at, times, how=list(statistics), mask=mask, reach=reach)
    if not aligned.mask.any():
        return np.zeros((0, aligned.values.shape[1]), dtype=np.float32)
    known = np.repeat(aligned.mask[:, None], aligned.values.shape[1], axis=1)
    finite = np.isfinite(values)
    if not finite[mask].all():  # a word may have frames and still no finite entry of a column
        some = align_to_words(finite.astype(np.float64), at, times, how="max", mask=mask, reach=reach).values > 0
        known &= np.tile(some, (1, len(statistics)))
    count.words += len(times)
    count.filled += int((~aligned.mask).sum())
    made = _filled(aligned.values, known, aligned.mask, count).astype(frames.values.dtype)
    if isinstance(frames.columns, StateColumns) and len(statistics) > 1:
        parts = made.reshape(len(made), len(statistics), len(frames.columns.layers), frames.columns.size)
        return parts.transpose(0, 2, 1, 3).reshape(made.shape)
    return made


def _frames(frames: Frames, span: Span, count: _Count) -> NDArray[Any]:
    """The valid frames (T, D) within an utterance, or of its words."""
    values = frames.values[frames.inside(span)]
    finite = np.isfinite(values)
    if finite.all():
        return values
    every = np.ones(len(values), dtype=bool)
    return _filled(values.astype(np.float64), finite, every, count).astype(values.dtype)


def _filled(
    values: NDArray[np.float64], known: NDArray[np.bool_], found: NDArray[np.bool_], count: _Count
) -> NDArray[np.float32]:
    """Entries (T, D) that are not known at the mean of those of their column that are, 0 where there is none."""
    total = known.sum(0)
    mean = np.where(known, values, 0.0).sum(0) / np.maximum(total, 1)
    count.entries += int((~known[:, total > 0] & found[:, None]).sum())
    count.nothing += int((total == 0).sum())
    return np.where(known, values, mean).astype(np.float32)


def _pattern(group: str | None) -> re.Pattern[str] | None:
    try:
        return None if group is None else re.compile(group)
    except re.error as error:
        raise DataError(f"group {group!r} is no regular expression ({error})") from error


def _group(pattern: re.Pattern[str] | None, name: str) -> str:
    if pattern is None:
        return name
    match = pattern.search(name)
    if match is None:
        raise DataError(f"the regular expression {pattern.pattern!r} of the groups fits nothing in the name {name}")
    return (match[1] if pattern.groups else match[0]) or name
