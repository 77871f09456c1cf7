"""From utterances to batches: word pieces, features aligned to them, normalisation. Saved with every model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from modashift.batch import Batch, Pieces, Seq
from modashift.data.dataset import Dataset
from modashift.data.normalise import Normaliser
from modashift.data.states import StateColumns, choose_layers, columns_from_json, columns_to_json, state_columns
from modashift.errors import DataError
from modashift.linguistic import WordVectors
from modashift.spelling import plain_word

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoded", "Preprocessor"]

FILE = "preprocessor.json"


@dataclass(frozen=True)
class Encoded:
    """Word pieces of all utterances of a data set, computed once.

    Attributes:
        ids: by utterance, vocabulary entries with special tokens; none where the model reads words as vectors.
        words: by utterance, the word number of each piece, −1 for special tokens; or simply the words' numbers.
        lengths: (n,) pieces of each utterance, special tokens included, or steps of its longest sequence: utterances
            of like length are batched together.
    """

    ids: list[NDArray[np.int64]]
    words: list[NDArray[np.int64]]
    lengths: NDArray[np.int64]


@dataclass(frozen=True)
class Preprocessor:
    """How text and features are made ready for one model; part of the model's folder.

    Attributes:
        tokenizer: of the backbone; None for models that read words as vectors, or no words.
        normaliser: of the features, with the statistics of the training split it was fitted on.
        modality_sizes: width of each feature set the model was built for.
        columns: their column names, where known.
        alignments: whether the steps of each were words, frames or whole utterances.
        max_length: most word pieces of an utterance, special tokens included; the rest is cut off.
        steps: whether word-aligned features go to the model one a ``piece`` (a word's features stand at each of its
            pieces) or one a ``word``.
        vectors: where word vectors come from, for models that read words as vectors; None where they read none.
        aligned: whether the model needs all sequences padded to one length, so that step k is the same in each.
        plain_words: whether words lose case and punctuation before they are cut into pieces; see `plain_word`.
        classes: names of the classes the model tells apart, in the order of its outputs; none where it predicts scores.
    """

    tokenizer: "PreTrainedTokenizerBase | None"
    normaliser: Normaliser
    modality_sizes: Mapping[str, int]
    columns: Mapping[str, Sequence[str]]
    alignments: Mapping[str, str] = field(default_factory=dict)
    max_length: int = 50
    steps: Literal["piece", "word"] = "piece"
    vectors: WordVectors | None = None
    aligned: bool = False
    plain_words: bool = False
    classes: Sequence[str] = ()

    @property
    def reads_words(self) -> bool:
        """Whether the model sees words at all, as pieces or as vectors."""
        return self.tokenizer is not None or self.vectors is not None

    def complete(self, dataset: Dataset) -> Dataset:
        """Check the features of some data and leave the model's, with word vectors added where it reads them.

        Of hidden states with more layers than the model reads, its own are kept.

        Raises:
            DataError: for features other than those the model was trained on.
        """
        if self.vectors is not None:
            dataset = self.vectors.add_to(dataset)[0]
        held = {m: state_columns(f) for m, f in dataset.features.items()}
        own = {m: list(c.layers) for m, c in self.columns.items() if isinstance(c, StateColumns) and held.get(m)}
        dataset = choose_layers(dataset, own)
        self.check(dataset)
        return dataset.keep_features(list(self.modality_sizes))

    def encode(self, dataset: Dataset) -> Encoded:
        """Tokenise every utterance, word by word, cutting at `max_length`."""
        words = [[plain_word(w) for w in own] if self.plain_words else list(own) for own in dataset.words]
        if not words:
            return Encoded([], [], np.zeros(0, dtype=np.int64))
        if self.tokenizer is None:
            return self._numbered(dataset, [len(w) for w in words])
        encoding = self.tokenizer(
            words, is_split_into_words=True, truncation=True, max_length=self.max_length, add_special_tokens=True
        )
        numbers = [
            np.array([-1 if w is None else w for w in encoding.word_ids(row)], dtype=np.int64)
            for row in range(len(words))
        ]
        ids = [np.array(i, dtype=np.int64) for i in encoding["input_ids"]]
        return Encoded(ids, numbers, np.array([len(i) for i in ids], dtype=np.int64))

    def _numbered(self, dataset: Dataset, counts: list[int]) -> Encoded:
        """Numbers of the words that have a vector, or where no words are read a step; no pieces are needed."""
        steps = dataset.features.get("linguistic")
        aligned = [
            f.lengths for f in ([steps] if steps is not None else dataset.features.values()) if f.alignment == "word"
        ]
        limits = np.minimum(counts, self.max_length)
        if aligned:
            # A word-aligned layout without the words themselves has steps only.
            longest = np.max(aligned, axis=0)
            limits = np.where(limits > 0, np.minimum(limits, longest), np.minimum(longest, self.max_length))
        frames = [f.lengths for f in dataset.features.values() if f.alignment == "frame"]
        return Encoded([], [np.arange(n) for n in limits], np.max([limits, *frames], axis=0).astype(np.int64))

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
        words = [encoded.words[r] for r in rows]
        length = max(len(w) for w in words)
        features = {
            m: self._sequence(dataset, m, rows, words, length) for m in self.modality_sizes if m in dataset.features
        }
        if self.aligned:
            longest = max((seq.mask.shape[1] for seq in features.values()), default=0)
            features = {m: _padded(seq, longest) for m, seq in features.items()}
        labels = torch.from_numpy(dataset.labels[np.asarray(rows)].astype(np.float32))
        index = torch.as_tensor(np.asarray(rows, dtype=np.int64))
        return Batch(self._pieces(encoded, rows, words, length), labels, index, features)

    def _pieces(
        self,
        encoded: Encoded,
        rows: Sequence[int] | NDArray[np.intp],
        words: Sequence[NDArray[np.int64]],
        length: int,
    ) -> Pieces | None:
        """Word pieces padded to the longest utterance, for models that read them."""
        if self.tokenizer is None:
            return None
        ids = [encoded.ids[r] for r in rows]
        padded = np.full((len(ids), length), self.tokenizer.pad_token_id, dtype=np.int64)
        word = np.full((len(ids), length), -1, dtype=np.int64)
        mask = np.zeros((len(ids), length), dtype=bool)
        for k, (i, w) in enumerate(zip(ids, words)):
            padded[k, : len(i)], word[k, : len(i)], mask[k, : len(i)] = i, w, True
        return Pieces(*(torch.from_numpy(a) for a in (padded, mask, word)))

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
                    if feature.alignment == "utterance" and not len(source):
                        source = np.zeros(1, dtype=np.int64)  # no word to stand beside: a step of its own
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
            "columns": {m: columns_to_json(c) for m, c in self.columns.items()},
            "alignments": dict(self.alignments),
            "max_length": self.max_length,
            "steps": self.steps,
            "aligned": self.aligned,
            "plain_words": self.plain_words,
            "classes": list(self.classes),
            "vectors": None if self.vectors is None else self.vectors.save(folder),
            **({} if self.reads_words else {"words": False}),
        }
        (folder / FILE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        if self.tokenizer is not None:
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
        state["columns"] = {m: columns_from_json(c) for m, c in state["columns"].items()}
        vectors = state.pop("vectors", None)
        words = state.pop("words", True)
        if vectors is not None or not words:
            loaded = None if vectors is None else WordVectors.load(folder, vectors)
            return cls(tokenizer=None, vectors=loaded, **state)
        return cls(tokenizer=AutoTokenizer.from_pretrained(folder), **state)


def _padded(seq: Seq, length: int) -> Seq:
    more = length - seq.mask.shape[1]
    return seq if more == 0 else Seq(F.pad(seq.values, (0, 0, 0, more)), F.pad(seq.mask, (0, more)))
