"""The run folder: atomic files, and what it refuses."""

import os

import pytest

from modashift.errors import ModashiftError
from modashift.train.runs import RunFolder, write_atomic


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_atomic(path, "old")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_between_the_first_two_files_can_be_resumed(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.create({"name": "bert"}, resume=False)
    (run.path / "environment.json").unlink()
    (run.path / ".state.pt.abc").write_text("half")
    run.create({"name": "bert"}, resume=True)
    assert (run.path / "environment.json").is_file()
    assert not (run.path / ".state.pt.abc").exists()


def test_an_empty_folder_is_a_new_run_and_another_folder_is_none(tmp_path):
    (tmp_path / "empty").mkdir()
    RunFolder(tmp_path / "empty").create({"name": "bert"}, resume=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ModashiftError, match="--resume"):
        RunFolder(tmp_path / "other").create({"name": "bert"}, resume=False)
    with pytest.raises(ModashiftError, match="no run folder"):
        RunFolder(tmp_path / "other").create({"name": "bert"}, resume=True)
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


def test_lines_the_state_does_not_know_are_dropped(tmp_path):
    run = RunFolder(tmp_path)
    for epoch in range(3):
        run.append(run.metrics, {"epoch": epoch})
    run.truncate(run.metrics, 2)
    assert run.metrics.read_text() == '{"epoch": 0}\n{"epoch": 1}\n'
    run.truncate(run.timing, 0)
