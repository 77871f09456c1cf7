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
        visual=request["visual"], acoustic=request["acoustic"], words=request["words"], asr=request["asr"]
    )
    stages.require(options)
    transcript = None if request["transcript"] is None else Path(request["transcript"])
    clip = extract_clip(
        path,
        options,
        name=request["name"],
        transcript=transcript,
        progress=lambda stage, done: answer({"stage": stage, "done": done}),
    )
    write_clip(out / "clip", clip, {"options": asdict(options)}, {})
    seen = illustrate(path, clip.duration) if request["illustrate"] else Illustration()
    (out / "seen.json").write_text(json.dumps(packed(seen)), encoding="utf-8")
    answer({"ok": True})


def packed(seen: Illustration) -> dict[str, Any]:
    """An illustration as JSON-able values."""
    return {
        "thumbnails": [[t.time, base64.b64encode(t.jpeg).decode("ascii"), t.width, t.height] for t in seen.thumbnails],
        "low": seen.low.tolist(),
        "high": seen.high.tolist(),
    }


if __name__ == "__main__":
    main()
