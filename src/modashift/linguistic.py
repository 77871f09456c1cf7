"""Words as vectors, for models that read them as one more sequence: given, from a GloVe file, or of a frozen encoder.

Models that fine-tune an encoder over word pieces need none of this; see `modashift.preprocess`.
"""

import gzip
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modashift.backbones import Backbone, load_backbone
from modashift.cache import provide
from modashift.data.dataset import Dataset, Feature
from modashift.errors import DataError

__all__ = ["WordVectors", "choose", "read_glove"]

Table = Mapping[str, NDArray[np.float32]]
BATCH = 64


@dataclass(frozen=True)
class WordVectors:
    """Where a model's word vectors come from; saved with the model, so that it can score new texts.

    Attributes:
        kind: ``given`` with the data, read from a ``glove`` file, or states of an ``encoder`` that is not trained.
        source: name of the backbone, or path of the file.
        layer: layer of the backbone, from 0 (the embeddings); −1 is the last.
        max_length: most word pieces of an utterance the encoder reads; words beyond have no vector.
        fingerprint: SHA-256 of the backbone's weights.
        table: of a file, the vectors of the words met so far.
    """

    kind: Literal["given", "glove", "encoder"]
    source: str = ""
    layer: int = -1
    max_length: int = 50
    fingerprint: str = ""
    table: Table = field(default_factory=dict)

    def add_to(self, dataset: Dataset, cache: bool = False) -> tuple[Dataset, "WordVectors", list[str]]:
        """Give a data set its linguistic features.

        Args:
            dataset: with words, or with linguistic features where the vectors are ``given``.
            cache: keep what is computed for the next run on the same words.

        Returns:
            The data set; these vectors with what they need to be saved; notes for the user.

        Raises:
            DataError: where the data have neither words nor vectors, or the file or backbone is not the same as when
                the model was trained.
        """
        if self.kind == "given":
            if "linguistic" not in dataset.features:
                raise DataError(
                    f"{dataset.name} has no linguistic features, which the model takes as they are in the data; give "
                    "them, or train with --text encoder or --text glove"
                )
            return dataset, self, []
        words = [list(w) for w in dataset.words]
        if not any(words):
            raise DataError(
                f"{dataset.name} has no words to make vectors of (its layout holds none); use its own with --text given"
            )
        if self.kind == "glove":
            feature, own, notes = self._looked_up(words, dataset.name)
        else:
            feature, own, notes = self._encoded(words, cache)
        rest = {m: f for m, f in dataset.features.items() if m != "linguistic"}
        return replace(dataset, features={"linguistic": feature, **rest}), own, notes

    def describe(self) -> str:
        """Where they come from, in words."""
        if self.kind == "encoder":
            layer = "last layer" if self.layer == -1 else f"layer {self.layer}"
            return f"frozen states of {self.source} ({layer})"
        return "vectors of the data" if self.kind == "given" else f"vectors of {self.source}"

    def _looked_up(self, words: list[list[str]], name: str) -> tuple[Feature, "WordVectors", list[str]]:
        wanted = {w for sentence in words for w in sentence}
        table = dict(self.table)
        unseen = {w for w in wanted if w not in table}
        if unseen and Path(self.source).is_file():
            table |= read_glove(Path(self.source), unseen)
        elif unseen and not table:
            raise DataError(f"{self.source}: no such file; --glove takes a file of word vectors in GloVe's text format")
        missing = sorted(w for w in wanted if w not in table)
        if len(missing) == len(wanted):
            raise DataError(f"{self.source} has a vector for none of the {len(wanted)} words of {name}")
        dim = len(next(iter(table.values())))
        zero = np.zeros(dim, np.float32)
        sequences = [
            np.stack([table.get(w, zero) for w in sentence[: self.max_length]])
            if sentence
            else np.zeros((0, dim), np.float32)
            for sentence in words
        ]
        notes = []
        if missing:
            notes.append(f"{len(missing)} of {len(wanted)} words have no vector and count as zeros: {_some(missing)}")
        return Feature.pack(sequences, dim), replace(self, table=table), notes

    def _encoded(self, words: list[list[str]], cache: bool) -> tuple[Feature, "WordVectors", list[str]]:
        backbone = load_backbone(self.source)
        model = backbone.model().eval()
        state = model.state_dict()
        digest = hashlib.sha256()
        for key in sorted(state):
            digest.update(key.encode())
            digest.update(state[key].contiguous().numpy().tobytes())
        found = digest.hexdigest()
        if self.fingerprint and found != self.fingerprint:
            raise DataError(
                f"backbone {self.source!r} is not the one whose states the model was trained on (its weights differ)"
            )
        own = replace(self, fingerprint=found)
        if not cache:
            return Feature.pack(*_states(backbone, model, words, self.layer, self.max_length)), own, []
        text = "\x1e".join("\x1f".join(sentence) for sentence in words)
        key = hashlib.sha256(f"{found}|{self.layer}|{self.max_length}|{text}".encode()).hexdigest()[:16]

        def fill(folder: Path) -> None:
            feature = Feature.pack(*_states(backbone, model, words, self.layer, self.max_length))
            np.save(folder / "values.npy", feature.values)
            np.save(folder / "offsets.npy", feature.offsets)

        folder = provide(f"states-{key}", fill)
        values = np.load(folder / "values.npy", mmap_mode="r", allow_pickle=False)
        return Feature(values, np.load(folder / "offsets.npy", allow_pickle=False)), own, []

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the table, where there is one, into a model's folder; returns the rest, JSON-able."""
        if self.table:
            words = sorted(self.table)
            np.savez(
                folder / "word_vectors.npz", words=np.array(words), vectors=np.stack([self.table[w] for w in words])
            )
        keys = ("kind", "source", "layer", "max_length", "fingerprint")
        return {key: getattr(self, key) for key in keys}

    @classmethod
    def load(cls, folder: Path, state: Mapping[str, Any]) -> "WordVectors":
        """Inverse of `save`."""
        path = folder / "word_vectors.npz"
        if not path.is_file():
            return cls(**state)
        with np.load(path, allow_pickle=False) as file:
            return cls(**state, table=dict(zip(file["words"].tolist(), file["vectors"])))


