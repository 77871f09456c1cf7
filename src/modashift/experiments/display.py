"""What a person sees while an experiment runs: bars in a terminal, a line an event elsewhere."""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modashift.display import console, counting_bars, duration
from modashift.experiments.grid import Run
from modashift.experiments.state import progress, seconds

__all__ = ["Display", "remaining"]

WORDS = {
    "started": "started",
    "done": "finished",
    "failed": "FAILED",
    "blocked": "not begun",
    "taken": "waiting: another call has it in hand",
    "elsewhere": "finished by another call",
}


class Display:
    """Tells a person what happens.

    Args:
        title: of the experiment.
        out: its folder.
        processes: runs at a time, for the time that is left.
        plain: a line an event; in a terminal there are bars where not given.
    """

    def __init__(self, title: str, out: Path, processes: int, plain: bool | None = None) -> None:
        self.title, self.out, self.processes = title, out, processes
        self.console = console()
        self.plain = not self.console.is_terminal if plain is None else plain
        self.left: dict[str, Run] = {}
        self.seconds: dict[str, float] = {}  # of finished runs, by name
        self.runs: dict[str, Run] = {}
        self.total = 0
        self.bars: Any = None
        self.tasks: dict[str, Any] = {}
        self.next_look = 0.0

    def begin(self, runs: Sequence[Run], done: Sequence[Run]) -> None:
        """All runs, and those found finished."""
        self.total = len(runs)
        self.runs = {r.name: r for r in runs}
        there = {r.name for r in done}
        self.left = {r.name: r for r in runs if r.name not in there}
        for run in done:
            self._took(run)
        again = f", {len(done)} finished before" if done else ""
        self.console.print(f"{self.title}: {len(runs)} runs{again}; folder {self.out}", markup=False)
        if self.plain or not self.left:
            return
        self.bars = counting_bars(self.console)
        self.whole = self.bars.add_task("runs", total=self.total, completed=len(done), note="")
        self.bars.start()

    def event(self, kind: str, run: Run, text: str = "") -> None:
        """Print what happened to a run."""
        if kind == "started":
            if self.bars is not None:
                at = progress(run, self.out)
                self.tasks[run.name] = self.bars.add_task(f"  {run.name}", total=at.of, completed=at.epochs, note="")
        else:
            if kind != "taken":
                self.left.pop(run.name, None)
            if self.bars is not None:
                if run.name in self.tasks:
                    self.bars.remove_task(self.tasks.pop(run.name))
                self.bars.update(self.whole, completed=self.total - len(self.left))
        if kind in {"done", "elsewhere"}:
            self._took(run)
        if self.bars is not None and kind in {"started", "taken"}:
            return  # the bars show it
        parts = [f"{self.total - len(self.left)} of {self.total}", f"{run.name} {WORDS[kind]}"]
        if kind == "done" and run.name in self.seconds:
            parts[1] += f" in {duration(self.seconds[run.name])}, {progress(run, self.out).score}".rstrip(", ")
        if text and kind != "done":
            parts[1] += f": {text.splitlines()[0]}"
        if kind not in {"started", "taken"} and self.left:
            parts.append(self._eta([]))
        self.console.print("; ".join(filter(None, parts)), markup=False)

    def tick(self, running: Sequence[Run]) -> None:
        """Move the bars, about once a second."""
        if self.bars is None or time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + 1
        for run in running:
            at = progress(run, self.out)
            if run.name in self.tasks:
                self.bars.update(self.tasks[run.name], completed=at.epochs, note=f"epochs  {at.score}")
        self.bars.update(self.whole, note=self._eta(running))

    def stop(self) -> None:
        """Take the bars away."""
        if self.bars is not None:
            self.bars.stop()
            self.bars = None

    def _took(self, run: Run) -> None:
        if (found := seconds(run.folder(self.out))) is not None:
            self.seconds[run.name] = found

    def _eta(self, running: Sequence[Run]) -> str:
        begun = {r.name: progress(r, self.out) for r in running}
        shares = {name: 1.0 - (begun[name].epochs / begun[name].of if name in begun else 0.0) for name in self.left}
        left = remaining(self.runs, shares, self.seconds)
        return "" if left is None else f"about {duration(left / max(1, min(self.processes, len(self.left))))} left"


def remaining(runs: Mapping[str, Run], shares: Mapping[str, float], took: Mapping[str, float]) -> float | None:
    """Seconds of work left, by the mean of the finished runs that are most alike: same row and data, same row, any.

    Args:
        runs: all runs by name.
        shares: what is left of each unfinished one, from 0 to 1.
        took: seconds of the finished ones.

    Returns:
        None before any run is finished.
    """
    if not took:
        return None

    def expected(run: Run) -> float:
        for key in (lambda r: (r.row, r.table), lambda r: r.row, lambda _: None):
            alike = [s for name, s in took.items() if name in runs and key(runs[name]) == key(run)]
            if alike:
                return statistics.mean(alike)
        return 0.0

    return sum(share * expected(runs[name]) for name, share in shares.items())
