"""What can be wrong with a data set, found before anything is trained on it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modashift.data.classes import class_faults
from modashift.data.dataset import MODALITIES, Dataset, Feature
from modashift.errors import DataError

__all__ = ["Problem", "Report", "check", "replace_nonfinite"]

Severity = Literal["error", "warning"]
CHUNK = 1 << 24  # values scanned at a time, so that a store larger than memory can be checked
SHOWN = 3  # examples named in a message


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes:
        severity: an ``error`` stops, a ``warning`` is reported.
        key: what it is about: ``labels``, ``ids``, ``groups``, ``texts``, ``words`` or a modality.
        row: id of the first utterance concerned, or None where it concerns all.
        message: what is wrong, with counts.
        remedy: what to do.
    """

    severity: Severity
    key: str
    row: str | None
    message: str
    remedy: str

    def __str__(self) -> str:
        where = f" (first: {self.row})" if self.row is not None else ""
        return f"{self.key}: {self.message}{where}; {self.remedy}"


@dataclass(frozen=True)
class Report:
    """All findings about a data set, errors first."""

    name: str
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Findings that stop."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Findings that are reported only."""
        return tuple(p for p in self.problems if p.severity == "warning")

    def raise_errors(self) -> None:
        """Stop where there is an error.

        Raises:
            DataError: listing every error with its remedy.
        """
        if self.errors:
            raise DataError(f"{self.name} cannot be used as it is:\n" + "\n".join(f"  {p}" for p in self.errors))


def check(dataset: Dataset) -> Report:
    """Look for everything that would spoil a training or an evaluation, without changing anything."""
    found = [*_lengths(dataset)]
    if not found:  # the rest needs one entry for each utterance everywhere
        found += [*_ids(dataset), *_labels(dataset), *_texts(dataset)]
        for modality in dataset.features:
            found += _feature(dataset, modality, dataset.features[modality])
    return Report(dataset.name, tuple(sorted(found, key=lambda p: p.severity != "error")))


def replace_nonfinite(dataset: Dataset) -> Dataset:
    """Put 0 in place of NaN and infinite feature values; counts by modality are added to the provenance."""
    features, counts = dict(dataset.features), {}
    for modality, feature in dataset.features.items():
        bad = ~np.isfinite(feature.values)
        if bad.any():
            counts[modality] = _kinds(feature.values[bad])
            features[modality] = replace(feature, values=np.where(bad, np.float32(0), feature.values))
    if not counts:
        return dataset
    provenance = {**dataset.provenance, "replaced_nonfinite": counts}
    return replace(dataset, features=features, provenance=provenance)


def _kinds(values: NDArray[Any]) -> dict[str, int]:
    kinds = {"NaN": np.isnan(values), "-inf": np.isneginf(values), "+inf": np.isposinf(values)}
    return {kind: int(mask.sum()) for kind, mask in kinds.items() if mask.any()}


def _lengths(dataset: Dataset) -> Iterator[Problem]:
    n = len(dataset)
    parts: Mapping[str, Any] = {
        "ids": dataset.ids,
        "groups": dataset.groups,
        "splits": dataset.splits,
        "texts": dataset.texts,
        "words": dataset.words,
        **dataset.features,
    }
    for key, values in parts.items():
        if len(values) != n:
            yield Problem("error", key, None, f"{len(values)} entries for {n} labels", "make the file again")
    for modality, feature in dataset.features.items():
        offsets = feature.offsets
        if offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != len(feature.values):
            yield Problem("error", modality, None, "its offsets do not fit its steps", "make the file again")
        if modality not in MODALITIES:
            yield Problem("error", modality, None, "not a modality", f"name it one of {', '.join(MODALITIES)}")


def _ids(dataset: Dataset) -> Iterator[Problem]:
    ids, splits = np.array(list(dataset.ids), dtype=object), dataset.splits
    by_id: dict[str, list[int]] = defaultdict(list)
    by_group: dict[str, set[str]] = defaultdict(set)
    for row, (identifier, group) in enumerate(zip(ids, dataset.groups)):
        by_id[identifier].append(row)
        by_group[group].add(str(splits[row]))
    twice = [i for i, rows in by_id.items() if len(rows) > 1]
    across = [i for i in twice if len({str(splits[r]) for r in by_id[i]}) > 1]
    if across:
        yield Problem(
            "error", "ids", across[0], f"{len(across)} ids are in more than one split", "leave each in one split only"
        )
    if len(twice) > len(across):
        first = next(i for i in twice if i not in set(across))
        yield Problem("error", "ids", first, f"{len(twice) - len(across)} ids occur more than once", "make ids unique")
    shared = [g for g, found in by_group.items() if len(found) > 1]
    if shared:
        yield Problem(
            "warning",
            "groups",
            None,
            f"{len(shared)} groups (videos, speakers) are in more than one split: {', '.join(shared[:SHOWN])} …",
            "scores on the later split will be too good; declare splits by group",
        )
    if "train" not in set(splits.tolist()):
        yield Problem("warning", "splits", None, "no utterance is in the train split", "it can only be evaluated on")


