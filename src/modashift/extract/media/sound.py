"""The sound of a recording: one channel, one rate, on the clock of the file."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.extract.media.decode import frames, stamp
from modashift.extract.media.problems import MediaError, Problem, Tally
from modashift.extract.media.resample import HIGHEST_RATE, LOWEST_RATE, Resampler
from modashift.extract.media.source import open_source
from modashift.extract.media.timeline import Timeline

__all__ = ["LONGEST", "read_sound", "sound_blocks"]

LONGEST = 6 * 3600.0  # seconds; 1.4 GB at 16 kHz
TOLERANCE = 0.01  # seconds: below the shortest packets (speech codecs, 20 ms), above the rounding of timestamps (1 ms)
LONGEST_GAP = 600.0  # seconds; each costs as much as sound
ABSURD = 1e4  # 1 is full scale
MOST_CHANNELS = 64
# PyAV 18 looks for the planes of a frame until it meets an address of 0, which FFmpeg promises up to 7 channels only:
# with more it reads, and dies of, whatever memory follows.
MOST_PLANES = 7
SILENCE = 1 << 16  # samples at a time

# Weights of a loudspeaker's channel in one channel, before they are divided by their sum: the centre, where speech is
# mixed, in full, the sides at half their power, the surround lower still, and no low-frequency effects (ITU-R BS.775).
CENTRE, SIDE, SURROUND = 1.0, math.sqrt(0.5), 0.5
WEIGHTS = {"FC": CENTRE, "FL": SIDE, "FR": SIDE, "FLC": SIDE, "FRC": SIDE, "LFE": 0.0, "LFE2": 0.0}


def read_sound(
    path: str | Path, rate: int = 16_000, *, longest: float = LONGEST, problems: list[Problem] | None = None
) -> NDArray[np.float32]:
    """All sound of a recording; see `sound_blocks`.

    Returns:
        (samples,) in [−1, 1] where the recording is; sample n is at n / `rate` seconds of the file's clock.
    """
    return np.concatenate(list(sound_blocks(path, rate, 60.0, longest=longest, problems=problems)))


def sound_blocks(
    path: str | Path,
    rate: int = 16_000,
    block_seconds: float = 30.0,
    *,
    longest: float = LONGEST,
    problems: list[Problem] | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Sound of a recording, block by block, in memory that does not grow with its length.

    The first sample is at the zero of the file's clock: a stream that starts later is preceded by silence, gaps of more
    than 10 ms are filled with silence, and what overlaps by more is dropped. Of several streams FFmpeg's best one is
    taken. Several channels are mixed with weights that sum to one; integers are divided by their full scale. One
    channel at `rate` is passed on as it is. Codecs keep their own delay where the container does not tell it: MPEG
    layers 1 and 2 481 samples and their encoder's, AAC outside MP4 and Matroska usually 1024 or 2112 samples.

    Args:
        path: of the recording.
        rate: of the result, hertz.
        block_seconds: length of all blocks but the last.
        longest: seconds after which the rest is left out.
        problems: what could not be had is appended here when the sound ends.

    Raises:
        MediaError: at the first block, where there is no sound; its `reason` says why.
        ModashiftError: PyAV is not installed.
        ValueError: `rate`, `block_seconds` or `longest` is not positive.
    """
    if not (LOWEST_RATE <= rate <= HIGHEST_RATE and block_seconds > 0 and longest > 0):
        raise ValueError(f"impossible rate {rate}, block_seconds {block_seconds} or longest {longest}")
    size = max(round(block_seconds * rate), 1)
    most = max(round(longest * rate), 1)
    with open_source(path) as source:
        if source.sound is None:
            if source.video is None:
                raise MediaError("no-streams", f"{source.path}: neither sound nor video in it; leave the file out")
            raise MediaError("no-sound", f"{source.path}: it has no sound; extract only the face, or add the sound")
        tally = Tally(source.path, "sound")
        timeline = Timeline(source.origin, source.duration, LONGEST_GAP)
        given = 0
        waiting: list[NDArray[np.float32]] = []
        count = 0
        mixer = _Mixer(rate, timeline, tally, source.sound)
        decoded = frames(source, source.sound, tally)
        try:
            for part in mixer.run(decoded):
                room = most - given - count
                if len(part) > room:
                    tally.too_long = longest
                waiting.append(part[:room])
                count += len(waiting[-1])
                while count >= size:
                    joined = np.concatenate(waiting)
                    waiting = [joined[size:].copy()]
                    count -= size
                    given += size
                    yield joined[:size]
                if tally.too_long is not None:
                    break
            if not mixer.heard:
                raise tally.nothing("no-sound")
            if count:
                given += count
                yield np.concatenate(waiting)
        finally:
            decoded.close()  # before the container, should the caller stop early
            tally.jumps = timeline.jumps
            if problems is not None:
                problems.extend(tally.problems(given / rate))


