import pytest

from modashift import recipes
from modashift.errors import ModashiftError


def test_shipped_configurations_are_found_by_name_and_files_by_path(tmp_path):
    assert recipes.find("bert-mag") == recipes.find("bert-mag.yaml") == recipes.folder() / "bert-mag.yaml"
    own = tmp_path / "mine.yaml"
    own.write_text("epochs: 3\nfold: 2\nmodel: {dropout: 0.2}\n")
    found = recipes.read(own)
    assert (found.train, found.data, found.options) == ({"epochs": 3}, {"fold": 2}, {"dropout": 0.2})


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(ModashiftError, match="neither a file nor shipped; try bert-mag"):
        recipes.find("bert-nothing")
    own = tmp_path / "mine.yaml"
    own.write_text("epoch: 3\n")
    with pytest.raises(ModashiftError, match="epoch is no option"):
        recipes.read(own)
    own.write_text("- a\n")
    with pytest.raises(ModashiftError, match="not a configuration"):
        recipes.read(own)
