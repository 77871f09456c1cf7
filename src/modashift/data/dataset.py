"""The one internal layout: utterances as flat arrays with offsets, in memory or memory-mapped.

Every reader returns a `Dataset` and every store opens as one, so nothing downstream knows a file format.
A sequence of utterance *i* is ``values[offsets[i]:offsets[i + 1]]``: no padding is ever stored.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError

__all__ = ["ALIGNMENTS", "MODALITIES", "SPLITS", "Alignment", "Dataset", "Feature", "Ragged", "Strings", "Utterance"]

MODALITIES = ("linguistic", "visual", "acoustic")
SPLITS = ("train", "dev", "test")
Alignment = Literal["word", "frame", "utterance"]
ALIGNMENTS: tuple[str, ...] = get_args(Alignment)


@dataclass(frozen=True)
class Ragged:
    """Sequences of different lengths over one flat array.

    Attributes:
        values: (ΣT, D) all steps of all utterances, one after the other; may be memory-mapped.
        offsets: (n + 1,) int64; utterance i occupies rows ``offsets[i]`` to ``offsets[i + 1]``.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) number of steps of each utterance."""
        return np.diff(self.offsets)

    @classmethod
    def pack(cls, sequences: Sequence[NDArray[Any]], dim: int) -> Self:
        """Lay out sequences (T_i, dim) one after the other; an empty sequence means the modality is missing there.

        The values are float32, or float16 where all that were given are.
        """
        offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
        offsets[1:] = np.cumsum([len(s) for s in sequences])
        arrays = [np.asarray(s) for s in sequences if len(s)]
        half = bool(arrays) and all(a.dtype == np.float16 for a in arrays)
        filled = arrays if half else [a.astype(np.float32, copy=False) for a in arrays]
        values = np.concatenate(filled) if filled else np.zeros((0, dim), dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != dim:
            raise DataError(f"sequences must be (steps, {dim}), got an array of shape {values.shape}")
        return cls(values, offsets)


@dataclass(frozen=True)
class Strings(Sequence[str]):
    """A list of strings over one UTF-8 blob, decoded one at a time, so that opening a store reads none of them."""

    blob: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        row = int(row)
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self.blob[self.offsets[row] : self.offsets[row + 1]].tobytes().decode("utf-8")

    @classmethod
    def pack(cls, strings: Iterable[str]) -> Self:
        """Encode strings into one blob."""
        encoded = [s.encode("utf-8") for s in strings]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        offsets[1:] = np.cumsum([len(e) for e in encoded])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)


@dataclass(frozen=True)
class Feature(Ragged):
    """The sequences of one modality.

    Attributes:
        alignment: ``word`` (step k belongs to word k), ``frame`` (its own rate) or ``utterance`` (one vector for all).
        columns: names of the D columns, where known; a `modashift.data.states.StateColumns` where they are the
            hidden states of an encoder.
    """

    alignment: Alignment = "word"
    columns: Sequence[str] = ()

    @property
    def dim(self) -> int:
        """Width D of a step."""
        return int(self.values.shape[1])

    def take(self, rows: NDArray[np.intp]) -> "Feature":
        """The sequences of some utterances; a view where the rows lie together."""
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            offsets = self.offsets[rows[0] : rows[-1] + 2]
            return replace(self, values=self.values[offsets[0] : offsets[-1]], offsets=offsets - offsets[0])
        packed = Feature.pack([self[int(r)] for r in rows], self.dim)
        return replace(self, values=packed.values, offsets=packed.offsets)


@dataclass(frozen=True)
class Utterance:
    """One utterance, as `Dataset.__getitem__` gives it."""

    id: str
    group: str
    split: str
    label: float
    text: str
    words: tuple[str, ...]
    features: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Dataset:
    """Labelled utterances with the features of each modality.

    Attributes:
        name: what to call it in tables and logs.
        ids: (n,) unique identifiers.
        groups: (n,) what must not be split between train and validation: the video, or the speaker.
        splits: (n,) each one of ``train``, ``dev``, ``test``.
        labels: (n,) float64 sentiment score in [-3, 3], or where there are `classes` the number of the class, from 0;
            NaN where unlabelled.
        texts: (n,) raw text.
        words: n lists of words; where `alignment` of a feature is ``word``, its steps are these words.
        features: modality name to `Feature`; any subset of `MODALITIES`.
        provenance: where it came from (source file, SHA-256, format, options), as JSON-able values.
        classes: names of the C classes; the task is then classification. Empty for scores, where it is regression.
            Nothing else decides between the two.
    """

    name: str
    ids: Sequence[str]
    groups: Sequence[str]
    splits: NDArray[np.str_]
    labels: NDArray[np.float64]
    texts: Sequence[str]
    words: Sequence[Sequence[str]]
    features: Mapping[str, Feature]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Utterance:
        return Utterance(
            id=self.ids[row],
            group=self.groups[row],
            split=str(self.splits[row]),
            label=float(self.labels[row]),
            text=self.texts[row],
            words=tuple(self.words[row]),
            features={name: feature[row] for name, feature in self.features.items()},
        )

    def __iter__(self) -> Iterator[Utterance]:
        return (self[row] for row in range(len(self)))

    def rows(self, split: str) -> NDArray[np.intp]:
        """Row numbers of one split, in file order."""
        return np.flatnonzero(self.splits == split)

    def sizes(self) -> dict[str, int]:
        """Width of each modality present."""
        return {name: feature.dim for name, feature in self.features.items()}

    def with_splits(self, splits: NDArray[np.str_]) -> "Dataset":
        """The same utterances under another declaration of the splits."""
        if splits.shape != (len(self),):
            raise DataError(f"{self.name}: {len(self)} utterances but splits of shape {splits.shape}")
        return replace(self, splits=splits)

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> "Dataset":
        """Some utterances, in the order given; a row may be taken more than once.

        Rows that lie together share the arrays of this data set, which matters for large stores.
        """
        chosen = np.asarray(rows, dtype=np.intp)
        return replace(
            self,
            ids=[self.ids[int(r)] for r in chosen],
            groups=[self.groups[int(r)] for r in chosen],
            splits=self.splits[chosen],
            labels=self.labels[chosen],
            texts=[self.texts[int(r)] for r in chosen],
            words=[tuple(self.words[int(r)]) for r in chosen],
            features={m: f.take(chosen) for m, f in self.features.items()},
        )

    def keep_features(self, names: Sequence[str]) -> "Dataset":
        """Leave out every modality that is not named."""
        missing = [name for name in names if name not in self.features]
        if missing:
            raise DataError(f"{self.name} has no {', '.join(missing)} features; it has {', '.join(self.features)}")
        return replace(self, features={name: self.features[name] for name in names})
