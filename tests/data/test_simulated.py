"""The simulated tracks: what they promise, and the optimum against enumeration and chance."""

from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest

from modashift.data.dataset import Dataset
from modashift.data.simulated import (
    COLUMNS,
    EVENTS,
    SimulationOptions,
    best_reachable,
    sarcasm_probability,
    simulate_tracks,
)
from modashift.data.synthetic import synthetic_dataset
from modashift.errors import DataError

CLEAR = SimulationOptions(strength=50, noise=0.1, spread=0.0)


@pytest.fixture(scope="module")
def plain() -> Dataset:
    return synthetic_dataset(1500, seed=1, tracks=None, words=(1, 9))


@pytest.fixture(scope="module")
def sarcastic(plain: Dataset) -> Dataset:
    return simulate_tracks(plain, seed=3)


def turned(before: Dataset, after: Dataset) -> np.ndarray:
    """Rows whose label was turned; of neutral sentences nobody can tell."""
    return (before.labels == -after.labels) & (before.labels != 0)


def test_contract(plain: Dataset, sarcastic: Dataset) -> None:
    assert np.array_equal(np.abs(plain.labels), np.abs(sarcastic.labels))
    assert not np.signbit(sarcastic.labels[sarcastic.labels == 0]).any()
    assert sarcastic.sizes() == {"visual": 8, "acoustic": 8}
    for name, feature in sarcastic.features.items():
        assert feature.alignment == "word"
        assert feature.columns == COLUMNS[name]
        assert feature.values.dtype == np.float32
        assert feature.lengths.tolist() == [len(words) for words in sarcastic.words]
    assert sarcastic.provenance["simulated"] == {"model": "sarcasm-1", "seed": 3, **asdict(SimulationOptions())}


def test_share_of_turned_labels(plain: Dataset, sarcastic: Dataset) -> None:
    able = np.array([len(words) > 1 for words in plain.words]) & (plain.labels != 0)
    share = turned(plain, sarcastic)[able].mean()
    assert share == pytest.approx(0.35, abs=4 * np.sqrt(0.35 * 0.65 / able.sum()))
    assert not turned(plain, sarcastic)[[len(words) < 2 for words in plain.words]].any()


def test_text_does_not_tell(plain: Dataset, sarcastic: Dataset) -> None:
    able = np.array([len(words) > 1 for words in plain.words]) & (plain.labels != 0)
    flags = turned(plain, sarcastic)[able].astype(float)
    for text_property in (plain.labels[able], np.array([len(w) for w in plain.words], float)[able]):
        assert abs(np.corrcoef(flags, text_property)[0, 1]) < 4 / np.sqrt(able.sum())


def test_both_cues_at_different_words_exactly_when_turned(plain: Dataset) -> None:
    clear = simulate_tracks(plain, seed=5, options=CLEAR)
    for row in range(len(clear)):
        places = {}
        for track in ("visual", "acoustic"):
            cue = next(iter(EVENTS[track].values()))
            distance = np.linalg.norm(clear.features[track][row] - CLEAR.strength * cue, axis=1)
            places[track] = np.flatnonzero(distance < 2).tolist()
            assert len(places[track]) <= 1
        both = bool(places["visual"] and places["acoustic"])
        if both:
            assert places["visual"] != places["acoustic"]
        if plain.labels[row] != 0:
            assert both == (plain.labels[row] == -clear.labels[row])


def test_same_seed_same_tracks_and_order_does_not_matter(plain: Dataset, sarcastic: Dataset) -> None:
    again = simulate_tracks(plain, seed=3)
    assert np.array_equal(again.features["visual"].values, sarcastic.features["visual"].values)
    other = simulate_tracks(plain, seed=4)
    assert not np.array_equal(other.labels, sarcastic.labels)
    part = replace(
        plain,
        ids=[plain.ids[7], plain.ids[2]],
        groups=["a", "b"],
        splits=plain.splits[[7, 2]],
        labels=plain.labels[[7, 2]],
        texts=[plain.texts[7], plain.texts[2]],
        words=[plain.words[7], plain.words[2]],
    )
    simulated = simulate_tracks(part, seed=3)
    for new, old in ((0, 7), (1, 2)):
        assert simulated.labels[new] == sarcastic.labels[old]
        assert np.array_equal(simulated.features["acoustic"][new], sarcastic.features["acoustic"][old])


