"""MISA's pickles: one list a split of ((word ids, visual, acoustic, words), label, segment)."""

import re
from pathlib import Path
from typing import Any

from modashift.data import safe_pickle
from modashift.data.build import SPLIT_NAMES, Row, assemble, origin
from modashift.data.dataset import SPLITS, Dataset
from modashift.data.mag import parse_row
from modashift.errors import DataError

__all__ = ["misa_files", "parse_misa", "read_misa"]

_ALIGNMENTS: Any = {"visual": "word", "acoustic": "word"}


def misa_files(folder: Path) -> dict[str, Path]:
    """The files of a folder that are named for a split, by split."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.pkl")):
        if path.stem in SPLIT_NAMES:
            found.setdefault(SPLIT_NAMES[path.stem], path)
    return {split: found[split] for split in SPLITS if split in found}


def read_misa(path: Path | str, split: str | None = None) -> Dataset:
    """Read a folder with ``train.pkl``, ``dev.pkl`` and ``test.pkl``, or one such file.

    Utterance ``VIDEO[k]`` becomes ``VIDEO_k+1`` of group ``VIDEO``.

    Args:
        path: folder or file.
        split: of a single file; taken from its name (``misa_dev.pkl``) where not given.

    Raises:
        DataError: nothing to read, a split that cannot be told, or a file not of this layout.
    """
    path = Path(path)
    if path.is_dir():
        if split is not None:
            raise DataError(f"{path} is a folder, whose files name their splits; give split only with a single file")
        files = misa_files(path)
        if not files:
            raise DataError(f"{path} has none of train.pkl, dev.pkl, test.pkl")
        rows = [row for name, file in files.items() for row in _rows(safe_pickle.load(file), file, name)]
        return assemble(path.name, rows, _ALIGNMENTS, origin(path, "misa", files=files.values()))
    return parse_misa(safe_pickle.load(path), path, split)


def parse_misa(content: Any, path: Path, split: str | None = None) -> Dataset:
    """Make a data set of one loaded pickle; `path` is where it came from."""
    if split is None:
        named = [SPLIT_NAMES[part] for part in re.split(r"[^a-z]+", path.stem.lower()) if part in SPLIT_NAMES]
        if len(set(named)) != 1:
            raise DataError(f"{path}: the name does not tell which split this is; give split=train, dev or test")
        split = named[0]
    if split not in SPLIT_NAMES:
        raise DataError(f"split {split!r} is not one of train, dev, test")
    rows = _rows(content, path, SPLIT_NAMES[split])
    return assemble(path.stem, rows, _ALIGNMENTS, origin(path, "misa", split=split))


def _rows(content: Any, path: Path, split: str) -> list[Row]:
    if not isinstance(content, list | tuple):
        raise DataError(f"{path} is not in MISA's layout: expected a list, found a {type(content).__name__}")
    return [parse_row(item, split, k, f"{path}, row {k}", first_is_words=False) for k, item in enumerate(content)]
