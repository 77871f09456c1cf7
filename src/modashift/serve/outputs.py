"""Results as files: JSON with a schema version, CSV with a row an utterance, and lines for the terminal."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from modashift.serve.illustrate import Illustration
from modashift.serve.result import LABELS, ClipResult, UtteranceResult, clean
from modashift.serve.wording import NAMES, clock, joined, number, phrase, range_text, words_sentence

__all__ = ["SCHEMA", "csv_text", "json_text", "plain_result", "rendered", "subtitles", "terminal_text"]

SCHEMA = "modashift.prediction/1"
DIGITS = 4


def plain_result(result: ClipResult) -> dict[str, Any]:
    """A result as plain values; what `SCHEMA` promises is in docs/predict.md."""
    model, timeline = result.model, result.timeline
    return {
        "schema": SCHEMA,
        "recording": {
            "name": result.name,
            "source": result.source,
            "sha256": result.sha256,
            "duration": _round(result.duration),
            "words_from": result.words_from,
            "feature_sets": dict(result.feature_sets),
        },
        "model": {
            "name": model.name,
            "title": model.title,
            "sources": list(model.sources),
            "data": model.data,
            "modalities": ["linguistic", *model.modalities],
            "uncertainty": model.uncertainty,
        },
        "scale": {"low": -3, "high": 3, "labels": list(LABELS)},
        "summary": None
        if timeline is None
        else {
            "mean": _round(timeline.mean),
            "lowest": timeline.lowest,
            "highest": timeline.highest,
            "peaks": list(timeline.peaks),
        },
        "utterances": [_utterance(u) for u in result.utterances],
        "notes": list(result.notes),
    }


def _utterance(u: UtteranceResult) -> dict[str, Any]:
    return {
        "id": u.id,
        "start": _round(u.start),
        "end": _round(u.end),
        "text": u.text,
        "score": _round(u.score),
        "label": u.label,
        "scores": [_round(s) for s in u.scores],
        "seeds_sd": _round(u.seeds_sd),
        "interval": None
        if u.interval is None
        else {
            "low": _round(u.interval.low),
            "high": _round(u.interval.high),
            "level": u.interval.level,
            "half_width": _round(u.interval.half_width),
            "method": "dev residuals",
            "n": u.interval.n,
            "data": u.interval.data,
        },
        "shift_effect": _round(u.shift_effect),
        "modalities": [
            {
                "modality": m.modality,
                "used": m.used,
                "effect": _round(m.effect),
                "coverage": _round(m.coverage),
                "why_not": m.why,
            }
            for m in u.modalities
        ],
        "words": [
            {
                "text": w.text,
                "start": _round(w.start),
                "end": _round(w.end),
                "confidence": _round(w.confidence),
                "read": w.read,
                "effect": _round(w.effect),
                "shift": _round(w.shift),
                "shift_effect": _round(w.shift_effect),
            }
            for w in u.words
        ],
        "maps": [
            {
                "modality": m.modality,
                "steps": [[_round(a), _round(b)] for a, b in m.steps],
                "values": [[float(f"{v:.3g}") for v in row] for row in m.values],
            }
            for m in u.maps
        ],
        "notes": list(u.notes),
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), DIGITS)


def rendered(name: str, result: ClipResult, seen: Illustration, lines: bool = False) -> str:
    """A result in one of the formats: text, json, csv, srt, vtt or html.

    Args:
        name: of the format.
        result: of one recording.
        seen: what there is to show of it, for the page.
        lines: JSON as one line, for several recordings one after the other.

    Raises:
        ValueError: another format.
    """
    if name == "html":
        from modashift.serve.page import render_page

        return render_page(result, seen)
    if name == "json":
        return json.dumps(plain_result(result), ensure_ascii=False) + "\n" if lines else json_text(result)
    if name in {"srt", "vtt"}:
        return subtitles(result, name)
    if name not in {"csv", "text"}:
        raise ValueError(f"there is no format {name!r}")
    return csv_text([result]) if name == "csv" else terminal_text(result)


def json_text(result: ClipResult) -> str:
    """`plain_result` as a file."""
    return json.dumps(plain_result(result), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def subtitles(result: ClipResult, kind: str) -> str:
    """Subtitles, a cue an utterance, with its score in square brackets on the first line.

    Args:
        result: of one recording.
        kind: ``srt`` or ``vtt``.
    """
    from modashift.extract.words.subtitles import srt, vtt
    from modashift.extract.words.transcript import Cue

    cues = [
        Cue(max(u.start, 0.0), max(u.end, u.start + 0.001), " ".join(u.text.split()), round(u.score, 2))
        for u in result.utterances
    ]
    return srt(cues) if kind == "srt" else vtt(cues)


COLUMNS = (
    "recording",
    "utterance",
    "start",
    "end",
    "score",
    "label",
    "low",
    "high",
    "level",
    "seeds_sd",
    "words_effect",
    "face_effect",
    "voice_effect",
    "face_and_voice_effect",
    "used",
    "text",
)


def csv_text(results: Sequence[ClipResult]) -> str:
    """A row an utterance of all the recordings; an empty cell is what could not be had."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        for u in result.utterances:
            effects = {m.modality: _round(m.effect) for m in u.modalities}
            used = "+".join(NAMES[m.modality] for m in u.modalities if m.used and m.modality != "nonverbal")
            interval = u.interval
            ends = (None, None, None) if interval is None else (interval.low, interval.high, interval.level)
            writer.writerow(
                [
                    result.name,
                    u.id,
                    *(_round(v) for v in (u.start, u.end, u.score)),
                    u.label,
                    *(_round(v) for v in (*ends, u.seeds_sd)),
                    *(effects.get(m) for m in NAMES),
                    used,
                    u.text,
                ]
            )
    return text.getvalue()


