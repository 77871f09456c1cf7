import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from modashift.__main__ import main
from modashift.data.dataset import Feature
from modashift.errors import ModashiftError
from modashift.experiments.settings import Settings
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.search import Choice, Range, read_search
from modashift.train.tune import Plan, counted, development, open_study, work
from modashift.train.tune_outputs import values_of, write_plots
from support import toy_dataset, write_table

SPACE = {
    "lr": Range(1e-4, 1e-2, log=True),
    "model.dropout": Choice((0.0, 0.3)),
    "data.normalise": Choice(("none", "train")),
}


def plan_for(folder, backbone, trials=3, **changes):
    train = TrainArgs(backbone=backbone, epochs=2, batch_size=16, device="cpu", tensorboard=False)
    base = Settings("cmsbert", DataArgs("toy"), train, {})
    return Plan(base, SPACE, folder, trials, **{"prune": False, **changes})


def poisoned(dataset):
    """The same data with test labels, features and texts that ruin whatever reads them."""
    test = dataset.rows("test")
    labels = np.array(dataset.labels)
    labels[test] = np.nan
    features = {}
    for name, feature in dataset.features.items():
        values = np.array(feature.values)
        for row in test:
            values[feature.offsets[row] : feature.offsets[row + 1]] = np.nan
        features[name] = Feature(values, feature.offsets, feature.alignment, feature.columns)
    words = [["poison"] * len(w) if i in test else w for i, w in enumerate(dataset.words)]
    return replace(dataset, labels=labels, features=features, words=words, texts=[" ".join(w) for w in words])


def study_of(plan):
    study = open_study(plan)
    return [(values_of(t), t.value, t.intermediate_values) for t in study.trials]


def test_the_test_split_is_never_read(tmp_path, tiny_backbone):
    clean, ruined = toy_dataset(60), poisoned(toy_dataset(60))
    found = []
    for name, dataset in (("clean", clean), ("ruined", ruined)):
        plan = plan_for(tmp_path / name, tiny_backbone)
        work(plan, dataset=dataset)
        found.append(study_of(plan))
    assert found[0] == found[1]
    assert all(np.isfinite(value) for _, value, _ in found[0])
    test = {clean.ids[i] for i in clean.rows("test")}
    for run in (tmp_path / "clean" / "trials").iterdir():
        rows = list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))
        assert {r["split"] for r in rows} == {"train", "dev"}
        assert not test & {r["id"] for r in rows}
        assert set(json.loads((run / "results.json").read_text())["splits"]) == {"train", "dev"}
    assert not any((tmp_path / "clean").glob("trials/*/model.safetensors"))


@pytest.mark.parametrize("mixed", [False, True])
def test_development_data_hold_no_test_utterance(mixed):
    dataset = toy_dataset(60)
    if mixed:
        dataset = dataset.with_splits(np.array(["train", "test", "dev"] * 20))
    left, args = development(DataArgs("toy", validation=0.2, features=["visual"]), dataset)
    kept = [i for i in range(60) if dataset.splits[i] != "test"]
    assert list(left.ids) == [dataset.ids[i] for i in kept]
    assert set(left.splits) == {"train", "dev"}
    assert args == DataArgs("toy", features=["visual"])
    for k, i in enumerate(kept):
        assert left[k].words == dataset[i].words
        for name in dataset.features:
            np.testing.assert_array_equal(left[k].features[name], dataset[i].features[name])


def test_a_study_goes_on_where_it_was_and_leaves_tables_and_plots(tmp_path, tiny_backbone):
    dataset = toy_dataset(40)
    whole, parts = plan_for(tmp_path / "whole", tiny_backbone, 5), plan_for(tmp_path / "parts", tiny_backbone, 2)
    work(whole, dataset=dataset)
    work(parts, dataset=dataset)
    assert len(counted(open_study(parts))) == 2
    parts = replace(parts, trials=5)
    work(parts, dataset=dataset)
    assert study_of(parts) == study_of(whole)
    work(parts, dataset=dataset)
    assert len(counted(open_study(parts))) == 5

    rows = list(csv.DictReader((tmp_path / "parts" / "trials.csv").read_text().splitlines()))
    assert [r["state"] for r in rows] == ["complete"] * 5
    best = yaml.safe_load((tmp_path / "parts" / "best.yaml").read_text())
    row = min(rows, key=lambda r: float(r["dev_mse"]))
    assert (best["lr"], best["model"]["dropout"]) == (json.loads(row["lr"]), json.loads(row["model.dropout"]))
    written = write_plots(open_study(parts), parts)
    assert [p.name for p in written] == ["history.png", "importance.png"]
    assert all(p.read_bytes()[:4] == b"\x89PNG" for p in written)
    with pytest.raises(ModashiftError, match=r"another settings|other settings \(epochs\)"):
        open_study(replace(parts, base=replace(parts.base, train=replace(parts.base.train, epochs=3))))


