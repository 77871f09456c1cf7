"""Several processes at work on one folder: whose a part of it is, and that none outlives its parent."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["claim", "end_with_parent"]

LOCK = ".lock"


@contextmanager
def claim(folder: Path, wait: bool = False) -> Iterator[bool]:
    """Take a folder for this process, whichever call and process of the machine ask for it; gives whether it was had.

    The lock is the system's: it is gone with the process that holds it, however that ends.

    Args:
        folder: made where it is not there.
        wait: until it is free.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def end_with_parent() -> None:
    """End this process when its parent is killed: what it has in hand would seem taken to the next call."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
