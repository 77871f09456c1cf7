"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from modashift.atomic import atomic_file, write_atomic
from modashift.errors import DataError


def test_files_appear_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "x"
    with atomic_file(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"

    def interrupted():
        with atomic_file(path) as file:
            file.write(b"two")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"one"
    assert [p.name for p in path.parent.iterdir()] == ["x"]
    for wrong in (path / "y", tmp_path / "new"):
        with pytest.raises(DataError, match="cannot write"), atomic_file(wrong) as file:
            file.write(b"three")
    assert [p.name for p in tmp_path.iterdir()] == ["new"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_atomic(path, "old")

    def broken(*_):
        raise OSError(28, "disk full")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(DataError, match=r"cannot write .*x.json: disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
