"""A made-up data set whose scores hang on what face and voice do at *another* word: for what sees across steps.

**Nothing here was recorded.** "That was a wonderful film", and the smile, or the roll of the eyes, comes three words
after "wonderful". The model:

1. An utterance has a few words in random order. Just one of them has a valence; the others are neutral.
2. With even odds it is meant as said (s = 1) or the other way round (s = -1). The score is 2 · s · valence.
3. Meant as said, there is a smile and a laugh in the voice; the other way round, an eye-roll and a sing-song voice.
   Both tracks show it at the same step: ``elsewhere``, at any step but the word's, each with equal probability; or
   ``own``, at the word itself.
4. At every other step each track has a harmless event with probability ``harmless``.
5. A step is ``strength · event + noise · N(0, I)``; the events are unit vectors of `EVENTS`.

What follows: the words alone say how strong a score is and nothing about its sign, and neither do the tracks alone,
since both kinds of words are equally frequent. Sign and word must be multiplied. For ``own`` a model may do so where it
mixes each word with its own step; for ``elsewhere`` it must bring the two together from different steps. Everything
else is equal, so one is the control of the other.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset, Feature
from modashift.data.simulated import COLUMNS, EVENTS
from modashift.data.synthetic import VALENCES
from modashift.errors import DataError

__all__ = ["Place", "best_reachable", "planted_dataset", "sign_probability"]

Place = Literal["elsewhere", "own"]
Floats = NDArray[np.float64]
# By track: the event that says "as said", the one that says "the other way round", and harmless ones.
_SHOWN = {
    "visual": ("smile", "eye_roll", ("glance_up", "blink")),
    "acoustic": ("laugh", "sing_song", ("emphasis", "hesitation")),
}
_SCALE = 2.0  # valences lie within 1.5: scores within 3


def planted_dataset(
    place: Place = "elsewhere",
    seed: int = 0,
    *,
    sizes: tuple[int, int, int] = (1200, 200, 400),
    words: tuple[int, int] = (5, 8),
    strength: float = 4.0,
    noise: float = 1.0,
    harmless: float = 0.15,
) -> Dataset:
    """Draw the data set.

    Args:
        place: where the decisive event is; the same seed gives the same words, scores and noise for both.
        seed: of everything that is drawn.
        sizes: utterances of the train, dev and test split.
        words: least and greatest number of words of an utterance.
        strength: length of an event's vector.
        noise: standard deviation of the noise in each column.
        harmless: probability of a harmless event at a step without the decisive one.

    Returns:
        Labels in [-3, 3]; ids ``test17``, each utterance a group of its own; ``visual`` and ``acoustic`` of width 8,
        one step a word, columns as in `COLUMNS`, values without unit.

    Raises:
        DataError: for an unknown place, an empty split, fewer than two words, or strength, noise or probability out of
            range.
    """
    if place not in ("elsewhere", "own"):
        raise DataError(f"place {place!r} must be elsewhere or own")
    if min(sizes) < 1 or not 2 <= words[0] <= words[1]:
        raise DataError(f"cannot make splits of {sizes} utterances of {words[0]} to {words[1]} words (two at least)")
    if strength < 0 or noise <= 0 or not 0 <= harmless < 1:
        raise DataError("strength must not be negative, noise must be positive, harmless a probability below 1")
    rng = np.random.default_rng(seed)
    charged = [word for word, valence in VALENCES.items() if valence != 0]
    neutral = [word for word, valence in VALENCES.items() if valence == 0]
    splits = np.repeat(["train", "dev", "test"], sizes)
    sentences, labels = [], np.zeros(len(splits))
    tracks: dict[str, list[Floats]] = {track: [] for track in _SHOWN}
    for row in range(len(splits)):
        steps = int(rng.integers(words[0], words[1] + 1))
        sentence = [str(word) for word in rng.choice(neutral, steps)]
        at = int(rng.integers(steps))
        sentence[at] = str(rng.choice(charged))
        other = (at + int(rng.integers(1, steps))) % steps  # drawn for both places, so that all else is equal
        reversed_ = int(rng.integers(2))
        sentences.append(tuple(sentence))
        labels[row] = round(_SCALE * VALENCES[sentence[at]] * (-1 if reversed_ else 1), 6)
        for track, values in tracks.items():
            table = _events(track)  # (5, 8): nothing, as said, reversed, two harmless ones
            kind = np.where(rng.random(steps) < harmless, rng.integers(3, len(table), steps), 0)
            kind[at if place == "own" else other] = 1 + reversed_
            values.append(strength * table[kind] + noise * rng.standard_normal((steps, table.shape[1])))
    made = {"seed": seed, "place": place, "strength": strength, "noise": noise, "harmless": harmless}
    ids = [f"{split}{k}" for split, n in zip(("train", "dev", "test"), sizes, strict=True) for k in range(n)]
    return Dataset(
        name=f"planted-{place}",
        ids=ids,
        groups=ids,
        splits=splits,
        labels=labels,
        texts=[" ".join(sentence) for sentence in sentences],
        words=sentences,
        features={
            track: replace(Feature.pack(values, len(COLUMNS[track])), alignment="word", columns=COLUMNS[track])
            for track, values in tracks.items()
        },
        provenance={"source": "made up", "planted": made},
    )


def sign_probability(dataset: Dataset) -> Floats:
    """(n,) exact posterior probability that an utterance is meant as said, given its words and tracks.

    Raises:
        DataError: the data set does not come from `planted_dataset`, or has lost its tracks.
    """
    made = dataset.provenance.get("planted")
    if made is None or any(track not in dataset.features for track in _SHOWN):
        raise DataError(f"{dataset.name} was not planted, or has lost a track; make it with planted_dataset")
    result = np.zeros(len(dataset))
    for row in range(len(dataset)):
        (at,) = (k for k, word in enumerate(dataset.words[row]) if VALENCES[word] != 0)
        steps = len(dataset.words[row])
        places = [at] if made["place"] == "own" else [k for k in range(steps) if k != at]
        evidence = np.zeros((steps, 2))
        for track in _SHOWN:
            table = made["strength"] * _events(track)
            values = dataset.features[track][row].astype(np.float64)
            # log N(x; e, σ²I) up to what all events share: (x·e - |e|²/2) / σ²
            logs = (values @ table.T - (table**2).sum(1) / 2) / made["noise"] ** 2  # (T, 5)
            with np.errstate(divide="ignore"):
                share = np.log([1 - made["harmless"], *[made["harmless"] / (len(table) - 3)] * (len(table) - 3)])
            evidence += logs[:, 1:3] - np.logaddexp.reduce(logs[:, [0, *range(3, len(table))]] + share, axis=1)[:, None]
        said, reversed_ = np.logaddexp.reduce(evidence[places], axis=0)
        result[row] = 1 / (1 + np.exp(np.clip(reversed_ - said, -700, 700)))
    return result


def best_reachable(dataset: Dataset, split: str = "test") -> dict[str, float]:
    """Mean absolute error of ideal predictors that know every word's valence.

    Args:
        dataset: as `planted_dataset` returned it, or a part of it.
        split: rows to judge.

    Returns:
        ``mae_text`` and ``mae_tracks``, of predictors that see the words alone or the tracks alone (best possible: 0
        for everybody), and ``mae_both``, in label units.
    """
    part = dataset.take(dataset.rows(split))
    size = np.abs(part.labels)
    valence = np.array([sum(VALENCES[word] for word in sentence) for sentence in part.words])
    wrong = (sign_probability(part) > 0.5) != (part.labels * valence > 0)
    alone = float(size.mean())
    return {"mae_text": alone, "mae_tracks": alone, "mae_both": float(np.mean(2 * size * wrong))}


def _events(track: str) -> Floats:
    """(5, 8) no event, the one for "as said", the one for "the other way round", the harmless ones."""
    said, reversed_, harmless = _SHOWN[track]
    found = [EVENTS[track][name] for name in (said, reversed_, *harmless)]
    return np.stack([np.zeros_like(found[0]), *found])
