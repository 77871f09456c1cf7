"""Ways to disturb an utterance: steps go missing, noise, words misheard. Reproducible, whatever the batch.

What is drawn for an utterance depends on the seed, the number of the draw and the utterance's id only, so every model
meets the same disturbance, and a greater share of missing steps contains the smaller one. Features are changed in the
`Batch`, after normalisation; words in the `Dataset`, before word pieces or vectors are made of them.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modashift.batch import Batch, Seq
from modashift.data.dataset import Dataset, Feature
from modashift.evaluate.subject import Change, Subject
from modashift.preprocess import Preprocessor

__all__ = [
    "Edit",
    "blank_words",
    "drop_steps",
    "misheard",
    "missing_steps",
    "noisy",
    "rebuilt",
    "step_numbers",
    "train_deviation",
    "units",
]


def generator(seed: int, draw: int, what: str, identifier: str) -> np.random.Generator:
    """Random numbers of one utterance."""
    return np.random.default_rng([seed, draw, zlib.crc32(f"{what}|{identifier}".encode())])


def step_numbers(subject: Subject, batch: Batch, modality: str) -> Tensor:
    """Which step of the data stands at each position: (B, T), −1 where none does.

    The word-level features of a word stand at each of its pieces, and a single vector for the utterance stands at
    every piece; those are one step, however many positions it fills.
    """
    mask = batch.features[modality].mask
    number = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    alignment = subject.dataset.features[modality].alignment
    if alignment == "utterance":
        number = torch.zeros_like(number)
    elif alignment == "word" and subject.predictor.preprocessor.steps == "piece" and batch.text is not None:
        word = batch.text.word[:, : mask.shape[1]]
        number = torch.full_like(number, -1)
        number[:, : word.shape[1]] = word
    return torch.where(mask, number, -1)


def drop_steps(batch: Batch, modality: str, gone: Tensor) -> Batch:
    """Make positions of a modality missing: ``gone`` (B, T), True at those that go."""
    seq = batch.features[modality]
    mask = seq.mask & ~gone
    return replace(batch, features={**batch.features, modality: Seq(seq.values * mask.unsqueeze(-1), mask)})


def missing_steps(subject: Subject, modalities: Sequence[str], share: float, seed: int = 0, draw: int = 0) -> Change:
    """Each step goes missing with probability `share`; a modality that is one vector for the utterance goes whole.

    Args:
        subject: whose batches will be changed.
        modalities: those that lose steps, each on its own.
        share: 0 to 1; at 1 the modalities are missing altogether.
        seed: of everything that is drawn.
        draw: which of several draws.
    """

    def change(batch: Batch) -> Batch:
        for m in modalities:
            if m not in batch.features:
                continue
            number = step_numbers(subject, batch, m)  # (B, T)
            chance = _by_step(subject, batch, number, f"missing {m}", seed, draw, lambda rng, n: rng.random(n))
            batch = drop_steps(batch, m, chance < share)
        return batch

    return change


def noisy(
    subject: Subject,
    modalities: Sequence[str],
    level: float,
    deviation: Mapping[str, NDArray[np.float64]],
    seed: int = 0,
    draw: int = 0,
) -> Change:
    """Add Gaussian noise to the features as the model sees them (after normalisation).

    Args:
        subject: whose batches will be changed.
        modalities: those that get noise.
        level: its standard deviation, in units of `deviation`.
        deviation: by modality (D,), see `train_deviation`.
        seed: of everything that is drawn.
        draw: which of several draws.
    """

    def change(batch: Batch) -> Batch:
        features = dict(batch.features)
        for m in modalities:
            if m not in features:
                continue
            seq, dim = features[m], features[m].values.shape[-1]
            number = step_numbers(subject, batch, m)

            def normal(rng: np.random.Generator, n: int, dim: int = dim) -> NDArray[np.float64]:
                return rng.standard_normal((n, dim))

            noise = _by_step(subject, batch, number, f"noise {m}", seed, draw, normal)  # (B, T, D)
            scale = torch.as_tensor(level * deviation[m], dtype=seq.values.dtype, device=seq.values.device)
            added = noise.to(seq.values.dtype) * scale * seq.mask.unsqueeze(-1)
            features[m] = Seq(seq.values + added, seq.mask)
        return replace(batch, features=features)

    return change


def _by_step(
    subject: Subject,
    batch: Batch,
    number: Tensor,
    what: str,
    seed: int,
    draw: int,
    make: Callable[[np.random.Generator, int], NDArray[np.float64]],
) -> Tensor:
    """Random numbers for every position, the same at positions that hold the same step; ``make(rng, steps)``."""
    rows = []
    for row, own in zip(batch.index.tolist(), number.cpu().numpy()):
        rng = generator(seed, draw, what, subject.dataset.ids[row])
        drawn = make(rng, int(own.max(initial=0)) + 1)
        rows.append(drawn[np.maximum(own, 0)])
    return torch.from_numpy(np.stack(rows)).to(number.device)


def train_deviation(subject: Subject) -> tuple[dict[str, NDArray[np.float64]], str]:
    """Standard deviation of every feature as the model sees it, over the real steps of the training split.

    Returns:
        By modality (D,); and the split it was taken from: ``train``, or ``all`` where the data have no such split.
    """
    dataset, normaliser = subject.dataset, subject.predictor.preprocessor.normaliser
    rows, split = dataset.rows("train"), "train"
    if not len(rows):
        rows, split = np.arange(len(dataset)), "all"
    result = {}
    for m, feature in dataset.features.items():
        if m == "linguistic":
            continue
        count, mean, squares = 0, np.zeros(feature.dim), np.zeros(feature.dim)
        for row in rows:
            steps = normaliser.apply(m, np.asarray(feature[int(row)], dtype=np.float32)).astype(np.float64)
            if len(steps):  # means and squares of parts, joined (Chan et al. 1983): no cancellation
                own, total = steps.mean(0), count + len(steps)
                squares += ((steps - own) ** 2).sum(0) + (own - mean) ** 2 * count * len(steps) / total
                mean, count = mean + (own - mean) * len(steps) / total, total
        result[m] = np.sqrt(squares / max(1, count))
    return result, split


def blank_words(preprocessor: Preprocessor) -> Change:
    """Every word becomes unknown: the tokenizer's unknown piece, or a vector of zeros. How many there are stays."""

    def change(batch: Batch) -> Batch:
        if batch.text is not None and preprocessor.tokenizer is not None:
            unknown = preprocessor.tokenizer.unk_token_id
            ids = torch.where(batch.text.real, 0 if unknown is None else unknown, batch.text.ids)
            return replace(batch, text=replace(batch.text, ids=ids))
        seq = batch.features["linguistic"]
        blank = Seq(torch.zeros_like(seq.values), seq.mask)
        return replace(batch, features={**batch.features, "linguistic": blank})

    return change


