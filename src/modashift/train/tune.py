"""Hyper-parameter search on dev. The test split is taken out of the data before the first trial."""

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from modashift.atomic import write_atomic
from modashift.data.dataset import Dataset
from modashift.errors import ModashiftError
from modashift.evaluate.tasks import Classes, Scores, reached
from modashift.experiments.settings import Settings
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.processes import claim
from modashift.train.search import Space, with_values
from modashift.train.tune_outputs import write_tables

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

__all__ = ["Plan", "development", "open_study", "work"]

MAXIMISED = {m for task in (Scores, Classes) for m, higher in task.higher.items() if higher}
STUDY = "modashift"
LIVES = 3  # how often a trial whose process died is begun


@dataclass(frozen=True)
class Plan:
    """A study: what is tuned, over what, how long.

    Attributes:
        base: settings that are not searched.
        space: what is.
        folder: of the study: ``study.db``, ``trials/``, tables and plots.
        trials: in total, over all calls and workers.
        sampler_seed: of the choice of values.
        prune: end trials early that are worse than the median of the others at that epoch.
        keep_weights: keep the weights of every trial.
    """

    base: Settings
    space: Space
    folder: Path
    trials: int
    sampler_seed: int = 0
    prune: bool = True
    keep_weights: bool = False

    @property
    def criterion(self) -> str:
        """Dev metric that is optimised: the one that chooses a run's checkpoint."""
        return self.base.train.select

    def best(self, values: Sequence[float]) -> float:
        """The best of some scores."""
        return max(values) if self.criterion in MAXIMISED else min(values)

    def trial_folder(self, trial: "Trial | FrozenTrial") -> Path:
        """Run folder of a trial; one that replaces a trial whose process died continues in that one's."""
        return self.folder / "trials" / str(trial.user_attrs.get("folder", f"{trial.number:04d}"))


def development(data: DataArgs, dataset: Dataset | None = None) -> tuple[Dataset, DataArgs]:
    """The training and dev utterances alone, and how to use them as they are.

    Nothing of a test utterance is left: not its text, label or features.

    Args:
        data: which data and splits.
        dataset: the data themselves, where they are in memory already.
    """
    from modashift.train.setup import load_splits

    dataset = load_splits(data, dataset)
    rows = np.flatnonzero(np.isin(dataset.splits, ("train", "dev")))
    plain = replace(data, validation=None, dev_as_test=False, folds=None, fold=1, protocol=None, leave_out=None)
    return dataset.take(rows), plain


