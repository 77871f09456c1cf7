"""Self-MM: generated labels against the formulas, in the published order; what is stored, saved and left alone."""

import copy
import json
import math
import random

import pytest
import torch

from modashift.batch import Seq
from modashift.models.self_mm import LastState, UnimodalLabels
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from modashift.train.runs import RunFolder
from support import SIZES, build, toy_dataset

NAMES = ("multimodal", "linguistic", "visual", "acoustic")
WIDTHS = {"multimodal": 4, "linguistic": 3, "visual": 2, "acoustic": 5}


class Literal:
    """The published procedure over Python lists: labels by the old centres, features, new centres."""

    def __init__(self, scores, exclude_zero=True, squared=False, limit=3.0):
        self.true, self.exclude_zero, self.squared, self.limit = scores, exclude_zero, squared, limit
        self.labels = {k: list(scores) for k in NAMES}
        self.features = {k: [[0.0] * WIDTHS[k] for _ in scores] for k in NAMES}
        self.centres, self.clamped = {}, 0

    def distance(self, a, b):
        total = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
        return total / math.sqrt(len(a)) if self.squared else math.sqrt(total)

    def alpha(self, name, feature):
        positive = self.distance(feature, self.centres[name][0])
        negative = self.distance(feature, self.centres[name][1])
        return (negative - positive) / (positive + 1e-8)

    def step(self, rows, features, epoch):
        if epoch >= 2:
            for b, row in enumerate(rows):
                whole = self.alpha("multimodal", features["multimodal"][b])
                for m in NAMES[1:]:
                    own, y = self.alpha(m, features[m][b]), self.true[row]
                    new = 0.5 * (own / (whole + 1e-8)) * y + 0.5 * (y + own - whole)
                    self.clamped += abs(new) > self.limit
                    new = max(-self.limit, min(self.limit, new))
                    self.labels[m][row] = (epoch - 1) / (epoch + 1) * self.labels[m][row] + 2 / (epoch + 1) * new
        for b, row in enumerate(rows):
            for k in NAMES:
                self.features[k][row] = features[k][b]
        for k in NAMES:
            positive, negative = [], []
            for label, feature in zip(self.labels[k], self.features[k], strict=True):
                if label > 0 or (label == 0 and not self.exclude_zero):
                    positive.append(feature)
                elif label < 0:
                    negative.append(feature)
            self.centres[k] = [
                [sum(f[c] for f in members) / len(members) for c in range(WIDTHS[k])] if members else None
                for members in (positive, negative)
            ]


def scores(n, seed=0):
    chance = random.Random(seed)
    return [0.0, 0.0, 1.0, -1.0] + [round(chance.uniform(-3, 3), 1) for _ in range(n - 4)]


@pytest.mark.parametrize("exclude_zero", [True, False])
@pytest.mark.parametrize("distance", ["euclidean", "squared"])
def test_labels_equal_the_list_form_over_several_epochs(exclude_zero, distance):
    n, chance = 20, random.Random(1)
    literal = Literal(scores(n), exclude_zero, distance == "squared")
    outside = [math.nan] * 3  # utterances of other splits
    fast = UnimodalLabels(torch.tensor(scores(n) + outside, dtype=torch.float64), WIDTHS, 3.0, exclude_zero, distance)
    moved = 0.0
    for epoch in range(1, 7):
        order = list(range(n))
        chance.shuffle(order)
        for start in range(0, n, 6):
            rows = order[start : start + 6]
            features = {
                # shifted by the score, so that the classes have different centres
                k: [[chance.gauss(0.5 * literal.true[r], 1) for _ in range(d)] for r in rows]
                for k, d in WIDTHS.items()
            }
            literal.step(rows, features, epoch)
            tensors = {k: torch.tensor(f, dtype=torch.float64) for k, f in features.items()}
            fast.update(torch.tensor(rows), tensors, epoch)
            for k in NAMES:
                expected = torch.tensor(literal.labels[k], dtype=torch.float64)
                torch.testing.assert_close(fast.labels[k][:n], expected, atol=1e-10, rtol=0)
                assert fast.labels[k][n:].isnan().all()
                assert (fast.features[k][n:] == 0).all()
        if epoch == 1:
            for k in NAMES:
                assert fast.labels[k][:n].tolist() == literal.true
        moved = max(moved, *(abs(a - b) for a, b in zip(literal.labels["visual"], literal.true)))
    assert fast.labels["multimodal"][:n].tolist() == literal.true
    assert moved > 0.5
    assert literal.clamped > 0
    for k in NAMES:
        assert fast.labels[k][:n].abs().max() <= 3


