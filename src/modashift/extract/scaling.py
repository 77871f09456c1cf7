"""Scaling of extracted features as the field's data sets have it: within each segment, or over a corpus."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from modashift.data.normalise import EPSILON
from modashift.errors import DataError

__all__ = ["MOSI_COLUMNS", "CorpusScale", "scale_segment"]

# The five COVAREP columns in MMSA's and MulT's pickles of CMU-MOSI: numbers 1, 3, 6, 25 and 60.
MOSI_COLUMNS = ("VUV", "QOQ", "MDQ", "MCEP_14", "HMPDM_24")


def scale_segment(values: ArrayLike) -> Float[np.ndarray, "T D"]:
    """Bring each column of one segment to mean 0 and deviation 1, as MAG-BERT's and MISA's pickles were made.

    Nothing of the level survives: the mean of any column over the segment is zero afterwards. Entries that are not
    finite become zero, which is the mean. A constant column becomes zero.

    Args:
        values: (T, D) steps of a segment.
    """
    steps, finite = _finite(values)
    count = np.maximum(finite.sum(0), 1)
    mean = steps.sum(0) / count
    offsets = np.where(finite, steps - mean, 0.0)
    return np.asarray(offsets / (np.sqrt((offsets**2).sum(0) / count) + EPSILON))


@dataclass(frozen=True)
class CorpusScale:
    """Mean and deviation of each column over all steps of a corpus; take them from training recordings only.

    Attributes:
        mean: (D,)
        deviation: (D,), 1 where a column is constant.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def fit(cls, recordings: Iterable[ArrayLike]) -> "CorpusScale":
        """Read each recording (T, D) once; only the sums are kept, so a corpus may be larger than memory.

        Raises:
            DataError: no recordings, or of different widths.
        """
        count = total = squares = None
        for number, values in enumerate(recordings, 1):
            steps, finite = _finite(values)
            if count is None or total is None or squares is None:
                count, total, squares = np.zeros((3, steps.shape[1]))
            if steps.shape[1] != len(count):
                raise DataError(f"recording {number} has {steps.shape[1]} columns, the ones before {len(count)}")
            # Chan, Golub and LeVeque's update: sums about a mean, so that large offsets cost no precision.
            own = finite.sum(0)
            mean = steps.sum(0) / np.maximum(own, 1)
            about = (np.where(finite, steps - mean, 0.0) ** 2).sum(0)
            apart = mean - total / np.maximum(count, 1)
            squares = squares + about + np.where(count > 0, apart**2 * count * own / np.maximum(count + own, 1), 0.0)
            count, total = count + own, total + steps.sum(0)
        if count is None or total is None or squares is None:
            raise DataError("no recordings to take mean and deviation from")
        mean = total / np.maximum(count, 1)
        deviation = np.sqrt(squares / np.maximum(count, 1))
        constant = deviation <= 1e-12 * np.maximum(1.0, np.abs(mean))
        return cls(mean, np.where(constant, 1.0, deviation))

    def apply(self, values: ArrayLike) -> Float[np.ndarray, "T D"]:
        """Scale the steps (T, D) of a recording; entries that are not finite become zero, which is the mean."""
        steps, finite = _finite(values)
        if steps.shape[1] != len(self.mean):
            raise DataError(f"features have {steps.shape[1]} columns, the corpus had {len(self.mean)}")
        return np.where(finite, (steps - self.mean) / self.deviation, 0.0)


def _finite(values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Steps with zeros where they are not finite, and where they are."""
    steps = np.asarray(values, dtype=np.float64)
    if steps.ndim != 2:
        raise DataError(f"expected features (steps, columns), got shape {steps.shape}")
    finite = np.isfinite(steps)
    return np.where(finite, steps, 0.0), finite
