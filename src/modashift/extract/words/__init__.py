"""Words of a recording with their times: read from files, aligned with a transcript, or recognised.

    transcript = read_words("clip.srt")  # or .vtt, .TextGrid, .txt, .json, .csv
    words = time_words(sound, transcript)  # finds in the sound what the file gives no times of
    words = align_transcript(sound, "what is said")
    words = recognise(sound)  # nobody wrote it down

``tokens``, ``numbers``, ``pronounce`` and ``letters`` turn text into phones, ``search`` finds them in sound,
``windows`` in sound of any length, ``forced`` makes an alignment of that, and ``recognise`` runs Whisper.
``subtitles``, ``textgrid`` and ``tables`` are file formats, ``reading`` chooses between them.
"""

from modashift.extract.words.forced import (
    AlignmentError,
    align_cues,
    align_transcript,
    alignment_notes,
    time_words,
)
from modashift.extract.words.reading import SUFFIXES, read_words
from modashift.extract.words.recognise import recognise
from modashift.extract.words.subtitles import read_subtitles, srt, vtt
from modashift.extract.words.textgrid import read_textgrid, textgrid
from modashift.extract.words.transcript import Cue, Transcript
from modashift.extract.words.windows import confidence_of

__all__ = [
    "SUFFIXES",
    "AlignmentError",
    "Cue",
    "Transcript",
    "align_cues",
    "align_transcript",
    "alignment_notes",
    "confidence_of",
    "read_subtitles",
    "read_textgrid",
    "read_words",
    "recognise",
    "srt",
    "textgrid",
    "time_words",
    "vtt",
]
