"""Real recordings: GRID (25 clips of three seconds), two stock videos and a review of CMU-MOSI."""

import math

import numpy as np
import pytest

from conftest import RESEARCH_DATA
from modashift.extract.media import pictures, probe, read_sound

pytestmark = pytest.mark.real


@pytest.fixture
def recordings():
    for folder in ("grid", "clips", "mosi"):
        if not (RESEARCH_DATA / folder).is_dir():
            pytest.skip(f"research data not present at {RESEARCH_DATA / folder}")
    return RESEARCH_DATA


def test_all_grid_clips_decode(recordings):
    paths = sorted((recordings / "grid").glob("*.mpg"))
    assert len(paths) == 25
    for path in paths:
        problems = []
        found = list(pictures(path, max_side=64, problems=problems))
        times = np.array([picture.time for picture in found])
        assert abs(len(found) - 75) <= 1
        assert (np.diff(times) > 0).all()
        assert times[0] == pytest.approx(0, abs=0.02)
        sound = read_sound(path, problems=problems)
        assert len(sound) / 16_000 == pytest.approx(3, abs=0.05)
        assert sound.std() > 0.001
        assert problems == []
        info = probe(path)
        assert (info.width, info.height, info.frame_rate, info.sound_rate) == (360, 288, 25, 44_100)


@pytest.mark.parametrize(
    ("name", "size", "frames"),
    [
        ("clips/single_face.mp4", (640, 360), 72),
        ("clips/WolfgangLanger_Pexels.mp4", (640, 360), 472),
        ("mosi/Oz06ZWiO20M_6.mp4", (480, 360), 225),
    ],
)
def test_mp4(recordings, name, size, frames):
    info = probe(recordings / name)
    assert (info.width, info.height) == size
    problems = []
    times = [picture.time for picture in pictures(recordings / name, max_side=64, problems=problems)]
    assert len(times) == frames
    assert times == pytest.approx([i / info.frame_rate for i in range(frames)], abs=0.002)
    sound = read_sound(recordings / name, problems=problems)
    assert len(sound) / 16_000 == pytest.approx(info.duration, abs=0.1)
    assert problems == []


def test_a_wav_equals_another_reader(recordings):
    from scipy.io import wavfile

    path = recordings / "mosi" / "03bSnISJMiM_1.wav"
    rate, samples = wavfile.read(path)
    assert rate == 16_000
    side = math.sqrt(0.5)
    expected = (samples / 32768.0) @ np.array([side, side]) / (2 * side)
    np.testing.assert_allclose(read_sound(path), expected, atol=1e-6)