def enumerated(visual: np.ndarray, acoustic: np.ndarray, options: SimulationOptions) -> float:
    """Posterior of sarcasm by summing over every assignment of events to steps, and over a fine grid of gains."""
    steps = len(visual)
    logs_of_gain = np.linspace(-6, 6, 1501) * options.spread
    density = np.exp(-((logs_of_gain / options.spread) ** 2) / 2)
    density /= density.sum()

    def likelihoods(track: str, values: np.ndarray) -> tuple[float, list[float]]:
        table = [np.zeros(8), *list(EVENTS[track].values())[1:], next(iter(EVENTS[track].values()))]
        absent, at = 0.0, [0.0] * steps
        for assignment in product(range(5), repeat=steps):
            if assignment.count(4) > 1:
                continue
            prior = 1.0
            for event in assignment:
                prior *= {0: 1 - options.distractors, 4: 1.0}.get(event, options.distractors / 3)
            expected = options.strength * np.exp(logs_of_gain)[:, None, None] * np.array([table[e] for e in assignment])
            squares = ((values - expected) ** 2).sum((1, 2)) / options.noise**2
            total = prior * float(density @ np.exp(-squares / 2))
            if 4 in assignment:
                at[assignment.index(4)] += total
            else:
                absent += total
        return absent, at

    v0, v = likelihoods("visual", visual)
    a0, a = likelihoods("acoustic", acoustic)
    pairs = [v[i] * a[j] for i in range(steps) for j in range(steps) if i != j]
    neither = 1 - options.flip - 2 * options.alone
    both = options.flip * sum(pairs) / len(pairs)
    alone = options.alone * (sum(v) / steps * a0 + sum(a) / steps * v0)
    return both / (both + alone + neither * v0 * a0)


def test_posterior_equals_enumeration() -> None:
    options = SimulationOptions(strength=2.0)  # weak cues, so that the posterior is not just 0 or 1
    dataset = simulate_tracks(synthetic_dataset(12, seed=2, words=(2, 3), tracks=None), 1, options)
    found = sarcasm_probability(dataset)["both"]
    expected = [
        enumerated(dataset.features["visual"][row], dataset.features["acoustic"][row], options) for row in range(12)
    ]
    assert found == pytest.approx(np.array(expected), abs=1e-4)
    assert 0.1 < np.mean(expected) < 0.6


def test_posterior_is_calibrated(plain: Dataset, sarcastic: Dataset) -> None:
    able = plain.labels != 0
    truth = turned(plain, sarcastic)[able]
    for name, probability in sarcasm_probability(sarcastic).items():
        q = probability[able]
        for low, high in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1)):
            inside = (q >= low) & (q <= high)
            if inside.sum() > 20:
                spread = np.sqrt((q[inside] * (1 - q[inside])).sum()) / inside.sum()
                assert truth[inside].mean() == pytest.approx(q[inside].mean(), abs=4 * spread + 1e-3), name


def test_best_reachable_is_ordered(plain: Dataset, sarcastic: Dataset) -> None:
    best = best_reachable(sarcastic, None)
    assert best["mae_both"] < 0.3 * best["mae_text"]
    for track in ("visual", "acoustic"):
        assert best["mae_both"] < best[f"mae_{track}"] < best["mae_text"]
    assert best["mae_text"] < best["mae_text_mean"]
    assert best["mae_text"] == pytest.approx(np.abs(plain.labels - sarcastic.labels).mean())
    shrunk = 0.3 * plain.labels  # (1 - 2 · 0.35) · r
    assert best["mae_text_mean"] == pytest.approx(np.abs(shrunk - sarcastic.labels).mean())


def test_clear_tracks_leave_no_error(plain: Dataset) -> None:
    best = best_reachable(simulate_tracks(plain, 0, CLEAR), None)
    assert best["mae_both"] == best["errors_both"] == 0


def test_invisible_tracks_leave_the_text(plain: Dataset) -> None:
    best = best_reachable(simulate_tracks(plain, 0, SimulationOptions(strength=0)), None)
    assert best["mae_both"] == best["mae_visual"] == best["mae_text"]


def test_unlabelled_and_empty_utterances_pass_through() -> None:
    plain = synthetic_dataset(30, tracks=None)
    gaps = replace(
        plain,
        labels=np.where(np.arange(30) % 2, np.nan, plain.labels),
        words=[() if i == 0 else words for i, words in enumerate(plain.words)],
    )
    dataset = simulate_tracks(gaps)
    assert len(dataset.features["visual"][0]) == 0
    assert np.isnan(dataset.labels[1])
    assert np.isfinite(list(best_reachable(dataset, None).values())).all()


def test_misuse_is_explained(plain: Dataset, sarcastic: Dataset) -> None:
    with pytest.raises(DataError, match="already"):
        simulate_tracks(sarcastic)
    with pytest.raises(DataError, match="simulate_tracks first"):
        best_reachable(plain)
    with pytest.raises(DataError, match="lost its simulated visual"):
        best_reachable(sarcastic.keep_features(["acoustic"]))
    with pytest.raises(DataError, match="no labelled"):
        best_reachable(sarcastic.with_splits(np.full(len(sarcastic), "train")))
    changed = {**sarcastic.provenance["simulated"], "model": "another"}
    with pytest.raises(DataError, match="another model"):
        best_reachable(replace(sarcastic, provenance={"simulated": changed}))


@pytest.mark.parametrize(
    "wrong", [{"flip": 0.5, "alone": 0.3}, {"flip": 1.0, "alone": 0.0}, {"distractors": 1.0}, {"noise": 0.0}]
)
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SimulationOptions(**wrong)
