"""The words of a recording with their times: as given, as found beside it, or as recognised."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError
from modashift.extract import stages
from modashift.extract.options import ExtractOptions, transcript_beside
from modashift.extract.recording import TimedWord
from modashift.extract.utterances import Segment

if TYPE_CHECKING:
    from modashift.extract.words import Cue

__all__ = ["Transcriber"]

SAMPLE_RATE = 16_000


class Transcriber:
    """Finds the words of one recording.

    Args:
        path: of the recording; a transcript is looked for beside it.
        options: of the extraction.
        sound: (samples,) at 16 kHz; empty where there is none.
        claimed: seconds of the recording by its headers, where they say.

    Attributes:
        cues: subtitles that were read, as utterances.
        notes: what could not be had or was decided, for people.
    """

    def __init__(self, path: Path, options: ExtractOptions, sound: NDArray[np.float32], claimed: float | None) -> None:
        self.path, self.options, self.sound = path, options, sound
        self.claimed = claimed or 0.0
        self.cues: list[Segment] = []
        self.notes: list[str] = []

    def find(self, transcript: str | Path | None, segments: Sequence[Segment]) -> tuple[list[TimedWord], str]:
        """Words with times, and where they are from; see `extract_clip` for the arguments.

        Raises:
            DataError: a transcript file that was given cannot be read.
        """
        if transcript is None and any(s.text for s in segments):
            return self._segment_words(segments), "given"
        text = transcript if isinstance(transcript, str) else None
        file = transcript if isinstance(transcript, Path) else None
        if transcript is None and self.options.words == "auto":
            file = transcript_beside(self.path)
        if file is not None:
            try:
                read = stages.read_words(file)
            except DataError as error:
                if transcript is not None:
                    raise
                self.notes.append(f"the transcript beside the recording cannot be used: {error}")
            else:
                if read.kind == "words":
                    return list(read.words), "timed"
                if read.kind == "cues":
                    if self.options.cutting.whole is not True:
                        self.cues = [Segment(cue.start, cue.end, cue.text) for cue in read.cues]
                    return self._cue_words(read.cues), "given"
                text = read.text
        if text is not None:
            return self._aligned(text, 0.0, self._seconds(), self.sound), "given"
        if not len(self.sound):
            return [], "none"
        words = stages.recognise(self.sound, self.options.asr)
        if not words:
            self.notes.append("no words were recognised")
        return words, "recognised"

    def _segment_words(self, segments: Sequence[Segment]) -> list[TimedWord]:
        """Words of given utterances, each aligned within its own time."""
        words: list[TimedWord] = []
        for segment in segments:
            first, stop = (max(0, round(t * SAMPLE_RATE)) for t in (segment.start, segment.end))
            if segment.text:
                words += self._aligned(segment.text, segment.start, segment.end, self.sound[first:stop])
        return words

    def _cue_words(self, cues: "Sequence[Cue]") -> list[TimedWord]:
        """Words of subtitles, each aligned within its cue or a little around it."""
        try:
            if not len(self.sound):
                raise DataError("there is no sound")
            words = stages.align_cues(self.sound, cues)
        except DataError as error:
            self.notes.append(f"the subtitles could not be aligned ({error}); their words are spread evenly")
            last = self._seconds() or math.inf
            return [w for cue in cues for w in _spread(cue.text, min(cue.start, last), min(cue.end, last))]
        self.notes += stages.alignment_notes(words)
        return words

    def _seconds(self) -> float:
        return len(self.sound) / SAMPLE_RATE or self.claimed

    def _aligned(self, text: str, start: float, end: float, sound: NDArray[np.float32]) -> list[TimedWord]:
        """Words of a text within a time; where they cannot be found in the sound, evenly spread, with confidence 0."""
        if not text.strip():
            self.notes.append("the transcript is empty")
            return []
        try:
            if not len(sound):
                raise DataError("there is no sound")
            words = stages.align_transcript(sound, text)
        except DataError as error:
            self.notes.append(f"the transcript could not be aligned ({error}); its words are spread evenly")
            return _spread(text, start, end)
        self.notes += stages.alignment_notes(words)
        return [word._replace(start=word.start + start, end=word.end + start) for word in words]


def _spread(text: str, start: float, end: float) -> list[TimedWord]:
    """Words of a text, evenly over a time, with confidence 0."""
    parts = text.split()
    edges = np.linspace(start, max(start, end), len(parts) + 1).tolist()
    return [TimedWord(word, first, last, 0.0) for word, first, last in zip(parts, edges[:-1], edges[1:])]
