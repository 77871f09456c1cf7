"""What the readers share: rows to a `Dataset`, identifiers in one convention, where a data set came from."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import MODALITIES, Alignment, Dataset, Feature, Strings
from modashift.errors import DataError

__all__ = [
    "SPLIT_NAMES",
    "Row",
    "assemble",
    "file_sha256",
    "float_steps",
    "from_segment",
    "group_of",
    "origin",
    "to_segment",
]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "val": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
}
"""Names of the splits in the field's files, and ours."""

_SEGMENT = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)
_NUMBERED = re.compile(r"(.+)_(\d+)", re.DOTALL)


@dataclass(slots=True)
class Row:
    """One utterance on its way into a `Dataset`; a modality that is absent or has no step is missing.

    The label is a score or, for a data set of classes, the number of the class, from 0; NaN where unlabelled.
    """

    id: str
    group: str
    split: str
    label: float
    text: str
    words: Sequence[str]
    features: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def assemble(
    name: str,
    rows: Sequence[Row],
    alignments: Mapping[str, Alignment],
    provenance: Mapping[str, Any],
    columns: Mapping[str, Sequence[str]] | None = None,
    classes: Sequence[str] = (),
) -> Dataset:
    """Pack rows into a data set.

    Args:
        name: of the data set; used in messages as well.
        rows: the utterances.
        alignments: of every modality the rows have; a modality no row has is left out.
        provenance: see `origin`.
        columns: names of the columns, where known.
        classes: names of the classes, whose numbers the labels are; none for scores.

    Raises:
        DataError: there is no row, or the widths of a modality differ between rows.
    """
    if not rows:
        raise DataError(f"{name} holds no utterance")
    features = {}
    for modality in MODALITIES:
        present = [(row.id, row.features[modality]) for row in rows if len(row.features.get(modality, ()))]
        if not present:
            continue
        dim = present[0][1].shape[1]
        for identifier, values in present:
            if values.shape[1] != dim:
                raise DataError(
                    f"{name}: {modality} features of {identifier} have {values.shape[1]} columns and those of "
                    f"{present[0][0]} have {dim}; extract all of them in the same way"
                )
        nothing = np.zeros((0, dim), dtype=np.float32)
        packed = Feature.pack([row.features.get(modality, nothing) for row in rows], dim)
        names = (columns or {}).get(modality, ())
        features[modality] = Feature(packed.values, packed.offsets, alignments[modality], names)
    return Dataset(
        name=name,
        ids=Strings.pack(row.id for row in rows),
        groups=Strings.pack(row.group for row in rows),
        splits=np.array([row.split for row in rows], dtype="<U5"),
        labels=np.array([row.label for row in rows], dtype=np.float64),
        texts=Strings.pack(row.text for row in rows),
        words=[tuple(row.words) for row in rows],
        features=features,
        provenance=provenance,
        classes=tuple(classes),
    )


def float_steps(values: Any, where: str) -> NDArray[np.float32]:
    """Features of an utterance as (T, D) float32, values unchanged; a vector counts as one step.

    Args:
        values: array or nested lists of numbers.
        where: file, key and row, for the message.

    Raises:
        DataError: neither a vector nor a matrix of real numbers.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            array = array.astype(np.float64) if array.dtype.kind == "O" else array
        if array.dtype.kind not in "fiub" or array.ndim not in {1, 2}:
            raise ValueError(f"got shape {array.shape} and type {array.dtype}")
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{where}: features must be a matrix (steps, columns) of numbers or one vector ({error})"
        ) from error
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which the checks report
        steps = array.astype(np.float32, copy=False)
    return steps[None] if steps.ndim == 1 else steps


def from_segment(name: str) -> tuple[str, str]:
    """Identifier and group of a segment as the CMU SDK writes it: ``V[0]`` is utterance ``V_1`` of video ``V``."""
    match = _SEGMENT.fullmatch(name)
    if match:
        return f"{match[1]}_{int(match[2]) + 1}", match[1]
    return name, group_of(name)


def to_segment(identifier: str, group: str) -> str:
    """Inverse of `from_segment` for ids of the form ``GROUP_k``; others stay as they are."""
    match = _NUMBERED.fullmatch(identifier)
    if match and match[1] == group and int(match[2]) > 0 and str(int(match[2])) == match[2]:
        return f"{group}[{int(match[2]) - 1}]"
    return identifier


def group_of(identifier: str) -> str:
    """The video in an id ``VIDEO_k``; the id itself where it has no number."""
    match = _NUMBERED.fullmatch(identifier)
    return match[1] if match else identifier


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def origin(
    path: Path, layout: str, notes: Sequence[str] = (), files: Iterable[Path] | None = None, **options: Any
) -> dict[str, Any]:
    """Where a data set came from, as JSON-able values.

    Args:
        path: file or folder; only its name is kept.
        layout: name of the layout.
        notes: what the reader had to decide, for people.
        files: what was read, where `path` is a folder or not all.
        options: of the reader; those that are None were not given.
    """
    files = [path] if files is None else files
    given = {key: value for key, value in options.items() if value is not None}
    return {
        "format": layout,
        "source": path.name,
        "sha256": {file.name: file_sha256(file) for file in files},
        "options": given,
        "notes": list(notes),
    }
