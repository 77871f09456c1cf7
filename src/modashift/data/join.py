"""Several data sets of the same utterances as one: states of a voice from here, states of the words from there.

A *join* is a small file (``*.join``, YAML) that names the data sets; wherever a file of data is expected it stands for
all of them together, and nothing is copied:

    join:
      - {data: wavlm.store}
      - {data: bert.store, features: [linguistic]}

``features: []`` takes none of a data set, which then only says what the utterances are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from modashift.data.dataset import MODALITIES, Dataset
from modashift.errors import DataError

__all__ = ["JOIN_SUFFIX", "Part", "agree", "join", "join_text", "part_of", "read_join"]

JOIN_SUFFIX = ".join"
_NAMED = 3  # ids that an error names


@dataclass(frozen=True)
class Part:
    """One of the data sets of a join.

    Attributes:
        data: store, or a file or folder in any layout.
        features: modalities to take from it; all where None.
    """

    data: str
    features: tuple[str, ...] | None = None


def part_of(text: str) -> Part:
    """A part as people write it: ``wavlm.store``, or ``clips.store:acoustic,visual`` for some of its modalities."""
    path, colon, chosen = text.rpartition(":")
    names = tuple(chosen.split(","))
    if colon and path and all(name in MODALITIES for name in names):
        return Part(path, names)
    return Part(text)


def join(datasets: Sequence[Dataset], names: Sequence[str] = ()) -> Dataset:
    """Put the features of several data sets of the same utterances together.

    Everything else is the first one's: its order, groups and provenance. Texts are those of the first that has any; so
    are words, but where steps are words, theirs come first.

    Args:
        datasets: at least one, each with modalities that no other has.
        names: what to call them in messages; their own names where not given.

    Raises:
        DataError: other utterances, labels, splits or classes, a modality that two of them have, or steps of words that
            are not the same words.
    """
    if not datasets:
        raise DataError("nothing to join")
    names = list(names) or [d.name for d in datasets]
    first = datasets[0]
    features, owner = dict(first.features), dict.fromkeys(first.features, names[0])
    with_words = [k for k, d in enumerate(datasets) if any(len(w) for w in d.words)]
    worded = next((k for k in with_words if _at_words(datasets[k])), next(iter(with_words), 0))
    parts = [first]
    for other, name in zip(datasets[1:], names[1:], strict=True):
        ordered = _in_order(first, other, names[0], name)
        agree(first, ordered, names[0], name)
        if twice := [m for m in ordered.features if m in features]:
            raise DataError(
                f"{owner[twice[0]]} and {name} both have {', '.join(twice)} features: say which to take, as "
                f"{name}:{','.join(m for m in MODALITIES if m in ordered.features and m not in twice) or 'MODALITY'}"
            )
        features |= ordered.features
        owner |= dict.fromkeys(ordered.features, name)
        parts.append(ordered)
    words = parts[worded].words
    for part, name in zip(parts, names, strict=True):
        if _at_words(part):
            _same_words(words, part, name, names[worded])
    joined = [{"data": n, **_source(d)} for n, d in zip(names, datasets, strict=True)]
    about = {**{k: v for k, v in first.provenance.items() if k != "store"}, "format": "join", "joined": joined}
    texts = next((p.texts for p in parts if any(p.texts)), first.texts)
    return replace(first, features=features, words=words, texts=texts, provenance=about)


def agree(first: Dataset, other: Dataset, first_name: str, other_name: str) -> None:
    """Refuse data sets that are not of the same utterances in the same order, with the same labels and splits.

    Raises:
        DataError: naming both, what differs, and the first utterances where it does.
    """
    both = f"{first_name} and {other_name}"
    if first.classes != other.classes:
        said = " and ".join(f"({', '.join(d.classes)})" if d.classes else "scores" for d in (first, other))
        raise DataError(f"{both} have other labels: {said}; write both from the same label file")
    _in_order(first, other, first_name, other_name, same_order=True)
    gold, theirs = first.labels, other.labels
    unlike = ~(np.isclose(gold, theirs, rtol=0, atol=1e-6) | (np.isnan(gold) & np.isnan(theirs)))
    if unlike.any():
        shown = ", ".join(f"{first.ids[k]} ({gold[k]:g} and {theirs[k]:g})" for k in np.flatnonzero(unlike)[:_NAMED])
        raise DataError(
            f"{both} have other labels for {unlike.sum()} of {len(first)} utterances: {shown}; write both from the "
            "same label file"
        )
    moved = np.asarray(first.splits) != np.asarray(other.splits)
    if moved.any():
        shown = ", ".join(
            f"{first.ids[k]} ({first.splits[k]} and {other.splits[k]})" for k in np.flatnonzero(moved)[:_NAMED]
        )
        raise DataError(
            f"{both} have other splits for {moved.sum()} of {len(first)} utterances: {shown}; write both with the same "
            "splits"
        )


def join_text(parts: Sequence[Part]) -> str:
    """Content of a join file; relative paths count from its folder."""
    import yaml

    named = [{"data": p.data, **({} if p.features is None else {"features": [*p.features]})} for p in parts]
    return yaml.safe_dump({"join": named}, sort_keys=False, allow_unicode=True)


def read_join(path: Path) -> Dataset:
    """The data sets of a join file as one; opened as they are, so that stores stay on disk.

    Raises:
        DataError: no such file, it is no join, or its parts do not fit together.
    """
    from modashift.data.open import open_dataset

    datasets, names = [], []
    for part in _parts(path):
        place = Path(part.data)
        file = place if place.is_absolute() else path.parent / place
        if file.suffix == JOIN_SUFFIX:
            raise DataError(f"{path}: {part.data} is a join itself; name its parts instead")
        dataset = open_dataset(file)
        datasets.append(dataset if part.features is None else dataset.keep_features(part.features))
        names.append(part.data)
    return join(datasets, names)


def _parts(path: Path) -> list[Part]:
    import yaml

    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    entries = content.get("join") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{path} is no join: expected join: with a list of data sets, such as - {{data: a.store}}")
    parts = []
    for entry in entries:
        known = isinstance(entry, dict) and isinstance(entry.get("data"), str) and set(entry) <= {"data", "features"}
        features = entry.get("features") if known else None
        if not known or not (
            features is None or (isinstance(features, list) and all(m in MODALITIES for m in features))
        ):
            raise DataError(
                f"{path}: {entry!r} is no part of a join: expected data: (a path) and perhaps features: (a list of "
                f"{', '.join(MODALITIES)})"
            )
        parts.append(Part(entry["data"], None if features is None else tuple(features)))
    return parts


def _in_order(first: Dataset, other: Dataset, first_name: str, other_name: str, same_order: bool = False) -> Dataset:
    """The other data set in the order of the first one."""
    mine, theirs = list(first.ids), list(other.ids)
    if mine == theirs:
        return other
    lacking, more = sorted({*mine} - {*theirs}), sorted({*theirs} - {*mine})
    if lacking or more:
        said = [
            f"{len(found)} are in {name} only ({', '.join(found[:_NAMED])}{', …' if len(found) > _NAMED else ''})"
            for found, name in ((lacking, first_name), (more, other_name))
            if found
        ]
        raise DataError(
            f"{first_name} and {other_name} hold other utterances: {'; '.join(said)}. Write both from the same "
            "recordings and labels"
        )
    if same_order:
        raise DataError(f"{first_name} and {other_name} hold the same utterances in another order")
    place = {i: k for k, i in enumerate(theirs)}
    return other.take([place[i] for i in mine])


def _at_words(dataset: Dataset) -> bool:
    """Whether the steps of a modality are words."""
    return any(f.alignment == "word" for f in dataset.features.values())


def _same_words(words: Sequence[Sequence[str]], part: Dataset, name: str, owner: str) -> None:
    """Refuse steps that are words where the words are others."""
    for k, own in enumerate(part.words):
        if len(own) and tuple(own) != tuple(words[k]):
            raise DataError(
                f"{name} has features at its words, and its words are not those of {owner}: {part.ids[k]} has "
                f"{' '.join(own)[:60]!r} there and {' '.join(words[k])[:60]!r} here; write both with the same words"
            )


def _source(dataset: Dataset) -> dict[str, Any]:
    """What of a part's provenance tells it from another: the hash of its store, or of its source."""
    about = dataset.provenance
    return {k: about[k] for k in ("store", "source", "sha256") if k in about}
