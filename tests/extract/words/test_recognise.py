"""Recognition: with the packaged model where it has been fetched, and what surrounds it without."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from made_speech import RATE, noise
from modashift.cache import cache_folder
from modashift.data.fetch import WHISPER_MODEL
from modashift.errors import ModashiftError
from modashift.extract.words import recognise
from modashift.spelling import plain_word

module: Any = sys.modules[recognise.__module__]


@pytest.fixture
def whisper() -> None:
    """The packaged model."""
    pytest.importorskip("faster_whisper")
    if not (cache_folder() / f"whisper-{WHISPER_MODEL[:8]}").is_dir():
        pytest.skip("the packaged Whisper is not fetched: modashift data fetch whisper")


class Fake:
    """A recogniser that hears what it is told, at half a second of each piece."""

    def __init__(self, *segments: SimpleNamespace) -> None:
        self.segments = segments
        self.lengths: list[float] = []

    def transcribe(self, sound: np.ndarray, **options: Any) -> tuple[Iterator[SimpleNamespace], None]:
        assert options["condition_on_previous_text"] is False
        self.lengths.append(len(sound) / RATE)
        return iter(self.segments), None


def segment(
    *words: tuple[str, float, float, float], silence: float = 0.1, log: float = -0.3, ratio: float = 1.2
) -> Any:
    rows = [SimpleNamespace(word=w, start=a, end=b, probability=p) for w, a, b, p in words]
    return SimpleNamespace(words=rows, no_speech_prob=silence, avg_logprob=log, compression_ratio=ratio)


@pytest.fixture
def hears(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    pytest.importorskip("ctranslate2")
    (tmp_path / "model.bin").write_bytes(b"")

    def use(*segments: SimpleNamespace) -> Fake:
        fake = Fake(*segments)
        monkeypatch.setattr(module, "_model", lambda folder, threads: fake)
        return fake

    return use


def test_pieces_of_words_are_joined(hears: Any, tmp_path: Path) -> None:
    hears(
        segment(
            (" A", 0.1, 0.2, 0.9),
            (" five", 0.3, 0.5, 0.8),
            ("-year", 0.5, 0.7, 0.4),
            (" plan", 0.7, 1.0, 0.9),
            (" .", 1, 1, 0.5),
        )
    )
    words = recognise(noise(2), tmp_path, refine=False)
    assert [tuple(word) for word in words] == [
        ("A", 0.1, 0.2, 0.9), ("five-year", 0.3, 0.7, 0.4), ("plan.", 0.7, 1.0, 0.5),
    ]  # fmt: skip


@pytest.mark.parametrize("doubt", [{"silence": 0.9, "log": -1.5}, {"ratio": 5.0}])
def test_made_up_segments_are_left_out(hears: Any, tmp_path: Path, doubt: dict[str, float]) -> None:
    hears(segment((" Thanks", 0.1, 0.5, 0.2), **doubt), segment((" so", 1.0, 1.2, 0.9)))
    assert [word.text for word in recognise(noise(2), tmp_path, refine=False)] == ["so"]


def test_times_stay_in_order_and_within_the_sound(hears: Any, tmp_path: Path) -> None:
    hears(segment((" a", 0.5, 1.5, 0.9), (" b", 1.2, 1.4, 0.9), (" c", 1.9, 9.0, 0.9)))
    assert [word[1:3] for word in recognise(noise(2), tmp_path, refine=False)] == [(0.5, 1.5), (1.5, 1.5), (1.9, 2.0)]


def test_long_recordings_are_cut_at_quiet_places(hears: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 4.0)
    monkeypatch.setattr(module, "_SEARCH", 2.0)
    sound = noise(10)
    sound[3 * RATE : round(3.6 * RATE)] = 0
    fake = hears(segment((" a", 0.5, 0.6, 0.9)))
    words = recognise(sound, tmp_path, refine=False)
    assert sum(fake.lengths) == pytest.approx(10)
    assert max(fake.lengths) <= 4
    assert 3.1 <= fake.lengths[0] <= 3.5
    assert [word.start for word in words] == pytest.approx(np.cumsum([0, *fake.lengths[:-1]]) + 0.5)


def test_models_that_are_none(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    with pytest.raises(ModashiftError, match=r"is neither a folder nor a size of Whisper; sizes are tiny\.en"):
        recognise(noise(1), "enormous")
    with pytest.raises(ModashiftError, match=r"it should hold model\.bin"):
        recognise(noise(1), tmp_path)
    (tmp_path / "model.bin").write_bytes(b"broken")
    with pytest.raises(ModashiftError, match="cannot be loaded"):
        recognise(noise(1), tmp_path)


def test_a_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    from faster_whisper import utils

    def unreachable(name: str) -> str:
        raise OSError("Network is unreachable\nand a long story")

    monkeypatch.setattr(utils, "download_model", unreachable)
    with pytest.raises(
        ModashiftError, match=r"'base\.en' cannot be had from the hub \(Network is unreachable\); use 'tiny\.en'"
    ):
        recognise(noise(1), "base.en")


SECONDS = np.arange(6 * RATE) / RATE


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(6 * RATE),
        noise(6),
        noise(6, level=1e-4),
        0.3 * np.sin(2 * np.pi * 440 * SECONDS),
        0.1 * sum(np.sin(2 * np.pi * f * SECONDS) * (1 + np.sin(4 * np.pi * SECONDS)) for f in (262, 330, 392)),
        np.zeros(100),
        np.zeros(0),
    ],
    ids=["silence", "noise", "hiss", "tone", "chord", "short", "none"],
)
def test_no_words_where_nobody_speaks(whisper: None, sound: np.ndarray) -> None:
    assert recognise(sound.astype(np.float32)) == []


def test_words_of_a_recording_and_their_times(whisper: None) -> None:
    recording = Path(__file__).resolve().parents[4] / "shared" / "data" / "mosi" / "Oz06ZWiO20M_6.mp4"
    if not recording.is_file():
        pytest.skip(f"research data not present at {recording}")
    from modashift.extract.media import read_sound

    words = recognise(read_sound(recording))
    plain = [plain_word(word.text) for word in words]
    assert {"really", "ambitious", "interesting", "idiosyncratic"} <= set(plain)
    times = [time for word in words for time in word[1:3]]
    assert times == sorted(times)
    # Said at 6.2 to 7.0 s; Whisper alone is up to 0.1 s off.
    start, end = words[plain.index("idiosyncratic")][1:3]
    assert abs(start - 6.17) < 0.1
    assert abs(end - 7.02) < 0.1
