"""Hand-made recordings and models trained on them within seconds: no media, no recogniser."""

from collections.abc import Callable
from pathlib import Path

import pytest

from made_talk import make_clip, train_made
from modashift.extract.recording import Clip

HOSTILE = "<script>alert('x')</script>\"&\x1b[31m\u202e"


@pytest.fixture(scope="session")
def clip_of() -> Callable[..., Clip]:
    """`make_clip`, for tests in modules that cannot import it."""
    return make_clip


@pytest.fixture(scope="session")
def hostile() -> str:
    """Text that must never reach a page or a terminal as it is."""
    return HOSTILE


@pytest.fixture(scope="session")
def train_on(tiny_backbone: str) -> Callable[..., Path]:
    """Trains a model on 90 short recordings; returns its run folder."""

    def run(folder: Path, *arguments: object, **more: object) -> Path:
        return train_made(tiny_backbone, folder, *arguments, **more)

    return run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, train_on: Callable[..., Path]) -> Path:
    """Folder of runs: ``cms`` and ``cms2`` (another seed) take face and voice, ``bert`` words alone."""
    folder = tmp_path_factory.mktemp("runs")
    train_on(folder / "cms")
    train_on(folder / "cms2", seed=2)
    train_on(folder / "bert", "bert")
    return folder
