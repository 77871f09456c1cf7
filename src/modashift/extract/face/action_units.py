"""Blendshapes under the names of FACS action units.

P. Ekman, W. Friesen and J. Hager, *Facial Action Coding System*, 2002, describe which muscles an action unit stands
for; blendshapes describe what a mesh does. Where the two mean the same movement, the blendshape's value goes by the
unit's name. It is a value between 0 and 1 and no FACS intensity, and nobody has coded these pictures.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from modashift.errors import DataError
from modashift.extract.face.columns import BLENDSHAPES, RATE
from modashift.extract.recording import Frames
from modashift.extract.sets import Column, FeatureSet

__all__ = ["ACTION_UNITS", "UNITS", "Unit", "action_units"]

Columns = Float[np.ndarray, "T columns"]


class Unit(NamedTuple):
    """An action unit and where its value comes from.

    Attributes:
        name: AU and its number in two digits.
        movement: its name in FACS.
        blendshapes: those it is made of.
        combine: ``mean``, ``max``, or ``open``: the first less the second, or the mean of the rest where larger.
    """

    name: str
    movement: str
    blendshapes: tuple[str, ...]
    combine: str = "mean"


def _both(name: str) -> tuple[str, str]:
    return f"{name}Left", f"{name}Right"


UNITS: tuple[Unit, ...] = (
    Unit("AU01", "inner brow raiser", ("browInnerUp",)),
    Unit("AU02", "outer brow raiser", _both("browOuterUp")),
    Unit("AU04", "brow lowerer", _both("browDown")),
    Unit("AU05", "upper lid raiser", _both("eyeWide")),
    Unit("AU06", "cheek raiser", _both("cheekSquint")),
    Unit("AU07", "lid tightener", _both("eyeSquint")),
    Unit("AU09", "nose wrinkler", _both("noseSneer")),
    Unit("AU10", "upper lip raiser", _both("mouthUpperUp")),
    Unit("AU12", "lip corner puller", _both("mouthSmile")),
    Unit("AU14", "dimpler", _both("mouthDimple"), "max"),
    Unit("AU15", "lip corner depressor", _both("mouthFrown")),
    Unit("AU16", "lower lip depressor", _both("mouthLowerDown")),
    Unit("AU17", "chin raiser", ("mouthShrugLower",)),
    Unit("AU18", "lip pucker", ("mouthPucker",)),
    Unit("AU20", "lip stretcher", _both("mouthStretch")),
    Unit("AU22", "lip funneler", ("mouthFunnel",)),
    Unit("AU23", "lip tightener", _both("mouthPress")),
    Unit("AU25", "lips part", ("jawOpen", "mouthClose", *_both("mouthLowerDown")), "open"),
    Unit("AU26", "jaw drop", ("jawOpen",)),
    Unit("AU28", "lip suck", ("mouthRollLower", "mouthRollUpper")),
    Unit("AU29", "jaw thrust", ("jawForward",)),
    Unit("AU30", "jaw sideways", ("jawLeft", "jawRight"), "max"),
    Unit("AU34", "cheek puff", ("cheekPuff",)),
    Unit("AU45", "blink", _both("eyeBlink")),
    Unit("AU61", "eyes turn left", ("eyeLookOutLeft", "eyeLookInRight")),
    Unit("AU62", "eyes turn right", ("eyeLookInLeft", "eyeLookOutRight")),
    Unit("AU63", "eyes up", _both("eyeLookUp")),
    Unit("AU64", "eyes down", _both("eyeLookDown")),
)


def _open(shapes: Columns) -> Float[np.ndarray, " T"]:
    """Lips apart: the jaw's opening as far as the lips do not make up for it, or a lowered lower lip."""
    parted: NDArray[np.float64] = np.maximum(shapes[:, 0] - shapes[:, 1], shapes[:, 2:].mean(1))
    return np.maximum(parted, 0.0)


_COMBINE: dict[str, Callable[[Columns], Float[np.ndarray, " T"]]] = {
    "mean": lambda shapes: np.asarray(shapes.mean(1)),
    "max": lambda shapes: np.asarray(shapes.max(1)),
    "open": _open,
}
_HOW = {
    "mean": lambda names: " and ".join(names) if len(names) == 1 else f"mean of {' and '.join(names)}",
    "max": lambda names: f"larger of {' and '.join(names)}",
    "open": lambda names: f"{names[0]} less {names[1]}, or the mean of {' and '.join(names[2:])} where that is larger",
}

ACTION_UNITS = FeatureSet(
    name="action-units",
    modality="visual",
    columns=tuple(
        Column(unit.name, "0…1", f"{unit.movement}: {_HOW[unit.combine](unit.blendshapes)}") for unit in UNITS
    ),
    rate=RATE,
    source="blendshapes of the face set under the names of FACS action units (Ekman, Friesen and Hager 2002)",
    needs="modashift[extract], modashift data fetch landmarker",
)


def action_units(frames: Frames) -> Frames:
    """The ``action-units`` set, made of the ``face`` set.

    Args:
        frames: with the 52 blendshapes among their columns.

    Returns:
        At the same times, with the same mask.

    Raises:
        DataError: blendshapes are missing.
    """
    missing = [name for name in BLENDSHAPES if name not in frames.columns]
    if missing:
        raise DataError(
            f"action units are made of blendshapes, and the {frames.set_name} features lack {', '.join(missing[:3])}"
            f"{' …' if len(missing) > 3 else ''}; extract the face set"
        )
    place = {name: number for number, name in enumerate(frames.columns)}
    shapes = frames.values.astype(np.float64)
    values = [_COMBINE[unit.combine](shapes[:, [place[name] for name in unit.blendshapes]]) for unit in UNITS]
    return Frames(
        ACTION_UNITS.name,
        ACTION_UNITS.names,
        np.stack(values, axis=1).astype(np.float32),
        frames.times,
        frames.mask,
    )
