"""How much of a model is left when its input gets worse: missing steps, missing modalities, noise, misheard words.

Every disturbance is drawn several times, the same way for every model (`modashift.evaluate.perturb`). Intervals come
from a bootstrap over utterances and draws together: 95 % of the means of resampled utterances under resampled draws.
The change from the undisturbed score is taken within each resample, on the same utterances.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.evaluate.perturb import blank_words, misheard, missing_steps, noisy, train_deviation
from modashift.evaluate.subject import Subject

__all__ = ["Condition", "conditions", "measure", "summarise", "to_csv", "to_markdown"]

Floats = NDArray[np.float64]
TITLES = {
    "none": "undisturbed",
    "missing": "steps missing",
    "noise": "noise",
    "deletion": "words deleted",
    "substitution": "words replaced",
    "unknown": "every word unknown",
}


@dataclass(frozen=True)
class Condition:
    """One way to disturb the input, and how much.

    Attributes:
        kind: none, missing, noise, deletion, substitution or unknown.
        modality: visual, acoustic, both (non-verbal) or linguistic.
        level: share of steps or words, or standard deviation of the noise; 0 where there is none.
        draws: how many times it is drawn.
    """

    kind: str
    modality: str
    level: float
    draws: int

    @property
    def title(self) -> str:
        """Heading without the level."""
        what = TITLES[self.kind]
        own = "visual and acoustic" if self.modality == "both" else self.modality
        return f"{own}: {what}" if self.kind in {"missing", "noise"} else what


def conditions(
    modalities: Sequence[str],
    draws: int = 5,
    shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    noise: Sequence[float] = (0.5, 1.0, 2.0),
    errors: Sequence[float] = (0.1, 0.2, 0.4),
) -> list[Condition]:
    """Everything that is measured, the undisturbed input first.

    Args:
        modalities: non-verbal ones that any of the models reads.
        draws: of what is random; a modality that is missing altogether, and unknown words, are one draw.
        shares: of missing steps; 1 is a missing modality.
        noise: standard deviations, in units of the feature's own.
        errors: shares of misheard words.
    """
    targets = [*(["both"] if len(modalities) > 1 else []), *modalities]
    return [
        Condition("none", "", 0.0, 1),
        *(Condition("missing", t, s, 1 if s >= 1 else draws) for t in targets for s in shares),
        *(Condition("noise", t, s, draws) for t in targets for s in noise),
        *(Condition(kind, "linguistic", s, draws) for kind in ("deletion", "substitution") for s in errors),
        Condition("unknown", "linguistic", 1.0, 1),
    ]


def measure(
    subject: Subject,
    wanted: Sequence[Condition],
    seed: int = 0,
    batch_size: int = 64,
    tick: Callable[[], None] = lambda: None,
) -> dict[Condition, Floats]:
    """Predictions under each condition.

    Args:
        subject: model and utterances.
        wanted: see `conditions`.
        seed: of everything that is drawn.
        batch_size: utterances scored together.
        tick: called after each draw.

    Returns:
        By condition (draws, n). A model that does not read the disturbed modality keeps its undisturbed predictions,
        as does any where the level is 0.
    """
    clean = subject.score(batch_size=batch_size)
    own = [m for m in subject.dataset.features if m != "linguistic"]
    deaf = not subject.predictor.preprocessor.reads_words
    deviation: dict[str, Floats] = {}
    if any(c.kind == "noise" and c.level > 0 for c in wanted) and own:
        deviation = train_deviation(subject)[0]
    found: dict[Condition, Floats] = {}
    for condition in wanted:
        kind, level = condition.kind, condition.level
        targets = own if condition.modality == "both" else [m for m in own if m == condition.modality]
        unread = (kind in {"missing", "noise"} and not targets) or (deaf and condition.modality == "linguistic")
        rows = []
        for draw in range(condition.draws):
            if kind == "none" or level <= 0 or unread:
                rows.append(clean)
            elif kind == "missing":
                rows.append(subject.score(missing_steps(subject, targets, level, seed, draw), batch_size))
            elif kind == "noise":
                rows.append(subject.score(noisy(subject, targets, level, deviation, seed, draw), batch_size))
            elif kind == "unknown":
                rows.append(subject.score(blank_words(subject.predictor.preprocessor), batch_size))
            else:
                rows.append(misheard(subject, kind, level, seed, draw).score(batch_size=batch_size))
            tick()
        found[condition] = np.stack(rows)
    return found


def summarise(
    name: str,
    gold: Floats,
    found: Mapping[Condition, Floats],
    resamples: int = 1000,
    seed: int = 0,
    centre: float = float("nan"),
) -> list[dict[str, Any]]:
    """One row a condition: MAE and correlation, their intervals, and the change from the undisturbed input.

    Args:
        name: of the run.
        gold: (n,) true scores.
        found: predictions by condition (draws, n), one of them of kind ``none``.
        resamples: of the bootstrap.
        seed: of the bootstrap; conditions and runs share the resampled utterances.
        centre: mean score of the training split.

    Returns:
        Rows with ``run``, ``kind``, ``modality``, ``level``, ``draws``, ``n``; ``floor_mae``, of predicting `centre`
        for everybody; ``unchanged``, whether every prediction is that of the undisturbed input; and for ``mae`` and
        ``corr`` the value, ``_low``, ``_high``, ``_change``, ``_change_low``, ``_change_high``, and ``_sd`` over draws
        (NaN for a single one). The correlation with a constant is 0.
    """
    clean = next(p for c, p in found.items() if c.kind == "none")
    items = np.random.default_rng([seed, 0]).integers(len(gold), size=(resamples, len(gold)))  # the same for all
    rows = []
    for condition, predictions in found.items():
        draws = np.random.default_rng([seed, 1]).integers(len(predictions), size=(resamples, len(predictions)))
        row: dict[str, Any] = {"run": name, **asdict(condition), "n": len(gold)}
        row["floor_mae"] = float(np.abs(gold - centre).mean())
        row["unchanged"] = bool((predictions == clean).all())
        exact, base = _values(gold, predictions), _values(gold, clean)
        samples = []
        for item, draw in zip(items, draws):
            disturbed = _values(gold[item], predictions[draw][:, item]).mean(1)
            samples.append([disturbed, _values(gold[item], clean[:, item]).mean(1)])
        values = np.array(samples).reshape(-1, 2, 2)  # (resamples, disturbed and not, metric)
        for k, metric in enumerate(("mae", "corr")):
            low, high = _interval(values[:, 0, k])
            change_low, change_high = _interval(values[:, 0, k] - values[:, 1, k])
            row |= {
                metric: float(exact[k].mean()),
                f"{metric}_low": low,
                f"{metric}_high": high,
                f"{metric}_sd": float(exact[k].std(ddof=1)) if len(predictions) > 1 else float("nan"),
                f"{metric}_change": float(exact[k].mean() - base[k].mean()),
                f"{metric}_change_low": change_low,
                f"{metric}_change_high": change_high,
            }
        rows.append(row)
    return rows


def _values(gold: Floats, predictions: Floats) -> Floats:
    """MAE and correlation of each draw: (2, draws)."""
    y, p = gold - gold.mean(), predictions - predictions.mean(1, keepdims=True)
    scale = np.sqrt((y**2).sum() * (p**2).sum(1))
    still = (np.ptp(predictions, axis=1) == 0) | (np.ptp(gold) == 0)  # constant to the last bit
    corr = np.where(still, 0.0, (p @ y) / np.where(scale > 0, scale, 1.0))
    return np.stack([np.abs(predictions - gold).mean(1), corr])


def _interval(values: Floats) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """All numbers, a line a run and condition."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_markdown(rows: Sequence[Mapping[str, Any]], note: str = "") -> str:
    """A table to read: MAE and correlation with intervals, and the change of the MAE.

    Rows in which nothing changed, because the run does not read what was disturbed, are left out.
    """
    lines = [
        "| run | input | level | draws | MAE [95 %] | change of MAE [95 %] | Corr [95 %] |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        condition = Condition(r["kind"], r["modality"], r["level"], r["draws"])
        level = "" if r["kind"] in {"none", "unknown"} else f"{r['level']:g}" + (" sd" if r["kind"] == "noise" else "")
        change = "" if r["kind"] == "none" else _cell(r, "mae_change", "+")
        if r["unchanged"] and r["kind"] != "none":
            continue
        run = str(r["run"]).replace("|", "\\|")
        if r["kind"] == "none":
            lines.append(f"| {run} | train mean for everybody |  |  | {r['floor_mae']:.3f} |  |  |")
        cells = (run, condition.title, level, r["draws"], _cell(r, "mae"), change, _cell(r, "corr"))
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n" + (f"\n{note}\n" if note else "")


def _cell(row: Mapping[str, Any], key: str, sign: str = "") -> str:
    value, low, high = (round(row[k], 3) + 0.0 for k in (key, f"{key}_low", f"{key}_high"))  # no -0.000
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
