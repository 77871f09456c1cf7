"""Ranges from dev errors: the quantile recomputed, their coverage, and what happens where there are none."""

import csv
import math

import numpy as np
import pytest

from made_runs import make_run
from modashift.serve.uncertainty import Residuals, dev_residuals, half_width


@pytest.mark.parametrize("n", [9, 20, 57])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_half_width_is_the_rank_that_conformal_prediction_asks_for(n, level):
    sizes = np.random.default_rng(n).exponential(size=n)
    enough = [s for s in sizes if (sizes <= s).sum() >= (n + 1) * level - 1e-9]
    assert half_width(sizes, level) == min(enough)


def test_intervals_hold_new_truths_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        errors = rng.standard_t(3, size=40)
        held.append(abs(rng.standard_t(3)) <= half_width(np.abs(errors), 0.8))
    # The chance is between .8 and .8 + 1/41; 2,000 draws have a standard error of .009.
    assert 0.775 < np.mean(held) < 0.855


def test_too_few_errors_have_no_quantile():
    with pytest.raises(ValueError, match="too few"):
        half_width(np.ones(3), 0.8)


def test_errors_are_read_from_the_run_and_averaged_over_seeds(tmp_path):
    folders = [make_run(tmp_path / str(seed), seed=seed) for seed in (1, 2, 3)]
    rows = {}
    for folder in folders:
        with (folder / "predictions.csv").open() as file:
            for row in csv.DictReader(file):
                if row["split"] == "dev":
                    rows.setdefault(row["id"], []).append((float(row["gold"]), float(row["prediction"])))
    one = dev_residuals(folders[:1])
    assert one.data == "CMU-MOSI"
    assert sorted(one.sizes) == pytest.approx(sorted(abs(pairs[0][0] - pairs[0][1]) for pairs in rows.values()))
    three = dev_residuals(folders)
    expected = [abs(pairs[0][0] - sum(p for _, p in pairs) / 3) for pairs in rows.values()]
    assert sorted(three.sizes) == pytest.approx(sorted(expected))
    assert "mean of the 3 models' scores" in three.sentence(3)


def test_without_dev_predictions_there_is_no_range_and_it_is_said(tmp_path):
    (tmp_path / "a").mkdir()
    nothing = dev_residuals([tmp_path / "a"])
    assert nothing.interval(1.0) is None
    assert "No range is given: a holds no predictions" in nothing.sentence()
    few = dev_residuals([make_run(tmp_path / "few", sizes={"train": 5, "dev": 19, "test": 5})])
    assert few.interval(1.0) is None
    assert "only 19 dev predictions" in few.sentence()
    (tmp_path / "a" / "predictions.csv").write_text("id,class\n1,happy\n")
    assert dev_residuals([tmp_path / "a"]).missing


def test_the_range_ends_with_the_scale_but_always_holds_the_score():
    residuals = Residuals(np.linspace(0.1, 2, 40), "made")
    half = half_width(residuals.sizes)
    inside = residuals.interval(0.0)
    assert (inside.low, inside.high) == (-half, half)
    top = residuals.interval(2.5)
    assert top.high == 3
    assert math.isclose(top.low, 2.5 - half)
    beyond = residuals.interval(3.4)
    assert beyond.low < 3.4 <= beyond.high
