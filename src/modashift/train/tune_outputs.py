"""What a study leaves for people: a table of its trials, the best settings, and two pictures."""

import csv
import io
import json
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from modashift.atomic import atomic_file, write_atomic
from modashift.train.search import with_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna import Study
    from optuna.trial import FrozenTrial

    from modashift.train.tune import Plan

__all__ = ["importances", "write_plots", "write_tables"]

BLUE, ORANGE, GREY = "#0b62a4", "#d1730a", "#8a8a8a"


def write_tables(study: "Study", plan: "Plan") -> None:
    """Write ``trials.csv`` and, once a trial is complete, ``best.yaml``."""
    trials = [t for t in study.trials if t.state.name != "WAITING"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", f"dev_{plan.criterion}", "epochs", "seconds", *plan.space, "folder", "error"])
    for trial in trials:
        values = values_of(trial)
        seconds = trial.duration.total_seconds() if trial.duration else None
        score = trial.value if trial.state.name == "COMPLETE" else None
        writer.writerow(
            [
                trial.number,
                trial.state.name.lower(),
                "" if score is None else repr(score),
                len(trial.intermediate_values),
                "" if seconds is None else f"{seconds:.1f}",
                *(json.dumps(values[k]) if k in values else "" for k in plan.space),
                plan.trial_folder(trial).relative_to(plan.folder),
                trial.user_attrs.get("error", ""),
            ]
        )
    write_atomic(plan.folder / "trials.csv", text.getvalue())
    best = best_trial(study)
    if best is None:
        return
    settings = with_values(plan.base, values_of(best)).config()
    header = (
        f"# Best of {len(trials)} trials: trial {best.number}, dev {plan.criterion} {best.value:.4f} "
        f"(one seed, chosen on dev; the test split had no part).\n"
        f"#\n#   modashift train {plan.base.model} --config {plan.folder / 'best.yaml'} --run RUN\n"
    )
    write_atomic(plan.folder / "best.yaml", header + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def best_trial(study: "Study") -> "FrozenTrial | None":
    """The best complete trial, or None before there is one."""
    return study.best_trial if any(t.state.name == "COMPLETE" for t in study.trials) else None


def values_of(trial: "FrozenTrial") -> dict[str, Any]:
    """Values of a trial by key; none where it died before it was given any."""
    found: dict[str, Any] = json.loads(trial.user_attrs.get("values", "{}"))
    return found


def importances(study: "Study") -> dict[str, float]:
    """Share of each setting in what makes a trial good (PED-ANOVA); empty where there are too few trials to say."""
    import optuna

    scores = {t.value for t in study.trials if t.state.name == "COMPLETE"}
    if len(scores) < 4:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions of optuna call this one experimental
        try:
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (RuntimeError, ValueError):  # no setting varied among the complete trials
            return {}
    return {k: float(v) for k, v in found.items() if math.isfinite(v)}


def write_plots(study: "Study", plan: "Plan") -> list[Path]:
    """Draw ``history.png`` and ``importance.png``; returns those there was something to draw of."""
    from matplotlib.ticker import MaxNLocator

    written = []
    complete = [(t.number, t.value) for t in study.trials if t.state.name == "COMPLETE" and t.value is not None]
    if complete:
        figure, axes = _axes(6.4, 3.6)
        axes.scatter([n for n, _ in complete], [v for _, v in complete], color=BLUE, s=22, label="trial")
        best = [plan.best([v for _, v in complete[: k + 1]]) for k in range(len(complete))]
        axes.step([n for n, _ in complete], best, where="post", color=ORANGE, linewidth=1.8, label="best so far")
        pruned = [
            (t.number, list(t.intermediate_values.values())[-1])
            for t in study.trials
            if t.state.name == "PRUNED" and t.intermediate_values
        ]
        pruned = [(n, v) for n, v in pruned if math.isfinite(v)]
        if pruned:
            axes.scatter(
                [n for n, _ in pruned],
                [v for _, v in pruned],
                color=GREY,
                s=22,
                marker="x",
                label="pruned, at its last epoch",
            )
        axes.set(xlabel="trial", ylabel=f"dev {plan.criterion}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=9)
        written.append(_save(figure, plan.folder / "history.png"))
    shares = importances(study)
    if shares:
        figure, axes = _axes(6.4, 1.2 + 0.36 * len(shares))
        names = list(shares)[::-1]
        axes.barh(range(len(names)), [shares[n] for n in names], color=BLUE, height=0.65)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel=f"importance for dev {plan.criterion} (PED-ANOVA)")
        written.append(_save(figure, plan.folder / "importance.png"))
    return written


def _axes(width: float, height: float) -> "tuple[Any, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=160)
    return path
