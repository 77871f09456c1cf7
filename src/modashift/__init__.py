"""Multimodal sentiment analysis: what a person means, from the words, the face and the voice together.

The public names below are imported on first use, so that ``import modashift`` and ``modashift --help`` stay quick.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "Dataset": "modashift.data.dataset",
    "Predictor": "modashift.predictor",
    "load": "modashift.predictor",
    "open_dataset": "modashift.data.open",
    "regression_metrics": "modashift.evaluate.metrics",
}

__all__ = ["Dataset", "Predictor", "__version__", "load", "open_dataset", "regression_metrics"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'modashift' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
