"""``modashift extract CLIPS… --out STORE``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modashift.errors import DataError, ModashiftError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from modashift.extract.bulk import Given, Summary
    from modashift.extract.engines.work import Engine, Limit
    from modashift.extract.options import ExtractOptions

__all__ = ["extract", "options_from", "read_transcripts"]

SHOWN = 5  # names of failed recordings by reason; the manifest has all

DESCRIPTION = """Extract words, face and voice of recordings, and write them as a store that `modashift train --data`
takes. The same command continues where it was after any interruption."""


def extract(argv: list[str]) -> None:
    """``modashift extract CLIPS… --out STORE [options]``."""
    config = _parser().parse_args(argv)
    options = options_from(config)

    from modashift.extract import stages
    from modashift.extract.bulk import Shape, extract_all, plan
    from modashift.extract.display import Display
    from modashift.extract.gather import gather

    out = Path(config.out)
    given = _given(config)
    tasks = plan(gather(config.clips), out, options, given)
    unsaid = (t for t in tasks if t.recipe.get("transcript") is None and not any(s.text for s in t.segments))
    stages.require(options, recognition=any(True for _ in unsaid))
    engine = _engine(config, out, _limit(config, options), len(tasks), options)
    shape = Shape(config.alignment, tuple(config.statistics), config.reach, config.group or None)
    display = Display(config.plain)
    try:
        summary = extract_all(tasks, out, engine, display, given, shape, config.redo)
    except KeyboardInterrupt:
        display.stop()
        sys.stderr.write("stopped; the same command continues where it was\n")
        raise
    finally:
        display.stop()
    _report(summary, out)
    if summary.failed and config.strict:
        raise SystemExit(2)


def _parser() -> "ArgumentParser":
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="modashift extract", description=DESCRIPTION)
    add = parser.add_argument
    add("clips", type=str, nargs="+", help="recordings, folders with recordings, or lists of them (@list.txt)")
    add(
        "--out", type=str, required=True, help="store to write, NAME.store by custom; clip files go to NAME.store.clips"
    )
    add("--labels", type=str, default="", help="CSV file with name or id, and label, split, group")
    add("--classes", type=list[str], default=[], help="names of the classes, where labels are classes: '[sad, happy]'")
    add("--transcripts", type=str, default="", help="CSV file with name and text: what is said in each recording")
    add(
        "--segments",
        type=str,
        default="",
        help="CSV file with the utterances: name, start, end; label and text if known",
    )
    add_extraction(parser)
    add(
        "--alignment",
        type=_literal("alignment"),
        default="word",
        help="features on each word, or the frames themselves",
    )
    add("--statistics", type=_literal("statistics"), default=["mean"], help="of the frames of each word")
    add("--reach", type=float, default=0.04, help="seconds from a word in which a frame counts where none lies in it")
    add("--group", type=str, default="", help="regular expression: what of a recording's name must not be split")
    add(
        "--processes",
        type=int,
        default=0,
        help="recordings at a time; as many as there are processors, or as encoders fit into memory",
    )
    add("--engine", type=_literal("engine"), default="local", help="processes of this machine, or a Ray cluster")
    add(
        "--ray_address",
        type=str,
        default="",
        help="of a running cluster (auto, HOST:PORT); a local one where not given",
    )
    add("--time_limit", type=float | None, help="seconds any recording may take: 60, with encoders 600,")
    add("--time_factor", type=float | None, help="and seconds more for each of its own: 10, with encoders 100")
    add("--retries", type=int, default=1, help="times a recording is begun again at which a worker died")
    add("--redo", type=bool, default=False, help="extract anew what is there")
    add("--strict", type=bool, default=False, help="exit with status 2 where any recording failed")
    add("--plain", type=bool | None, default=None, help="a line a recording, no bar")
    return parser


def add_extraction(parser: "ArgumentParser") -> None:
    """Add what `options_from` reads: the options of `ExtractOptions` and `Cutting`."""
    from modashift.extract.options import SETS, ExtractOptions
    from modashift.extract.utterances import Cutting

    usual, cutting = ExtractOptions(), Cutting()
    add = parser.add_argument
    sets = {modality: ", ".join(names) for modality, names in SETS.items()}
    add("--visual", type=str, default=usual.visual, help=f"face: {sets['visual']}, an encoder, or none")
    add("--acoustic", type=str, default=usual.acoustic, help=f"voice: {sets['acoustic']}, an encoder, or none")
    add("--linguistic", type=str, default="none", help="words: an encoder of texts, or none")
    add(
        "--layers",
        type=str | int | list[int] | dict[str, str | int | list[int]],
        default="all",
        help="of encoders: all, last, 13,14, 1-6, or by modality: '{visual: 14, acoustic: 20}'",
    )
    add(
        "--sound_rate",
        type=_literal("picture_rate"),
        default="usual",
        help="states a second of an encoder of speech: 5; null for all",
    )
    add("--device", type=str, default=usual.device, help="of encoders: auto, cpu, cuda or cuda:N")
    add(
        "--precision",
        type=_literal("precision"),
        default=usual.precision,
        help="of encoders: fp32, or autocast in bf16 or fp16",
    )
    add(
        "--words",
        type=_literal("words"),
        default=usual.words,
        help="auto takes a transcript beside the recording, else recognises them",
    )
    add("--asr", type=str, default="", help="model of the recognition: a size or a folder; the packaged one by default")
    add(
        "--picture_rate",
        type=_literal("picture_rate"),
        default="usual",
        help="pictures a second: 15, for an encoder 3; null for all",
    )
    add(
        "--max_side",
        type=_literal("max_side"),
        default="usual",
        help="pixels to which larger pictures are scaled down: 640, for an encoder 1280; null for none",
    )
    add("--whole", type=bool | None, default=None, help="each recording is one utterance; if short, where not given")
    add("--whole_below", type=float, default=cutting.whole_below, help="seconds up to which a recording is short")
    add("--pause", type=float, default=cutting.pause, help="seconds without a word that end an utterance")
    add("--most_words", type=int, default=cutting.most_words, help="of an utterance")
    add("--most_seconds", type=float, default=cutting.most_seconds, help="of an utterance")
    add("--least_words", type=int, default=cutting.least_words, help="of an utterance")


def options_from(config: Any) -> "ExtractOptions":
    """Options of the extraction from parsed arguments.

    Raises:
        DataError: a value out of range.
    """
    from modashift.extract.options import ExtractOptions
    from modashift.extract.utterances import Cutting

    return ExtractOptions(
        visual=None if config.visual == "none" else config.visual,
        acoustic=None if config.acoustic == "none" else config.acoustic,
        words=config.words,
        asr=config.asr or None,
        picture_rate=config.picture_rate,
        max_side=config.max_side,
        cutting=Cutting(
            whole=config.whole,
            whole_below=config.whole_below,
            pause=config.pause,
            most_words=config.most_words,
            most_seconds=config.most_seconds,
            least_words=config.least_words,
        ),
        linguistic=None if config.linguistic == "none" else config.linguistic,
        layers=config.layers,
        sound_rate=config.sound_rate,
        device=config.device,
        precision=config.precision,
    )


def _literal(name: str) -> Any:
    from typing import Literal

    from modashift.extract.align import Statistic

    return {
        "picture_rate": float | None | Literal["usual"],
        "max_side": int | None | Literal["usual"],
        "precision": Literal["fp32", "bf16", "fp16"],
        "words": Literal["auto", "recognise", "none"],
        "alignment": Literal["word", "frame"],
        "engine": Literal["local", "ray"],
        "statistics": list[Statistic],
    }[name]


def read_transcripts(path: Path) -> dict[str, str]:
    """Read a table of what is said: columns ``name`` (of the recording) and ``text``.

    Raises:
        DataError: naming the file and the line.
    """
    from modashift.extract.utterances import read_csv

    found: dict[str, str] = {}
    for where, row in read_csv(path, ("name", "text")):
        if row["name"] in found:
            raise DataError(f"{where}: {row['name']} was given before; leave one of the lines out")
        found[row["name"]] = row["text"]
    return found


def _given(config: Any) -> "Given":
    from modashift.extract.bulk import Given
    from modashift.extract.labels import Labels, check_labels, read_labels
    from modashift.extract.utterances import read_segments

    segments = read_segments(Path(config.segments)) if config.segments else {}
    if config.labels:
        labels = read_labels(Path(config.labels), config.classes)
    else:
        own = [s.label for found in segments.values() for s in found]
        labels = Labels(classes=check_labels(own, [config.segments] * len(own), config.classes))
    return Given(
        labels,
        read_transcripts(Path(config.transcripts)) if config.transcripts else {},
        segments,
    )


def _limit(config: Any, options: "ExtractOptions") -> "Limit":
    """How long a recording may take; large encoders are slow without a GPU, and slow to load."""
    from modashift.extract.engines.work import Limit

    seconds, factor = (600.0, 100.0) if options.encoders() else (60.0, 10.0)
    limit = Limit(
        seconds if config.time_limit is None else config.time_limit,
        factor if config.time_factor is None else config.time_factor,
    )
    if limit.seconds <= 0 or limit.factor < 0:
        raise ModashiftError("--time_factor must not be below 0, --time_limit be above 0")
    return limit


def _engine(config: Any, out: Path, limit: "Limit", tasks: int, options: "ExtractOptions | None" = None) -> "Engine":
    if config.processes < 0 or config.retries < 0:
        raise ModashiftError("--processes and --retries must not be below 0")
    processes = config.processes or len(os.sched_getaffinity(0))
    if not config.processes and options is not None and options.encoders():
        from modashift.encoders.memory import processes_that_fit

        processes = processes_that_fit(options.encoders(), options.device, processes)
    if config.engine == "ray":
        from modashift.extract.engines.ray import RayEngine

        return RayEngine(processes, config.ray_address, limit, config.retries)
    if config.ray_address:
        raise ModashiftError("--ray_address goes with --engine ray")
    from modashift.extract.bulk import clips_folder
    from modashift.extract.engines.local import LocalEngine

    return LocalEngine(min(processes, tasks), clips_folder(out) / "logs", limit, config.retries)


def _report(summary: "Summary", out: Path) -> None:
    from modashift.display import duration
    from modashift.extract.bulk import clips_folder
    from modashift.extract.display import speed

    write = sys.stdout.write
    good = [e for e in summary.entries if e.status != "failed"]
    partial: dict[str, int] = {}
    for entry in good:
        if entry.status == "partial":
            partial[entry.reason] = partial.get(entry.reason, 0) + 1
    for reason, count in summary.reasons().items():
        names = [e.name for e in summary.failed if e.reason == reason]
        write(f"failed, {reason}: {count} ({_some(names)})\n")
    for reason, count in sorted(partial.items(), key=lambda item: -item[1]):
        write(f"with gaps, {reason}: {count} ({_some([e.name for e in good if e.reason == reason])})\n")
    media = sum(e.duration for e in good)
    made = len(summary.entries) - summary.found
    parts = [
        f"{len(good)} of {len(summary.entries)} recordings, {duration(media)}, in {summary.utterances} utterances",
        *([f"{summary.found} were there"] if summary.found else []),
        *([f"{duration(summary.seconds)} of work"] if made else []),
        *([speed(media, summary.seconds)] if made and not summary.found and media else []),
    ]
    write("; ".join(parts) + "\n")
    if summary.failed:
        write(f"reasons: {clips_folder(out) / 'manifest.jsonl'}; the same command tries again what failed\n")
    write(f"next: modashift data inspect {out}\n")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
