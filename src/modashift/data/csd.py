"""Computational sequences of the CMU-MultimodalSDK (``.csd``, HDF5): words, labels and features, aligned here.

The features of a word are the mean over all entries whose interval overlaps the word's, as the SDK does it; with prefix
sums and binary search instead of a loop over entries.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modashift.data.build import SPLIT_NAMES, Row, assemble, origin
from modashift.data.dataset import Dataset
from modashift.errors import DataError

__all__ = ["overlap_means", "read_csd"]

PAUSE = "sp"
_HINTS = {
    "visual": ("visual", "facet", "openface", "face", "vision"),
    "acoustic": ("covarep", "acoustic", "opensmile", "audio"),
    "linguistic": ("glove", "word vector", "wordvector", "bert"),
}


@dataclass(frozen=True)
class _Sequence:
    """One file: by video, features (T, D) or words, and intervals (T, 2) in seconds."""

    path: Path
    root: str
    columns: tuple[str, ...]
    kind: Literal["words", "labels", "features"]
    features: dict[str, NDArray[Any]]
    intervals: dict[str, NDArray[np.float64]]


def read_csd(
    path: Path | str,
    split: str | None = None,
    words_offset: int | None = None,
    pauses: Literal["drop", "keep"] = "drop",
) -> Dataset:
    """Read a folder with a word sequence, a label sequence, and any number of feature sequences.

    A file whose entries are byte strings holds the words, one whose root name speaks of labels holds the labels (its
    first column is the sentiment), and any other is features of the modality that its name tells (``FACET``,
    ``OpenFace``, ``COVAREP``, ``OpenSmile``, ``glove``). Segment k of a video, counting from 1 in order of time,
    becomes utterance ``VIDEO_k``; its words are those whose middle lies in the segment.

    Args:
        path: the folder.
        split: a file with the standard folds: JSON (split to list of videos or of ids) or CSV (columns ``id`` or
            ``video``, and ``split``); videos it does not name are left out. Or train, dev or test for everything.
        words_offset: by how many entries the word times run ahead of the words: 1 in the published MOSI file, whose
            word i has its interval at entry i − 1; 0 in files that are right. Where not given it is 1 only if
            the durations of long and short words show it.
        pauses: drop the entries ``sp``, or keep them as words.

    Raises:
        DataError: a file is missing, damaged or cannot be told apart, or nothing overlaps.
    """
    path = Path(path)
    files = sorted(path.glob("*.csd")) if path.is_dir() else []
    if not files:
        raise DataError(f"{path}: give the folder that holds the .csd files")
    if split is None:
        raise DataError(
            f"{path}: computational sequences do not tell the splits; give split= a JSON or CSV file with the standard "
            "folds, or train, dev or test for all of it"
        )
    if pauses not in {"drop", "keep"}:
        raise DataError(f"pauses {pauses!r} is not one of drop, keep")
    sequences = [_read(file) for file in files]
    words, labels = (_only(sequences, kind, path) for kind in ("words", "labels"))
    tracks = _tracks([s for s in sequences if s.kind == "features"])
    offset = _detect_offset(words) if words_offset is None else words_offset
    if offset not in {0, 1}:
        raise DataError(f"words_offset is 0 or 1, got {offset}")
    split_of = _splits(split)
    rows, empty = [], 0
    for video in labels.features:
        spoken, spans = _words(words, video, offset, pauses)
        aligned = {
            modality: overlap_means(s.features[video], s.intervals[video], spans)
            for modality, s in tracks.items()
            if video in s.features
        }
        order = np.argsort(labels.intervals[video][:, 0], kind="stable")
        for number, k in enumerate(order, 1):
            identifier = f"{video}_{number}"
            declared = split_of(identifier, video)
            if declared is None:
                continue
            start, end = labels.intervals[video][k]
            middle = spans.mean(1)
            inside = np.flatnonzero((middle >= start) & (middle < end))
            said = [spoken[i] for i in inside]
            if not said:
                empty += 1
                continue
            features = {modality: steps[inside] for modality, steps in aligned.items()}
            score = float(labels.features[video][k, 0])
            rows.append(Row(identifier, video, declared, score, " ".join(said), said, features))
    notes = [f"word times {'run one entry ahead of the words and were put right' if offset else 'taken as they are'}"]
    if empty:
        notes.append(f"{empty} segments without any word were left out")
    shown = split if split in SPLIT_NAMES else Path(split).name
    provenance = origin(path, "csd", notes, files, split=shown, words_offset=offset, pauses=pauses)
    columns = {modality: s.columns for modality, s in tracks.items()}
    return assemble(path.name, rows, dict.fromkeys(tracks, "word"), provenance, columns)


def overlap_means(
    values: NDArray[Any], intervals: NDArray[np.float64], spans: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Mean of the entries that overlap each span; zero where none does.

    Args:
        values: (T, D) features.
        intervals: (T, 2) start and end of each entry, in seconds.
        spans: (W, 2) start and end of each word, in seconds.

    Returns:
        (W, D). A NaN or infinite entry makes only the words it overlaps NaN or infinite.
    """
    if not len(values) or not len(spans):
        return np.zeros((len(spans), values.shape[1] if values.ndim == 2 else 0), dtype=np.float32)
    # An entry overlaps a span if it starts before the span's end and does not end by its start. Those that end by its
    # start all start before its end, so the sum over the rest is a difference of two prefix sums, in two orders.
    stop = np.maximum(spans[:, 1], np.nextafter(spans[:, 0], np.inf))
    by_start, by_end = (np.argsort(intervals[:, side], kind="stable") for side in (0, 1))
    started = np.searchsorted(intervals[by_start, 0], stop, side="left")
    ended = np.searchsorted(intervals[by_end, 1], spans[:, 0], side="right")

    def sums(entries: NDArray[Any]) -> NDArray[np.float64]:
        return _prefix(entries[by_start])[started] - _prefix(entries[by_end])[ended]

    bad = ~np.isfinite(values)
    total = sums(np.where(bad, 0, values) if bad.any() else values)
    count = (started - ended)[:, None]
    means = np.zeros_like(total)
    np.divide(total, count, out=means, where=count > 0)
    if bad.any():  # put back where they belong, since within a prefix sum they would spread
        for kind in (np.nan, np.inf, -np.inf):
            held = sums(np.isnan(values) if np.isnan(kind) else values == kind) > 0
            with np.errstate(invalid="ignore"):  # infinities of both signs make NaN
                means[held] += kind
    return means.astype(np.float32)


