"""Published numbers that belong beside ours, each with the four facts one needs to compare."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

__all__ = ["Published", "published_for"]


@dataclass(frozen=True)
class Published:
    """A line of a published table.

    Attributes:
        label: name there.
        model: our name of that model.
        source: paper and table, or repository.
        variant: of the data.
        test: size of the test split.
        runs: how many.
        selection: of the checkpoint or run.
        metrics: as `regression_metrics` returns them; those not given are left out.
    """

    label: str
    model: str
    source: str
    variant: str
    test: str
    runs: str
    selection: str
    metrics: Mapping[str, float]


def published_for(data: str, models: Collection[str]) -> list[Published]:
    """Numbers for a data set whose name contains mosi or mosei; none for any other.

    Args:
        data: name of the data set.
        models: names of the models of the rows, with repetition: ablations of a model are only of interest where it has
            several rows.
    """
    name = next((key for key in ("mosei", "mosi") if key in data.lower()), None)
    if name is None:
        return []
    content = _read()
    found = []
    for line in content["numbers"]:
        several = list(models).count(line["model"]) > 1
        if line["model"] not in models or name not in line or (line.get("ablation") and not several):
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
                model=line["model"],
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
