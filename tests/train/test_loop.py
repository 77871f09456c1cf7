"""The loop: it learns, chooses by dev, never looks at test, and can be interrupted anywhere."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from modashift.errors import DataError, ModashiftError
from modashift.models import MODELS, get_model
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.batching import evaluation_batches, training_batches
from modashift.train.command import train
from modashift.train.loop import make_optimizer
from modashift.train.runs import RunFolder
from modashift.train.schedules import rate
from support import toy_dataset

DATA = DataArgs(data="toy")


@pytest.fixture
def args(tiny_backbone):
    return TrainArgs(
        backbone=tiny_backbone, epochs=3, batch_size=8, lr=3e-3, lr_backbone=3e-3, average=0.0, tensorboard=False
    )


def run(tmp_path, args, name="bert", data=DATA, **more):
    return train(name, data, tmp_path / "run", args, silent=True, dataset=toy_dataset(), **more)


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"augpause"}))  # it needs pauses, see its own tests
def test_a_run_leaves_everything_behind(tmp_path, args, name):
    results = run(tmp_path, args, name)
    folder = tmp_path / "run"
    for file in ("config.yaml", "environment.json", "metrics.jsonl", "predictions.csv", "model.safetensors",
                 "config.json", "preprocessor.json", "README.md", "results.json"):  # fmt: skip
        assert (folder / file).is_file(), file
    assert (folder / "tokenizer.json").is_file() == (get_model(name).text == "pieces")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert set(results["splits"]) == {"train", "dev", "test"}
    best = min(lines, key=lambda line: line["dev_mse"])
    assert results["best_epoch"] == best["epoch"]
    assert results["splits"]["dev"]["mae"] == pytest.approx(best["dev_mae"], abs=1e-5)
    assert len((folder / "predictions.csv").read_text().splitlines()) == 61
    if name == "cmsbert-clr":
        assert all("dev_contrastive" in line for line in lines)
        nu = 1.0
        for line in lines:
            nu = 0.9 * nu + 0.1 * line["dev_mse"] / line["dev_contrastive"]
            assert line["contrastive_weight"] == pytest.approx(nu, rel=1e-9)


def test_the_loss_weight_can_start_at_the_measured_ratio(tmp_path, args):
    run(tmp_path, args, "cmsbert-clr", options={"initial_weight": None})
    line = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[0])
    start = (line["contrastive_weight"] - 0.1 * line["dev_mse"] / line["dev_contrastive"]) / 0.9
    assert 0.01 < start < 0.8, "the untrained ratio of this model lies far below the default of 1"


def test_it_learns(tmp_path, args):
    results = run(tmp_path, replace(args, epochs=25, lr=1e-2, lr_backbone=1e-2), "cmsbert")
    assert results["splits"]["train"]["mae"] < 0.5 * results["splits"]["train"]["floor"]["mae"]


def test_the_test_split_is_not_touched_before_the_end(tmp_path, args):
    """Corrupting the test labels changes nothing but the test metrics."""
    first = train("bert", DATA, tmp_path / "a", args, silent=True, dataset=toy_dataset())
    spoilt = toy_dataset()
    labels = np.array(spoilt.labels)
    labels[spoilt.rows("test")] *= -1
    second = train("bert", DATA, tmp_path / "b", args, silent=True, dataset=replace(spoilt, labels=labels))
    assert (tmp_path / "a/metrics.jsonl").read_text() == (tmp_path / "b/metrics.jsonl").read_text()
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert first["splits"]["dev"] == second["splits"]["dev"]
    assert first["splits"]["test"] != second["splits"]["test"]


def test_accumulation_equals_the_large_batch(tmp_path, args, tiny_backbone):
    """With equal batch sizes, two accumulated halves give the gradient of the whole (for losses without pairs)."""
    from modashift.train.distributed import World
    from modashift.train.loop import whole_batch
    from modashift.train.setup import prepare

    setup = prepare("bert", {"dropout": 0.0}, DATA, args, toy_dataset())
    setup.model.eval()
    rows = setup.labelled("train")[:16]

    def gradient(parts):
        setup.model.zero_grad()
        for part in parts:
            (setup.model.loss(*whole_batch(setup, setup.model, part, args, World()))["loss"] / len(parts)).backward()
        return torch.cat([p.grad.flatten() for p in setup.model.parameters()])

    torch.testing.assert_close(gradient([rows]), gradient([rows[:8], rows[8:]]), atol=1e-6, rtol=1e-4)


def test_averaged_weights_follow_their_recurrence(tmp_path, args):
    """One epoch, two steps: the kept weights are d·(first step) + (1 − d)·(second step)."""
    from safetensors.torch import load_file

    data = toy_dataset()
    splits = np.array(data.splits)
    splits[data.rows("train")[16:]] = "unused"  # two batches of eight
    data = data.with_splits(splits)

    def weights(folder, **more):
        train("bert", DATA, tmp_path / folder, replace(args, epochs=1, warmup=0.0, **more), silent=True, dataset=data)
        return load_file(tmp_path / folder / "model.safetensors")

    averaged, last = weights("averaged", average=0.75), weights("last")
    # With a decay near 0 nothing but the newest weights counts.
    newest = weights("newest", average=1e-9)
    name = "head.weight"
    torch.testing.assert_close(newest[name], last[name])
    # d·w₁ + (1 − d)·w₂ for another d gives w₁, and with it the first average must come out.
    other = weights("other", average=0.5)
    first = (other[name] - 0.5 * last[name]) / 0.5
    torch.testing.assert_close(averaged[name], 0.75 * first + 0.25 * last[name], atol=1e-6, rtol=1e-4)


def test_early_stopping_and_selection(tmp_path, args):
    results = run(tmp_path, replace(args, epochs=30, patience=2, select="corr", lr=2e-2, lr_backbone=2e-2))
    lines = [json.loads(x) for x in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert results["select"] == "dev corr"
    assert lines[results["best_epoch"] - 1]["dev_corr"] == max(x["dev_corr"] for x in lines)
    assert len(lines) == 30 or len(lines) == results["best_epoch"] + 2


def test_an_existing_run_is_not_overwritten(tmp_path, args):
    run(tmp_path, args)
    with pytest.raises(ModashiftError, match="--resume"):
        run(tmp_path, args)
    with pytest.raises(ModashiftError, match=r"lr was 0\.003, now 0\.5"):
        run(tmp_path, replace(args, lr=0.5), resume=True)
    before = (tmp_path / "run/model.safetensors").stat().st_mtime_ns
    assert run(tmp_path, args, resume=True)["best_epoch"] >= 1
    assert (tmp_path / "run/model.safetensors").stat().st_mtime_ns == before


def test_without_state_an_interrupted_run_starts_over(tmp_path, args, monkeypatch):
    monkeypatch.setattr(RunFolder, "save_state", lambda *_: pytest.fail("the state was saved"))
    short = replace(args, save_every=0)
    once = run(tmp_path, short)
    (tmp_path / "run/results.json").unlink()  # as if killed at the very end
    assert run(tmp_path, short, resume=True) == once
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == once["epochs"]


@pytest.mark.parametrize("precision", ["bf16"])
def test_autocast_trains(tmp_path, args, precision):
    assert math.isfinite(run(tmp_path, replace(args, precision=precision), "cmsbert-clr")["splits"]["dev"]["mae"])


def test_diverging_training_says_so(tmp_path, args):
    with pytest.raises((FloatingPointError, ModashiftError), match="lr"):
        run(tmp_path, replace(args, lr=1e30, lr_backbone=1e30, clip=0, warmup=0.0))


def test_warm_start_takes_over_what_fits(tmp_path, args):
    train("bert", DATA, tmp_path / "first", args, silent=True, dataset=toy_dataset())
    from modashift.train.setup import prepare

    setup = prepare("cmsbert", {}, DATA, replace(args, init=str(tmp_path / "first")), toy_dataset())
    from safetensors.torch import load_file

    weights = load_file(tmp_path / "first/model.safetensors")
    own = setup.model.state_dict()
    assert all(torch.equal(own[k], v) for k, v in weights.items())
    assert any("taken over" in note for note in setup.notes)
    with pytest.raises(ModashiftError, match=r"no model\.safetensors"):
        prepare("bert", {}, DATA, replace(args, init=str(tmp_path)), toy_dataset())
    plain = replace(DATA, plain_words=True)
    setup = prepare("bert", {}, plain, replace(args, init=str(tmp_path / "first")), toy_dataset())
    assert any("plain_words false, this run has true" in note for note in setup.notes)
    with pytest.raises(ModashiftError, match="plain_words is for models that read word pieces; mfn"):
        prepare("mfn", {}, plain, args, toy_dataset())


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)])
def test_adam_is_fused(args, name, kind):
    optimizer = make_optimizer(
        [{"params": [torch.nn.Parameter(torch.ones(2))], "lr": 1.0}], replace(args, optimizer=name)
    )
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["fused"]


def test_clear_errors(tmp_path, args):
    with pytest.raises(ModashiftError, match="cannot use acoustic"):
        run(tmp_path, args, data=replace(DATA, features=["acoustic"]))
    with pytest.raises(ModashiftError, match=r"no option 'colour'; it has .*pooling"):
        train("bert", DATA, tmp_path / "r2", args, {"colour": 1}, silent=True, dataset=toy_dataset())
    with pytest.raises(ModashiftError, match="neither visual nor acoustic"):
        train("cmsbert", DATA, tmp_path / "r3", args, silent=True, dataset=toy_dataset(features=()))
    with pytest.raises(ModashiftError, match="beyond the 64 positions"):
        train("bert", replace(DATA, max_length=65), tmp_path / "r4", args, silent=True, dataset=toy_dataset())
    no_dev = toy_dataset()
    with pytest.raises(DataError, match="--validation"):
        train("bert", DATA, tmp_path / "r5", args, silent=True,
              dataset=no_dev.with_splits(np.full(len(no_dev), "train")))  # fmt: skip
    with pytest.raises(ModashiftError, match="cannot load backbone"):
        train("bert", DATA, tmp_path / "r6", replace(args, backbone="no/such"), silent=True, dataset=toy_dataset())
    for bad in ({"batch_size": 1}, {"epochs": 0}, {"warmup": 1.0}):
        with pytest.raises(ModashiftError):
            TrainArgs(**bad)


def test_rate_rises_and_falls_linearly():
    rates = [rate(step, 100, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 90)


def test_batches_cover_every_row_once_and_are_of_like_length():
    rng = np.random.default_rng(0)
    lengths, rows = rng.integers(3, 50, 1000), rng.permutation(1000)[:777]
    for batches in (training_batches(rows, lengths, 32, 1, 5), evaluation_batches(rows, lengths, 32)):
        assert sorted(np.concatenate(batches)) == sorted(rows)
        assert min(map(len, batches)) >= 2
    batches = training_batches(rows, lengths, 32, 1, 5)
    padding = sum(lengths[b].max() * len(b) - lengths[b].sum() for b in batches) / lengths[rows].sum()
    shuffled = [rows[i : i + 32] for i in range(0, 777, 32)]
    assert padding < 0.35 * sum(lengths[b].max() * len(b) - lengths[b].sum() for b in shuffled) / lengths[rows].sum()
    assert {len(training_batches(rows, lengths, 32, 1, e)) for e in range(5)} == {len(batches)}
    again = training_batches(rows, lengths, 32, 1, 5)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again))
    assert not np.array_equal(batches[0], training_batches(rows, lengths, 32, 1, 6)[0])


KILLED = """
import sys
from dataclasses import replace
sys.path.insert(0, sys.argv[1])
from support import toy_dataset
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
args = TrainArgs(
    backbone=sys.argv[2], epochs=40, batch_size=8, lr=3e-3, lr_backbone=3e-3, tensorboard=False,
    save_every=2, threads=1, average=0.8,
)
train("cmsbert-clr", DataArgs(data="toy"), sys.argv[3], args, silent=True, dataset=toy_dataset(), resume=True)
"""


@pytest.mark.slow
def test_killed_at_random_times_it_ends_with_the_same_bits(tmp_path, tiny_backbone):
    """SIGKILL, several times, at moments nobody chose; then the run folder equals that of an undisturbed run."""
    here = os.path.dirname(os.path.dirname(__file__))

    def start(folder):
        return subprocess.Popen([sys.executable, "-c", KILLED, here, tiny_backbone, str(tmp_path / folder)])

    def written():
        state = tmp_path / "killed" / "state.pt"
        return state.stat().st_mtime_ns if state.is_file() else 0

    assert start("whole").wait(timeout=200) == 0
    chance = random.Random(7)
    for attempt in range(5):
        before, process = written(), start("killed")
        while attempt > 0 and process.poll() is None and written() == before:  # the first kill hits the start-up
            time.sleep(0.01)
        time.sleep(chance.uniform(0.5, 4) if attempt == 0 else chance.uniform(0, 0.6))
        assert process.poll() is None, "it finished before it could be killed: train longer"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start("killed").wait(timeout=200) == 0
    for file in ("model.safetensors", "metrics.jsonl", "predictions.csv", "results.json"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
