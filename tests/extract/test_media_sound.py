"""Sound of made recordings against the signal that went in."""

import math
import wave

import numpy as np
import pytest

from made_media import click, greys, make, tone
from modashift.extract.covarep.waveform import resample
from modashift.extract.media import MediaError, probe, read_sound, sound_blocks
from modashift.extract.media.resample import Resampler
from modashift.extract.media.timeline import Timeline

RATE = 16_000


def instant(signal, rate=RATE):
    """Seconds of a click: the centre of its fourth power."""
    weight = np.abs(signal.astype(float)) ** 4
    return float((np.arange(len(signal)) * weight).sum() / weight.sum() / rate)


def loudness(signal, hertz, rate=RATE):
    """Amplitude of one frequency."""
    turn = np.exp(-2j * np.pi * hertz * np.arange(len(signal)) / rate)
    return float(2 * np.abs((signal * turn).mean()))


def test_one_channel_at_the_rate_is_passed_on_to_the_bit(tmp_path):
    whole = np.random.default_rng(0).integers(-(2**15), 2**15, 40_001)
    path = make(tmp_path / "a.wav", sound=(whole / 2**15).astype(np.float32)[:, None])
    problems = []
    found = read_sound(path, problems=problems)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, (whole / 2**15).astype(np.float32))
    assert problems == []


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s32le", "pcm_u8", "pcm_f32le", "pcm_f64le"])
def test_integers_and_floats_have_one_full_scale(tmp_path, codec):
    path = make(tmp_path / "a.wav", sound=tone(0.5, RATE), sound_codec=codec)
    step = 2**-8 if codec == "pcm_u8" else 2**-16
    np.testing.assert_allclose(read_sound(path), tone(0.5, RATE)[:, 0], atol=1.01 * step)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_a_tone_at_another_rate_is_the_tone(tmp_path, rate):
    path = make(tmp_path / "a.wav", sound=tone(1.0, rate), rate=rate, sound_codec="pcm_f32le")
    found = read_sound(path)
    assert len(found) == math.ceil(len(tone(1.0, rate)) * RATE / rate)
    inner = slice(400, -400)
    np.testing.assert_allclose(found[inner], tone(1.0, RATE)[: len(found), 0][inner], atol=1e-3)
    assert len(read_sound(path, 8_000)) == 8_000


@pytest.mark.parametrize(
    ("name", "codec", "rate", "delay"),
    [
        ("a.wav", "pcm_s16le", 44_100, 0),
        ("a.flac", "flac", 44_100, 0),
        ("a.mp3", "libmp3lame", 44_100, 0),
        ("a.m4a", "aac", 44_100, 0),
        ("a.mkv", "aac", 44_100, 0),
        ("a.mov", "alac", 48_000, 0),
        ("a.ogg", "libopus", 48_000, 0),
        ("a.webm", "libopus", 48_000, 0),
        ("a.mkv", "ac3", 48_000, 0),
        ("a.aac", "aac", 44_100, 1024),  # these containers do not tell what the codec put before the sound
        ("a.ts", "aac", 44_100, 1024),
        ("a.mpg", "mp2", 44_100, 481),
    ],
)
def test_a_click_stays_where_it_was(tmp_path, name, codec, rate, delay):
    path = make(tmp_path / name, sound=click(2, 1.25, rate), rate=rate, sound_codec=codec)
    found = read_sound(path)
    assert instant(found) == pytest.approx(1.25 + delay / rate, abs=1.5 / RATE)
    assert found.max() == pytest.approx(0.8, abs=0.05)


