"""Recordings to results: the next one is read while the models look at the one before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from modashift.errors import ModashiftError
from modashift.serve.extractor import Extractor, Wanted
from modashift.serve.illustrate import Illustration
from modashift.serve.needs import DEFAULT, Needs, needs_of
from modashift.serve.result import ClipResult

__all__ = ["Scored", "score_recordings", "why_absent"]


@dataclass(frozen=True)
class Scored:
    """What became of a recording: a result, or the reason why there is none.

    Attributes:
        name: of the recording.
        path: of its file.
        result: None where it failed.
        seen: what there is to show of it.
        error: empty where it did not fail.
    """

    name: str
    path: Path
    result: ClipResult | None
    seen: Illustration
    error: str = ""


def score_recordings(
    sources: Sequence[str],
    recordings: Sequence[tuple[str, Path]],
    transcripts: Mapping[str, Path] | None = None,
    *,
    missing_ok: bool = False,
    explain: bool = True,
    illustrate: bool = True,
    words: str = "auto",
    asr: str | None = None,
    device: str = "auto",
    progress: Callable[[str, str, float], None] | None = None,
) -> Iterator[Scored]:
    """Score recordings one after the other; one that fails does not stop the others.

    Args:
        sources: of the models; see `modashift.serve.ensemble.load_ensemble`.
        recordings: name and file of each; files of `modashift extract` (``*.clip.safetensors``) may be among them.
        transcripts: by name of the recording, a file with what is said.
        missing_ok: score without a modality whose features nothing here extracts, instead of refusing the model.
        explain: also measure what words, shifts and modalities changed.
        illustrate: also take pictures and the sound's outline, for the page.
        words: ``auto`` (a transcript beside the recording, else recognition) or ``recognise``.
        asr: model of the recognition; the packaged one where None.
        device: of the models.
        progress: is told a recording's name, the stage, and how much of it is done, from 0 to 1.

    Yields:
        One for each recording, in their order.

    Raises:
        ModashiftError: a model that cannot be had or that takes what nothing here extracts.
    """
    told = progress or (lambda _name, _stage, _done: None)
    folders = {s: folder for s in sources if (folder := _folder(s)) is not None}
    needs = [needs_of(folder, missing_ok) for folder in folders.values()]
    with Extractor() as extractor:
        wanted = [_wanted(name, path, transcripts or {}, illustrate, words, asr) for name, path in recordings]
        early = len(folders) == len(sources)  # else what to extract is known only after a download
        if early and wanted:
            extractor.start(_with_sets(wanted[0], needs))
        from modashift.serve.ensemble import load_ensemble
        from modashift.serve.score import score_clip

        models = load_ensemble(sources, device, lambda: folders[DEFAULT])
        if not early:
            needs = [needs_of(p.folder, missing_ok) for p in models.predictors]
            if wanted:
                extractor.start(_with_sets(wanted[0], needs))
        absent = dict(needs[0].absent) if needs else {}
        for number, item in enumerate(wanted):
            recorded, error = None, ""
            try:
                recorded = extractor.finish(partial(told, item.name))
            except ModashiftError as raised:
                error = str(raised)
            if number + 1 < len(wanted):
                extractor.start(_with_sets(wanted[number + 1], needs))
            if recorded is None:
                yield Scored(item.name, item.path, None, Illustration(), error)
                continue
            try:
                clip = recorded.clip
                reasons = {m: why_absent(m, clip.notes) for m in models.modalities if m not in clip.features} | absent
                result = score_clip(
                    clip,
                    models,
                    reasons,
                    explain,
                    partial(_told_scores, told, item.name),
                )
            except ModashiftError as raised:
                yield Scored(item.name, item.path, None, Illustration(), str(raised))
                continue
            yield Scored(item.name, item.path, result, recorded.seen)


def _told_scores(told: Callable[[str, str, float], None], name: str, done: int, of: int) -> None:
    told(name, "scores", done / of)


def _folder(source: str) -> Path | None:
    """Where a model lies, or None for one on the hub."""
    if source == DEFAULT:
        from modashift.default_model import provide_default_model

        return provide_default_model()
    return Path(source) if Path(source).is_dir() else None


def _wanted(
    name: str, path: Path, transcripts: Mapping[str, Path], illustrate: bool, words: str, asr: str | None
) -> Wanted:
    return Wanted(path, name, transcript=transcripts.get(name), words=words, asr=asr, illustrate=illustrate)


def _with_sets(wanted: Wanted, needs: Sequence[Needs]) -> Wanted:
    sets, layers = needs[0].sets, needs[0].layers
    return replace(
        wanted,
        visual=sets.get("visual"),
        acoustic=sets.get("acoustic"),
        linguistic=sets.get("linguistic"),
        layers=layers,
    )


def why_absent(modality: str, notes: Sequence[str]) -> str:
    """Why a recording lacks a modality, from what was noted when it was read."""
    signs = {"visual": ("picture", "face"), "acoustic": ("sound", "covarep", "egemaps", "voice")}[modality]
    found = [n for n in notes if any(sign in n for sign in signs) and ("no " in n or "cannot" in n or "empty" in n)]
    return found[0].rstrip(".") if found else "the recording has none that could be used"
