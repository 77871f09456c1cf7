"""The whole feature set: against the original, and on recordings that the original fails on."""

import tracemalloc

import numpy as np
import pytest

from modashift.errors import DataError
from modashift.extract.covarep import NAMES, Features, covarep

COLUMN = {name: i for i, name in enumerate(NAMES)}
PULSE_COLUMNS = ["NAQ", "QOQ", "H1H2", "PSP", "MDQ"]
SPECTRAL_COLUMNS = list(NAMES[8:10] + NAMES[11:])


def check(features: Features, seconds: float) -> np.ndarray:
    """What holds for every recording; returns the values."""
    samples = int(np.ceil(seconds * 16_000))
    frames = max((samples - 80) // 160 + 1, 0)
    assert features.values.shape == (frames, 74)
    np.testing.assert_allclose(features.times, 0.005 + 0.01 * np.arange(frames))
    assert features.names == NAMES
    assert not np.isnan(features.values).any()
    slope = np.arange(74) == COLUMN["peakSlope"]
    assert np.isfinite(features.values[:, ~slope]).all()
    assert not np.isposinf(features.values).any()
    assert set(np.unique(features.select(["VUV"]))) <= {0.0, 1.0}
    assert not features.select(["creak"]).any()
    assert features.metadata["creak"] == "unavailable"
    return features.values


@pytest.fixture(scope="module")
def octave(golden):
    return golden, covarep(golden["signal"], 16_000, window="octave")


def test_grid_and_pulse_columns_are_the_originals(octave):
    golden, features = octave
    expected = golden["features"]
    values = check(features, len(golden["signal"]) / 16_000)
    assert values.shape == expected.shape
    for name in ("F0", "VUV", "creak"):
        np.testing.assert_array_equal(values[:, COLUMN[name]], expected[:, COLUMN[name]])
    for name in [*PULSE_COLUMNS, "peakSlope"]:
        i = COLUMN[name]
        np.testing.assert_allclose(values[:, i], expected[:, i], rtol=2e-6, atol=2e-6, err_msg=name)


def test_spectral_columns_agree_with_the_original(octave):
    golden, features = octave
    values, expected = features.values, golden["features"]
    voiced = expected[:, 1] > 0
    for i in range(8, 74):
        name = NAMES[i]
        a, b = values[voiced, i], expected[voiced, i]
        if name.startswith("MCEP"):
            np.testing.assert_allclose(values[:, i], expected[:, i], atol=1e-3, err_msg=name)
        elif name.startswith("HMPDM"):
            least = 0.9 if name == "HMPDM_24" else 0.999
            assert abs(np.mean(np.exp(1j * (a - b)))) >= least, name
        elif name.startswith("HMPDD"):
            inside = np.flatnonzero(voiced)
            used = np.flatnonzero(expected[:, i])
            inside = inside[(inside > used[0]) & (inside < used[-1])]
            assert np.corrcoef(values[inside, i], expected[inside, i])[0, 1] >= 0.99, name
        elif name != "creak":
            assert np.corrcoef(a, b)[0, 1] >= 0.999, name


EDGES = {  # first and last non-zero frame of the columns, as published with the recordings
    "03-01-03-01-01-01-02": {"F0": (5, 354), "VUV": (45, 271), "NAQ": (46, 270), "peakSlope": (2, 357), "Rd": (5, 354)},
    "03-01-04-01-01-01-07": {"F0": (5, 347), "VUV": (106, 313), "NAQ": (107, 312), "Rd": (37, 347)},
    "mosi_03bSnISJMiM_1": {"F0": (5, 327), "VUV": (10, 327), "NAQ": (11, 327), "peakSlope": (2, 330), "Rd": (5, 327)},
}


def test_tracks_begin_and_end_where_the_originals_do(octave):
    golden, features = octave
    for name, (first, last) in EDGES[golden["name"]].items():
        used = np.flatnonzero(features.values[:, COLUMN[name]])
        assert (used[0], used[-1]) == (first, last), name
    assert features.select([f"MCEP_{i}" for i in range(25)]).all()
    np.testing.assert_allclose(features.select([f"HMPDM_{i}" for i in range(5)]), 0, atol=1e-9)


def test_published_segment_means(mosi):
    """Channel 0 with Matlab's window gives the means of the data that published models are trained on."""
    from scipy.io import wavfile

    rate, samples = wavfile.read(mosi / "03bSnISJMiM_1.wav")
    with np.load(mosi / "utterance_covarep.npz") as file:
        row = list(file["ids"]).index("03bSnISJMiM_1")
        published, spread = file["covarep_mean"][row], file["covarep_mean"].std(0)
    mean = covarep(samples, rate).values.mean(0)[:73]
    used = np.setdiff1d(np.arange(73), [COLUMN["creak"], COLUMN["HMPDM_24"]])
    assert (np.abs(mean - published)[used] <= 0.03 * spread[used]).all()
    exact = np.setdiff1d(np.arange(1, 60), [COLUMN["creak"], COLUMN["MCEP_0"]])
    np.testing.assert_allclose(mean[exact], published[exact], atol=1e-4)
    for i, places in ((COLUMN["F0"], 0.01), (COLUMN["MCEP_0"], 0.0005)):  # five significant digits were published
        assert abs(mean[i] - published[i]) <= places


def test_the_block_does_not_change_the_result(golden):
    signal = golden["signal"][12_000:36_000]
    whole, parts = covarep(signal, 16_000), covarep(signal, 16_000, block_seconds=0.37)
    np.testing.assert_allclose(parts.values, whole.values, rtol=1e-9, atol=1e-9)
    assert parts.warnings == whole.warnings


def test_repeated_calls_give_the_same_and_seeds_change_the_random_columns_only(voice):
    first, again, other = (covarep(voice["signal"], 16_000, seed=seed).values for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    changed = {NAMES[i] for i in np.flatnonzero((first != other).any(0))}
    assert "HMPDM_24" in changed
    assert all(name == "HMPDM_24" or name.startswith("HMPDD") for name in changed)


def test_the_waveform_is_left_as_it_was(voice):
    signal = -voice["signal"]
    before = signal.copy()
    assert covarep(signal, 16_000).metadata["polarity"] == -1
    np.testing.assert_array_equal(signal, before)


def test_polarity_does_not_matter(voice):
    one, other = covarep(voice["signal"], 16_000), covarep(-voice["signal"], 16_000)
    np.testing.assert_array_equal(one.values, other.values)
    assert one.metadata["polarity"] == -other.metadata["polarity"] == 1


def test_known_values_of_a_synthetic_voice(voice):
    features = covarep(voice["signal"], 16_000)
    assert not features.warnings
    start, stop = (v / 16_000 for v in voice["range"])
    inside = (features.times > start + 0.1) & (features.times < stop - 0.1)
    outside = (features.times < start - 0.1) | (features.times > stop + 0.1)
    np.testing.assert_allclose(features.values[inside, 0], voice["f0"], atol=1)
    assert features.values[inside, 1].all()
    assert not features.values[outside, 1].any()
    assert features.metadata["closures"] == pytest.approx(len(voice["closures"]), abs=12)


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("seconds", [0.0001, 0.004, 0.005, 0.02, 0.039, 0.04, 0.1, 0.11, 0.15, 0.3, 0.7, 0.9])
def test_short_clips(voice, seconds, compat):
    begin = 9000
    signal = voice["signal"][begin : begin + int(np.ceil(seconds * 16_000))]
    features = covarep(signal, 16_000, compat=compat)
    values = check(features, len(signal) / 16_000)
    assert bool(features.warnings) == (seconds < 0.9)
    if seconds >= 0.3:
        assert (values[:, [COLUMN[n] for n in ("F0", "NAQ", "MDQ", "Rd", "MCEP_0")]] != 0).any(0).all()
    elif seconds < 0.1:
        assert not np.delete(values, COLUMN["peakSlope"], 1).any()
        assert (values[:, COLUMN["peakSlope"]] != 0).any() == (seconds >= 0.04 and (not compat or seconds > 0.05))


@pytest.mark.parametrize("compat", [True, False])
def test_all_zeros(compat):
    features = covarep(np.zeros(20_000), 16_000, compat=compat)
    values = check(features, 1.25)
    f0 = COLUMN["F0"]
    assert not np.delete(values, f0, 1).any()
    # 1 Hz is the original's code for "none"
    assert set(np.unique(values[:, f0])) == ({0.0, 1.0} if compat else {0.0})
    assert any("no voiced frame" in w for w in features.warnings)
    assert any("digital silence" in w for w in features.warnings)


@pytest.mark.parametrize("compat", [True, False])
def test_noise_has_spectral_columns_but_no_pulses(compat):
    noise = 0.1 * np.random.default_rng(2).standard_normal(20_000)
    features = covarep(noise, 16_000, compat=compat)
    values = check(features, 1.25)
    assert not values[:, COLUMN["VUV"]].any()
    assert not features.select(PULSE_COLUMNS).any()
    assert features.warnings == ("no voiced frame: NAQ, QOQ, H1H2, PSP and MDQ are 0",)
    for name in ("MCEP_0", "HMPDM_12", "HMPDD_0", "peakSlope"):
        assert features.select([name])[10:-10].all(), name
    assert features.select(["F0", "Rd"]).any() == compat  # repaired: nothing about a voice that is not there


@pytest.mark.parametrize("compat", [True, False])
def test_clipping_and_offset_keep_the_pitch(voice, compat):
    clean = covarep(voice["signal"], 16_000, compat=compat)
    middle = slice(60, 110)
    for signal in (np.clip(8 * voice["signal"], -1, 1), voice["signal"] + 0.3):
        features = covarep(signal, 16_000, compat=compat)
        check(features, len(signal) / 16_000)
        np.testing.assert_allclose(features.values[middle, 0], clean.values[middle, 0], atol=1)
        assert features.values[middle, 1].all()


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_other_rates(voice, rate):
    from modashift.extract.covarep.waveform import resample

    signal = resample(voice["signal"], 16_000, rate)
    features = covarep(signal, rate)
    check(features, len(voice["signal"]) / 16_000)
    np.testing.assert_allclose(features.values[60:110, 0], voice["f0"], atol=1)
    assert features.metadata["sample_rate"] == rate
    assert bool(features.warnings) == (rate == 8000)
    if rate == 48_000:
        original = covarep(voice["signal"], 16_000)
        for name, close in (("NAQ", 0.01), ("QOQ", 0.03), ("MCEP_0", 0.1), ("Rd", 0.15)):
            one, other = (np.median(f.select([name])[60:110]) for f in (features, original))
            assert one == pytest.approx(other, abs=close), name


def test_the_first_channel_of_integers(voice):
    left = np.round(voice["signal"] * 32767).astype(np.int16)
    stereo = np.stack([left, np.zeros_like(left)], 1)
    np.testing.assert_array_equal(covarep(stereo, 16_000).values, covarep(left / 32768, 16_000).values)


def test_unusable_input_is_refused():
    with pytest.raises(DataError, match="no samples"):
        covarep(np.zeros(0), 16_000)
    with pytest.raises(DataError, match="transpose"):
        covarep(np.zeros((2, 16_000)), 16_000)
    signal = np.zeros(16_000)
    signal[1234] = np.nan
    with pytest.raises(DataError, match="sample 1234"):
        covarep(signal, 16_000)
    with pytest.raises(ValueError, match="sample_rate"):
        covarep(np.zeros(100), 0)
    with pytest.raises(ValueError, match="block_seconds"):
        covarep(np.zeros(100), 16_000, block_seconds=0.0)
    with pytest.raises((ValueError, TypeError), match="window"):
        covarep(np.zeros(100), 16_000, window="hann")


def test_columns_are_selected_by_name(voice):
    features = covarep(voice["signal"][:16_000], 16_000)
    np.testing.assert_array_equal(features.select(["MCEP_1", "F0"]), features.values[:, [12, 0]])
    with pytest.raises(KeyError, match="MCEP_25"):
        features.select(["MCEP_25"])


@pytest.fixture(scope="module")
def pair(voice):
    return covarep(voice["signal"], 16_000), covarep(voice["signal"], 16_000, compat=False)


class TestRepaired:
    """What ``compat=False`` changes."""

    def test_a_voice_is_described_only_where_there_is_one(self, pair):
        original, repaired = pair
        names = ["F0", *PULSE_COLUMNS, "Rd", "Rd_conf"]
        unvoiced = repaired.values[:, 1] == 0
        assert unvoiced.sum() > 50
        assert not repaired.select(names)[unvoiced].any()
        assert original.select(names)[original.values[:, 1] == 0].any()
        assert repaired.select(names)[~unvoiced].all(1).mean() > 0.95

    def test_pitch_is_not_an_average(self, pair):
        _, repaired = pair
        f0 = repaired.values[:, 0]
        np.testing.assert_array_equal(f0, np.round(f0))
        np.testing.assert_array_equal(np.unique(f0[65:105]), [125.0])

    def test_tracks_reach_both_ends(self, pair):
        original, repaired = pair
        for name in ("MCEP_0", "HMPDD_0", "peakSlope"):
            assert repaired.select([name]).all(), name
        assert not original.select(["HMPDD_0"])[[0, -1]].any()

    def test_mel_cepstra_stand_at_their_true_times(self):
        rng = np.random.default_rng(0)
        signal = 0.001 * rng.standard_normal(32_000)
        signal[:12_000] = 0.0  # frames that are left out shift the original's
        signal[24_000:24_400] *= 300
        place = {}
        for compat in (True, False):
            features = covarep(signal, 16_000, compat=compat)
            loudness = features.values[:, 11]
            place[compat] = features.times[np.where(loudness == 0, -np.inf, loudness).argmax()]
        burst = 24_200 / 16_000
        assert abs(place[False] - burst) <= 0.02
        assert abs(place[True] - burst) > 0.1

    def test_closures_after_a_pause_take_the_period_that_follows(self):
        from modashift.extract.covarep.source import pulse_periods

        instants = np.array([100, 200, 310, 5000, 5120, 20_000])
        kept, periods = pulse_periods(instants)
        np.testing.assert_array_equal(kept, instants)
        np.testing.assert_array_equal(periods, [100, 100, 110, 4690, 120, 14_880])
        kept, periods = pulse_periods(instants, compat=False)
        np.testing.assert_array_equal(kept, instants[:-1])
        np.testing.assert_array_equal(periods, [100, 100, 110, 120, 120])
        for few in (instants[:0], instants[:1]):
            assert not len(pulse_periods(few)[0])

    def test_tone_at_an_octave_border_is_one_octave(self):
        """Frames that disagree are not averaged."""
        from modashift.extract.covarep.columns import _nearest_pitch
        from modashift.extract.covarep.pitch import Pitch

        track = Pitch(
            np.array([100.0, 200.0, 90.0, 80.0]), np.array([0.2, 0.1, 0.3, 0.01]), np.array([True, True, True, False])
        )
        grid = 720.0 + 160 * np.arange(-7, 8)
        f0, voiced = _nearest_pitch(track, grid)
        np.testing.assert_array_equal(f0[:, 0], [0, 0, 0, *[100] * 6, 90, 90, 0, 0, 0, 0])
        np.testing.assert_array_equal(voiced, f0 > 0)


def test_the_level_matters_to_the_mel_cepstra_only(voice):
    loud, quiet = (covarep(level * voice["signal"], 16_000).values for level in (1.0, 0.01))
    np.testing.assert_allclose(quiet[:, :8], loud[:, :8], atol=1e-6)
    np.testing.assert_allclose(quiet[:, 36:60], loud[:, 36:60], atol=1e-6)
    np.testing.assert_allclose(quiet[50:120, 11] - loud[50:120, 11], np.log(0.01), atol=0.05)


def test_memory_grows_by_a_few_signals_only(voice):
    """What a longer recording adds is at most four signals of its length and the features."""
    peak = {}
    for seconds in (2, 2, 6):  # the first call fills caches
        signal = np.resize(voice["signal"], seconds * 16_000)
        tracemalloc.start()
        covarep(signal, 16_000, block_seconds=0.5)
        peak[seconds] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (peak[6] - peak[2]) / (4 * 16_000) <= 4.5 * 8


def test_digital_silence_anywhere(golden):
    """Cut, gated and attenuated recordings; warnings are errors under pytest."""
    rng = np.random.default_rng(0)
    for attempt in range(4):
        signal = golden["signal"][16_000:34_000].copy()
        for start in rng.integers(0, len(signal), 4):
            signal[start : start + 3000] *= rng.choice([0, 1e-9, 1e-20])
        compat = attempt % 2 == 0
        values = check(covarep(signal, 16_000, compat=compat), len(signal) / 16_000)
        assert compat or np.isfinite(values).all()
