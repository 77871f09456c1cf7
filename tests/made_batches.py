"""Batches of made-up recordings, extracted in this process or in workers."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from made_clips import OBEY, asked
from modashift.extract.bulk import Given, Summary, clips_folder, extract_all, plan
from modashift.extract.engines.local import LocalEngine
from modashift.extract.engines.work import Event, Limit, Task, make
from modashift.extract.gather import gather
from modashift.extract.manifest import Entry
from modashift.extract.options import ExtractOptions

LIMIT = Limit(60.0, 1.0)


class Quiet:
    """Hears what happens."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def begin(self, tasks: int, found: Sequence[Entry]) -> None:
        self.heard.append(f"begin {tasks} {len(found)}")

    def checked(self, done: int, of: int) -> None:
        pass

    def started(self, task: Task, again: bool) -> None:
        self.heard.append(f"{'again' if again else 'started'} {task.name}")

    def done(self, entry: Entry) -> None:
        self.heard.append(f"done {entry.name}")

    def tick(self) -> None:
        pass


class Inline:
    """An engine without processes, for what does not depend on them."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Event]:
        for task in tasks:
            yield Event("started", task)
            yield Event("done", task, make(task))


class Clips:
    """A folder of orders, and what becomes of them."""

    def __init__(self, folder: Path, **orders: str) -> None:
        self.folder, self.store = folder / "in", folder / "x.store"
        self.folder.mkdir()
        self.write(**orders)

    def write(self, **orders: str) -> None:
        for name, order in orders.items():
            (self.folder / f"{name}.wav").write_text(order)

    def asked(self, name: str) -> int:
        return asked(self.folder / f"{name}.wav")

    def run(
        self,
        processes: int = 0,
        limit: Limit = LIMIT,
        retries: int = 1,
        options: ExtractOptions | None = None,
        **more: Any,
    ) -> Summary:
        given = more.get("given", Given())
        tasks = plan(gather([self.folder]), self.store, options or ExtractOptions(), given, OBEY)
        logs = clips_folder(self.store) / "logs"
        engine = LocalEngine(processes, logs, limit) if processes else Inline()
        self.listener = Quiet()
        return extract_all(tasks, self.store, engine, self.listener, given, redo=more.get("redo", False))

    def files(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in clips_folder(self.store).glob("*.clip.safetensors")}
