"""One recording to a `Clip`: words with times, voice and face, cut into utterances.

What a recording does not have becomes an absent modality and a note; only a file of which nothing can be had is an
error.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.data.build import file_sha256
from modashift.errors import DataError
from modashift.extract import stages
from modashift.extract.media import Problem
from modashift.extract.options import BESIDE, SETS, ExtractOptions
from modashift.extract.recording import Clip, Frames, Span, TimedWord
from modashift.extract.transcription import SAMPLE_RATE, Transcriber
from modashift.extract.utterances import Segment, cut, cut_at

__all__ = ["BESIDE", "ExtractOptions", "Progress", "extract_clip"]

Progress = Callable[[str, float], None]
"""Told the stage (``words``, ``acoustic``, ``face``, ``linguistic``) and how much of it is done, from 0 to 1."""

CLOCK = time.perf_counter
"""What stages are timed by; benchmarks on a busy machine put processor time in its place."""


def extract_clip(
    path: Path | str,
    options: ExtractOptions | None = None,
    *,
    name: str | None = None,
    transcript: str | Path | None = None,
    segments: Sequence[Segment] = (),
    progress: Progress | None = None,
    seconds: dict[str, float] | None = None,
    problems: list[Problem] | None = None,
) -> Clip:
    """Extract everything from one recording.

    Args:
        path: of the recording, any container.
        options: what to extract; the defaults where not given.
        name: of the recording; the file's stem where not given.
        transcript: what is said: the words themselves, or a file (``.txt``, ``.srt``, ``.vtt``, ``.TextGrid``,
            ``.json``).
        segments: given utterances; those with a text are aligned with it, each within its time.
        progress: is told how far it is.
        seconds: gains the seconds of work by stage: ``decode``, ``words``, ``acoustic``, ``face``, ``linguistic``.
        problems: gains what the decoder could not read, while the rest could be; they are among the notes as well.

    Raises:
        MediaError: the file is no recording, or nothing could be had from it.
        DataError: a transcript that was given cannot be read.
        ModashiftError: a package that is needed is not installed, or a model cannot be had.
    """
    path, options = Path(path), options or ExtractOptions()
    work = _Work(
        path,
        options,
        progress or (lambda _stage, _done: None),
        {} if seconds is None else seconds,
        [] if problems is None else problems,
    )
    words, words_from = work.words(transcript, segments)
    found = {"visual": work.face(), "acoustic": work.voice()}
    features = {modality: frames for modality, frames in found.items() if frames is not None}
    if not words and not features and work.broken is not None:
        raise work.broken
    duration = work.duration(features)
    given = [*segments] or work.cues
    if given:
        kept, spans = cut_at(words, [Segment(s.start, min(s.end, max(duration, s.start)), s.text) for s in given])
        if len(kept) < len(words):
            work.notes.append(f"{len(words) - len(kept)} words outside the given utterances are left out")
        words = list(kept)
    else:
        spans = cut(words, duration, options.cutting)
    pieces = work.pieces(words, spans)
    if pieces is not None:
        features["linguistic"] = pieces
    return Clip(
        name=name or path.stem,
        source=path.name,
        sha256=file_sha256(path),
        duration=duration,
        words=tuple(words),
        words_from=words_from,
        spans=spans,
        features=features,
        notes=tuple(dict.fromkeys([*work.notes, *(problem.message for problem in work.problems)])),
    )


class _Work:
    """The stages on one recording, with what they note and how long they take."""

    def __init__(
        self,
        path: Path,
        options: ExtractOptions,
        progress: Progress,
        seconds: dict[str, float],
        problems: list[Problem],
    ) -> None:
        self.path, self.options, self.progress, self.seconds = path, options, progress, seconds
        self.problems = problems
        self.notes: list[str] = []
        self.cues: list[Segment] = []
        self.broken: DataError | None = None  # the first error of decoding
        with self._timed("decode"):
            self.info = stages.probe(path)
            self.sound = self._sound()

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = CLOCK()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + CLOCK() - begun

    def _sound(self) -> NDArray[np.float32]:
        nothing = np.zeros(0, dtype=np.float32)
        if self.options.acoustic is None and self.options.words == "none":
            return nothing
        if not self.info.has_sound:
            self.notes.append("no sound")
            return nothing
        try:
            sound = stages.read_sound(self.path, self.problems)
        except DataError as error:
            self._fails("the sound cannot be read", error)
            return nothing
        if not len(sound):
            self.notes.append("the sound is empty")
        return sound

    def _fails(self, what: str, error: DataError) -> None:
        self.broken = self.broken or error
        self.notes.append(f"{what}: {error}")

    def words(self, transcript: str | Path | None, segments: Sequence[Segment]) -> tuple[list[TimedWord], str]:
        """Words with times, in order, and where they are from."""
        if self.options.words == "none":
            return [], "none"
        self.progress("words", 0.0)
        finder = Transcriber(self.path, self.options, self.sound, self.info.duration)
        with self._timed("words"):
            words, origin = finder.find(transcript, segments)
        self.progress("words", 1.0)
        self.cues = finder.cues
        self.notes += finder.notes
        return sorted(words, key=lambda word: (word.start, word.end)), origin

    def voice(self) -> Frames | None:
        """Frames of the voice."""
        kind = self.options.acoustic
        if kind is None or not len(self.sound):
            return None
        self.progress("acoustic", 0.0)
        with self._timed("acoustic"):
            try:
                if kind in SETS["acoustic"]:
                    frames, notes = stages.voice(kind, self.sound)
                    notes = [f"{kind}: {note}" for note in notes]
                else:
                    frames, notes = stages.encode_sound(
                        self.options, self.sound, lambda done: self.progress("acoustic", min(0.99, done))
                    )
            except DataError as error:
                self.notes.append(f"no {kind} features: {error}")
                return None
        self.progress("acoustic", 1.0)
        self.notes += notes
        return self._valid(frames, f"the sound is too short for {kind} features")

    def pieces(self, words: Sequence[TimedWord], spans: Sequence[Span]) -> Frames | None:
        """States of word pieces, utterance by utterance."""
        if self.options.linguistic is None or not words:
            return None
        self.progress("linguistic", 0.0)
        with self._timed("linguistic"):
            try:
                frames, notes = stages.encode_words(self.options, words, spans)
            except DataError as error:
                self.notes.append(f"no {self.options.linguistic} features: {error}")
                return None
        self.progress("linguistic", 1.0)
        self.notes += notes
        return self._valid(frames, "no utterance has a word that could be encoded")

    def face(self) -> Frames | None:
        """Frames of the face."""
        kind = self.options.visual
        if kind is None:
            return None
        if not self.info.has_picture:
            self.notes.append("no pictures")
            return None
        self.progress("face", 0.0)
        begun, decoding = CLOCK(), 0.0

        def watched() -> Iterator[Any]:
            """The pictures, with the time that decoding them takes apart from that of what is done with them."""
            nonlocal decoding
            rate, side = self.options.rate("visual"), self.options.max_side
            pictures = iter(stages.pictures(self.path, rate, side, self.problems))  # type: ignore[arg-type]  # no "usual"
            while True:
                asked = CLOCK()
                picture = next(pictures, None)
                decoding += CLOCK() - asked
                if picture is None:
                    return
                if self.info.duration:
                    self.progress("face", min(0.99, picture.time / self.info.duration))
                yield picture

        try:
            if kind in SETS["visual"]:
                frames, notes = stages.face(kind, watched())
            else:
                frames, notes = stages.encode_faces(self.options, watched())
        except DataError as error:
            self._fails("no face features", error)
            return None
        finally:
            self.seconds["decode"] = self.seconds.get("decode", 0.0) + decoding
            self.seconds["face"] = CLOCK() - begun - decoding
        self.progress("face", 1.0)
        self.notes += notes
        if not len(frames.times):
            self.notes.append("no picture could be read")
        return self._valid(frames, "no face was found in any picture")

    def _valid(self, frames: Frames, otherwise: str) -> Frames | None:
        if frames.mask.any():
            return frames
        self.notes.append(otherwise)
        return None

    def duration(self, features: dict[str, Frames]) -> float:
        """Seconds as decoded, since headers lie; as the header says where nothing was decoded."""
        decoded = len(self.sound) / SAMPLE_RATE
        for frames in features.values():
            step = float(np.median(np.diff(frames.times))) if len(frames.times) > 1 else 0.0
            decoded = max(decoded, float(frames.times[-1]) + step / 2)
        return decoded if decoded > 0 else max(0.0, self.info.duration or 0.0)
