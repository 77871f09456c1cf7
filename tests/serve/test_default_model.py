"""The default model, trained in a moment: a tiny backbone and made sentences in place of the real ones."""

import threading

import pytest

import modashift.data.reviews
import modashift.train.command
from modashift.__main__ import main
from modashift.default_model import RECIPE, Recipe, default_model_name, keep_as_default, provide_default_model
from modashift.errors import DataError
from modashift.predictor import load
from support import toy_dataset


@pytest.fixture
def recipe(tmp_path, monkeypatch, tiny_backbone):
    """A recipe that trains at once, an empty cache, and a list that counts the trainings."""
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(modashift.data.reviews, "load_reviews", lambda sets: toy_dataset(features=()))
    train, calls = modashift.train.command.train, []

    def counted(*arguments, **options):
        calls.append(arguments)
        return train(*arguments, **options)

    monkeypatch.setattr(modashift.train.command, "train", counted)
    return Recipe(backbone=tiny_backbone), calls


def test_it_is_trained_once_and_says_so(recipe, capsys):
    given, calls = recipe
    said = []
    folder = provide_default_model(given, said.append)
    assert "trained, once" in said[0]
    assert capsys.readouterr().out == ""  # results alone go there
    assert load(folder).predict(["good movie"]).shape == (1,)
    assert (folder / "predictions.csv").is_file()
    assert provide_default_model(given, said.append) == folder
    assert (len(said), len(calls)) == (1, 1)


def test_two_that_want_it_at_once_train_it_once(recipe):
    given, calls = recipe
    found = []
    threads = [threading.Thread(target=lambda: found.append(provide_default_model(given, str))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(calls) == 1


def test_what_fails_leaves_nothing_and_nothing_takes_its_place(recipe, monkeypatch):
    given, _ = recipe

    def offline(sets):
        raise DataError("the sentences cannot be fetched")

    monkeypatch.setattr(modashift.data.reviews, "load_reviews", offline)
    with pytest.raises(DataError, match="cannot be fetched"):
        provide_default_model(given, str)
    monkeypatch.setattr(modashift.data.reviews, "load_reviews", lambda sets: toy_dataset(features=()))
    assert load(provide_default_model(given, str))


def test_the_demos_model_is_taken_over(recipe, runs, capsys):
    folder = keep_as_default(runs / "bert")
    assert folder.name == default_model_name(RECIPE)
    assert not list(folder.glob("tensorboard"))
    assert main(["predict", "default", "--text", "good movie", "--format", "json"]) == 0
    out = capsys.readouterr()
    assert '"score"' in out.out
    assert "trained, once" not in out.err


def test_another_recipe_has_another_name():
    assert default_model_name(Recipe(epochs=2)) != default_model_name(RECIPE) == default_model_name(Recipe())
