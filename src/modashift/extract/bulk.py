"""Many recordings to one store, with whatever fails left to itself.

Each recording becomes a clip file in the folder ``STORE.clips``; the store is made of them in the end. A recording
whose clip file is there, whole, and made of the same bytes with the same options is not worked on again, so the same
call continues whatever was interrupted.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from modashift.data.build import file_sha256
from modashift.data.store import STORE_FILE, write_store
from modashift.errors import DataError, ModashiftError
from modashift.extract.align import Statistic
from modashift.extract.clip_file import SUFFIX, read_clip
from modashift.extract.dataset import REACH, clips_dataset
from modashift.extract.engines.work import EXTRACTOR, Engine, Task, entry_of
from modashift.extract.gather import Recording
from modashift.extract.labels import Label, Labels
from modashift.extract.manifest import Entry, Manifest
from modashift.extract.options import ExtractOptions, recipe
from modashift.extract.recording import Clip
from modashift.extract.utterances import Segment
from modashift.train.processes import claim

__all__ = ["Given", "Listener", "Shape", "Summary", "clips_folder", "extract_all", "plan"]


@dataclass(frozen=True)
class Given:
    """What is known of the recordings beforehand, by their names.

    Attributes:
        labels: of recordings and utterances.
        transcripts: what is said in them.
        segments: utterances in them.
    """

    labels: Labels = field(default_factory=Labels)
    transcripts: Mapping[str, str] = field(default_factory=dict)
    segments: Mapping[str, tuple[Segment, ...]] = field(default_factory=dict)

    def all_labels(self) -> Labels:
        """Labels, with those of the segments."""
        by_id = {
            f"{name}_{number}": Label(segment.label)
            for name, segments in self.segments.items()
            for number, segment in enumerate(segments, 1)
        }
        own = {identifier: about for identifier, about in by_id.items() if about.label is not None}
        both = replace(self.labels, by_id={**own, **self.labels.by_id})
        return both if both.source else replace(both, source="segments")


@dataclass(frozen=True)
class Shape:
    """How recordings become the rows of a store; see `clips_dataset`."""

    alignment: Literal["word", "frame"] = "word"
    statistics: tuple[Statistic, ...] = ("mean",)
    reach: float = REACH
    group: str | None = None


class Listener(Protocol):
    """Who is told what happens; see `modashift.extract.display`."""

    def begin(self, tasks: int, found: Sequence[Entry]) -> None:
        """How many recordings there are, and those found finished."""

    def checked(self, done: int, of: int) -> None:
        """How many recordings have been looked at for what is there already."""

    def started(self, task: Task, again: bool) -> None:
        """A recording is begun."""

    def done(self, entry: Entry) -> None:
        """A recording is done, or has failed."""

    def tick(self) -> None:
        """Called several times a second."""


@dataclass(frozen=True)
class Summary:
    """What became of the recordings.

    Attributes:
        entries: one each, in order.
        found: how many of them were finished before.
        utterances: rows of the store.
        seconds: that the call took.
    """

    entries: tuple[Entry, ...]
    found: int
    utterances: int
    seconds: float

    @property
    def failed(self) -> tuple[Entry, ...]:
        """Recordings of which nothing is in the store."""
        return tuple(e for e in self.entries if e.status == "failed")

    def reasons(self) -> dict[str, int]:
        """How many failed for which reason, the most frequent first."""
        counts: dict[str, int] = {}
        for entry in self.failed:
            counts[entry.reason] = counts.get(entry.reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


def clips_folder(store: Path) -> Path:
    """Folder of the clip files and the manifest of a store: beside it, as a store is replaced as a whole."""
    return store.with_name(f"{store.name}.clips")


def plan(
    recordings: Sequence[Recording], store: Path, options: ExtractOptions, given: Given, extractor: str = EXTRACTOR
) -> tuple[Task, ...]:
    """What has to be done for each recording.

    Raises:
        DataError: transcripts or segments are given of which none is of these recordings, or both for one of them.
    """
    names = {r.name for r in recordings}
    for what, found in (("transcripts", given.transcripts), ("segments", given.segments)):
        if found and not names & set(found):
            raise DataError(
                f"none of the {len(found)} names in the {what} is a recording here; they are "
                f"{', '.join(list(found)[:3])} …, the recordings {', '.join(sorted(names)[:3])} …"
            )
    tasks = []
    for name, path in recordings:
        segments, transcript = given.segments.get(name, ()), given.transcripts.get(name)
        if transcript is not None and any(s.text for s in segments):
            raise DataError(f"{name} has a transcript and segments with text; leave one out")
        try:
            made = recipe(path, options, transcript, segments)
        except DataError:  # said of this recording when it is worked on
            made = {}
        target = clips_folder(store) / f"{name}{SUFFIX}"
        tasks.append(
            Task(
                name=name,
                source=str(path),
                target=str(target),
                options=options,
                transcript=transcript,
                segments=segments,
                recipe=json.loads(json.dumps(made)),
                extractor=extractor,
            )
        )
    return tuple(tasks)


def extract_all(
    tasks: Sequence[Task],
    store: Path,
    engine: Engine,
    listener: Listener,
    given: Given | None = None,
    shape: Shape | None = None,
    redo: bool = False,
) -> Summary:
    """Extract what is not there yet, and write the store.

    Args:
        tasks: from `plan`.
        store: to write; an older one is replaced.
        engine: does the work.
        listener: is told what happens.
        given: labels and the like.
        shape: of the store.
        redo: extract anew what is there.

    Raises:
        ModashiftError: another call is at work on this store, its name is taken, or every recording failed.
    """
    begun = time.perf_counter()
    given, shape = given or Given(), shape or Shape()
    if store.exists() and not (store / STORE_FILE).is_file():
        raise DataError(f"{store} exists and is no store, so it is not overwritten; choose another --out")
    folder = clips_folder(store)
    manifest = Manifest(folder)
    with _claimed(folder):
        before = manifest.read()
        entries: dict[str, Entry] = {}
        for number, task in enumerate(tasks, 1):
            if not redo and (entry := _there(task, before.get(task.name))) is not None:
                entries[task.name] = entry
            listener.checked(number, len(tasks))
        found = len(entries)
        listener.begin(len(tasks), list(entries.values()))
        events = engine.run([t for t in tasks if t.name not in entries])
        try:
            for kind, task_, entry in events:
                if kind == "done" and entry is not None:
                    manifest.append(entry)
                    entries[entry.name] = entry
                    listener.done(entry)
                elif task_ is not None:
                    listener.started(task_, kind == "again")
                listener.tick()
        finally:
            events.close()  # type: ignore[attr-defined]  # of a generator: ends the workers
        made = tuple(entries[task.name] for task in tasks)
        manifest.rewrite(made)
        rows = _write(tasks, made, store, given, shape)
    return Summary(made, found, rows, time.perf_counter() - begun)


def _write(tasks: Sequence[Task], entries: Sequence[Entry], store: Path, given: Given, shape: Shape) -> int:
    """Write the store of all that did not fail; returns how many rows it has."""
    good = [task for task, entry in zip(tasks, entries) if entry.status != "failed"]
    if not good:
        reasons = "; ".join(f"{e.name}: {e.message or e.reason}" for e in entries[:3])
        raise ModashiftError(
            f"none of the {len(entries)} recordings could be extracted ({reasons}); see {clips_folder(store)}"
        )
    with _scratch(clips_folder(store)) as scratch:  # so that memory holds one recording at a time
        dataset = clips_dataset(
            _clips(good),
            given.all_labels(),
            name=store.name.removesuffix(".store"),
            alignment=shape.alignment,
            statistics=shape.statistics,
            reach=shape.reach,
            group=shape.group,
            scratch=scratch,
        )
        write_store(dataset, store)
    return len(dataset)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards; what a killed call left of it goes first."""
    scratch = folder / ".scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir(parents=True)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _clips(tasks: Sequence[Task]) -> Iterator[Clip]:
    for task in tasks:
        yield read_clip(Path(task.target)).clip


def _there(task: Task, before: Entry | None) -> Entry | None:
    """The entry of a recording whose clip file is whole and up to date; None where it has to be made."""
    target = Path(task.target)
    if not target.is_file():
        return None
    try:
        clip, made, _ = read_clip(target)
        if made != task.recipe or clip.name != task.name or clip.sha256 != file_sha256(Path(task.source)):
            return None
    except (DataError, OSError):  # damaged, or its recording is gone: making it says so
        return None
    if before is not None and before.status != "failed" and before.sha256 == clip.sha256:
        return replace(before, source=task.source)
    return entry_of(task, clip, {})


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """A folder for this call alone."""
    try:
        with claim(folder) as had:
            if not had:
                raise ModashiftError(f"another call is at work in {folder}; wait for it, or choose another --out")
            yield
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}") from error
