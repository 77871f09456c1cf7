"""Fixtures and settings shared by all tests."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

RESEARCH_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def mosi() -> Path:
    """Folder of the CMU-MOSI research files; the test is skipped where they are absent."""
    folder = RESEARCH_DATA / "mosi"
    if not folder.is_dir():
        pytest.skip(f"research data not present at {folder}")
    return folder
