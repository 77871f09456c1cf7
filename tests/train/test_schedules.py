"""Schedules by epochs, batches left out, steps passed over: what the second paper's recipe asks of the loop."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from modashift.errors import DataError, ModashiftError
from modashift.models.bert import BERT
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.batching import training_batches
from modashift.train.command import train
from modashift.train.runs import RunFolder
from modashift.train.schedules import factor, rate, warm_cosine
from support import toy_dataset

DATA = DataArgs(data="toy")


@pytest.fixture
def args(tiny_backbone):
    return TrainArgs(
        backbone=tiny_backbone, epochs=5, batch_size=16, lr=3e-3, lr_backbone=3e-3, average=0.0, tensorboard=False
    )


def literal_rate(epoch):
    """Ando et al.: of epochs from 1, 50 of them."""
    if epoch <= 10:
        return 1e-5 + (1e-4 - 1e-5) * (epoch - 1) / 10
    return 1e-5 + 4.5e-5 * (1 + math.cos(math.pi * (epoch - 11) / 50))


def test_warm_cosine_is_the_papers():
    rates = {epoch: 1e-4 * warm_cosine(epoch - 1, 50, 0.2, 0.1) for epoch in range(1, 51)}
    assert rates[1] == pytest.approx(1e-5)
    assert rates[11] == pytest.approx(1e-4)
    assert max(rates, key=rates.get) == 11
    assert rates[50] == pytest.approx(2.03e-5, rel=2e-3)
    for epoch, found in rates.items():
        assert found == pytest.approx(literal_rate(epoch), rel=1e-12)


def test_the_schedule_that_is_asked_for_is_used():
    args = TrainArgs(epochs=50, schedule="warm-cosine", warmup=0.2)
    # Within an epoch nothing changes, however many steps it has.
    assert factor(args, 0, 5000, 0) == factor(args, 99, 5000, 0) == pytest.approx(0.1)
    assert factor(args, 1000, 5000, 10) == 1.0
    assert factor(replace(args, rate_floor=0.0), 0, 5000, 0) == 0.0
    linear = replace(args, schedule="linear")
    assert factor(linear, 7, 50, 3) == rate(7, 50, 0.2)
    for name in ("constant", "plateau"):
        assert factor(replace(args, schedule=name), 30, 50, 3) == 1.0
    assert [warm_cosine(e, 4, 0.0, 0.5) for e in (0, 2)] == [1.0, pytest.approx(0.75)]
    with pytest.raises(ModashiftError, match="rate_floor"):
        TrainArgs(rate_floor=1.5)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "options"), [("bert", {}), ("gated-encoders", {"mask_time": {"share": 0.9, "most": 0.9}})]
)
def test_a_run_has_these_rates_and_resumes_exactly(tmp_path, args, monkeypatch, name, options):
    args = replace(args, schedule="warm-cosine", warmup=0.4, save_every=1)
    train(name, DATA, tmp_path / "whole", args, options, silent=True, dataset=toy_dataset())
    expected = [args.lr * warm_cosine(e, 5, 0.4, 0.1) for e in range(5)]
    assert [line["lr"] for line in lines(tmp_path / "whole")] == pytest.approx(expected)
    assert expected[0] == pytest.approx(3e-4)
    assert max(expected) == expected[2]

    class Killed(Exception):
        pass

    saved, save = [], RunFolder.save_state

    def stops(self, state):
        save(self, state)
        saved.append(state["progress"])
        if len(saved) == 8:  # within the third epoch
            raise Killed

    monkeypatch.setattr(RunFolder, "save_state", stops)
    with pytest.raises(Killed):
        train(name, DATA, tmp_path / "cut", args, options, silent=True, dataset=toy_dataset())
    assert saved[-1]["epoch"] == 2
    assert saved[-1]["batch"] > 0
    monkeypatch.setattr(RunFolder, "save_state", save)
    train(name, DATA, tmp_path / "cut", args, options, silent=True, dataset=toy_dataset(), resume=True)
    for file in ("model.safetensors", "metrics.jsonl", "results.json"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


def test_a_last_batch_that_is_not_full_is_left_out():
    rng = np.random.default_rng(0)
    lengths, rows = rng.integers(3, 50, 400), rng.permutation(400)[:331]
    left_out = []
    for epoch in range(40):
        batches = training_batches(rows, lengths, 16, 3, epoch, drop_last=True)
        assert [len(b) for b in batches] == [16] * 20
        kept = np.concatenate(batches)
        assert len(np.unique(kept)) == len(kept)
        left_out.append(np.setdiff1d(rows, kept))
    # Others each time, and not the longest, though batches are sorted by length.
    assert len(np.unique(np.concatenate(left_out))) > 200
    means = [lengths[r].mean() for r in left_out]
    assert abs(np.mean(means) - lengths[rows].mean()) < 2
    full = training_batches(rows[:320], lengths, 16, 3, 0, drop_last=True)
    assert sorted(np.concatenate(full)) == sorted(rows[:320])
    with pytest.raises(DataError, match="fill no batch of 16"):
        training_batches(rows[:15], lengths, 16, 3, 0, drop_last=True)


def test_dropping_is_an_option_of_the_run(tmp_path, args):
    results = train("bert", DATA, tmp_path / "run", replace(args, drop_last=True), silent=True, dataset=toy_dataset())
    assert results["splits"]["train"]["n"] == 40  # scored whole
    assert lines(tmp_path / "run")[0]["step"] == 2  # 40 of 16: two full batches


@pytest.fixture
def spoil(monkeypatch):
    """Spoil the losses of chosen training batches, by their number."""

    def chosen(numbers, value=math.nan):
        own, seen = BERT.loss, []

        def loss(self, output, batch):
            terms = own(self, output, batch)
            if self.training:
                seen.append(len(batch))
                if len(seen) - 1 in numbers:
                    terms = {k: v * value for k, v in terms.items()}
            return terms

        monkeypatch.setattr(BERT, "loss", loss)
        return seen

    return chosen


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_steps_without_a_finite_loss_are_passed_over_and_counted(tmp_path, args, spoil, value):
    spoil({1, 6, 7}, value)  # epochs of three batches
    args = replace(args, skip_nonfinite=True)
    results = train("bert", DATA, tmp_path / "run", args, silent=True, dataset=toy_dataset())
    assert [line["skipped"] for line in lines(tmp_path / "run")] == [1, 0, 2, 0, 0]
    assert results["skipped"] == 3
    assert all(math.isfinite(line["train_loss"]) for line in lines(tmp_path / "run"))


def test_a_skipped_step_changes_nothing(tmp_path, args, spoil, monkeypatch):
    """Optimiser, weights and mean loss are those of a run that never met the batch."""
    monkeypatch.setattr("modashift.train.loop.factor", lambda *_: 1.0)
    args = replace(args, epochs=1, skip_nonfinite=True)

    def weights():
        from safetensors.torch import load_file

        return load_file(tmp_path / "run/model.safetensors"), lines(tmp_path / "run")[0]

    options = {"dropout": 0.0}
    first = training_batches
    monkeypatch.setattr("modashift.train.loop.training_batches", lambda *a: first(*a)[:2])
    train("bert", DATA, tmp_path / "run", args, options, silent=True, dataset=toy_dataset())
    expected, line = weights()
    (tmp_path / "run").rename(tmp_path / "other")

    monkeypatch.setattr("modashift.train.loop.training_batches", first)
    spoil({2})
    train("bert", DATA, tmp_path / "run", args, options, silent=True, dataset=toy_dataset())
    found, other = weights()
    assert all(torch.equal(found[k], v) for k, v in expected.items())
    assert other["train_loss"] == line["train_loss"]


def test_a_step_of_several_batches_is_passed_over_whole(tmp_path, args, spoil):
    spoil({0})
    args = replace(args, epochs=2, accumulate=2, skip_nonfinite=True)
    train("bert", DATA, tmp_path / "run", args, silent=True, dataset=toy_dataset())
    assert [line["skipped"] for line in lines(tmp_path / "run")] == [1, 0]


def test_without_the_option_or_a_single_finite_loss_the_run_ends(tmp_path, args, spoil):
    spoil({1})
    with pytest.raises(FloatingPointError, match="training loss is nan in epoch 1"):
        train("bert", DATA, tmp_path / "a", args, silent=True, dataset=toy_dataset())
    spoil({0, 1, 2})
    with pytest.raises(FloatingPointError, match="training loss is nan in epoch 1"):
        train("bert", DATA, tmp_path / "b", replace(args, skip_nonfinite=True), silent=True, dataset=toy_dataset())


def test_of_equal_epochs_the_first_is_kept(tmp_path, args):
    args = replace(args, epochs=3, lr=1e-12, lr_backbone=1e-12, weight_decay=0.0, select="acc2_has0")
    results = train("bert", DATA, tmp_path / "run", args, silent=True, dataset=toy_dataset())
    assert len({line["dev_acc2_has0"] for line in lines(tmp_path / "run")}) == 1
    assert results["best_epoch"] == 1
