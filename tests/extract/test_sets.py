"""The registry of feature sets and the command that prints it."""

import json

import pytest

from modashift.errors import DataError
from modashift.extract.covarep.grid import NAMES
from modashift.extract.face.columns import BLENDSHAPES
from modashift.extract.features_cli import features
from modashift.extract.sets import feature_sets, find_set, get_set


@pytest.mark.parametrize(
    ("name", "count", "modality"),
    [("face", 65, "visual"), ("action-units", 28, "visual"), ("covarep", 74, "acoustic"), ("egemaps", 25, "acoustic")],
)
def test_sets(name: str, count: int, modality: str) -> None:
    each = get_set(name)
    assert (each.name, len(each.columns), each.modality) == (name, count, modality)
    assert len(set(each.names)) == count
    assert all(column.unit and column.meaning for column in each.columns)
    assert len({column.meaning for column in each.columns}) == count
    assert each.rate > 0
    assert each.source


def test_order_of_known_columns() -> None:
    assert get_set("covarep").names == NAMES
    assert get_set("face").names[:52] == BLENDSHAPES
    assert len(BLENDSHAPES) == 52


def test_a_set_is_found_by_exactly_its_columns() -> None:
    for name, each in feature_sets().items():
        assert find_set(list(each.names)) == name
        assert find_set(each.names[:-1]) is None
        assert find_set(each.names[::-1]) is None
    assert find_set([]) is None


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(DataError, match=r"no feature set 'facet'; there are face, action-units, covarep, egemaps"):
        get_set("facet")
    with pytest.raises(DataError, match="no feature set 'facet'"):
        features(["facet"])


def test_the_command_lists_all_sets(capsys: pytest.CaptureFixture[str]) -> None:
    features([])
    shown = capsys.readouterr().out
    for name, each in feature_sets().items():
        assert f"{name}: {each.modality}, {len(each.columns)} columns" in shown


def test_the_command_lists_the_columns_of_a_set(capsys: pytest.CaptureFixture[str]) -> None:
    features(["covarep"])
    first, *rows = capsys.readouterr().out.splitlines()
    assert first == "covarep: acoustic, 74 columns, 100 a second"
    assert [row.split()[:2] for row in rows] == [[str(i), name] for i, name in enumerate(NAMES)]
    assert rows[0].split()[2] == "Hz"


def test_the_command_writes_json(capsys: pytest.CaptureFixture[str]) -> None:
    features(["face", "--json"])
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["name"] == "face"
    assert len(shown["columns"]) == 65
    assert shown["columns"][53] == dict(zip(("name", "unit", "meaning"), get_set("face").columns[53]))
    features(["--json"])
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == list(feature_sets())
