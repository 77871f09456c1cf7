"""Small recordings made with PyAV: a known sound and known pictures in any container."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (235, 235, 235)


def tone(seconds: float, rate: int, hertz: float = 440.0, channels: int = 1) -> np.ndarray:
    """(samples, channels) float32 at half of full scale."""
    one = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(one[:, None], channels, 1).astype(np.float32)


def click(seconds: float, at: float, rate: int) -> np.ndarray:
    """(samples, 1): a rounded click of 2 ms around one instant, which codecs and resampling keep in place."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.8 * np.exp(-0.5 * ((times - at) / 0.0005) ** 2)[:, None]).astype(np.float32)


def quadrants(width: int = 64, height: int = 48) -> np.ndarray:
    """Red upper left, green upper right, blue lower left, white lower right."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2], rgb[: height // 2, width // 2 :] = RED, GREEN
    rgb[height // 2 :, : width // 2], rgb[height // 2 :, width // 2 :] = BLUE, WHITE
    return rgb


def greys(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Pictures that can be told apart: each lighter than the one before."""
    return [np.full((height, width, 3), 20 + round(210 * i / max(count - 1, 1)), np.uint8) for i in range(count)]


def corners(rgb: np.ndarray) -> list[tuple[int, ...]]:
    """The colours of `quadrants` next to the four corners, upper left first, each as the nearest of the four."""
    height, width = rgb.shape[:2]
    names = np.array([RED, GREEN, BLUE, WHITE])
    found = []
    for y, x in (
        (height // 4, width // 4),
        (height // 4, -width // 4),
        (-height // 4, width // 4),
        (-height // 4, -width // 4),
    ):
        found.append(tuple(names[np.abs(names - rgb[y, x].astype(int)).sum(1).argmin()].tolist()))
    return found


def make(
    path: Path,
    *,
    sound: np.ndarray | None = None,
    rate: int = 16_000,
    sound_codec: str = "pcm_s16le",
    layout: str | None = None,
    sound_start: float = 0.0,
    sound_gap: tuple[int, float] | None = None,
    images: Sequence[np.ndarray] = (),
    times: Sequence[float] | None = None,
    fps: int = 25,
    video_codec: str = "mpeg4",
    pixels: str = "yuv420p",
    rotation: float = 0.0,
    mirrored: bool = False,
    aspect: Fraction | None = None,
    video_options: dict[str, str] | None = None,
    cover: np.ndarray | None = None,
    container: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a recording.

    Args:
        path: of the file; its ending chooses the container, unless `container` does.
        sound: (samples, channels) in [-1, 1].
        rate: hertz.
        sound_codec: FFmpeg's name.
        layout: FFmpeg's name of the channels' layout.
        sound_start: seconds by which the sound starts later.
        sound_gap: after this many samples, all timestamps are that many seconds later.
        images: (H, W, 3) uint8 each.
        times: of the images, seconds, to the millisecond; by default `fps` a second.
        fps: pictures a second.
        video_codec: FFmpeg's name.
        pixels: pixel format of the video.
        rotation: degrees counter-clockwise, written as a display matrix.
        mirrored: left to right after the rotation, likewise.
        aspect: width of a pixel divided by its height.
        video_options: of the encoder.
        cover: an attached picture.
        container: FFmpeg's name.
        options: of the container.
    """
    with av.open(str(path), "w", format=container, options=options or {}) as out:
        picture: Any = None
        if len(images):
            picture = out.add_stream(video_codec, rate=fps, options=video_options or {})
            picture.height, picture.width = images[0].shape[:2]
            picture.pix_fmt = pixels
            if times is not None:
                picture.codec_context.time_base = picture.time_base = Fraction(1, 1000)
            if aspect is not None:
                picture.codec_context.sample_aspect_ratio = aspect
            if rotation or mirrored:
                picture.set_display_rotation(rotation, hflip=mirrored)
        heard: Any = None
        if sound is not None:
            names = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
            heard = out.add_stream(sound_codec, rate=rate, layout=layout or names[sound.shape[1]])
        attached: Any = None
        if cover is not None:
            attached = out.add_stream("mjpeg", rate=1)
            attached.height, attached.width = cover.shape[:2]
            attached.pix_fmt = "yuvj420p"
            attached.disposition = av.stream.Disposition.attached_pic
        packets = []
        if picture is not None:
            packets += _video(picture, images, times)
        if heard is not None:
            packets += _sound(heard, sound, rate, sound_start, sound_gap)
        if attached is not None:
            frame = av.VideoFrame.from_ndarray(cover, "rgb24")
            packets = [*attached.encode(frame), *attached.encode(None), *packets]
        for packet in packets:
            out.mux(packet)
    return path


def _video(stream: Any, images: Sequence[np.ndarray], times: Sequence[float] | None) -> list[Any]:
    packets = []
    for i, rgb in enumerate(images):
        frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
        if times is not None:
            frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
        else:
            frame.pts, frame.time_base = i, 1 / Fraction(stream.codec_context.framerate)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _sound(
    stream: Any, sound: np.ndarray, rate: int, start: float, gap: tuple[int, float] | None, size: int = 1024
) -> list[Any]:
    packets = []
    form = stream.codec_context.format.name
    if sound.shape[1] > 7:  # PyAV loses count of planes; the encoder converts
        form = form.removesuffix("p")
    pieces = range(0, len(sound), size)
    for first in pieces:
        part = sound[first : first + size]
        values = np.ascontiguousarray(part.T if form.endswith("p") else part.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(_as(values, form), form, stream.codec_context.layout.name)
        late = gap[1] if gap is not None and first >= gap[0] else 0.0
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = first + round((start + late) * rate)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _as(values: np.ndarray, form: str) -> np.ndarray:
    kind = form.removesuffix("p")
    if kind in ("flt", "dbl"):
        return values.astype(np.float32 if kind == "flt" else np.float64)
    dtype = {"u8": np.uint8, "s16": np.int16, "s32": np.int32}[kind]
    half = 2.0 ** (8 * np.dtype(dtype).itemsize - 1)
    scaled = np.clip(np.round(values.astype(np.float64) * half), -half, half - 1)
    return (scaled + (half if kind == "u8" else 0)).astype(dtype)
