"""Simulated visual and acoustic tracks that can turn the words' meaning round, for any data set of sentences.

**Nothing here was recorded.** The words and their ratings are those of the given data set; the tracks are drawn from
the model below. Its use: whether a network combines cues from different moments can be measured against an optimum
that is known exactly, which no recording offers.

The model, for each utterance of T words on its own:

1. One of four states is drawn: *sarcasm* (probability ``flip``), a visual cue alone, an acoustic cue alone (``alone``
   each), or neither. Sarcasm multiplies the label by -1; the other states leave it. An utterance of fewer than two
   words cannot be sarcastic; its states are the other three, in the same proportions.
2. The visual cue is an eye-roll, the acoustic cue a sing-song voice. A cue occurs at one word, any with equal
   probability; under sarcasm the two are never at the same word. Hence no single step, and neither track alone, shows
   sarcasm: only the two together, somewhere in the utterance.
3. At every step that holds no cue, one of the track's three harmless events occurs with probability ``distractors``.
   Events share columns with the cues (a glance up, a blink; an emphasis, a hesitation), so no single column tells.
4. A step is ``gain · strength · event + noise · N(0, I)``. The event is a unit vector of `EVENTS`, or zero; the gain,
   one for each utterance and track, is exp(N(0, spread²)): some people show little, some much.

The state is independent of the text, so words alone cannot know it: see `best_reachable`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset, Feature
from modashift.errors import DataError

__all__ = ["COLUMNS", "EVENTS", "SimulationOptions", "best_reachable", "sarcasm_probability", "simulate_tracks"]

Floats = NDArray[np.float64]
TRACKS = ("visual", "acoustic")
COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "visual": ("gaze_up", "lid_droop", "brow_raise", "smile", "mouth_open", "head_turn", "head_nod", "squint"),
        "acoustic": ("pitch", "pitch_range", "loudness", "rate", "pause", "breathiness", "creak", "tilt"),
    }
)
# By track, the cue first, then the harmless events; columns as in COLUMNS, scaled to unit length below.
_SHAPES = {
    "visual": {
        "eye_roll": (0.7, 0.6, 0.2, 0.0, 0.0, 0.3, 0.0, 0.0),
        "glance_up": (0.8, 0.0, 0.4, 0.0, 0.0, 0.4, 0.0, 0.0),
        "blink": (0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.4),
        "smile": (0.0, 0.0, 0.1, 0.9, 0.3, 0.0, 0.3, 0.2),
    },
    "acoustic": {
        "sing_song": (0.2, 0.8, 0.0, -0.5, 0.0, 0.0, 0.0, 0.3),
        "emphasis": (0.6, 0.3, 0.7, 0.0, 0.0, 0.0, 0.0, 0.3),
        "hesitation": (0.0, 0.0, -0.3, -0.7, 0.6, 0.0, 0.2, 0.0),
        "laugh": (0.4, 0.5, 0.3, 0.2, 0.0, 0.6, 0.0, 0.0),
    },
}
EVENTS: Mapping[str, Mapping[str, Floats]] = MappingProxyType(
    {t: {name: np.array(v) / np.linalg.norm(v) for name, v in shapes.items()} for t, shapes in _SHAPES.items()}
)
"""Unit vectors (8,) of the events, by track and name; the first of each track is its cue."""

SARCASM, VISUAL_ALONE, ACOUSTIC_ALONE, NEITHER = range(4)


@dataclass(frozen=True)
class SimulationOptions:
    """Parameters of the model.

    Attributes:
        flip: probability that an utterance is sarcastic.
        alone: probability of a visual cue without an acoustic one, and the other way round. By default nearly as high
            as `flip`, so that either track alone leaves sarcasm close to even odds.
        distractors: probability of a harmless event at a step without a cue.
        strength: length of an event's vector at gain 1.
        spread: standard deviation of the logarithm of the gain.
        noise: standard deviation of the noise in each column.
    """

    flip: float = 0.35
    alone: float = 0.3
    distractors: float = 0.15
    strength: float = 6.0
    spread: float = 0.25
    noise: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.flip <= 1 and 0 <= self.alone <= 1 and self.flip + 2 * self.alone <= 1 + 1e-9):
            raise ValueError(f"flip + 2 · alone must be at most 1, got {self.flip} + 2 · {self.alone}")
        if self.flip == 1:
            raise ValueError("flip must be below 1, or utterances of one word have no state to be in")
        if not 0 <= self.distractors < 1:
            raise ValueError(f"distractors must be a probability below 1, got {self.distractors}")
        if self.strength < 0 or self.spread < 0 or self.noise <= 0:
            raise ValueError("strength and spread must not be negative, and noise must be positive")

    def prior(self, steps: int) -> Floats:
        """(4,) probabilities of the states for an utterance of that many words."""
        p = np.array([self.flip, self.alone, self.alone, max(0.0, 1 - self.flip - 2 * self.alone)])
        if steps < 2:
            p[SARCASM] = 0
        return np.asarray(p / p.sum(), dtype=np.float64)


def simulate_tracks(dataset: Dataset, seed: int = 0, options: SimulationOptions | None = None) -> Dataset:
    """The same sentences with simulated tracks, and labels that the tracks may have turned round.

    What an utterance gets depends on the seed, its id and its number of words only, so a part of a data set, or one in
    another order, gets the same.

    Args:
        dataset: any data set with words; features it has under the names ``visual`` and ``acoustic`` are replaced.
        seed: of everything that is drawn.
        options: the model's parameters; `SimulationOptions()` where not given.

    Returns:
        Labels times -1 where sarcastic; ``visual`` and ``acoustic`` of width 8, one step a word, columns as in
        `COLUMNS`, values without unit. The provenance names the model, the seed and the options.

    Raises:
        DataError: the data set has been through here before: turning labels twice would hide which were turned.
    """
    if "simulated" in dataset.provenance:
        raise DataError(f"{dataset.name} already carries simulated tracks; start from the data set without them")
    options = options or SimulationOptions()
    sequences: dict[str, list[Floats]] = {track: [] for track in TRACKS}
    signs = np.ones(len(dataset))
    for row in range(len(dataset)):
        rng, state = _draw_state(dataset, row, seed, options)
        signs[row] = -1 if state == SARCASM else 1
        for track, values in _draw_tracks(rng, len(dataset.words[row]), state, options).items():
            sequences[track].append(values)
    made = {
        t: replace(Feature.pack(sequences[t], len(COLUMNS[t])), alignment="word", columns=COLUMNS[t]) for t in TRACKS
    }
    return replace(
        dataset,
        name=f"{dataset.name}-simulated",
        labels=dataset.labels * signs + 0.0,  # + 0.0: a neutral label stays 0, not -0
        features={**dataset.features, **made},
        provenance={**dataset.provenance, "simulated": {"model": "sarcasm-1", "seed": seed, **asdict(options)}},
    )


def sarcasm_probability(dataset: Dataset) -> dict[str, Floats]:
    """Exact posterior probability of sarcasm under the model that drew the tracks.

    The harmless events and the place of a cue are summed out in closed form, the gains by Gauss-Hermite quadrature.

    Returns:
        By what is seen, (n,) probabilities: ``both`` tracks, ``visual`` alone, ``acoustic`` alone, ``none`` of them.

    Raises:
        DataError: the data set does not come from `simulate_tracks`, or has lost its tracks.
    """
    _, options = _provenance(dataset)
    missing = [track for track in TRACKS if track not in dataset.features]
    if missing:
        raise DataError(f"{dataset.name} has lost its simulated {' and '.join(missing)} track")
    result = {name: np.zeros(len(dataset)) for name in ("both", *TRACKS, "none")}
    for row in range(len(dataset)):
        v, a = (_cue_evidence(track, dataset.features[track][row].astype(np.float64), options) for track in TRACKS)
        steps = len(v)
        prior = options.prior(steps)
        one_v, one_a = (float(np.mean(e)) if steps else 1.0 for e in (v, a))
        places = np.outer(v, a)
        np.fill_diagonal(places, 0)  # the two cues are never at the same word
        pair = float(places.sum()) / (steps * (steps - 1)) if steps > 1 else 0.0
        for name, evidence in {
            "both": (pair, one_v, one_a, 1.0),
            "visual": (one_v, one_v, 1.0, 1.0),
            "acoustic": (one_a, 1.0, one_a, 1.0),
            "none": (1.0, 1.0, 1.0, 1.0),
        }.items():
            joint = prior * np.array(evidence)
            result[name][row] = joint[SARCASM] / joint.sum()
    return result


def best_reachable(dataset: Dataset, split: str | None = "test") -> dict[str, float]:
    """What the best possible predictors reach on simulated tracks, all given the true rating of the words.

    A predictor that knows the words' rating r and believes in sarcasm with probability q has two candidates, r and -r.
    Least absolute error asks for the likelier one; an error then costs 2|r|.

    Args:
        dataset: as `simulate_tracks` returned it, or a part of it.
        split: rows to judge; None for all.

    Returns:
        ``mae_both``, ``mae_visual``, ``mae_acoustic`` and ``mae_text``: mean absolute error, in label units, of the
        ideal predictor that sees the words and, after the underscore, which tracks. ``mae_text_mean``: that of
        (1 - 2·flip) · r, the best text-only predictor in the sense of squared error. ``errors_both``: share of
        utterances whose sarcasm the ideal detector gets wrong. ``sarcastic``: share that is. All but the shares leave
        out unlabelled utterances.

    Raises:
        DataError: no simulated tracks, or no labelled utterance in the split.
    """
    seed, options = _provenance(dataset)
    rows = np.arange(len(dataset)) if split is None else dataset.rows(split)
    part = dataset.take(rows)
    probability = sarcasm_probability(part)
    states = np.array([_draw_state(part, row, seed, options)[1] for row in range(len(part))])
    sarcastic = states == SARCASM
    known = ~np.isnan(part.labels)
    if not known.any():
        raise DataError(f"{dataset.name} has no labelled utterance in split {split!r}")
    size = np.abs(part.labels[known])  # |r| = |label|: turning the sign does not change it

    def mae(q: Floats) -> float:
        return float(np.mean(2 * size * ((q > 0.5) != sarcastic)[known]))

    shrink = 1 - 2 * options.flip
    truth = np.where(sarcastic, -1.0, 1.0)[known]
    return {
        "mae_both": mae(probability["both"]),
        "mae_visual": mae(probability["visual"]),
        "mae_acoustic": mae(probability["acoustic"]),
        "mae_text": mae(probability["none"]),
        "mae_text_mean": float(np.mean(size * np.abs(truth - shrink))),
        "errors_both": float(np.mean((probability["both"] > 0.5) != sarcastic)),
        "sarcastic": float(np.mean(sarcastic)),
    }


def _provenance(dataset: Dataset) -> tuple[int, SimulationOptions]:
    if "simulated" not in dataset.provenance:
        raise DataError(f"{dataset.name} has no simulated tracks; call simulate_tracks first")
    fields = dict(dataset.provenance["simulated"])
    if fields.pop("model") != "sarcasm-1":
        raise DataError(f"{dataset.name} was simulated by another model than this version's")
    seed = int(fields.pop("seed"))
    return seed, SimulationOptions(**fields)


def _draw_state(dataset: Dataset, row: int, seed: int, options: SimulationOptions) -> tuple[np.random.Generator, int]:
    digest = hashlib.sha256(f"{seed}|{dataset.ids[row]}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16], "little"))
    prior = options.prior(len(dataset.words[row]))
    return rng, int(np.searchsorted(np.cumsum(prior), rng.random(), side="right").clip(max=NEITHER))


def _draw_tracks(rng: np.random.Generator, steps: int, state: int, options: SimulationOptions) -> dict[str, Floats]:
    """Two tracks (steps, 8) of an utterance in a given state."""
    places = {"visual": -1, "acoustic": -1}
    if steps:
        first = int(rng.integers(steps))
        if state == SARCASM:
            places = {"visual": first, "acoustic": (first + 1 + int(rng.integers(steps - 1))) % steps}
        elif state != NEITHER:
            places["visual" if state == VISUAL_ALONE else "acoustic"] = first
    tracks = {}
    for track in TRACKS:
        cue, *harmless = EVENTS[track].values()
        table = np.stack([np.zeros_like(cue), *harmless, cue])  # (5, 8)
        event = np.where(rng.random(steps) < options.distractors, rng.integers(1, 1 + len(harmless), steps), 0)
        if places[track] >= 0:
            event[places[track]] = len(table) - 1
        gain = np.exp(options.spread * rng.standard_normal())
        noise = options.noise * rng.standard_normal((steps, len(cue)))
        tracks[track] = gain * options.strength * table[event] + noise
    return tracks


_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)


def _cue_evidence(track: str, values: Floats, options: SimulationOptions) -> Floats:
    """(T,) likelihood of the track with the cue at each step, as a multiple of the likelihood without a cue."""
    if not len(values):
        return np.zeros(0)
    cue, *harmless = EVENTS[track].values()
    table = np.stack([np.zeros_like(cue), *harmless, cue])
    gain = options.strength * np.exp(options.spread * _NODES)  # (K,)
    # log N(x; g·e, σ²I) up to what all events share: (g x·e - g²|e|²/2) / σ²
    along = (values @ table.T)[None] * gain[:, None, None]  # (K, T, 5)
    logs = (along - (gain[:, None] ** 2 * (table**2).sum(1))[:, None] / 2) / options.noise**2
    with np.errstate(divide="ignore"):
        share = np.log([1 - options.distractors] + [options.distractors / len(harmless)] * len(harmless))
    free = np.logaddexp.reduce(logs[..., :-1] + share, axis=-1)  # (K, T): no cue here
    whole = free.sum(1)  # (K,)
    weight = np.log(_WEIGHTS) + whole
    total = np.logaddexp.reduce(weight)
    at = np.logaddexp.reduce(weight[:, None] + logs[..., -1] - free, axis=0)  # (T,)
    # The exponent is bounded so that products of two stay finite; far beyond it the posterior is 0 or 1 anyway.
    return np.asarray(np.exp(np.clip(at - total, -300, 300)), dtype=np.float64)
