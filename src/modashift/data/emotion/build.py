"""A corpus and the features of its recordings, put together as a data set of classes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modashift.data.build import Row, assemble, file_sha256
from modashift.data.dataset import Alignment, Dataset
from modashift.data.emotion.corpus import Corpus, CorpusRow, spoken_words
from modashift.data.emotion.speakers import standardise_speakers
from modashift.errors import DataError
from modashift.extract.align import Statistic, align_to_words
from modashift.extract.recording import Frames

__all__ = ["PAUSES", "Statistics", "Steps", "build_dataset", "pauses_after"]

Steps = Literal["word", "frame", "utterance"]
Statistics = Literal["mean", "mean+sd"]
PAUSES = "pauses"  # name of the feature set of the silence after each word
REACH = 0.04  # seconds from a word in which a frame counts for it where none lies within it
MANY = 8  # files whose hashes are kept one by one


@dataclass
class _Tally:
    """What had to be filled or left out, for the notes."""

    missing: list[str] = field(default_factory=list)
    untimed: int = 0
    words: int = 0
    filled: int = 0
    entries: int = 0

    def notes(self) -> list[str]:
        said = []
        if self.missing:
            said.append(
                f"{len(self.missing)} recordings without sound that could be read ({self.missing[0]} for example)"
            )
        if self.untimed:
            said.append(f"{self.untimed} recordings have no word times; all their words stand for the whole recording")
        if self.filled:
            said.append(f"{self.filled} of {self.words} words had no frame and stand at the mean of the other words")
        if self.entries:
            said.append(
                f"{self.entries} entries without a finite value stand at the mean of their recording (0 if none)"
            )
        return said


def build_dataset(
    corpus: Corpus,
    frames: Mapping[str, Frames | DataError] | None = None,
    steps: Steps = "word",
    statistics: Statistics = "mean",
    given: Sequence[str] = (),
    pauses: bool = False,
    by_speaker: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Dataset:
    """Make a data set of classes; nothing of it depends on the splits or on the classes.

    Args:
        corpus: recordings, texts and classes.
        frames: acoustic features by id of the recording, or why it has none; none at all where not given.
        steps: one step a ``word`` (the corpus must have their times; where a recording lacks them, each of its words
            has the statistics of all of it), a ``frame`` as it was made, or one an ``utterance`` (from the first word
            to the last; all of it where the times are not known).
        statistics: of the frames of a word or an utterance: the ``mean``, or ``mean+sd`` with the standard deviations
            after the means.
        given: features that come with the corpus, by name.
        pauses: the silence after each word, as linguistic features of one column, in seconds; see `pauses_after`.
        by_speaker: standardise visual and acoustic features by each speaker's own mean and deviation; see
            `standardise_speakers`.
        options: what else the features were made with, for the provenance.

    Raises:
        DataError: features that do not come with the corpus, word times that it lacks, recordings with different
            columns, or a speaker with too few recordings to be standardised.
    """
    for name in given:
        if name not in corpus.given:
            there = ", ".join(corpus.given) or "none"
            raise DataError(f"{corpus.name}: no features {name} come with it ({there} do)")
    if ((frames is not None and steps == "word") or pauses) and not any(row.words for row in corpus.rows):
        raise DataError(f"{corpus.name} has no word times; take steps of a frame or of an utterance instead")
    number = {name: float(k) for k, name in enumerate(corpus.classes)}
    tally, rows = _Tally(), []
    columns, alignments = _layout(corpus, frames, steps, statistics, given)
    for about in corpus.rows:
        words = [word.text for word in about.words] or list(spoken_words(about.text))
        group = about.session if corpus.group == "session" else about.speaker
        row = Row(about.id, group, about.split, number[about.label], about.text, words)
        for name in given:
            own = corpus.given[name]
            if about.id in own.vectors:
                row.features[own.modality] = own.vectors[about.id][None]
        if frames is not None:
            found = frames[about.id]
            if isinstance(found, DataError):
                tally.missing.append(str(found))
            else:
                row.features["acoustic"] = _steps(found, about, steps, statistics, tally)
        if pauses and about.words:
            row.features["linguistic"] = pauses_after(about)
        rows.append(row)
    if pauses:
        columns["linguistic"], alignments["linguistic"] = ("pause_after",), "word"
    provenance = {
        "format": "corpus",
        "source": corpus.name,
        "sha256": _hashes(corpus),
        "options": {"steps": steps, "statistics": statistics, "by_speaker": by_speaker, **(options or {})},
        "notes": [*corpus.notes, *tally.notes()],
    }
    if corpus.group == "speaker":
        provenance["speakers"] = {r.speaker: {"session": r.session, "sex": r.sex} for r in corpus.rows}
    dataset = assemble(corpus.name, rows, alignments, provenance, columns, corpus.classes)
    return standardise_speakers(dataset, [row.speaker for row in corpus.rows]) if by_speaker else dataset


def pauses_after(row: CorpusRow) -> NDArray[np.float32]:
    """Seconds of silence after each word (W, 1); 0 where the next word follows at once, and after the last word."""
    starts = [word.start for word in row.words[1:]]
    gaps = [max(0.0, start - word.end) for word, start in zip(row.words, starts)]
    return np.array([*gaps, 0.0], dtype=np.float32)[:, None]


def _layout(
    corpus: Corpus,
    frames: Mapping[str, Frames | DataError] | None,
    steps: Steps,
    statistics: Statistics,
    given: Sequence[str],
) -> tuple[dict[str, Sequence[str]], dict[str, Alignment]]:
    """Names of the columns and alignment of each modality; refuses two feature sets for one modality."""
    columns: dict[str, Sequence[str]] = {}
    alignments: dict[str, Alignment] = {}
    for name in given:
        own = corpus.given[name]
        if own.modality in columns:
            raise DataError(f"{corpus.name}: two feature sets are {own.modality}; take one of them")
        columns[own.modality], alignments[own.modality] = own.columns, "utterance"
    if frames is not None:
        if "acoustic" in columns:
            raise DataError(f"{corpus.name}: two feature sets are acoustic; take one of them")
        sets = [f.columns for f in frames.values() if isinstance(f, Frames)]
        if any(own != sets[0] for own in sets[1:]):
            raise DataError(f"{corpus.name}: recordings have different columns; make all features in the same way")
        names = sets[0] if sets else ()
        if steps != "frame" and statistics == "mean+sd":
            names = (*names, *(f"{name}:sd" for name in names))
        columns["acoustic"], alignments["acoustic"] = names, steps
    return columns, alignments


def _steps(frames: Frames, row: CorpusRow, steps: Steps, statistics: Statistics, tally: _Tally) -> NDArray[Any]:
    """Features of one recording (T, D), finite; no step at all where it has no valid frame."""
    if steps == "frame":
        values = frames.values[frames.mask].astype(np.float64)
        return _finite(values, values, tally).astype(frames.values.dtype)  # hidden states stay as short as they are
    whole = (0.0, np.inf)
    if steps == "utterance":
        spans = np.array([(row.words[0].start, row.words[-1].end) if row.words else whole])
    elif row.words:
        spans = np.array([(word.start, word.end) for word in row.words])
    else:
        tally.untimed += 1
        spans = np.tile(whole, (len(spoken_words(row.text)), 1))
    how: list[Statistic] = ["mean", "sd"] if statistics == "mean+sd" else ["mean"]
    # Without any finite frame a statistic is 0; that is no measurement, so count where there is one.
    width = len(frames.columns)
    aligned = align_to_words(frames.values, frames.times, spans, how=how, mask=frames.mask, reach=REACH)
    if not aligned.mask.any():
        return np.zeros((0, width * len(how)), dtype=np.float32)
    measured = align_to_words(
        np.where(np.isfinite(frames.values), 1.0, 0.0), frames.times, spans, how="max", mask=frames.mask, reach=REACH
    ).values
    values = np.where(np.tile(measured > 0, len(how)) & aligned.mask[:, None], aligned.values, np.nan)
    tally.words += len(spans)
    tally.filled += int((~aligned.mask).sum())
    return _finite(values, values[aligned.mask], tally).astype(np.float32)


def _finite(values: NDArray[np.float64], found: NDArray[np.float64], tally: _Tally) -> NDArray[np.float64]:
    """Put the mean of what was found, column by column, where there is nothing; 0 in a column without anything."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return values
    known = np.isfinite(found)
    mean = np.where(known, found, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    tally.entries += int(bad[np.isfinite(values).any(1)].sum())
    return np.where(bad, mean, values)


def _hashes(corpus: Corpus) -> dict[str, str]:
    """Hashes of the files with labels and texts; of many files, the hash of their hashes."""
    if len(corpus.files) <= MANY:
        return {path.name: file_sha256(path) for path in corpus.files}
    together = hashlib.sha256("".join(file_sha256(path) for path in corpus.files).encode())
    return {f"{len(corpus.files)} files": together.hexdigest()}
