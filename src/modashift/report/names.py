"""What metrics are called and how their numbers are printed, in every form of a report alike."""

import math
import re

__all__ = [
    "CLASSES_SHOWN",
    "LABELS",
    "SHOWN",
    "TESTED",
    "TEXT_ONLY",
    "better_is_lower",
    "difference",
    "is_share",
    "number",
    "p_value",
    "slug",
]

LABELS = {
    "mae": "MAE",
    "corr": "Corr",
    "acc2_has0": "Acc-2 has0",
    "acc2_non0": "Acc-2 non0",
    "f1_has0": "F1 has0",
    "f1_non0": "F1 non0",
    "acc3": "Acc-3",
    "acc5": "Acc-5",
    "acc7": "Acc-7",
    "wa": "WA",
    "ua": "UA",
    "f1_weighted": "F1 weighted",
    "f1_macro": "F1 macro",
    "legacy_precision_weighted": "precision weighted",
    "legacy_precision_macro": "precision macro",
}
SHOWN = ("mae", "corr", "acc2_has0", "acc2_non0", "f1_has0", "f1_non0", "acc7")
TESTED = SHOWN[:-1]
CLASSES_SHOWN = ("wa", "ua", "f1_weighted", "f1_macro")  # and tested
TEXT_ONLY = "bert"  # the model that sees words alone whatever the data have


def better_is_lower(metric: str) -> bool:
    """Whether a small value of the metric is the good one."""
    return metric == "mae"


def is_share(metric: str) -> bool:
    """Whether the metric is printed as a percentage with two decimals; the others have three decimals."""
    return metric not in ("mae", "corr")


def number(metric: str, value: float | None) -> str:
    """A value of a metric; "–" where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{100 * value:.2f}" if is_share(metric) else _unsigned_zero(f"{value:.3f}")


def difference(metric: str, value: float, sign: bool = True) -> str:
    """A difference of two values of a metric, in its own units or in percentage points."""
    scaled, decimals = (100 * value, 2) if is_share(metric) else (value, 3)
    text = _unsigned_zero(f"{scaled:.{decimals}f}")
    return ("+" if sign and not text.startswith("-") and float(text) != 0 else "") + text.replace("-", "−")


def p_value(p: float) -> str:
    """``p = .03`` with two significant digits, ``p < .001``, ``p = 1``."""
    if p < 0.001:
        return "p < .001"
    if p >= 0.995:
        return "p = 1"
    return "p = " + (f"{p:.3f}" if p < 0.1 else f"{p:.2f}").lstrip("0")


def slug(text: str) -> str:
    """Name for a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "data"


def _unsigned_zero(text: str) -> str:
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text
