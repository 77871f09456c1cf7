"""``modashift explain``, ``embed`` and ``robustness``: parsers, files and printing."""

import csv
import io
import json
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from modashift.errors import ModashiftError

__all__ = ["embed", "explain", "robustness"]

Split = Literal["train", "dev", "test", "all"]


def explain(argv: list[str]) -> dict[str, Any]:
    """``modashift explain RUN --id ID`` or ``--text "…"``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="modashift explain",
        description="What a score owes to each word, step and modality; for models with the shift, its maps.",
    )
    parser.add_argument("run", type=str, help="run folder, model folder or hub id")
    parser.add_argument("--id", type=str | None, help="utterance of the run's own data, or of --data")
    parser.add_argument("--text", type=str | None, help="a sentence instead; it has no face and no voice")
    parser.add_argument("--data", type=str | None, help="store or data file; the run's own where not given")
    parser.add_argument("--out", type=str | None, help="folder; RUN/explain/ID where not given")
    parser.add_argument("--format", type=Literal["png", "svg"], default="png", help="of the pictures")
    parser.add_argument("--layers", type=int, nargs="+", default=[], help="numbers of layers, from 1; all by default")
    parser.add_argument("--top", type=int, default=3, help="steps the attribution check removes together")
    parser.add_argument("--draws", type=int, default=500, help="random choices of steps it compares with")
    parser.add_argument("--seed", type=int, default=0, help="of these choices")
    config = parser.parse_args(argv)
    if (config.id is None) == (config.text is None):
        raise ModashiftError('give --id ID for an utterance of the data, or --text "…" for a sentence')
    if min(config.top, config.draws) < 1:
        raise ModashiftError("--top and --draws must be at least 1")

    from modashift.evaluate import explain as explaining
    from modashift.evaluate.explain_files import write_explanation
    from modashift.evaluate.subject import Subject, open_data
    from modashift.predictor import load

    predictor = load(config.run)
    if config.text is not None:
        if not config.text.split():
            raise ModashiftError("--text holds no words")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what is missing is said in the notes
            dataset = predictor.dataset([config.text])
    else:
        dataset = open_data(config.run, config.data)
        dataset = dataset.take([_row(list(dataset.ids), config.id, dataset.name)])
    name = config.id or "text"
    try:
        found = explaining.explain(Subject.of(predictor, dataset), config.layers, config.top, config.draws, config.seed)
    except ValueError as error:
        raise ModashiftError(str(error)) from error
    home = Path(config.run) if Path(config.run).is_dir() else Path()
    folder = Path(config.out) if config.out else home / "explain" / (re.sub(r"[^\w.-]+", "_", name).strip(".") or "_")
    gold = float(dataset.labels[0])
    about = {
        "run": config.run,
        "model": predictor.model.name,
        "id": config.id,
        "text": dataset.texts[0],
        "gold": None if math.isnan(gold) else gold,
        "seed": config.seed,
    }
    target = "" if math.isnan(gold) else f", gold {gold:+.2f}"
    title = f"{predictor.model.title}, {name}: score {found.prediction:+.2f}{target}"
    paths = write_explanation(found, folder, title, f".{config.format}", about)
    _say(f"{title}\n{dataset.texts[0]}\n")
    for modality, change in found.modality_changes.items():
        _say(f"without {modality + ' features':<20} {change:+.3f}")
    order = sorted(zip(found.units, found.word_changes), key=lambda pair: -abs(pair[1]))
    _say("words that matter most when left out: " + ", ".join(f"{w} {c:+.3f}" for w, c in order[:5]))
    for line in [*(found.check.sentences() if found.check else []), *found.notes]:
        _say(line)
    _say(f"\n{len(paths)} files in {folder}: {', '.join(p.name for p in paths)}")
    return json.loads((folder / "explanation.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _row(ids: list[str], wanted: str, name: str) -> int:
    if wanted in ids:
        return ids.index(wanted)
    import difflib

    near = difflib.get_close_matches(wanted, ids, 5, 0.4) or ids[:5]
    raise ModashiftError(f"{name} has no utterance {wanted!r}; it has {len(ids)}, such as {', '.join(near)}")


def embed(argv: list[str]) -> list[dict[str, Any]]:
    """``modashift embed RUN [RUN …]``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="modashift embed",
        description="t-SNE of the modalities' representations, run beside run, and how well they are aligned.",
    )
    _common(parser, "embed")
    parser.add_argument("--private", type=bool, default=False, help="also the private parts, for models that have them")
    parser.add_argument("--points", type=int, default=700, help="most utterances in the picture; numbers are of all")
    config = parser.parse_args(argv)

    from modashift.evaluate.embed import describe, project, represent
    from modashift.evaluate.embed_plot import embed_figure, numbers

    folder = Path(config.out)
    runs = []
    for subject in _subjects(config):
        runs += represent(subject, config.private, config.batch_size)
    found, placed = [], []
    with _progress("t-SNE", len(runs)) as tick:
        for r in runs:
            found.append(describe(r))
            placed.append(project(r, config.seed, config.points))
            tick()
    picture = embed_figure(runs, placed, found, folder / f"embed.{config.format}", f"{config.split} split")
    points = [
        {"run": r.name, "id": r.ids[k], "modality": m, "score": float(r.gold[k]), "x": float(x), "y": float(y)}
        for r, own in zip(runs, placed)
        for m, (rows, places) in own.items()
        for k, (x, y) in zip(rows, places)
    ]
    _write_csv(folder / "embed_points.csv", points)
    _write_csv(folder / "embed.csv", [line for one in found for line in _lines(one)])
    _write_json(folder / "embed.json", {"split": config.split, "seed": config.seed, "runs": found})
    for one in found:
        _say(f"{one['name']}\n{numbers(one)}\n")
    _say(f"{picture}, embed.csv, embed.json and embed_points.csv in {folder}")
    return found


