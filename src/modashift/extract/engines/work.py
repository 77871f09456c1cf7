"""One recording's work, as a worker does it: extract, write the clip file, and say what became of it."""

import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from modashift.errors import DataError, ModashiftError
from modashift.extract.clip_file import write_clip
from modashift.extract.manifest import Entry
from modashift.extract.media import Problem
from modashift.extract.options import ExtractOptions, packages
from modashift.extract.recording import Clip
from modashift.extract.utterances import Segment

__all__ = [
    "EXTRACTOR",
    "SINGLE_THREAD",
    "Engine",
    "Event",
    "Limit",
    "Task",
    "crashed",
    "entry_of",
    "make",
    "probed",
    "timed_out",
    "variables",
]

EXTRACTOR = "modashift.extract.clip:extract_clip"
LOSSES = frozenset(("truncated", "damaged", "too-long"))  # problems of a decoder that make a recording a partial one
LEAST_RATE = 500  # bytes a second of any recording: a damaged header may claim years

SINGLE_THREAD: Mapping[str, str] = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"),
    "TOKENIZERS_PARALLELISM": "false",
}
"""Variables of workers: as many processes as processors, one thread each, which also makes results repeatable."""


@dataclass(frozen=True)
class Task:
    """A recording to extract.

    Attributes:
        name: of the recording.
        source: path of its file.
        target: path of its clip file.
        options: of the extraction.
        transcript: what is said in it, where given.
        transcript_file: a file with it, where there is one.
        segments: given utterances.
        recipe: what the result depends on; written into the clip file.
        extractor: ``module:function`` that makes a `Clip`, with the signature of `extract_clip`.
    """

    name: str
    source: str
    target: str
    options: ExtractOptions
    transcript: str | None = None
    transcript_file: str | None = None
    segments: tuple[Segment, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    extractor: str = EXTRACTOR


@dataclass(frozen=True)
class Limit:
    """Seconds a recording may take: ``seconds + factor × its duration``.

    Attributes:
        seconds: for any; the first one of a process includes loading the models.
        factor: for each second of the recording.
    """

    seconds: float = 60.0
    factor: float = 10.0

    def of(self, duration: float) -> float:
        """Seconds that a recording of some duration may take."""
        return self.seconds + self.factor * duration


class Event(NamedTuple):
    """Something that happened: a task ``started``, is begun ``again`` after a crash, or is ``done``; or a ``tick``."""

    kind: Literal["started", "again", "done", "tick"]
    task: Task | None = None
    entry: Entry | None = None


class Engine(Protocol):
    """Works on tasks in any order, one entry each, whatever happens to its workers."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Event]:
        """Work until all are done; closing the iterator stops the workers."""


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while, for processes that are started meanwhile."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def probed(task: Task) -> float:
    """Seconds of a recording, for its time limit; 0 where it cannot be said."""
    from modashift.extract import stages

    try:
        claimed = stages.duration(Path(task.source))
        return max(0.0, min(claimed, os.path.getsize(task.source) / LEAST_RATE))
    except Exception:  # what is wrong with it is found and said when it is extracted
        return 0.0


def make(task: Task) -> Entry:
    """Extract one recording and write its clip file; an error is the result's, never the caller's."""
    seconds: dict[str, float] = {}
    problems: list[Problem] = []
    try:
        if not Path(task.source).is_file():
            return _failed(task, "missing", f"there is no file {task.source}", seconds)
        clip = _extractor(task.extractor)(
            Path(task.source),
            task.options,
            name=task.name,
            transcript=Path(task.transcript_file) if task.transcript_file else task.transcript,
            segments=task.segments,
            seconds=seconds,
            problems=problems,
        )
        write_clip(Path(task.target), clip, task.recipe, packages(task.options))
        return entry_of(task, clip, seconds, problems)
    except ModashiftError as error:
        kind = getattr(error, "reason", None) or ("data" if isinstance(error, DataError) else "setup")
        return _failed(task, str(kind), str(error), seconds)
    except MemoryError:
        return _failed(
            task, "memory", "the memory did not suffice; use fewer --processes or cut the recording", seconds
        )
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        return _failed(task, "error", f"{type(error).__name__}: {error} ({where})", seconds)


def entry_of(task: Task, clip: Clip, seconds: Mapping[str, float], problems: Iterable[Problem] = ()) -> Entry:
    """The manifest's entry of a recording that was extracted."""
    wanted = {"visual": task.options.visual, "acoustic": task.options.acoustic}
    faults = [f"no {m}" for m, asked in wanted.items() if asked is not None and m not in clip.features]
    if task.options.words != "none" and not clip.words:
        faults.append("no words")
    elif task.options.linguistic is not None and "linguistic" not in clip.features:
        faults.append("no linguistic")
    faults += sorted({problem.reason for problem in problems} & LOSSES)
    return Entry(
        name=task.name,
        source=task.source,
        sha256=clip.sha256,
        status="partial" if faults else "ok",
        reason=", ".join(faults),
        message="; ".join(clip.notes) if faults else "",
        duration=clip.duration,
        utterances=len(clip.spans),
        words=len(clip.words),
        seconds=dict(seconds),
        notes=clip.notes,
    )


def crashed(task: Task, how: str, attempts: int) -> Entry:
    """The entry of a recording at which the worker died."""
    return _failed(task, "crashed", f"the worker process ended {how}", {}, attempts)


def timed_out(task: Task, after: float, attempts: int) -> Entry:
    """The entry of a recording that took too long."""
    message = f"not done after {after:.0f} s; give a higher --time_limit or --time_factor"
    return _failed(task, "timeout", message, {}, attempts)


def _failed(task: Task, reason: str, message: str, seconds: Mapping[str, float], attempts: int = 1) -> Entry:
    return Entry(task.name, task.source, "", "failed", reason, message, seconds=dict(seconds), attempts=attempts)


def _extractor(name: str) -> Callable[..., Clip]:
    module, _, function = name.partition(":")
    found: Callable[..., Clip] = getattr(import_module(module), function)
    return found
