"""A worker: a process that makes one run after the other, and may die without harm to others."""

import os
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from modashift.experiments.grid import Run
from modashift.experiments.state import finished
from modashift.train.processes import begin_worker, claim

__all__ = ["drop_weights", "environment", "make", "work"]

WEIGHTS = ("model.safetensors", "state.pt")


def work(connection: Connection, environment: Mapping[str, str], log: str) -> None:
    """Make the runs that come through the connection, until it is closed; answers (kind, message, traceback).

    Args:
        connection: gives (run, folder of the experiment, whether to keep weights).
        environment: variables that must stand before torch is imported.
        log: file that takes what libraries print, and the last words of a crash.
    """
    os.environ.update(environment)
    begin_worker(log)
    while True:
        try:
            run, out, keep_weights = connection.recv()
        except EOFError:
            return
        connection.send(_answer(run, out, keep_weights))


def _answer(run: Run, out: Path, keep_weights: bool) -> tuple[str, str, str]:
    try:
        return make(run, out, keep_weights), "", ""
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}", traceback.format_exc()


def make(run: Run, out: Path, keep_weights: bool = True) -> str:
    """Make or continue a run: ``done``, ``taken`` (another process has it in hand) or ``elsewhere`` (it was made)."""
    folder, answer = run.folder(out), "elsewhere"
    with claim(folder) as had:
        if not had:
            return "taken"
        if not finished(folder):
            answer = "done"
            import gc

            import torch

            from modashift.train.command import train

            threads = torch.get_num_threads()
            try:
                settings = run.settings
                train(
                    settings.model,
                    settings.data,
                    folder,
                    settings.train,
                    settings.options,
                    resume=True,
                    silent=True,
                )
            finally:
                torch.set_num_threads(threads)  # a run's own number of threads is not the next one's
                gc.collect()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
        if not keep_weights and run.row:
            drop_weights(folder)
        return answer


def drop_weights(folder: Path) -> None:
    """Delete the weights of a finished run; results and predictions stay."""
    for name in WEIGHTS:
        (folder / name).unlink(missing_ok=True)


def environment(device: str | None, threads: int | None, visible: str | None) -> dict[str, Any]:
    """Variables of a worker: its device is the only one it sees, so that a run may continue on another one.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``; None for whatever the runs' settings say.
        threads: CPU threads; torch's own choice where not given.
        visible: value of CUDA_VISIBLE_DEVICES in the parent.
    """
    variables = {"TOKENIZERS_PARALLELISM": os.environ.get("TOKENIZERS_PARALLELISM", "false")}
    if threads is not None:
        variables |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    elif device is not None and device.startswith("cuda:"):
        number = int(device.removeprefix("cuda:"))
        seen = visible.split(",") if visible else None
        variables["CUDA_VISIBLE_DEVICES"] = seen[number] if seen and number < len(seen) else str(number)
    return variables