def open_study(plan: Plan) -> "Study":
    """Create the study, or open the one that is there.

    Raises:
        ModashiftError: that one tunes something else.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    description = {**plan.base.config(), "search": {k: repr(v) for k, v in plan.space.items()}}
    described = plan.folder / "study.yaml"
    with claim(plan.folder, wait=True):
        if described.is_file():
            # An option that the version of that study did not have yet stood at its default, as in RunFolder.create.
            usual = {f.name: f.default for kind in (DataArgs, TrainArgs) for f in fields(kind)}
            before = {**usual, **yaml.safe_load(described.read_text(encoding="utf-8"))}
            differ = [k for k in sorted({*before, *description}) if before.get(k) != description.get(k)]
            if differ:
                raise ModashiftError(
                    f"{plan.folder} is a study with other settings ({', '.join(differ)}); "
                    "its trials would not compare: give another --study"
                )
        else:
            write_atomic(described, yaml.safe_dump(description, sort_keys=False, allow_unicode=True))
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{(plan.folder / 'study.db').resolve()}", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        study = optuna.create_study(
            study_name=STUDY,
            storage=storage,
            load_if_exists=True,
            direction="maximize" if plan.criterion in MAXIMISED else "minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
            if plan.prune
            else optuna.pruners.NopPruner(),
        )
    return study


def work(plan: Plan, deadline: float | None = None, dataset: Dataset | None = None) -> None:
    """Make trials until the study has all of them; any number of processes may do so at once.

    Args:
        plan: the study.
        deadline: `time.time()` after which no trial is begun.
        dataset: the data themselves, where they are in memory already.
    """
    study = open_study(plan)
    dataset, data = development(plan.base.data, dataset)
    while deadline is None or time.time() < deadline:
        with ExitStack() as held:
            with claim(plan.folder, wait=True):  # counting and beginning are one act, or two workers begin the last
                _take_up_lost(study, plan)
                begun = counted(study)
                if len(begun) >= plan.trials:
                    return
                _stop_where_all_fail(begun)
                trial = _ask(study, plan, len(begun))
                held.enter_context(claim(plan.trial_folder(trial)))
            _make(study, trial, plan, data, dataset)
        with claim(plan.folder, wait=True):
            write_tables(study, plan)


def counted(study: "Study") -> "list[FrozenTrial]":
    """Trials that were begun; one whose process died is not counted beside the one that replaces it."""
    replaced = {t.user_attrs["instead_of"] for t in study.trials if "instead_of" in t.user_attrs}
    return [t for t in study.trials if t.state.name != "WAITING" and t.number not in replaced]


def _ask(study: "Study", plan: Plan, number: int) -> "Trial":
    from optuna.samplers import TPESampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optuna calls some of its samplers' options experimental
        # Seeded by the count, so that a study that was interrupted goes on as it would have.
        study.sampler = TPESampler(seed=plan.sampler_seed + number, constant_liar=True)
        trial = study.ask()
        for key, dimension in plan.space.items():
            dimension.suggest(trial, key)
    return trial


def _take_up_lost(study: "Study", plan: Plan) -> None:
    """Queue anew what was in the hands of processes that died: their trials run on paper, but nobody holds them."""
    from optuna.trial import TrialState

    for lost in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        with claim(plan.trial_folder(lost)) as free:
            if not free:
                continue
            lives = int(lost.user_attrs.get("lives", 1))
            if lives < LIVES:
                again = {"folder": plan.trial_folder(lost).name, "instead_of": lost.number, "lives": lives + 1}
                study.enqueue_trial(lost.params, user_attrs=again)
            study.tell(lost.number, state=TrialState.FAIL)


def _stop_where_all_fail(begun: "Sequence[FrozenTrial]") -> None:
    over = [t for t in begun if t.state.name not in {"RUNNING", "WAITING"}]
    if len(over) >= 3 and all(t.state.name == "FAIL" for t in over):
        raise ModashiftError(f"the first {len(over)} trials failed, the last by: {over[-1].user_attrs.get('error')}")


def _make(study: "Study", trial: "Trial", plan: Plan, data: DataArgs, dataset: Dataset) -> None:
    from optuna.exceptions import TrialPruned
    from optuna.trial import TrialState

    from modashift.train.command import train

    folder = plan.trial_folder(trial)
    reported: set[int] = set()

    def on_epoch(line: Mapping[str, Any]) -> None:
        if line["epoch"] not in reported:
            reported.add(line["epoch"])
            trial.report(reached(line, plan.criterion), line["epoch"])
        if plan.prune and trial.should_prune():
            raise TrialPruned

    values = {k: d.suggest(trial, k) for k, d in plan.space.items()}
    trial.set_user_attr("values", json.dumps(values))
    try:
        settings = with_values(plan.base, values)
        # The data as they are now, but with what was searched about them (normalise, max_length, …).
        kept = {k: getattr(data, k) for k in ("validation", "dev_as_test", "folds", "fold", "protocol", "leave_out")}
        own = replace(settings.data, **kept)
        args = replace(settings.train, tensorboard=False)
        train(settings.model, own, folder, args, settings.options, True, True, dataset, on_epoch)
        lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
        scores = [reached(json.loads(line), plan.criterion) for line in lines]
        study.tell(trial, plan.best([s for s in scores if np.isfinite(s)]))
    except TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except Exception as error:  # one combination that does not work says something too; the study goes on
        trial.set_user_attr("error", f"{type(error).__name__}: {error}")
        study.tell(trial, state=TrialState.FAIL)
    for name in ("state.pt", *([] if plan.keep_weights else ["model.safetensors"])):
        (folder / name).unlink(missing_ok=True)
