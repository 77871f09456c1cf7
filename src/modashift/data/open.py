"""One way in: whatever the layout, `open_dataset` recognises it by content, reads it and checks it."""

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from modashift.data import safe_pickle
from modashift.data.dataset import Dataset
from modashift.data.join import JOIN_SUFFIX, read_join
from modashift.data.store import STORE_FILE, open_store
from modashift.data.tables import SUFFIXES, read_table
from modashift.data.validate import check, replace_nonfinite
from modashift.errors import DataError

__all__ = ["FORMATS", "NAMED", "detect", "open_dataset"]

# Data sets anybody can fetch, by name.
RATED: dict[str, tuple[Literal["movie", "product"], ...]] = {
    "reviews": ("movie", "product"),
    "reviews-movie": ("movie",),
    "reviews-product": ("product",),
}
# Data sets drawn from a model, by name: nothing is fetched for them.
PLANTED: dict[str, Literal["elsewhere", "own"]] = {"planted": "elsewhere", "planted-own": "own"}
NAMED = (*RATED, *PLANTED)
_HDF5 = b"\x89HDF\r\n\x1a\n"


def _readers() -> dict[str, Callable[..., Dataset]]:
    from modashift.data.csd import read_csd
    from modashift.data.mag import read_mag
    from modashift.data.misa import read_misa
    from modashift.data.mmsa import read_mmsa
    from modashift.data.mult import read_mult

    return {
        "store": open_store,
        "mmsa": read_mmsa,
        "mag": read_mag,
        "misa": read_misa,
        "mult": read_mult,
        "csd": read_csd,
        "table": read_table,
        "join": read_join,
    }


FORMATS = ("store", "mmsa", "mag", "misa", "mult", "csd", "table", "join")


def open_dataset(
    path: Path | str, format: str | None = None, replace_nonfinite: bool = False, **options: Any
) -> Dataset:
    """Open a data set in any layout of the field.

    Args:
        path: store, file or folder; or ``reviews``, ``reviews-movie``, ``reviews-product``: rated sentences, fetched;
            or ``planted``, ``planted-own``: made-up data, see `modashift.data.planted`.
        format: one of `FORMATS`; recognised by content where not given.
        replace_nonfinite: put 0 for NaN and infinite feature values and count them in the provenance, instead of
            refusing the file.
        options: of the reader of that layout, such as ``split`` of a single MISA file.

    Raises:
        DataError: not recognised (lists what was tried), unreadable, or with errors that `check` finds. A store was
            checked when it was written and is not scanned again; nor is a join, whose parts are opened in this way.
    """
    path = Path(path)
    dataset = read(path, format, **options)
    if dataset.provenance.get("store") or dataset.provenance.get("joined"):
        return dataset
    if replace_nonfinite:
        dataset = _replaced(dataset)
    check(dataset).raise_errors()
    return dataset


_replaced = replace_nonfinite  # the argument above has the name of the option


def read(path: Path, format: str | None = None, **options: Any) -> Dataset:
    """Read without checking; `open_dataset` is what most callers want.

    Raises:
        DataError: not recognised, unreadable, or an option its reader does not have.
    """
    if not path.exists():
        if str(path) in RATED and format is None:
            from modashift.data.reviews import load_reviews

            return load_reviews(RATED[str(path)])
        if str(path) in PLANTED and format is None:
            from modashift.data.planted import planted_dataset

            return planted_dataset(PLANTED[str(path)])
        raise DataError(
            f"there is no file or folder {path}; besides files, {', '.join(RATED)} name the human-rated sentences that "
            f"are fetched with pip, and {', '.join(PLANTED)} made-up data"
        )
    content = None
    if format is None:
        format, content = detect(path)
    readers = _readers()
    if format not in readers:
        raise DataError(f"format {format!r} is not one of {', '.join(FORMATS)}")
    options = {key: value for key, value in options.items() if value is not None}
    known = [name for name in signature(readers[format]).parameters if name != "path"]
    unknown = [key for key in options if key not in known]
    if unknown:
        possible = f"its options: {', '.join(known)}" if known else "it has no options"
        raise DataError(f"{path} is read as {format}, which has no option {', '.join(unknown)}; {possible}")
    if content is not None:  # a pickle was loaded to recognise it: it need not be loaded twice
        return _parsers()[format](content, path, **options)
    return readers[format](path, **options)


def _parsers() -> dict[str, Callable[..., Dataset]]:
    from modashift.data.mag import parse_mag
    from modashift.data.misa import parse_misa
    from modashift.data.mmsa import parse_mmsa
    from modashift.data.mult import parse_mult

    return {"mmsa": parse_mmsa, "mag": parse_mag, "misa": parse_misa, "mult": parse_mult}


def detect(path: Path) -> tuple[str, Any]:
    """Format of a file or folder by its content, and the content itself where a pickle had to be loaded.

    Raises:
        DataError: it is none of the known formats; says what was found.
    """
    if path.is_dir():
        return _detect_folder(path), None
    with path.open("rb") as file:
        start = file.read(8)
    if start == _HDF5:
        raise DataError(
            f"{path} is one computational sequence of the CMU SDK; give the folder with the words, the labels and the "
            "features"
        )
    if path.suffix in SUFFIXES:
        return "table", None
    if path.suffix == JOIN_SUFFIX:
        return "join", None
    if not safe_pickle.is_pickle(path):
        raise DataError(
            f"{path} is in no known format: not a pickle, not HDF5 (.csd), and as a table it would end in "
            f"{', '.join(SUFFIXES)}; give --format where you know it"
        )
    content = safe_pickle.load(path)
    return _detect_pickle(content, path), content


def _detect_folder(path: Path) -> str:
    from modashift.data.misa import misa_files

    if (path / STORE_FILE).is_file():
        return "store"
    if any(path.glob("*.csd")):
        return "csd"
    if misa_files(path):
        return "misa"
    raise DataError(
        f"{path} is a folder in no known format: it has no {STORE_FILE} (store), no .csd (CMU SDK), and none of "
        "train.pkl, dev.pkl, test.pkl (MISA)"
    )


def _detect_pickle(content: Any, path: Path) -> str:
    from modashift.data.mmsa import is_mmsa
    from modashift.data.mult import is_mult

    if isinstance(content, list | tuple):
        return "misa"
    if is_mmsa(content):
        return "mmsa"
    if is_mult(content):
        return "mult"
    if isinstance(content, Mapping) and any(isinstance(v, list | tuple) for v in content.values()):
        first = next((v[0] for v in content.values() if isinstance(v, list | tuple) and v), None)
        if isinstance(first, list | tuple) and first and isinstance(first[0], list | tuple) and len(first[0]) == 3:
            return "mag"
    found = f"keys {', '.join(map(str, list(content)[:8]))}" if isinstance(content, Mapping) else type(content).__name__
    raise DataError(
        f"{path} is a pickle in no known layout ({found}). Tried: MMSA (splits with regression_labels), MulT (splits "
        "with vision, text, audio, labels), MAG-BERT (splits of ((words, visual, acoustic), label, segment)), MISA (a "
        "list of ((word ids, visual, acoustic, words), label, segment))"
    )
