"""Workers of a Ray cluster, or of a local one that is started for the call.

All machines of a cluster must see the recordings and the folder of the clip files under the same paths, and have
modashift with the same extras installed.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from modashift.errors import ModashiftError
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

__all__ = ["RayEngine"]

POLL = 0.5  # seconds between looks at deadlines


class _Remote:
    """What lives in a worker's process."""

    def ready(self) -> int:
        """Answers once the process has started."""
        return os.getpid()

    def duration(self, task: Task) -> float:
        return probed(task)

    def make(self, task: Task) -> Entry:
        return make(task)


@dataclass
class _Worker:
    """An actor and what it has in hand; `refs` are of its answers still to come, the entry's last."""

    actor: Any
    task: Task
    attempts: int
    refs: list[Any]
    begun: float | None = None  # None until its process has started, which may wait for a machine
    allowed: float = 0.0


class RayEngine:
    """Works with actors of one processor each, each on one recording at a time.

    Args:
        processes: at a time.
        address: of a running cluster (``auto``, ``HOST:PORT``, ``ray://…``); a local one is started where empty.
        limit: of the time of a recording; its worker is killed after that.
        retries: how often a recording is begun again at which a worker died.

    Raises:
        ModashiftError: Ray is not installed.
    """

    def __init__(self, processes: int, address: str = "", limit: Limit | None = None, retries: int = 1) -> None:
        self.processes, self.address, self.limit, self.retries = processes, address, limit or Limit(), retries
        self.ray = _ray()
        self.busy: list[_Worker] = []
        self.spare: list[Any] = []

    def run(self, tasks: Iterable[Task]) -> Iterator[Event]:
        """Work until all are done; see `Engine`."""
        waiting = deque((task, 1) for task in tasks)
        started = self._connect() if waiting else False
        try:
            while waiting or self.busy:
                while waiting and len(self.busy) < self.processes:
                    task, attempts = waiting.popleft()
                    self._give(task, attempts)
                    yield Event("started" if attempts == 1 else "again", task)
                self.ray.wait([w.refs[0] for w in self.busy], timeout=POLL)
                for worker in list(self.busy):
                    entry = self._look(worker)
                    if entry is None:
                        continue
                    self.busy.remove(worker)
                    if entry.reason == "crashed" and worker.attempts <= self.retries:
                        waiting.append((worker.task, worker.attempts + 1))
                    else:
                        yield Event("done", worker.task, entry)
                yield Event("tick")
        finally:
            for actor in [*self.spare, *(w.actor for w in self.busy)]:
                self._kill(actor)
            self.spare, self.busy = [], []
            if started:
                self.ray.shutdown()

    def _connect(self) -> bool:
        """Join a cluster or start a local one; whether this call did."""
        if self.ray.is_initialized():
            return False
        quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if self.address:
            try:
                self.ray.init(address=self.address, runtime_env={"env_vars": dict(SINGLE_THREAD)}, **quiet)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ModashiftError(f"there is no Ray cluster at {self.address}: {error}") from error
            return True
        # Workers inherit these: a local cluster reports to nobody, and imports what this process can import.
        paths = os.pathsep.join(dict.fromkeys(os.path.abspath(p) for p in sys.path))
        with variables({**SINGLE_THREAD, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": paths}):
            self.ray.init(
                address="local",
                num_cpus=self.processes,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                **quiet,
            )
        return True

    def _give(self, task: Task, attempts: int) -> None:
        actor = self.spare.pop() if self.spare else self.ray.remote(num_cpus=1, max_restarts=0)(_Remote).remote()
        refs = [actor.ready.remote(), actor.duration.remote(task), actor.make.remote(task)]
        self.busy.append(_Worker(actor, task, attempts, refs))

    def _look(self, worker: _Worker) -> Entry | None:
        """The entry of a worker's task; None while it is at it."""
        try:
            while self.ray.wait(worker.refs[:1], timeout=0)[0]:
                value = self.ray.get(worker.refs.pop(0))
                if not worker.refs:
                    self.spare.append(worker.actor)
                    entry: Entry = value
                    return replace(entry, attempts=worker.attempts)
                if worker.begun is None:
                    worker.begun, worker.allowed = time.monotonic(), self.limit.of(0.0)
                else:
                    worker.allowed = self.limit.of(value)
        except self.ray.exceptions.RayError as error:
            self._kill(worker.actor)
            said = str(error).strip().splitlines()
            return crashed(worker.task, f"({type(error).__name__}: {said[0] if said else ''})", worker.attempts)
        if worker.begun is not None and time.monotonic() - worker.begun > worker.allowed:
            self._kill(worker.actor)
            return timed_out(worker.task, worker.allowed, worker.attempts)
        return None

    def _kill(self, actor: Any) -> None:
        with suppress(self.ray.exceptions.RayError, ValueError):
            self.ray.kill(actor, no_restart=True)


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ModashiftError('--engine ray needs Ray: pip install "modashift[cluster]"') from error
    return ray
