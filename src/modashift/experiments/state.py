"""What is known of a run from its folder: finished, begun or neither, how far, and how long it took."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modashift.errors import ModashiftError
from modashift.evaluate.tasks import Classes, reached
from modashift.experiments.grid import Run
from modashift.experiments.settings import differences

__all__ = ["Progress", "finished", "lines", "progress", "refuse_changes", "seconds"]


def finished(folder: Path) -> bool:
    """Whether the run is done: its results are written last."""
    return (folder / "results.json").is_file()


def lines(path: Path) -> list[dict[str, Any]]:
    """Lines of a JSON-lines file that may be written to just now; what cannot be read yet is left out."""
    found = []
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
    return found


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        epochs: done.
        of: epochs it will run at most.
        score: the criterion's name and its value in the last epoch; empty before the first.
    """

    epochs: int
    of: int
    score: str = ""


def progress(run: Run, out: Path) -> Progress:
    """How far a run is, by the lines it has written."""
    found = lines(run.folder(out) / "metrics.jsonl")
    train = run.settings.train
    if not found:
        return Progress(0, train.epochs)
    value = reached(found[-1], train.select)
    name = train.select if f"dev_{train.select}" in found[-1] else Classes.term  # the task's loss, whatever it is
    score = f"dev {name} {value:.3f}" if isinstance(value, float) else ""
    return Progress(min(len(found), train.epochs), train.epochs, score)


def seconds(folder: Path) -> float | None:
    """Seconds that a finished run took, all calls together; None where it is not finished."""
    if not finished(folder):
        return None
    return float(sum(line.get("seconds", 0.0) for line in lines(folder / "timing.jsonl")))


def refuse_changes(runs: Sequence[Run], out: Path) -> None:
    """Refuse to mix runs of two declarations in one folder; more rows, data sets or seeds are welcome.

    Raises:
        ModashiftError: where runs that are there were made with other settings.
    """
    changed = []
    for run in runs:
        found = differences(run.settings, run.folder(out))
        if found:
            state = "finished" if finished(run.folder(out)) else "begun"
            changed.append(f"{run.name} ({state}): {'; '.join(found)}")
    if changed:
        shown = "\n  ".join([*changed[:5], *([f"… and {len(changed) - 5} more"] if len(changed) > 5 else [])])
        raise ModashiftError(
            f"{out} holds runs with other settings than are declared now:\n  {shown}\n"
            "Give another --out, or delete the folders of these runs to have them made anew."
        )
