"""Frames of one stream, through whatever damage there is."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from modashift.extract.media.problems import MediaError, Tally
from modashift.extract.media.source import LARGEST_PICTURE, MOST_SAMPLES, Source, import_av

if TYPE_CHECKING:
    from av.stream import Stream

__all__ = ["frames", "stamp"]

MOST_UNREAD = 50  # failed reads in a row, after which the rest is given up; a read that fails need not move on
MOST_UNDECODED = 5000  # packets in a row: some minutes of sound or video; each is at least a byte of the file


def frames(source: Source, stream: "Stream", tally: Tally, *, threads: int = 1) -> Generator[Any]:
    """Frames of one stream in the order they are shown.

    A packet that cannot be read or decoded is counted and passed over.

    Args:
        source: an open file.
        stream: one of its streams.
        tally: counts what goes wrong.
        threads: of the decoder; 0 for as many as there are processors.

    Raises:
        MediaError: there is no decoder for it, or its pictures are too large.
    """
    av = import_av()
    discard = av.stream.Discard.all
    failures = (av.FFmpegError, OSError, ValueError, MemoryError)
    tally.missing_bytes = source.missing_bytes
    tally.claimed = bool(stream.duration and stream.duration > 0)
    _prepare(source, stream, threads)
    for other in source.container.streams:
        if other is not stream:
            other.discard = discard
    packets = source.container.demux(stream)
    unread = undecoded = 0
    while True:
        try:
            packet = next(packets, None)
        except MediaError:
            raise
        except failures:
            unread += 1
            tally.unread += 1
            if unread > MOST_UNREAD:
                tally.gave_up = True
                break
            packets = source.container.demux(stream)
            continue
        if packet is None or not packet.size:  # the empty packet at the end
            break
        unread = 0
        try:
            decoded = stream.codec_context.decode(packet)  # type: ignore[attr-defined, unused-ignore]
        except failures:
            undecoded += 1
            tally.undecoded += 1
            if undecoded > MOST_UNDECODED:
                tally.gave_up = True
                break
            continue
        if decoded:
            undecoded = 0
        yield from decoded
    for _ in range(3):
        try:
            yield from stream.codec_context.decode(None)  # type: ignore[attr-defined, unused-ignore]
        except EOFError:
            return
        except failures:
            tally.undecoded += 1


def stamp(frame: Any, stream: "Stream") -> float | None:
    """Timestamp of a frame, seconds, or None."""
    base = frame.time_base or stream.time_base  # frames that the decoder still held at the end carry no time base
    return None if frame.pts is None or not base else float(frame.pts * base)


def _prepare(source: Source, stream: Any, threads: int) -> None:
    context = stream.codec_context
    if context is None:
        raise MediaError(
            "no-decoder",
            f"{source.path}: the codec of its {stream.type} stream is not decoded; convert it, say to H.264 and AAC",
        )
    if stream.type == "video" and context.width * context.height > LARGEST_PICTURE:
        raise MediaError(
            "too-large",
            f"{source.path}: its pictures of {context.width} × {context.height} are larger than the {LARGEST_PICTURE} "
            "pixels that are decoded; scale them down first",
        )
    context.options = {"max_pixels": str(LARGEST_PICTURE), "max_samples": str(MOST_SAMPLES)}
    context.thread_count = threads
    if threads != 1:
        context.thread_type = "AUTO"
