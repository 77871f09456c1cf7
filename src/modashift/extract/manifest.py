"""The manifest of an extraction: a JSON line a recording, with what became of it and why."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from modashift.atomic import write_atomic
from modashift.errors import DataError

__all__ = ["MANIFEST", "Entry", "Manifest", "Status"]

MANIFEST = "manifest.jsonl"
Status = Literal["ok", "partial", "failed"]


@dataclass(frozen=True)
class Entry:
    """What became of one recording.

    Attributes:
        name: of the recording.
        source: its path, as given.
        sha256: of its file; empty where it could not be read.
        status: ``ok``; ``partial``, where something asked for could not be had, see `notes`; ``failed``.
        reason: why it failed, in a word or two: that of `MediaError`, ``missing``, ``timeout``, ``crashed``, ``data``,
            ``setup``, ``memory`` or ``error``. Of a partial one, what is absent.
        message: the same in words.
        duration: seconds of the recording, 0 where unknown.
        utterances: how many were made of it.
        words: how many were found.
        seconds: of work by stage.
        notes: of the recording.
        attempts: how often it was begun in the call that finished it.
    """

    name: str
    source: str
    sha256: str
    status: Status
    reason: str = ""
    message: str = ""
    duration: float = 0.0
    utterances: int = 0
    words: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    attempts: int = 1

    def line(self) -> str:
        """The entry as a line of JSON."""
        facts = asdict(self)
        facts["seconds"] = {stage: round(value, 3) for stage, value in self.seconds.items()}
        return json.dumps(facts) + "\n"


class Manifest:
    """The file itself: entries are added as they come, and it is rewritten in order in the end.

    Args:
        folder: of the clip files; the file is ``manifest.jsonl`` in it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST

    def read(self) -> dict[str, Entry]:
        """The last entry of each recording; a line that was cut off by a crash is left out."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return {}
        found = {}
        for line in lines:
            with suppress(ValueError, TypeError, KeyError, RecursionError):
                facts = json.loads(line)
                facts["notes"] = tuple(facts["notes"])
                found[str(facts["name"])] = Entry(**facts)
        return found

    def append(self, entry: Entry) -> None:
        """Add an entry: one write at the end of the file, on a line of its own even after one that was cut off.

        Raises:
            DataError: the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    broken = file.read(1) != b"\n"
                    file.write(b"\n" * broken + entry.line().encode())
                else:
                    file.write(entry.line().encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror}") from error

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Put these entries in place of all that is there, at once.

        Raises:
            DataError: the file cannot be written.
        """
        write_atomic(self.path, "".join(entry.line() for entry in entries))
