"""Execution of an experiment: workers, what each has in hand, and what became of every run."""

import json
import os
import signal
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from modashift.errors import ModashiftError
from modashift.experiments.grid import Run
from modashift.experiments.state import finished, refuse_changes
from modashift.experiments.worker import drop_weights, environment, work
from modashift.train.processes import claim

__all__ = ["Listener", "Summary", "execute"]

POLL = 0.25  # seconds between looks at the workers and their progress
AGAIN = 2.0  # seconds after which a run that another call has in hand is asked for again


class Listener(Protocol):
    """Who is told what happens; see `modashift.experiments.display`."""

    def begin(self, runs: Sequence[Run], done: Sequence[Run]) -> None:
        """All runs, and those found finished."""

    def event(self, kind: str, run: Run, text: str = "") -> None:
        """A run was ``started``, is ``done``, ``failed``, ``blocked``, ``taken`` or ``elsewhere`` (done by another)."""

    def tick(self, running: Sequence[Run]) -> None:
        """Called several times a second."""


@dataclass
class Summary:
    """What became of the runs.

    Attributes:
        found: finished before.
        done: finished now.
        failed: name and error of runs that failed.
        blocked: name and reason of runs that could not begin.
    """

    found: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)


@dataclass
class _Worker:
    number: int
    process: Any
    connection: Connection
    run: Run | None = None


class _Pool:
    """Worker processes by number; one that died is replaced when there is something to do."""

    def __init__(self, out: Path, count: int, devices: Sequence[str], threads: int | None) -> None:
        self.out, self.count, self.devices, self.threads = out, count, devices, threads
        self.workers: dict[int, _Worker] = {}

    def idle(self) -> int | None:
        """Number of a worker without a run, or None."""
        return next((n for n in range(self.count) if n not in self.workers or self.workers[n].run is None), None)

    def give(self, number: int, run: Run, keep_weights: bool) -> None:
        """Give a run to a worker, starting it where needed."""
        if number not in self.workers or not self.workers[number].process.is_alive():
            self.workers[number] = self._start(number)
        worker = self.workers[number]
        worker.run = run
        with suppress(OSError):  # where it died just now, that is seen when it is waited for
            worker.connection.send((run, self.out, keep_weights))

    def _start(self, number: int) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        device = self.devices[number % len(self.devices)] if self.devices else None
        variables = environment(device, self.threads, os.environ.get("CUDA_VISIBLE_DEVICES"))
        log = self.out / "logs" / f"worker-{number}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        process = context.Process(target=work, args=(theirs, variables, str(log)), daemon=True)
        process.start()
        theirs.close()
        return _Worker(number, process, ours)

    def busy(self) -> list[_Worker]:
        return [w for w in self.workers.values() if w.run is not None]

    def answer(self, worker: _Worker) -> tuple[str, str, str] | None:
        """What a worker says of its run, None while it is at it; a worker that died says so here."""
        try:
            if worker.connection.poll():
                answer: tuple[str, str, str] = worker.connection.recv()
                if answer[0] == "failed":  # whatever the error left behind (a lost GPU context) ends with the process
                    self.stop(worker)
                return answer
        except (EOFError, OSError):
            worker.process.join(5)
        if worker.process.is_alive():
            return None
        code = worker.process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        self.stop(worker)
        return "failed", f"its process ended {how}{hint}; {self.out / 'logs'} may say more", ""

    def stop(self, worker: _Worker) -> None:
        """End a worker's process; a run it has in hand can be continued."""
        self.workers.pop(worker.number, None)
        worker.connection.close()
        if worker.process.is_alive():
            worker.process.terminate()
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def close(self) -> None:
        """End all workers."""
        for worker in list(self.workers.values()):
            worker.process.terminate()
        for worker in list(self.workers.values()):
            self.stop(worker)


def execute(
    runs: Sequence[Run],
    out: Path,
    listener: Listener,
    processes: int = 1,
    devices: Sequence[str] = (),
    threads: int | None = None,
    keep_weights: bool | Collection[str] = True,
) -> Summary:
    """Make all runs that are not finished; a failure is that run's own.

    Args:
        runs: what is to be there in the end.
        out: folder of the experiment.
        listener: is told what happens.
        processes: runs at a time.
        devices: of the workers, in turn.
        threads: CPU threads of each; torch's own choice for one process, 1 for several, where not given.
        keep_weights: keep the weights of finished runs, or of the rows that are named; those of prepared runs are
            always kept.

    Raises:
        ModashiftError: runs in the folder have other settings.
    """
    if processes < 1:
        raise ModashiftError(f"processes must be at least 1, got {processes}")
    refuse_changes(runs, out)
    summary = Summary(found=[r.name for r in runs if finished(r.folder(out))])
    there = set(summary.found)

    def keeps(run: Run) -> bool:
        return keep_weights if isinstance(keep_weights, bool) else run.row in keep_weights

    for run in runs:
        if run.name in there and run.row and not keeps(run):
            drop_weights(run.folder(out))
    listener.begin(runs, [r for r in runs if r.name in there])
    waiting = deque(r for r in runs if r.name not in there)
    elsewhere: list[tuple[float, Run]] = []  # in the hands of another call, and when to ask again
    pool = _Pool(out, processes, devices, threads if threads or processes == 1 else 1)

    def settled(run: Run, kind: str, text: str = "", trace: str = "") -> None:
        if kind == "failed":
            summary.failed[run.name] = text
            with (out / "failures.jsonl").open("a", encoding="utf-8") as file:
                when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
                file.write(json.dumps({"run": run.name, "time": when, "error": text, "traceback": trace}) + "\n")
        elif kind == "blocked":
            summary.blocked[run.name] = text
        else:
            (summary.found if kind == "elsewhere" else summary.done).append(run.name)
        listener.event(kind, run, text)

    def next_run() -> Run | None:
        """The first run that may begin; those whose prepared run failed are given up on the way."""
        for run in list(waiting):
            if run.after in summary.failed:
                waiting.remove(run)
                settled(run, "blocked", f"{run.after} failed")
            elif run.after is None or run.after in {*summary.found, *summary.done}:
                waiting.remove(run)
                if free(run):
                    return run
                put_aside(run)
        return None

    def free(run: Run) -> bool:
        with claim(run.folder(out)) as had:
            return had

    def put_aside(run: Run) -> None:
        elsewhere.append((time.monotonic() + AGAIN, run))
        listener.event("taken", run)

    try:
        while waiting or elsewhere or pool.busy():
            for at, run in list(elsewhere):
                if finished(run.folder(out)):
                    settled(run, "elsewhere")
                elif time.monotonic() >= at and free(run):  # given up by the other call, or killed with it
                    waiting.append(run)
                else:
                    continue
                elsewhere.remove((at, run))
            while (number := pool.idle()) is not None and (run_ := next_run()) is not None:
                pool.give(number, run_, keeps(run_))
                listener.event("started", run_)
            busy = pool.busy()
            if busy:
                wait([w.connection for w in busy], POLL)
            elif elsewhere:
                time.sleep(POLL)
            for worker in busy:
                run = worker.run  # type: ignore[assignment]
                answer = pool.answer(worker)
                if answer is None:
                    continue
                worker.run = None
                kind, text, trace = answer
                if kind == "taken":
                    put_aside(run)
                elif kind == "failed" and finished(run.folder(out)):  # it died after its last file
                    settled(run, "done")
                else:
                    settled(run, kind, text, trace)
            listener.tick([w.run for w in pool.busy() if w.run is not None])
    finally:
        pool.close()
    return summary
