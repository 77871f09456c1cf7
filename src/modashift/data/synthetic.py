"""A small made-up data set, quick and the same every time: for tests, first runs and examples without a download."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from modashift.data.dataset import Dataset
from modashift.data.simulated import SimulationOptions, simulate_tracks
from modashift.errors import DataError

__all__ = ["VALENCES", "synthetic_dataset"]

VALENCES: Mapping[str, float] = MappingProxyType(
    {
        **{"wonderful": 1.5, "great": 1.2, "lovely": 1.0, "good": 0.8, "nice": 0.6, "fine": 0.4},
        **{"awful": -1.5, "terrible": -1.2, "boring": -1.0, "bad": -0.8, "dull": -0.6, "poor": -0.4},
        **dict.fromkeys("the a it movie was film story actor plot scene he she they and but hat blue table".split(), 0),
    }
)
"""What each word of the vocabulary adds to the score of a sentence."""

DEFAULT_TRACKS = SimulationOptions()


def synthetic_dataset(
    n: int = 120,
    seed: int = 0,
    *,
    vocabulary: Mapping[str, float] = VALENCES,
    words: tuple[int, int] = (3, 12),
    charged: float = 0.3,
    segments: int = 8,
    tracks: SimulationOptions | None = DEFAULT_TRACKS,
) -> Dataset:
    """Random word sequences whose score is the sum of their words' valences, with simulated tracks.

    Args:
        n: number of utterances, at least 3.
        seed: of everything that is drawn.
        vocabulary: words and their valences; needs words with a valence of 0 and others.
        words: least and greatest number of words of an utterance.
        charged: probability that a word has a valence other than 0.
        segments: utterances of a video; a video lies in one split (about 70 % train, 15 % dev, 15 % test, none empty).
        tracks: model of the visual and acoustic tracks of `simulate_tracks`, which turns some labels round; None for a
            data set of words alone.

    Returns:
        Labels clipped to [-3, 3]; ids ``video03_2``; groups the videos.

    Raises:
        DataError: fewer than 3 utterances, an empty range of lengths, or a vocabulary of one kind of words only.
    """
    neutral = [word for word, valence in vocabulary.items() if valence == 0]
    loaded = [word for word, valence in vocabulary.items() if valence != 0]
    if n < 3 or segments < 1 or not 1 <= words[0] <= words[1]:
        raise DataError(f"cannot make {n} utterances of {words[0]} to {words[1]} words, {segments} a video")
    if not neutral or not loaded:
        raise DataError("the vocabulary needs words with a valence of 0 and words with another")
    rng = np.random.default_rng(seed)
    segments = min(segments, n // 3)  # at least three videos, one for each split
    video = np.arange(n) // segments
    sentences = []
    for length in rng.integers(words[0], words[1] + 1, n):
        use_loaded = rng.random(length) < charged
        sentences.append(tuple(str(rng.choice(loaded if flag else neutral)) for flag in use_loaded))
    # Tenths of a point are summed in binary: rounding makes a sentence of +0.8 and -0.8 exactly neutral.
    scores = [round(sum(vocabulary[word] for word in sentence), 6) for sentence in sentences]
    dataset = Dataset(
        name="synthetic",
        ids=[f"video{v:02d}_{i % segments}" for i, v in enumerate(video)],
        groups=[f"video{v:02d}" for v in video],
        splits=_splits(int(video[-1]) + 1, rng)[video],
        labels=np.array([min(3.0, max(-3.0, score)) for score in scores], dtype=np.float64) + 0.0,
        texts=[" ".join(sentence) for sentence in sentences],
        words=sentences,
        features={},
        provenance={"source": "made up", "seed": seed, "words": list(words), "charged": charged},
    )
    return dataset if tracks is None else replace(simulate_tracks(dataset, seed, tracks), name="synthetic")


def _splits(videos: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    held_out = max(1, round(0.15 * videos))
    names = np.array(["dev"] * held_out + ["test"] * held_out + ["train"] * (videos - 2 * held_out))
    return rng.permutation(names)
