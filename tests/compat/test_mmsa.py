"""MMSA's call and command: its pickles in, its table out."""

import csv
import json

import numpy as np
import pytest

from modashift import recipes
from modashift.compat import MMSA_run
from modashift.compat.__main__ import main
from modashift.compat.mmsa import COLUMNS, read_table, write_table
from modashift.data.mmsa_write import write_mmsa
from modashift.errors import ModashiftError
from support import toy_dataset

QUICK = {"num_epochs": 2, "batch_size": 8, "early_stop": 5}


@pytest.fixture
def root(tmp_path, tiny_backbone):
    folder = tmp_path / "data" / "MOSI" / "Processed"
    folder.mkdir(parents=True)
    write_mmsa(toy_dataset(), folder / "aligned_50.pkl")
    return tmp_path / "data"


def test_a_run_over_two_seeds_writes_the_table(root, tmp_path, tiny_backbone):
    config = {**QUICK, "pretrained": tiny_backbone, "dataset_root_dir": str(root)}
    row = MMSA_run("bert_mag", "mosi", config, seeds=[1111, 1112], model_save_dir=tmp_path / "m",
                   res_save_dir=tmp_path / "r", verbose_level=0, gpu_ids=[0])  # fmt: skip
    results = [json.loads((tmp_path / f"m/mag-bert-mosi-{s}/results.json").read_text()) for s in (1111, 1112)]
    for column, metric in COLUMNS.items():
        values = [100 * r["splits"]["test"][metric] for r in results]
        assert row[column] == (round(np.mean(values), 2), round(np.std(values), 2))
    lines = list(csv.reader((tmp_path / "r/mosi.csv").read_text().splitlines()))
    assert lines[0] == ["Model", "Has0_acc_2", "Non0_acc_2", "Has0_F1_score", "Non0_F1_score", "Mult_acc_5",
                        "Mult_acc_7", "MAE", "Corr"]  # fmt: skip
    assert lines[1][0] == "bert_mag"
    assert lines[1][7] == f"({row['MAE'][0]}, {row['MAE'][1]})"
    assert read_table(tmp_path / "r/mosi.csv") == {"bert_mag": row}


def test_the_command(root, tmp_path, tiny_backbone, capsys):
    file = tmp_path / "c.json"
    file.write_text(json.dumps(QUICK))
    code = main(["-m", "mag-bert", "-d", "mosi", "-s", "1111", "-c", str(file), "-v", "0",
                 "--dataset-root-dir", str(root), "--pretrained", tiny_backbone,
                 "--model-save-dir", str(tmp_path / "m"), "--res-save-dir", str(tmp_path / "r")])  # fmt: skip
    assert code == 0
    assert "MAE" in capsys.readouterr().out
    assert (tmp_path / "r" / "mosi.csv").is_file()


def test_tuning_is_judged_by_the_validation_split(root, tmp_path, tiny_backbone):
    config = {**QUICK, "pretrained": tiny_backbone, "dataset_root_dir": str(root), "learning_rate": [1e-2, 1e-9],
              "learning_rate_bert": [1e-2, 1e-9]}  # fmt: skip
    MMSA_run("cmsbert", "mosi", config, is_tune=True, tune_times=8, seeds=[1], model_save_dir=tmp_path / "m",
             res_save_dir=tmp_path / "r", verbose_level=0)  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "r/cmsbert-mosi-tune.csv").read_text().splitlines()))
    found = {}
    for run in (tmp_path / "m/tune").iterdir():
        used = recipes.read(run / "config.yaml").train
        found[(str(used["lr"]), str(used["lr_backbone"]))] = json.loads((run / "results.json").read_text())["splits"]
    assert len(rows) == len(found) > 1
    for row in rows:
        pair = (row["learning_rate"], row["learning_rate_bert"])
        assert float(row["Valid_MAE"]) == pytest.approx(found[pair]["dev"]["mae"], abs=1e-4)
    best = min(found, key=lambda pair: found[pair]["dev"]["mae"])
    final = recipes.read(tmp_path / "m/cmsbert-mosi-1/config.yaml").train
    assert (str(final["lr"]), str(final["lr_backbone"])) == best


def test_a_table_keeps_the_other_lines(tmp_path):
    write_table(tmp_path / "mosi.csv", "tfn", {"MAE": (90.0, 1.0), "Corr": (70.0, 0.5)})
    write_table(tmp_path / "mosi.csv", "misa", {"MAE": (80.0, 2.0), "Corr": (75.0, 0.1)})
    write_table(tmp_path / "mosi.csv", "tfn", {"MAE": (88.0, 1.0), "Corr": (71.0, -0.5)})
    found = read_table(tmp_path / "mosi.csv")
    assert found == {
        "misa": {"MAE": (80.0, 2.0), "Corr": (75.0, 0.1)},
        "tfn": {"MAE": (88.0, 1.0), "Corr": (71.0, -0.5)},
    }
    (tmp_path / "mosi.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ModashiftError, match="other columns"):
        write_table(tmp_path / "mosi.csv", "tfn", {"MAE": (1.0, 1.0)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lmf", "mosi", {}), "there is no model 'lmf' here"),
        (("mag-bert", "iemocap", {}), "choose from mosi, mosei, sims"),
        (("mag-bert", "mosi", {"hidden_dims": [1]}), "hidden_dims has no counterpart"),
        (("mag-bert", "mosi", {"model": {"depth": 3}}), "has no option 'depth'"),
        (("mag-bert", "mosi", {"featurePath": "/nowhere.pkl"}), "nowhere.pkl is not there"),
    ],
)
def test_clear_errors(root, arguments, message):
    model, dataset, config = arguments
    with pytest.raises(ModashiftError, match=message):
        MMSA_run(model, dataset, {"dataset_root_dir": str(root), **config})


def test_an_unknown_argument_is_not_swallowed(root):
    with pytest.raises(ModashiftError, match="takes no feature_Z"):
        MMSA_run("mag-bert", "mosi", {"dataset_root_dir": str(root)}, feature_Z="x")
