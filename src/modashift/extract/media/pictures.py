"""The pictures of a recording: upright, with square pixels, in RGB, at their true times."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modashift.extract.media.decode import frames, stamp
from modashift.extract.media.orientation import displayed_size, orientation
from modashift.extract.media.problems import MediaError, Problem, Tally
from modashift.extract.media.source import LARGEST_PICTURE, open_source
from modashift.extract.media.timeline import Timeline

__all__ = ["Picture", "encode_thumbnail", "pictures"]

LONGEST = 6 * 3600.0  # seconds
LONGEST_GAP = 3600.0  # seconds: a recorded screen may stand still
MOST_PICTURES = 4_000_000  # decoded; six hours at 180 a second
USUAL_RATE = 25.0  # pictures a second, where neither timestamps nor the container tell one
EARLY = 1e-6  # seconds


class Picture(NamedTuple):
    """A picture and when it is shown.

    Attributes:
        time: seconds on the file's clock.
        rgb: (height, width, 3), top row first.
    """

    time: float
    rgb: NDArray[np.uint8]


def pictures(
    path: str | Path,
    *,
    every: float | None = None,
    max_side: int | None = None,
    threads: int = 1,
    longest: float = LONGEST,
    problems: list[Problem] | None = None,
) -> Iterator[Picture]:
    """Pictures of a recording, one at a time, with rising times.

    Turned and mirrored as the file says, pixels that are not square made so. Of several video streams FFmpeg's best one
    is taken; cover art is not video.

    Args:
        path: of the recording.
        every: the first picture of each [k · every, (k + 1) · every) seconds alone; all of them by default. The others
            are decoded, as the ones after them need them, but neither scaled nor converted.
        max_side: pictures whose longer side is larger are scaled down to it while they are converted.
        threads: of the decoder. One by default: recordings are worked on side by side, one a processor, and each
            further thread holds a picture more; 0 takes as many as there are processors, for a single recording.
        longest: seconds after which the rest is left out.
        problems: what could not be had is appended here when the pictures end.

    Raises:
        MediaError: at the first picture, where there is none; its `reason` says why.
        ModashiftError: PyAV is not installed.
        ValueError: `every`, `max_side`, `longest` or `threads` is out of range.
    """
    if (every is not None and every <= 0) or (max_side is not None and max_side < 1) or longest <= 0 or threads < 0:
        raise ValueError(f"impossible every {every}, max_side {max_side}, longest {longest} or threads {threads}")
    with open_source(path) as source:
        if source.video is None:
            if source.sound is None:
                raise MediaError("no-streams", f"{source.path}: neither sound nor video in it; leave the file out")
            raise MediaError("no-picture", f"{source.path}: it has no video; extract only the words and the voice")
        stream = source.video
        tally = Tally(source.path, "picture")
        timeline = Timeline(source.origin, source.duration, LONGEST_GAP)
        convert = _Converter(stream.sample_aspect_ratio, max_side)
        rate = float(stream.average_rate or stream.guessed_rate or 0) or USUAL_RATE
        last = -np.inf
        due = 0.0
        seen = 0
        decoded = frames(source, stream, tally, threads=threads)
        try:
            for count, frame in enumerate(decoded):
                if frame.width * frame.height > LARGEST_PICTURE:
                    tally.undecoded += 1
                    continue
                time = timeline.place(stamp(frame, stream), last + 1 / rate if seen else 0.0)
                if time <= last or time < -EARLY:
                    tally.late += 1
                    continue
                if time > longest or count >= MOST_PICTURES:
                    tally.too_long = min(longest, max(last, 0.0))
                    break
                tally.corrupt += frame.is_corrupt
                seen, last = seen + 1, time
                if every is not None:
                    if time < due - EARLY:
                        continue
                    due = (np.floor((time + EARLY) / every) + 1) * every
                try:
                    rgb = convert(frame)
                except (ValueError, OSError, MemoryError):  # PyAV's errors are among them
                    tally.undecoded += 1
                    continue
                yield Picture(max(time, 0.0), rgb)
            if not seen:
                raise tally.nothing("no-picture")
        finally:
            decoded.close()  # before the container, should the caller stop early
            tally.jumps = timeline.jumps
            if problems is not None:
                problems.extend(tally.problems(max(last, 0.0)))


class _Converter:
    """Frames to RGB arrays; holds FFmpeg's scaler, which is costly to set up for each."""

    def __init__(self, aspect: Any, max_side: int | None) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self.aspect = aspect
        self.max_side = max_side
        self.scaler = VideoReformatter()
        self.interpolation = Interpolation

    def __call__(self, frame: Any) -> NDArray[np.uint8]:
        width, height = displayed_size(frame.width, frame.height, self.aspect)
        if self.max_side is not None and max(width, height) > self.max_side:
            scale = self.max_side / max(width, height)
            width, height = max(round(width * scale), 1), max(round(height * scale), 1)
        smaller = width * height < frame.width * frame.height
        way = self.interpolation.AREA if smaller else self.interpolation.BILINEAR
        scaled = self.scaler.reformat(frame, width, height, "rgb24", interpolation=way, threads=1)
        rgb: Any = scaled.to_ndarray()
        return orientation(frame).apply(rgb)


def encode_thumbnail(rgb: NDArray[np.uint8], side: int) -> bytes:
    """A small JPEG for a page.

    Args:
        rgb: (height, width, 3).
        side: pixels of its longer side; a smaller picture is left at its size.

    Raises:
        ValueError: the array is no RGB picture, or `side` is not positive.
    """
    from PIL import Image

    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size or side < 1:
        raise ValueError(f"pass (height, width, 3) uint8 and a side of at least 1, not {rgb.shape} {rgb.dtype}, {side}")
    image = Image.fromarray(np.ascontiguousarray(rgb))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80, optimize=True)
    return out.getvalue()
