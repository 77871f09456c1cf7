"""Hidden states of the texts of a data set, chunk by chunk, so that what is interrupted continues."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset, Feature
from modashift.data.states import StateColumns
from modashift.encoders.base import Settings
from modashift.encoders.half import HalfPrecision
from modashift.encoders.load import load_encoder
from modashift.encoders.names import write_name
from modashift.encoders.sources import chosen_layers, find
from modashift.errors import DataError, ModashiftError

__all__ = ["add_linguistic", "sentences"]

CHUNK = 256  # texts between two states of the work on disk
VALUES, PROGRESS, RECIPE = "values.float16", "progress.jsonl", "recipe.json"

Told = Callable[[int, int], None]
"""Told how many texts are done, and of how many."""


def sentences(dataset: Dataset) -> list[list[str]]:
    """What is encoded of each utterance: its text, or where the data have none its words; none where it has neither."""
    return [text.split() or list(words) for text, words in zip(dataset.texts, dataset.words)]


def add_linguistic(
    dataset: Dataset,
    name: str,
    work: Path,
    layers: Any = "all",
    settings: Settings | None = None,
    told: Told | None = None,
) -> tuple[Dataset, list[str]]:
    """Give a data set an encoder's states of its texts as linguistic features, in place of any it has.

    Args:
        dataset: with texts or words.
        name: of an encoder of texts, see `modashift.encoders.sources.find`.
        work: folder for what is done, which must stay until the data set is written elsewhere; a call with the same
            texts and encoder continues what is in it, any other begins anew.
        layers: see `modashift.encoders.sources.chosen_layers`.
        settings: device and precision.
        told: is called now and then.

    Returns:
        The data set, its states memory-mapped from `work`; and notes.

    Raises:
        ModashiftError: the encoder cannot be had, or the data have neither texts nor words.
        DataError: `work` cannot be written.
    """
    settings = settings or Settings()
    texts = sentences(dataset)
    if not any(texts):
        raise ModashiftError(f"{dataset.name} has neither texts nor words to encode (its layout holds none)")
    source = find(name, "linguistic")
    numbers = chosen_layers(layers, "linguistic", source.depth, source.name)
    recipe = {**source.facts(), "layers": list(numbers), "precision": settings.precision, "texts": _digest(texts)}
    spool = _Spool(work, recipe, len(numbers) * source.size)
    half = HalfPrecision(numbers, source.name)
    half.clipped = spool.clipped
    tell = told or (lambda _done, _of: None)
    done = len(spool.steps)
    tell(done, len(texts))
    while done < len(texts):
        encoder = load_encoder(name, "linguistic", list(numbers), settings)
        part = encoder.states(texts[done : done + CHUNK])
        spool.add([half(own.values) for own in part], half.clipped)
        done = len(spool.steps)
        tell(done, len(texts))
    written = write_name(source.name, source.mark, "linguistic", None)
    states = StateColumns(written, numbers, source.size)
    feature = replace(spool.feature(), alignment="frame", columns=states)
    provenance = {**dataset.provenance, "encoded": {"linguistic": {k: v for k, v in recipe.items() if k != "texts"}}}
    rest = {m: f for m, f in dataset.features.items() if m != "linguistic"}
    notes = half.notes()
    if "linguistic" in dataset.features:
        notes.append(f"the linguistic features that {dataset.name} had are replaced")
    provenance.pop("store", None)
    return replace(dataset, features={"linguistic": feature, **rest}, provenance=provenance), notes


class _Spool:
    """States on disk: rows one after the other, and after each chunk a line with the steps of its texts.

    The line also has how many values were clipped so far, by layer, so that this is said in the end whatever happened.

    Args:
        folder: made where it is not there; what another recipe left in it is removed.
        recipe: what the states depend on.
        columns: of a state.

    Attributes:
        steps: of the texts that are done.
        clipped: see `HalfPrecision`.
    """

    def __init__(self, folder: Path, recipe: dict[str, Any], columns: int) -> None:
        self.values, self.progress, self.columns = folder / VALUES, folder / PROGRESS, columns
        wanted = json.loads(json.dumps(recipe))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if _read(folder / RECIPE) != wanted:
                for file in (folder / RECIPE, self.progress, self.values):
                    file.unlink(missing_ok=True)
                (folder / RECIPE).write_text(json.dumps(wanted), encoding="utf-8")
            self.steps, self.clipped = self._kept()
            with self.values.open("ab") as end:  # what was written after the last line is not to be relied on
                end.truncate(sum(self.steps) * self.columns * 2)
        except OSError as error:
            raise DataError(f"cannot write {folder}: {error.strerror}") from error

    def add(self, parts: Sequence[NDArray[np.float16]], clipped: Mapping[int, int]) -> None:
        """Put the states (T, columns) of further texts on disk."""
        try:
            with self.values.open("ab") as file:
                for part in parts:
                    file.write(np.ascontiguousarray(part).data)
                file.flush()
                os.fsync(file.fileno())
            own = [len(part) for part in parts]
            with self.progress.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps([own, list(clipped.items())]) + "\n")
                lines.flush()
                os.fsync(lines.fileno())
        except OSError as error:
            raise DataError(f"cannot write {self.values}: {error.strerror}") from error
        self.steps += own

    def feature(self) -> Feature:
        """All states, memory-mapped."""
        offsets = np.zeros(len(self.steps) + 1, dtype=np.int64)
        offsets[1:] = np.cumsum(self.steps)
        shape = (int(offsets[-1]), self.columns)
        values = np.memmap(self.values, np.float16, "r", shape=shape)
        return Feature(values, offsets)

    def _kept(self) -> tuple[list[int], dict[int, int]]:
        """Steps of the texts of whole lines whose states are all there, and what was clipped until then."""
        found: list[int] = []
        clipped: dict[int, int] = {}
        if not self.progress.is_file():
            return found, clipped
        size = self.values.stat().st_size if self.values.is_file() else 0
        whole: list[str] = []
        for line in self.progress.read_text(encoding="utf-8").splitlines():
            try:
                own, so_far = json.loads(line)
                if (sum(found) + sum(own)) * self.columns * 2 > size:
                    break
                found, clipped = found + own, {int(layer): int(count) for layer, count in so_far}
            except (ValueError, TypeError):  # cut off by a crash
                break
            whole.append(line)
        self.progress.write_text("".join(f"{line}\n" for line in whole), encoding="utf-8")
        return found, clipped


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _digest(texts: Sequence[Sequence[str]]) -> str:
    return hashlib.sha256("\x1e".join(" ".join(words) for words in texts).encode()).hexdigest()
