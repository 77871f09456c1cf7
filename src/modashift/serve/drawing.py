"""Geometry of the page: where words, pictures, curves and squares stand. Nothing here makes a text safe for HTML."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modashift.serve.result import ClipResult, ShiftMap, UtteranceResult, WordResult

__all__ = ["Grid", "Lane", "bars", "curve", "grid", "lanes", "shade", "ticks", "track_width", "wave_path"]

CHARACTER = 0.52  # rem, mean width of a letter at the size of the words on the time axis
GAP = 1.4  # rem a word takes beyond its letters: its arrow, its edges and the space to the next
MOST_LANES = 4
MOST_CELLS = 48  # rows, and columns, of a map
SHADES = 5


def track_width(seconds: float, words: Sequence[WordResult]) -> float:
    """Width in rem of a time axis on which the words can be read."""
    letters = sum(len(w.text) * CHARACTER + GAP for w in words)
    return float(np.clip(max(4.5 * seconds, letters / 2.2), 38.0, 240.0))


@dataclass(frozen=True)
class Lane:
    """A word on the time axis.

    Attributes:
        word: which one.
        left: where it begins, per cent of the axis.
        width: how long it lasts, per cent.
        text_left: where its text stands, per cent; before its beginning only at the end of the axis.
        lane: line below the axis its text stands on, from 0.
        shade: see `shade`.
    """

    word: WordResult
    left: float
    width: float
    text_left: float
    lane: int
    shade: str


def lanes(words: Sequence[WordResult], start: float, end: float, width: float) -> list[Lane]:
    """Place words by their times, their texts on as many lines as keep them apart (at most `MOST_LANES`).

    Args:
        words: in order of time.
        start: of the axis, seconds.
        end: likewise.
        width: of the axis in rem.
    """
    most = max((abs(w.effect or 0) for w in words), default=0.0)
    length, free, placed = max(end - start, 1e-6), [0.0] * MOST_LANES, []
    for w in words:
        left = float(np.clip((w.start - start) / length, 0, 1))
        wide = float(np.clip((w.end - start) / length, 0, 1)) - left
        size = len(w.text) * CHARACTER + GAP
        at = max(0.0, min(left * width, width - size))
        lane = next((k for k, edge in enumerate(free) if edge <= at), int(np.argmin(free)))
        free[lane] = at + size
        placed.append(Lane(w, 100 * left, 100 * wide, 100 * at / width, lane, shade(w.effect, most)))
    return placed


def shade(value: float | None, most: float) -> str:
    """Class of colour for an effect: ``p1`` … ``p5`` upwards, ``n1`` … ``n5`` downwards, ``zero`` for hardly any.

    Args:
        value: the effect.
        most: size that has the strongest colour; below .1 score points nothing does, so that noise stays pale.
    """
    if value is None:
        return "zero"
    step = min(SHADES, math.floor(SHADES * abs(value) / max(most, 0.1) + 0.5))
    return "zero" if step == 0 else f"{'p' if value > 0 else 'n'}{step}"


def ticks(start: float, end: float, most: int = 8) -> list[tuple[float, float]]:
    """Round times on an axis, with their place in per cent."""
    length = max(end - start, 1e-6)
    steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    step = next((s for s in steps if length / s <= most), math.ceil(length / most / 3600) * 3600)
    first = math.ceil(start / step - 1e-9)
    times = [k * step for k in range(first, math.floor(end / step + 1e-9) + 1)]
    return [(t, 100 * (t - start) / length) for t in times]


def wave_path(
    low: NDArray[np.float64], high: NDArray[np.float64], duration: float, start: float, end: float
) -> tuple[str, int]:
    """Outline of the sound between two times, for an SVG of height 100, and its width; empty where it is too coarse."""
    if not len(low) or duration <= 0:
        return "", 0
    first, stop = (int(np.clip(round(t / duration * len(low)), 0, len(low))) for t in (start, end))
    low, high = low[first:stop], high[first:stop]
    if len(low) < 30:
        return "", 0
    up = [f"{x} {50 - 48 * h:.1f}" for x, h in enumerate(high)]
    down = [f"{x} {50 - 48 * v:.1f}" for x, v in reversed(list(enumerate(low)))]
    return f"M{' L'.join(up + down)} Z", len(low) - 1


def bars(u: UtteranceResult) -> list[dict[str, object]]:
    """Bars of what each modality changed: left edge and width in per cent of an axis with 0 in its middle."""
    most = max([0.5, *(abs(m.effect) for m in u.modalities if m.effect is not None)])
    found: list[dict[str, object]] = []
    for m in u.modalities:
        size = 50 * abs(m.effect or 0) / most
        left = 50 if (m.effect or 0) >= 0 else 50 - size
        found.append({"part": m, "left": round(left, 2), "width": round(size, 2)})
    return found


def curve(result: ClipResult) -> list[dict[str, object]]:
    """Utterances on the chart of scores over time: place in per cent, bottom at −3, top at 3."""
    length = max(result.duration, 1e-6)

    def height(score: float) -> float:
        return round(100 * (3 - float(np.clip(score, -3, 3))) / 6, 2)

    found: list[dict[str, object]] = []
    for k, u in enumerate(result.utterances):
        left = round(100 * u.start / length, 3)
        interval = u.interval
        found.append(
            {
                "number": k,
                "utterance": u,
                "left": left,
                "width": round(max(100 * (u.end - u.start) / length, 0.25), 3),
                "y": height(u.score),
                "middle": round(100 * u.middle / length, 3),
                "top": None if interval is None else height(interval.high),
                "bottom": None if interval is None else height(interval.low),
            }
        )
    return found


@dataclass(frozen=True)
class Grid:
    """A map as squares.

    Attributes:
        modality: whose.
        rows: names of the words.
        columns: names of the moments.
        cells: (row, column, shade 1 to 9) of those that are not empty.
        strongest: word and moment of the darkest square; None where all are empty.
        cut: how many words have no row because there are too many.
    """

    modality: str
    rows: list[str]
    columns: list[str]
    cells: list[tuple[int, int, int]]
    strongest: tuple[str, str] | None
    cut: int


def grid(shift_map: ShiftMap, words: Sequence[WordResult], most: float) -> Grid:
    """A map as squares in nine shades; moments that are not words are joined until there are few enough.

    Args:
        shift_map: the map.
        words: of the utterance.
        most: value of the darkest shade, the same for all maps of an utterance.
    """
    values, steps = shift_map.values, shift_map.steps
    read = [k for k, w in enumerate(words) if w.read][:MOST_CELLS]
    cut = sum(w.read for w in words) - len(read)
    values = values[read]
    by_word = len(steps) <= len(words) and all(
        abs(s - w.start) < 1e-6 and abs(e - w.end) < 1e-6 for (s, e), w in zip(steps, words)
    )
    if by_word:
        values = values[:, :MOST_CELLS]
        columns = [words[k].text for k in range(values.shape[1])]
    else:
        edges = np.unique(np.linspace(0, len(steps), MOST_CELLS + 1).astype(int))
        values = np.add.reduceat(values, edges[:-1], axis=1) if len(steps) else values
        columns = [f"{steps[a, 0]:.1f} s" for a in edges[:-1]] if len(steps) else []
        most = max(most, float(values.max(initial=0)))
    level = np.ceil(9 * values / most - 1e-9).astype(int) if most > 0 else np.zeros(values.shape, dtype=int)
    cells = [(int(r), int(c), int(min(level[r, c], 9))) for r, c in np.argwhere(level > 0)]
    strongest = None
    if cells:
        r, c = np.unravel_index(int(values.argmax()), values.shape)
        strongest = (words[read[int(r)]].text, columns[int(c)])
    return Grid(shift_map.modality, [words[k].text for k in read], columns, cells, strongest, cut)
