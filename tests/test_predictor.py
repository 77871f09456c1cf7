"""A trained model in Python."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

import modashift
from modashift.errors import DataError, ModashiftError
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from support import toy_dataset

NAMES = ("bert", "cmsbert", "cmsbert-clr")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_backbone):
    folder = tmp_path_factory.mktemp("runs")
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=8, tensorboard=False)
    for name in NAMES:
        train(name, DataArgs("toy", normalise="train"), folder / name, args, silent=True, dataset=toy_dataset())
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_it_repeats_the_predictions_of_its_run(runs, name):
    data = toy_dataset()
    model = modashift.load(runs / name)
    scores = dict(zip(data.ids, model.predict_dataset(data)))
    for line in (runs / name / "predictions.csv").read_text().splitlines()[1:]:
        identifier, _, prediction, _ = line.split(",")
        assert scores[identifier] == pytest.approx(float(prediction), abs=1e-6)
    features = {m: [f[r] for r in range(len(data))] for m, f in data.features.items() if m in model.modalities}
    np.testing.assert_allclose(model.predict(list(data.words), **features), list(scores.values()), atol=1e-5)


def test_the_order_and_company_of_texts_do_not_matter(runs):
    model = modashift.load(runs / "bert")
    texts = ["good movie", "the movie was bad", "it", "really unbelievable story " * 30]
    together = model.predict(texts)
    np.testing.assert_allclose(together[::-1], model.predict(texts[::-1]), atol=1e-5)
    np.testing.assert_allclose(together[1], model.predict(texts[1:2])[0], atol=1e-5)
    assert model.predict([]).shape == (0,)


def test_one_vector_for_the_whole_utterance(runs):
    model = modashift.load(runs / "cmsbert")
    vector, acoustic = np.arange(5.0), np.ones(3)
    repeated = model.predict(["a good movie"], visual=[np.tile(vector, (3, 1))], acoustic=[np.tile(acoustic, (3, 1))])
    np.testing.assert_allclose(
        model.predict(["a good movie"], visual=[vector], acoustic=[acoustic]), repeated, atol=1e-6
    )


def test_missing_features_are_warned_about(runs):
    model = modashift.load(runs / "cmsbert-clr")
    with pytest.warns(UserWarning, match="none are given"):
        model.predict(["good"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(["good"], visual=[None], acoustic=[None])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": "one string"}, "list"),
        (
            {"texts": ["a b"], "visual": [np.ones((3, 5))], "acoustic": [None]},
            r"text 1 has shape \(3, 5\); it has 2 words",
        ),
        ({"texts": ["a b"], "visual": [np.ones((2, 9))], "acoustic": [None]}, r"the model takes \(2, 5\)"),
        ({"texts": ["a b"], "visual": [], "acoustic": [None]}, "1 texts but 0 visual"),
        ({"texts": ["a"], "visual": [np.full((1, 5), np.nan)], "acoustic": [None]}, "NaN"),
    ],
)
def test_arrays_that_do_not_fit(runs, arguments, message):
    with pytest.raises(DataError, match=message):
        modashift.load(runs / "cmsbert").predict(**arguments)


def test_features_of_another_set_are_refused(runs):
    with pytest.raises(DataError, match="trained without visual"):
        modashift.load(runs / "bert").predict(["a"], visual=[np.ones((1, 5))])
    model = modashift.load(runs / "cmsbert")
    data = toy_dataset()
    visual = data.features["visual"]
    wide = replace(visual, values=np.zeros((len(visual.values), 7), np.float32))
    with pytest.raises(DataError, match="have 7 columns, the model takes 5"):
        model.predict_dataset(replace(data, features={**data.features, "visual": wide}))
    with pytest.raises(DataError, match="has no visual features"):
        model.predict_dataset(replace(data, features={"acoustic": data.features["acoustic"]}))
    frames = replace(visual, alignment="frame")
    with pytest.raises(DataError, match="frame each, the model was trained on one a word"):
        model.predict_dataset(replace(data, features={**data.features, "visual": frames}))


def test_columns_are_checked_by_name(tmp_path, tiny_backbone):
    data = toy_dataset(features=("acoustic",))
    named = replace(data.features["acoustic"], columns=("f0", "voicing", "naq"))
    data = replace(data, features={"acoustic": named})
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=8, tensorboard=False)
    train("cmsbert", DataArgs("toy"), tmp_path / "run", args, silent=True, dataset=data)
    model = modashift.load(tmp_path / "run")
    other = replace(data, features={"acoustic": replace(named, columns=("f0", "qoq", "naq"))})
    with pytest.raises(DataError, match="qoq for voicing"):
        model.predict_dataset(other)


def test_save_load_round_trip(runs, tmp_path):
    model = modashift.load(runs / "cmsbert-clr")
    again = modashift.load(model.save_pretrained(tmp_path / "copy"))
    data = toy_dataset()
    np.testing.assert_array_equal(again.predict_dataset(data), model.predict_dataset(data))
    assert "MAE" in (tmp_path / "copy" / "README.md").read_text()
    assert json.loads((tmp_path / "copy" / "config.json").read_text())["model"] == "cmsbert-clr"
    assert "command" not in (tmp_path / "copy" / "config.json").read_text()


def test_push_to_hub_uploads_the_folder(runs, monkeypatch):
    import huggingface_hub

    calls = {}

    class Api:
        def __init__(self, token=None):
            pass

        def create_repo(self, repo_id, **options):
            return type("Repo", (), {"repo_id": repo_id})

        def upload_folder(self, repo_id, folder_path, commit_message):
            from pathlib import Path

            calls[repo_id] = sorted(p.name for p in Path(folder_path).iterdir())
            return "commit"

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert modashift.load(runs / "bert").push_to_hub("me/model") == "commit"
    assert {"config.json", "model.safetensors", "preprocessor.json", "tokenizer.json", "README.md"} <= set(
        calls["me/model"]
    )


def test_cms_maps(runs):
    found = modashift.load(runs / "cmsbert").cms_maps("unbelievable story", np.ones((2, 5)), np.ones((2, 3)))
    n = len(found["pieces"])
    assert found["pieces"][0] == "[CLS]"
    assert found["words"].tolist() == [-1, *[0] * (n - 3), 1, -1]
    assert sorted(found["maps"]) == [1, 2]
    assert found["maps"][1]["visual"].shape == (n, n)
    assert found["shift_norm"][2].shape == (n,)
    with pytest.raises(ModashiftError, match="no shift to show"):
        modashift.load(runs / "bert").cms_maps("x")


def test_what_is_no_model(tmp_path):
    with pytest.raises(ModashiftError, match=r"config\.json"):
        modashift.load(tmp_path)
    with pytest.raises(ModashiftError, match="neither a folder here nor a model on the hub"):
        modashift.load("no/such-model")


def test_public_names():
    assert all(hasattr(modashift, name) for name in modashift.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = modashift.nothing
