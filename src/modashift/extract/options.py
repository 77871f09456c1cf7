"""What is extracted of a recording, and everything its clip depends on."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

from modashift.data.build import file_sha256
from modashift.errors import DataError
from modashift.extract.face.columns import MAX_SIDE, RATE
from modashift.extract.utterances import Cutting, Segment

__all__ = ["BESIDE", "ExtractOptions", "packages", "recipe", "transcript_beside"]

Visual = Literal["face", "action-units"]
Acoustic = Literal["covarep", "egemaps"]
WordSource = Literal["auto", "recognise", "none"]

BESIDE = (".TextGrid", ".textgrid", ".json", ".srt", ".vtt", ".txt")
"""Endings of transcripts that are looked for beside a recording, those with the most exact times first."""

_PACKAGES = tuple("modashift numpy scipy av mediapipe opensmile pocketsphinx faster-whisper onnxruntime".split())


@dataclass(frozen=True)
class ExtractOptions:
    """What is extracted, and how; the clip file depends on all of it.

    Attributes:
        visual: feature set of the face, or None for none.
        acoustic: feature set of the voice, or None for none.
        words: ``auto`` (a transcript beside the recording with the same stem, else recognition), ``recognise``
            (always) or ``none``. A transcript that is given counts more than either.
        asr: model of the recognition: a size or a folder; the packaged one where None.
        picture_rate: pictures a second to look at; all where None.
        max_side: pixels; larger pictures are made smaller before a face is looked for. None: as they are.
        cutting: how recordings are cut into utterances.
    """

    visual: Visual | None = "face"
    acoustic: Acoustic | None = "covarep"
    words: WordSource = "auto"
    asr: str | None = None
    picture_rate: float | None = RATE
    max_side: int | None = MAX_SIDE
    cutting: Cutting = field(default_factory=Cutting)

    def __post_init__(self) -> None:
        for name, value, kind in (
            ("visual", self.visual, Visual),
            ("acoustic", self.acoustic, Acoustic),
            ("words", self.words, WordSource),
        ):
            if value not in get_args(kind) and not (value is None and name != "words"):
                raise DataError(f"{name} {value!r} is not one of {', '.join(get_args(kind))}")
        if self.picture_rate is not None and not (self.picture_rate > 0 and math.isfinite(self.picture_rate)):
            raise DataError(f"picture_rate must be above 0 pictures a second, got {self.picture_rate}")
        if self.max_side is not None and self.max_side < 32:
            raise DataError(f"max_side must be at least 32 pixels, got {self.max_side}")


def transcript_beside(path: Path) -> Path | None:
    """The transcript with a recording's stem in its folder, by the order of `BESIDE`; None where there is none."""
    found = (path.with_suffix(ending) for ending in BESIDE)
    return next((p for p in found if p != path and p.is_file()), None)


def recipe(
    path: Path, options: ExtractOptions, transcript: str | Path | None = None, segments: Sequence[Segment] = ()
) -> dict[str, Any]:
    """What the clip of a recording depends on besides the recording itself, as JSON-able values.

    Raises:
        DataError: a transcript file cannot be read.
    """
    if transcript is None and options.words == "auto" and not any(s.text for s in segments):
        transcript = transcript_beside(path)
    if options.words == "none":
        transcript = None
    said: dict[str, str] | None = None
    if isinstance(transcript, Path):
        try:
            said = {"file": transcript.name, "sha256": file_sha256(transcript)}
        except OSError as error:
            raise DataError(f"cannot read the transcript {transcript}: {error.strerror}") from error
    elif transcript is not None:
        said = {"sha256": hashlib.sha256(transcript.encode()).hexdigest()}
    return {
        "options": asdict(options),
        "transcript": said,
        "segments": [[s.start, s.end, s.text] for s in segments],
    }


def packages() -> dict[str, str]:
    """Versions of the packages that have a part in the features, of those installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
