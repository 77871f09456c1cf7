"""The whole command on made-up states of which the right layer is known, with a trap in the test split."""

import csv
import json
import shutil

import pytest
import yaml

from made_layers import ALWAYS, TRAP, layered
from modashift.__main__ import main
from modashift.data.store import write_store
from modashift.evaluate.results import read_results
from modashift.experiments import run as running
from modashift.experiments.run import Summary
from modashift.experiments.state import finished, refuse_changes
from modashift.experiments.worker import make

FAST = [
    *("train.lr=0.01", "average=0", "schedule=constant", "batch_size=8", "tensorboard=false"),
    *("device=cpu", "model.encoder_size=16", "model.fused_size=8", "model.mask_features.count=0", "save_every=0"),
]


def compare(store, out, *options, epochs=4):
    settings = [*FAST, f"epochs={epochs}"]
    return main(["layers", "compare", "--data", str(store), "--out", str(out), *options, "--set", *settings])


def points(out, split, metric="mae", modality="acoustic"):
    with (out / "layers.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if (r["split"], r["what"], r["modality"]) == (split, metric, modality)]
    return {int(r["layer"]): float(r["mean"]) for r in rows}


@pytest.fixture
def here(monkeypatch):
    """Runs are made in this process, in which torch is there already; returns their names as they are made."""
    names = []

    def execute(runs, out, listener, processes, devices, threads, keep_weights):
        refuse_changes(runs, out)
        summary = Summary(found=[r.name for r in runs if finished(r.folder(out))])
        for run in runs:
            if run.name not in summary.found:
                make(run, out, keep_weights if isinstance(keep_weights, bool) else run.row in keep_weights)
                summary.done.append(run.name)
        names.extend(summary.done)
        return summary

    monkeypatch.setattr(running, "execute", execute)
    return names


@pytest.fixture(scope="module")
def trapped(tmp_path_factory):
    """A finished comparison, by real worker processes, of a voice whose layer 2 only the test split would choose."""
    folder = tmp_path_factory.mktemp("trapped")
    write_store(layered({"acoustic": TRAP}, {"acoustic": (0, 1, 2, 3)}), folder / "voice.store")
    assert compare(folder / "voice.store", folder / "out", "--seeds", "1", "2", "--bootstrap", "200") == 0
    return folder


def test_dev_chooses_where_test_would_choose_otherwise(trapped):
    dev, test = points(trapped / "out", "dev"), points(trapped / "out", "test")
    assert min(dev, key=dev.get) == 1
    assert min(test, key=test.get) == 2
    assert test[2] < test[1] - 0.2  # the trap is worth falling into
    assert json.loads((trapped / "out" / "chosen.json").read_text()) == {"acoustic": {"0": 1}}
    text = (trapped / "out" / "report.md").read_text()
    assert "Layer chosen on dev: 1; output: 3." in text
    assert "| acoustic | mid-best | 1 | 2 |" in text


def test_weights_of_the_sum_are_kept_and_shown(trapped):
    kept = {p.parts[-4] for p in (trapped / "out" / "runs").rglob("model.safetensors")}
    assert kept == {"acoustic-weighted-a0to3"}
    with (trapped / "out" / "layers.csv").open() as file:
        weights = [float(r["mean"]) for r in csv.DictReader(file) if r["what"] == "weight"]
    assert sum(weights) == pytest.approx(1)
    assert len({*weights}) > 1
    assert (trapped / "out" / "figures" / "weights.svg").is_file()


def test_it_is_an_experiment_that_the_other_commands_know(trapped, capsys):
    out = trapped / "out"
    main(["experiment", "list", str(out / "experiment.yaml"), "--out", str(out)])
    assert "10 runs (10 done)" in capsys.readouterr().out
    results = read_results([out])
    assert len({run.row for run in results.runs}) == 5
    assert (results.declared, list(results.missing)) == (10, [])


def test_nothing_is_made_twice(trapped, here, tmp_path, capsys):
    store, out = trapped / "voice.store", tmp_path / "out"
    shutil.copytree(trapped / "out", out)
    page = (out / "report.html").read_bytes()
    assert compare(store, out, "--seeds", "1", "2", "--bootstrap", "200") == 0
    assert here == []
    assert (out / "report.html").read_bytes() == page
    results = out / "runs" / "acoustic-01" / "made" / "2" / "results.json"
    results.unlink()
    assert compare(store, out, "--seeds", "1", "2", "--bootstrap", "200") == 0
    assert here == ["acoustic-01/made/2"]
    assert (out / "report.html").read_bytes() == page
    assert compare(store, out, "--seeds", "1", "2", "--layers", "0") == 0
    assert here[1:] == ["acoustic-weighted-a0.3/made/1", "acoustic-weighted-a0.3/made/2"]
    capsys.readouterr()
    assert main(["layers", "compare", "--data", str(store), "--out", str(out), "--seeds", "1", "--config", "none"]) == 2
    assert "holds runs with other settings" in capsys.readouterr().err


def test_the_test_split_can_be_ruined_without_any_change_of_the_choice(trapped, here, tmp_path):
    made = layered({"acoustic": TRAP}, {"acoustic": (0, 1, 2, 3)})
    tested = made.splits == "test"
    made.labels[tested] = -made.labels[tested][::-1]
    write_store(made, tmp_path / "voice.store")
    assert compare(tmp_path / "voice.store", tmp_path / "out", "--seeds", "1", "2", "--bootstrap", "200") == 0
    assert (tmp_path / "out" / "chosen.json").read_text() == (trapped / "out" / "chosen.json").read_text()
    assert points(tmp_path / "out", "dev") == pytest.approx(points(trapped / "out", "dev"), rel=1e-4)
    assert points(tmp_path / "out", "test") != pytest.approx(points(trapped / "out", "test"), rel=0.05)


def test_layers_chosen_for_each_are_trained_together_fold_by_fold(here, tmp_path, monkeypatch):
    """What dev says is planted here: other layers in each fold; the runs of the combinations must follow from it."""
    from modashift.layers import choose

    made = layered(
        {m: {1: ALWAYS} for m in ("acoustic", "linguistic")},
        {"acoustic": (0, 1), "linguistic": (0, 1)},
        {"train": 36},
        ("low", "high"),
    )
    write_store(made.keep_features(["acoustic"]), tmp_path / "voice.store")
    write_store(made.keep_features(["linguistic"]), tmp_path / "words.store")

    def planted(runs, out, metric):
        assert metric == "ua"
        good = {("acoustic-00", 1), ("acoustic-01", 2), ("linguistic-01", 1), ("linguistic-00", 2)}
        return {run.row: {k: {1: float((run.row, k) in good)} for k in (1, 2)} for run in runs}

    monkeypatch.setattr(choose, "dev_values", planted)
    status = compare(
        *(tmp_path / "voice.store", tmp_path / "out", "--data", str(tmp_path / "voice.store")),
        *(str(tmp_path / "words.store"), "--seeds", "1", "--folds", "2", "--bootstrap", "100"),
        epochs=1,
    )
    assert status == 0
    last = [name for name in here if name.startswith("all-l") and "weighted" not in name]
    assert last[-2:] == ["all-l00+a01/made/1/fold2", "all-l01+a00/made/1/fold1"] or last[-2:] == [
        *("all-l01+a00/made/1/fold1", "all-l00+a01/made/1/fold2")
    ]
    config = yaml.safe_load((tmp_path / "out/runs/all-l01+a00/made/1/fold1/config.yaml").read_text())
    assert config["layers"] == {"linguistic": 1, "acoustic": 0}
    assert not (tmp_path / "out/runs/all-l01+a00/made/1/fold2").exists()
    chosen = json.loads((tmp_path / "out" / "chosen.json").read_text())
    assert chosen == {"linguistic": {"1": 1, "2": 0}, "acoustic": {"1": 0, "2": 1}}
    text = (tmp_path / "out" / "report.md").read_text()
    assert "linguistic 1, acoustic 0; linguistic 0, acoustic 1 by fold" in text
    assert "UA" in text


def test_after_a_failure_there_is_no_choice(here, tmp_path, capsys, monkeypatch):
    write_store(layered({"acoustic": TRAP}, {"acoustic": (0, 1)}), tmp_path / "voice.store")

    def failing(runs, *_):
        return Summary(done=[r.name for r in runs[1:]], failed={runs[0].name: "out of memory"})

    monkeypatch.setattr(running, "execute", failing)
    with pytest.raises(SystemExit) as stopped:
        compare(tmp_path / "voice.store", tmp_path / "out")
    assert stopped.value.code == 1
    assert "acoustic-00/made/1111: out of memory" in capsys.readouterr().out
    assert not (tmp_path / "out" / "chosen.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--select", "ua"], "the labels are scores, so choose by mae or corr"),
        (["--protocol", "nonsense3"], "nonsense3"),
        (["--folds", "9"], "9"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(options, message, here, tmp_path, capsys):
    write_store(layered({"acoustic": TRAP}, {"acoustic": (0, 1)}), tmp_path / "voice.store")
    assert compare(tmp_path / "voice.store", tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
    assert here == []


def test_without_a_test_split_there_is_nothing_to_say(here, tmp_path, capsys):
    made = layered({"acoustic": TRAP}, {"acoustic": (0, 1)}, {"train": 20, "dev": 10})
    write_store(made, tmp_path / "voice.store")
    assert compare(tmp_path / "voice.store", tmp_path / "out") == 2
    assert "has no test split to report on" in capsys.readouterr().err


def test_help_and_unknown_actions(capsys):
    assert main(["layers"]) == 0
    assert "modashift layers compare" in capsys.readouterr().out
    assert main(["layers", "merge"]) == 2
    assert "no action 'merge'" in capsys.readouterr().err
