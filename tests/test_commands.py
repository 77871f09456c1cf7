"""The command line as a user meets it."""

import contextlib
import json
import subprocess
import sys
import time

import pytest
import yaml

from modashift import __version__
from modashift.__main__ import COMMANDS, main, normalised
from modashift.data.open import open_dataset
from support import toy_dataset, write_table


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return str(write_table(toy_dataset(), tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def run(tmp_path_factory, table, tiny_backbone):
    folder = tmp_path_factory.mktemp("runs") / "clr"
    options = ["--backbone", tiny_backbone, "--epochs", "2", "--batch-size", "8", "--compile=false"]
    status = main(["train", "cmsbert-clr", "--data", table, "--run", str(folder), *options, "--tensorboard=false",
                   "--model.shift.activation", "tanh", "--normalise", "train"])  # fmt: skip
    assert status == 0
    return folder


def test_help_is_quick_and_names_every_command(capsys):
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "modashift", "--help"], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 2
    assert all(name in done.stdout for name in COMMANDS)
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    ["train", "train cmsbert-clr", "evaluate", "predict", "models", "demo", "data", "data inspect", "data import"],
)
def test_every_command_explains_itself(command, capsys):
    with contextlib.suppress(SystemExit):
        main([*command.split(), "--help"])
    assert "usage" in capsys.readouterr().out.lower()


def test_train_writes_its_configuration(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["name"] == "cmsbert-clr"
    assert config["model"]["shift"]["activation"] == "tanh"
    assert config["normalise"] == "train"
    assert json.loads((run / "preprocessor.json").read_text())["normaliser"]["kind"] == "train"


def test_resume_needs_no_option_repeated(run, capsys):
    assert main(["train", "cmsbert-clr", "--run", str(run), "--resume"]) == 0
    assert "floor" in capsys.readouterr().out
    assert main(["train", "cmsbert", "--run", str(run), "--resume"]) == 2
    assert "is for 'cmsbert-clr'" in capsys.readouterr().err


def test_evaluate_repeats_the_metrics_of_the_run(run, table, tmp_path, capsys):
    from modashift.commands import evaluate

    stored = json.loads((run / "results.json").read_text())["splits"]
    for arguments in ([str(run)], [str(run), "--data", table, "--out", str(tmp_path / "p.csv")]):
        found = evaluate(arguments)["splits"]
        for split in ("train", "dev", "test"):
            assert found[split]["mae"] == pytest.approx(stored[split]["mae"], abs=1e-6)
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 61
    assert "MAE" in capsys.readouterr().out


def test_predict_from_text_standard_input_and_data(run, table, tmp_path, capsys, monkeypatch):
    import io

    assert main(["predict", str(run), "--text", "good movie", "bad movie", "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == ["good movie", "bad movie"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("good movie\n\nbad movie\n"))
    assert main(["predict", str(run), "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["predict", str(run), "--data", table, "--out", str(tmp_path / "scores.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert len(rows) == len(open_dataset(table))
    stored = (run / "predictions.csv").read_text().splitlines()[1].split(",")
    assert {r["id"]: r["score"] for r in rows}[stored[0]] == pytest.approx(float(stored[2]), abs=1e-6)


def test_options_may_be_typed_as_people_do():
    typed = ["--batch-size", "8", "--dev-as-test", "--lr=1e-4", "--text", "a-b", "--resume"]
    assert normalised(typed) == [
        "--batch_size",
        "8",
        "--dev_as_test=true",
        "--lr=1e-4",
        "--text",
        "a-b",
        "--resume=true",
    ]
    assert normalised(["--help"]) == ["--help"]
    assert normalised(["--folder", "r"]) == ["--run", "r"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frobnicate"], "no command 'frobnicate'"),
        (["train", "bertt"], "no model 'bertt'"),
        (["train", "bert", "--data", "nowhere.pkl", "--run", "r"], "nowhere.pkl"),
        (["evaluate", "nowhere"], "neither a folder here nor a model on the hub"),
        (["predict", "nowhere", "--text", "x", "--data", "y"], "not both"),
    ],
)
def test_errors_are_one_line_and_name_the_thing(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_models_lists_all(capsys):
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    for name in ("bert", "cmsbert-1", "cmsbert", "cmsbert-clr", "Kim and Kim"):
        assert name in out
