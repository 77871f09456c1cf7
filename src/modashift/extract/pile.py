"""Sequences of one modality on their way into a data set, in memory or on disk."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Alignment, Feature
from modashift.errors import DataError

__all__ = ["Pile"]


class Pile:
    """Arrays (T, D) laid one after the other; each belongs to a row of the data set.

    Args:
        path: file that holds them until they are in a store, so that memory does not grow with them; None for memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._kept: list[NDArray[Any]] = []
        self._steps: dict[int, int] = {}
        self._dtype: np.dtype[Any] | None = None
        self._dim = 0

    def add(self, row: int, values: NDArray[Any]) -> None:
        """Put an array (T, D) on top; rows rise, and those that are left out have no step.

        Raises:
            DataError: the file cannot be written.
        """
        if not len(values):
            return
        self._dtype, self._dim = self._dtype or values.dtype, values.shape[1]
        self._steps[row] = len(values)
        if self.path is None:
            self._kept.append(values)
            return
        try:
            with self.path.open("ab") as file:
                np.ascontiguousarray(values, dtype=self._dtype).tofile(file)
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror}; features need as much room again") from error

    def feature(self, rows: int, alignment: Alignment, columns: Any) -> Feature | None:
        """All of them as the feature of a data set of so many rows; None where no row has a step."""
        if self._dtype is None:
            return None
        offsets = np.zeros(rows + 1, dtype=np.int64)
        offsets[1:] = np.cumsum([self._steps.get(row, 0) for row in range(rows)])
        if self.path is None:
            values: NDArray[Any] = np.concatenate(self._kept)
        else:
            values = np.memmap(self.path, self._dtype, "r", shape=(int(offsets[-1]), self._dim))
        return Feature(values, offsets, alignment, columns)