def test_order_within_a_batch_does_not_matter():
    """So the order in which processes are gathered does not either."""
    y = torch.tensor(scores(12), dtype=torch.float64)
    one, two = (UnimodalLabels(y, WIDTHS, 3.0, True, "euclidean") for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    for epoch in range(1, 4):
        features = {k: torch.randn(12, d, generator=generator, dtype=torch.float64) for k, d in WIDTHS.items()}
        order = torch.randperm(12, generator=generator)
        one.update(torch.arange(12), features, epoch)
        two.update(order, {k: f[order] for k, f in features.items()}, epoch)
    for k in NAMES:
        torch.testing.assert_close(one.labels[k], two.labels[k], atol=1e-12, rtol=0)


def test_a_modality_that_stands_like_the_whole_keeps_the_true_label():
    y = torch.tensor(scores(12), dtype=torch.float64)
    labels = UnimodalLabels(y, dict.fromkeys(NAMES, 4), 3.0, True, "euclidean")
    for epoch in range(1, 5):
        feature = torch.randn(12, 4, dtype=torch.float64)
        labels.update(torch.arange(12), dict.fromkeys(NAMES, feature), epoch)
    for k in NAMES:
        torch.testing.assert_close(labels.labels[k], y, atol=1e-5, rtol=0)


def test_without_both_classes_labels_stay():
    y = torch.tensor([1.0, 2.0, 0.0])
    labels = UnimodalLabels(y, WIDTHS, 3.0, True, "euclidean")
    for epoch in range(1, 4):
        labels.update(torch.arange(3), {k: torch.randn(3, d) for k, d in WIDTHS.items()}, epoch)
    for k in NAMES:
        assert torch.equal(labels.labels[k], y)


def hooked_epochs(model, optimizer, batch, epochs):
    model.train()
    for epoch in epochs:
        optimizer.zero_grad()
        output = model(batch)
        losses = model.loss(output, batch)
        losses["loss"].backward()
        model.after_backward(output, batch, epoch)
        optimizer.step()
    return losses


def test_the_loss_in_training_and_out_of_it(tiny_config, make_batch):
    model = build("self-mm", tiny_config).double().eval()
    batch = make_batch().map(lambda t: t.double() if t.is_floating_point() else t)
    output = model(batch)
    l1 = sum(abs(p - y) for p, y in zip(output.prediction.tolist(), batch.label.tolist())) / 6
    assert set(model.loss(output, batch)) == {"loss", "mse", "l1_multimodal"}
    model.start_training(batch.label)
    for mode in (True, False):
        assert model.train(mode).loss(output, batch)["loss"].item() == pytest.approx(l1, abs=1e-12)
    first = model.train().loss(output, batch)
    assert all(first[f"l1_{m}"] == 0 for m in NAMES[1:]), "in epoch 1 the labels are those of the whole"
    model.after_backward(output, batch, 1)
    assert all(torch.equal(model.generated.labels[k], batch.label) for k in NAMES)
    model.after_backward(model(batch), batch, 2)
    losses, total = model.loss(output, batch), l1
    for m in NAMES[1:]:
        expected, label = 0.0, model.generated.labels[m].tolist()
        for b, p in enumerate(output.extra[f"prediction_{m}"].tolist()):
            expected += math.tanh(abs(label[b] - batch.label[b].item())) * abs(p - label[b]) / 6
        assert expected > 1e-3
        assert losses[f"l1_{m}"].item() == pytest.approx(expected, abs=1e-10)
        total += expected
    assert losses["loss"].item() == pytest.approx(total, abs=1e-10)
    assert model.eval().loss(output, batch)["loss"].item() == pytest.approx(l1, abs=1e-12)


def test_prediction_features_and_scores_equal_their_equations(tiny_config, make_batch):
    model = build("self-mm", tiny_config).double().eval()
    batch = make_batch().map(lambda t: t.double() if t.is_floating_point() else t)
    with torch.no_grad():
        output = model(batch)
        for b in range(6):
            u = {"linguistic": model.encoder(batch).hidden[b, 0]}  # [CLS]
            for m in SIZES:
                steps = batch.features[m].values[b : b + 1, batch.features[m].mask[b]]
                module = model.sequence[m]
                u[m] = module.linear.weight @ module.lstm(steps)[1][0][0, 0] + module.linear.bias
            u["multimodal"] = torch.cat([u["linguistic"], u["visual"], u["acoustic"]])
            for k in NAMES:
                head = model.heads[k]
                feature = torch.relu(head.first.weight @ u[k] + head.first.bias)
                inner = torch.relu(head.second.weight @ feature + head.second.bias)
                score = head.last.weight[0] @ inner + head.last.bias[0]
                torch.testing.assert_close(output.extra[f"feature_{k}"][b], feature, atol=1e-10, rtol=0)
                found = output.prediction if k == "multimodal" else output.extra[f"prediction_{k}"]
                torch.testing.assert_close(found[b], score, atol=1e-10, rtol=0)


def test_pooling_can_be_the_mean(tiny_config, make_batch):
    model, batch = build("self-mm", tiny_config, pooling="mean").eval(), make_batch()
    with torch.no_grad():
        hidden = model.encoder(batch).hidden
        pooled = torch.stack([h[mask].mean(0) for h, mask in zip(hidden, batch.text.mask)])
        torch.testing.assert_close(model(batch).extra["feature_linguistic"], model.heads["linguistic"](pooled)[0])


def test_the_last_state_ignores_masked_steps_wherever_they_are():
    torch.manual_seed(0)
    module = LastState(3, 5, 4, 0.0).double()
    values, mask = torch.randn(4, 8, 3, dtype=torch.float64), torch.rand(4, 8) < 0.6
    mask[0], mask[1, 0], mask[1, 7], mask[3] = True, False, False, False
    values[~mask] = 1e6
    result = module(Seq(values, mask))
    for b in range(3):
        expected = module.linear(module.lstm(values[b : b + 1, mask[b]])[1][0][0, 0])
        torch.testing.assert_close(result[b], expected, atol=1e-12, rtol=0)
    assert torch.equal(result[3], module.linear.bias)


def test_labels_resume_through_the_training_state(tiny_config, make_batch):
    """Two epochs, everything saved and loaded into a new model, two more: equal to four without a break."""

    def fresh():
        model = build("self-mm", tiny_config)
        model.start_training(make_batch().label.double())
        return model, torch.optim.Adam(model.param_groups(1e-2, 1e-3, 0.0))

    batch = make_batch()
    whole, optimizer = fresh()
    torch.manual_seed(5)
    hooked_epochs(whole, optimizer, batch, range(1, 5))

    first, optimizer = fresh()
    torch.manual_seed(5)
    hooked_epochs(first, optimizer, batch, range(1, 3))
    weights, state = copy.deepcopy(first.state_dict()), first.training_state()
    steps, chance = copy.deepcopy(optimizer.state_dict()), torch.get_rng_state()
    hooked_epochs(first, optimizer, batch, range(3, 5))  # what was saved must not follow the model

    second, optimizer = fresh()
    second.load_state_dict(weights)
    second.load_training_state(state)
    optimizer.load_state_dict(steps)
    torch.set_rng_state(chance)
    losses = hooked_epochs(second, optimizer, batch, range(3, 5))
    assert losses["l1_visual"] > 0
    end = whole.training_state()
    assert set(end) == {f"{kind}.{k}" for kind in ("labels", "features") for k in NAMES}
    for k, v in second.training_state().items():
        assert torch.equal(v, end[k]), k
        assert not torch.equal(v, state[k]) or k == "labels.multimodal", k
    for a, b in zip(second.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not any("label" in k for k in whole.state_dict()), "no part of the weights that are shipped"


class StoppedError(Exception):
    pass


@pytest.fixture
def start(tmp_path, tiny_backbone, monkeypatch):
    """Train into a folder, resuming what is there; returns the label state that was saved last."""
    args = TrainArgs(
        backbone=tiny_backbone, epochs=4, batch_size=8, lr=3e-3, lr_backbone=1e-3, average=0.0, accumulate=2,
        save_every=1, tensorboard=False,
    )  # fmt: skip
    save = RunFolder.save_state

    def run(folder, stop_after=None):
        saved = []

        def spy(self, state):
            save(self, state)
            saved.append({k: v.clone() for k, v in state["own"].items()})
            if len(saved) == stop_after:
                raise StoppedError

        with monkeypatch.context() as patched:
            patched.setattr(RunFolder, "save_state", spy)
            resume = (tmp_path / folder).exists()
            train("self-mm", DataArgs("toy"), tmp_path / folder, args, silent=True, dataset=toy_dataset(),
                  resume=resume)  # fmt: skip
        return saved[-1]

    return run


@pytest.mark.parametrize("saves", [3, 5, 6])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, start, saves):
    whole = start("whole")
    with pytest.raises(StoppedError):
        start("stopped", saves)
    assert not (tmp_path / "stopped/results.json").exists()
    end = start("stopped")
    for file in ("model.safetensors", "metrics.jsonl", "predictions.csv", "results.json"):
        assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    for k, v in whole.items():
        torch.testing.assert_close(end[k], v, atol=0, rtol=0, equal_nan=True)


def test_only_training_utterances_are_touched(tmp_path, start):
    state, data = start("run"), toy_dataset()
    rows = torch.from_numpy(data.rows("train"))
    others = torch.ones(len(data), dtype=torch.bool)
    others[rows] = False
    assert others.any()
    true = torch.from_numpy(data.labels).float()
    assert torch.equal(state["labels.multimodal"][rows], true[rows])
    for k in NAMES:
        assert state[f"labels.{k}"][others].isnan().all()
        assert (state[f"features.{k}"][others] == 0).all()
        assert (state[f"features.{k}"][rows] != 0).any(1).all()
        if k != "multimodal":
            assert (state[f"labels.{k}"][rows] != true[rows]).float().mean() > 0.5
            assert state[f"labels.{k}"][rows].abs().max() <= 3
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    for m in NAMES[1:]:
        # The labels move during the second epoch; an utterance meets its new label when it comes again, in the third.
        assert [line[f"train_l1_{m}"] > 0 for line in lines] == [False, False, True, True]
        assert all(f"dev_l1_{m}" not in line for line in lines)
    for line in lines:
        assert line["dev_loss"] == pytest.approx(line["dev_mae"], abs=1e-5)


def test_rates_and_decays_of_the_parts(tiny_config):
    options = {"lr_visual": 2.0, "lr_acoustic": 3.0}
    options |= {"weight_decay_backbone": 0.1, "weight_decay_visual": 0.2, "weight_decay_acoustic": 0.3}
    model = build("self-mm", tiny_config, **options)
    expected = {"encoder": (4.0, 0.1), "visual": (2.0, 0.2), "acoustic": (3.0, 0.3), "heads": (1.0, 0.4)}
    found = {id(p): (g["lr"], g["weight_decay"]) for g in model.param_groups(1.0, 4.0, 0.4) for p in g["params"]}
    for name, parameter in model.named_parameters():
        part = name.split(".")[1 if name.startswith("sequence") else 0]
        rate, decay = expected[part]
        assert found[id(parameter)] == (rate, decay if parameter.ndim >= 2 else 0), name
    assert len(found) == len(list(model.parameters()))


def test_one_modality_alone(tiny_config, make_batch):
    model, batch = build("self-mm", tiny_config, {"visual": 5}), make_batch()
    assert set(model.heads) == {"multimodal", "linguistic", "visual"}
    model.start_training(batch.label.double())
    losses = hooked_epochs(model, torch.optim.Adam(model.param_groups(1e-3, 1e-3, 0.0)), batch, (1, 2, 3))
    assert set(losses) == {"loss", "mse", "l1_multimodal", "l1_linguistic", "l1_visual"}
    with pytest.raises(ValueError, match="neither visual nor acoustic"):
        build("self-mm", tiny_config, {})


def test_parameters_are_those_of_the_published_sizes():
    from transformers import BertConfig

    with torch.device("meta"):
        model = build("self-mm", BertConfig().to_dict(), {"visual": 47, "acoustic": 74})

    def lstm(inputs, hidden):
        return 4 * hidden * (inputs + hidden + 2)

    def head(inputs, size):
        return inputs * size + size + size * size + size + size + 1

    expected = lstm(47, 64) + 64 * 32 + 32 + lstm(74, 32) + 32 * 16 + 16
    expected += head(768 + 32 + 16, 128) + head(768, 64) + head(32, 32) + head(16, 16)
    new = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in model.pretrained_parameters())
    assert new == expected
