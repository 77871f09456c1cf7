"""Which utterances go into which batch: shuffled, but of like length, and the same for every process."""

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError

__all__ = ["evaluation_batches", "training_batches"]

POOL = 8  # batches sorted together: enough to save most padding, few enough to keep batches mixed


def training_batches(
    rows: NDArray[np.intp],
    lengths: NDArray[np.int64],
    batch_size: int,
    seed: int,
    epoch: int,
    least: int = 2,
    drop_last: bool = False,
) -> list[NDArray[np.intp]]:
    """Batches of one epoch, a function of (seed, epoch) alone, so that a resumed run meets the same ones.

    Rows are shuffled, cut into pools of a few batches, sorted by length within each pool and batched; then the
    batches are shuffled. The number of batches is the same in every epoch.

    Args:
        rows: rows of the training split.
        lengths: (n of the whole data set,) length by row.
        batch_size: utterances of a batch.
        seed: of the run.
        epoch: number of the epoch.
        least: a last batch with fewer utterances joins the one before it.
        drop_last: leave out the utterances that do not fill a last batch: the last of the shuffled ones, whatever
            their lengths.

    Raises:
        DataError: where that leaves none.
    """
    rng = np.random.default_rng([seed, epoch])
    shuffled = rng.permutation(rows)
    if drop_last:
        if len(rows) < batch_size:
            raise DataError(
                f"{len(rows)} training utterances fill no batch of {batch_size}, and drop_last leaves out any that is "
                "not full; give a smaller --batch_size"
            )
        shuffled = shuffled[: len(rows) - len(rows) % batch_size]
    batches: list[NDArray[np.intp]] = []
    for start in range(0, len(shuffled), batch_size * POOL):
        pool = shuffled[start : start + batch_size * POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches.extend(pool[i : i + batch_size] for i in range(0, len(pool), batch_size))
    batches = _join_small(batches, least)
    return [batches[i] for i in rng.permutation(len(batches))]


def evaluation_batches(
    rows: NDArray[np.intp], lengths: NDArray[np.int64], batch_size: int, least: int = 2
) -> list[NDArray[np.intp]]:
    """Batches of like length that cover the rows once."""
    ordered = rows[np.argsort(lengths[rows], kind="stable")]
    return _join_small([ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)], least)


def _join_small(batches: list[NDArray[np.intp]], least: int) -> list[NDArray[np.intp]]:
    """Join every batch that is too small (only the last of the last pool can be) to the one before it."""
    joined: list[NDArray[np.intp]] = []
    for batch in batches:
        if joined and len(batch) < least:
            joined[-1] = np.concatenate([joined[-1], batch])
        else:
            joined.append(batch)
    return joined
