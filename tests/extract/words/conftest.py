"""Speech from the research recordings beside the checkout."""

import pytest

from made_speech import Spoken, grid_clip, joined


@pytest.fixture(scope="session")
def grid() -> Spoken:
    """Three seconds: bin blue at f two now."""
    return grid_clip("bbaf2n")


@pytest.fixture(scope="session")
def two_clips() -> Spoken:
    return joined([grid_clip("bbaf2n"), grid_clip("lbad6n")])
