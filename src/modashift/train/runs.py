"""The run folder: what is written, atomically, and read back to resume."""

import csv
import io
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from modashift import __version__
from modashift.atomic import write_atomic
from modashift.errors import ModashiftError
from modashift.train.args import DataArgs, TrainArgs

__all__ = ["RunFolder"]


FREE = {"save_every", "tensorboard"}  # may change when a run is resumed: nothing that is learnt depends on them


class RunFolder:
    """One run on disk.

    ``config.yaml`` and ``environment.json`` say what was run on what; ``metrics.jsonl`` has a line an epoch and
    ``timing.jsonl`` the seconds and memory beside it (kept apart, so that equal runs have equal metrics);
    ``model.safetensors``, ``config.json``, ``preprocessor.json`` and the tokenizer are the best checkpoint, loadable
    by `modashift.load`; ``state.pt`` is what resuming needs; ``predictions.csv`` and ``results.json`` are written last.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.timing = self.path / "timing.jsonl"
        self.state = self.path / "state.pt"
        self.results = self.path / "results.json"
        self.predictions = self.path / "predictions.csv"

    def create(self, config: Mapping[str, Any], resume: bool) -> None:
        """Make the folder, or accept an existing one to resume.

        Raises:
            ModashiftError: where a run is there and `resume` is not set, or its configuration is another.
        """
        found = {p.name for p in self.path.iterdir() if not p.name.startswith(".")} if self.path.exists() else set()
        if found <= {"config.yaml", "environment.json"}:  # of a call that failed before anything was built
            self.config.unlink(missing_ok=True)
        else:
            if not resume:
                raise ModashiftError(f"{self.path} exists; give --resume to continue it, or another --run")
            if not self.config.is_file():
                raise ModashiftError(f"{self.path} is no run folder (no config.yaml); nothing to resume there")
            self._same(config)
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.glob(".*.*"):  # of a write that a kill cut short
            if leftover.is_file():
                leftover.unlink()
        if not self.config.is_file():
            write_atomic(self.config, yaml.safe_dump(dict(config), sort_keys=False))
        if not (self.path / "environment.json").is_file():  # a kill may have come between the two
            write_atomic(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")

    def _same(self, config: Mapping[str, Any]) -> None:
        # An option that the version of the interrupted run did not have yet stood at its default.
        defaults = {f.name: f.default for kind in (DataArgs, TrainArgs) for f in fields(kind)}
        before = {**defaults, **yaml.safe_load(self.config.read_text(encoding="utf-8"))}
        now = {**defaults, **yaml.safe_load(yaml.safe_dump(dict(config)))}
        differ = [
            f"{key} was {before.get(key)!r}, now {now.get(key)!r}"
            for key in sorted({*before, *now})
            if before.get(key) != now.get(key) and key not in FREE
        ]
        if differ:
            raise ModashiftError(
                f"{self.path} was run with other settings ({'; '.join(differ)}); resume with the same ones "
                f"(--config {self.config}), or give another --run"
            )

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Save what resuming needs, in one atomic write."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        write_atomic(self.state, buffer.getvalue())

    def load_state(self) -> dict[str, Any] | None:
        """State of an interrupted run, or None where none was saved yet; holds tensors and plain values only."""
        if not self.state.is_file():
            return None
        state: dict[str, Any] = torch.load(self.state, map_location="cpu", weights_only=True)
        return state

    def append(self, file: Path, row: Mapping[str, Any]) -> None:
        """Add a line to a JSON-lines file."""
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")

    def truncate(self, file: Path, lines: int) -> None:
        """Keep the first lines of a JSON-lines file: those the saved state knows of."""
        if file.is_file():
            kept = file.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]
            write_atomic(file, "".join(kept))

    def save_weights(self, state: Mapping[str, Tensor]) -> None:
        """Write ``model.safetensors``."""
        from safetensors.torch import save

        write_atomic(self.path / "model.safetensors", save({k: v.contiguous().cpu() for k, v in state.items()}))

    def save_predictions(self, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write ``predictions.csv``: id, gold, prediction, the probabilities of classes, split; see `Task.header`."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        write_atomic(self.predictions, text.getvalue())


def environment() -> dict[str, Any]:
    """What a figure may depend on besides the configuration."""
    import numpy
    import transformers

    return {
        "modashift": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "processes": int(os.environ.get("WORLD_SIZE", 1)),
        "command": sys.argv[1:],
    }
