"""Chatter is held back, everything else comes through."""

import os
import subprocess
import sys

import pytest

from modashift.extract.face import quiet as module
from modashift.extract.face.quiet import is_chatter, quiet_start

CHATTER = [
    b"WARNING: Logging before InitGoogle() is written to STDERR\n",
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
    b"W0000 00:00:1795291841.476095   21414 graph.cc:181] something\n",
    b"I0000 00:00:1795291841.476095   21414 graph.cc:181] something\n",
    b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n",
]
WORTH = [
    b"E0000 00:00:1795291841.476095   21414 graph.cc:181] it failed\n",
    b"F0000 00:00:1795291841.476095   21414 graph.cc:181] it died\n",
    b"WARNING: the disk is full\n",
    b"Traceback (most recent call last):\n",
    b"\n",
]


def test_what_is_chatter() -> None:
    assert all(is_chatter(line) for line in CHATTER)
    assert not any(is_chatter(line) for line in WORTH)


def test_only_chatter_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_start():
        os.write(2, b"".join(CHATTER + WORTH))
        print("from Python", file=sys.stderr)
        os.write(1, b"standard output\n")
    os.write(2, b"INFO: afterwards nothing is held back\n")
    out, err = capfd.readouterr()
    assert out == "standard output\n"
    assert err.replace("from Python\n", "") == b"".join(WORTH).decode() + "INFO: afterwards nothing is held back\n"
    assert err.count("from Python\n") == 1  # pytest's own standard error does not go through the descriptor


def test_errors_come_through_with_what_was_written(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with quiet_start():
            os.write(2, CHATTER[0] + WORTH[0])
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert capfd.readouterr().err == WORTH[0].decode()


def test_descriptors_do_not_leak() -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(20):
        with quiet_start():
            os.write(2, CHATTER[0])
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before


def test_without_standard_error() -> None:
    """A service may run with its descriptors closed."""
    code = (
        "import os, runpy, sys; quiet = runpy.run_path(sys.argv[1]); sys.stderr = None; os.close(2)\n"
        "with quiet['quiet_start'](): print('in', flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code, module.__file__], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "in\n")
