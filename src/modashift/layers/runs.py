"""The finished runs of a comparison, by row, seed and fold, and rows whose folds are runs of several rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modashift.errors import ModashiftError
from modashift.evaluate.pooling import pooled
from modashift.evaluate.results import Results, Run

__all__ = ["Runs"]


class Runs:
    """Runs by row, seed and fold.

    Args:
        results: what was found; rows, seeds and folds that are not asked for may be among them.
        seeds: of the comparison.
        folds: of its cross-validation; (0,) where there is none.
    """

    def __init__(self, results: Results, seeds: Sequence[int], folds: Sequence[int]) -> None:
        self.seeds, self.folds = tuple(seeds), tuple(folds)
        self._items: tuple[tuple[str, ...], bytes] | None = None
        self._by: dict[tuple[str, int, int], Run] = {}
        for whole in results.runs:
            for run in whole.parts or (whole,):
                self._by[whole.row, run.seed, run.fold or 0] = run

    def of(self, row: str) -> list[Run]:
        """The runs of a row, one a seed: the test parts of its folds are put together.

        Raises:
            ModashiftError: as `mixed`.
        """
        return self.mixed(dict.fromkeys(self.folds, row))

    def mixed(self, rows: Mapping[int, str]) -> list[Run]:
        """The same where each fold takes the runs of a row of its own.

        Args:
            rows: by fold.

        Raises:
            ModashiftError: a run is missing, or was tested on other utterances than those asked for before.
        """
        name = "+".join(dict.fromkeys(rows.values()))
        found = pooled([replace(self.one(rows[k], seed, k), row=name) for seed in self.seeds for k in self.folds])
        for run in found:
            self._check_items(run)
        return found

    def one(self, row: str, seed: int, fold: int) -> Run:
        """A single run.

        Raises:
            ModashiftError: it is missing.
        """
        run = self._by.get((row, seed, fold))
        if run is None:
            raise ModashiftError(f"the run {row} with seed {seed}{f', fold {fold}' if fold else ''} is not finished")
        return run

    def _check_items(self, run: Run) -> None:
        scores = run.scores.get("test")
        if scores is None:
            raise ModashiftError(f"{run.path} has no predictions of the test split")
        items = (scores.ids, scores.gold.tobytes())
        self._items = self._items or items
        if items != self._items:
            raise ModashiftError(
                f"{run.path} was not tested on the same utterances and labels as the other runs; were the data written "
                "anew in between? Give another --out"
            )

    def single(self, row: str) -> list[list[Run]]:
        """Every run of a row: by fold, and in it by seed."""
        return [[self.one(row, seed, fold) for seed in self.seeds] for fold in self.folds]
