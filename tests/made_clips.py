"""Made-up recordings, and an extractor for them that runs in worker processes and does what a file tells it to."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modashift.data.build import file_sha256
from modashift.extract.media import MediaError, Problem
from modashift.extract.options import ExtractOptions
from modashift.extract.recording import Clip, Frames, Span, TimedWord
from modashift.extract.utterances import Segment

OBEY = "made_clips:obey"


def frames(seconds: float, rate: float = 10.0, dim: int = 3, seed: int = 0, name: str = "face") -> Frames:
    """Random frames, all valid."""
    times = (np.arange(int(seconds * rate)) + 0.5) / rate
    values = np.random.default_rng(seed).normal(size=(len(times), dim)).astype(np.float32)
    return Frames(name, tuple(f"{name}{i}" for i in range(dim)), values, times, np.ones(len(times), dtype=bool))


def clip(name: str = "a", words: int = 6, seed: int = 0, **changes: Any) -> Clip:
    """A recording of two utterances, half a second a word."""
    timed = tuple(TimedWord(f"w{i}", i / 2, i / 2 + 0.4, 0.5 + i / 100) for i in range(words))
    half = words // 2
    usual: dict[str, Any] = {
        "name": name,
        "source": f"{name}.mp4",
        "sha256": "0" * 64,
        "duration": words / 2,
        "words": timed,
        "words_from": "recognised",
        "spans": (Span(0.0, half / 2, 0, half), Span(half / 2, words / 2, half, words)),
        "features": {
            "visual": frames(words / 2, seed=seed),
            "acoustic": frames(words / 2, 100.0, 4, seed + 1, "covarep"),
        },
        "notes": ("made up",),
    }
    return Clip(**{**usual, **changes})


def obey(
    path: Path,
    options: ExtractOptions,
    *,
    name: str,
    transcript: str | Path | None = None,
    segments: Sequence[Segment] = (),
    seconds: dict[str, float],
    problems: list[Problem],
) -> Clip:
    """Do what the first word of a file says, and note beside it that it was asked."""
    order, *rest = path.read_text().split()
    with path.with_name(f".{path.name}.calls").open("a") as calls:
        calls.write(f"{os.getpid()}\n")
    if order == "die" or (order == "die-once" and asked(path) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "hang":
        time.sleep(600)
    if order == "slow":
        time.sleep(float(rest[0]))
    if order == "error":
        raise ZeroDivisionError("made up")
    if order == "media":
        raise MediaError("not-media", f"{path}: made up")
    if order == "truncated":
        problems.append(Problem("truncated", "the end is missing"))
    seconds["face"] = 0.25
    seed = int.from_bytes(path.stem.encode(), "little") % 1000
    made = clip(name, seed=seed, source=path.name, sha256=file_sha256(path))
    if order == "faceless":
        made = Clip(**{**vars(made), "features": {"acoustic": made.features["acoustic"]}, "notes": ("no face",)})
    return made


def asked(path: Path) -> int:
    """How often a file was extracted."""
    log = path.with_name(f".{path.name}.calls")
    return len(log.read_text().splitlines()) if log.exists() else 0
