"""Speech for tests: the research recordings beside the checkout; noise where any sound will do."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 16_000
GRID = Path(__file__).resolve().parents[2] / "shared" / "data" / "grid"

Spoken = tuple[NDArray[np.float32], list[tuple[str, float, float]]]


def grid_clip(name: str) -> Spoken:
    """Sound and annotated words of a GRID clip."""
    if not GRID.is_dir():
        pytest.skip(f"research data not present at {GRID}")
    pytest.importorskip("av")
    from modashift.extract.media import read_sound

    rows = [line.split() for line in (GRID / f"{name}.align").read_text().splitlines()]
    words = [(word, int(a) / 25_000, int(b) / 25_000) for a, b, word in rows if word not in ("sil", "sp")]
    return read_sound(GRID / f"{name}.mpg"), words


def joined(parts: Sequence[Spoken]) -> Spoken:
    """Recordings one after the other."""
    words, at = [], 0.0
    for sound, own in parts:
        words += [(word, start + at, end + at) for word, start, end in own]
        at += len(sound) / RATE
    return np.concatenate([sound for sound, _ in parts]), words


def noise(seconds: float, level: float = 0.05, seed: int = 0) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    return (level * generator.standard_normal(round(seconds * RATE))).astype(np.float32)
