"""``modashift predict``: texts, data files, or recordings, in front of one model or several."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modashift.errors import ModashiftError
from modashift.serve.needs import DEFAULT, is_model, split_sources

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from modashift.extract.gather import Recording
    from modashift.serve.pipeline import Scored

__all__ = ["predict"]

ENDINGS = ("json", "csv", "srt", "vtt", "html")
TEXT_FORMATS = ("text", "json", "csv")
DESCRIPTION = """Score recordings, texts (given here or line by line on standard input), or a data file with features.
RUN is a run folder, several joined by commas, a model on the hub, or `default`: a model of words alone that is trained
once on sentences rated by people."""


def predict(argv: list[str]) -> list[dict[str, Any]]:
    """``modashift predict RUN clip.mp4 …``, ``--text …``, ``--data …``, or lines on standard input."""
    config = _parser().parse_args(_ordered(argv))
    sources = split_sources(config.run)
    rest = list(config.clips)
    while rest and (rest[0] == DEFAULT or is_model(rest[0])):  # runs named one after the other
        sources.append(rest.pop(0))
    if sum(bool(given) for given in (rest, config.text, config.data)) > 1:
        raise ModashiftError("give recordings, --text or --data, not both")
    if rest:
        return _recordings(sources, rest, config)
    stray = [name for name in ("transcript", "asr") if getattr(config, name)]
    if stray:
        raise ModashiftError(f"--{stray[0]} is about recordings, and none is named")
    if (config.format or "text") not in TEXT_FORMATS:
        raise ModashiftError(f"format {config.format!r} of texts is not one of {', '.join(TEXT_FORMATS)}")
    return _texts(sources, config)


def _parser() -> "ArgumentParser":
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="modashift predict", description=DESCRIPTION)
    add = parser.add_argument
    add("run", type=str, help="run folder, several joined by commas, hub id, or default")
    add("clips", type=str, nargs="*", default=[], help="recordings, folders of them, lists (@list.txt), clip files")
    add("--text", type=str, nargs="+", default=[], help="one or more texts")
    add("--data", type=str | None, help="store or data file")
    add("--replace_nonfinite", type=bool, default=False, help="replace NaN and infinite features by 0")
    add("--transcript", type=str | None, help="what is said: a file, or a folder of files named like the recordings")
    add("--words", type=str, default="auto", help="auto: a transcript beside the recording, else recognise; recognise")
    add("--asr", type=str | None, help="model of the recognition: a size or a folder; the packaged one by default")
    add("--missing_ok", type=bool, default=False, help="do without face or voice whose features nothing here extracts")
    add("--explain", type=bool, default=True, help="measure what words, face and voice changed")
    add("--device", type=str, default="auto", help="auto, cpu, cuda or cuda:N")
    add(
        "--format",
        type=str | None,
        help="text, json or csv of what is printed; of recordings also srt, vtt and, with --out, html; a,b for several",
    )
    add("--out", type=str | None, help="of texts: a .csv or .jsonl file; of recordings: a folder, or one file")
    return parser


def _ordered(argv: Sequence[str]) -> list[str]:
    """Arguments with what is no option first, so that recordings may be named after options too."""
    plain: list[str] = []
    options: list[str] = []
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("--"):
            plain.append(argument)
            continue
        flags = {"--missing_ok", "--explain", "--replace_nonfinite"}
        if argument in flags and (not rest or rest[0].lower() not in {"true", "false", "yes", "no"}):
            argument += "=true"
        options.append(argument)
        if argument == "--text":
            while rest and not rest[0].startswith("--"):
                options.append(rest.pop(0))
        elif "=" not in argument and argument != "--help" and rest:
            options.append(rest.pop(0))
    return [*plain, *options]


def _texts(sources: Sequence[str], config: Any) -> list[dict[str, Any]]:
    """Texts or a data file: by one model as ever, by several with the mean and its spread."""
    from modashift import commands

    layout = config.format or "text"
    if len(sources) == 1:
        source = _local(sources[0])
        return commands.predict_with(source, config.text, config.data, config.replace_nonfinite, layout, config.out)
    from modashift.serve.ensemble import load_ensemble

    models = load_ensemble([_local(s) for s in sources], config.device)
    if config.data:
        from modashift.data.open import open_dataset

        dataset = open_dataset(config.data, replace_nonfinite=config.replace_nonfinite)
        names: list[dict[str, Any]] = [{"id": i} for i in dataset.ids]
    else:
        import warnings

        texts = config.text or [line for line in (raw.strip() for raw in sys.stdin) if line]
        if not texts:
            raise ModashiftError("nothing to score: give recordings, --text, --data, or lines on standard input")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            dataset = models.predictors[0].dataset(texts)
        names = [{} for _ in texts]
    scores = models.scores(dataset)
    rows = [
        {**name, "score": float(s.mean()), "sd": float(s.std(ddof=1)), "text": t}
        for name, s, t in zip(names, scores.T, dataset.texts)
    ]
    commands.put_rows(rows, layout, config.out)
    return rows


def _local(source: str) -> str:
    if source != DEFAULT:
        return source
    from modashift.default_model import provide_default_model

    return str(provide_default_model())


def _recordings(sources: Sequence[str], arguments: Sequence[str], config: Any) -> list[dict[str, Any]]:
    from modashift.extract.gather import gather
    from modashift.serve.outputs import plain_result
    from modashift.serve.pipeline import score_recordings

    found = gather(arguments)
    target = _Target(config.out, config.format, len(found))
    status = _Status()
    scored = score_recordings(
        sources,
        [(r.name, r.path) for r in found],
        _transcripts(config.transcript, found),
        missing_ok=config.missing_ok,
        explain=config.explain,
        illustrate="html" in target.formats,
        words=config.words,
        asr=config.asr,
        device=config.device,
        progress=status.show,
    )
    done, failed = [], []
    for one in scored:
        status.clear()
        if one.result is None:
            failed.append(one)
            sys.stderr.write(f"{one.error}\n")
        else:
            target.take(one)
            done.append(one.result)
    target.end()
    if failed:
        some = f"{len(failed)} of {len(found)} recordings" if len(found) > 1 else f"{failed[0].path}"
        why = "reasons are" if len(failed) > 1 else "reason is"
        raise ModashiftError(f"{some} could not be scored; the {why} above")
    return [plain_result(result) for result in done]


def _transcripts(given: str | None, found: "Sequence[Recording]") -> dict[str, Path]:
    """Transcripts by name of the recording."""
    if given is None:
        return {}
    path = Path(given)
    if path.is_file():
        if len(found) > 1:
            raise ModashiftError(f"{path} is one transcript for {len(found)} recordings; give a folder of transcripts")
        return {found[0].name: path}
    if not path.is_dir():
        raise ModashiftError(f"there is no transcript {path}, neither a file nor a folder")
    from modashift.extract.clip import BESIDE

    by_name = {}
    for recording in found:
        stem = path / recording.path.stem
        own = next((p for ending in BESIDE if (p := stem.with_name(stem.name + ending)).is_file()), None)
        if own is None:
            endings = ", ".join(BESIDE)
            raise ModashiftError(f"{path} has no transcript {recording.path.stem}.* for {recording.path} ({endings})")
        by_name[recording.name] = own
    return by_name


class _Target:
    """Where results go: to the screen, into a folder, or into one file."""

    def __init__(self, out: str | None, formats: str | None, count: int) -> None:
        self.out = None if out is None else Path(out)
        self.count = count
        self.results: list[Any] = []
        ending = "" if self.out is None else self.out.suffix.lower().lstrip(".")
        self.file = self.out if ending in ENDINGS and self.out is not None and not self.out.is_dir() else None
        if self.file is not None and count > 1 and ending != "csv":
            raise ModashiftError(f"{self.file} is one file for {count} recordings; give a folder as --out")
        usual = ending if self.file is not None else ",".join(ENDINGS) if self.out is not None else "text"
        self.formats = [f.strip() for f in (formats or usual).split(",") if f.strip()]
        allowed = ENDINGS if self.out is not None else ("text", *ENDINGS[:-1])
        wrong = [f for f in self.formats if f not in allowed]
        if wrong:
            remedy = "; a page needs --out" if wrong == ["html"] else ""
            raise ModashiftError(f"format {', '.join(wrong)} is not one of {', '.join(allowed)}{remedy}")
        if self.file is not None and self.formats != [ending]:
            raise ModashiftError(f"--out {self.file} is one {ending} file; for other formats give a folder as --out")
        if self.out is None and len(self.formats) > 1:
            raise ModashiftError("one format is printed; for several files give a folder as --out")

    def take(self, one: "Scored") -> None:
        """Write or print the result of a recording."""
        from modashift.atomic import write_atomic
        from modashift.serve.outputs import rendered, terminal_text

        assert one.result is not None
        self.results.append(one.result)
        if self.out is None:
            if self.formats[0] == "csv":
                return  # one table, when all are there
            if self.count > 1 and self.formats[0] in {"srt", "vtt"}:
                raise ModashiftError(f"subtitles of {self.count} recordings cannot be printed as one; give --out")
            sys.stdout.write(rendered(self.formats[0], one.result, one.seen, lines=self.count > 1))
            sys.stdout.flush()
            return
        sys.stdout.write(terminal_text(one.result))
        if self.file is not None:
            if self.formats != ["csv"]:
                write_atomic(self.file, rendered(self.formats[0], one.result, one.seen))
                sys.stdout.write(f"  written: {self.file}\n")
            return
        for name in self.formats:
            write_atomic(self.out / f"{one.name}.scores.{name}", rendered(name, one.result, one.seen))
        sys.stdout.write(f"  written: {self.out / one.name}.scores.{{{','.join(self.formats)}}}\n")

    def end(self) -> None:
        """Write or print what is of all recordings."""
        from modashift.atomic import write_atomic
        from modashift.serve.outputs import csv_text

        if "csv" not in self.formats or not self.results:
            return
        if self.out is None:
            sys.stdout.write(csv_text(self.results))
        elif self.file is not None:
            write_atomic(self.file, csv_text(self.results))
            sys.stdout.write(f"  written: {self.file}\n")
        elif self.count > 1:
            write_atomic(self.out / "scores.csv", csv_text(self.results))
            sys.stdout.write(f"all in one table: {self.out / 'scores.csv'}\n")


class _Status:
    """A line on the terminal that says what is going on; nothing where there is no terminal."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()

    def show(self, name: str, stage: str, done: float) -> None:
        """Say how far a recording is."""
        if self.shown:
            sys.stderr.write(f"\r\x1b[K{name[:40]}: {stage} {100 * done:.0f} %")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
