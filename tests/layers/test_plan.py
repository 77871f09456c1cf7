"""What is trained: modalities, layers, rows, settings, and what cannot be compared."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from made_layers import ALWAYS, layered
from modashift.data.dataset import Feature
from modashift.data.open import open_dataset
from modashift.data.store import write_store
from modashift.errors import DataError, ModashiftError
from modashift.experiments.grid import resolve
from modashift.layers.plan import Part, cells, combination, parse_layers, parts_of
from modashift.layers.prepare import Asked, prepare
from modashift.train.setup import prepare as build

SIZES = {"train": 12, "dev": 6, "test": 6}
LAYERS = {"acoustic": (0, 1, 4), "linguistic": (0, 1, 2)}


@pytest.fixture
def dataset():
    made = layered({m: {1: ALWAYS} for m in LAYERS}, LAYERS, SIZES)
    rng = np.random.default_rng(3)
    units = replace(Feature.pack([rng.normal(size=(3, 2)) for _ in range(len(made))], 2), alignment="frame")
    return replace(made, features={**made.features, "visual": units})


@pytest.fixture
def stores(dataset, tmp_path):
    """The states, one store a modality, and two conventional sets."""
    for m in LAYERS:
        write_store(dataset.keep_features([m]), tmp_path / f"{m}.store")
    write_store(dataset, tmp_path / "all.store")
    units = dataset.features["visual"]
    write_store(replace(dataset, features={"acoustic": units}), tmp_path / "covarep.store")
    write_store(replace(dataset, features={"visual": units, "acoustic": units}), tmp_path / "faces.store")
    return tmp_path


def planned(stores, *data, **options):
    return prepare(Asked(data=[str(stores / d) for d in data], **options), stores / "out")


def rows(plan):
    return [cell.row for cell in plan.cells]


@pytest.mark.parametrize(
    ("text", "expected"), [("all", None), ("3", (3,)), ("6,0,3", (0, 3, 6)), ("1-3,2, 7", (1, 2, 3, 7))]
)
def test_layers_as_people_write_them(text, expected):
    assert parse_layers(text) == expected


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "-1", "1.5"])
def test_what_is_no_list_of_layers(text):
    with pytest.raises(ModashiftError, match="expected all, or numbers"):
        parse_layers(text)


def test_the_last_layer_is_always_compared(dataset):
    found = parts_of(dataset, ["acoustic", "linguistic"], ["0", "linguistic=all"])
    assert found == (Part("linguistic", (0, 1, 2), "linguistic-net"), Part("acoustic", (0, 4), "acoustic-net"))
    assert [part.output for part in found] == [2, 4]
    assert [part.modality for part in parts_of(dataset, ["all"], ["all"])] == ["linguistic", "visual", "acoustic"]


@pytest.mark.parametrize(
    ("modalities", "layers", "message"),
    [
        (["smell"], ["all"], "has no smell; it has linguistic, visual, acoustic, all"),
        (["acoustic"], ["2"], "the states of acoustic-net hold no layer 2"),
        (["acoustic"], ["linguistic=1"], "the modalities to compare are acoustic"),
        (["visual", "acoustic"], ["visual=1"], "visual features of made are no hidden states"),
        (["visual"], ["all"], "there are no layers to compare"),
    ],
)
def test_modalities_and_layers_that_are_not_there(dataset, modalities, layers, message):
    with pytest.raises((ModashiftError, DataError), match=message):
        parts_of(dataset, modalities, layers)


def test_rows_of_a_comparison(dataset):
    parts = parts_of(dataset, [], ["all"])
    found = {cell.row: cell for cell in cells(parts, together=True, weighted=True)}
    assert list(found) == [
        *("linguistic-00", "linguistic-01", "linguistic-02", "linguistic-weighted-l0to2", "visual-given"),
        *("acoustic-00", "acoustic-01", "acoustic-04", "acoustic-weighted-a0.1.4"),
        *("all-l00+a00", "all-l01+a01", "all-l02+a04", "all-weighted-l0to2+a0.1.4"),
    ]
    assert found["acoustic-04"].data == {"features": ["acoustic"], "layers": {"acoustic": 4}}
    assert found["linguistic-weighted-l0to2"].data["layers"] == {"linguistic": [0, 1, 2]}
    assert found["all-l01+a01"].data == {
        "features": ["linguistic", "visual", "acoustic"],
        "layers": {"linguistic": 1, "acoustic": 1},
        "text": "given",
    }
    assert found["visual-given"].data == {"features": ["visual"]}
    assert combination(parts, {"linguistic": 0, "acoustic": 4}).row == "all-l00+a04"
    assert not [c for c in cells(parts, together=True, weighted=False) if c.kind == "weighted"]
    alone = cells(parts_of(dataset, ["acoustic"], ["4"]), together=True, weighted=True)
    assert [cell.row for cell in alone] == ["acoustic-04"]


def test_one_store_is_read_as_it_is(stores):
    plan = planned(stores, "all.store", modalities=["acoustic"])
    assert plan.declared["data"]["made"]["data"] == str((stores / "all.store").resolve())
    assert rows(plan)[-1] == "acoustic-weighted-a0.1.4"
    assert "one modality" in planned(stores, "all.store", modalities=["acoustic", "all"]).notes[0]


def test_stores_are_joined_and_conventional_features_stand_beside(stores):
    plan = planned(
        stores,
        "acoustic.store",
        "linguistic.store",
        conventional=[f"covarep={stores / 'covarep.store'}", f"units={stores / 'faces.store'}:acoustic"],
        modalities=["acoustic", "linguistic", "all"],
        settings=["data.normalise=segment", "conventional.normalise=none"],
    )
    assert set(plan.dataset.features) == {"acoustic", "linguistic"}
    assert rows(plan)[-2:] == ["covarep-acoustic", "units-acoustic"]
    assert "not all of them are put together" in plan.notes[0]
    found = resolve(stores / "out" / "experiment.yaml", plan.declaration({}), stores / "out")
    settings = {run.row: run.settings.data for run in found.runs}
    assert settings["acoustic-01"].layers == {"acoustic": 1}
    assert settings["acoustic-01"].normalise == "segment"
    conventional = settings["covarep-acoustic"]
    assert (conventional.normalise, conventional.layers, conventional.features) == ("none", None, ["acoustic"])
    assert list(open_dataset(conventional.data).ids) == list(plan.dataset.ids)


def test_all_conventional_features_together(stores, dataset):
    write_store(replace(dataset, features={"linguistic": dataset.features["visual"]}), stores / "words.store")
    given = [f"covarep={stores / 'covarep.store'}", f"words={stores / 'words.store'}"]
    plan = planned(stores, "acoustic.store", "linguistic.store", conventional=given)
    assert rows(plan)[-3:] == ["covarep-acoustic", "words-linguistic", "conventional-all"]
    whole = plan.cells[-1].data
    assert whole["normalise"] == "train"
    assert whole["text"] == "given"
    assert set(open_dataset(whole["data"]).features) == {"acoustic", "linguistic"}


def test_word_vectors_from_a_file(stores, dataset, tmp_path):
    vectors = tmp_path / "glove.txt.gz"
    with gzip.open(vectors, "wt") as file:
        file.write("yes 1 0\nno 0 1\n")
    with pytest.raises(ModashiftError, match="have no words to look up"):
        planned(stores, "linguistic.store", conventional=[f"glove={vectors}"])
    write_store(replace(dataset, words=[("yes", "no")] * len(dataset)), stores / "worded.store")
    plan = planned(stores, "worded.store", conventional=[f"glove={vectors}", f"covarep={stores / 'covarep.store'}"])
    cell = next(c for c in plan.cells if c.row == "glove-linguistic")
    assert cell.data["features"] == ["linguistic"]
    assert (cell.data["text"], cell.data["glove"]) == ("glove", str(vectors.resolve()))
    whole = next(c for c in plan.cells if c.row == "conventional-all")
    assert (whole.data["text"], whole.data["features"]) == ("glove", ["linguistic", "acoustic"])
    acoustic = next(c for c in plan.cells if c.row == "covarep-acoustic")
    assert "glove" not in acoustic.data
    # What such rows really train on: two columns of each, and none of the states.
    found = resolve(stores / "out" / "experiment.yaml", plan.declaration({}), stores / "out")
    settings = {run.row: run.settings for run in found.runs}
    for row, sizes in (("glove-linguistic", {"linguistic": 2}), ("conventional-all", {"linguistic": 2, "acoustic": 2})):
        own = settings[row]
        assert build(own.model, own.options, own.data, own.train).preprocessor.modality_sizes == sizes


@pytest.mark.parametrize(
    ("conventional", "message"),
    [
        ("covarep", "expected NAME=FILE"),
        ("all={}/covarep.store", "and not linguistic, visual, acoustic, all, conventional"),
        ("x={}/acoustic.store", "are states of an encoder"),
        ("x={}/nowhere.store", "there is no file or folder"),
        ("x={}/nowhere.txt", "there is no file"),
        ("x={}/faces.store:visual", "compared are acoustic"),
        ("x={}/short.store", "hold other utterances"),
    ],
)
def test_conventional_features_that_cannot_be(stores, dataset, conventional, message):
    write_store(dataset.take(range(20)), stores / "short.store")
    with pytest.raises(ModashiftError, match=message):
        planned(stores, "acoustic.store", conventional=[conventional.format(stores)])


def test_two_sets_cannot_have_one_name(stores):
    given = [f"x={stores / 'covarep.store'}", f"x={stores / 'faces.store'}:acoustic"]
    with pytest.raises(ModashiftError, match="two rows would be called x-acoustic"):
        planned(stores, "acoustic.store", conventional=given)


def test_settings_find_their_places(stores):
    given = ["train.epochs=3", "lr=1e-2", "model.encoder_size=8", "model.mask_time.count=0", "data.max_length=9"]
    plan = planned(stores, "acoustic.store", settings=given, seeds=[0, 1])
    found = resolve(stores / "out" / "experiment.yaml", plan.declaration({}), stores / "out")
    settings = found.runs[0].settings
    assert (settings.train.epochs, settings.train.lr, settings.data.max_length) == (3, 0.01, 9)
    assert settings.options["encoder_size"] == 8
    assert settings.options["mask_time"]["count"] == 0
    assert {run.seed for run in found.runs} == {0, 1}
    # The shipped recipe that has the model's name is the default, and none is none.
    assert settings.train.schedule == "warm-cosine"
    plain = planned(stores, "acoustic.store", config="none")
    assert "config" not in plain.declaration({})["rows"]["acoustic-00"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["train.epoch=3"], "epoch"),
        (["data.features=[acoustic]"], "features of the data is what the comparison sets"),
        (["conventional.normalize=none"], "did you mean 'normalise'"),
        (["model=bert"], "expected model.OPTION=VALUE"),
        (["nonsense=3"], "there is no key 'nonsense'"),
        (["epochs"], "expected KEY=VALUE"),
    ],
)
def test_settings_that_are_none(stores, settings, message):
    with pytest.raises(ModashiftError, match=message):
        planned(stores, "acoustic.store", settings=settings)


def test_a_cross_validation_is_declared_for_all_rows(stores):
    plan = planned(stores, "acoustic.store", folds=3)
    found = resolve(stores / "out" / "experiment.yaml", plan.declaration({}), stores / "out")
    assert sum(run.row == "acoustic-00" and run.seed == 1111 for run in found.runs) == 3
    some = planned(stores, "acoustic.store", protocol="random4", fold="3,1")
    cell = combination([Part("acoustic", (0, 1))], {"acoustic": 0})
    declaration = some.declaration({cell.row: (cell, [1])})
    found = resolve(stores / "out" / "experiment.yaml", declaration, stores / "out")
    assert {r.settings.data.fold for r in found.runs if r.row == "acoustic-00"} == {1, 3}
    assert [r.name for r in found.runs if r.row == cell.row and r.seed == 1111] == ["all-a00/made/1111/fold1"]
    yaml.safe_dump(declaration)  # is what the experiment's file holds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": "2"}, "give --protocol or --folds too"),
        ({"fold": "x", "folds": 3}, "expected all, or numbers"),
        ({"folds": 3, "protocol": "random3"}, "not both"),
        ({"model": "mult"}, "mult always reads words as vectors"),
        ({"model": "cmsbert", "modalities": ["linguistic"]}, "cmsbert reads the words itself"),
        ({"data": []}, "give the data with the states"),
    ],
)
def test_what_cannot_be_compared(stores, options, message):
    asked = {"data": [str(stores / "acoustic.store")], **options}
    with pytest.raises(ModashiftError, match=message):
        prepare(Asked(**asked), stores / "out")


def test_a_model_over_word_pieces_has_its_words_in_every_row(stores):
    plan = planned(stores, "all.store", model="cmsbert", modalities=["acoustic"])
    assert rows(plan) == ["acoustic-00", "acoustic-01", "acoustic-04"]
    assert plan.notes == (
        "cmsbert reads the words in every row, whatever else it has.",
        "cmsbert cannot weigh layers, so there is no weighted sum.",
    )
    assert {part.modality for part in planned(stores, "all.store", model="cmsbert").parts} == {"visual", "acoustic"}


def test_recipes_of_classes_choose_epochs_by_their_own_loss(stores, dataset):
    classes = replace(dataset.keep_features(["acoustic"]), labels=np.arange(24.0) % 2, classes=("no", "yes"))
    write_store(classes, stores / "classes.store")
    plan = planned(stores, "classes.store")
    found = resolve(Path("x.yaml"), plan.declaration({}), stores / "out")
    assert {run.settings.train.select for run in found.runs} == {"mse"}
