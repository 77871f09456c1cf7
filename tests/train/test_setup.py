"""What a run's own configuration says about its data."""

from dataclasses import MISSING, asdict, fields
from types import UnionType
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import yaml

from modashift.errors import ModashiftError
from modashift.train import setup
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.setup import load_splits, run_data
from support import toy_dataset, write_table

HINTS = get_type_hints(DataArgs)
OPTIONS = {f.name: f.default for f in fields(DataArgs) if f.default is not MISSING}
SOME = {int: 3, float: 0.2, str: "something", list[str]: ["visual"], dict[str, int | list[int]]: {"acoustic": 3}}


def other(option):
    """A value of an option that is not its default, whatever options there will be."""
    kind = get_args(HINTS[option])[0] if isinstance(HINTS[option], UnionType) else HINTS[option]  # of "kind | None"
    if kind is bool:
        return not OPTIONS[option]
    values = get_args(kind) if get_origin(kind) is Literal else [SOME[kind]]
    return next(value for value in values if value != OPTIONS[option])


@pytest.fixture
def table(tmp_path):
    return str(write_table(toy_dataset(60), tmp_path))


def stored(folder, **values):
    """A run folder with a configuration as training writes it."""
    folder.mkdir(exist_ok=True)
    train = {k: v for k, v in asdict(TrainArgs()).items() if k != "precision"}  # a run may lack training options too
    (folder / "config.yaml").write_text(yaml.safe_dump({"name": "bert", **values, **train, "model": {}}))
    return folder


def test_the_data_of_a_run_have_the_splits_it_was_trained_with(table, tmp_path):
    args = DataArgs(table, validation=0.2, group="none", split_seed=3)
    found = run_data(stored(tmp_path / "run", **asdict(args)))
    expected = load_splits(args)
    assert list(found.ids) == list(expected.ids)
    assert np.array_equal(found.splits, expected.splits)
    assert not np.array_equal(found.splits, load_splits(DataArgs(table)).splits)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_is_newer_than_the_run_stands_at_its_default(option, table, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(setup, "load_splits", asked.append)
    config = {"data": table, **{name: other(name) for name in OPTIONS}}
    run_data(stored(tmp_path / "run", **config))
    value = config.pop(option)
    run_data(stored(tmp_path / "run", **config))
    with_it, without = asked
    assert getattr(with_it, option) == value
    assert without == DataArgs(**config)
    assert getattr(without, option) == OPTIONS[option] != value


def test_a_run_from_before_all_these_options_opens(table, tmp_path):
    run = stored(tmp_path / "run", data=table, an_option_since_removed=1)
    assert np.array_equal(run_data(run).splits, load_splits(DataArgs(table)).splits)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ModashiftError, match=r"is no run folder.*give --data FILE"):
        run_data(tmp_path)
