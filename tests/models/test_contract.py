"""What every registered model must do. A new model is tested by being in the list."""

import inspect
import math
from dataclasses import replace

import pytest
import torch

from modashift.models import MODELS, get_model
from modashift.train.args import TrainArgs
from support import build

ARGS = TrainArgs(lr=5e-3)
CLASSES = 4
TASKS = [(name, 0) for name in sorted(MODELS)]
TASKS += [(name, CLASSES) for name in sorted(MODELS) if not get_model(name).scores_only]


def step(model, optimizer, batch, epoch=1):
    optimizer.zero_grad()
    output = model(batch)
    losses = model.loss(output, batch)
    losses["loss"].backward()
    model.after_backward(output, batch, epoch)
    optimizer.step()
    return float(losses[model.task_term].detach())


def optimizer_for(model, lr=5e-3):
    return torch.optim.AdamW(model.param_groups(lr, lr, 0.0), fused=True)


@pytest.fixture(params=TASKS, ids=[f"{name}-classes" if classes else name for name, classes in TASKS])
def model(request, tiny_config):
    name, classes = request.param
    return build(name, tiny_config, **({"classes": classes} if classes else {}))


@pytest.fixture
def make_batch(model, make_batch):
    """Batches with scores or classes as labels, whatever the model predicts."""

    def make(**options):
        batch = make_batch(**options)
        return replace(batch, label=torch.arange(len(batch)) % CLASSES * 1.0) if model.classes else batch

    return make


@pytest.mark.parametrize("size", [1, 6])
def test_shapes(model, make_batch, size):
    output = model.eval()(make_batch(size=size))
    assert output.prediction.shape == ((size, CLASSES) if model.classes else (size,))
    answer = model.answer(output.prediction)
    assert answer.shape == output.prediction.shape
    if model.classes:
        torch.testing.assert_close(answer.sum(1), torch.ones(size))
    for z in output.embeddings.values():
        assert len(z) == size


def test_loss_names_its_terms(model, make_batch):
    batch = make_batch()
    losses = model.loss(model(batch), batch)
    assert {"loss", model.task_term} <= set(losses)
    assert ("ce" if model.classes else "mse") == model.task_term
    assert ("mse" in losses) != ("ce" in losses)
    assert all(value.ndim == 0 and math.isfinite(value.item()) for value in losses.values())


def test_padding_is_invisible(model, make_batch):
    model.eval()
    batch = make_batch()
    padded = batch.map(
        lambda t: t if t.ndim < 2 else torch.cat([t, torch.zeros_like(t[:, :1]).repeat(1, 4, *[1] * (t.ndim - 2))], 1)
    )
    if padded.text is not None:
        padded.text.word[:, -4:] = -1
    with torch.no_grad():
        before = model(batch).prediction
        torch.testing.assert_close(model(padded).prediction, before, atol=1e-5, rtol=0)
        for seq in padded.features.values():
            seq.values[~seq.mask] = 77.0
        if padded.text is not None:
            padded.text.ids[~padded.text.mask] = 7
        torch.testing.assert_close(model(padded).prediction, before, atol=1e-5, rtol=0)


def test_batch_mates_change_nothing(model, make_batch):
    model.eval()
    batch = make_batch()
    with torch.no_grad():
        together = model(batch).prediction
        alone = torch.cat([model(batch.map(lambda t, i=i: t[i : i + 1])).prediction for i in range(len(batch))])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_every_parameter_learns(model, make_batch):
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = optimizer_for(model)
    # An odd number: the signs of an absolute error's gradient may cancel over an even one.
    batch = make_batch(size=7)
    model.start_training(batch.label.double())
    for epoch in range(1, 4):  # Self-MM's generated labels are learnt from the third epoch on
        step(model, optimizer, batch, epoch)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert not torch.equal(parameter, before[name]), f"no gradient for {name}"


def test_param_groups_hold_every_parameter_once(model):
    groups = model.param_groups(1e-3, 1e-5, 0.01)
    held = [id(p) for g in groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert all(isinstance(g["name"], str) for g in groups)
    pretrained = {id(p) for p in model.pretrained_parameters()}
    for group in groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.01 if parameter.ndim >= 2 else 0)
            assert group["lr"] == (1e-5 if id(parameter) in pretrained else 1e-3)


def test_one_batch_can_be_overfitted(model, make_batch):
    batch = make_batch()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    optimizer = optimizer_for(model, 3e-3)
    first = step(model, optimizer, batch)
    # No more steps than it takes: most models need a third of them.
    assert any(step(model, optimizer, batch) < 0.1 * first for _ in range(119))


def test_save_and_load_are_exact(model, make_batch, tmp_path):
    model.eval()
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    assert again.config == model.config
    batch = make_batch()
    with torch.no_grad():
        assert torch.equal(again(batch).prediction, model(batch).prediction)


def test_same_seed_same_model(model, tiny_config, make_batch):
    again = build(model.name, tiny_config, **({"classes": CLASSES} if model.classes else {}))
    for a, b in zip(model.parameters(), again.parameters()):
        assert torch.equal(a, b)
    batch = make_batch()
    for m in (model, again):
        torch.manual_seed(3)
        step(m, optimizer_for(m), batch)
    for a, b in zip(model.parameters(), again.parameters()):
        assert torch.equal(a, b)


@pytest.mark.parametrize("modality", ["visual", "acoustic"])
def test_a_missing_modality_is_survived(model, make_batch, modality):
    model.eval()
    batch = make_batch().without(modality)
    assert torch.isfinite(model(batch).prediction).all()
    absent = type(batch)(
        batch.text, batch.label, batch.index, {k: v for k, v in batch.features.items() if k != modality}
    )
    with torch.no_grad():
        torch.testing.assert_close(model(absent).prediction, model(batch).prediction, atol=1e-6, rtol=0)


def test_bfloat16_autocast_runs(model, make_batch):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(make_batch())
    assert torch.isfinite(output.prediction.float()).all()


def test_registry(model):
    cls = get_model(model.name)
    assert type(model) is cls
    assert cls.title
    assert cls.paper
    assert cls.__doc__


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_takes_classes_or_says_why_not(name, tiny_config):
    cls = get_model(name)
    takes = "classes" in inspect.signature(cls).parameters
    assert takes != bool(cls.scores_only)
    if takes:
        with pytest.raises(ValueError, match="two classes or more"):
            build(name, tiny_config, classes=1)


@pytest.mark.parametrize("model", [task for task in TASKS if task[1]], indirect=True, ids=lambda task: task[0])
def test_class_weights_weigh_the_task_term(model, make_batch):
    model.eval()
    batch = make_batch(size=8)
    with torch.no_grad():
        output = model(batch)
        plain = model.loss(output, batch)
        weights = torch.tensor([2.0, 0.5, 1.0, 0.0])
        model.weigh_classes(weights)
        weighed = model.loss(output, batch)
    each = [-output.prediction[i].log_softmax(0)[int(y)].item() for i, y in enumerate(batch.label)]
    assert plain["ce"].item() == pytest.approx(sum(each) / 8, rel=1e-5)
    expected = sum(float(weights[int(y)]) * e for y, e in zip(batch.label, each)) / 8
    assert weighed["ce"].item() == pytest.approx(expected, rel=1e-5)
    assert not any("class_weights" in key for key in model.state_dict())
