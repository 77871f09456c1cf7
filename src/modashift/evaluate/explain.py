"""What a model did with one utterance: the shift of each word by each step, and what the score owes to each part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modashift.batch import Batch
from modashift.evaluate.attribution import Attribution, attribution
from modashift.evaluate.perturb import Edit, drop_steps, rebuilt, step_numbers, units
from modashift.evaluate.shift import Inside, has_shift, look_inside
from modashift.evaluate.subject import Subject

__all__ = ["Explanation", "explain"]

Floats = NDArray[np.float64]
CHUNK = 64


@dataclass(frozen=True)
class Explanation:
    """All that is known about one score.

    Attributes:
        prediction: the score.
        units: names of the words (or of the steps of word vectors).
        word_changes: (n,) change of the score when a word is left out, with the features aligned to it.
        modality_changes: by modality, change of the score without it; ``both`` for all non-verbal ones.
        inside: the shift, for models that have one and utterances that have features.
        items: (modality, step) of everything the attribution check can remove.
        check: its result; None where it cannot be made.
        notes: what could not be done, and why; warnings.
    """

    prediction: float
    units: list[str]
    word_changes: Floats
    modality_changes: dict[str, float]
    inside: Inside | None
    items: list[tuple[str, int]]
    check: Attribution | None
    notes: list[str]

    @property
    def item_names(self) -> list[str]:
        """Names of `items`: the step (its word, or the number of the frame), and the modality."""
        if self.inside is None:
            return []
        named = {m: [f"frame {s}" if s.isdigit() else s for s in steps] for m, steps in self.inside.steps.items()}
        return [f"{named[m][s]} ({m})" for m, s in self.items]


def explain(subject: Subject, layers: Sequence[int] = (), top: int = 3, draws: int = 500, seed: int = 0) -> Explanation:
    """Explain the score of one utterance.

    Args:
        subject: a model and one row.
        layers: of the shift to look at, from 1; all where not given.
        top: how many steps the attribution check removes together.
        draws: random choices it is compared with.
        seed: of these.

    Raises:
        ValueError: more than one row, or a layer without a shift.
    """
    if len(subject.rows) != 1:
        raise ValueError(f"one utterance is explained at a time, not {len(subject.rows)}")
    prediction = float(subject.score()[0])
    names, word_changes = _words_left_out(subject, prediction)
    own = [m for m in subject.dataset.features if m != "linguistic"]
    here = [m for m in own if bool(next(subject.batches()).features[m].mask.any())]
    changes = {m: float(subject.score(_without([m]))[0]) - prediction for m in here}
    if len(here) > 1:
        changes["both"] = float(subject.score(_without(here))[0]) - prediction
    notes, inside, items, check = [], None, [], None
    if not has_shift(subject.predictor.model):
        notes.append(
            f"{subject.predictor.model.title} has no shift, so there are no maps and no gates: what is shown is how "
            "the score changes when words or modalities are left out."
        )
    else:
        inside = look_inside(subject, layers)
        if inside is None:
            notes.append("The utterance has no face or voice features, so nothing is shifted and there is no map.")
        else:
            items = [(m, s) for m, v in inside.maps.items() for s in range(v.shape[2])]
            notes += inside.warnings()
            try:
                check = _check(subject, inside, items, top, draws, seed)
            except ValueError as error:
                notes.append(f"No attribution check: {error}.")
    missing = [m for m in own if m not in here]
    if missing:
        notes.append(f"Missing here, though the model was trained with it: {' and '.join(missing)}.")
    return Explanation(prediction, names, word_changes, changes, inside, items, check, notes)


def _without(modalities: Sequence[str]) -> Any:
    def change(batch: Batch) -> Batch:
        for m in modalities:
            batch = batch.without(m)
        return batch

    return change


def _words_left_out(subject: Subject, prediction: float) -> tuple[list[str], Floats]:
    row = int(subject.rows[0])
    n = int(units(subject.source)[row])
    words = list(subject.source.words[row])
    names = words if len(words) == n else [str(k + 1) for k in range(n)]
    if n < 2:
        return names, np.full(n, np.nan)
    kept = [np.delete(np.arange(n), k) for k in range(n)]
    edits = [Edit(places, np.full(n - 1, row), places) for places in kept]
    scores = Subject.of(subject.predictor, rebuilt(subject.source, [row] * n, edits)).score(batch_size=CHUNK)
    return names, scores - prediction


def _check(
    subject: Subject, inside: Inside, items: list[tuple[str, int]], top: int, draws: int, seed: int
) -> Attribution:
    """The attribution check over all layers looked at; rows are words, special tokens left out."""
    columns = [inside.maps[m][:, inside.real, s] for m, s in items]  # each (L, words)

    def score_without(gone: NDArray[np.bool_]) -> Floats:
        return np.concatenate([_scores(subject, items, gone[k : k + CHUNK]) for k in range(0, len(gone), CHUNK)])

    return attribution(
        np.array([np.abs(c).sum() for c in columns]),
        np.array([c.sum() for c in columns]),
        np.array([np.abs(c).max() for c in columns]),
        score_without,
        top,
        draws,
        seed,
    )


@torch.no_grad()
def _scores(subject: Subject, items: Sequence[tuple[str, int]], gone: NDArray[np.bool_]) -> Floats:
    """Scores of the utterance with the items of each row of `gone` (R, S) masked out."""
    predictor = subject.predictor
    rows = np.repeat(subject.rows, len(gone))
    batch = predictor.preprocessor.collate(subject.dataset, subject.encoded, rows).to(predictor.device)
    for m in {m for m, _ in items}:
        number = step_numbers(subject, batch, m)  # (R, T)
        mine = [k for k, (own, _) in enumerate(items) if own == m]  # its steps, in order
        lost = torch.from_numpy(gone[:, mine]).to(number.device)  # (R, steps)
        batch = drop_steps(batch, m, lost.gather(1, number.clamp(min=0)) & (number >= 0))
    found: torch.Tensor = predictor.model.eval()(batch).prediction
    return found.double().cpu().numpy()
