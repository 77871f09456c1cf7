"""A landmarker, and real faces from the research data."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from modashift.extract.face import Landmarker

RESEARCH_DATA = Path(__file__).resolve().parents[4] / "shared" / "data"

Picture = NDArray[np.uint8]


@pytest.fixture(scope="session")
def landmarker() -> Iterator[Landmarker]:
    pytest.importorskip("mediapipe")
    with Landmarker() as loaded:
        yield loaded


@pytest.fixture(scope="session")
def clip() -> Callable[[str, int], list[Picture]]:
    """The first pictures of a clip of the research data; the test is skipped where it is absent."""
    from modashift.extract.media import pictures

    def read(name: str, count: int) -> list[Picture]:
        path = RESEARCH_DATA / name
        if not path.is_file():
            pytest.skip(f"research data not present at {path}")
        return [picture.rgb for picture, _ in zip(pictures(path), range(count))]

    return read
