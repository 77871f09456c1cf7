"""Utterances whose emotion is in the voice and not in the words, small enough to learn in seconds."""

import numpy as np

from modashift.data.dataset import Dataset, Feature

NAMES = ("angry", "happy", "sad")
SENTENCES = ("it was the movie", "the story was good", "they was not in it")
WIDTH = 3


def emotions(speakers: int = 6, each: int = 9, seed: int = 0, loud: float = 2.0) -> Dataset:
    """Speakers who each say every sentence in every class, as acted corpora have it; the last two are dev and test."""
    rng = np.random.default_rng(seed)
    ids, groups, splits, labels, texts, voices = [], [], [], [], [], []
    for s in range(speakers):
        for k in range(each):
            words = SENTENCES[(k // len(NAMES)) % len(SENTENCES)].split()
            label = k % len(NAMES)
            ids.append(f"s{s}_{k + 1}")
            groups.append(f"s{s}")
            splits.append({speakers - 2: "dev", speakers - 1: "test"}.get(s, "train"))
            labels.append(float(label))
            texts.append(words)
            voice = rng.normal(size=(len(words), WIDTH))
            voice[:, label] += loud
            voices.append(voice.astype(np.float32))
    return Dataset(
        name="acted",
        ids=ids,
        groups=groups,
        splits=np.array(splits),
        labels=np.array(labels),
        texts=[" ".join(words) for words in texts],
        words=texts,
        features={"acoustic": Feature.pack(voices, WIDTH)},
        classes=NAMES,
    )
