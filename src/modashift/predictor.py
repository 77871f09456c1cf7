"""A trained model in Python: load it, score utterances, look inside, share it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from modashift.data.dataset import Dataset, Feature, Strings
from modashift.errors import DataError, ModashiftError
from modashift.models import get_model
from modashift.models.base import Model
from modashift.preprocess import Encoded, Preprocessor
from modashift.train.loop import predict_rows

__all__ = ["Predictor", "load"]

MODEL_FILES = ("config.json", "preprocessor.json", "model.safetensors")


def load(source: str | Path, device: str = "auto") -> "Predictor":
    """Load a trained model.

    Args:
        source: run folder, a folder written by `Predictor.save_pretrained`, or an id on the Hugging Face hub.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        ModashiftError: where there is no such model, naming the file that is missing.
    """
    import json

    folder = Path(source)
    if not folder.is_dir():
        folder = _download(str(source))
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise ModashiftError(f"{source} is not a trained model: {', '.join(missing)} missing (is its run finished?)")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = get_model(config.get("model", "")).from_pretrained(folder)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Predictor(model.to(device).eval(), Preprocessor.load(folder), folder)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name))
    except Exception as error:
        raise ModashiftError(
            f"{name!r} is neither a folder here nor a model on the hub ({type(error).__name__}: "
            f"{str(error).splitlines()[0]})"
        ) from error


@dataclass
class _Job:
    model: Model
    preprocessor: Preprocessor
    dataset: Dataset
    encoded: Encoded


class Predictor:
    """A trained model with its preprocessing.

    Attributes:
        model: the torch module.
        preprocessor: tokenizer, normalisation and the feature sets it expects.
        folder: where it was loaded from.
    """

    def __init__(self, model: Model, preprocessor: Preprocessor, folder: Path) -> None:
        self.model, self.preprocessor, self.folder = model, preprocessor, folder
        self.device = next(model.parameters()).device

    @property
    def modalities(self) -> tuple[str, ...]:
        """Non-verbal modalities the model was trained with."""
        return tuple(m for m in self.preprocessor.modality_sizes if m != "linguistic")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes the model tells apart, in the order of its probabilities; none where it scores."""
        return tuple(self.preprocessor.classes)

    def predict(
        self,
        texts: Sequence[str | Sequence[str]],
        visual: Sequence[ArrayLike | None] | None = None,
        acoustic: Sequence[ArrayLike | None] | None = None,
        batch_size: int = 64,
        linguistic: Sequence[ArrayLike | None] | None = None,
    ) -> NDArray[np.float64]:
        """Score utterances.

        Args:
            texts: n texts, each a string (its words are what white space separates) or a list of words.
            visual: for each text an array (words, columns), or (columns,) for one vector for the whole utterance, or
                None where it is missing.
            acoustic: likewise.
            batch_size: utterances scored together.
            linguistic: word vectors, only for a model trained on vectors that came with its data.

        Returns:
            (n,) scores, about −3 (very negative) to 3 (very positive); or, of a model of classes, (n, C) the
            probability of each, in the order of `classes` (`predict_classes` gives the names).

        Raises:
            DataError: where an array does not fit its words or the model's columns.
        """
        if isinstance(texts, str):
            raise DataError("predict takes a list of texts; put the single text into a list")
        dataset = self.dataset(texts, visual, acoustic, linguistic)
        return self.predict_dataset(dataset, batch_size=batch_size)

    def predict_classes(
        self,
        texts: Sequence[str | Sequence[str]],
        visual: Sequence[ArrayLike | None] | None = None,
        acoustic: Sequence[ArrayLike | None] | None = None,
        batch_size: int = 64,
        linguistic: Sequence[ArrayLike | None] | None = None,
    ) -> list[str]:
        """The most probable class of each utterance; see `predict` for the arguments.

        Raises:
            ModashiftError: the model predicts scores.
        """
        if not self.classes:
            raise ModashiftError(f"{self.model.name} in {self.folder} was trained on scores: use predict")
        return [self.classes[k] for k in self.predict(texts, visual, acoustic, batch_size, linguistic).argmax(1)]

    def dataset(
        self,
        texts: Sequence[str | Sequence[str]],
        visual: Sequence[ArrayLike | None] | None = None,
        acoustic: Sequence[ArrayLike | None] | None = None,
        linguistic: Sequence[ArrayLike | None] | None = None,
    ) -> Dataset:
        """The utterances as a data set, features checked; see `predict` for the arguments."""
        words = [text.split() if isinstance(text, str) else list(text) for text in texts]
        given = {"linguistic": linguistic, "visual": visual, "acoustic": acoustic}
        features = {}
        if not self.preprocessor.reads_words and all(given[m] is None for m in self.modalities):
            wanted = " and ".join(self.modalities)
            raise DataError(f"the {self.model.name} in {self.folder} reads no words: give it {wanted} features")
        own_vectors = self.preprocessor.vectors is not None and self.preprocessor.vectors.kind == "given"
        for modality, size in self.preprocessor.modality_sizes.items():
            if modality == "linguistic" and not own_vectors:
                continue  # made from the words
            if modality == "linguistic" and linguistic is None:
                raise DataError(
                    "the model was trained on word vectors that came with its data; give those of the texts as "
                    "linguistic=[…], one array (steps, columns) each"
                )
            arrays = given.pop(modality, None)
            if arrays is None:
                warnings.warn(
                    f"the model was trained with {modality} features and none are given: they count as missing",
                    UserWarning,
                    stacklevel=3,
                )
                arrays = [None] * len(words)
            features[modality] = self._feature(modality, size, arrays, words)
        unused = [m for m, arrays in given.items() if arrays is not None]
        if unused:
            raise DataError(f"the model was trained without {', '.join(unused)} features; leave them out")
        n = len(words)
        return Dataset(
            name="input",
            ids=[str(i + 1) for i in range(n)],
            groups=[str(i + 1) for i in range(n)],
            splits=np.full(n, "test"),
            labels=np.full(n, np.nan),
            texts=Strings.pack(" ".join(w) for w in words),
            words=words,
            features=features,
            classes=self.classes,
        )

    def _feature(
        self, modality: str, size: int, arrays: Sequence[ArrayLike | None], words: Sequence[Sequence[str]]
    ) -> Feature:
        frames = self.preprocessor.alignments.get(modality) == "frame"
        if len(arrays) != len(words):
            raise DataError(f"{len(words)} texts but {len(arrays)} {modality} arrays")
        sequences = []
        for number, (array, own) in enumerate(zip(arrays, words), 1):
            values = np.zeros((0, size), np.float32) if array is None else np.asarray(array, dtype=np.float32)
            if values.ndim == 1 and not frames:
                values = np.repeat(values[None], len(own), axis=0)
            fits = values.ndim == 2 and values.shape[1] == size
            if fits and frames:
                pass
            elif not fits or len(values) not in (0, len(own)):
                raise DataError(
                    f"{modality} array of text {number} has shape {values.shape}; it has {len(own)} words, so the "
                    f"model takes ({len(own)}, {size}), or ({size},) for the whole utterance"
                )
            if not np.isfinite(values).all():
                raise DataError(f"{modality} array of text {number} holds NaN or infinite values")
            sequences.append(values)
        feature = Feature.pack(sequences, size)
        return replace(feature, alignment="frame" if frames else "word")

    def predict_dataset(
        self, dataset: Dataset, rows: NDArray[np.intp] | None = None, batch_size: int = 64
    ) -> NDArray[np.float64]:
        """Score rows of a data set (all where not given), after checking that its features are the model's.

        Returns:
            As `predict`.
        """
        dataset = self.preprocessor.complete(dataset)
        job = _Job(self.model, self.preprocessor, dataset, self.preprocessor.encode(dataset))
        rows = np.arange(len(dataset)) if rows is None else rows
        return predict_rows(job, rows, self.device, batch_size)

    def cms_maps(
        self, text: str | Sequence[str], visual: ArrayLike | None = None, acoustic: ArrayLike | None = None
    ) -> dict[str, Any]:
        """CMS maps of one utterance (Figure 1 of Kim and Kim 2022).

        Returns:
            ``pieces`` (N,) word pieces, ``words`` (N,) word number of each (−1: special), ``maps`` by layer (from 1)
            and modality (N, T), ``shift_norm`` by layer (N,), ``prediction`` (a score, or the
            probability of each class).

        Raises:
            ModashiftError: for a model without a shift.
        """
        encoder: Any = getattr(self.model, "encoder", None)
        if encoder is None or not getattr(encoder, "shifted", None):
            raise ModashiftError(f"{self.model.name} has no shift to show; train cmsbert or cmsbert-clr")
        dataset = self.dataset(
            [text],
            [visual] if visual is not None else None,
            [acoustic] if acoustic is not None else None,
        )
        encoded = self.preprocessor.encode(dataset)
        tokenizer: Any = self.preprocessor.tokenizer
        batch = self.preprocessor.collate(dataset, encoded, [0]).to(self.device)
        with torch.no_grad():
            details = encoder(batch, details=True)
            prediction = self.model.answer(self.model(batch).prediction)[0].tolist()
        return {
            "pieces": tokenizer.convert_ids_to_tokens(encoded.ids[0].tolist()),
            "words": encoded.words[0],
            "maps": {n + 1: {m: v[0].cpu().numpy() for m, v in maps.items()} for n, maps in details.maps.items()},
            "shift_norm": {n + 1: s[0].norm(dim=-1).cpu().numpy() for n, s in details.shifts.items()},
            "prediction": prediction,
        }

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write model, configuration, tokenizer and model card into a folder that `load` reads."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        card = self.folder / "README.md"
        if card.is_file() and target.resolve() != self.folder.resolve():
            (target / "README.md").write_bytes(card.read_bytes())
        self.model.save_pretrained(target)
        self.preprocessor.save(target)
        return target

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Upload to the Hugging Face hub; returns the address of the commit."""
        import tempfile

        from huggingface_hub import HfApi

        api = HfApi(token=token)
        name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            commit = api.upload_folder(repo_id=name, folder_path=folder, commit_message="Upload model with modashift")
        return str(commit)