def _lines(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One line a number, each with what it is to be compared with."""
    for pair, a in found["alignment"].items():
        about = {"quantity": "mean cosine of true pairs", "of": pair, "n": a["n"]}
        yield {
            "run": found["name"],
            **about,
            "value": a["true"],
            "reference": a["other"],
            "reference_is": "other pairs",
        }
    for way, r in found["retrieval"].items():
        about = {"quantity": "retrieval@1", "of": way, "n": r["n"]}
        yield {"run": found["name"], **about, "value": r["value"], "reference": r["chance"], "reference_is": "chance"}
    for m, k in found["knn_mae"].items():
        about = {"quantity": "k-NN MAE", "of": m, "n": k["n"]}
        yield {
            "run": found["name"],
            **about,
            "value": k["value"],
            "reference": k["floor"],
            "reference_is": "train mean",
        }


def robustness(argv: list[str]) -> list[dict[str, Any]]:
    """``modashift robustness RUN [RUN …]``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="modashift robustness",
        description="Score against missing steps, missing modalities, noise on the features, and word errors.",
    )
    _common(parser, "robustness")
    parser.add_argument("--draws", type=int, default=5, help="how often each random disturbance is drawn")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.5, 0.75, 1.0], help="of missing steps")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.5, 1.0, 2.0], help="in train sd of each feature")
    parser.add_argument("--errors", type=float, nargs="+", default=[0.1, 0.2, 0.4], help="shares of misheard words")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    config = parser.parse_args(argv)
    if config.draws < 1 or config.resamples < 1:
        raise ModashiftError("--draws and --resamples must be at least 1")
    if not all(0 < s <= 1 for s in (*config.shares, *config.errors)) or min(config.noise) <= 0:
        raise ModashiftError("--shares and --errors are above 0 and at most 1, --noise is above 0")

    from modashift.evaluate import robustness as robust
    from modashift.evaluate.robustness_plot import curves_figure

    folder = Path(config.out)
    subjects = _subjects(config)
    order = ("visual", "acoustic")
    modalities = [m for m in order if any(m in s.predictor.modalities for s in subjects)]
    wanted = robust.conditions(modalities, config.draws, config.shares, config.noise, config.errors)
    rows = []
    with _progress("disturbing", len(subjects) * sum(c.draws for c in wanted)) as tick:
        for subject in subjects:
            found = robust.measure(subject, wanted, config.seed, config.batch_size, tick)
            rows += robust.summarise(subject.name, subject.gold, found, config.resamples, config.seed, subject.centre)
    note = (
        f"{config.split} split, {config.draws} draws of what is random, seed {config.seed}. Brackets: 95 % interval by "
        "bootstrap over utterances and draws. Rows that cannot change (a run that does not read the modality) are in "
        "the CSV file only."
    )
    table = robust.to_markdown(rows, note)
    from modashift.atomic import write_atomic

    write_atomic(folder / "robustness.csv", robust.to_csv(rows))
    write_atomic(folder / "robustness.md", table)
    title = f"Disturbed input, {config.split} split (bands: 95 % over utterances and draws)"
    picture = curves_figure(rows, folder / f"robustness.{config.format}", title)
    _say(table)
    _say(f"{picture}, robustness.csv and robustness.md in {folder}")
    return rows


def _common(parser: Any, name: str) -> None:
    parser.add_argument("runs", type=str, nargs="+", help="run folders, model folders or hub ids")
    parser.add_argument("--data", type=str | None, help="store or data file; each run's own where not given")
    parser.add_argument("--split", type=Split, default="test", help="which utterances")
    parser.add_argument("--out", type=str, default=name, help="folder to write to")
    parser.add_argument("--format", type=Literal["png", "svg"], default="png", help="of the picture")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--batch_size", type=int, default=64, help="utterances scored together")


def _subjects(config: Any) -> list[Any]:
    """Open all runs; says where they are not about the same utterances."""
    from modashift.evaluate.subject import open_subject, short_names

    names = short_names(config.runs)
    subjects = [open_subject(run, config.data, config.split, n) for run, n in zip(config.runs, names)]
    ids = [sorted(s.dataset.ids[int(r)] for r in s.rows) for s in subjects]
    if any(own != ids[0] for own in ids):
        sys.stderr.write("the runs are measured on different utterances: compare with care, or give --data FILE\n")
    return subjects


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on the terminal; nothing where there is none."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    from modashift.atomic import write_atomic

    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue())


def _write_json(path: Path, content: Any) -> None:
    from modashift.atomic import write_atomic

    write_atomic(path, json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n")


def _finite(value: Any) -> Any:
    """NaN is no JSON: null instead."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
