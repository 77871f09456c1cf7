"""Action units made of blendshapes, recomputed from the table of the documentation."""

import re
from pathlib import Path

import numpy as np
import pytest

from modashift.errors import DataError
from modashift.extract.face.action_units import ACTION_UNITS, UNITS, action_units
from modashift.extract.face.columns import BLENDSHAPES, FACE
from modashift.extract.recording import Frames

ROOT = Path(__file__).resolve().parents[3]


def frames(**shapes: float) -> Frames:
    values = np.zeros((3, len(FACE.names)), dtype=np.float32)
    for name, value in shapes.items():
        values[:, FACE.names.index(name)] = value
    values[2] = np.nan
    return Frames("face", FACE.names, values, np.array([0.0, 0.1, 0.2]), np.array([True, True, False]))


def units_of(**shapes: float) -> dict[str, float]:
    found = action_units(frames(**shapes))
    assert found.values[0] == pytest.approx(found.values[1])
    return {name: float(value) for name, value in zip(found.columns, found.values[0]) if abs(value) > 1e-6}


def test_times_and_mask_are_kept() -> None:
    found = action_units(frames())
    assert found.set_name == "action-units"
    assert found.columns == ACTION_UNITS.names
    assert found.times.tolist() == [0.0, 0.1, 0.2]
    assert found.mask.tolist() == [True, True, False]
    assert np.isnan(found.values[2]).all()


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ({"browInnerUp": 0.5}, {"AU01": 0.5}),
        ({"mouthSmileLeft": 0.6, "mouthSmileRight": 0.2}, {"AU12": 0.4}),
        ({"mouthDimpleLeft": 0.6, "mouthDimpleRight": 0.2}, {"AU14": 0.6}),
        ({"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}, {"AU45": 1.0}),
        ({"jawOpen": 0.5}, {"AU25": 0.5, "AU26": 0.5}),
        ({"jawOpen": 0.5, "mouthClose": 0.4}, {"AU25": 0.1, "AU26": 0.5}),
        ({"jawOpen": 0.1, "mouthClose": 0.4}, {"AU26": 0.1}),
        ({"mouthLowerDownLeft": 0.4, "mouthLowerDownRight": 0.2}, {"AU16": 0.3, "AU25": 0.3}),
        ({"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.3}, {"AU61": 0.4}),
        ({"eyeLookInLeft": 0.5, "eyeLookOutRight": 0.3}, {"AU62": 0.4}),
        ({"_neutral": 1.0}, {}),
    ],
)
def test_units_by_hand(shapes: dict[str, float], expected: dict[str, float]) -> None:
    assert units_of(**shapes) == pytest.approx(expected)


def test_every_blendshape_of_a_unit_exists_and_moves_it() -> None:
    for unit in UNITS:
        assert set(unit.blendshapes) <= set(BLENDSHAPES), unit.name
        if unit.combine != "open":
            for name in unit.blendshapes:
                assert units_of(**{name: 1.0}).get(unit.name, 0) > 0, (unit.name, name)


def test_units_are_in_order_and_unique() -> None:
    numbers = [int(unit.name.removeprefix("AU")) for unit in UNITS]
    assert numbers == sorted(set(numbers))
    assert all(re.fullmatch(r"AU\d\d", unit.name) for unit in UNITS)


def test_other_features_are_refused() -> None:
    other = Frames("covarep", ("F0",), np.zeros((1, 1), np.float32), np.zeros(1), np.ones(1, bool))
    with pytest.raises(DataError, match=r"covarep features lack _neutral, browDownLeft, browDownRight …"):
        action_units(other)


def test_the_documentation_gives_the_same_mapping() -> None:
    page = (ROOT / "docs" / "face.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (AU\d\d) \| [^|]+ \| ([^|]+) \|", page, re.MULTILINE))
    assert list(rows) == [unit.name for unit in UNITS]
    for unit in UNITS:
        assert tuple(re.findall(r"`(\w+)`", rows[unit.name])) == unit.blendshapes, unit.name
        assert f"| {unit.name} | {unit.movement} |" in page
        assert ("larger" in rows[unit.name]) == (unit.combine in ("max", "open")), unit.name
