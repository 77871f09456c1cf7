"""Sentences of film and product reviews, each rated by some twenty people, and VADER's score to compare with.

The ratings are those published with VADER (Hutto and Gilbert, *VADER: a parsimonious rule-based model for sentiment
analysis of social media text*, ICWSM 2014): 10,605 sentences from film reviews of Pang and Lee and 3,708 from product
reviews of Hu and Liu. They are real human scores that any machine with pip can have; see `fetch_reviews`.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modashift.cache import check_sha256
from modashift.data.dataset import Dataset
from modashift.data.fetch import VADER, fetch_reviews
from modashift.errors import DataError

__all__ = ["load_reviews", "vader_baseline", "vader_scores"]

ReviewSet = Literal["movie", "product"]
REVIEW_SETS: tuple[ReviewSet, ...] = ("movie", "product")
# Raters answered on [-4, 4]; sentiment scores elsewhere in the field, and here, lie in [-3, 3].
SCALE = 0.75
VADER_MODULE = "25cd814d23000b41c0e242d99960832c6620b3f1b844469173404500ce63206b"


class Row(NamedTuple):
    """One rated sentence; `review` is empty where the file does not say which review it came from."""

    id: str
    review: str
    rating: float
    text: str


def load_reviews(sets: Sequence[ReviewSet] = ("movie",)) -> Dataset:
    """Rated sentences as a data set without visual or acoustic features.

    The split is fixed: about 80 % train, 10 % dev, 10 % test, by a hash, so that it does not depend on the sets asked
    for, nor on any random generator. Sentences of one product review stay together, and so do sentences that are equal
    but for case, punctuation and spacing, whichever review or set they are in. (The film sentences are one snippet a
    review; their file names no review.)

    Args:
        sets: ``movie``, ``product`` or both.

    Returns:
        Labels are mean ratings × 0.75, in [-3, 3]; ids ``movie-17``, ``product-4_2``; words are split at white space;
        groups are what the split keeps together.

    Raises:
        DataError: unknown set, or the sentences cannot be fetched.
    """
    if isinstance(sets, str) or not sets or any(name not in REVIEW_SETS for name in sets):
        raise DataError(f"sets {sets!r} must be a list of {', '.join(REVIEW_SETS)}")
    folder = fetch_reviews()
    # Both sets are always read: a sentence that occurs in both must get the same group whichever is asked for.
    everything = [row for name in REVIEW_SETS for row in _read(folder, name)]
    groups = _groups(everything)
    kept = [i for i, row in enumerate(everything) if row.id.split("-")[0] in sets]
    rows, groups = [everything[i] for i in kept], [groups[i] for i in kept]
    return Dataset(
        name="reviews-" + "-".join(name for name in REVIEW_SETS if name in sets),
        ids=[row.id for row in rows],
        groups=groups,
        splits=np.array([_split(group) for group in groups]),
        labels=np.array([row.rating * SCALE for row in rows]),
        texts=[row.text for row in rows],
        words=[tuple(row.text.split()) for row in rows],
        features={},
        provenance={
            "source": VADER.requirement,
            "sha256": {VADER.requirement: VADER.sha256},
            "sets": [name for name in REVIEW_SETS if name in sets],
            "label": f"mean human rating in [-4, 4] times {SCALE}",
        },
    )


def vader_scores(texts: Iterable[str]) -> NDArray[np.float64]:
    """VADER's compound scores of n texts.

    Computed by VADER's own module out of the fetched archive, checked by hash and imported from where it lies; it is
    neither installed nor does scoring use the network.

    Returns:
        (n,) in [-1, 1].
    """
    analyzer = _vader_module(fetch_reviews() / "vader").SentimentIntensityAnalyzer()
    return np.array([analyzer.polarity_scores(text)["compound"] for text in texts], dtype=np.float64)


def vader_baseline(dataset: Dataset) -> NDArray[np.float64]:
    """What a lexicon with rules predicts, on the scale of the labels.

    VADER's compound score squeezes the sum of valences into [-1, 1], which is not the scale of any rater. For a fair
    comparison it is mapped by a straight line, slope and intercept fitted by least squares on the train split.

    Returns:
        (n,) predictions for every utterance of the data set, in label units.

    Raises:
        DataError: fewer than two labelled utterances in the train split.
    """
    scores = vader_scores(dataset.texts)
    train = dataset.rows("train")
    train = train[~np.isnan(dataset.labels[train])]
    if len(train) < 2:
        raise DataError(f"{dataset.name} has {len(train)} labelled train utterances; VADER's scale cannot be fitted")
    design = np.stack([np.ones_like(scores), scores], axis=1)  # (n, 2)
    line, *_ = np.linalg.lstsq(design[train], dataset.labels[train], rcond=None)
    return np.asarray(design @ line, dtype=np.float64)


def _read(folder: Path, name: str) -> list[Row]:
    rows = []
    path = folder / f"{name}.txt"
    for number, line in enumerate(path.read_bytes().decode("utf-8").split("\r\n"), 1):
        if not line:
            continue
        try:
            identifier, rating, text = line.split("\t")
            row = Row(
                id=f"{name}-{identifier}",
                review=f"{name}-{identifier.split('_')[0]}" if "_" in identifier else "",
                rating=float(rating),
                text=text.strip(),
            )
        except ValueError as error:
            raise DataError(f"{path.name}, line {number}: expected id, rating and text, got {line[:60]!r}") from error
        rows.append(row)
    return rows


def _normalised(text: str) -> str:
    """Words only, lower case; a text without words (a row of dots) stands for itself."""
    return " ".join(re.findall(r"\w+", text.lower())) or text


def _groups(rows: Sequence[Row]) -> list[str]:
    """Join sentences that share a review or a normalised text; a group's name is a hash of that review or text."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    sentences = ["sentence:" + _normalised(row.text) for row in rows]
    for row, sentence in zip(rows, sentences, strict=True):
        if row.review:
            # The smaller name becomes the root, so that the result does not depend on the order of the rows.
            first, second = sorted([root("review:" + row.review), root(sentence)])
            parent[second] = first
    return [hashlib.sha256(root(sentence).encode("utf-8")).hexdigest()[:16] for sentence in sentences]


def _split(group: str) -> str:
    share = int(group, 16) / 16 ** len(group)
    return "train" if share < 0.8 else "dev" if share < 0.9 else "test"


def _vader_module(folder: Path) -> ModuleType:
    path = folder / "vaderSentiment.py"
    check_sha256(path, VADER_MODULE)  # it is code about to run, and a cache is a folder anybody may have edited
    module = ModuleType("modashift_fetched_vader")
    module.__file__ = str(path)
    # Not importlib: it would leave, and next time trust, compiled code in the cache that no hash covers.
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module