class _Mixer:
    """Frames to parts of one channel at one rate, without gaps and overlaps.

    Attributes:
        heard: samples of the recording that were used.
    """

    def __init__(self, rate: int, timeline: Timeline, tally: Tally, stream: Any) -> None:
        self.rate = rate
        self.timeline = timeline
        self.tally = tally
        self.stream = stream
        self.heard = 0
        self.put = 0

    def run(self, decoded: Iterator[Any]) -> Iterator[NDArray[np.float32]]:
        resampler: Resampler | None = None
        own = 0  # rate of the frames
        since = 0.0  # seconds at which it began
        written = 0  # samples since then
        for frame in decoded:
            samples = self._mono(frame)
            if samples is None:
                continue
            if resampler is None or frame.sample_rate != own:
                if resampler is not None:
                    yield from self._count([resampler.finish()])
                own, since, written = frame.sample_rate, self.put / self.rate, 0
                resampler = Resampler(own, self.rate)
            follows = since + written / own
            ahead = self.timeline.place(stamp(frame, self.stream), follows) - follows
            if ahead > TOLERANCE:
                silent = round(ahead * own)
                if self.heard:
                    self.tally.gaps += 1
                    self.tally.gap_seconds += silent / own
                for first in range(0, silent, SILENCE):
                    yield from self._count(resampler.feed(np.zeros(min(SILENCE, silent - first), np.float32)))
                written += silent
            elif ahead < -TOLERANCE:
                samples = samples[round(-ahead * own) :]
                self.tally.late += 1
            written += len(samples)
            self.heard += len(samples)
            yield from self._count(resampler.feed(samples))
        if resampler is not None:
            yield from self._count([resampler.finish()])

    def _count(self, parts: list[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        for part in parts:
            self.put += len(part)
            yield part

    def _mono(self, frame: Any) -> NDArray[np.float32] | None:
        """(samples,) of a frame; None where it makes no sense."""
        names = [channel.name for channel in frame.layout.channels]
        if not (names and frame.samples and LOWEST_RATE <= frame.sample_rate <= HIGHEST_RATE):
            self.tally.undecoded += 1
            return None
        try:
            if frame.format.is_planar and len(names) > MOST_PLANES:
                frame = self._packed(frame)
            values = frame.to_ndarray()
            values = values.reshape(len(names), -1) if frame.format.is_planar else values.reshape(-1, len(names)).T
        except (ValueError, OSError, MemoryError):  # PyAV's errors are among them
            self.tally.undecoded += 1
            return None
        samples = _mix(_scaled(values), names)
        largest = np.abs(samples).max()
        if not largest <= ABSURD:  # also where it is not a number
            samples = np.where(np.abs(samples) <= ABSURD, samples, 0).astype(np.float32)
            self.tally.undecoded += 1
        return samples

    def _packed(self, frame: Any) -> Any:
        """The same samples with the channels side by side in one plane."""
        if frame.layout.nb_channels > MOST_CHANNELS:
            raise ValueError(f"{frame.layout.nb_channels} channels")
        from av.audio.resampler import AudioResampler

        # a new one each time, as it keeps the format of its first frame; such sound is rare
        (packed,) = AudioResampler(frame.format.packed.name, frame.layout.name, frame.sample_rate).resample(frame)
        return packed


def _scaled(values: NDArray[Any]) -> NDArray[np.float32]:
    """(channels, samples) with 1 as full scale."""
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            floats: NDArray[np.float32] = values.astype(np.float32)
        return floats
    half = 2.0 ** (8 * values.dtype.itemsize - 1)
    middle = half if values.dtype.kind == "u" else 0.0
    scaled: NDArray[np.float32] = ((values.astype(np.float64) - middle) / half).astype(np.float32)
    return scaled


def _mix(values: NDArray[np.float32], names: list[str]) -> NDArray[np.float32]:
    """Weighted mean over the channels: (channels, samples) -> (samples,)."""
    if len(names) == 1:
        return values.reshape(-1)
    weights = np.array([WEIGHTS.get(name, SURROUND) for name in names], np.float32)
    if not weights.any():
        weights += 1
    with np.errstate(invalid="ignore", over="ignore"):
        mixed: NDArray[np.float32] = np.asarray((weights / weights.sum()) @ values)
    return mixed
