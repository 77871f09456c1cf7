"""Several processes at work on one folder: whose a part of it is, and that none outlives its parent."""

import faulthandler
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["begin_worker", "claim", "end_with_parent"]

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


def begin_worker(log: str) -> None:
    """What a worker process does first: leave interrupts to its parent, end with it, and print to a file.

    Args:
        log: file that takes what libraries print, and the last words of a crash.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    faulthandler.enable()
    end_with_parent()
