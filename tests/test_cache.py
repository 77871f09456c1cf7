"""The cache holds whole folders or none, whatever happens while it is filled."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from modashift.cache import cache_folder, check_sha256, provide
from modashift.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_environment_names_the_folder(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("MODASHIFT_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "modashift"


def test_filled_once(cache: Path) -> None:
    calls = []

    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("content")

    assert provide("thing", fill) == provide("thing", fill) == cache / "thing"
    assert (cache / "thing" / "file").read_text() == "content"
    assert len(calls) == 1


def test_failure_leaves_nothing(cache: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise DataError("broken")

    with pytest.raises(DataError, match="broken"):
        provide("thing", fill)
    assert not [p for p in cache.iterdir() if p.is_dir()]


def test_two_at_once_fill_once(cache: Path) -> None:
    start, calls = Barrier(4), []

    def fill(folder: Path) -> None:
        calls.append(1)
        (folder / "file").write_text("content")

    def want() -> Path:
        start.wait()
        return provide("thing", fill)

    with ThreadPoolExecutor(4) as pool:
        found = {job.result() for job in [pool.submit(want) for _ in range(4)]}
    assert found == {cache / "thing"}
    assert len(calls) == 1


def test_without_locks_the_first_copy_stays(cache: Path) -> None:
    def slow(folder: Path) -> None:
        (folder / "file").write_text("slow")
        (cache / "thing").mkdir()  # what another process's rename does meanwhile
        (cache / "thing" / "file").write_text("fast")

    assert (provide("thing", slow) / "file").read_text() == "fast"


def test_unwritable_cache_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(DataError, match="MODASHIFT_CACHE"):
        provide("thing", lambda folder: None)


def test_hash(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    check_sha256(tmp_path / "file", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    with pytest.raises(DataError, match="SHA-256 is ba78"):
        check_sha256(tmp_path / "file", "0" * 64)
