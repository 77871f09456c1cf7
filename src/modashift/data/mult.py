"""MulT's and MFN's pickles (``mosi_data.pkl``): padded arrays with GloVe vectors for words, which are not named."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.data import safe_pickle
from modashift.data.build import SPLIT_NAMES, Row, assemble, float_steps, from_segment, origin
from modashift.data.dataset import Dataset
from modashift.errors import DataError

__all__ = ["is_mult", "parse_mult", "read_mult"]

_KEYS = {"linguistic": "text", "visual": "vision", "acoustic": "audio"}


def is_mult(content: Any) -> bool:
    """Whether a loaded pickle has the keys of this layout."""
    wanted = {"labels", *_KEYS.values()}
    return isinstance(content, Mapping) and any(
        isinstance(content.get(split), Mapping) and wanted <= set(content[split]) for split in SPLIT_NAMES
    )


def read_mult(path: Path | str) -> Dataset:
    """Read ``mosi_data.pkl``, ``mosei_senti_data_noalign.pkl`` and their like.

    All modalities become frames, with the zeros at both ends cut off as padding: together where they have equally many
    steps, because they are aligned then. There are no texts and no words, so models that read word pieces cannot use
    these files; those that read word vectors can.

    Raises:
        DataError: the file is unreadable or not of this layout; names split and key.
    """
    path = Path(path)
    return parse_mult(safe_pickle.load(path), path)


def parse_mult(content: Any, path: Path) -> Dataset:
    """Make a data set of a loaded pickle; `path` is where it came from."""
    if not is_mult(content):
        raise DataError(f"{path} is not in MulT's layout: expected splits with vision, text, audio and labels")
    rows: list[Row] = []
    for name in content:
        if name in SPLIT_NAMES:
            rows += _rows(content[name], SPLIT_NAMES[name], f"{path}, {name}")
    notes = ["no texts and no words; zeros at both ends of a sequence were cut off as padding"]
    return assemble(path.stem, rows, dict.fromkeys(_KEYS, "frame"), origin(path, "mult", notes))


def _rows(content: Any, split: str, where: str) -> list[Row]:
    if not isinstance(content, Mapping):
        raise DataError(f"{where}: expected a dictionary of arrays, found a {type(content).__name__}")
    missing = [key for key in (*_KEYS.values(), "labels") if key not in content]
    if missing:
        raise DataError(f"{where}: the key {missing[0]!r} is missing")
    try:
        labels = np.asarray(content["labels"], dtype=np.float64)
        arrays = {modality: np.asarray(content[key]) for modality, key in _KEYS.items()}
        names = [_name(entry) for entry in content["id"]] if "id" in content else None
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(f"{where}: labels or ids are not arrays ({error})") from error
    if labels.ndim == 0 or labels.size != len(labels):
        raise DataError(f"{where}, labels: expected one score each, found shape {labels.shape}")
    if names is not None and len(names) != len(labels):
        raise DataError(f"{where}, id: {len(names)} ids for {len(labels)} labels")
    for modality, values in arrays.items():
        if values.ndim != 3 or len(values) != len(labels):
            raise DataError(
                f"{where}, {_KEYS[modality]}: expected ({len(labels)}, steps, columns), found shape {values.shape}"
            )
    aligned = len({values.shape[1] for values in arrays.values()}) == 1
    rows = []
    for k, label in enumerate(labels.ravel()):
        identifier = f"{split}_{k + 1}"
        identifier, group = names[k] if names is not None else (identifier, identifier)
        features = {m: float_steps(v[k], f"{where}, {_KEYS[m]}, row {k}") for m, v in arrays.items()}
        spans = {m: _span(steps) for m, steps in features.items()}
        if aligned:  # one span for all, so that step k remains the same moment in each
            ends = [(s.start, s.stop) for s in spans.values() if s.stop]
            whole = slice(min(a for a, _ in ends), max(b for _, b in ends)) if ends else slice(0, 0)
            spans = {m: whole if s.stop else s for m, s in spans.items()}
        features = {m: steps[spans[m]] for m, steps in features.items()}
        rows.append(Row(identifier, group, split, float(label), "", (), features))
    return rows


def _span(steps: NDArray[np.float32]) -> slice:
    real = np.flatnonzero((steps != 0).any(-1))
    return slice(int(real[0]), int(real[-1]) + 1) if len(real) else slice(0, 0)


def _name(entry: Any) -> tuple[str, str]:
    """Id and group: some files hold one name each, others video, start and end, as strings."""
    parts = [p.decode("utf-8", "replace") if isinstance(p, bytes) else str(p) for p in np.ravel(np.asarray(entry))]
    return from_segment(parts[0]) if len(parts) == 1 else ("@".join(parts[:2]), parts[0])