@dataclass(frozen=True)
class Edit:
    """New words for an utterance, each taken from somewhere in the data.

    Attributes:
        kept: (n,) places of the utterance that stay; word-aligned features of the others go with them.
        rows: (n,) utterance from which the word at each of them (and its given vector) is taken.
        places: (n,) which word of it.
    """

    kept: NDArray[np.intp]
    rows: NDArray[np.intp]
    places: NDArray[np.intp]


def units(dataset: Dataset) -> NDArray[np.int64]:
    """(N,) how many words each utterance has, or steps of its word vectors where those are not one a word."""
    given = dataset.features.get("linguistic")
    counts = np.array([len(w) for w in dataset.words], dtype=np.int64)
    if given is not None and (given.alignment == "frame" or not counts.any()):
        return given.lengths
    return counts


def rebuilt(dataset: Dataset, rows: Sequence[int] | NDArray[np.intp], edits: Sequence[Edit]) -> Dataset:
    """The utterances `rows` with other words, as a data set of their own."""
    part, counts = dataset.take(rows), units(dataset)
    by_step = "linguistic" in dataset.features and dataset.features["linguistic"].alignment == "frame"
    words, features = list(part.words), {}
    for k, edit in enumerate(edits):
        if words[k] and not by_step:
            words[k] = tuple(dataset.words[int(r)][int(p)] for r, p in zip(edit.rows, edit.places))
    for m, feature in dataset.features.items():
        sequences = []
        for row, edit in zip(rows, edits):
            own = np.asarray(feature[int(row)])
            if m == "linguistic":
                found = (feature[int(r)][int(p) : int(p) + 1] for r, p in zip(edit.rows, edit.places))
                own = np.concatenate([np.zeros((0, feature.dim), np.float32), *found])
            elif feature.alignment == "word" or (by_step and len(own) == counts[int(row)]):
                own = own[edit.kept[edit.kept < len(own)]]
            sequences.append(own)
        packed = Feature.pack(sequences, feature.dim)
        features[m] = replace(packed, alignment=feature.alignment, columns=feature.columns)
    return replace(part, words=words, texts=[" ".join(w) for w in words], features=features)


def misheard(subject: Subject, kind: str, rate: float, seed: int = 0, draw: int = 0) -> Subject:
    """The subject's rows with word errors.

    Args:
        subject: model and data.
        kind: ``deletion``: words go, with the features aligned to them, but never all of an utterance;
            ``substitution``: words are replaced by words drawn from the training split (as often as they occur there),
            and features stay.
        rate: probability of an error at each word.
        seed: of everything that is drawn.
        draw: which of several draws.

    Returns:
        The same model on the changed utterances alone.
    """
    source, counts = subject.source, units(subject.source)
    pool = source.rows("train")
    pool = pool if len(pool) and counts[pool].any() else np.arange(len(source))
    starts = np.concatenate([[0], np.cumsum(counts[pool])])
    edits = []
    for row in subject.rows:
        n = int(counts[row])
        rng = generator(seed, draw, kind, source.ids[int(row)])
        chance = rng.random(n)
        hit = chance < rate
        if kind == "deletion":
            hit &= chance != chance.max(initial=0)
            kept = np.flatnonzero(~hit)
            edits.append(Edit(kept, np.full(len(kept), row), kept))
            continue
        drawn = rng.integers(max(1, int(starts[-1])), size=n)
        other = np.searchsorted(starts, drawn, side="right") - 1
        places = np.arange(n)
        edits.append(Edit(places, np.where(hit, pool[other], row), np.where(hit, drawn - starts[other], places)))
    return Subject.of(subject.predictor, rebuilt(source, subject.rows, edits), name=subject.name)