def _prefix(values: NDArray[Any]) -> NDArray[np.float64]:
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, dtype=np.float64, out=sums[1:])
    return sums


def _read(path: Path) -> _Sequence:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            roots = list(file)
            if len(roots) != 1 or "data" not in file[roots[0]]:
                raise DataError(f"{path} is not a computational sequence: expected ROOT/data/VIDEO")
            data = file[roots[0]]["data"]
            features: dict[str, NDArray[Any]] = {}
            intervals: dict[str, NDArray[np.float64]] = {}
            for video in data:
                features[video] = values = np.asarray(data[video]["features"])
                intervals[video] = times = np.asarray(data[video]["intervals"], dtype=np.float64)
                if times.shape != (len(values), 2) or not (times[:, 0] <= times[:, 1]).all():
                    raise DataError(f"{path}, {video}: expected {len(values)} intervals (start, end) in seconds")
            columns = _columns(file[roots[0]])
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise DataError(f"{path} is not a readable computational sequence ({error}); fetch it again") from error
    if not features:
        raise DataError(f"{path} holds no video")
    first = next(iter(features.values()))
    if first.dtype.kind in "SOU":
        return _Sequence(path, roots[0], columns, "words", features, intervals)
    for video, values in features.items():
        if values.ndim != 2 or values.dtype.kind not in "fiu":
            raise DataError(f"{path}, {video}: expected features (steps, columns), found shape {values.shape}")
    kind: Literal["labels", "features"] = "labels" if "label" in f"{roots[0]} {path.stem}".lower() else "features"
    fits = len(columns) == first.shape[1]
    return _Sequence(path, roots[0], columns if fits else (), kind, features, intervals)


