"""``modashift tune``."""

import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modashift.errors import ModashiftError
from modashift.models import MODELS
from modashift.train.options import add_settings, check_name, shipped_configs, value_of

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from modashift.train.tune import Plan

__all__ = ["tune"]

MOST_RESTARTS = 3


def _parser(model: str) -> "ArgumentParser":
    from jsonargparse import ArgumentParser

    from modashift.models import get_model

    cls = get_model(model)
    parser = ArgumentParser(
        prog=f"modashift tune {model}",
        description=f"Search settings of {cls.title} on dev. The test split is taken out of the data first.",
    )
    parser.add_argument("--study", type=str, required=True, help="folder of the study; an existing one is continued")
    parser.add_argument("--trials", type=int, required=True, help="in total, over all calls and workers")
    parser.add_argument("--timeout", type=float | None, default=None, help="begin no trial after so many seconds")
    parser.add_argument("--workers", type=int, default=1, help="processes; other calls may join on the same folder")
    parser.add_argument("--search", type=str, default="defaults", help="YAML file of what to vary, or defaults")
    parser.add_argument("--sampler_seed", type=int, default=0, help="of the choice of values")
    parser.add_argument("--prune", type=bool, default=True, help="end bad trials early")
    parser.add_argument("--keep_weights", type=bool, default=False, help="keep the weights of every trial")
    add_settings(parser, model, "YAML file of settings that are not searched")
    return parser


def tune(argv: list[str]) -> dict[str, Any] | None:
    """``modashift tune MODEL --data … --study DIR --trials N``."""
    if not argv or argv[0] in {"-h", "--help"}:
        sys.stdout.write(
            "usage: modashift tune MODEL --data FILE --study DIR --trials N [--search FILE.yaml] [--workers K]\n\n"
            f"models: {', '.join(MODELS)}\n\n"
            "`modashift tune MODEL --help` lists every option; all those of training set what is not searched.\n"
        )
        return None
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ModashiftError("tuning needs optuna: pip install 'modashift[tune]'") from error
    name, rest = argv[0], shipped_configs(argv[1:])
    parser = _parser(name)
    if (given := value_of("--config", rest)) and Path(given).is_file():
        check_name(Path(given), name)
    plan, config = _plan(name, parser.parse_args(rest))
    deadline = None if config["timeout"] is None else time.time() + config["timeout"]
    if config["workers"] > 1:
        _several(plan, config["workers"], deadline)
    else:
        from modashift.train.tune import work

        work(plan, deadline)
    return _report(plan)


def _plan(name: str, config: Any) -> "tuple[Plan, dict[str, Any]]":
    from modashift.experiments.settings import Settings
    from modashift.train.args import DataArgs, TrainArgs
    from modashift.train.search import read_search
    from modashift.train.tune import Plan

    values = config.as_dict()
    if values["trials"] < 1 or values["workers"] < 1:
        raise ModashiftError("--trials and --workers must be at least 1")
    base = Settings(
        name,
        DataArgs(**{f.name: values[f.name] for f in fields(DataArgs)}),
        TrainArgs(**{f.name: values[f.name] for f in fields(TrainArgs)}),
        values.get("model") or {},
    )
    return Plan(
        base,
        read_search(values["search"], base),
        Path(values["study"]),
        values["trials"],
        values["sampler_seed"],
        values["prune"],
        values["keep_weights"],
    ), values


def _several(plan: "Plan", workers: int, deadline: float | None) -> None:
    """Work in several processes; one that dies is replaced, and its trial taken up."""
    from multiprocessing import get_context
    from multiprocessing.connection import wait

    from modashift.train.tune import open_study

    open_study(plan)  # once, before they race for it
    context = get_context("spawn")

    def start() -> Any:
        process = context.Process(target=_worker, args=(plan, deadline), daemon=True)
        process.start()
        return process

    running = [start() for _ in range(workers)]
    restarts = 0
    try:
        while running:
            wait([p.sentinel for p in running], 1.0)
            for process in [p for p in running if not p.is_alive()]:
                running.remove(process)
                if process.exitcode == 0:
                    continue
                restarts += 1
                if restarts > MOST_RESTARTS:
                    raise ModashiftError(
                        f"{restarts} workers ended with exit status {process.exitcode}; what is above may say why "
                        "(out of memory?); the same command goes on"
                    )
                sys.stderr.write(f"a worker ended with exit status {process.exitcode}; another takes its place\n")
                running.append(start())
    finally:
        for process in running:
            process.terminate()
            process.join()


def _worker(plan: "Plan", deadline: float | None) -> None:
    import os
    import signal

    from modashift.train.processes import end_with_parent

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    from modashift.train.tune import work

    try:
        work(plan, deadline)
    except ModashiftError as error:
        sys.stderr.write(f"modashift: {error}\n")
        raise SystemExit(2) from error


def _report(plan: "Plan") -> dict[str, Any]:
    from modashift.train.processes import claim
    from modashift.train.tune import counted, open_study
    from modashift.train.tune_outputs import best_trial, importances, values_of, write_plots, write_tables

    study = open_study(plan)
    with claim(plan.folder, wait=True):
        write_tables(study, plan)
        write_plots(study, plan)
    states = [t.state.name.lower() for t in counted(study)]
    said = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
    write = sys.stdout.write
    write(f"{len(states)} of {plan.trials} trials: {said}\n")
    best = best_trial(study)
    if best is None:
        write("no trial is complete yet\n")
        return {"trials": len(states), "best": None}
    values = values_of(best)
    write(f"best: trial {best.number}, dev {plan.criterion} {best.value:.4f}\n")
    shares = importances(study)
    for key, value in values.items():
        share = f"  importance {shares[key]:.2f}" if key in shares else ""
        write(f"  {key}: {value}{share}\n")
    write(f"next: modashift train {plan.base.model} --config {plan.folder / 'best.yaml'} --run RUN\n")
    return {"trials": len(states), "best": best.value, "values": values}
