"""The result as one HTML page that needs nothing beside it: no script, no font, no call to anywhere."""

import base64
from typing import TYPE_CHECKING, Any

from modashift.serve import drawing, wording
from modashift.serve.illustrate import MOST_PICTURES, Illustration
from modashift.serve.result import ClipResult, UtteranceResult

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["environment", "overview_parts", "render_page", "utterance_parts"]

MOST_OPENED = 60  # utterances that are taken apart on the page; of more, the peaks and then the first ones
MOST_ROWS = 1500  # of the table of utterances
MOST_MAPPED = 12  # utterances with maps, which are the largest part of a page


def render_page(result: ClipResult, illustration: Illustration | None = None) -> str:
    """The page.

    Every text that comes from outside (names of files, words, notes) is escaped by the template engine, and the page
    forbids its reader's browser to load or to run anything.

    Args:
        result: of one recording.
        illustration: pictures and sound's outline, as far as there are.
    """
    seen = illustration or Illustration()
    several = len(result.utterances) > 1
    opened = _opened(result)
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            result=result,
            several=several,
            opened=[
                utterance_parts(result, u, seen, k, maps=n < MOST_MAPPED, alone=not several)
                for n, (k, u) in enumerate(opened)
            ],
            opened_numbers={k for k, _ in opened},
            overview=overview_parts(result, seen) if several else None,
            rows=result.utterances[:MOST_ROWS],
            words_sentence=wording.words_sentence(result),
            notes=list(dict.fromkeys(result.notes)),
        )
    )


def environment(*packages: str) -> "Environment":
    """The template engine: it escapes every text, and knows how numbers, times and names are written.

    Args:
        packages: with templates of their own, which are looked for first; the parts of the page are there for all.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "modashift.serve")]),
        autoescape=lambda name: name is None or ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        bare=lambda word: word.strip(".,;:!?…\"'“”‘’()") or word,
        clock=wording.clock,
        joined=wording.joined,
        names=wording.NAMES,
        number=wording.number,
        phrase=wording.phrase,
        place=lambda score: round(100 * (min(max(score, -3.0), 3.0) + 3) / 6, 2),
        range_text=wording.range_text,
    )
    return made


def _opened(result: ClipResult) -> list[tuple[int, UtteranceResult]]:
    """Utterances to take apart, the most telling first."""
    timeline = result.timeline
    if timeline is None:
        return []
    first = dict.fromkeys([timeline.highest, timeline.lowest, *timeline.peaks, *range(len(result.utterances))])
    return [(k, result.utterances[k]) for k in list(first)[:MOST_OPENED]]


def utterance_parts(
    result: ClipResult, u: UtteranceResult, seen: Illustration, number: int, maps: bool, alone: bool
) -> dict[str, Any]:
    """All that is drawn of one utterance."""
    start, end = (0.0, max(result.duration, u.end)) if alone else (u.start, u.end)
    width = drawing.track_width(end - start, u.words)
    lanes = drawing.lanes(u.words, start, end, width)
    path, steps = drawing.wave_path(seen.low, seen.high, result.duration, start, end)
    strongest = max((float(m.values.max(initial=0)) for m in u.maps), default=0.0)
    told = [w for w in u.words if w.effect is not None and w.read]
    return {
        "number": number,
        "u": u,
        "sure": wording.how_sure(u),
        "used": wording.used_sentence(u),
        "width": round(width, 1),
        "lanes": lanes,
        "most_lanes": 1 + max((lane.lane for lane in lanes), default=0),
        "ticks": drawing.ticks(start, end),
        "wave": {"path": path, "steps": steps},
        "pictures": _pictures(seen, start, end) if alone else [],
        "bars": drawing.bars(u),
        "maps": [drawing.grid(m, u.words, strongest) for m in u.maps] if maps else [],
        "flat": bool(u.maps) and strongest <= 0,
        "up": sorted((w for w in told if (w.effect or 0) > 0.05), key=lambda w: -(w.effect or 0))[:3],
        "down": sorted((w for w in told if (w.effect or 0) < -0.05), key=lambda w: w.effect or 0)[:3],
        "shifted": any(w.shift_effect is not None for w in u.words),
    }


def overview_parts(result: ClipResult, seen: Illustration) -> dict[str, Any]:
    """The whole of a long recording."""
    path, steps = drawing.wave_path(seen.low, seen.high, result.duration, 0.0, result.duration)
    marked: list[int] = []
    if (timeline := result.timeline) is not None:
        marked = sorted({timeline.highest, timeline.lowest, *timeline.peaks})
    return {
        "curve": drawing.curve(result),
        "ticks": drawing.ticks(0.0, result.duration),
        "wave": {"path": path, "steps": steps},
        "pictures": _pictures(seen, 0.0, result.duration),
        "marked": {k: n for n, k in enumerate(marked, 1)},
    }


def _pictures(seen: Illustration, start: float, end: float) -> list[dict[str, Any]]:
    return [
        {
            "left": round(100 * (t.time - start) / max(end - start, 1e-6), 2),
            "time": t.time,
            "data": base64.b64encode(t.jpeg).decode("ascii"),
            "width": t.width,
            "height": t.height,
        }
        for t in seen.thumbnails[:MOST_PICTURES]
        if start <= t.time <= end
    ]