def test_stereo_is_the_mean_and_five_channels_weigh_the_centre_most(tmp_path):
    left, right = tone(1, RATE, 300)[:, 0], tone(1, RATE, 700)[:, 0]
    found = read_sound(make(tmp_path / "s.wav", sound=np.stack([left, right], 1), sound_codec="pcm_f32le"))
    np.testing.assert_allclose(found, (left + right) / 2, atol=1e-6)
    hertz = [300, 700, 500, 50, 900, 1100]  # front left and right, centre, low frequencies, surround
    five = np.stack([tone(1, RATE, f)[:, 0] for f in hertz], 1)
    found = read_sound(make(tmp_path / "f.wav", sound=five, sound_codec="pcm_f32le"))
    side, total = math.sqrt(0.5), 2 * math.sqrt(0.5) + 1 + 2 * 0.5
    expected = [0.5 * weight / total for weight in (side, side, 1, 0, 0.5, 0.5)]
    assert [loudness(found, f) for f in hertz] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "flac"), ("a.wav", "pcm_s16le"), ("a.m4a", "aac")])
def test_eight_channels(tmp_path, name, codec):
    """PyAV crashes on the planes of these."""
    hertz = [300, 700, 500, 50, 900, 1100, 1300, 1500]
    eight = np.stack([tone(2, 48_000, f)[:, 0] for f in hertz], 1)
    found = read_sound(make(tmp_path / name, sound=eight, rate=48_000, sound_codec=codec))[8_000:24_000]
    side, total = math.sqrt(0.5), 2 * math.sqrt(0.5) + 1 + 4 * 0.5
    expected = [0.5 * weight / total for weight in (side, side, 1, 0, 0.5, 0.5, 0.5, 0.5)]
    assert [loudness(found, f) for f in hertz] == pytest.approx(expected, abs=0.01 if codec == "aac" else 1e-4)


def test_sound_that_starts_later_is_preceded_by_silence(tmp_path):
    for name in ("a.mkv", "a.mov"):
        path = make(tmp_path / name, sound=click(1, 0.5, RATE), sound_start=0.4, images=greys(40), video_codec="mpeg4")
        problems = []
        found = read_sound(path, problems=problems)
        assert instant(found) == pytest.approx(0.9, abs=1.5 / RATE)
        assert not found[: round(0.39 * RATE)].any()
        assert len(found) == pytest.approx(1.4 * RATE, abs=2)
        assert probe(path).sound_start == pytest.approx(0.4, abs=0.001)
        assert problems == []


