import json
import os
import signal
from pathlib import Path

import pytest

from modashift.__main__ import main
from modashift.display import duration
from modashift.errors import ModashiftError
from modashift.experiments.display import remaining
from modashift.experiments.grid import read
from modashift.experiments.run import execute
from modashift.train.processes import claim
from support import toy_dataset, write_table

FILES = ("metrics.jsonl", "predictions.csv", "results.json")


class Quiet:
    def __init__(self):
        self.events = []

    def begin(self, runs, done):
        self.done = [r.name for r in done]

    def event(self, kind, run, text=""):
        self.events.append((kind, run.name))

    def tick(self, running):
        pass


@pytest.fixture
def declared(tmp_path, tiny_backbone):
    """An experiment of two rows and two seeds on a toy table."""
    (tmp_path / "toy").mkdir()
    table = write_table(toy_dataset(60), tmp_path / "toy")
    path = tmp_path / "ours.yaml"
    path.write_text(
        f"title: Ours\ndata: {{toy: {{data: {table}}}}}\nseeds: [1, 2]\n"
        f"train: {{backbone: {tiny_backbone}, epochs: 2, batch_size: 16, tensorboard: false, device: cpu}}\n"
        "rows: {bert: {model: bert}, cmsbert: {model: cmsbert}}\n",
        encoding="utf-8",
    )
    return path


def test_runs_are_made_once_and_failures_stay_their_own(declared, tmp_path):
    out = tmp_path / "out"
    runs = read(declared, out, ["rows.broken={model: bert, train: {init: nowhere}}"]).select(seeds=[1])
    (out / "runs" / "bert" / "toy" / "1").mkdir(parents=True)
    seen = Quiet()
    summary = execute(runs, out, seen, keep_weights=False)
    assert summary.done == ["bert/toy/1", "cmsbert/toy/1"]
    assert "nowhere" in summary.failed["broken/toy/1"]
    failure = json.loads((out / "failures.jsonl").read_text())
    assert failure["run"] == "broken/toy/1"
    assert "Traceback" in failure["traceback"]
    folder = out / "runs" / "bert" / "toy" / "1"
    assert all((folder / name).is_file() for name in FILES)
    assert not (folder / "model.safetensors").exists()
    before = (folder / "results.json").stat().st_mtime_ns

    again = Quiet()
    summary = execute(runs[:2], out, again)
    assert (summary.found, summary.done, again.events) == (["bert/toy/1", "cmsbert/toy/1"], [], [])
    assert (folder / "results.json").stat().st_mtime_ns == before

    with pytest.raises(ModashiftError, match=r"bert/toy/1 \(finished\): epochs was 2, would be 3"):
        execute(read(declared, out, ["train.epochs=3"]).runs, out, Quiet())


@pytest.mark.slow
def test_a_killed_worker_is_a_failure_of_its_run_only(declared, tmp_path):
    class Killer(Quiet):
        def event(self, kind, run, text=""):
            super().event(kind, run, text)
            if kind == "started" and run.name == "bert/toy/1":
                import multiprocessing

                os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    out, seen = tmp_path / "out", Killer()
    summary = execute(read(declared, out).select(seeds=[1]), out, seen)
    assert "by SIGKILL (out of memory?)" in summary.failed["bert/toy/1"]
    assert summary.done == ["cmsbert/toy/1"]


@pytest.mark.slow
def test_what_another_call_has_in_hand_is_not_made_twice(declared, tmp_path):
    out = tmp_path / "out"
    runs = read(declared, out).select(["bert"], seeds=[1])

    class Other(Quiet):
        def __init__(self):
            super().__init__()
            self.lock = claim(runs[0].folder(out))
            assert self.lock.__enter__()

        def event(self, kind, run, text=""):
            super().event(kind, run, text)
            if kind == "taken":
                self.lock.__exit__(None, None, None)

    seen = Other()
    assert execute(runs, out, seen).done == ["bert/toy/1"]
    assert [kind for kind, _ in seen.events] == ["taken", "started", "done"]


def test_a_prepared_run_that_fails_blocks_what_starts_from_it(declared, tmp_path):
    out = tmp_path / "out"
    runs = read(
        declared,
        out,
        ["prepare.first={model: bert, data: {data: nowhere}}", "rows={b: {model: bert, train: {init: first}}}"],
    )
    summary = execute(runs.runs, out, Quiet())
    assert list(summary.failed) == ["prepare/first"]
    assert summary.blocked == {"b/toy/1": "prepare/first failed", "b/toy/2": "prepare/first failed"}


def test_command_line(declared, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["experiment"]) == 0
    assert "table3-small" in capsys.readouterr().out
    assert main(["experiment", "list", str(declared), "--seeds", "1", "--out", out]) == 0
    assert "to do  bert/toy/1  bert" in capsys.readouterr().out
    assert main(["experiment", "run", str(declared), "--out", out, "--data", "toy=missing.jsonl"]) == 2
    assert "there is no missing.jsonl (of toy)" in capsys.readouterr().err
    assert not Path(out).exists()
    arguments = ["experiment", "run", str(declared), "--out", out, "--rows", "bert", "--seeds", "1", "--plain"]
    assert main([*arguments, "--set", "train.epochs=1"]) == 0
    said = capsys.readouterr()
    assert "1 run made" in said.out
    assert "1 of 1; bert/toy/1 finished in" in said.err
    assert "epochs: 1" in (tmp_path / "out" / "experiment.yaml").read_text()
    assert main([*arguments, "--set", "train.epochs=2"]) == 2
    assert "epochs was 1, would be 2" in capsys.readouterr().err
    broken = "rows.broken={model: bert, train: {epochs: 1, init: nowhere}}"
    arguments = ["experiment", "run", str(declared), "--out", out, "--rows", "broken", "--seeds", "2"]
    with pytest.raises(SystemExit, match="1"):
        main([*arguments, "--set", "train.epochs=1", broken])
    said = capsys.readouterr().out
    assert "broken/toy/2: ModashiftError: --init nowhere" in said
    assert "0 runs made, 1 failed" in said


def test_the_time_left_is_told_from_finished_runs(declared):
    runs = {r.name: r for r in read(declared).runs}
    assert remaining(runs, {"bert/toy/2": 0.5, "cmsbert/toy/1": 1.0}, {"bert/toy/1": 10.0}) == 15.0
    assert remaining(runs, {"bert/toy/2": 0.5}, {}) is None
    assert [duration(s) for s in (5, 600, 9000)] == ["5 s", "10 min", "2.5 h"]
