"""MMSA's pickles: padded arrays by split, word-aligned (``aligned_50``) or each modality at its own rate.

The files do not say which steps are padding, nor where the words stand. Both are decided from the values: see `_place`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.data import safe_pickle
from modashift.data.build import SPLIT_NAMES, Row, assemble, origin
from modashift.data.dataset import Alignment, Dataset
from modashift.errors import DataError

__all__ = ["is_mmsa", "parse_mmsa", "read_mmsa"]

_KEYS = {"linguistic": "text", "visual": "vision", "acoustic": "audio"}
_REQUIRED = ("raw_text", "id", "regression_labels")
_AGREE = 0.9  # share of utterances that must end exactly at the last word for steps to count as words


@dataclass(frozen=True)
class _Part:
    """One split as arrays: features (N, T, D), lengths (N,) where the file has them, text mask sums (N,)."""

    split: str
    ids: list[str]
    texts: list[str]
    labels: NDArray[np.float64]
    features: dict[str, NDArray[Any]]
    lengths: dict[str, NDArray[np.int64]]


def is_mmsa(content: Any) -> bool:
    """Whether a loaded pickle has the keys of this layout."""
    if not isinstance(content, Mapping):
        return False
    return any(isinstance(content.get(s), Mapping) and "regression_labels" in content[s] for s in SPLIT_NAMES)


def read_mmsa(path: Path | str) -> Dataset:
    """Read ``aligned_50.pkl``, ``unaligned_50.pkl``, or SIMS's ``unaligned_39.pkl``.

    Clip ids ``VIDEO$_$k`` become ``VIDEO_k`` of group ``VIDEO``, with k counting from 1; where a clip 0 occurs, the
    file counts from 0 and one is added. Words are the raw text split at white space.

    Raises:
        DataError: the file is unreadable or not of this layout; names split, key and row.
    """
    path = Path(path)
    return parse_mmsa(safe_pickle.load(path), path)


def parse_mmsa(content: Any, path: Path) -> Dataset:
    """Make a data set of a loaded pickle; `path` is where it came from."""
    if not is_mmsa(content):
        raise DataError(f"{path} is not in MMSA's layout: expected train, valid and test, each with regression_labels")
    parts = [_part(content[n], SPLIT_NAMES[n], f"{path}, {n}") for n in content if n in SPLIT_NAMES]
    from_zero = any(clip == 0 for part in parts for _, clip in map(_clip, part.ids))
    words = [[text.split() for text in part.texts] for part in parts]
    notes: list[str] = []
    alignments: dict[str, Alignment] = {}
    steps: dict[str, list[list[NDArray[np.float32]]]] = {}
    for modality, key in _KEYS.items():
        if any(modality in part.features for part in parts):
            missing = [part.split for part in parts if modality not in part.features]
            if missing:
                raise DataError(f"{path}: the key {key!r} is missing in {', '.join(missing)} only")
            alignments[modality], steps[modality] = _sequences(modality, parts, words, notes)
    rows = []
    for p, part in enumerate(parts):
        for k, original in enumerate(part.ids):
            group, clip = _clip(original)
            number = clip + 1 if from_zero and isinstance(clip, int) else clip
            identifier = group if clip is None else f"{group}_{number}"
            features = {modality: found[p][k] for modality, found in steps.items()}
            row = Row(identifier, group, part.split, float(part.labels[k]), part.texts[k], words[p][k], features)
            rows.append(row)
    provenance = origin(path, "mmsa", notes)
    return assemble(path.stem, rows, alignments, {**provenance, "first_clip": 0 if from_zero else 1})


def _clip(identifier: str) -> tuple[str, int | str | None]:
    video, separator, clip = identifier.partition("$_$")
    return video, (int(clip) if clip.isdecimal() else clip) if separator else None


def _part(content: Any, split: str, where: str) -> _Part:
    if not isinstance(content, Mapping):
        raise DataError(f"{where}: expected a dictionary of arrays, found a {type(content).__name__}")
    for key in _REQUIRED:
        if key not in content:
            raise DataError(f"{where}: the key {key!r} is missing; it is part of MMSA's layout")
    ids, texts = ([_string(s) for s in np.ravel(content[key])] for key in ("id", "raw_text"))
    labels = _numbers(content["regression_labels"], f"{where}, regression_labels").astype(np.float64).ravel()
    features, lengths = {}, {}
    for modality, key in _KEYS.items():
        if key not in content:
            continue
        features[modality] = values = _numbers(content[key], f"{where}, {key}")
        if values.ndim != 3:
            raise DataError(f"{where}, {key}: expected (utterances, steps, columns), found shape {values.shape}")
        if f"{key}_lengths" in content:
            found = _numbers(content[f"{key}_lengths"], f"{where}, {key}_lengths").astype(np.int64).ravel()
            if len(found) != len(values) or (found < 0).any() or (found > values.shape[1]).any():
                raise DataError(
                    f"{where}, {key}_lengths: expected {len(values)} lengths of 0 to {values.shape[1]} steps"
                )
            lengths[modality] = found
    if "linguistic" in features and "text_bert" in content:  # the mask, as floats in most files
        pieces = _numbers(content["text_bert"], f"{where}, text_bert")
        if pieces.ndim != 3 or pieces.shape[1] != 3:
            raise DataError(f"{where}, text_bert: expected (utterances, 3, steps), found shape {pieces.shape}")
        if pieces.shape[::2] == features["linguistic"].shape[:2]:
            lengths["linguistic"] = (pieces[:, 1] > 0).sum(1).astype(np.int64)
    counts = {"id": len(ids), "raw_text": len(texts), "regression_labels": len(labels)}
    counts |= {_KEYS[m]: len(values) for m, values in features.items()}
    if len(set(counts.values())) != 1:
        raise DataError(f"{where}: unequal numbers of utterances: {', '.join(f'{k} {n}' for k, n in counts.items())}")
    return _Part(split, ids, texts, labels, features, lengths)


def _sequences(
    modality: str, parts: list[_Part], words: list[list[list[str]]], notes: list[str]
) -> tuple[Alignment, list[list[NDArray[np.float32]]]]:
    """Cut the padding off: alignment, and by part and utterance the real steps (T, D)."""
    if all(part.features[modality].shape[1] == 1 for part in parts):
        return "utterance", [[_float32(v) for v in part.features[modality]] for part in parts]
    if modality != "linguistic" and all(modality in part.lengths for part in parts):
        return "frame", [
            [_float32(v[:n]) for v, n in zip(part.features[modality], part.lengths[modality])] for part in parts
        ]
    # NaN counts as a value here: it is not padding, and the checks are to find it.
    real = [(part.features[modality] != 0).any(-1) for part in parts]
    counts = [np.array([len(w) for w in row_words], dtype=np.int64) for row_words in words]
    if modality == "linguistic":
        if all(modality in part.lengths for part in parts):
            spans = [part.lengths[modality] for part in parts]
            if all((n == c + 2).all() for n, c in zip(spans, counts)):  # no word was cut in pieces: [CLS] words [SEP]
                return "word", [
                    [_float32(v[1 : n - 1]) for v, n in zip(part.features[modality], span)]
                    for part, span in zip(parts, spans)
                ]
            notes.append("text: steps are word pieces with [CLS] and [SEP], kept as frames; the mask gives the lengths")
            return "frame", [
                [_float32(v[:n]) for v, n in zip(part.features[modality], n_real)] for part, n_real in zip(parts, spans)
            ]
        place = None
    else:
        place = _place(real, counts)
    if place is not None:
        notes.append(f"{_KEYS[modality]}: steps are words, {place}")
        cut = sum(int((c > _room(r.shape[1], place)).sum()) for r, c in zip(real, counts))
        if cut:
            notes.append(f"{_KEYS[modality]}: {cut} utterances have more words than steps; the last words have none")
        return "word", [
            [_float32(v[_span(place, len(v), n, r)]) for v, n, r in zip(part.features[modality], c, mask)]
            for part, c, mask in zip(parts, counts, real)
        ]
    notes.append(f"{_KEYS[modality]}: steps do not match the words, kept as frames; zeros at the ends were cut off")
    return "frame", [
        [_float32(v[_trim(r)]) for v, r in zip(part.features[modality], mask)] for part, mask in zip(parts, real)
    ]


_AFTER_CLS, _AT_START, _AT_END = "after one for [CLS]", "from the first step", "up to the last step"


def _place(real: list[NDArray[np.bool_]], counts: list[NDArray[np.int64]]) -> str | None:
    """Where the words stand in padded rows, or None where no place explains the values.

    A place explains them if no value lies outside the words' steps in any row, and the outermost word has a value in
    nearly every row; a zero step within the words is a missing one, which is why the inside proves nothing.

    Args:
        real: by part (N, T), True where a step has any value.
        counts: by part (N,), words of the raw text.
    """
    for place in (_AFTER_CLS, _AT_START, _AT_END):
        outside, exact, total = False, 0, 0
        for mask, count in zip(real, counts):
            length = mask.shape[1]
            step = np.arange(length)
            n = np.minimum(count, _room(length, place))[:, None]
            first = {_AFTER_CLS: np.ones_like(n), _AT_START: np.zeros_like(n), _AT_END: length - n}[place]
            # The last step may hold a word or [SEP] where the text was cut off to fit.
            inside = (step >= first) & (step < first + n + (place == _AFTER_CLS) * (count > n[:, 0])[:, None])
            outside = outside or bool((mask & ~inside).any())
            edge = length - n[:, 0] if place == _AT_END else first[:, 0] + n[:, 0] - 1
            some = mask.any(1) & (n[:, 0] > 0)
            exact += int(mask[np.flatnonzero(some), edge[some]].sum())
            total += int(some.sum())
        if not outside and total and exact >= _AGREE * total:
            return place
    return None


def _room(length: int, place: str) -> int:
    """Most words that fit: [CLS] and [SEP] take a step each where they have one."""
    return length - 2 if place == _AFTER_CLS else length


def _span(place: str, length: int, words: int, real: NDArray[np.bool_]) -> slice:
    n = min(int(words), _room(length, place))
    if place == _AFTER_CLS:
        return slice(1, 1 + n + int(words > n and real[-1]))
    return slice(0, n) if place == _AT_START else slice(length - n, length)


def _trim(real: NDArray[np.bool_]) -> slice:
    found = np.flatnonzero(real)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def _numbers(values: Any, where: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
        array = array.astype(np.float64) if array.dtype.kind == "O" else array
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: not an array of numbers ({error})") from error
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where}: not an array of numbers (type {array.dtype})")
    return array


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which the checks report
        return values.astype(np.float32, copy=False)


def _string(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
