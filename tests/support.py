"""Helpers shared by test modules."""

from typing import Any

import torch

from modashift.models import get_model
from modashift.models.base import Model

SIZES = {"visual": 5, "acoustic": 3}


def build(name: str, backbone: dict[str, Any], sizes: dict[str, int] | None = None, **options: Any) -> Model:
    """A model with random weights, the same ones every time."""
    torch.manual_seed(0)
    cls: Any = get_model(name)
    model: Model = cls(backbone=backbone, modality_sizes=SIZES if sizes is None else sizes, **options)
    return model
