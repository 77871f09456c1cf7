"""MAG-BERT's pickles: train, dev and test lists of ((words, visual, acoustic), label, segment)."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modashift.atomic import atomic_file
from modashift.data import safe_pickle
from modashift.data.build import SPLIT_NAMES, Row, assemble, float_steps, from_segment, origin, to_segment
from modashift.data.classes import require_scores
from modashift.data.dataset import Dataset
from modashift.errors import DataError

__all__ = ["parse_mag", "parse_row", "read_mag", "write_mag"]

_ALIGNMENTS: Any = {"visual": "word", "acoustic": "word"}


def read_mag(path: Path | str) -> Dataset:
    """Read ``mosi.pkl`` or ``mosei.pkl`` of MAG-BERT.

    Utterance ``VIDEO[k]`` becomes ``VIDEO_k+1`` of group ``VIDEO``. In versions of the file without segment names,
    utterances are numbered by split and make no groups.

    Raises:
        DataError: the file is unreadable or not of this layout; names the split and row.
    """
    path = Path(path)
    return parse_mag(safe_pickle.load(path), path)


def parse_mag(content: Any, path: Path) -> Dataset:
    """Make a data set of a loaded pickle; `path` is where it came from."""
    if not isinstance(content, Mapping) or not set(content) & set(SPLIT_NAMES):
        raise DataError(f"{path} is not in MAG-BERT's layout: expected a dictionary with train, dev and test")
    rows: list[Row] = []
    for name in content:
        if name not in SPLIT_NAMES:
            raise DataError(f"{path} has the key {name!r}, which is no split (train, dev, test)")
        if not isinstance(content[name], list | tuple):
            raise DataError(f"{path}, {name}: expected a list of utterances, found a {type(content[name]).__name__}")
        for number, item in enumerate(content[name]):
            rows.append(
                parse_row(item, SPLIT_NAMES[name], number, f"{path}, {name}, row {number}", first_is_words=True)
            )
    named = not rows or rows[0].group != rows[0].id
    notes = [] if named else ["no video is named, so validation parts cannot keep videos together"]
    return assemble(path.stem, rows, _ALIGNMENTS, origin(path, "mag", notes))


def parse_row(item: Any, split: str, number: int, where: str, first_is_words: bool) -> Row:
    """One utterance of MAG-BERT's layout, or of MISA's, where word numbers come first and the words last.

    Raises:
        DataError: the parts are not as many or not as long as they should be; starts with `where`.
    """
    try:
        parts, label = item[0], item[1]
        segment = item[2] if len(item) > 2 else None
        words, visual, acoustic = (parts[0] if first_is_words else parts[3]), parts[1], parts[2]
        if len(parts) != (3 if first_is_words else 4):
            raise IndexError
    except (TypeError, IndexError, KeyError):
        layout = "(words, visual, acoustic)" if first_is_words else "(word ids, visual, acoustic, words)"
        raise DataError(f"{where}: expected ({layout}, label, segment)") from None
    if not isinstance(words, Sequence | np.ndarray) or isinstance(words, str | bytes):
        raise DataError(f"{where}: the words are a {type(words).__name__}, expected a list of strings")
    texts = [w.decode("utf-8", "replace") if isinstance(w, bytes) else w for w in words]
    if not all(isinstance(w, str) for w in texts):
        raise DataError(f"{where}: a word is not a string")
    features = {
        "visual": float_steps(visual, f"{where}, visual"),
        "acoustic": float_steps(acoustic, f"{where}, acoustic"),
    }
    for modality, steps in features.items():
        if len(steps) != len(texts):
            raise DataError(
                f"{where}: {len(texts)} words but {len(steps)} {modality} steps; in this layout each word has one, so "
                "the file was cut or joined wrongly: make it again"
            )
    if segment is None:
        identifier = group = f"{split}_{number + 1}"
    else:
        if isinstance(segment, bytes):
            segment = segment.decode("utf-8", "replace")
        identifier, group = from_segment(str(segment))
    return Row(identifier, group, split, _label(label, where), " ".join(texts), tuple(map(str, texts)), features)


def _label(label: Any, where: str) -> float:
    try:
        values = np.asarray(label, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise DataError(f"{where}: the label is not a number") from None
    if values.size not in {1, 7}:  # seven in MOSEI: the sentiment, then six emotions
        raise DataError(f"{where}: the label has {values.size} values; expected the sentiment, or it and six emotions")
    return float(values[0])


def write_mag(dataset: Dataset, path: Path | str) -> None:
    """Write MAG-BERT's layout, which other code bases read.

    Ids of the form ``GROUP_k`` are written ``GROUP[k-1]`` and others as they are; the raw text is not part of the
    layout, only the words are.

    Raises:
        DataError: the labels are classes, or the data set lacks word-aligned visual or acoustic features for every
            word.
    """
    path = Path(path)
    require_scores(dataset, "MAG-BERT's layout holds sentiment scores")
    for modality in _ALIGNMENTS:
        if modality not in dataset.features or dataset.features[modality].alignment != "word":
            raise DataError(
                f"{dataset.name}: the layout of MAG-BERT needs word-aligned {modality} features; export as mmsa instead"
            )
    content: dict[str, list[Any]] = {"train": [], "dev": [], "test": []}
    for utterance in dataset:
        pair = [np.ascontiguousarray(utterance.features[m], dtype=np.float32) for m in _ALIGNMENTS]
        for steps, modality in zip(pair, _ALIGNMENTS):
            if len(steps) != len(utterance.words):
                raise DataError(
                    f"{dataset.name}: {utterance.id} has {len(utterance.words)} words but {len(steps)} {modality} "
                    "steps, which this layout cannot hold; export as mmsa instead"
                )
        segment = to_segment(utterance.id, utterance.group)
        label = np.array([[utterance.label]], dtype=np.float32)
        content[utterance.split].append(((list(utterance.words), *pair), label, segment))
    with atomic_file(path) as file:
        pickle.dump(content, file, protocol=4)
