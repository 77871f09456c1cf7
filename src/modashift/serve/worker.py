"""The process that reads recordings, apart from the one that holds the model: both start at once, on a processor each.

Started by `modashift.serve.extractor`. Requests come as lines of JSON on standard input, answers go to standard output;
what the libraries print goes to standard error. Should a damaged recording bring the process down, the model lives on.
"""

import base64
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modashift.errors import ModashiftError
from modashift.extract.media.problems import MediaError
from modashift.serve.illustrate import Illustration, illustrate

__all__ = ["main"]

Answer = Callable[[dict[str, Any]], None]


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    for line in sys.stdin:
        try:
            handle(json.loads(line), answer)
        except MediaError as error:
            answer({"error": str(error), "reason": error.reason})
        except ModashiftError as error:
            answer({"error": str(error)})
        except Exception as error:
            answer({"error": f"reading it failed with {type(error).__name__}: {error}; please report this"})


def handle(request: dict[str, Any], answer: Answer) -> None:
    """Extract one recording into ``request["out"]`` and say so."""
    from modashift.extract import stages
    from modashift.extract.clip import ExtractOptions, extract_clip
    from modashift.extract.clip_file import write_clip

    path, out = Path(request["path"]), Path(request["out"])
    options = ExtractOptions(
        visual=request["visual"],
        acoustic=request["acoustic"],
        words=request["words"],
        asr=request["asr"],
        linguistic=request["linguistic"],
        layers=request["layers"] or "all",
    )
    stages.require(options)
    if request["longest"] is not None:
        _refuse_long(path, request["longest"])
    transcript = None if request["transcript"] is None else Path(request["transcript"])
    clip = extract_clip(
        path,
        options,
        name=request["name"],
        transcript=transcript,
        progress=lambda stage, done: answer({"stage": stage, "done": done}),
    )
    write_clip(out / "clip", clip, {"options": asdict(options)}, {})
    seen = Illustration()
    if request["illustrate"]:
        answer({"stage": "pictures", "done": 0.0})
        seen = illustrate(path, clip.duration)
    (out / "seen.json").write_text(json.dumps(packed(seen)), encoding="utf-8")
    answer({"ok": True})


def _refuse_long(path: Path, longest: float) -> None:
    """Refuse a recording that is longer than allowed, by its headers, and by its sound where they say nothing or lie.

    Raises:
        MediaError: ``too-long``.
    """
    from modashift.extract import stages
    from modashift.extract.media import Problem, sound_blocks

    info = stages.probe(path)
    length = info.duration or 0.0
    if length <= longest and info.has_sound:
        problems: list[Problem] = []
        try:
            decoded = sum(len(block) for block in sound_blocks(path, longest=longest + 1.0, problems=problems))
        except MediaError:  # told, or done without, when it is extracted
            decoded = 0
        length = max(length, decoded / stages.SAMPLE_RATE)
    if length > longest:
        raise MediaError(
            "too-long", f"{path}: longer than {longest / 60:g} minutes, which is the limit here; cut it into parts"
        )


def packed(seen: Illustration) -> dict[str, Any]:
    """An illustration as JSON-able values."""
    return {
        "thumbnails": [[t.time, base64.b64encode(t.jpeg).decode("ascii"), t.width, t.height] for t in seen.thumbnails],
        "low": seen.low.tolist(),
        "high": seen.high.tolist(),
    }


if __name__ == "__main__":
    main()
