"""A table over the folds of a cross-validation: declared in one line, made fold by fold, resumed, reported pooled."""

import json
import shutil

import pytest

from made_emotions import emotions
from modashift.__main__ import main
from modashift.data.store import write_store
from modashift.errors import ModashiftError
from modashift.evaluate.results import read_results
from modashift.experiments.grid import read
from modashift.experiments.points import declared, folds
from modashift.experiments.run import execute
from modashift.experiments.state import progress


class Quiet:
    """A listener that tells nobody."""

    def begin(self, runs, done):
        pass

    def event(self, kind, run, text=""):
        pass

    def tick(self, running):
        pass


@pytest.fixture
def path(tmp_path, tiny_backbone):
    write_store(emotions(speakers=4, each=6), tmp_path / "acted.store")
    path = tmp_path / "ours.yaml"
    path.write_text(
        f"title: Folds\ndata: {{acted: {{data: {tmp_path / 'acted.store'}, folds: 4, fold: all, validation: 0.3}}}}\n"
        f"seeds: [1, 2]\ntrain: {{backbone: {tiny_backbone}, epochs: 1, batch_size: 8, tensorboard: false, "
        "device: cpu, save_every: 0}\n"
        "rows: {bert: {model: bert}, voice: {model: cmsbert, train: {lr: 1e-3}}}\n",
        encoding="utf-8",
    )
    return path


def test_all_folds_are_declared(path, tmp_path):
    found = read(path, tmp_path / "out")
    assert [run.name for run in found.runs][:4] == [
        *("bert/acted/1/fold1", "voice/acted/1/fold1", "bert/acted/1/fold2", "voice/acted/1/fold2")
    ]
    assert len(found.runs) == 16
    assert {run.name for run in found.runs} == set(declared(path))
    assert [run.settings.data.fold for run in found.select(rows=["voice"], seeds=[2])] == [1, 2, 3, 4]
    assert found.runs[3].folder(tmp_path) == tmp_path / "runs" / "voice" / "acted" / "1" / "fold2"
    # One fold only is a run without that level, as ever.
    path.write_text(path.read_text().replace("fold: all", "fold: 2"))
    assert [run.name for run in read(path, "").runs] == list(declared(path))
    assert read(path, "").runs[0].name == "bert/acted/1"


def test_progress_names_the_loss_of_the_task(path, tmp_path):
    run = read(path, tmp_path / "out").runs[0]
    folder = run.folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "dev_ce": 2.08, "dev_ua": 0.125}\n')
    assert progress(run, tmp_path).score == "dev ce 2.080"
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "dev_mse": 1.5}\n')
    assert progress(run, tmp_path).score == "dev mse 1.500"


def test_a_protocol_says_how_many_folds_it_has(path, tmp_path):
    path.write_text(path.read_text().replace("folds: 4, fold: all, validation: 0.3", "protocol: actors4, fold: all"))
    found = read(path, "")
    assert len(found.runs) == 16
    assert {run.settings.data.protocol for run in found.runs} == {"actors4"}
    path.write_text(path.read_text().replace("{model: bert}", "{model: bert, data: {protocol: random10}}"))
    assert len([run for run in read(path, "").runs if run.row == "bert"]) == 20
    assert {run.name for run in read(path, "").runs} == set(declared(path))


@pytest.mark.parametrize("data", [{"fold": "all"}, {"fold": "all", "folds": 1}, {"fold": "all", "protocol": "loso"}])
def test_all_of_what(data):
    with pytest.raises(ModashiftError, match="here: fold all needs a cross-validation"):
        folds("here", data)


def test_folds_are_made_once_and_pooled(path, tmp_path, capsys):
    out = tmp_path / "out"
    found = read(path, out)
    wanted = found.select(rows=["voice"], seeds=[1])
    summary = execute(wanted, out, Quiet())
    assert summary.failed == {}
    assert len(summary.done) == 4
    stamp = (out / "runs/voice/acted/1/fold1/predictions.csv").stat().st_mtime_ns
    shutil.rmtree(out / "runs/voice/acted/1/fold3")
    again = execute(wanted, out, Quiet())
    assert again.done == ["voice/acted/1/fold3"]
    assert (out / "runs/voice/acted/1/fold1/predictions.csv").stat().st_mtime_ns == stamp
    (out / "experiment.yaml").write_text(path.read_text())
    results = read_results([out])
    assert [run.row for run in results.runs] == ["voice"]
    for run in results.runs:
        assert len(run.parts) == 4
        assert sorted(run.scores["test"].ids) == sorted(emotions(speakers=4, each=6).ids)  # each tested once
        for part in run.parts:
            speakers = [{i.split("_")[0] for i in part.scores[s].ids} for s in ("train", "dev", "test")]
            assert sum(map(len, speakers)) == len(set.union(*speakers)) == 4
    assert len(results.missing) == 12
    stored = json.loads((out / "runs/voice/acted/1/fold2/results.json").read_text())
    assert stored["protocol"].endswith("4 folds, grouped by video or speaker, 30% of the training utterances as dev")
    main(["report", str(out), "--bootstrap", "100"])
    text = (out / "report" / "report.md").read_text()
    assert "24 items of the test split." in text
    assert "By fold" in text
    assert "12 of 16 declared runs are missing: bert/acted/1 (fold1, fold2, fold3, fold4), bert/acted/2" in text


def test_some_folds_are_a_list(path, tmp_path):
    text = path.read_text()
    path.write_text(text.replace("train: {lr: 1e-3}", "data: {fold: [4, 2]}, train: {lr: 1e-3}"))
    found = read(path, tmp_path / "out")
    voice = [run for run in found.runs if run.row == "voice" and run.seed == 1]
    assert [run.name for run in voice] == ["voice/acted/1/fold2", "voice/acted/1/fold4"]
    assert [run.settings.data.fold for run in voice] == [2, 4]
    assert sum(run.row == "bert" for run in found.runs) == 8
    assert {run.name for run in found.runs} == set(declared(path))


@pytest.mark.parametrize("fold", [[], [0], [5], [1, 1], ["2"], [True]])
def test_folds_that_are_not_there(fold):
    with pytest.raises(ModashiftError, match="must be different numbers from 1 to 4, or all"):
        folds("here", {"fold": fold, "folds": 4})
    with pytest.raises(ModashiftError, match="needs a cross-validation"):
        folds("here", {"fold": [1]})


def test_weights_are_kept_of_the_rows_that_are_named(path, tmp_path):
    out = tmp_path / "out"
    wanted = [run for run in read(path, out).runs if run.seed == 1 and run.name.endswith("fold1")]
    execute(wanted, out, Quiet(), keep_weights=["voice"])
    assert [run.row for run in wanted if (run.folder(out) / "model.safetensors").is_file()] == ["voice"]
    execute(wanted, out, Quiet(), keep_weights=[])
    assert not list(out.rglob("model.safetensors"))
