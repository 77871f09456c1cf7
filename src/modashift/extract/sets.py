"""The feature sets this package extracts, with the name, unit and meaning of every column.

A trained model knows its features by the names of their columns: `find_set` tells which set they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from modashift.errors import DataError

__all__ = ["Column", "FeatureSet", "feature_sets", "find_set", "get_set"]


class Column(NamedTuple):
    """One number of a feature set.

    Attributes:
        name: as it stands in `Frames.columns`.
        unit: degrees, Hz, …; for numbers without a unit their range, or ``–`` where there is none.
        meaning: what is measured and which way its sign goes.
    """

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class FeatureSet:
    """A set of columns that are computed together.

    Attributes:
        name: as in `Frames.set_name`.
        modality: ``visual`` or ``acoustic``.
        columns: in order.
        rate: frames a second where nothing else is asked for.
        source: what computes them, and after whom.
        needs: what must be installed or fetched; empty where the package itself is enough.
    """

    name: str
    modality: Literal["visual", "acoustic"]
    columns: tuple[Column, ...]
    rate: float
    source: str
    needs: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)


def feature_sets() -> Mapping[str, FeatureSet]:
    """All feature sets by name."""
    from modashift.extract.egemaps import EGEMAPS
    from modashift.extract.face.action_units import ACTION_UNITS
    from modashift.extract.face.columns import FACE
    from modashift.extract.sets_covarep import COVAREP

    return {each.name: each for each in (FACE, ACTION_UNITS, COVAREP, EGEMAPS)}


def get_set(name: str) -> FeatureSet:
    """A feature set by name.

    Raises:
        DataError: there is none of that name.
    """
    sets = feature_sets()
    if name not in sets:
        raise DataError(f"there is no feature set {name!r}; there are {', '.join(sets)}")
    return sets[name]


def find_set(columns: Sequence[str]) -> str | None:
    """Name of the set that has exactly these columns in this order, or None."""
    wanted = tuple(columns)
    return next((name for name, each in feature_sets().items() if each.names == wanted), None)