def _labels(dataset: Dataset) -> Iterator[Problem]:
    labels = dataset.labels
    missing = np.isnan(labels)
    if dataset.classes:
        for severity, first, message, remedy in class_faults(dataset):
            yield Problem(severity, "labels", first, message, remedy)
    outside = ~missing & ~(np.abs(labels) <= 3)
    if outside.any() and not dataset.classes:
        row = int(np.flatnonzero(outside)[0])
        yield Problem(
            "error",
            "labels",
            dataset.ids[row],
            f"{int(outside.sum())} labels are outside [-3, 3], {labels[row]:g} for example",
            "scale them to sentiment scores from -3 to 3; where they are classes, name them with --classes",
        )
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        yield Problem(
            "warning",
            "labels",
            dataset.ids[row],
            f"{int(missing.sum())} utterances have no label",
            "they are left out of training and evaluation",
        )


def _texts(dataset: Dataset) -> Iterator[Problem]:
    empty = [row for row in range(len(dataset)) if not dataset.words[row]]
    if empty:
        yield Problem(
            "warning",
            "texts",
            dataset.ids[empty[0]],
            f"{len(empty)} utterances have no words",
            "only their other modalities can tell anything",
        )


def _feature(dataset: Dataset, modality: str, feature: Feature) -> Iterator[Problem]:
    steps = len(feature.values)
    wrong = np.zeros(0, dtype=np.float32)
    alive = np.zeros(feature.dim, dtype=bool)
    silent = np.zeros(steps, dtype=bool)
    first_wrong = -1
    chunk = max(1, CHUNK // max(1, feature.dim))
    for start in range(0, steps, chunk):
        part = np.asarray(feature.values[start : start + chunk])
        finite = np.isfinite(part)
        if not finite.all():
            if first_wrong < 0:
                first_wrong = start + int(np.flatnonzero(~finite.all(1))[0])
            wrong = np.concatenate([wrong, part[~finite]])
        alive |= (part != 0).any(0)
        silent[start : start + chunk] = ~(part != 0).any(1)
    lengths = feature.lengths
    if len(wrong):
        row = int(np.searchsorted(feature.offsets, first_wrong, side="right")) - 1
        kinds = ", ".join(f"{n} {kind}" for kind, n in _kinds(wrong).items())
        yield Problem(
            "error",
            modality,
            dataset.ids[row],
            f"{kinds} among {feature.values.size} values",
            "repair the features, or replace those values by 0 with --replace_nonfinite",
        )
    if steps:
        loud = np.concatenate([[0], np.cumsum(~silent)])
        zero = np.flatnonzero((lengths > 0) & (loud[feature.offsets[1:]] == loud[feature.offsets[:-1]]))
        if len(zero):
            yield Problem(
                "warning",
                modality,
                dataset.ids[int(zero[0])],
                f"all values are 0 in {len(zero)} utterances",
                "most likely the extraction failed there",
            )
        dead = np.flatnonzero(~alive)
        if len(dead):
            names = [feature.columns[c] if feature.columns else str(c) for c in dead[:SHOWN]]
            yield Problem(
                "warning",
                modality,
                None,
                f"{len(dead)} of {feature.dim} columns are 0 throughout ({', '.join(names)} …)",
                "they tell a model nothing",
            )
    missing = np.flatnonzero(lengths == 0)
    if len(missing):
        row = int(missing[0])
        yield Problem(
            "warning", modality, dataset.ids[row], f"missing in {len(missing)} utterances", "models see them masked out"
        )
    if feature.alignment == "utterance" and (lengths > 1).any():
        row = int(np.flatnonzero(lengths > 1)[0])
        yield Problem(
            "error", modality, dataset.ids[row], "more than one step, though declared one vector each", "declare frames"
        )
    if feature.alignment == "word":
        words = np.array([len(w) for w in dataset.words], dtype=np.int64)
        more, fewer = np.flatnonzero(lengths > words), np.flatnonzero((lengths < words) & (lengths > 0))
        if len(more):
            row = int(more[0])
            yield Problem(
                "error",
                modality,
                dataset.ids[row],
                f"{len(more)} utterances have more steps than words ({lengths[row]} and {words[row]} here)",
                "align the features with the words again, or declare them frames",
            )
        if len(fewer):
            row = int(fewer[0])
            yield Problem(
                "warning",
                modality,
                dataset.ids[row],
                f"{len(fewer)} utterances have fewer steps than words ({lengths[row]} and {words[row]} here)",
                "the last words have no features; the file was cut to a fixed length",
            )