def test_gaps_become_silence_and_are_told(tmp_path):
    sound = tone(1.0, RATE)[: 15 * 1024]
    path = make(tmp_path / "a.mkv", sound=sound, sound_gap=(5 * 1024, 0.5))
    problems = []
    found = read_sound(path, problems=problems)
    gap = slice(5 * 1024, 5 * 1024 + RATE // 2)
    assert not found[gap].any()
    np.testing.assert_allclose(np.delete(found, np.arange(len(found))[gap]), sound[:, 0], atol=1e-4)
    assert [problem.reason for problem in problems] == ["gaps"]
    assert "0.500 s" in problems[0].message


def test_overlaps_are_dropped(tmp_path):
    sound = np.linspace(0, 0.9, 15 * 1024, dtype=np.float32)[:, None]
    path = make(tmp_path / "a.nut", sound=sound, sound_gap=(5 * 1024, -0.04))
    problems = []
    found = read_sound(path, problems=problems)
    lost = round(0.04 * RATE)
    expected = np.concatenate([sound[: 5 * 1024, 0], sound[5 * 1024 + lost :, 0]])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert [problem.reason for problem in problems] == ["timestamps"]


def test_blocks_are_the_whole_and_of_the_length_asked_for(tmp_path):
    path = make(tmp_path / "a.wav", sound=tone(3.3, 44_100), rate=44_100)
    blocks = list(sound_blocks(path, 16_000, 0.5))
    assert {len(block) for block in blocks[:-1]} == {8_000}
    np.testing.assert_array_equal(np.concatenate(blocks), read_sound(path))


def test_the_limit_of_length_cuts_and_says_so(tmp_path):
    path = make(tmp_path / "a.wav", sound=tone(3, RATE))
    problems = []
    found = read_sound(path, longest=1.5, problems=problems)
    assert len(found) == 1.5 * RATE
    assert [problem.reason for problem in problems] == ["too-long"]
    assert len(read_sound(path, longest=3.0, problems=problems)) == 3 * RATE
    assert len(problems) == 1


def test_blocks_take_the_memory_of_a_block(tmp_path):
    import tracemalloc

    path = make(tmp_path / "a.wav", sound=np.zeros((16_000 * 120, 1), np.float32))
    tracemalloc.start()
    total = sum(len(block) for block in sound_blocks(path, 16_000, 1.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 16_000 * 120
    assert peak < 2_000_000  # all of it would be 7.7 MB


def test_silence_is_sound(tmp_path):
    found = read_sound(make(tmp_path / "a.flac", sound=np.zeros((RATE, 1), np.float32), sound_codec="flac"))
    assert len(found) == RATE
    assert not found.any()


def test_samples_that_are_not_numbers_become_silence_and_are_told(tmp_path):
    sound = tone(1.0, RATE)
    sound[5000], sound[9000], sound[9001] = np.nan, np.inf, 1e30
    path = make(tmp_path / "a.wav", sound=sound, sound_codec="pcm_f32le")
    problems = []
    found = read_sound(path, problems=problems)
    sound[[5000, 9000, 9001]] = 0
    np.testing.assert_array_equal(found, sound[:, 0])
    assert [problem.reason for problem in problems] == ["damaged"]


def test_no_sound_is_a_clear_error(tmp_path):
    with pytest.raises(MediaError, match="it has no sound") as caught:
        read_sound(make(tmp_path / "a.mp4", images=greys(3)))
    assert caught.value.reason == "no-sound"
    empty = tmp_path / "a.wav"
    with wave.open(str(empty), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
    with pytest.raises(MediaError, match="stream is empty") as caught:
        read_sound(empty)
    assert caught.value.reason == "no-sound"
    with pytest.raises(ValueError, match="rate 0"):
        read_sound(empty, 0)


@pytest.mark.parametrize("rate", [8_000, 12_345, 22_050, 44_100, 48_000, 96_000, 16_000])
def test_resampling_in_pieces_equals_resampling_the_whole(rate):
    rng = np.random.default_rng(rate)
    signal = rng.normal(0, 0.2, round(1.7 * rate)).astype(np.float32)
    resampler, parts, first = Resampler(rate, RATE), [], 0
    while first < len(signal):
        size = int(rng.integers(1, 4000))
        parts += resampler.feed(signal[first : first + size])
        first += size
    found = np.concatenate([*parts, resampler.finish()])
    np.testing.assert_allclose(found, resample(signal.astype(float), rate, RATE), atol=1e-6)


def test_unusual_ratios_are_taken_as_the_nearest_small_one():
    resampler = Resampler(44_099, RATE)
    assert (resampler.up, resampler.down) == (RATE, 44_099)
    resampler = Resampler(700_001, RATE)
    assert max(resampler.up, resampler.down) <= 1 << 16
    assert resampler.up / resampler.down == pytest.approx(RATE / 700_001, rel=1e-5)
    assert len(resampler.feed(np.zeros(100, np.float32))) == 0
    assert len(resampler.finish()) == 3


def test_times_are_believed_within_the_duration_claimed():
    timeline = Timeline(origin=100.0, claimed=50.0, longest_gap=600.0)
    assert timeline.place(100.0, 0.0) == 0.0
    assert timeline.place(130.0, 1.0) == 30.0
    assert timeline.place(None, 31.0) == 31.0
    assert timeline.jumps == 0
    assert timeline.place(9_000.0, 32.0) == 32.0  # a bad bit, or a counter started anew
    assert timeline.place(9_001.0, 33.0) == 33.0
    assert timeline.jumps == 1
    assert timeline.place(133.0, 34.0) == 34.0
    assert timeline.jumps == 2
    long = Timeline(origin=0.0, claimed=1e6, longest_gap=600.0)  # the header may be as wrong as the timestamp
    assert long.place(9e5, 0.0) == 0.0
    open_end = Timeline(origin=0.0, claimed=None, longest_gap=600.0)
    assert open_end.place(500.0, 1.0) == 500.0
    assert open_end.place(1e6, 501.0) == 501.0
