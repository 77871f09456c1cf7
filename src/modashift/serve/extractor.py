"""Recordings in, clips out, by a process of their own; see `modashift.serve.worker`."""

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from modashift.errors import DataError, ModashiftError
from modashift.extract.media.problems import MediaError
from modashift.extract.recording import Clip
from modashift.serve.illustrate import Illustration, Thumbnail

__all__ = ["Extractor", "Recorded", "Wanted", "unpacked"]

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Wanted:
    """What to extract of a recording; see `modashift.extract.clip.ExtractOptions`.

    Attributes:
        path: of the recording, or of a clip file that `modashift extract` wrote.
        name: of the recording.
        visual: feature set of the face, or None.
        acoustic: feature set of the voice, or None.
        linguistic: encoder of the words, or None.
        layers: of encoders, by modality.
        transcript: file with what is said, or None.
        words: ``auto`` or ``recognise``.
        asr: model of the recognition.
        illustrate: whether pictures and the sound's outline are wanted.
        longest: seconds; a longer recording is refused. Any length where None.
    """

    path: Path
    name: str
    visual: str | None = None
    acoustic: str | None = None
    transcript: Path | None = None
    words: str = "auto"
    asr: str | None = None
    illustrate: bool = True
    longest: float | None = None
    linguistic: str | None = None
    layers: Mapping[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """A recording as extracted, and what there is to show of it."""

    clip: Clip
    seen: Illustration


class Extractor:
    """One worker process, that works while this one does something else.

    `start` hands a recording over and returns at once; `finish` waits for it. The process is started with the first
    recording, and anew should one bring it down.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.log: IO[bytes] | None = None
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.pending: Wanted | None = None

    def __enter__(self) -> "Extractor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, wanted: Wanted) -> None:
        """Hand a recording over.

        Raises:
            RuntimeError: the one before was not fetched yet.
        """
        if self.pending is not None:
            raise RuntimeError(f"{self.pending.path} must be fetched with finish() first")
        self.pending = wanted
        if _is_clip_file(wanted.path):
            return
        process = self._running()
        self.folder = tempfile.TemporaryDirectory(prefix="modashift-")
        request = {
            "path": str(wanted.path),
            "out": self.folder.name,
            "name": wanted.name,
            "visual": wanted.visual,
            "acoustic": wanted.acoustic,
            "transcript": None if wanted.transcript is None else str(wanted.transcript),
            "words": wanted.words,
            "asr": wanted.asr,
            "illustrate": wanted.illustrate,
            "longest": wanted.longest,
            "linguistic": wanted.linguistic,
            "layers": dict(wanted.layers),
        }
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        except OSError:  # it died; `finish` finds out why
            pass

    def finish(self, progress: Progress | None = None) -> Recorded:
        """Wait for the recording handed over.

        Args:
            progress: is told the stage and how much of it is done, from 0 to 1.

        Raises:
            MediaError: the recording itself is at fault; its `reason` says how.
            ModashiftError: nothing could be had from it, saying why.
            RuntimeError: none was handed over.
        """
        if self.pending is None:
            raise RuntimeError("no recording was handed over")
        wanted, self.pending = self.pending, None
        if _is_clip_file(wanted.path):
            return Recorded(_stored(wanted), Illustration())
        assert self.folder is not None
        try:
            self._wait(wanted, progress)
            from modashift.extract.clip_file import read_clip

            folder = Path(self.folder.name)
            clip = read_clip(folder / "clip").clip
            return Recorded(clip, unpacked(json.loads((folder / "seen.json").read_text(encoding="utf-8"))))
        finally:
            self.folder.cleanup()
            self.folder = None

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
        for held in (self.log, self.folder):
            if held is not None:
                held.cleanup() if isinstance(held, tempfile.TemporaryDirectory) else held.close()
        self.log = self.folder = None

    def _running(self) -> "subprocess.Popen[str]":
        if self.process is None or self.process.poll() is not None:
            self.close()
            self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modashift.serve.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                text=True,
                encoding="utf-8",
            )
        return self.process

    def _wait(self, wanted: Wanted, progress: Progress | None) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said: dict[str, Any] = json.loads(line)
            if "error" in said:
                message = f"{wanted.path}: {said['error'].removeprefix(f'{wanted.path}: ')}"
                raise MediaError(said["reason"], message) if "reason" in said else ModashiftError(message)
            if said.get("ok"):
                return
            if progress is not None:
                progress(said["stage"], said["done"])
        status = self.process.wait()
        raise ModashiftError(
            f"{wanted.path}: the process that read it ended ({_how(status)}); the recording is probably damaged. "
            f"Its last words: {self._last_words()}"
        )

    def _last_words(self) -> str:
        assert self.log is not None
        self.log.seek(0)
        lines = self.log.read().decode("utf-8", "replace").strip().splitlines()
        return " / ".join(lines[-3:])[-500:] or "none"


def _how(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"


def _is_clip_file(path: Path) -> bool:
    from modashift.extract.clip_file import SUFFIX

    return path.name.endswith(SUFFIX)


def _stored(wanted: Wanted) -> Clip:
    """A clip that `modashift extract` wrote, with the features that are wanted."""
    from dataclasses import replace

    from modashift.extract.clip_file import read_clip

    if wanted.transcript is not None:
        raise DataError(f"{wanted.path} holds its words already; leave --transcript out, or give the recording itself")
    clip = read_clip(wanted.path).clip
    kept = {"visual": wanted.visual, "acoustic": wanted.acoustic, "linguistic": wanted.linguistic}
    return replace(clip, features={m: f for m, f in clip.features.items() if kept.get(m) is not None})


def unpacked(content: dict[str, Any]) -> Illustration:
    """Inverse of `modashift.serve.worker.packed`."""
    return Illustration(
        tuple(Thumbnail(t, base64.b64decode(data), w, h) for t, data, w, h in content["thumbnails"]),
        np.array(content["low"], dtype=np.float64),
        np.array(content["high"], dtype=np.float64),
    )