def choose(
    text: str, glove: str | None, backbone: str, layer: int, max_length: int, dataset: Dataset, aligned: bool
) -> tuple[WordVectors, list[str]]:
    """Decide where word vectors come from; ``auto`` takes what the data have, then a named file, then an encoder.

    Args:
        text: ``auto``, ``given``, ``glove`` or ``encoder``.
        glove: file of word vectors.
        backbone: of the encoder.
        layer: of the encoder.
        max_length: most word pieces (encoder) or words (file) of an utterance.
        dataset: the data.
        aligned: whether the model needs the vectors at the steps of the other modalities.
    """
    notes = []
    own = dataset.features.get("linguistic")
    others = [f for m, f in dataset.features.items() if m != "linguistic"]
    if text == "auto":
        text = "glove" if glove else "encoder"
        if own is not None and aligned and own.alignment == "frame" and any(f.alignment != "frame" for f in others):
            notes.append(
                "the file's text states are word pieces while its other features are words: states of "
                f"{glove or backbone} are used instead"
            )
        elif own is not None and not glove:
            text = "given"
    if text == "glove":
        if glove is None:
            raise DataError("--text glove needs a file of word vectors: --glove glove.840B.300d.txt")
        return WordVectors("glove", str(Path(glove).resolve()), max_length=max_length), notes
    if text == "encoder":
        source = str(Path(backbone).resolve()) if Path(backbone).is_dir() else backbone
        return WordVectors("encoder", source, layer, max_length), notes
    return WordVectors("given"), notes


def read_glove(path: Path, wanted: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """Vectors of some words out of a file in GloVe's text format (plain, .gz or .zip); other words are skipped.

    A word that is not in the file is looked for in lower case. Word2vec's first line (count and width) is recognised.

    Raises:
        DataError: naming the file and line that is not a word followed by numbers.
    """
    forms: dict[str, list[str]] = {}
    for word in set(wanted):
        for form in {word, word.lower()}:
            forms.setdefault(form, []).append(word)
    found: dict[str, NDArray[np.float32]] = {}
    dim = 0
    with _open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            parts = line.rstrip().split(" ")
            if number == 1 and len(parts) == 2 and all(p.isdigit() for p in parts):
                dim = int(parts[1])
                continue
            dim = dim or len(parts) - 1
            form = " ".join(parts[:-dim])  # a few entries of large files hold spaces
            if form not in forms:
                continue
            try:
                vector = np.array(parts[-dim:], dtype=np.float32)
            except ValueError as error:
                raise DataError(f"{path}, line {number}: expected a word and {dim} numbers ({error})") from error
            for word in forms[form]:
                if form == word or word not in found:
                    found[word] = vector
    return found


@contextmanager
def _open_text(path: Path) -> Iterator[Iterable[str]]:
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
                yield io.TextIOWrapper(member, encoding="utf-8")
        elif path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as file:
                yield file
        else:
            with path.open(encoding="utf-8") as file:
                yield file
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not readable as word vectors: {error}") from error


def _states(
    backbone: Backbone, model: Any, words: list[list[str]], layer: int, max_length: int
) -> tuple[list[NDArray[np.float32]], int]:
    """Frozen states of one layer by utterance, (words, H) each: the mean over the pieces of a word."""
    import torch

    depth = model.config.num_hidden_layers
    if not -depth - 1 <= layer <= depth:
        raise DataError(f"text_layer {layer} does not exist: {backbone.name} has layers 0 (embeddings) to {depth}")
    size = int(model.config.hidden_size)
    result: list[NDArray[np.float32]] = [np.zeros((0, size), np.float32) for _ in words]
    order = sorted((i for i in range(len(words)) if words[i]), key=lambda i: len(words[i]))
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        encoding = backbone.tokenizer(
            [words[r] for r in rows],
            is_split_into_words=True,
            truncation=True,
            max_length=max_length,
            padding=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            states = model(**encoding, output_hidden_states=True).hidden_states[layer].numpy()  # (B, N, H)
        for k, row in enumerate(rows):
            numbers = np.array([-1 if w is None else w for w in encoding.word_ids(k)])
            at = np.flatnonzero(numbers >= 0)
            # A word of which no piece is left (an emoji without an entry, say) keeps a vector of zeros.
            total = np.zeros((numbers.max() + 1, size), np.float32)
            np.add.at(total, numbers[at], states[k, at])
            count = np.bincount(numbers[at], minlength=len(total)).clip(min=1)
            result[row] = (total / count[:, None]).astype(np.float32)
    return result, size


def _some(words: list[str]) -> str:
    return ", ".join(words[:8]) + (" …" if len(words) > 8 else "")
