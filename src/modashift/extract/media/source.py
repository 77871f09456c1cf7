"""Opening one ordinary file with FFmpeg, and nothing else.

FFmpeg by itself opens addresses, devices and playlists that lead to other files. Here it is given the bytes of a file
that was opened before, may use none of its protocols, only containers of `CONTAINERS`, and is refused every further
file that a container refers to.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from modashift.errors import ModashiftError
from modashift.extract.media.problems import MediaError
from modashift.extract.media.sniff import claims, sniff

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container.input import InputContainer
    from av.video.stream import VideoStream

__all__ = ["LARGEST_PICTURE", "Source", "import_av", "open_source"]

LARGEST_PICTURE = 8192 * 4320  # pixels, the largest digital cinema picture; decoding one takes some 100 MB
MOST_SAMPLES = 1 << 24  # of one packet of sound
PATIENCE = 60.0  # seconds that reading the headers, or one packet, may take
BUFFER = 1 << 16

# FFmpeg's names of the containers people record, publish and archive speech in. Left out are playlists, devices, single
# pictures, subtitles, containers of games, and raw samples, which say neither their rate nor their format.
CONTAINERS = (
    "3gp aac ac3 aiff amr ape asf au av1 avi caf cavsvideo dirac dts dv dvd eac3 f4v flac flv gif gxf h261 h263 h264 "
    "hevc ircam ivf latm loas m4v matroska mj2 mov mp3 mp4 mpc mpc8 mpeg mpegts mpegvideo mxf nistsphere nsv nut obu "
    "ogg oma qcp rm sox tak truehd tta vc1 voc vvc w64 wav webm wtv wv xwma yuv4mpegpipe"
)
ADDRESS_MARKS = ("://", "concat:", "rtsp:", "data:", "pipe:", "subfile,", "crypto:")


@dataclass(frozen=True)
class Source:
    """An open file.

    Attributes:
        path: of the file.
        container: of FFmpeg.
        sound: its best sound stream, or None.
        video: its best video stream that is no cover art, or None.
        origin: timestamp of the zero of the clock, seconds.
        duration: seconds as its headers claim, or None.
        missing_bytes: that its headers claim and the file lacks.
    """

    path: Path
    container: "InputContainer"
    sound: "AudioStream | None"
    video: "VideoStream | None"
    origin: float
    duration: float | None
    missing_bytes: int

    def start(self, stream: Any) -> float:
        """Start of a stream on the clock, seconds; 0 where the file does not say."""
        start = _start(stream)
        return 0.0 if start is None else max(start - self.origin, 0.0)


def import_av() -> Any:
    """PyAV.

    Raises:
        ModashiftError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ModashiftError(
            f'recordings are read with PyAV, which cannot be imported ({error}); pip install "modashift[extract]"'
        ) from error
    return av


@contextmanager
def open_source(path: str | Path) -> Iterator[Source]:
    """Open a recording.

    Raises:
        MediaError: it is no ordinary file, no recording, or too damaged to be opened; see its `reason`.
        ModashiftError: PyAV is not installed.
    """
    av = import_av()
    place = Path(path)
    with _open_file(str(path), place) as file:
        head = file.read(4096)
        lost, impossible = claims(file)
        if impossible:
            raise MediaError("damaged", f"{place}: its index cannot be true for a file of its size; export it again")
        file.seek(0)
        try:
            container = av.open(
                _Bytes(file, place),
                options={
                    "format_whitelist": CONTAINERS.replace(" ", ","),
                    "protocol_whitelist": "none",
                    "max_pixels": str(LARGEST_PICTURE),
                    "max_samples": str(MOST_SAMPLES),
                },
                metadata_errors="replace",
                buffer_size=BUFFER,
                timeout=(PATIENCE, PATIENCE),
                io_open=partial(_refuse_reference, place),
            )
        except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
            raise _unopened(place, head, lost, error) from error
        with container:
            yield _source(place, container, lost)


def _source(path: Path, container: "InputContainer", lost: int) -> Source:
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    sound = container.streams.audio
    video = [stream for stream in container.streams.video if not stream.disposition & covers]
    starts = [_start(stream) for stream in (*sound, *video) if stream.codec_context is not None]
    duration = None if container.duration is None else container.duration / 1e6
    return Source(
        path=path,
        container=container,
        sound=_best(container, sound, "audio"),
        video=_best(container, video, "video"),
        origin=min((start for start in starts if start is not None), default=0.0),
        duration=duration if duration is not None and duration > 0 else None,
        missing_bytes=lost,
    )


def _best(container: "InputContainer", among: Sequence[Any], kind: Literal["audio", "video"]) -> Any:
    """FFmpeg's choice, or the first where it chose cover art or a stream it cannot decode; None of none."""
    best = container.streams.best(kind)
    return next((stream for stream in among if stream is best), among[0] if among else None)


def _start(stream: Any) -> float | None:
    if stream.start_time is None or not stream.time_base:
        return None
    return float(stream.start_time * stream.time_base)


class _Bytes:
    """The file as FFmpeg sees it; its name only tells which container its ending suggests."""

    def __init__(self, file: Any, path: Path) -> None:
        self.file = file
        self.read = file.read
        self.tell = file.tell
        self.name = f"recording{path.suffix}"

    def seek(self, offset: int, whence: int = 0) -> int:
        """FFmpeg's own answer to a place that cannot be; an exception here would be printed by PyAV and dropped."""
        try:
            return int(self.file.seek(offset, whence))
        except OSError:
            return -errno.EINVAL


def _refuse_reference(path: Path, url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise MediaError(
        "playlist", f"{path}: it refers to {url!r}, which is not followed; give the files themselves, one by one"
    )


def _open_file(name: str, path: Path) -> Any:
    """Open for reading; without waiting, should it be a pipe nobody writes to."""

    def opener(file: str, flags: int) -> int:
        return os.open(file, flags | getattr(os, "O_NONBLOCK", 0))

    try:
        file = open(path, "rb", buffering=0, opener=opener)  # noqa: SIM115 (closed below or by the caller)
    except FileNotFoundError as error:
        if any(mark in name for mark in ADDRESS_MARKS):
            raise MediaError("not-a-file", f"{name}: addresses are not opened; download the recording first") from error
        raise MediaError("missing", f"{name}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise MediaError("not-a-file", f"{name}: a folder; give the recordings in it") from error
    except (OSError, ValueError) as error:
        raise MediaError("unreadable", f"{name}: cannot be read ({error}); check its permissions") from error
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size:
        return file
    file.close()
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("not-a-file", f"{name}: a pipe or a device, not a file; save the recording to a file first")
    raise MediaError("empty", f"{name}: the file is empty; copy the recording again")


def _unopened(path: Path, head: bytes, lost: int, error: Exception) -> MediaError:
    kind = sniff(head)
    if kind == "playlist":
        return MediaError("playlist", f"{path}: a list of other files, which are not followed; give them one by one")
    if lost:
        return MediaError(
            "truncated",
            f"{path}: the last {lost} bytes are missing, with the index that is needed to read the rest; copy the "
            "recording again, or repair it with the recorder's own tool",
        )
    if kind == "media":
        return MediaError(
            "damaged", f"{path}: it starts like a recording but cannot be read ({_plain(error)}); export it again"
        )
    return MediaError(
        "not-media", f"{path}: neither sound nor video in a known container; convert it to .mp4, .mkv or .wav"
    )


def _plain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
