"""The commands behind ``modashift``: parsers made from signatures, and printing. The work is done elsewhere."""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modashift.errors import ModashiftError
from modashift.models import MODELS

if TYPE_CHECKING:
    from modashift.predictor import Predictor

__all__ = ["data", "demo", "evaluate", "models", "predict_with", "put_rows", "train"]


def train(argv: list[str]) -> dict[str, Any] | None:
    """``modashift train MODEL --data … --run …``."""
    if not argv or argv[0] in {"-h", "--help"}:
        sys.stdout.write(
            "usage: modashift train MODEL --data FILE_OR_STORE --run RUN [options]\n\n"
            f"models: {', '.join(MODELS)}\n\n"
            "`modashift train MODEL --help` lists every option of that model. In short:\n"
            "  --data FILE         store, or a file in any layout of the field\n"
            "  --run RUN           folder for checkpoint, metrics and predictions (under torchrun: --folder RUN)\n"
            "  --resume            continue a run that was interrupted\n"
            "  --config NAME       options from a YAML file, or a shipped recipe by name (misa-mosi, …)\n"
            "  --validation 0.15   carve a validation part out of train, grouped by video\n"
            "  --init RUN          start from the weights of another run\n"
        )
        return None
    from modashift.train.options import check_name, shipped_configs, train_parser, value_of

    name, rest = argv[0], shipped_configs(argv[1:])
    parser = train_parser(name)
    run = value_of("--run", rest)
    if run and any(a.split("=")[0] == "--resume" for a in rest):
        stored = Path(run) / "config.yaml"
        if stored.is_file():  # a resumed run needs no option repeated
            check_name(stored, name)
            rest = ["--config", str(stored), *rest]
    if (given := value_of("--config", rest)) and Path(given).is_file():
        check_name(Path(given), name)
    config = parser.parse_args(rest)
    from dataclasses import fields

    from modashift.train.args import DataArgs, TrainArgs
    from modashift.train.command import train as run_training

    values = config.as_dict()
    results = run_training(
        name,
        DataArgs(**{f.name: values[f.name] for f in fields(DataArgs)}),
        config.run,
        TrainArgs(**{f.name: values[f.name] for f in fields(TrainArgs)}),
        values.get("model") or {},
        resume=config.resume,
    )
    if results:
        print_results(results)
        _say(f"run folder: {config.run}")
    return results


def evaluate(argv: list[str]) -> dict[str, Any]:
    """``modashift evaluate RUN [--data FILE]``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="modashift evaluate", description="Metrics of a trained model.")
    parser.add_argument("run", type=str, help="run folder, model folder or hub id")
    parser.add_argument("--data", type=str | None, help="data to score; the run's own where not given")
    parser.add_argument("--variant", type=str, default="mmsa", help="metric conventions: mmsa, mult, mag, mfn or ando")
    parser.add_argument("--replace_nonfinite", type=bool, default=False, help="replace NaN and infinite features by 0")
    parser.add_argument("--out", type=str | None, help="write predictions to this CSV file")
    config = parser.parse_args(argv)

    import numpy as np

    from modashift.data.classes import renumbered
    from modashift.evaluate.metrics import regression_metrics
    from modashift.evaluate.tasks import Classes, task_of
    from modashift.predictor import load

    predictor = load(config.run)
    if config.data is None:
        from modashift.train.setup import run_data

        dataset = run_data(Path(config.run))
    else:
        from modashift.data.open import open_dataset

        dataset = open_dataset(config.data, replace_nonfinite=config.replace_nonfinite)
    dataset = renumbered(dataset, predictor.classes)
    task = task_of(predictor.classes)
    prediction = predictor.predict_dataset(dataset)
    results: dict[str, Any] = {"model": predictor.model.name, "data": dataset.name, "splits": {}}
    if predictor.classes:
        results["classes"] = list(predictor.classes)
    for split in ("train", "dev", "test"):
        rows = dataset.rows(split)
        rows = rows[np.isfinite(dataset.labels[rows])]
        if len(rows):
            gold, answer = dataset.labels[rows], prediction[rows]
            if isinstance(task, Classes):
                metrics = task.results(gold, answer)
            else:
                metrics = regression_metrics(gold, answer, variant=config.variant)
            results["splits"][split] = {"n": len(rows), **metrics}
    print_results(results)
    if config.out:
        _write_rows(
            Path(config.out),
            [
                dict(zip(task.header(), line))
                for i, (p, s) in enumerate(zip(prediction, dataset.splits))
                for line in task.lines([dataset.ids[i]], dataset.labels[i : i + 1], p[None], str(s))
            ],
        )
    return results


def predict_with(
    run: str, texts: list[str], data: str | None, replace_nonfinite: bool, layout: str, out: str | None
) -> list[dict[str, Any]]:
    """Texts, a data file or lines on standard input, by one model; printed or written."""
    from modashift.predictor import load

    predictor = load(run)
    if data:
        from modashift.data.open import open_dataset

        dataset = open_dataset(data, replace_nonfinite=replace_nonfinite)
        scores = predictor.predict_dataset(dataset)
        rows = [{"id": i, **_answer(predictor, s), "text": t} for i, s, t in zip(dataset.ids, scores, dataset.texts)]
    else:
        rows = _score_texts(predictor, texts or [line for line in (raw.strip() for raw in sys.stdin) if line])
    put_rows(rows, layout, out)
    return rows


def put_rows(rows: list[dict[str, Any]], layout: str, out: str | None) -> None:
    """Write rows to a .csv or .jsonl file, or print them as text, json or csv."""
    if out:
        _write_rows(Path(out), rows)
    else:
        _print_rows(rows, layout)


def _score_texts(predictor: "Predictor", texts: list[str]) -> list[dict[str, Any]]:
    import warnings

    if not texts:
        raise ModashiftError("nothing to score: give --text, --data, or lines on standard input")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        scores = predictor.predict(texts)
    if predictor.modalities:
        sys.stderr.write(
            f"scored from words alone; the model also takes {' and '.join(predictor.modalities)} features\n"
        )
    return [{**_answer(predictor, s), "text": t} for s, t in zip(scores, texts)]


def _answer(predictor: "Predictor", answer: Any) -> dict[str, Any]:
    """A score; or a class, its probability, and those of all classes."""
    if not predictor.classes:
        return {"score": float(answer)}
    k = int(answer.argmax())
    return {
        "class": predictor.classes[k],
        "probability": float(answer[k]),
        **{f"p({name})": float(p) for name, p in zip(predictor.classes, answer)},
    }


def data(argv: list[str]) -> None:
    """``modashift data inspect|import|export|corpus|fetch``."""
    from jsonargparse import auto_cli

    from modashift.data import cli
    from modashift.data.emotion.cli import corpus
    from modashift.data.fetch import fetch

    actions: Any = {
        "inspect": cli.inspect,
        "import": cli.import_,
        "export": cli.export,
        "corpus": corpus,
        "fetch": fetch,
    }
    auto_cli(actions, args=argv or ["--help"], prog="modashift data", as_positional=True)


def models(argv: list[str]) -> None:
    """``modashift models``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="modashift models", description="The models, with their size on a backbone.")
    parser.add_argument("--backbone", type=str, default="bert-base", help="bert-base, or any backbone to build them on")
    config = parser.parse_args(argv)

    from modashift.models.listing import model_table

    sys.stdout.write(model_table(config.backbone))