def test_bad_trials_are_pruned_and_failing_ones_stop_the_study(tmp_path, tiny_backbone):
    plan = plan_for(tmp_path / "pruned", tiny_backbone, 8, prune=True)
    base = replace(plan.base, train=replace(plan.base.train, epochs=4, average=0.0, select="corr"))
    plan = replace(plan, base=base, space={"lr": Choice((1e-7, 1e-2))}, sampler_seed=1)
    work(plan, dataset=toy_dataset(40))
    trials = open_study(plan).trials
    pruned = [t for t in trials if t.state.name == "PRUNED"]
    assert pruned
    assert all(len(t.intermediate_values) < 4 for t in pruned)
    failing = replace(plan, folder=tmp_path / "failing", base=replace(base, train=replace(base.train, init="nowhere")))
    with pytest.raises(ModashiftError, match="the first 3 trials failed, the last by: ModashiftError: --init nowhere"):
        work(failing, dataset=toy_dataset(40))


def test_a_trial_whose_process_died_is_taken_up(tmp_path, tiny_backbone):
    plan, dataset = plan_for(tmp_path / "study", tiny_backbone, 2), toy_dataset(40)
    study = open_study(plan)
    lost = study.ask()  # begun by a process that is no more: nobody holds its folder
    for key, dimension in plan.space.items():
        dimension.suggest(lost, key)
    work(plan, dataset=dataset)
    trials = study.trials
    assert [t.state.name for t in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert trials[1].params == lost.params
    assert trials[1].user_attrs["folder"] == "0000"
    assert [t.number for t in counted(study)] == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lrr: [1]", r"space.yaml: lrr: there is no key 'lrr'; did you mean 'lr'\?"),
        ("lr: 3", r"space.yaml: lr: expected a list of values, or \{low: …, high: …\}, got 3"),
        ("lr: {low: 1, hihg: 2}", r"no key 'hihg'; did you mean 'high'"),
        ("lr: {low: 2, high: 1}", "low must be below high"),
        ("lr: {low: 0, high: 1, log: true}", "low must be positive"),
        ("lr: [fast]", "space.yaml: lr: .*fast"),
        ("model.temprature: [1]", "space.yaml: model.temprature: .*temprature"),
        ("model.shift.activation: [relu, tan]", "space.yaml: model.shift.activation: "),
        ("validation: [.1]", "validation cannot be searched, it changes which utterances are dev"),
        ("seed: [1, 2]", "seed cannot be searched, it is luck"),
        ("{}", "names nothing to search"),
    ],
)
def test_a_wrong_search_space_is_refused(tmp_path, text, message):
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModashiftError, match=message):
        read_search(str(path), Settings("cmsbert-clr", DataArgs("toy"), TrainArgs(), {}))


def test_search_spaces_over_any_field(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "lr: {low: 1e-5, high: 1e-3, log: true}\nepochs: {low: 2, high: 9}\nmodel.temperature: [.05, .1]\n"
        "model.shift.activation: [relu, tanh]\ndata.features: [[visual], [visual, acoustic]]\n",
        encoding="utf-8",
    )
    base = Settings("cmsbert-clr", DataArgs("toy"), TrainArgs(), {})
    space = read_search(str(path), base)
    assert space["lr"] == Range(1e-5, 1e-3, log=True)
    assert space["epochs"] == Range(2, 9)
    assert {"lr", "lr_backbone", "model.temperature", "modality_dropout"} <= set(read_search("defaults", base))
    assert "lr_backbone" not in read_search("defaults", Settings("tfn", DataArgs("toy"), TrainArgs(), {}))


@pytest.mark.slow
def test_several_workers_share_a_study_and_one_may_be_killed(tmp_path, tiny_backbone):
    (tmp_path / "toy").mkdir()
    table = write_table(toy_dataset(40), tmp_path / "toy")
    space = tmp_path / "space.yaml"
    space.write_text("lr: {low: 1e-4, high: 1e-2, log: true}\n", encoding="utf-8")
    command = [
        *("tune", "bert", "--data", str(table), "--backbone", tiny_backbone, "--epochs", "4", "--batch_size", "16"),
        *("--study", str(tmp_path / "study"), "--trials", "6", "--search", str(space), "--device", "cpu"),
    ]
    process = subprocess.Popen([sys.executable, "-m", "modashift", *command, "--workers", "2"])
    try:
        while not list(tmp_path.glob("study/trials/*/metrics.jsonl")) and process.poll() is None:
            time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        own = [c for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]
        os.kill(int(own[0]), signal.SIGKILL)
        assert process.wait(timeout=600) == 0
    finally:
        process.kill()
        process.wait()
    rows = list(csv.DictReader((tmp_path / "study" / "trials.csv").read_text().splitlines()))
    assert sum(r["state"] in {"complete", "pruned"} for r in rows) == 6
    best = tmp_path / "study" / "best.yaml"
    assert main(["train", "bert", "--config", str(best), "--run", str(tmp_path / "run"), "--epochs", "1"]) == 0
