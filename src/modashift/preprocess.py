"""From utterances to batches: word pieces, features aligned to them, normalisation. Saved with every model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from modashift.batch import Batch, Pieces, Seq
from modashift.data.dataset import Dataset
from modashift.data.normalise import Normaliser
from modashift.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoded", "Preprocessor"]

FILE = "preprocessor.json"


@dataclass(frozen=True)
class Encoded:
    """Word pieces of all utterances of a data set, computed once.

    Attributes:
        ids: by utterance, vocabulary entries with special tokens.
        words: by utterance, the word number of each piece, −1 for special tokens.
    """

    ids: list[NDArray[np.int64]]
    words: list[NDArray[np.int64]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) pieces of each utterance, special tokens included."""
        return np.array([len(i) for i in self.ids], dtype=np.int64)


@dataclass(frozen=True)
class Preprocessor:
    """How text and features are made ready for one model; part of the model's folder.

    Attributes:
        tokenizer: of the backbone.
        normaliser: of the features, with the statistics of the training split it was fitted on.
        modality_sizes: width of each feature set the model was built for.
        columns: their column names, where known.
        alignments: whether the steps of each were words, frames or whole utterances.
        max_length: most word pieces of an utterance, special tokens included; the rest is cut off.
        steps: whether word-aligned features go to the model one a ``piece`` (a word's features stand at each of its
            pieces) or one a ``word``.
    """

    tokenizer: "PreTrainedTokenizerBase"
    normaliser: Normaliser
    modality_sizes: Mapping[str, int]
    columns: Mapping[str, Sequence[str]]
    alignments: Mapping[str, str] = field(default_factory=dict)
    max_length: int = 50
    steps: Literal["piece", "word"] = "piece"

    def encode(self, dataset: Dataset) -> Encoded:
        """Tokenise every utterance, word by word, cutting at `max_length`."""
        words = [list(w) for w in dataset.words]
        if not words:
            return Encoded([], [])
        encoding = self.tokenizer(
            words, is_split_into_words=True, truncation=True, max_length=self.max_length, add_special_tokens=True
        )
        numbers = [
            np.array([-1 if w is None else w for w in encoding.word_ids(row)], dtype=np.int64)
            for row in range(len(words))
        ]
        return Encoded([np.array(ids, dtype=np.int64) for ids in encoding["input_ids"]], numbers)

    def check(self, dataset: Dataset) -> None:
        """Refuse features other than those the model was trained on.

        Raises:
            DataError: naming the modality, the widths and the columns that differ.
        """
        for modality, size in self.modality_sizes.items():
            feature = dataset.features.get(modality)
            if feature is None:
                raise DataError(
                    f"{dataset.name} has no {modality} features, which the model was trained with ({size} columns); "
                    "give them, or pass a model trained without"
                )
            expected = tuple(self.columns.get(modality, ()))
            if feature.dim != size:
                known = f": {', '.join(expected[:8])} …" if expected else ""
                raise DataError(
                    f"{dataset.name}: {modality} features have {feature.dim} columns, the model takes {size}{known}"
                )
            trained = self.alignments.get(modality, feature.alignment)
            if (trained == "frame") != (feature.alignment == "frame"):
                raise DataError(
                    f"{dataset.name}: the steps of the {modality} features are a {feature.alignment} each, the model "
                    f"was trained on one a {trained}"
                )
            if expected and feature.columns and tuple(feature.columns) != expected:
                differ = [f"{a} for {b}" for a, b in zip(feature.columns, expected) if a != b]
                raise DataError(f"{dataset.name}: {modality} columns are not the model's: {', '.join(differ[:5])}")

    def collate(self, dataset: Dataset, encoded: Encoded, rows: Sequence[int] | NDArray[np.intp]) -> Batch:
        """Batch some utterances, padded to the longest among them.

        Args:
            dataset: where the utterances are.
            encoded: its word pieces, from `encode`.
            rows: which utterances.
        """
        ids = [encoded.ids[r] for r in rows]
        words = [encoded.words[r] for r in rows]
        length = max(len(i) for i in ids)
        padded = np.full((len(ids), length), self.tokenizer.pad_token_id, dtype=np.int64)
        word = np.full((len(ids), length), -1, dtype=np.int64)
        mask = np.zeros((len(ids), length), dtype=bool)
        for k, (i, w) in enumerate(zip(ids, words)):
            padded[k, : len(i)], word[k, : len(i)], mask[k, : len(i)] = i, w, True
        text = Pieces(*(torch.from_numpy(a) for a in (padded, mask, word)))
        features = {
            m: self._sequence(dataset, m, rows, words, length) for m in self.modality_sizes if m in dataset.features
        }
        labels = torch.from_numpy(dataset.labels[np.asarray(rows)].astype(np.float32))
        return Batch(text, labels, torch.as_tensor(np.asarray(rows, dtype=np.int64)), features)

    def _sequence(
        self,
        dataset: Dataset,
        modality: str,
        rows: Sequence[int] | NDArray[np.intp],
        words: Sequence[NDArray[np.int64]],
        length: int,
    ) -> Seq:
        """Features of one modality, laid out as the model's `steps` ask for."""
        feature = dataset.features[modality]
        found = [self.normaliser.apply(modality, np.asarray(feature[int(r)], dtype=np.float32)) for r in rows]
        if feature.alignment == "frame":
            length = max(1, *(len(f) for f in found))
            places = [(np.arange(len(f)), np.arange(len(f))) for f in found]  # (where in the batch, which step)
        else:
            places = []
            for f, w in zip(found, words):
                if self.steps == "piece":
                    at = np.flatnonzero(w >= 0)
                    source = w[at]
                else:
                    source = np.unique(w[w >= 0])
                    at = source
                source = np.zeros_like(source) if feature.alignment == "utterance" else source
                present = source < len(f)  # an utterance without this modality has no step at all
                places.append((at[present], source[present]))
            if self.steps == "word":
                length = max(1, *(int(at.max(initial=-1)) + 1 for at, _ in places))
        values = np.zeros((len(found), length, feature.dim), dtype=np.float32)
        mask = np.zeros((len(found), length), dtype=bool)
        for k, (f, (at, source)) in enumerate(zip(found, places)):
            values[k, at], mask[k, at] = f[source], True
        return Seq(torch.from_numpy(values), torch.from_numpy(mask))

    def save(self, folder: Path) -> None:
        """Write ``preprocessor.json`` and the tokenizer's files into a model's folder."""
        state: dict[str, Any] = {
            "normaliser": self.normaliser.state(),
            "modality_sizes": dict(self.modality_sizes),
            "columns": {m: list(c) for m, c in self.columns.items()},
            "alignments": dict(self.alignments),
            "max_length": self.max_length,
            "steps": self.steps,
        }
        (folder / FILE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        self.tokenizer.save_pretrained(folder)

    @classmethod
    def load(cls, folder: Path) -> "Preprocessor":
        """Read what `save` wrote.

        Raises:
            DataError: where the folder has no ``preprocessor.json``.
        """
        from transformers import AutoTokenizer

        path = folder / FILE
        if not path.is_file():
            raise DataError(f"{folder} has no {FILE}: it is not the folder of a trained model")
        state = json.loads(path.read_text(encoding="utf-8"))
        state["normaliser"] = Normaliser.from_state(state["normaliser"])
        return cls(tokenizer=AutoTokenizer.from_pretrained(folder), **state)
