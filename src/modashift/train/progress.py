"""What a person sees while a run trains: a bar with the time left, and a line an epoch."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modashift.evaluate.tasks import Task

__all__ = ["Reporter"]


class Reporter:
    """Reports to the terminal, and to TensorBoard where a folder is given. Silent on all but the main process.

    Args:
        silent: report nothing.
        tensorboard: folder for TensorBoard's event files, or None.
        first_step: step a resumed run continues from; later events of the interrupted one are dropped.
        on_epoch: is called with the metrics of each epoch; what it raises ends the training.
    """

    def __init__(
        self,
        silent: bool = False,
        tensorboard: str | None = None,
        first_step: int = 0,
        on_epoch: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        from rich.console import Console

        self.on_epoch = on_epoch
        self.silent = silent
        self.console = Console(file=sys.stderr, highlight=False, quiet=silent)
        self.bar: Any = None
        self.writer: Any = None
        if tensorboard and not silent:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(tensorboard, purge_step=first_step or None)

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text)

    def start(self, total: int, done: int = 0) -> None:
        """Show the bar for `total` steps."""
        if self.silent or not self.console.is_terminal:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps, left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.task = self.bar.add_task("training", total=total, completed=done)
        self.bar.start()

    def step(self, epoch: int) -> None:
        """One optimiser step was made."""
        if self.bar is not None:
            self.bar.update(self.task, advance=1, description=f"epoch {epoch + 1}")

    def epoch(self, line: Mapping[str, Any], task: "Task") -> None:
        """Report the metrics of an epoch; a star marks the best so far."""
        weight = f"  ν {line['contrastive_weight']:.3f}" if "contrastive_weight" in line else ""
        end = "  *" if line["best"] else ""
        end += f"  {line['skipped']} steps skipped" if line.get("skipped") else ""
        contrastive = f"  con {line['dev_contrastive']:.2f}" if "dev_contrastive" in line else ""
        self.console.print(
            f"epoch {line['epoch']:3d}  train loss {line['train_loss']:.3f}  dev {task.term} "
            f"{line[f'dev_{task.term}']:.3f}{contrastive}{weight}  {task.spoken(line)}{end}"
        )
        if self.writer is not None:
            for key, value in line.items():
                if isinstance(value, float):
                    self.writer.add_scalar(key.replace("train_", "train/").replace("dev_", "dev/"), value, line["step"])
        if self.on_epoch is not None:
            self.on_epoch(line)

    def stop(self) -> None:
        """Take the bar away and close the logs."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        if self.writer is not None:
            self.writer.close()
            self.writer = None
