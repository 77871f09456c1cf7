"""The 74 columns, the 10 ms grid they stand on, and how tracks get onto it.

Positions are real numbers on a sample axis that counts from one. The original interpolates every track linearly from
its own nodes to the grid, without regard to voicing; what has no value there is zero in the end.
"""

import numpy as np
from jaxtyping import Float

__all__ = ["HOP", "NAMES", "frame_count", "interpolate", "positions", "wrap"]

START = 80  # position of the first grid frame
HOP = 160

NAMES: tuple[str, ...] = (
    *("F0", "VUV", "NAQ", "QOQ", "H1H2", "PSP", "MDQ", "peakSlope", "Rd", "Rd_conf", "creak"),
    *(f"MCEP_{i}" for i in range(25)),
    *(f"HMPDM_{i}" for i in range(25)),
    *(f"HMPDD_{i}" for i in range(13)),
)
"""Column names in the original's order."""


def frame_count(samples: int) -> int:
    """T, the number of grid frames of a recording at 16 kHz; 0 for less than 5 ms."""
    return max((samples - START) // HOP + 1, 0)


def positions(samples: int) -> Float[np.ndarray, " T"]:
    """s_k = 80 + 160 k, the positions of the grid frames: 5 ms, 15 ms, …"""
    return START + HOP * np.arange(frame_count(samples), dtype=float)


def wrap(phase: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Bring angles into −π … π."""
    return phase - 2 * np.pi * np.round(phase / (2 * np.pi))


def interpolate(
    nodes: Float[np.ndarray, " nodes"],
    values: Float[np.ndarray, "nodes columns"],
    grid: Float[np.ndarray, " T"],
    *,
    circular: bool = False,
    largest_gap: float = np.inf,
    hold: float = 0.0,
) -> Float[np.ndarray, "T columns"]:
    """Linear interpolation of a track to grid positions, NaN where it has no value.

    Between two nodes a and b it is a + (b − a) · share, which next to an infinite node is infinite on one side and NaN
    on the other, as in the original.

    Args:
        nodes: positions of the track's values, ascending.
        values: one row a node.
        grid: where values are wanted.
        circular: angles, which go the shorter way round from node to node and come back within −π … π.
        largest_gap: nodes further apart than this are not joined.
        hold: how far the nearest node's value may stand in where there is nothing to interpolate.
    """
    if not len(nodes):
        return np.full((len(grid), values.shape[1]), np.nan)
    left = np.clip(np.searchsorted(nodes, grid, side="right") - 1, 0, max(len(nodes) - 2, 0))
    right = np.minimum(left + 1, len(nodes) - 1)
    width = nodes[right] - nodes[left]
    joined = (grid >= nodes[left]) & (grid <= nodes[right]) & (width <= largest_gap) & (width > 0)
    share = np.where(joined, (grid - nodes[left]) / np.where(width > 0, width, 1.0), 0.0)[:, None]
    with np.errstate(invalid="ignore"):
        step = values[right] - values[left]
        if circular:
            step = _shorter(step)
        out: Float[np.ndarray, "T columns"] = values[left] + step * share
    if circular:
        out = wrap(out)
    nearest = np.where(np.abs(grid - nodes[left]) <= np.abs(nodes[right] - grid), left, right)
    held = ~joined & (np.abs(grid - nodes[nearest]) <= hold)
    out[held] = values[nearest[held]]
    out[~joined & ~held] = np.nan
    return out


def _shorter(step: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Unwrapped differences of angles: within −π … π, with π and −π themselves left as they are."""
    turns = np.ceil((np.abs(step) - np.pi) / (2 * np.pi))
    return np.where(np.abs(step) > np.pi, step - np.sign(step) * 2 * np.pi * turns, step)
