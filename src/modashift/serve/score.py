"""From an extracted recording to a result: every utterance scored, and its score taken apart."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset
from modashift.evaluate.subject import Subject
from modashift.extract.recording import Clip, Span, TimedWord
from modashift.serve import ablation
from modashift.serve.ensemble import Ensemble
from modashift.serve.inputs import coverage, model_input, spoken
from modashift.serve.result import (
    ClipResult,
    ModalityResult,
    ShiftMap,
    UtteranceResult,
    WordResult,
    clean,
    known,
)
from modashift.serve.timeline import timeline
from modashift.serve.wording import NAMES

__all__ = ["explained", "score_clip"]

Floats = NDArray[np.float64]
UNSURE = 0.5  # confidence below which a word is a guess; see `TimedWord`


def score_clip(
    clip: Clip,
    models: Ensemble,
    absent: Mapping[str, str] | None = None,
    explain: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> ClipResult:
    """Score a recording and say what the scores come from.

    Args:
        clip: words with times, utterances, and features as far as they could be had.
        models: one, or several whose scores and effects are averaged.
        absent: by modality that the models take and the recording lacks, the reason.
        explain: also measure the effects of words, shifts and modalities, which takes some dozens of passes of the
            model an utterance.
        progress: is called with the number of utterances done, and of all.

    Raises:
        DataError: the recording's features are not those the models were trained on.
    """
    notes = [clean(n) for n in clip.notes]
    numbers = spoken(clip)
    utterances: list[UtteranceResult] = []
    if numbers:
        dataset, made = model_input(clip, models)
        notes += made
        utterances = _Scorer(clip, models, dataset, numbers, dict(absent or {}), explain).all(progress)
    if skipped := len(clip.spans) - len(numbers):
        notes.append(
            "No words were found in the recording, and a score needs words."
            if not numbers
            else f"{skipped} of {len(clip.spans)} parts have no words and were not scored."
        )
    return ClipResult(
        name=clean(clip.name),
        source=clean(clip.source),
        sha256=clip.sha256,
        duration=clip.duration,
        words_from=clip.words_from,
        feature_sets={m: f.set_name for m, f in clip.features.items() if m in models.modalities},
        model=models.info(),
        utterances=tuple(utterances),
        timeline=timeline(utterances),
        notes=tuple(notes),
    )


def explained(
    clip: Clip, models: Ensemble, dataset: Dataset, absent: Mapping[str, str] | None = None
) -> list[UtteranceResult]:
    """Score utterances whose features are given, and say what the scores come from.

    Args:
        clip: words with times, and its utterances, all with words; of its features only times and masks are looked at.
        models: one, or several whose scores and effects are averaged.
        dataset: the utterances with the models' features.
        absent: by modality that the models take and the clip lacks, the reason.

    Raises:
        DataError: the features are not those the models were trained on.
    """
    return _Scorer(clip, models, dataset, range(len(clip.spans)), dict(absent or {}), True).all(None)


class _Scorer:
    """The utterances of one recording in front of the models."""

    def __init__(
        self,
        clip: Clip,
        models: Ensemble,
        dataset: Dataset,
        numbers: Sequence[int],
        absent: dict[str, str],
        explain: bool,
    ) -> None:
        self.clip, self.models, self.dataset, self.absent, self.explain = clip, models, dataset, absent, explain
        self.spans = [clip.spans[k] for k in numbers]
        self.subjects = [Subject.of(p, dataset) for p in models.predictors]
        self.scores = np.stack([s.score() for s in self.subjects])  # (models, n)
        self.modality_effects: dict[str, Floats] = {}
        if explain:
            found = [ablation.modality_effects(s, scores) for s, scores in zip(self.subjects, self.scores)]
            self.modality_effects = {m: np.mean([f[m] for f in found], axis=0) for m in found[0]}

    def all(self, progress: Callable[[int, int], None] | None) -> list[UtteranceResult]:
        found = []
        for row in range(len(self.spans)):
            found.append(self.one(row))
            if progress is not None:
                progress(row + 1, len(self.spans))
        return found

    def one(self, row: int) -> UtteranceResult:
        span = self.spans[row]
        words = self.clip.words[span.first : span.stop]
        score = float(self.scores[:, row].mean())
        read = min(ablation.words_read(s, row) for s in self.subjects)
        results, maps, total = self._words(row, words, read)
        notes = []
        if read < len(words):
            notes.append(f"The model reads {read} words at a time; the last {len(words) - read} here were not read.")
        unsure = sum(w.confidence is not None and w.confidence < UNSURE for w in results)
        if unsure:
            notes.append(f"{unsure} of {len(words)} words, or their times, are little more than guesses (marked ?).")
        return UtteranceResult(
            id=clean(self.dataset.ids[row]),
            start=span.start,
            end=span.end,
            text=clean(self.dataset.texts[row]),
            score=score,
            scores=tuple(float(s) for s in self.scores[:, row]),
            interval=self.models.residuals.interval(score),
            words=results,
            modalities=self._modalities(row, span),
            maps=maps,
            shift_effect=total,
            notes=tuple(notes),
        )

    def _words(
        self, row: int, words: Sequence[TimedWord], read: int
    ) -> tuple[tuple[WordResult, ...], tuple[ShiftMap, ...], float | None]:
        effects = np.full(len(words), np.nan)
        norms = shift = effects
        maps: tuple[ShiftMap, ...] = ()
        total = None
        if self.explain:
            pieces = self._pieces(row)
            effects = np.mean(
                [ablation.word_effects(s, row, float(o[row]), pieces) for s, o in zip(self.subjects, self.scores)],
                axis=0,
            )
            found = [e for s in self.subjects if (e := ablation.shift_effects(s, row)) is not None]
            if found:
                norms, shift = (np.mean([getattr(e, a) for e in found], axis=0) for a in ("norms", "effects"))
                total = float(np.mean([e.total for e in found]))
                maps = self._maps(row, ablation.shift_maps([e.inside for e in found], len(words)), words)
        results = tuple(
            WordResult(
                text=clean(w.text),
                start=w.start,
                end=w.end,
                confidence=known(w.confidence),
                read=k < read,
                effect=known(effects[k]),
                shift=known(norms[k]),
                shift_effect=known(shift[k]),
            )
            for k, w in enumerate(words)
        )
        return results, maps, total

    def _pieces(self, row: int) -> NDArray[np.int64] | None:
        """Words of the utterance's pieces, where those were encoded; below 0 for special tokens."""
        frames, span = self.clip.features.get("linguistic"), self.spans[row]
        if frames is None or frames.words is None:
            return None
        own = frames.words[frames.inside(span)]
        return np.where(own < 0, -1, own - span.first)

    def _maps(self, row: int, found: Mapping[str, Floats], words: Sequence[TimedWord]) -> tuple[ShiftMap, ...]:
        maps = []
        for m, values in found.items():
            span, alignment = self.spans[row], self.dataset.features[m].alignment
            if alignment == "word":
                steps = np.array([(w.start, w.end) for w in words[: values.shape[1]]])
            elif alignment == "utterance":
                steps = np.array([(span.start, span.end)])
            else:
                frames = self.clip.features[m]
                inside = frames.mask & (frames.times >= span.start) & (frames.times < span.end)
                at = frames.times[inside][: values.shape[1]]
                half = float(np.median(np.diff(frames.times))) / 2 if len(frames.times) > 1 else 0.0
                steps = np.stack([at - half, at + half], axis=1)
            maps.append(ShiftMap(m, steps, values))
        return tuple(maps)

    def _modalities(self, row: int, span: Span) -> tuple[ModalityResult, ...]:
        effects = {m: float(e[row]) for m, e in self.modality_effects.items()}
        found = [ModalityResult("linguistic", True, effects.get("linguistic"), 1.0)]
        if not self.models.reads_words:
            found = [ModalityResult("linguistic", False, why="the model was trained without words")]
        here = []
        for m in ("visual", "acoustic"):
            if m not in self.models.modalities:
                found.append(ModalityResult(m, False, why=f"the model was trained without {NAMES[m]}"))
            elif m not in self.clip.features:
                why = self.absent.get(m, "the recording has none that could be used")
                found.append(ModalityResult(m, False, coverage=0.0, why=why))
            elif not len(self.dataset.features[m][row]):
                what = "no face was found" if m == "visual" else "the voice could not be measured"
                found.append(ModalityResult(m, False, coverage=0.0, why=f"{what} while these words were said"))
            else:
                here.append(m)
                found.append(ModalityResult(m, True, effects.get(m), coverage(self.clip.features[m], span)))
        if len(here) > 1:
            found.append(ModalityResult("nonverbal", True, effects.get("nonverbal")))
        return tuple(found)
