"""What long commands share of what a person sees: where it goes, bars that count, and how long something takes."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["console", "counting_bars", "duration"]


def console() -> "Console":
    """Standard error: standard output is for results."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def counting_bars(on: "Console") -> "Progress":
    """Bars with how many of how many are done; each task has a field ``note``. They vanish when they are stopped."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=on,
        transient=True,
    )


def duration(value: float) -> str:
    """Seconds as a person says them."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"
