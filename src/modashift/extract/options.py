"""What is extracted of a recording, and everything its clip depends on."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

from modashift.data.build import file_sha256
from modashift.encoders.names import RATES, Modality, absolute, check_name, read_name
from modashift.errors import DataError, ModashiftError
from modashift.extract.face.columns import MAX_SIDE, RATE
from modashift.extract.utterances import Cutting, Segment

__all__ = ["BESIDE", "SETS", "ExtractOptions", "packages", "recipe", "transcript_beside"]

Usual = Literal["usual"]
SETS: Mapping[str, tuple[str, ...]] = {"visual": ("face", "action-units"), "acoustic": ("covarep", "egemaps")}
"""Feature sets that are computed here; any other name is an encoder's."""
ENCODER_SIDE = 1280  # pixels: pictures of 16:9 at 720 lines, from which the faces of Ando et al. 2022 were cut
WordSource = Literal["auto", "recognise", "none"]

BESIDE = (".TextGrid", ".textgrid", ".json", ".srt", ".vtt", ".txt")
"""Endings of transcripts that are looked for beside a recording, those with the most exact times first."""

_PACKAGES = tuple("modashift numpy scipy av mediapipe opensmile pocketsphinx faster-whisper onnxruntime".split())
_ENCODER_PACKAGES = ("torch", "transformers", "pillow")
_NEW = ("linguistic", "layers", "sound_rate", "device", "precision")  # options that came with encoders


@dataclass(frozen=True)
class ExtractOptions:
    """What is extracted, and how; the clip file depends on all of it.

    Attributes:
        visual: feature set of the face, or an encoder of pictures (`modashift.encoders`); None for none. A rate in
            an encoder's name (``NAME@10``, as it stands in data sets) becomes the `picture_rate` or `sound_rate`.
        acoustic: feature set of the voice, or an encoder of speech; None for none.
        words: ``auto`` (a transcript beside the recording with the same stem, else recognition), ``recognise``
            (always) or ``none``. A transcript that is given counts more than either.
        asr: model of the recognition: a size or a folder; the packaged one where None.
        picture_rate: pictures a second to look at; all where None. Usually 15 for a feature set, 3 for an encoder.
        max_side: pixels; larger pictures are made smaller before a face is looked for. None: as they are. Usually 640
            for a feature set, 1280 for an encoder.
        cutting: how recordings are cut into utterances.
        linguistic: encoder of texts, or None for none.
        layers: of encoders; ``all``, ``last``, numbers (``13,14``, ``1-6``), or these by modality.
        sound_rate: states a second of an encoder of speech, as near as keeping one in so many of its states comes;
            all where None. Usually 5.
        device: of encoders: auto, cpu, cuda or cuda:N. The clip file does not depend on it but for rounding.
        precision: of encoders: fp32, or autocast in bf16 or fp16.
    """

    visual: str | None = "face"
    acoustic: str | None = "covarep"
    words: WordSource = "auto"
    asr: str | None = None
    picture_rate: float | Usual | None = "usual"
    max_side: int | Usual | None = "usual"
    cutting: Cutting = field(default_factory=Cutting)
    linguistic: str | None = None
    layers: Any = "all"
    sound_rate: float | Usual | None = "usual"
    device: str = "auto"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"

    def __post_init__(self) -> None:
        encoded = "visual" in self.encoders()
        self._settle("visual", "picture_rate", RATES["visual"] if encoded else RATE)
        self._settle("acoustic", "sound_rate", RATES["acoustic"])
        if self.max_side == "usual":
            object.__setattr__(self, "max_side", ENCODER_SIDE if encoded else MAX_SIDE)
        if self.words not in get_args(WordSource):
            raise DataError(f"words {self.words!r} is not one of {', '.join(get_args(WordSource))}")
        for modality, name in self.encoders().items():
            try:
                check_name(name, modality, SETS.get(modality, ()))
            except ModashiftError as error:
                raise DataError(str(error)) from error
            object.__setattr__(self, modality, absolute(name))
        if self.linguistic is not None and self.words == "none":
            raise DataError(f"linguistic {self.linguistic!r} encodes words, and words none finds none")
        for name, rate, what in (
            ("picture_rate", self.picture_rate, "pictures"),
            ("sound_rate", self.sound_rate, "states"),
        ):
            if rate is not None and not (isinstance(rate, float | int) and rate > 0 and math.isfinite(rate)):
                raise DataError(f"{name} must be above 0 {what} a second, got {rate}")
        if self.max_side is not None and (not isinstance(self.max_side, int) or self.max_side < 32):
            raise DataError(f"max_side must be at least 32 pixels, got {self.max_side}")

    def _settle(self, modality: Modality, option: str, usual: float) -> None:
        """Put a rate in place of ``usual``: that in the encoder's name, which is taken out of it, or the default."""
        wanted, name = getattr(self, option), self.encoders().get(modality)
        written = None if name is None else read_name(name)
        if written is not None and written.rate != "usual":
            if wanted not in {"usual", written.rate}:
                raise DataError(f"{modality} {name!r} names a rate, and {option} is {wanted}; leave one of them out")
            wanted = written.rate
            object.__setattr__(self, modality, written.plain)
        object.__setattr__(self, option, usual if wanted == "usual" else wanted)

    def rate(self, modality: Literal["visual", "acoustic"]) -> float | None:
        """Pictures, or states of the sound, a second; None for all."""
        rate = self.picture_rate if modality == "visual" else self.sound_rate
        assert rate != "usual"  # settled when this was made
        return rate

    def encoders(self) -> dict[Modality, str]:
        """Encoders that are asked for, by modality."""
        found: dict[Modality, str] = {}
        for modality in get_args(Modality):
            name: str | None = getattr(self, modality)
            if name is not None and name not in SETS.get(modality, ()):
                found[modality] = name
        return found


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
        ModashiftError: an encoder cannot be found or fetched.
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
    chosen = {key: value for key, value in asdict(options).items() if key not in _NEW}
    return {
        "options": chosen,
        "transcript": said,
        "segments": [[s.start, s.end, s.text] for s in segments],
        **_encoded(options),
    }


def _encoded(options: ExtractOptions) -> dict[str, Any]:
    """What hidden states depend on; nothing at all where none are asked for, as before there were any."""
    names = options.encoders()
    if not names:
        return {}
    from modashift.encoders.sources import chosen_layers, find

    encoders: dict[str, Any] = {}
    for modality, name in names.items():
        source = find(name, modality)
        layers = chosen_layers(options.layers, modality, source.depth, source.name)
        encoders[modality] = {**source.facts(), "layers": list(layers)}
    if "acoustic" in encoders:
        encoders["acoustic"]["rate"] = options.sound_rate
    return {"encoders": encoders, "precision": options.precision}


def packages(options: ExtractOptions | None = None) -> dict[str, str]:
    """Versions of the packages that have a part in the features, of those installed."""
    found = {}
    for name in (*_PACKAGES, *(_ENCODER_PACKAGES if options is not None and options.encoders() else ())):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
