"""Subtitles: SubRip (.srt) and WebVTT (.vtt), read as they are found in the wild and written strictly.

WebVTT as in https://www.w3.org/TR/webvtt1/; SubRip has no standard.
"""

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from modashift.errors import DataError
from modashift.extract.words.texts import read_text
from modashift.extract.words.transcript import Cue

__all__ = ["read_subtitles", "srt", "vtt"]

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,6}))?"
_TIMES = re.compile(rf"\s*{_TIME}\s*-+>\s*{_TIME}(?:\s.*)?")
_MARKUP = re.compile(r"</?[a-zA-Z\d:.][^<>]*>|<>|\{\\[^{}]*\}")  # <i>, <v Anna>, <00:01.000>, {\an8}
_SCORE = re.compile(r"\[([+-]?\d+(?:\.\d+)?)\]")
_VTT_BLOCKS = ("NOTE", "STYLE", "REGION")


def read_subtitles(path: Path) -> tuple[Cue, ...]:
    """Cues of an .srt or .vtt file in order of their starts.

    Byte-order marks, Windows line ends, missing hours or numbers, decimal commas or points, styles, notes, positions
    and markup are all understood; cues without text are left out. Times may overlap.

    Raises:
        DataError: the file has no cue, a time cannot be read, or a cue ends before it starts; the line is named.
    """
    cues: list[Cue] = []
    lines = read_text(path).split("\n")
    is_vtt = lines[0].startswith("WEBVTT")
    at = 0
    while at < len(lines):
        if is_vtt and re.match(rf"(?:{'|'.join(_VTT_BLOCKS)})(?:\s|$)", lines[at]) and "-->" not in lines[at]:
            while at < len(lines) and lines[at].strip() and "-->" not in lines[at]:
                at += 1
            continue
        if "-->" not in lines[at]:
            at += 1
            continue
        start, end = _times(path, at, lines[at])
        at, first = at + 1, at + 1
        while at < len(lines) and lines[at].strip() and "-->" not in lines[at]:
            at += 1
        body = lines[first:at]
        if at < len(lines) and "-->" in lines[at] and body and (is_vtt or body[-1].strip().isdigit()):
            body.pop()  # the identifier of a cue that follows without an empty line
        score, text = _text(body)
        if text:
            cues.append(Cue(start, end, text, score))
    if not cues:
        raise DataError(
            f"{path} has no subtitles; a line such as 00:00:01,000 --> 00:00:02,500 is expected before each"
        )
    return tuple(sorted(cues, key=lambda cue: cue.start))


def _times(path: Path, line: int, text: str) -> tuple[float, float]:
    match = _TIMES.fullmatch(text)
    if not match:
        raise DataError(f"{path}, line {line + 1}: {text.strip()!r} is no time such as 00:00:01,000 --> 00:00:02,500")
    start, end = (_seconds(*match.groups()[at : at + 4]) for at in (0, 4))
    if end < start:
        raise DataError(f"{path}, line {line + 1}: the subtitle ends before it starts: {text.strip()}")
    return start, end


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    # As one division, so that a time written with three decimals is read back as the same float.
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return (whole * 10**6 + int((fraction or "").ljust(6, "0"))) / 10**6


def _text(lines: Sequence[str]) -> tuple[float | None, str]:
    score = None
    if lines and (match := _SCORE.fullmatch(lines[0].strip())):
        score, lines = float(match[1]), lines[1:]
    found = [_shown(line) for line in lines]
    text = "\n".join(" ".join(line.replace("\xa0", " ").split()) for line in found)
    return score, re.sub(r"\n{2,}", "\n", re.sub("[\u200e\u200f]", "", text)).strip()


def _shown(line: str) -> str:
    return html.unescape(_MARKUP.sub("", line)).strip()


def srt(cues: Iterable[Cue]) -> str:
    """Text of an .srt file; a cue's score stands in square brackets on a line of its own before its text."""
    blocks = []
    for number, cue in enumerate(cues, 1):
        times = f"{_written(cue.start, ',')} --> {_written(cue.end, ',')}"
        blocks.append("\n".join([str(number), times, *_lines(cue, always=False)]) + "\n")
    return "\n".join(blocks)


def vtt(cues: Iterable[Cue]) -> str:
    """Text of a .vtt file, see `srt`."""
    times = ((f"{_written(cue.start, '.')} --> {_written(cue.end, '.')}", cue) for cue in cues)
    return "\n".join(["WEBVTT\n", *("\n".join([time, *_lines(cue)]) + "\n" for time, cue in times)])


def _written(seconds: float, point: str) -> str:
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds} is no time of a subtitle")
    rest, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(rest, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{point}{thousandths:03d}"


def _lines(cue: Cue, always: bool = True) -> list[str]:
    """Lines that no player takes for markup, for a score or for the end of the cue.

    Not every player of SubRip knows entities, so that they stand there only where a line would be read otherwise.
    """
    lines = list(filter(None, (" ".join(line.split()) for line in cue.text.splitlines())))
    text = [_escaped(line) if always or _shown(line) != line or "-->" in line else line for line in lines]
    if cue.score is None and text and _SCORE.fullmatch(text[0]):
        text[0] = text[0].replace("[", "&#91;")
    return [*([] if cue.score is None else [f"[{cue.score:+.3g}]"]), *text]


def _escaped(line: str) -> str:
    return html.escape(line, quote=False).replace("{", "&#123;")
