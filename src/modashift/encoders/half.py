"""States in half precision, as they are kept: three decimal digits, up to 65504."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from modashift.errors import DataError

__all__ = ["LARGEST", "HalfPrecision"]

LARGEST = float(np.finfo(np.float16).max)


class HalfPrecision:
    """Makes float16 of states, and counts what did not fit.

    What is larger than 65504 would become infinite; it is set to 65504 with its sign, and counted by layer. The layers
    before the final norm of some large encoders come near it in a few units.

    Args:
        layers: numbers of the layers, as they come.
        name: of the encoder, for messages.

    Attributes:
        clipped: by number of the layer, how many values were too large.
    """

    def __init__(self, layers: tuple[int, ...], name: str) -> None:
        self.layers, self.name = layers, name
        self.clipped: dict[int, int] = {}

    def __call__(self, states: Float[np.ndarray, "T L H"]) -> NDArray[np.float16]:
        """States (T, L, H) as rows (T, L · H) in half precision.

        Raises:
            DataError: a state is not a number, which only broken weights or a broken device bring about.
        """
        if np.isnan(states).any():
            raise DataError(f"{self.name} gives states that are not numbers; are its weights whole?")
        beyond = np.abs(states) > LARGEST
        if beyond.any():
            for number, count in zip(self.layers, beyond.sum((0, 2)).tolist()):
                if count:
                    self.clipped[number] = self.clipped.get(number, 0) + int(count)
        kept: NDArray[np.float16] = np.clip(states, -LARGEST, LARGEST).astype(np.float16)
        return kept.reshape(len(states), states.shape[1] * states.shape[2])

    def notes(self) -> list[str]:
        """What is to be said about it."""
        if not self.clipped:
            return []
        layers = ", ".join(str(n) for n in sorted(self.clipped))
        return [
            f"{self.name}: {sum(self.clipped.values())} values beyond ±{LARGEST:.0f}, the largest of half precision, "
            f"were set to it (layers {layers})"
        ]
