"""Reading run folders."""

import json

import numpy as np
import pytest

from made_runs import make_experiment, make_run
from modashift.errors import DataError, ModashiftError
from modashift.evaluate.results import read_results


def test_an_experiment_is_read_by_its_folders(tmp_path):
    rows = {"words only": ("bert", 1.0), "clr": ("cmsbert-clr", 0.8)}
    root = make_experiment(tmp_path / "e", rows, seeds=(1, 2))
    make_run(root / "runs" / "clr,lr=1e-3" / "mosi" / "1", "cmsbert-clr", 1)
    make_run(root / "runs" / "clr" / "mosi" / "3", "cmsbert-clr", 3, finished=False)
    make_run(root / "prepare" / "warm", "bert", 1)
    (root / "failures.jsonl").write_text('{"run": "clr/mosi/4", "error": "no memory"}\n{"run": "cut sho')
    found = read_results([root])
    assert found.title == "Made up"
    assert [(r.row, r.data, r.seed) for r in found.runs] == [
        ("words only", "mosi", 1),
        ("words only", "mosi", 2),
        ("clr", "mosi", 1),
        ("clr", "mosi", 2),
        ("clr,lr=1e-3", "mosi", 1),
    ]
    assert found.unfinished == ["runs/clr/mosi/3"]
    assert found.failures == [{"run": "clr/mosi/4", "error": "no memory"}]
    run = found.runs[0]
    assert run.model == "bert"
    assert len(run.epochs) == 4
    assert run.seconds == [21, 22, 23, 24]
    assert set(run.scores) == {"train", "dev", "test"}
    stored = json.loads((run.path / "results.json").read_text())["splits"]["test"]
    assert np.abs(run.scores["test"].prediction - run.scores["test"].gold).mean() == pytest.approx(stored["mae"])


def test_rows_of_other_folders_are_named_by_folder_or_model(tmp_path):
    make_run(tmp_path / "big-1", "bert", 1)
    make_run(tmp_path / "big_seed2", "bert", 2)
    make_run(tmp_path / "small" / "1", "bert", 1)
    make_run(tmp_path / "mine", "cmsbert", 1)
    found = read_results([tmp_path])
    assert {(r.row, r.seed) for r in found.runs} == {("big", 1), ("big", 2), ("small", 1), ("cmsbert", 1)}
    assert {r.data for r in found.runs} == {"CMU-MOSI"}
    some = read_results([tmp_path / "big-1", tmp_path / "mine"])
    assert some.title == "big-1, mine"
    assert len(some.runs) == 2


def test_rows_of_one_name_are_told_apart_or_refused(tmp_path):
    for above in ("a", "b"):
        make_run(tmp_path / above / "clr-1", "cmsbert-clr", 1)
    assert {r.row for r in read_results([tmp_path]).runs} == {"a/clr", "b/clr"}
    with pytest.raises(ModashiftError, match="the same seed"):
        read_results([tmp_path / "a", tmp_path / "a"])


def test_a_run_that_never_beat_the_floor_is_known(tmp_path):
    make_run(tmp_path / "good-1", "bert", 1)
    make_run(tmp_path / "bad-1", "bert", 1, dev_mse=[5.0, 4.0])
    silent = make_run(tmp_path / "silent-1", "bert", 1)
    (silent / "metrics.jsonl").unlink()
    assert {r.row: r.beat_floor for r in read_results([tmp_path]).runs} == {"good": True, "bad": False, "silent": None}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("predictions.csv", "id,gold\nx,1\n", "damaged"),
        ("predictions.csv", "id,gold,prediction,split\nx,1,nan,test\n", "not finite"),
        ("predictions.csv", "id,gold,prediction,split\nx,1,1,test\nx,1,1,test\n", "twice"),
        ("results.json", "{", "cannot read"),
        ("results.json", '{"model": "bert"}', "not of a run"),
        ("config.yaml", "a: [", "cannot read"),
        ("metrics.jsonl", "{\n{}\n", "line 1"),
    ],
)
def test_damage_is_named(tmp_path, file, content, message):
    run = make_run(tmp_path / "r-1", seed=1)
    (run / file).write_text(content)
    with pytest.raises(DataError, match=message) as error:
        read_results([tmp_path])
    assert file in str(error.value)


def test_what_is_not_there(tmp_path):
    with pytest.raises(ModashiftError, match="no folder"):
        read_results([tmp_path / "nothing"])
    with pytest.raises(ModashiftError, match="no folders"):
        read_results([])
    assert not read_results([tmp_path]).runs
    run = make_run(tmp_path / "r-1", seed=1)
    (run / "predictions.csv").unlink()
    with pytest.raises(DataError, match="no predictions"):
        read_results([tmp_path])
