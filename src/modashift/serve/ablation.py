"""What a score owes to each word, each shift and each modality: each is taken away in turn, and the score read again.

All effects are *score with it minus score without it*, in score points: positive where it pushed the score up. They
are what the model does, not what people do; and they do not add up, because words and moments act together.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modashift.batch import Batch
from modashift.evaluate.perturb import Edit, blank_words, rebuilt, units
from modashift.evaluate.shift import Inside, has_shift, look_inside
from modashift.evaluate.subject import Change, Subject
from modashift.models.cms import ModalityShift

__all__ = ["ShiftEffects", "modality_effects", "shift_effects", "shift_maps", "word_effects", "words_read"]

Floats = NDArray[np.float64]
CHUNK = 64  # variants of an utterance scored together


def words_read(subject: Subject, row: int) -> int:
    """How many words of an utterance the model reads before its longest input is full."""
    if _by_piece(subject) or not _reads_words(subject):
        return len(subject.source.words[row])
    own = subject.encoded.words[row]
    return int(own.max(initial=-1)) + 1


def word_effects(subject: Subject, row: int, score: float, pieces: NDArray[np.int64] | None = None) -> Floats:
    """Effect of each word of one utterance: left out, together with the features aligned to it.

    Of states of word pieces those of the word are left out; the states of the others, which the encoder made in sight
    of the word, stay as they are.

    Args:
        subject: model and data.
        row: of the utterance.
        score: of the whole utterance by this model.
        pieces: (T,) number of the word of the utterance that each step of its word pieces' states is of, below 0 for
            special tokens; for models that read such states.

    Returns:
        (W,) score − score without the word; 0 for words the model does not read, NaN for the only word.
    """
    if _by_piece(subject):
        return _piece_effects(subject, row, score, pieces)
    if not _reads_words(subject):
        return np.zeros(len(subject.source.words[row]))
    n = int(units(subject.source)[row])
    if n < 2:
        return np.full(n, np.nan)
    read = min(n, words_read(subject, row))
    kept = [np.delete(np.arange(n), k) for k in range(read)]
    edits = [Edit(places, np.full(n - 1, row), places) for places in kept]
    without = Subject.of(subject.predictor, rebuilt(subject.source, [row] * read, edits)).score(batch_size=CHUNK)
    effects = np.zeros(n)
    effects[:read] = score - without
    return effects


def _by_piece(subject: Subject) -> bool:
    """Whether the model reads states of word pieces that came with the data."""
    feature = subject.source.features.get("linguistic")
    return feature is not None and feature.alignment == "frame" and any(map(len, subject.source.words))


def _reads_words(subject: Subject) -> bool:
    return subject.predictor.preprocessor.tokenizer is not None or "linguistic" in subject.dataset.features


def _piece_effects(subject: Subject, row: int, score: float, pieces: NDArray[np.int64] | None) -> Floats:
    source = subject.source
    n, steps = len(source.words[row]), int(source.features["linguistic"].lengths[row])
    if n < 2 or pieces is None or len(pieces) != steps:
        return np.full(n, np.nan)
    features = {}
    for m, feature in source.features.items():
        own = np.asarray(feature[row])
        if m == "linguistic":
            sequences = [own[pieces != k] for k in range(n)]
        elif feature.alignment == "word":
            sequences = [np.delete(own, k, axis=0) if k < len(own) else own for k in range(n)]
        else:
            sequences = [own] * n
        packed = type(feature).pack(sequences, feature.dim)
        features[m] = replace(packed, alignment=feature.alignment, columns=feature.columns)
    words = [[w for place, w in enumerate(source.words[row]) if place != k] for k in range(n)]
    texts = [" ".join(own) for own in words]
    without = replace(source.take([row] * n), words=words, texts=texts, features=features)
    return score - Subject.of(subject.predictor, without).score(batch_size=CHUNK)


def modality_effects(subject: Subject, scores: Floats) -> dict[str, Floats]:
    """Effect of each modality on every row.

    Args:
        subject: model and data.
        scores: (n,) of the rows.

    Returns:
        (n,) by modality that the model takes: ``linguistic`` (every word made unknown, how many there are stays),
        ``visual``, ``acoustic``, and ``nonverbal`` for both together where the model takes both. An utterance that
        lacks a modality has 0 there, and a model that reads no words no entry for them.
    """
    effects = {}
    if _reads_words(subject):
        effects["linguistic"] = scores - subject.score(blank_words(subject.predictor.preprocessor))
    own = subject.predictor.modalities
    for m in own:
        effects[m] = scores - subject.score(_without(m))
    if len(own) > 1:

        def alone(batch: Batch) -> Batch:
            for m in own:
                batch = batch.without(m)
            return batch

        effects["nonverbal"] = scores - subject.score(alone)
    return effects


def _without(modality: str) -> Change:
    def change(batch: Batch) -> Batch:
        return batch.without(modality)

    return change


@dataclass(frozen=True)
class ShiftEffects:
    """What the shift of an utterance did.

    Attributes:
        norms: (W,) length of each word's shift, mean over layers and the word's pieces.
        effects: (W,) score − score with the shift of this word removed from every layer.
        total: score − score with all shifts removed, those of the special tokens too.
        inside: maps, gates and shifts by layer.
    """

    norms: Floats
    effects: Floats
    total: float
    inside: Inside


def shift_effects(subject: Subject, row: int) -> ShiftEffects | None:
    """The shift of one utterance, and what each word's part of it changes.

    Only the shift is removed: what a model also reads from face and voice by other ways (the LSTMs of CMSBERT-CLR)
    stays.

    Returns:
        None for models without a shift and for utterances without face and voice.
    """
    if not has_shift(subject.predictor.model):
        return None
    alone = Subject(
        subject.name,
        subject.predictor,
        subject.source,
        subject.dataset,
        subject.encoded,
        np.array([row], dtype=np.intp),
    )
    inside = look_inside(alone)
    if inside is None:
        return None
    count, read = len(subject.source.words[row]), words_read(subject, row)
    pieces = len(inside.words)
    keep = np.ones((read + 2, pieces), dtype=bool)  # the first row keeps all, the last nothing
    for word in range(read):
        keep[word + 1, inside.words == word] = False
    keep[-1] = False
    scores = np.concatenate([_with_shifts(alone, keep[k : k + CHUNK]) for k in range(0, len(keep), CHUNK)])
    norms, effects = np.zeros(count), np.zeros(count)
    mean = inside.norms.mean(0)
    for word in range(read):
        norms[word] = mean[inside.words == word].mean()
    effects[:read] = scores[0] - scores[1:-1]
    return ShiftEffects(norms, effects, float(scores[0] - scores[-1]), inside)


@torch.no_grad()
def _with_shifts(subject: Subject, keep: NDArray[np.bool_]) -> Floats:
    """(R,) scores of the only row with the shifts of the positions not in `keep` (R, N) removed from every layer."""
    predictor = subject.predictor
    batch = predictor.preprocessor.collate(subject.dataset, subject.encoded, np.repeat(subject.rows, len(keep)))
    with _shifts_masked(predictor.model, torch.from_numpy(keep).to(predictor.device)):
        found: torch.Tensor = predictor.model.eval()(batch.to(predictor.device)).prediction
    return found.double().cpu().numpy()


@contextmanager
def _shifts_masked(model: Any, keep: torch.Tensor) -> Iterator[None]:
    """Within the block, shifts (B, N, H) of positions not in `keep` (B, N) are zero."""

    def masked(_module: Any, _arguments: Any, shift: torch.Tensor) -> torch.Tensor:
        return shift * keep.unsqueeze(-1)

    modules = [m for m in model.encoder.shift.values() if isinstance(m, ModalityShift)]
    hooks = [m.register_forward_hook(masked) for m in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def shift_maps(insides: Sequence[Inside], words: int) -> dict[str, Floats]:
    """How strongly each step moved each word, by modality (W, S): the maps' magnitudes, mean over layers and models.

    Rows of a word's pieces are averaged; words that the model does not read have rows of zeros.

    Args:
        insides: of the models, for the same utterance.
        words: W.
    """
    found: dict[str, list[Floats]] = {}
    for inside in insides:
        for m, maps in inside.maps.items():
            strength = np.abs(maps).mean(0)  # (N, S)
            grouped = np.zeros((words, strength.shape[1]))
            for word in range(words):
                if (at := inside.words == word).any():
                    grouped[word] = strength[at].mean(0)
            found.setdefault(m, []).append(grouped)
    result = {}
    for m, maps_of in found.items():
        width = max(g.shape[1] for g in maps_of)  # models with a shorter longest input see fewer steps
        result[m] = np.mean([np.pad(g, ((0, 0), (0, width - g.shape[1]))) for g in maps_of], axis=0)
    return result
