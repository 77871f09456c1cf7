"""The word-level CMU-MOSI files, as found in the wild, each train here on a tiny backbone."""

import math

import pytest

from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train


@pytest.mark.parametrize(
    ("file", "declare"),
    [("mag_format.pkl", {}), ("mmsa_format.pkl", {}), ("misa_dev.pkl", {"folds": 5, "fold": 2})],
)
def test_each_file_trains(mosi, tmp_path, tiny_backbone, file, declare):
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=32, tensorboard=False)
    data = DataArgs(str(mosi / file), **declare)
    results = train("cmsbert-clr", data, tmp_path / "run", args, silent=True)
    assert set(results["splits"]) == {"train", "dev", "test"}
    assert sum(part["n"] for part in results["splits"].values()) == 229
    assert all(math.isfinite(part["mae"]) for part in results["splits"].values())


def test_a_group_can_be_left_out(mosi, tmp_path, tiny_backbone):
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=32, tensorboard=False)
    data = DataArgs(str(mosi / "misa_dev.pkl"), leave_out="WKA5OygbEKI")
    train("bert", data, tmp_path / "run", args, silent=True)
    rows = [line.split(",") for line in (tmp_path / "run/predictions.csv").read_text().splitlines()[1:]]
    assert {r[0].rpartition("_")[0] for r in rows if r[3] == "test"} == {"WKA5OygbEKI"}
    assert "WKA5OygbEKI" not in {r[0].rpartition("_")[0] for r in rows if r[3] != "test"}
