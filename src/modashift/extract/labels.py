"""What people say of recordings: labels, splits and groups, by name of the recording or id of the utterance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modashift.data.build import SPLIT_NAMES
from modashift.data.classes import number_labels
from modashift.errors import DataError
from modashift.extract.utterances import read_csv

__all__ = ["Label", "Labels", "check_labels", "read_labels", "refuse_strangers"]


@dataclass(frozen=True)
class Label:
    """What is known of a recording or an utterance; None where nothing is said. The label is as written."""

    label: str | None = None
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Labels:
    """Labels by name of the recording and by id of the utterance, which counts more.

    Attributes:
        source: file they came from, for messages; empty where there is none.
        by_name: of recordings; holds for all utterances of each.
        by_id: of utterances, ``NAME_k`` with k from 1.
        classes: names of the classes, where the labels are classes.
    """

    source: str = ""
    by_name: Mapping[str, Label] = field(default_factory=dict)
    by_id: Mapping[str, Label] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def of(self, name: str, identifier: str) -> Label:
        """Label, split and group of an utterance."""
        own, general = self.by_id.get(identifier, Label()), self.by_name.get(name, Label())
        return Label(
            general.label if own.label is None else own.label,
            own.split or general.split,
            own.group or general.group,
        )


def read_labels(path: Path, classes: Sequence[str] = ()) -> Labels:
    """Read a table with ``name`` (of a recording) or ``id`` (of an utterance), and ``label``, ``split``, ``group``.

    Labels are scores or, where no label is a number, classes. Empty entries and columns that are not there say nothing;
    further columns are ignored.

    Args:
        path: of the table.
        classes: names of the classes in their order, where labels are classes; sorted by name where not given.

    Raises:
        DataError: naming the file and the line: a score outside [-3, 3], no class, an unknown split, a name given
            twice.
    """
    by: dict[str, dict[str, Label]] = {"name": {}, "id": {}}
    given: list[str | None] = []
    places: list[str] = []
    for where, row in read_csv(path, ()):
        key = "id" if row.get("id") else "name"
        name = row.get(key)
        if not name:
            raise DataError(f"{where}: neither a name nor an id; a table of labels needs one of these columns")
        if name in by[key]:
            raise DataError(f"{where}: {key} {name} was given before; leave one of the lines out")
        label = row.get("label") or None
        given.append(label)
        places.append(where)
        split = row.get("split", "").lower()
        if split and split not in SPLIT_NAMES:
            raise DataError(f"{where}, split: {split!r} is not one of train, dev (or valid), test")
        by[key][name] = Label(label, SPLIT_NAMES.get(split), row.get("group") or None)
    return Labels(path.name, by["name"], by["id"], check_labels(given, places, classes))


def check_labels(labels: Sequence[str | None], places: Sequence[str], classes: Sequence[str] = ()) -> tuple[str, ...]:
    """Find what is wrong with labels before hours of work; returns the classes, none for scores.

    Raises:
        DataError: naming the place.
    """
    scores, names = number_labels(labels, places, list(classes) or None)
    for place, score in zip(places, scores.tolist()):
        if not names and not math.isnan(score) and not abs(score) <= 3:
            raise DataError(
                f"{place}, label: {score:g} is outside [-3, 3]; scale labels to sentiment scores, or name the classes "
                "with --classes"
            )
    return names


def refuse_strangers(labels: Labels, names: Mapping[str, str], ids: set[str]) -> None:
    """A table of labels of which nothing fits has other names than the recordings."""
    given = [*labels.by_name, *labels.by_id]
    if given and not any(n in names for n in labels.by_name) and not any(i in ids for i in labels.by_id):
        raise DataError(
            f"{labels.source or 'the labels'}: none of the {len(given)} names and ids is a recording here; it has "
            f"{', '.join(given[:3])} …, the recordings are {', '.join(list(names)[:3])} …"
        )
