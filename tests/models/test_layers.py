"""Losses of the task, computed one error at a time."""

import pytest
import torch

from modashift.models import get_model
from modashift.models.layers import HUBER, task_loss
from support import build


def _naive(kind: str, errors: list[float]) -> float:
    total = 0.0
    for error in map(abs, errors):
        if kind == "mse":
            total += error**2
        elif kind == "l1":
            total += error
        else:
            total += error**2 / (2 * HUBER) if error < HUBER else error - HUBER / 2
    return total / len(errors)


@pytest.mark.parametrize("kind", ["mse", "l1", "huber"])
def test_of_errors_small_and_large(kind):
    errors = [0.0, 0.1, -0.49, 0.5, -0.51, 2.0, -5.5]
    label = torch.linspace(-3, 3, len(errors), dtype=torch.float64)
    terms = task_loss(kind, label + torch.tensor(errors, dtype=torch.float64), label)
    assert float(terms["loss"]) == pytest.approx(_naive(kind, errors), abs=1e-12)
    assert float(terms["mse"]) == pytest.approx(_naive("mse", errors), abs=1e-12)


@pytest.mark.parametrize("name", ["bert", "cmsbert", "cmsbert-1", "mag-bert"])
@pytest.mark.parametrize("kind", ["mse", "l1", "huber"])
def test_of_models_on_bert(name, kind, tiny_config, make_batch):
    model, batch = build(name, tiny_config, task_loss=kind).eval(), make_batch()
    output = model(batch)
    errors = (output.prediction - batch.label).detach().tolist()
    assert model.loss(output, batch)["loss"].item() == pytest.approx(_naive(kind, errors), rel=1e-5)
    assert get_model(name) is type(model)
