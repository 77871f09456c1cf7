"""Sound and pictures of any recording, by PyAV (FFmpeg): what is on the file's clock when, and what could not be had.

All times are seconds on the clock of `modashift.extract.recording`: 0 is the earliest start of a sound or video stream.
``source`` opens a file and refuses what is none, ``decode`` reads through damage, ``timeline`` judges timestamps,
``sound`` and ``resample`` make one channel at one rate, ``pictures`` gives upright RGB pictures.

    info = probe("clip.mp4")
    problems: list[Problem] = []
    waveform = read_sound("clip.mp4", problems=problems)  # (samples,) float32 at 16 kHz
    for picture in pictures("clip.mp4", every=0.1, max_side=640, problems=problems):
        picture.time, picture.rgb  # seconds, (H, W, 3) uint8
"""

from modashift.extract.media.pictures import Picture, encode_thumbnail, pictures
from modashift.extract.media.probe import MediaInfo, probe
from modashift.extract.media.problems import REASONS, MediaError, Problem
from modashift.extract.media.sound import read_sound, sound_blocks

__all__ = [
    "REASONS",
    "MediaError",
    "MediaInfo",
    "Picture",
    "Problem",
    "encode_thumbnail",
    "pictures",
    "probe",
    "read_sound",
    "sound_blocks",
]
