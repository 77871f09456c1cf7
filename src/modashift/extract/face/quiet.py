"""Keeping a C++ library's chatter off standard error, and nothing but its chatter."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_chatter", "quiet_start"]

# Information and warnings of absl's, glog's and TensorFlow Lite's loggers; errors begin with E, fatal ones with F.
_CHATTER = re.compile(rb"(INFO: |WARNING: (Logging before InitGoogle|All log messages before absl)|[IW]\d{4} )")


def is_chatter(line: bytes) -> bool:
    """Whether a line of standard error is a message below an error by one of those loggers."""
    return _CHATTER.match(line) is not None


@contextmanager
def quiet_start() -> Iterator[None]:
    """Hold standard error back while a library starts, and then let through whatever is not chatter.

    The loggers write to the file descriptor, take no settings from the environment, and can only be turned down before
    they exist; so the descriptor itself leads to a file meanwhile. Lines of other threads come out a moment later.
    """
    try:
        shown = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    try:
        with tempfile.TemporaryFile() as held:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                if sys.stderr is not None:
                    sys.stderr.flush()
                os.dup2(shown, 2)
                held.seek(0)
                rest = b"".join(line for line in held if not is_chatter(line))
                if rest:
                    os.write(2, rest)
    finally:
        os.close(shown)
