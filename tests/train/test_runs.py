"""The run folder: what it keeps and what it refuses."""

import pytest

from modashift.errors import ModashiftError
from modashift.train.runs import RunFolder


def test_a_kill_between_the_first_two_files_can_be_resumed(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.create({"name": "bert"}, resume=False)
    (run.path / "environment.json").unlink()
    (run.path / ".state.pt.abc").write_text("half")
    run.create({"name": "bert"}, resume=True)
    assert (run.path / "environment.json").is_file()
    assert not (run.path / ".state.pt.abc").exists()


def test_a_run_that_failed_before_its_model_was_built_can_be_started_again(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.create({"name": "bert", "data": "typo.pkl"}, resume=False)
    run.create({"name": "bert", "data": "right.pkl"}, resume=False)
    assert "right.pkl" in run.config.read_text()
    (run.path / "config.json").write_text("{}")
    with pytest.raises(ModashiftError, match="--resume"):
        run.create({"name": "bert", "data": "right.pkl"}, resume=False)


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
