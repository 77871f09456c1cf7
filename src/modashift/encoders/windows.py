"""Long sequences in windows of bounded length that overlap, each step taken from where it is farthest from an edge."""

from typing import NamedTuple

__all__ = ["Window", "windows"]


class Window(NamedTuple):
    """Steps ``start`` to ``stop`` are looked at together, and ``first`` to ``last`` of them are taken (half-open)."""

    start: int
    stop: int
    first: int
    last: int


def windows(count: int, size: int, overlap: int) -> list[Window]:
    """Cover `count` steps; what fits into one window is not divided.

    Neighbours share `overlap` steps, of which each takes its half; the last window is as short as it comes out.

    Args:
        count: steps of the whole.
        size: most steps of a window.
        overlap: steps that two neighbours share, less than `size`.

    Raises:
        ValueError: windows that would not advance.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"windows of {size} steps cannot share {overlap}")
    found: list[Window] = []
    start = first = 0
    while count > 0:
        stop = min(start + size, count)
        last = count if stop == count else stop - overlap // 2
        found.append(Window(start, stop, first, last))
        if stop == count:
            break
        start, first = stop - overlap, last
    return found
