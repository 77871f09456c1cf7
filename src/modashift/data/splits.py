"""Splits declared anew, without touching a file: validation out of train, folds, one group left out."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset
from modashift.errors import DataError

__all__ = ["folds", "leave_group_out", "leave_one_group_out", "redeclare"]

Group = Literal["video", "none"]


def redeclare(
    dataset: Dataset,
    validation: float | None = None,
    group: Group = "video",
    dev_as_test: bool = False,
    seed: int = 1111,
) -> Dataset:
    """Declare the splits anew.

    Args:
        dataset: whose splits to change.
        validation: share of the training utterances to make the dev split. A dev split that was there joins the
            training split first, unless it becomes the test split.
        group: keep the utterances of a video together, or treat each on its own.
        dev_as_test: make the dev split the test split, for data whose test split is not at hand.
        seed: of the choice of groups.

    Raises:
        DataError: for a share outside (0, 1), a missing split, too few groups to divide, or a test split that
            `dev_as_test` would mix with another.
    """
    splits = np.array(dataset.splits)
    if dev_as_test:
        if not (splits == "dev").any():
            raise DataError(f"{dataset.name} has no dev split to use as test")
        if (splits == "test").any():
            raise DataError(
                f"{dataset.name} has a test split of its own ({int((splits == 'test').sum())} utterances); "
                "leave --dev_as_test out"
            )
        if validation is None:
            raise DataError("with dev_as_test the checkpoint needs another dev split: give --validation 0.15")
        splits[splits == "dev"] = "test"
    if validation is not None:
        if not 0 < validation < 1:
            raise DataError(f"validation is a share of the training split in (0, 1), got {validation}")
        splits[splits == "dev"] = "train"
        rows = np.flatnonzero(splits == "train")
        keys = _keys(dataset, rows, group)
        names, counts = np.unique(keys, return_counts=True)
        if len(names) < 2:
            raise DataError(
                f"{dataset.name}: the training split has {len(names)} group(s), which cannot be divided; "
                "use --group none"
            )
        order = np.random.default_rng(seed).permutation(len(names))
        sizes = counts[order]
        # Take groups in random order while that brings the share nearer to the one asked for.
        taken, target = np.zeros(len(order), dtype=bool), validation * len(rows)
        size = 0
        for i, n in enumerate(sizes):
            if abs(size + n - target) < abs(size - target) or not taken.any():
                taken[i], size = True, size + int(n)
            if size >= target:
                break
        if taken.all():
            taken[-1] = False
        splits[rows[np.isin(keys, names[order[taken]])]] = "dev"
    return dataset.with_splits(splits)


def folds(
    dataset: Dataset, count: int, group: Group = "video", validation: float = 0.15, seed: int = 1111
) -> Iterator[Dataset]:
    """k-fold cross-validation: each part is the test split once; the checkpoint's dev split comes out of the rest.

    Raises:
        DataError: where there are fewer groups than folds.
    """
    rows = np.arange(len(dataset))
    keys = _keys(dataset, rows, group)
    names, counts = np.unique(keys, return_counts=True)
    if not 2 <= count <= len(names):
        raise DataError(f"{dataset.name}: {count} folds of {len(names)} groups; folds must be 2 to {len(names)}")
    order = np.random.default_rng(seed).permutation(names)
    sizes = dict(zip(names, counts.tolist()))
    parts: list[list[str]] = [[] for _ in range(count)]
    filled = [0] * count
    for name in sorted(order, key=lambda n: -sizes[n]):  # the largest first, each to the part that is smallest so far
        smallest = filled.index(min(filled))
        parts[smallest].append(name)
        filled[smallest] += sizes[name]
    for part in parts:
        yield _held_out(dataset, keys, np.array(part), group, validation, seed)


def leave_group_out(
    dataset: Dataset, name: str, group: Group = "video", validation: float = 0.15, seed: int = 1111
) -> Dataset:
    """One group (video, speaker) as the test split, all others as train and dev.

    Raises:
        DataError: where there is no such group.
    """
    keys = _keys(dataset, np.arange(len(dataset)), group)
    if name not in keys:
        raise DataError(f"{dataset.name} has no group {name!r}; it has {', '.join(np.unique(keys)[:8])} …")
    return _held_out(dataset, keys, np.array([name]), group, validation, seed)


def leave_one_group_out(
    dataset: Dataset, group: Group = "video", validation: float = 0.15, seed: int = 1111
) -> Iterator[tuple[str, Dataset]]:
    """Each group (video, speaker) as the test split once, with its name."""
    for name in np.unique(_keys(dataset, np.arange(len(dataset)), group)):
        yield str(name), leave_group_out(dataset, str(name), group, validation, seed)


def _held_out(
    dataset: Dataset, keys: NDArray[np.str_], names: NDArray[np.str_], group: Group, validation: float, seed: int
) -> Dataset:
    splits = np.where(np.isin(keys, names), "test", "train")
    return redeclare(dataset.with_splits(splits), validation=validation, group=group, seed=seed)


def _keys(dataset: Dataset, rows: NDArray[np.intp], group: Group) -> NDArray[np.str_]:
    names = dataset.groups if group == "video" else dataset.ids
    return np.array([names[int(r)] for r in rows])
