"""The planted data set: what its description says of words, tracks and their product holds of what is drawn."""

import numpy as np
import pytest

from modashift.data.open import open_dataset
from modashift.data.planted import best_reachable, planted_dataset, sign_probability
from modashift.data.simulated import EVENTS
from modashift.data.synthetic import VALENCES
from modashift.data.validate import check
from modashift.errors import DataError

QUIET = {"noise": 1e-6, "harmless": 0.0}


def charged(utterance):
    (at,) = (k for k, word in enumerate(utterance.words) if VALENCES[word])
    return at


def signs(dataset):
    """s of every utterance, and the valence of its word."""
    valence = np.array([VALENCES[u.words[charged(u)]] for u in dataset])
    return np.sign(dataset.labels * valence), valence


@pytest.mark.parametrize("place", ["elsewhere", "own"])
def test_the_event_is_where_it_should_be_and_says_what_the_score_does(place):
    dataset = planted_dataset(place, sizes=(150, 20, 20), **QUIET)
    assert check(dataset).raise_errors() is None
    meant, valence = signs(dataset)
    assert dataset.labels == pytest.approx(2 * meant * valence)
    distances = set()
    for row, utterance in enumerate(dataset):
        for track, (said, reversed_) in {"visual": ("smile", "eye_roll"), "acoustic": ("laugh", "sing_song")}.items():
            values = utterance.features[track]
            (at,) = np.flatnonzero(np.abs(values).max(1) > 0.1)
            name = said if meant[row] > 0 else reversed_
            assert values[at] == pytest.approx(4 * EVENTS[track][name], abs=1e-4)
            distances.add(int(at) - charged(utterance))
    if place == "own":
        assert distances == {0}
    else:
        assert distances > {-4, -3, -2, -1, 1, 2, 3, 4}
        assert 0 not in distances


def test_neither_words_nor_tracks_alone_tell_the_sign():
    dataset = planted_dataset(sizes=(4000, 1, 1))
    meant, valence = signs(dataset)
    limit = 4 / np.sqrt(len(dataset))
    for word in (w for w, v in VALENCES.items() if v):
        chosen = np.array([word in u.words for u in dataset])
        assert abs(meant[chosen].mean()) < 4 / np.sqrt(chosen.sum())
    for track, feature in dataset.features.items():
        means = np.array([feature[row].mean(0) for row in range(len(dataset))])  # (n, 8)
        with_label = [abs(np.corrcoef(column, dataset.labels)[0, 1]) for column in means.T]
        assert max(with_label) < limit, track
        with_sign = [abs(np.corrcoef(column, meant)[0, 1]) for column in means.T]
        assert max(with_sign) > 0.3, track
    assert abs(np.mean(np.sign(valence))) < limit


def test_the_places_share_everything_else():
    a, b = planted_dataset("elsewhere", 3, sizes=(50, 5, 5)), planted_dataset("own", 3, sizes=(50, 5, 5))
    assert list(a.texts) == list(b.texts)
    assert np.array_equal(a.labels, b.labels)
    assert not np.array_equal(a.features["visual"].values, b.features["visual"].values)
    again, other = planted_dataset("elsewhere", 3, sizes=(50, 5, 5)), planted_dataset("elsewhere", 4, sizes=(50, 5, 5))
    assert np.array_equal(a.features["acoustic"].values, again.features["acoustic"].values)
    assert list(a.texts) != list(other.texts)


@pytest.mark.parametrize("place", ["elsewhere", "own"])
def test_the_posterior_is_calibrated(place):
    """Of the utterances to which the exact posterior gives a probability near q, a share of q is meant as said."""
    dataset = planted_dataset(place, 1, sizes=(3000, 1, 1), strength=1.5, harmless=0.3)
    q = sign_probability(dataset)
    meant = (signs(dataset)[0] > 0).astype(float)
    for low in np.arange(0, 1, 0.2):
        inside = (q >= low) & (q < low + 0.2)
        assert inside.sum() > 50
        spread = np.sqrt((q[inside] * (1 - q[inside])).mean() / inside.sum())
        assert abs(meant[inside].mean() - q[inside].mean()) < 4 * spread
    assert sign_probability(planted_dataset(place, sizes=(5, 1, 1), strength=0)) == pytest.approx(0.5)


def test_what_is_reachable():
    dataset = planted_dataset()
    best = best_reachable(dataset)
    size = np.abs(dataset.labels[dataset.rows("test")])
    assert best["mae_text"] == best["mae_tracks"] == pytest.approx(size.mean())
    assert best["mae_both"] < 0.01
    faint = best_reachable(planted_dataset(strength=1.0))
    assert 0.2 * size.mean() < faint["mae_both"] < size.mean()
    with pytest.raises(DataError, match="was not planted"):
        best_reachable(dataset.keep_features(("visual",)))


def test_it_opens_by_name():
    for name, place in (("planted", "elsewhere"), ("planted-own", "own")):
        found, made = open_dataset(name), planted_dataset(place)
        assert found.provenance == made.provenance
        assert np.array_equal(found.labels, made.labels)
        assert np.array_equal(found.features["visual"].values, made.features["visual"].values)


@pytest.mark.parametrize(
    "wrong",
    [
        {"place": "nowhere"},
        {"sizes": (10, 0, 5)},
        {"words": (1, 4)},
        {"words": (5, 4)},
        {"strength": -1.0},
        {"noise": 0.0},
        {"harmless": 1.0},
    ],
)
def test_impossible_requests_are_refused(wrong):
    with pytest.raises(DataError, match=r"place|cannot make|strength"):
        planted_dataset(**wrong)
