"""A grid killed with SIGKILL, again and again, ends with the report of one that never was.

By default it is killed three times; ``MODASHIFT_KILLS=10 pytest -s tests/experiments/test_kills.py`` is the long form.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modashift.__main__ import main
from support import toy_dataset, write_table

KILLS = int(os.environ.get("MODASHIFT_KILLS", "3"))
EPOCHS = 3 * KILLS  # of each of the four runs, about 80 ms each
TOTAL = 4 * EPOCHS
FILES = ("metrics.jsonl", "predictions.csv", "results.json")  # environment.json and timing.jsonl may differ


class Grid:
    """Two rows and two seeds on a toy table, made by calls of the command line."""

    def __init__(self, folder: Path, backbone: str) -> None:
        self.folder = folder
        (folder / "toy").mkdir()
        table = write_table(toy_dataset(60), folder / "toy")
        self.file = folder / "ours.yaml"
        self.file.write_text(
            f"title: Ours\ndata: {{toy: {{data: {table}}}}}\nseeds: [1, 2]\n"
            f"train: {{backbone: {backbone}, epochs: {EPOCHS}, batch_size: 16, save_every: 1, tensorboard: false, "
            "device: cpu}\nrows: {bert: {model: bert}, cmsbert: {model: cmsbert}}\n",
            encoding="utf-8",
        )

    def start(self, out: str) -> "subprocess.Popen[bytes]":
        """Begin a call, or the next one, in a process group of its own."""
        command = [sys.executable, "-m", "modashift", "experiment", "run", str(self.file), "--out"]
        return subprocess.Popen(
            [*command, str(self.folder / out), "--threads", "1", "--keep-weights", "false"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def runs(self, out: str) -> list[Path]:
        """Folders of the runs, within that of the experiment."""
        return sorted(p.relative_to(self.folder / out) for p in (self.folder / out).glob("runs/*/*/*"))

    def last_write(self, out: str) -> int:
        """When a run last saved its state, in ns; 0 before the first time."""
        return max((_changed(p) for p in (self.folder / out).glob("runs/*/*/*/state.pt")), default=0)

    def epochs(self, out: str) -> int:
        """Epochs done so far, of all runs together."""
        found = (self.folder / out).glob("runs/*/*/*/metrics.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in found)

    def report(self, out: str) -> dict[str, bytes]:
        """Every file of the report, with its bytes."""
        target = self.folder / f"report-{out}"
        options = ["--bootstrap", "300", "--timing=false", "--out", str(target)]
        assert main(["report", str(self.folder / out), *options]) == 0
        return {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()}


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _wait(process: "subprocess.Popen[bytes]", reached: Callable[[], bool]) -> None:
    """Wait for a call to reach something; fails where it ends before."""
    limit = time.monotonic() + 300
    while not reached():
        assert process.poll() is None, "the call ended before it could be killed"
        assert time.monotonic() < limit, "the call does not get on"
        time.sleep(0.005)


@pytest.mark.slow
def test_killed_at_random_times_it_ends_with_the_same_report(tmp_path, tiny_backbone):
    """The moments are drawn from a fixed seed, in epochs rather than seconds, so that a busy machine does not matter.

    Each falls into a call that has trained for a while: one of at least a step, for else no number of calls would end.
    """
    grid, chance = Grid(tmp_path, tiny_backbone), random.Random(10)
    began = time.monotonic()
    assert grid.start("whole").wait(timeout=600) == 0
    seconds = time.monotonic() - began

    hits = []
    for target in sorted(chance.sample(range(TOTAL * 2 // 3), KILLS)):
        before, process = grid.last_write("killed"), grid.start("killed")
        _wait(process, lambda before=before: grid.last_write("killed") > before)
        _wait(process, lambda target=target: grid.epochs("killed") >= target)
        time.sleep(chance.uniform(0, 0.1))  # anywhere within a step, a write, the end of a run or the start of the next
        everything = chance.random() < 0.5  # the call and its worker at once, or the call alone
        assert process.poll() is None, "it finished before it could be killed"
        (os.killpg if everything else os.kill)(process.pid, signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
        hits.append(grid.epochs("killed"))
    print(f"\n{len(hits)} calls killed after {', '.join(map(str, hits))} of {TOTAL} epochs")
    assert len(hits) == KILLS
    assert hits[-1] < TOTAL

    assert grid.start("killed").wait(timeout=600) == 0
    assert grid.runs("killed") == grid.runs("whole")
    assert len(grid.runs("whole")) == 4
    for run in grid.runs("whole"):
        for file in FILES:
            ours, theirs = (tmp_path / out / run / file for out in ("killed", "whole"))
            assert ours.read_bytes() == theirs.read_bytes(), run
    assert not (tmp_path / "killed" / "failures.jsonl").exists()
    report = grid.report("whole")
    assert {"report.html", "report.md", "table.csv", "comparisons.csv"} < set(report)
    assert grid.report("killed") == report
    print(f"{len(report)} files of the report are equal; {seconds:.0f} s for the call that was let be")
