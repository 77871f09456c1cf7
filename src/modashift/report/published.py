"""Published numbers that belong beside ours, each with the four facts one needs to compare."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from modashift.evaluate.results import Run
from modashift.report.names import TEXT_ONLY

__all__ = ["Published", "System", "published_for", "system_of"]


@dataclass(frozen=True)
class System:
    """What decides whether two results are of the same thing.

    Attributes:
        model: our name of the model.
        departures: from the model as published, in words: parts left out, other data seen; in alphabetical order.
    """

    model: str
    departures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """A line of a published table.

    Attributes:
        label: name there.
        system: what was measured.
        source: paper and table, or repository.
        variant: of the data.
        test: size of the test split.
        runs: how many.
        selection: of the checkpoint or run.
        metrics: as `regression_metrics` returns them; those not given are left out.
    """

    label: str
    system: System
    source: str
    variant: str
    test: str
    runs: str
    selection: str
    metrics: Mapping[str, float]


def system_of(runs: Sequence[Run]) -> System:
    """What the runs of a row are runs of, by their configurations; a departure of one is a departure of the row.

    Besides the options listed in ``published.yaml``, seeing fewer modalities than the data have and starting from
    another run's weights make another system.
    """
    found: set[str] = set()
    for run in runs:
        found |= {
            rule["name"] for rule in _read()["departures"] if run.model in rule["models"] and _departs(run.config, rule)
        }
        features = run.config.get("features")
        if features is not None and not {"visual", "acoustic"} <= set(features) and run.model != TEXT_ONLY:
            found.add(f"{features[0]} features only" if features else "words alone")
        if run.config.get("init"):
            found.add("warm-started")
    return System(runs[0].model, tuple(sorted(found)))


def _departs(config: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    at: Any = config.get("model")
    for part in rule["option"].split("."):
        if not isinstance(at, Mapping) or part not in at:
            return False  # not given: as published
        at = at[part]
    return at in rule["is"] if "is" in rule else at not in rule["is not"]


def published_for(data: str, systems: Collection[System]) -> list[Published]:
    """Numbers for a data set whose name contains mosi or mosei; none for any other.

    Args:
        data: name of the data set.
        systems: those of the rows; what was published of other systems is left out.
    """
    name = next((key for key in ("mosei", "mosi") if key in data.lower()), None)
    if name is None:
        return []
    content = _read()
    found = []
    for line in content["numbers"]:
        system = System(line["model"], tuple(sorted(line.get("departures", ()))))
        if system not in systems or name not in line:
            continue
        source = content["sources"][line["source"]]
        scaled = {
            key: value if key in ("mae", "corr") else value / 100
            for key, value in zip(content["keys"], line[name], strict=True)
            if value is not None
        }
        found.append(
            Published(
                label=line["label"],
                system=system,
                source=source["title"],
                variant=source["variant"],
                test=str(source["test"].get(name, "not stated")),
                runs=source["runs"],
                selection=source["selection"],
                metrics=scaled,
            )
        )
    return found


@cache
def _read() -> Any:
    return yaml.safe_load(resources.files("modashift.report").joinpath("published.yaml").read_text(encoding="utf-8"))