def terminal_text(result: ClipResult) -> str:
    """A few lines for a person."""
    lines = [f"{clean(result.source)}  {clock(result.duration)} min"]
    for u in result.utterances:
        where = f"{clock(u.start, True)}–{clock(u.end, True)}"
        among = f" ({range_text(u.interval)})" if u.interval else ""
        lines.append(f"  {where}  {number(u.score, 2)}  {phrase(u.label)}{among}  {u.text}")
    if not result.utterances:
        lines.append("  nothing to score: no words were found")
    elif len(result.utterances) == 1:
        lines += [f"  {line}" for line in _effects(result.utterances[0])]
    elif result.timeline is not None:
        lines.append(f"  on the whole {number(result.timeline.mean, 2)}, over {len(result.utterances)} utterances")
    used = list(dict.fromkeys(NAMES[m.modality] for u in result.utterances for m in u.modalities if m.used))
    if used := [name for name in used if name != NAMES["nonverbal"]]:
        lines.append(f"  used: {joined(used)}. {words_sentence(result)}")
    lines += [f"  note: {note}" for note in dict.fromkeys(_notes(result))]
    return "\n".join(lines) + "\n"


def _effects(u: UtteranceResult) -> list[str]:
    shown = [f"{NAMES[m.modality]} {number(m.effect, 2)}" for m in u.modalities if m.used and m.effect is not None]
    told = [w for w in u.words if w.effect is not None]
    strongest = sorted(told, key=lambda w: -abs(w.effect or 0))[:3]
    words = [f"{w.text} {number(w.effect or 0, 2)}" for w in strongest]
    return [
        *([f"changed by: {', '.join(shown)}"] if shown else []),
        *([f"words that count most: {', '.join(words)}"] if words else []),
    ]


def _notes(result: ClipResult) -> list[str]:
    if result.utterances:
        why = [
            f"the {NAMES[m.modality]} had no part in the score: {m.why}"
            for u in result.utterances[:1]
            for m in u.modalities
            if not m.used and m.modality != "nonverbal"
        ]
    else:
        why = []
    return [*why, *result.notes, *(note for u in result.utterances for note in u.notes)]
