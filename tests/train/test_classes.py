"""Training on classes: the same loop, another task."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from scipy.special import log_softmax

import modashift
from made_emotions import NAMES, emotions
from modashift.data.store import write_store
from modashift.errors import DataError, ModashiftError
from modashift.evaluate.classification import class_metrics
from modashift.evaluate.tasks import balanced_weights
from modashift.losses import pairwise_contrastive, smoothed_targets
from modashift.models import MODELS, get_model
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from modashift.train.protocol import protocol_in_words
from modashift.train.setup import load_splits, prepare
from support import toy_dataset

ACTED = DataArgs("acted")
CAN = sorted(name for name in MODELS if not get_model(name).scores_only and name != "augpause")  # it needs pauses


@pytest.fixture
def args(tiny_backbone):
    return TrainArgs(
        backbone=tiny_backbone, epochs=2, batch_size=9, lr=3e-3, lr_backbone=3e-3, average=0.0, tensorboard=False
    )


def run(folder, args, name="cmsbert", dataset=None, data=ACTED, **more):
    return train(name, data, folder, args, silent=True, dataset=dataset or emotions(), **more)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def predictions(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", CAN)
def test_every_model_that_can_leaves_a_run_of_classes(name, args, tmp_path):
    results = run(tmp_path / "run", args, name)
    found = lines(tmp_path / "run")
    assert results["select"] == "dev ce"
    assert results["best_epoch"] == min(found, key=lambda line: line["dev_ce"])["epoch"]
    assert not any("mse" in key for line in found for key in line)
    assert results["classes"] == list(NAMES)
    rows = predictions(tmp_path / "run")
    assert list(rows[0]) == ["id", "gold", "prediction", "p(angry)", "p(happy)", "p(sad)", "split"]
    assert len(rows) == 54
    for row in rows:
        chances = [float(row[f"p({c})"]) for c in NAMES]
        assert sum(chances) == pytest.approx(1)
        assert row["prediction"] == NAMES[int(np.argmax(chances))]
    for split, own in results["splits"].items():
        gold, said = ([NAMES.index(r[k]) for r in rows if r["split"] == split] for k in ("gold", "prediction"))
        expected = class_metrics(gold, said, 3)
        assert {k: own[k] for k in ("wa", "ua", "f1_weighted", "f1_macro")} == pytest.approx(
            {k: expected[k] for k in ("wa", "ua", "f1_weighted", "f1_macro")}
        )
        assert own["legacy"]["legacy_precision_macro"] == pytest.approx(expected["legacy_precision_macro"])
        assert np.sum(own["confusion"]) == own["n"]
        assert own["floor"]["wa"] == pytest.approx(1 / 3)
        assert own["floor"]["ce"] == pytest.approx(np.log(3))
    dev = [r for r in rows if r["split"] == "dev"]
    ce = -np.mean([np.log(float(r[f"p({r['gold']})"])) for r in dev])
    assert found[results["best_epoch"] - 1]["dev_ce"] == pytest.approx(ce, rel=1e-4)
    assert "Protocol: 3 classes (angry, happy, sad); splits of the data." in (tmp_path / "run/README.md").read_text()


def test_the_voice_is_learnt_and_the_words_say_nothing(args, tmp_path):
    args = replace(args, epochs=12, lr=1e-2, lr_backbone=1e-3)
    with_voice = run(tmp_path / "clr", args, "cmsbert-clr")
    assert with_voice["splits"]["test"]["ua"] > 0.7
    assert lines(tmp_path / "clr")[-1]["contrastive_weight"] != 1  # ν follows the cross-entropy
    alone = run(tmp_path / "bert", replace(args, epochs=2), "bert")
    assert alone["splits"]["test"]["ua"] < 0.5


def test_nu_is_the_ratio_of_cross_entropy_and_contrastive_loss(args, tmp_path):
    run(tmp_path / "run", args, "cmsbert-clr")
    nu = 1.0
    for line in lines(tmp_path / "run"):
        nu = 0.9 * nu + 0.1 * line["dev_ce"] / line["dev_contrastive"]
        assert line["contrastive_weight"] == pytest.approx(nu, rel=1e-9)


def test_targets_are_smoothed_over_the_same_class(args, tmp_path):
    import torch

    setup = prepare("cmsbert-clr", {"alike": 2.0}, DataArgs("acted"), args, emotions())
    batch = setup.preprocessor.collate(setup.dataset, setup.encoded, [0, 1, 2, 3, 4, 6])
    output = setup.model.eval()(batch)
    assert list(output.embeddings) == ["linguistic", "acoustic"]  # two modalities: two directions
    losses = setup.model.loss(output, batch)
    y = batch.label.tolist()
    targets = np.zeros((6, 6))
    for i in range(6):
        same = [k for k in range(6) if k != i and y[k] == y[i]]
        targets[i, i] = 0.9 if same else 1.0
        for k in same:
            targets[i, k] = 0.1 / len(same)
    np.testing.assert_allclose(smoothed_targets(batch.label, 0.9, 0.0).numpy(), targets, atol=1e-7)
    own = torch.tensor(targets, dtype=torch.float32)
    expected = pairwise_contrastive(output.embeddings, own, 0.1, present=output.extra)
    torch.testing.assert_close(losses["contrastive"], expected)
    ce = -np.mean([log_softmax(output.prediction[i].detach().numpy())[int(y[i])] for i in range(6)])
    assert losses["ce"].item() == pytest.approx(ce, rel=1e-5)
    assert losses["loss"].item() == pytest.approx(ce + expected.item(), rel=1e-5)  # ν starts at 1


def test_class_weights_come_from_the_training_split(args, tmp_path):
    labels = emotions().labels.copy()
    labels[:36] = [0.0] * 24 + [1.0] * 9 + [2.0] * 3
    data = replace(emotions(), labels=labels)
    weights = balanced_weights(data)
    assert weights == pytest.approx([36 / (3 * 24), 36 / (3 * 9), 36 / (3 * 3)])
    assert np.mean(weights[labels[:36].astype(int)]) == pytest.approx(1)
    assert balanced_weights(replace(data, classes=(*NAMES, "bored")))[3] == 1
    results = run(tmp_path / "run", replace(args, class_weights="balanced", select="ua"), "bert", data)
    assert results["select"] == "dev ua"
    dev = [r for r in predictions(tmp_path / "run") if r["split"] == "dev"]
    each = [-weights[NAMES.index(r["gold"])] * np.log(float(r[f"p({r['gold']})"])) for r in dev]
    assert lines(tmp_path / "run")[results["best_epoch"] - 1]["dev_ce"] == pytest.approx(np.mean(each), rel=1e-4)
    assert results["splits"]["dev"]["floor"]["ce"] == pytest.approx(  # weighed so, all classes are equally likely
        np.mean([weights[NAMES.index(r["gold"])] for r in dev]) * np.log(3)
    )
    assert results["splits"]["dev"]["floor"]["wa"] == pytest.approx(1 / 3)
    assert max(range(2), key=lambda k: lines(tmp_path / "run")[k]["dev_ua"]) + 1 == results["best_epoch"]


def test_an_interrupted_run_ends_with_the_same_bytes(args, tmp_path):
    class Stop(Exception):
        pass

    def stop(line):
        raise Stop

    args = replace(args, average=0.9, class_weights="balanced")
    run(tmp_path / "whole", args, "cmsbert-clr")
    with pytest.raises(Stop):
        run(tmp_path / "cut", args, "cmsbert-clr", on_epoch=stop)
    run(tmp_path / "cut", args, "cmsbert-clr", resume=True)
    for file in ("predictions.csv", "metrics.jsonl", "results.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes()


@pytest.mark.parametrize(
    ("name", "dataset", "changes", "options", "message"),
    [
        ("self-mm", emotions, {}, {}, "self-mm predicts scores only .*distances between scores.*angry, happy, sad"),
        ("bert", emotions, {"select": "mae"}, {}, "select 'mae' is no metric of classes.*choose from mse, ce, wa, ua"),
        ("bert", toy_dataset, {"select": "ua"}, {}, "select 'ua' is no metric of scores.*choose from mse, mae"),
        ("bert", toy_dataset, {"class_weights": "balanced"}, {}, "class_weights balanced: .* are scores"),
        ("bert", emotions, {}, {"task_loss": "huber"}, "cross-entropy: leave task_loss huber out"),
        ("bert", emotions, {}, {"classes": 5}, "no option 'classes'"),
    ],
)
def test_settings_of_the_other_task_are_refused(name, dataset, changes, options, message, args, tmp_path):
    data = dataset()
    with pytest.raises(ModashiftError, match=message):
        run(tmp_path / "run", replace(args, **changes), name, data, options=options)


def test_a_loaded_model_knows_its_classes(args, tmp_path, capsys):
    store = tmp_path / "acted.store"
    write_store(emotions(), store)
    run(tmp_path / "run", args, "cmsbert", data=DataArgs(str(store)))
    model = modashift.load(tmp_path / "run")
    assert model.classes == NAMES
    voice = emotions().features["acoustic"]
    chances = model.predict(["it was the movie"] * 2, acoustic=[voice[0], voice[1]])
    assert chances.shape == (2, 3)
    np.testing.assert_allclose(chances.sum(1), 1)
    said = model.predict_classes(["it was the movie"] * 2, acoustic=[voice[0], voice[1]])
    assert said == [NAMES[k] for k in chances.argmax(1)]
    model.save_pretrained(tmp_path / "copy")
    again = modashift.load(tmp_path / "copy")
    assert again.classes == NAMES
    short = {"texts": ["it was"], "acoustic": [voice[0][:2]]}
    np.testing.assert_array_equal(again.predict(**short), model.predict(**short))
    maps = model.cms_maps("it was the movie", acoustic=voice[0])
    np.testing.assert_allclose(maps["prediction"], chances[0], atol=1e-6)

    from modashift import commands
    from modashift.serve.cli import predict

    results = commands.evaluate([str(tmp_path / "run"), "--out", str(tmp_path / "out.csv")])
    out = capsys.readouterr().out
    assert "UA" in out
    assert "Classes of the test split" in out
    stored = json.loads((tmp_path / "run" / "results.json").read_text())["splits"]
    assert results["splits"]["test"]["wa"] == pytest.approx(stored["test"]["wa"])
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "id,gold,prediction,p(angry),p(happy),p(sad),split"
    # The same data with the classes in another order: told apart by name.
    swapped = replace(emotions(), classes=("sad", "happy", "angry"), labels=2 - emotions().labels)
    write_store(swapped, tmp_path / "swapped.store")
    again = commands.evaluate([str(tmp_path / "run"), "--data", str(tmp_path / "swapped.store")])
    assert again["splits"]["test"]["confusion"] == results["splits"]["test"]["confusion"]
    write_store(replace(emotions(), classes=("angry", "happy", "bored")), tmp_path / "other.store")
    with pytest.raises(DataError, match=r"are classes \(angry, happy, bored\), and the model predicts classes \(angry"):
        commands.evaluate([str(tmp_path / "run"), "--data", str(tmp_path / "other.store")])
    write_store(replace(emotions(), classes=()), tmp_path / "scores.store")
    with pytest.raises(DataError, match="are scores, and the model predicts classes"):
        commands.evaluate([str(tmp_path / "run"), "--data", str(tmp_path / "scores.store")])
    capsys.readouterr()

    rows = predict([str(tmp_path / "run"), "--data", str(store)])
    assert len(rows) == 54
    assert set(rows[0]) == {"id", "class", "probability", "p(angry)", "p(happy)", "p(sad)", "text"}
    assert rows[0]["probability"] == max(rows[0][f"p({c})"] for c in NAMES)
    assert rows[0]["class"] in capsys.readouterr().out.splitlines()[0]
    for command in ("explain", "embed", "robustness"):
        from modashift.evaluate import cli

        more = ["--id", "s0_1"] if command == "explain" else []
        with pytest.raises(ModashiftError, match=r"tells classes apart .*for models of scores only"):
            getattr(cli, command)([str(tmp_path / "run"), *more])


def test_scores_have_no_classes(args, tmp_path):
    train("bert", DataArgs("toy"), tmp_path / "run", args, silent=True, dataset=toy_dataset())
    model = modashift.load(tmp_path / "run")
    assert model.classes == ()
    with pytest.raises(ModashiftError, match="trained on scores: use predict"):
        model.predict_classes(["it was good"])
    # A head for scores is no head for classes; the encoder goes on.
    setup = prepare("bert", {}, DataArgs("acted"), replace(args, init=str(tmp_path / "run")), emotions())
    assert any(
        "predicted scores, this run classes (angry, happy, sad): a head of another size" in n for n in setup.notes
    )
    assert any("51 start anew" in note for note in setup.notes)  # 16 × 3 weights and 3 biases


def test_what_the_protocol_is_in_words(tmp_path):
    data = emotions()
    words = {
        DataArgs("x"): "splits of the data",
        DataArgs("x", folds=3): "3 folds, grouped by video or speaker, 15% of the training utterances as dev",
        DataArgs("x", leave_out="s1"): "s1 left out, 15% of the training utterances as dev",
        DataArgs("x", validation=0.2, group="none"): "splits of the data, 20% of train as dev, utterances drawn singly",
    }
    for args, expected in words.items():
        assert protocol_in_words(args, data) == f"3 classes (angry, happy, sad); {expected}"
    args = DataArgs("x", protocol="actors3", fold=2)
    own = load_splits(args, data)
    assert set(own.splits) == {"train", "dev", "test"}
    assert "actors3: 3 folds, speakers held out" in protocol_in_words(args, own)
    with pytest.raises(DataError, match="decides about all splits"):
        load_splits(replace(args, validation=0.2), data)


def test_runs_from_before_there_were_classes_resume(args, tmp_path):
    run(tmp_path / "run", args, "bert", toy_dataset(), DataArgs("toy"))
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    for key in ("class_weights", "protocol"):
        del config[key]
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    assert run(tmp_path / "run", args, "bert", toy_dataset(), DataArgs("toy"), resume=True)["model"] == "bert"
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    del stored["classes"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(stored))
    preprocessor = json.loads((tmp_path / "run" / "preprocessor.json").read_text())
    del preprocessor["classes"]
    (tmp_path / "run" / "preprocessor.json").write_text(json.dumps(preprocessor))
    assert modashift.load(tmp_path / "run").predict(["it was good"]).shape == (1,)
