"""What a recording holds, from its headers and its first picture."""

from dataclasses import dataclass
from pathlib import Path

from modashift.extract.media.decode import frames
from modashift.extract.media.orientation import displayed_size, orientation
from modashift.extract.media.problems import MediaError, Tally
from modashift.extract.media.source import Source, open_source

__all__ = ["MediaInfo", "probe"]


@dataclass(frozen=True)
class MediaInfo:
    """What a recording holds.

    Attributes:
        container: FFmpeg's name of the container, such as ``mov,mp4,m4a,3gp,3g2,mj2``.
        duration: seconds from the zero of the clock to the end, as the headers claim; None where they do not.
        has_sound: whether there is a sound stream.
        sound_codec: its codec, or None.
        sound_rate: its sample rate, hertz, or None.
        sound_channels: how many, or None.
        sound_start: seconds on the file's clock.
        has_picture: whether there is a video stream besides cover art.
        picture_codec: its codec, or None.
        width: of the pictures as shown, after turning and with square pixels, or None.
        height: likewise.
        frame_rate: nominal, pictures a second, or None; true times may vary.
        rotation: clockwise degrees by which the stored pictures are turned: 0, 90, 180 or 270.
        mirrored: whether they are mirrored besides.
        picture_start: seconds on the file's clock.
        missing_bytes: bytes that the container claims beyond the end of the file; 0 where none or not known.
    """

    container: str
    duration: float | None
    has_sound: bool
    sound_codec: str | None
    sound_rate: int | None
    sound_channels: int | None
    sound_start: float
    has_picture: bool
    picture_codec: str | None
    width: int | None
    height: int | None
    frame_rate: float | None
    rotation: int
    mirrored: bool
    picture_start: float
    missing_bytes: int


def probe(path: str | Path) -> MediaInfo:
    """Look at a recording without decoding more than its first picture.

    Raises:
        MediaError: it is no recording, or holds neither sound nor video; see its `reason`.
        ModashiftError: PyAV is not installed.
    """
    with open_source(path) as source:
        sound, video = source.sound, source.video
        if sound is None and video is None:
            raise MediaError("no-streams", f"{source.path}: neither sound nor video in it; leave the file out")
        sound_codec = sound.codec_context if sound is not None else None
        width, height, rotation, mirrored = _shown(source)
        rate = None if video is None else video.average_rate or video.guessed_rate
        return MediaInfo(
            container=source.container.format.name,
            duration=source.duration,
            has_sound=sound is not None,
            sound_codec=sound_codec.name if sound_codec is not None else None,
            sound_rate=sound_codec.sample_rate or None if sound_codec is not None else None,
            sound_channels=sound_codec.channels or None if sound_codec is not None else None,
            sound_start=source.start(sound) if sound is not None else 0.0,
            has_picture=video is not None,
            picture_codec=video.codec_context.name if video is not None and video.codec_context is not None else None,
            width=width,
            height=height,
            frame_rate=float(rate) if rate else None,
            rotation=rotation,
            mirrored=mirrored,
            picture_start=source.start(video) if video is not None else 0.0,
            missing_bytes=source.missing_bytes,
        )


def _shown(source: Source) -> tuple[int | None, int | None, int, bool]:
    """Width, height, rotation and mirroring: PyAV gives the display matrix with a decoded frame only."""
    stream = source.video
    if stream is None or stream.codec_context is None:
        return None, None, 0, False
    width, height = stream.codec_context.width, stream.codec_context.height
    try:
        first = next(frames(source, stream, Tally(source.path, "picture")), None)
    except MediaError:  # said when the pictures are asked for
        first = None
    if first is None:
        shown = displayed_size(width, height, stream.sample_aspect_ratio)
        return shown[0] or None, shown[1] or None, 0, False
    turn = orientation(first)
    shown = displayed_size(first.width, first.height, stream.sample_aspect_ratio)
    if turn.transposed:
        shown = shown[::-1]
    return *shown, turn.degrees, turn.mirrored
