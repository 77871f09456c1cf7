"""Layers are chosen by dev figures, seed-averaged and fold by fold; figures of test are not even read."""

import json

import pytest

from modashift.errors import DataError
from modashift.experiments.grid import Run
from modashift.experiments.settings import Settings
from modashift.layers.choose import best_layer, choose, dev_values
from modashift.layers.plan import Part, cells
from modashift.train.args import DataArgs, TrainArgs

PARTS = (Part("acoustic", (0, 1, 2), "net"),)


def test_the_mean_over_seeds_decides():
    values = {0: [0.1, 1.3], 1: [0.6, 0.6], 2: [0.9, 0.9]}
    assert best_layer(values, lower=True) == 1
    assert best_layer(values, lower=False) == 2


def test_of_equal_layers_the_one_nearest_to_the_output_is_chosen():
    assert best_layer({0: [0.5], 3: [0.5], 2: [0.5]}, lower=True) == 3
    assert best_layer({0: [0.5], 3: [0.5], 2: [0.5]}, lower=False) == 3


@pytest.mark.parametrize("values", [{0: [1.0], 1: [1.0, 2.0]}, {0: [], 1: []}])
def test_layers_of_unlike_numbers_of_seeds_are_not_compared(values):
    with pytest.raises(ValueError, match="over the same seeds"):
        best_layer(values, lower=True)


def test_each_fold_has_its_own_choice():
    rows = cells(PARTS, together=False, weighted=True)
    dev = {
        "acoustic-00": {1: {7: 0.2, 8: 0.4}, 2: {7: 0.9, 8: 0.9}},
        "acoustic-01": {1: {7: 0.1, 8: 0.6}, 2: {7: 0.5, 8: 0.5}},
        "acoustic-02": {1: {7: 0.7, 8: 0.7}, 2: {7: 0.6, 8: 0.5}},
        "acoustic-weighted-a0to2": {1: {7: 0.0, 8: 0.0}, 2: {7: 0.0, 8: 0.0}},  # no layer, so no candidate
    }
    assert choose(PARTS, rows, dev, lower=True) == {"acoustic": {1: 0, 2: 1}}
    assert choose(PARTS, rows, dev, lower=False) == {"acoustic": {1: 2, 2: 0}}


def made(row, seed, fold=None):
    data = DataArgs("x") if fold is None else DataArgs("x", folds=3, fold=fold)
    settings = Settings("gated-encoders", data, TrainArgs(seed=seed), {})
    return Run(f"{row}/made/{seed}" + (f"/fold{fold}" if fold else ""), row, "made", seed, settings)


def written(run, out, splits):
    folder = run.folder(out)
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"splits": splits}))


def test_dev_figures_are_read_and_nothing_of_test(tmp_path):
    runs = [made("acoustic-00", 1), made("acoustic-01", 1)]
    written(runs[0], tmp_path, {"dev": {"mae": 0.5}})  # there is no test figure to be read
    written(runs[1], tmp_path, {"dev": {"mae": 0.7}, "test": "unreadable"})
    assert dev_values(runs, tmp_path, "mae") == {"acoustic-00": {0: {1: 0.5}}, "acoustic-01": {0: {1: 0.7}}}
    folded = [made("acoustic-02", 1, fold=2)]
    written(folded[0], tmp_path, {"dev": {"mae": 0.4}})
    assert dev_values(folded, tmp_path, "mae") == {"acoustic-02": {2: {1: 0.4}}}


@pytest.mark.parametrize("splits", [{}, {"test": {"mae": 0.5}}, {"dev": {"corr": 0.5}}, {"dev": {"mae": None}}])
def test_a_run_that_does_not_say_is_an_error(splits, tmp_path):
    run = made("acoustic-00", 1)
    written(run, tmp_path, splits)
    with pytest.raises(DataError, match="does not say what mae is on dev"):
        dev_values([run], tmp_path, "mae")
