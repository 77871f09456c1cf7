"""Processes of this machine, replaced where they die or take too long."""

import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from modashift.extract.engines.work import (
    SINGLE_THREAD,
    Event,
    Limit,
    Task,
    crashed,
    make,
    probed,
    timed_out,
    variables,
)
from modashift.extract.manifest import Entry
from modashift.train.processes import begin_worker

__all__ = ["LocalEngine"]

POLL = 0.2  # seconds between looks at deadlines
START = 120.0  # seconds that a new process may take before it begins
LEAVE = 3.0  # seconds that a worker without work has to end by itself, which lets libraries tidy up


@dataclass
class _Worker:
    """A process and what it has in hand."""

    process: Any
    connection: Connection
    log: str
    task: Task | None = None
    attempts: int = 0
    begun: float = 0.0
    allowed: float = 0.0  # seconds


class LocalEngine:
    """Works with processes, each on one recording at a time.

    Args:
        processes: at a time.
        logs: folder for what libraries print.
        limit: of the time of a recording; its worker is killed after that.
        retries: how often a recording is begun again at which a worker died.
    """

    def __init__(self, processes: int, logs: Path, limit: Limit | None = None, retries: int = 1) -> None:
        self.processes, self.logs, self.limit, self.retries = processes, logs, limit or Limit(), retries
        self.workers: list[_Worker] = []

    def run(self, tasks: Iterable[Task]) -> Iterator[Event]:
        """Work until all are done; see `Engine`."""
        waiting = deque((task, 1) for task in tasks)
        try:
            while waiting or self.workers:
                while waiting and (worker := self._idle()) is not None:
                    task, attempts = waiting.popleft()
                    self._give(worker, task, attempts)
                    yield Event("started" if attempts == 1 else "again", task)
                busy = [w for w in self.workers if w.task is not None]
                if not busy:
                    break
                wait([w.connection for w in busy], POLL)
                for worker in busy:
                    task = worker.task  # type: ignore[assignment]
                    entry = self._look(worker)
                    if entry is None:
                        continue
                    if entry.reason == "crashed" and worker.attempts <= self.retries:
                        # At the end, so that what kills workers for want of memory may meet less of a crowd.
                        waiting.append((task, worker.attempts + 1))
                    else:
                        yield Event("done", task, entry)
                yield Event("tick")
        finally:
            self.close()

    def close(self) -> None:
        """End all workers: those at work at once, the others by themselves."""
        idle = [w for w in self.workers if w.task is None]
        for worker in idle:
            worker.connection.close()
        for worker in idle:
            worker.process.join(LEAVE)
        for worker in list(self.workers):
            self._end(worker)

    def _idle(self) -> _Worker | None:
        found = next((w for w in self.workers if w.task is None), None)
        if found is not None and not found.process.is_alive():
            self._end(found)
            found = None
        if found is None and len(self.workers) < self.processes:
            found = self._start()
        return found

    def _start(self) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        self.logs.mkdir(parents=True, exist_ok=True)
        taken = {w.log for w in self.workers}
        log = next(p for n in range(self.processes + 1) if (p := str(self.logs / f"worker-{n}.log")) not in taken)
        process = context.Process(target=_work, args=(theirs, log), daemon=True)
        with variables(SINGLE_THREAD):  # NumPy reads them when it is imported, which is before `_work` begins
            process.start()
        theirs.close()
        worker = _Worker(process, ours, log)
        self.workers.append(worker)
        return worker

    def _give(self, worker: _Worker, task: Task, attempts: int) -> None:
        worker.task, worker.attempts, worker.begun = task, attempts, time.monotonic()
        worker.allowed = START + self.limit.of(0.0)
        with suppress(OSError):  # where it died just now, that is seen when it is looked at
            worker.connection.send(task)

    def _look(self, worker: _Worker) -> Entry | None:
        """The entry of a worker's task; None while it is at it."""
        task = worker.task
        assert task is not None
        try:
            while worker.connection.poll():
                kind, value = worker.connection.recv()
                if kind == "begun":  # a new process has imported what it needs
                    worker.begun, worker.allowed = time.monotonic(), self.limit.of(0.0)
                elif kind == "duration":
                    worker.allowed = self.limit.of(value)
                else:
                    worker.task = None
                    entry: Entry = value
                    return replace(entry, attempts=worker.attempts)
        except (EOFError, OSError):
            worker.process.join(5)
        if not worker.process.is_alive():
            how = _ending(worker.process.exitcode or 0)
            self._end(worker)
            return crashed(task, f"{how}; {worker.log} may say more", worker.attempts)
        if time.monotonic() - worker.begun > worker.allowed:
            self._end(worker)
            return timed_out(task, worker.allowed, worker.attempts)
        return None

    def _end(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.connection.close()
        if worker.process.is_alive():
            worker.process.kill()  # clip files appear whole or not at all, so nothing needs a chance to tidy up
        worker.process.join()


def _ending(code: int) -> str:
    if code >= 0:
        return f"with exit status {code}"
    return f"by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")


def _work(connection: Connection, log: str) -> None:
    """Make the tasks that come through the connection, until it is closed."""
    begin_worker(log)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(("begun", None))
        connection.send(("duration", probed(task)))
        connection.send(("done", make(task)))
