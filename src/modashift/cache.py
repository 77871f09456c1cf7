"""Where downloads are kept, and how they get there whole or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modashift.errors import DataError

__all__ = ["cache_folder", "check_sha256", "provide"]


def cache_folder() -> Path:
    """Folder of all downloads: ``MODASHIFT_CACHE`` where set, else ``~/.cache/modashift``. It need not exist yet."""
    configured = os.environ.get("MODASHIFT_CACHE")
    return Path(configured).expanduser() if configured else Path.home() / ".cache" / "modashift"


def check_sha256(path: Path, expected: str) -> None:
    """Compare a file with its pinned hash.

    Raises:
        DataError: naming the file and both hashes, where they differ.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise DataError(
            f"{path.name} is not the expected file: its SHA-256 is {found} and should be {expected}. It was damaged on "
            "the way or comes from another release; delete it and fetch it again"
        )


def provide(name: str, fill: Callable[[Path], None]) -> Path:
    """Folder `name` of the cache, filled on first use.

    The folder is filled under a temporary name and then renamed, so one that exists is complete, whatever was
    interrupted. Processes that want the same folder at once wait for the first (where the system has file locks) or
    each do the work and keep the first result.

    Args:
        name: of the folder; put the release or hash of the content in it, since it is never refreshed.
        fill: writes the content into the empty folder it is given. Whatever it raises is passed on, and what it wrote
            by then is removed.

    Raises:
        DataError: the cache folder cannot be written.
    """
    root = cache_folder()
    target = root / name
    if target.is_dir():
        return target
    try:
        root.mkdir(parents=True, exist_ok=True)
        workspace = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
    except OSError as error:
        raise DataError(
            f"cannot write the download cache {root}: {error.strerror}. Set MODASHIFT_CACHE to a folder you may write"
        ) from error
    try:
        with _lock(root / f".{name}.lock"):
            if target.is_dir():  # another process was first
                return target
            content = workspace / "content"
            content.mkdir()
            fill(content)
            try:
                content.rename(target)
            except OSError:
                if not target.is_dir():  # otherwise another process was first, and its copy is as good
                    raise
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    return target


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time in; the system frees the lock of a process that dies."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: the atomic rename alone keeps the result right
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