def _columns(root: Any) -> tuple[str, ...]:
    """Names of the columns, where the metadata hold them as a JSON list."""
    try:
        names = json.loads(root["metadata"]["dimension names"][0])
    except (KeyError, ValueError, TypeError, IndexError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _only(sequences: Sequence[_Sequence], kind: str, path: Path) -> _Sequence:
    found = [s for s in sequences if s.kind == kind]
    if len(found) != 1:
        names = ", ".join(s.path.name for s in found) or "none"
        raise DataError(f"{path}: expected one .csd file with {kind}, found {names}")
    return found[0]


def _tracks(sequences: Sequence[_Sequence]) -> dict[str, _Sequence]:
    tracks: dict[str, _Sequence] = {}
    for sequence in sequences:
        name = f"{sequence.root} {sequence.path.stem}".lower()
        told = [modality for modality, hints in _HINTS.items() if any(hint in name for hint in hints)]
        if len(told) != 1:
            raise DataError(
                f"{sequence.path}: its name does not tell the modality; rename it to visual_*.csd, acoustic_*.csd or "
                "glove_*.csd"
            )
        if told[0] in tracks:
            raise DataError(
                f"{sequence.path} and {tracks[told[0]].path.name} are both {told[0]}; leave one in the folder"
            )
        tracks[told[0]] = sequence
    return tracks


def _text(entry: Any) -> str:
    entry = np.ravel(entry)[0] if isinstance(entry, np.ndarray) else entry
    return entry.decode("utf-8", "replace") if isinstance(entry, bytes) else str(entry)


def _words(sequence: _Sequence, video: str, offset: int, pauses: str) -> tuple[list[str], NDArray[np.float64]]:
    """Words of a video and their times (W, 2)."""
    if video not in sequence.features:
        raise DataError(f"{sequence.path} has no words of the video {video}, which has labels")
    spoken = [_text(entry) for entry in sequence.features[video]]
    spans = sequence.intervals[video]
    if offset:  # word i is at entry i − 1; all that is known of the first is that it ends where the next begins
        spans = np.concatenate([[[0.0, spans[0, 0]]], spans[:-1]])
    if pauses == "drop":
        keep = np.array([word != PAUSE for word in spoken], dtype=bool)
        spoken, spans = [word for word in spoken if word != PAUSE], spans[keep]
    return spoken, spans


def _detect_offset(sequence: _Sequence) -> int:
    """Whether the words run one entry behind their times.

    Long words take longer to say than short ones, so over a whole file the length in letters goes with the duration of
    the right entry, and hardly with that of its neighbour. (Pauses are left out: their length says nothing.)
    """
    letters: list[int] = []
    durations: tuple[list[float], list[float]] = ([], [])
    for video, entries in sequence.features.items():
        spoken = [_text(entry) for entry in entries]
        length = sequence.intervals[video] @ np.array([-1.0, 1.0])
        for i in range(1, len(spoken)):
            if spoken[i] != PAUSE:
                letters.append(len(spoken[i]))
                durations[0].append(float(length[i]))
                durations[1].append(float(length[i - 1]))
    if len(letters) < 200:  # too few to prove anything
        return 0
    ranks = np.argsort(np.argsort(letters, kind="stable"), kind="stable")
    fits = [np.corrcoef(ranks, np.argsort(np.argsort(d, kind="stable"), kind="stable"))[0, 1] for d in durations]
    return int(fits[1] > fits[0] + 0.1)


def _splits(given: str) -> Any:
    """Function from id and video to the split, or None where neither is named."""
    if given in SPLIT_NAMES:
        everything = SPLIT_NAMES[given]
        return lambda identifier, video: everything
    path = Path(given)
    try:
        named = _split_json(path) if path.suffix == ".json" else _split_csv(path)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"cannot read the splits {path} ({error}); give train, dev or test, a JSON file (split to list of videos "
            "or ids), or a CSV file with the columns id or video, and split"
        ) from error
    return lambda identifier, video: named.get(identifier, named.get(video))


def _split_json(path: Path) -> Mapping[str, str]:
    named: dict[str, str] = {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("expected an object")
    for split, members in content.items():
        if split not in SPLIT_NAMES or not isinstance(members, list):
            raise ValueError(f"{split!r} is not a split with a list")
        named.update({str(member): SPLIT_NAMES[split] for member in members})
    return named


def _split_csv(path: Path) -> Mapping[str, str]:
    import csv

    named = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for record in csv.DictReader(file):
            member, split = record.get("id") or record.get("video"), record.get("split")
            if not member or split not in SPLIT_NAMES:
                raise ValueError(f"the row {record} names no id or video, or no split")
            named[member] = SPLIT_NAMES[split]
    return named
