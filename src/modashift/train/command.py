"""``modashift train``: from settings to a finished run folder."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from modashift.data.dataset import Dataset
from modashift.errors import ModashiftError
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.distributed import start
from modashift.train.finish import describe_model, finish
from modashift.train.loop import fit
from modashift.train.progress import Reporter
from modashift.train.runs import RunFolder
from modashift.train.setup import prepare

__all__ = ["train"]


def train(
    model: str,
    data: DataArgs,
    run: str | Path,
    args: TrainArgs | None = None,
    options: Mapping[str, Any] | None = None,
    resume: bool = False,
    silent: bool = False,
    dataset: Dataset | None = None,
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train a model and evaluate the checkpoint chosen on dev.

    Args:
        model: name, see `modashift.models.MODELS`.
        data: which data, splits and features.
        run: folder to write.
        args: how to train; the quick recipe where not given.
        options: arguments of the model itself, by name.
        resume: continue an interrupted run in that folder; one that is finished is left as it is.
        silent: report nothing on the terminal.
        dataset: the data themselves, where they are in memory already; ``data.data`` is then only their name.
        on_epoch: is called with each epoch's line of ``metrics.jsonl``; an exception it raises ends the training.

    Returns:
        What ``results.json`` holds: metrics by split, the epoch chosen, the train-mean floor.
    """
    import json

    args = args or TrainArgs()
    options = dict(options or {})
    folder = RunFolder(run)
    if args.threads:
        torch.set_num_threads(args.threads)
    world = start(args.device)
    try:
        config = {"name": model, **asdict(data), **asdict(args), "model": plain(options)}
        if world.main:
            folder.create(config, resume)
        world.barrier()
        if folder.results.is_file():
            finished: dict[str, Any] = json.loads(folder.results.read_text(encoding="utf-8"))
            return finished
        logs = str(folder.path / "tensorboard") if args.tensorboard else None
        report = Reporter(silent or not world.main, logs, on_epoch=on_epoch)
        setup = prepare(model, options, data, args, dataset)
        sizes = ", ".join(f"{len(setup.labelled(s))} {s}" for s in ("train", "dev", "test"))
        count = sum(p.numel() for p in setup.model.parameters())
        report.say(f"{setup.model.title}: {count:,} parameters; {setup.dataset.name}: {sizes}")
        for note in setup.notes:
            report.say(note)
        if world.main:
            describe_model(setup, folder)
        fitted = fit(setup, args, folder, world, report)
        results: dict[str, Any] = {}
        if world.main:
            if fitted["best_epoch"] < 1:
                raise ModashiftError("no epoch gave a finite dev score; lower --lr, or use --precision fp32")
            results = finish(setup, data, args, folder, world, fitted)
        world.barrier()
        return results
    finally:
        world.close()


def plain(value: Any) -> Any:
    """Dataclasses within options as plain mappings, for config.yaml."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
