"""What is shown of a recording beside the numbers: small pictures along the time axis, and the shape of the sound."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modashift.errors import ModashiftError

__all__ = ["Illustration", "Thumbnail", "envelope", "illustrate", "thumbnails"]

BINS = 400
MOST_BINS = 4000
MOST_PICTURES = 24
SIDE = 176  # pixels of a thumbnail's longer side
SHORT = 60.0  # seconds; of a longer recording pictures are jumped to, not read one by one


@dataclass(frozen=True)
class Thumbnail:
    """A small picture.

    Attributes:
        time: seconds.
        jpeg: its file.
        width: pixels.
        height: pixels.
    """

    time: float
    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Illustration:
    """What there is to see and to hear.

    Attributes:
        thumbnails: in order of time, at most `MOST_PICTURES`; none of a recording without pictures.
        low: (B,) least value of the sound in each of B equal parts of the recording, from −1 to 0; (0,) without sound.
        high: (B,) greatest value, from 0 to 1.
    """

    thumbnails: tuple[Thumbnail, ...] = ()
    low: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    high: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


def envelope(sound: ArrayLike, bins: int = BINS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest value of the sound in equal parts, scaled so that the loudest moment has the size 1.

    Args:
        sound: (T,) samples.
        bins: how many parts; fewer where there are fewer samples.

    Returns:
        Two arrays (B,), the first not above and the second not below 0.
    """
    samples = np.asarray(sound, dtype=np.float32)
    if not len(samples):
        return np.zeros(0), np.zeros(0)
    bins = min(bins, len(samples))
    starts = np.linspace(0, len(samples), bins, endpoint=False).astype(np.intp)
    low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    loudest = max(float(np.abs(low).max()), float(np.abs(high).max()), 1e-9)
    return np.minimum(low, 0).astype(np.float64) / loudest, np.maximum(high, 0).astype(np.float64) / loudest


def illustrate(path: Path, duration: float) -> Illustration:
    """Pictures and the sound's outline, as far as the recording has them; never an error.

    Args:
        path: of the recording.
        duration: seconds.
    """
    from modashift.extract.media import read_sound

    low = high = np.zeros(0)
    with suppress(ModashiftError):
        low, high = envelope(read_sound(path), int(np.clip(40 * duration, BINS, MOST_BINS)))
    return Illustration(thumbnails(path, duration), low, high)


def thumbnails(path: Path, duration: float) -> tuple[Thumbnail, ...]:
    """Small pictures spread over a recording, at most `MOST_PICTURES` and at least half a second apart."""
    count = int(np.clip(2 * duration, 1, MOST_PICTURES))
    every = max(duration, 0.5) / count
    try:
        found = _read(path, every) if duration <= SHORT else _jumped(path, [every * k for k in range(count)])
    except ModashiftError:
        return ()
    return tuple(found[:MOST_PICTURES])


def _read(path: Path, every: float) -> list[Thumbnail]:
    from modashift.extract.media import pictures

    return [_small(p.time, p.rgb) for p in pictures(path, every=every, max_side=SIDE)]


def _jumped(path: Path, times: list[float]) -> list[Thumbnail]:
    """The key pictures at or before some times: an hour's film need not be decoded for 24 pictures."""
    from modashift.extract.media.orientation import displayed_size, orientation
    from modashift.extract.media.source import import_av, open_source

    av, found, last = import_av(), [], -1.0
    with open_source(path) as source:
        if source.video is None:
            return []
        for time in times:
            try:
                source.container.seek(int((time + source.origin) * 1e6), backward=True)
                frame = next(source.container.decode(source.video), None)
            except (av.FFmpegError, OSError, ValueError, MemoryError):
                continue
            if frame is None or frame.time is None or frame.time - source.origin <= last:
                continue
            last = frame.time - source.origin
            width, height = displayed_size(frame.width, frame.height, source.video.sample_aspect_ratio)
            scale = min(1.0, SIDE / max(width, height))
            rgb: Any = frame.to_ndarray(
                width=max(round(width * scale), 1), height=max(round(height * scale), 1), format="rgb24"
            )
            found.append(_small(max(last, 0.0), orientation(frame).apply(rgb)))
    return found


def _small(time: float, rgb: NDArray[np.uint8]) -> Thumbnail:
    from modashift.extract.media import encode_thumbnail

    height, width = rgb.shape[:2]
    return Thumbnail(time, encode_thumbnail(rgb, SIDE), width, height)
