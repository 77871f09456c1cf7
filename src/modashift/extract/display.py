"""What a person sees while recordings are extracted: a bar in a terminal, a line a recording elsewhere."""

import time
from collections.abc import Sequence
from typing import Any

from modashift.display import console, counting_bars, duration
from modashift.extract.engines.work import Task
from modashift.extract.manifest import Entry

__all__ = ["Display", "speed"]


class Display:
    """Tells a person what happens.

    Args:
        plain: a line a recording; in a terminal there is a bar where not given.
    """

    def __init__(self, plain: bool | None = None) -> None:
        self.console = console()
        self.plain = not self.console.is_terminal if plain is None else plain
        self.bars: Any = None
        self.row: Any = None
        self.total = self.before = self.finished = self.failed = 0
        self.media = 0.0  # seconds of recordings extracted by this call
        self.since = time.monotonic()
        self.next_look = 0.0

    def checked(self, done: int, of: int) -> None:
        """Show how far the look at what is there already is."""
        if not self.plain and of > 1 and (done == of or time.monotonic() >= self.next_look):
            self.next_look = time.monotonic() + 0.2
            self._start(of)
            self.bars.update(self.row, completed=done, description="checking", note="")

    def begin(self, tasks: int, found: Sequence[Entry]) -> None:
        """Say how many recordings there are, and how many are done."""
        self.total, self.before, self.finished, self.since = tasks, len(found), len(found), time.monotonic()
        before = f", {len(found)} extracted before" if found else ""
        self._say(f"{tasks} recording{'s' * (tasks != 1)}{before}")
        if not self.plain and len(found) < tasks:
            self._start(tasks)
            self.bars.update(self.row, completed=self.finished, description="extracting")

    def started(self, task: Task, again: bool) -> None:
        """Say that a recording is begun again; that one is begun at all says the bar."""
        if again:
            self._say(f"{task.name}: its worker died; begun again")

    def done(self, entry: Entry) -> None:
        """Say what became of a recording."""
        self.finished += 1
        if entry.status == "failed":
            self.failed += 1
        else:
            self.media += entry.duration
        if entry.status == "failed" or self.plain:
            what = f"{duration(entry.duration)} of media" if entry.status != "failed" else f"FAILED ({entry.reason})"
            parts = [f"{self.finished} of {self.total}", f"{entry.name}: {what}", self._left()]
            if entry.message:
                parts[1] += f", {entry.message}" if entry.status != "failed" else f": {entry.message}"
            self._say("; ".join(part for part in parts if part))
        self.next_look = 0.0

    def tick(self) -> None:
        """Move the bar, about five times a second."""
        if self.bars is None or time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + 0.2
        parts = [f"{duration(self.media)} of media, {speed(self.media, time.monotonic() - self.since)}"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(self._left())
        self.bars.update(self.row, completed=self.finished, note="; ".join(part for part in parts if part))

    def stop(self) -> None:
        """Take the bar away."""
        if self.bars is not None:
            self.bars.stop()
            self.bars = None

    def _start(self, total: int) -> None:
        if self.bars is not None:
            return
        self.bars = counting_bars(self.console)
        self.row = self.bars.add_task("checking", total=total, note="")
        self.bars.start()

    def _left(self) -> str:
        # By the number of recordings, as the lengths of those to come are not known.
        now, left = self.finished - self.before, self.total - self.finished
        return f"about {duration((time.monotonic() - self.since) / now * left)} left" if now and left else ""

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False)


def speed(media: float, seconds: float) -> str:
    """How fast, compared with the recordings' own time."""
    return f"{media / seconds:.1f}× real time" if seconds > 0 else ""
