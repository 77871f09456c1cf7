"""What a damaged file may do to the process that reads it; for tests of `modashift.app.page.background`."""

import os
import time

import numpy as np

from modashift.errors import ModashiftError


def crash(how: str) -> str:
    """End, never end, take memory, fail, or answer."""
    if how == "end":
        os._exit(3)
    if how == "loop":
        time.sleep(60)
    if how == "memory":
        return str(len(np.ones(int(1e9))))
    if how == "wrong":
        raise KeyError("x")
    if how == "told":
        raise ModashiftError("the file is damaged")
    return f"{how} by {os.getpid()}"
