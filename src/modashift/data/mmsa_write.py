"""Writing MMSA's layout, which other code bases read."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modashift.atomic import atomic_file
from modashift.data.classes import require_scores
from modashift.data.dataset import Dataset
from modashift.errors import DataError

__all__ = ["write_mmsa"]

_KEYS = {"visual": "vision", "acoustic": "audio"}
_SPLITS = {"train": "train", "dev": "valid", "test": "test"}


def write_mmsa(
    dataset: Dataset, path: Path | str, tokenize: Callable[[str], Sequence[int]] | None = None, length: int = 50
) -> None:
    """Write a pickle like ``aligned_50.pkl`` or, where features are frames, ``unaligned_50.pkl``.

    Word k of an utterance stands at step 1 + k, as after [CLS]; arrays are as long as the longest utterance needs, and
    at least `length` steps. Ids ``GROUP_k`` are written ``GROUP$_$k``, others ``GROUP$_$ID``, which read back as
    ``GROUP_ID``. Linguistic features are written as ``text`` only where they are word-aligned. Where the
    words are not the raw text split at white space, the words joined take the text's place, since readers of the layout
    split it. A missing modality is all zeros, and reads back as such.

    Args:
        dataset: what to write.
        path: of the pickle.
        tokenize: text to word-piece numbers with special tokens; adds ``text_bert`` (N, 3, L). Left out without it.
        length: fewest steps of word-aligned arrays.

    Raises:
        DataError: labels that are classes, linguistic features that are not word-aligned, or a word count that does
            not fit the steps.
    """
    path = Path(path)
    require_scores(dataset, "MMSA's layout holds sentiment scores")
    content: dict[str, dict[str, Any]] = {}
    longest = max((len(w) for w in dataset.words), default=0)
    length = max(length, longest + 2)
    aligned = any(feature.alignment == "word" for feature in dataset.features.values())
    texts = [_text(dataset, row) if aligned else dataset.texts[row] for row in range(len(dataset))]
    for split, name in _SPLITS.items():
        rows = dataset.rows(split)
        labels = dataset.labels[rows]
        part: dict[str, Any] = {
            "raw_text": np.array([texts[r] for r in rows], dtype=str),
            "id": np.array([_clip(dataset.ids[r], dataset.groups[r]) for r in rows], dtype=str),
            "regression_labels": labels.astype(np.float32),
            "classification_labels": (np.sign(np.nan_to_num(labels)) + 1).astype(np.float32),
            "annotations": np.array(
                ["Negative" if v < 0 else "Positive" if v > 0 else "Neutral" for v in labels], dtype=str
            ),
        }
        for modality, feature in dataset.features.items():
            if modality == "linguistic" and feature.alignment != "word":
                raise DataError(
                    f"{dataset.name}: MMSA's layout holds linguistic features of words only; leave them out with "
                    "--features visual,acoustic"
                )
            found = [np.asarray(feature[int(r)], dtype=np.float32) for r in rows]
            key = _KEYS.get(modality, "text")
            if feature.alignment == "word":
                for r, steps in zip(rows, found):
                    if len(steps) > len(dataset.words[r]):
                        raise DataError(
                            f"{dataset.name}: {dataset.ids[r]} has {len(dataset.words[r])} words but {len(steps)} "
                            f"{modality} steps, though they are declared word-aligned"
                        )
                part[key] = _pad(found, length, feature.dim, first=1)
            else:
                steps_needed = int(feature.lengths.max(initial=1))
                part[key] = _pad(found, steps_needed, feature.dim, first=0)
                part[f"{key}_lengths"] = [len(steps) for steps in found]
        if tokenize is not None:
            pieces = [list(tokenize(texts[r])) for r in rows]
            part["text_bert"] = _text_bert(pieces, max(length, *(len(p) for p in pieces), 0))
        content[name] = part
    with atomic_file(path) as file:
        pickle.dump(content, file, protocol=4)


def _text(dataset: Dataset, row: int) -> str:
    """The raw text; or the words joined, where splitting the text would not give the words that steps belong to."""
    text, words = dataset.texts[row], list(dataset.words[row])
    if text.split() == words:
        return text
    joined = " ".join(words)
    if joined.split() != words:
        raise DataError(f"{dataset.name}: {dataset.ids[row]} has a word that is empty or holds white space")
    return joined


def _clip(identifier: str, group: str) -> str:
    if identifier == group:
        return identifier
    return f"{group}$_${identifier.removeprefix(f'{group}_')}"


def _pad(sequences: list[Any], length: int, dim: int, first: int) -> Any:
    padded = np.zeros((len(sequences), length, dim), dtype=np.float32)
    for row, steps in zip(padded, sequences):
        row[first : first + len(steps)] = steps
    return padded


def _text_bert(pieces: list[list[int]], length: int) -> Any:
    """(N, 3, L): numbers, mask, and segments, which are all 0."""
    packed = np.zeros((len(pieces), 3, length), dtype=np.float32)
    for row, numbers in zip(packed, pieces):
        row[0, : len(numbers)] = numbers
        row[1, : len(numbers)] = 1
    return packed
