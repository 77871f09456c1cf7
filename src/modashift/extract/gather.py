"""Which recordings a call is about, and what each is called."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from modashift.errors import DataError

__all__ = ["MEDIA", "Recording", "gather"]

MEDIA = frozenset(
    (
        ".3gp .aac .aif .aiff .asf .au .avi .caf .flac .flv .m2ts .m4a .m4v .mkv .mka .mov .mp2 .mp3 .mp4 .mpeg .mpg "
        ".mts .mxf .oga .ogg .ogv .opus .ts .vob .wav .weba .webm .wma .wmv"
    ).split()
)
"""Endings by which recordings are found in folders; files that are named may have any."""


class Recording(NamedTuple):
    """A recording to extract: a name of its own, and its file, which a list may name without its being there."""

    name: str
    path: Path


def gather(arguments: Iterable[str | Path]) -> tuple[Recording, ...]:
    """Recordings by files, folders (with all below, by `MEDIA`) and lists (``@list.txt``, one path a line).

    Paths in a list count from the list's folder; empty lines and lines that begin with ``#`` are left out. A recording
    that is named twice counts once. A recording's name is its path below the folder given, else its file's name,
    without the ending. Where two would have one name, both keep their endings, and where that is not enough, as many
    folders above as tell them apart.

    Raises:
        DataError: a file or folder that is not there, a folder without recordings, a list that cannot be read.
    """
    found: dict[Path, tuple[PurePosixPath, Path]] = {}
    for argument in arguments:
        for relative, path in _expand(str(argument)):
            found.setdefault(Path(os.path.abspath(path)), (relative, path))
    if not found:
        raise DataError("there is no recording to extract; name files, folders or lists (@list.txt)")
    return tuple(
        Recording(n, p) for n, (_, p) in zip(_names(list(found), [r for r, _ in found.values()]), found.values())
    )


def _expand(argument: str) -> list[tuple[PurePosixPath, Path]]:
    if argument.startswith("@") and not Path(argument).exists():
        return [(PurePosixPath(path.name), path) for path in _listed(Path(argument[1:]))]
    path = Path(argument)
    if path.is_file():
        return [(PurePosixPath(path.name), path)]
    if not path.is_dir():
        raise DataError(f"there is no file or folder {path}; lists of files are given as @list.txt")
    below = sorted(p for p in path.rglob("*") if p.suffix.lower() in MEDIA and p.is_file() and not _hidden(p, path))
    if not below:
        raise DataError(f"{path} holds no recording: no file ends in {', '.join(sorted(MEDIA))}")
    return [(PurePosixPath(p.relative_to(path).as_posix()), p) for p in below]


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"cannot read the list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"the list {path} is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    return [path.parent / line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _names(paths: Sequence[Path], relative: Sequence[PurePosixPath]) -> list[str]:
    names = [_clean(str(r.with_suffix("") if r.name else "recording")) for r in relative]
    clashing = _clashing(names)
    for i in clashing:
        names[i] = _clean(str(relative[i]))
    depth = 1
    while clashing := _clashing(names):
        depth += 1
        for i in clashing:
            parts = [p for p in paths[i].parts if p != paths[i].anchor]
            longer = "/".join(parts[-depth:])
            # All folders used up: only a number is left to tell them apart.
            names[i] = _clean(longer) if depth <= len(parts) else f"{names[i]}#{i + 1}"
    return names


def _clashing(names: Sequence[str]) -> list[int]:
    """Positions of names that occur more than once, also on a system that does not tell case."""
    count: dict[str, int] = {}
    for name in names:
        count[name.casefold()] = count.get(name.casefold(), 0) + 1
    return [i for i, name in enumerate(names) if count[name.casefold()] > 1]


def _clean(name: str) -> str:
    """A name that can be written as UTF-8 and as one line."""
    readable = name.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "_" for c in readable)