def demo(argv: list[str]) -> None:
    """``modashift demo``."""
    from jsonargparse import auto_cli

    from modashift.demo import run_demo

    auto_cli(run_demo, args=argv, prog="modashift demo")


def print_results(results: dict[str, Any]) -> None:
    """Print metrics by split as a table."""
    if "classes" in results:
        from modashift.evaluate.class_tables import class_results

        tables, said = class_results(results)
        for table in tables:
            _print(table)
        _chosen(results)
        for sentence in said:
            _say(sentence)
        return
    from rich.table import Table

    table = Table(title=f"{results['model']} on {results['data']}", title_justify="left")
    floors = any("floor" in m for m in results["splits"].values())
    columns = ("split", "n", "MAE", *(["floor"] if floors else []), "Corr", "Acc-2 has0/non0", "F1 has0/non0", "Acc-7")
    for column in columns:
        table.add_column(column, justify="left" if column == "split" else "right")
    for split, m in results["splits"].items():
        table.add_row(
            split,
            str(m["n"]),
            f"{m['mae']:.3f}",
            *([f"{m['floor']['mae']:.3f}"] if floors else []),
            f"{m['corr']:.3f}",
            f"{100 * m['acc2_has0']:.2f}/{100 * m['acc2_non0']:.2f}",
            f"{100 * m['f1_has0']:.2f}/{100 * m['f1_non0']:.2f}",
            f"{100 * m['acc7']:.2f}" if "acc7" in m else "",
        )
    _print(table)
    _chosen(results)
    if floors:
        _say("floor: predicting the mean score of the training split for everybody")


def _chosen(results: dict[str, Any]) -> None:
    if "best_epoch" in results:
        _say(f"checkpoint of epoch {results['best_epoch']} of {results['epochs']}, chosen by {results['select']}")


def _print_rows(rows: list[dict[str, Any]], layout: str) -> None:
    if layout == "json":
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
    elif layout == "csv":
        _csv(rows, sys.stdout)
    else:
        for row in rows:
            said = f"{row['score']:+.2f}" if "score" in row else f"{row['class']:<10} {100 * row['probability']:3.0f} %"
            sys.stdout.write(f"{said}  {row['text']}\n")


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    import io

    from modashift.atomic import write_atomic

    text = io.StringIO()
    if path.suffix == ".jsonl":
        text.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        _csv(rows, text)
    write_atomic(path, text.getvalue())
    _say(f"{len(rows)} rows written to {path}")


def _csv(rows: list[dict[str, Any]], file: Any) -> None:
    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _print(renderable: Any) -> None:
    from rich.console import Console

    Console(highlight=False).print(renderable)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
