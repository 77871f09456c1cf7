"""``modashift experiment run|list``."""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modashift.errors import ModashiftError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from modashift.experiments.grid import Experiment, Run
    from modashift.experiments.run import Summary

__all__ = ["add_running", "carry_out", "check_files", "experiment", "say_what_became"]

USAGE = """usage: modashift experiment run FILE --out DIR [options]
       modashift experiment list FILE [--out DIR] [options]

  run   make every run of a declared grid that is not finished yet; call it again after any interruption
  list  print the runs that would be made, and which are done

FILE is an experiment file (see docs/experiments.md) or the name of a shipped one: {shipped}
`modashift experiment run --help` lists the options.
"""


def experiment(argv: list[str]) -> None:
    """``modashift experiment run|list FILE``."""
    if not argv or argv[0] in {"-h", "--help"}:
        from modashift.experiments.declare import shipped

        sys.stdout.write(USAGE.format(shipped=", ".join(shipped())))
        return
    actions = {"run": _run, "list": _list}
    if argv[0] not in actions:
        raise ModashiftError(f"modashift experiment has no action {argv[0]!r}; there are {', '.join(actions)}")
    actions[argv[0]](argv[1:])


def _parser(action: str, description: str) -> "ArgumentParser":
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog=f"modashift experiment {action}", description=description)
    parser.add_argument("file", type=str, help="experiment file, or name of a shipped one")
    parser.add_argument("--data", type=str, nargs="+", default=[], help="files of data sets: NAME=PATH …")
    parser.add_argument("--set", type=str, nargs="+", default=[], help="changes of the file: train.epochs=3 …")
    parser.add_argument("--rows", type=str, nargs="+", default=[], help="make these rows only")
    parser.add_argument("--tables", type=str, nargs="+", default=[], help="make these data sets only")
    parser.add_argument("--seeds", type=int, nargs="+", default=[], help="make these seeds only")
    return parser


def _read(config: Any, out: str) -> "tuple[Experiment, tuple[Run, ...]]":
    from modashift.experiments.grid import read

    found = read(config.file, out, [*_files(config.data), *config.set], config.tables)
    return found, found.select(config.rows, config.tables, config.seeds)


def _files(given: Sequence[str]) -> list[str]:
    """``NAME=PATH`` and ``NAME.LAYOUT=PATH`` as changes of the declaration."""
    settings = []
    for pair in given:
        name, equals, path = pair.partition("=")
        if not equals:
            raise ModashiftError(f"--data {pair}: expected NAME=PATH, such as mosi=mosi.pkl")
        table, dot, layout = name.partition(".")
        settings.append(f"data.{table}.{f'layouts.{layout}' if dot else 'data'}={_quoted(path)}")
    return settings


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "''") + "'"  # YAML shall not make a number of a file called 1e3


def _run(argv: list[str]) -> None:
    parser = _parser("run", "Make every run of a declared grid that is not finished yet.")
    parser.add_argument("--out", type=str, required=True, help="folder of the experiment")
    parser.add_argument("--keep_weights", type=bool, default=True, help="keep the weights of finished runs")
    add_running(parser)
    config = parser.parse_args(argv)
    found, runs = _read(config, config.out)
    check_files(runs)
    out = Path(config.out)
    summary = carry_out(found, runs, out, config, config.keep_weights)
    say_what_became(summary, out)
    if not (summary.failed or summary.blocked):
        sys.stdout.write(f"next: modashift report {out}\n")


def add_running(parser: "ArgumentParser") -> None:
    """Add the options that say how runs are made, for `carry_out`."""
    parser.add_argument("--processes", type=int, default=None, help="runs at a time; one, or one a device")
    parser.add_argument("--devices", type=str, default="", help="cpu, or cuda:0,cuda:1: given to the processes in turn")
    parser.add_argument("--threads", type=int | None, default=None, help="CPU threads of a process; 1 for several")
    parser.add_argument("--plain", type=bool | None, default=None, help="a line an event, no bars")


def carry_out(
    found: "Experiment", runs: "Sequence[Run]", out: Path, config: Any, keep_weights: bool | Collection[str] = True
) -> "Summary":
    """Write the declaration into its folder and make the runs that are not finished, telling a person.

    Args:
        found: the experiment.
        runs: of it, to be made.
        out: its folder.
        config: values of `add_running`.
        keep_weights: see `modashift.experiments.run.execute`.

    Raises:
        ModashiftError: unknown devices, or runs in the folder have other settings.
    """
    import yaml

    from modashift import __version__
    from modashift.atomic import write_atomic
    from modashift.experiments.display import Display
    from modashift.experiments.run import execute
    from modashift.experiments.state import refuse_changes

    devices = [d for d in config.devices.split(",") if d]
    if any(d not in {"cpu", "cuda"} and not d.removeprefix("cuda:").isdigit() for d in devices):
        raise ModashiftError(f"--devices {config.devices}: expected cpu, or cuda:0,cuda:1")
    processes = config.processes or max(1, len(devices))
    refuse_changes(found.runs, out)  # before the copy below says otherwise
    header = f"# {found.source}, as resolved by modashift {__version__}\n"
    body = yaml.safe_dump(dict(found.declaration), sort_keys=False, allow_unicode=True)
    write_atomic(out / "experiment.yaml", header + body)
    display = Display(found.title, out, processes, config.plain)
    try:
        return execute(runs, out, display, processes, devices, config.threads, keep_weights)
    except KeyboardInterrupt:
        display.stop()
        sys.stderr.write("stopped; the same command continues where it was\n")
        raise
    finally:
        display.stop()


def check_files(runs: "Sequence[Run]") -> None:
    """Say what is missing before hours are spent on the rest."""
    from modashift.data.open import NAMED

    missing: dict[str, set[str]] = {}
    for run in runs:
        for file in (run.settings.data.data, run.settings.data.glove):
            if file is not None and not Path(file).exists() and file not in NAMED:
                missing.setdefault(file, set()).add(run.table or run.name)
    if missing:
        said = "; ".join(f"{file} (of {', '.join(sorted(of))})" for file, of in sorted(missing.items()))
        raise ModashiftError(
            f"there is no {said}; say where with --data NAME=PATH (a layout: NAME.LAYOUT=PATH; word vectors: "
            "--set data.NAME.glove=PATH), or leave data sets out with --tables, rows with --rows"
        )


def say_what_became(summary: "Summary", out: Path) -> None:
    """Print what became of the runs; ends the command with status 1 where some failed."""
    write = sys.stdout.write
    for name, error in {**summary.failed, **summary.blocked}.items():
        write(f"{name}: {error.splitlines()[0] if error else 'failed'}\n")
    counts = [
        f"{len(summary.done)} run{'s' * (len(summary.done) != 1)} made",
        *([f"{len(summary.found)} were there"] if summary.found else []),
        *([f"{len(summary.failed)} failed (see {out / 'failures.jsonl'})"] if summary.failed else []),
        *([f"{len(summary.blocked)} not begun"] if summary.blocked else []),
    ]
    write(", ".join(counts) + "\n")
    if summary.failed or summary.blocked:
        write("the same command tries again what failed\n")
        raise SystemExit(1)


def _list(argv: list[str]) -> None:
    parser = _parser("list", "Print the runs of a declared grid, and which are done.")
    parser.add_argument("--out", type=str, default="", help="folder of the experiment; without it nothing is done yet")
    config = parser.parse_args(argv)
    found, runs = _read(config, config.out)

    from modashift.experiments.settings import differences
    from modashift.experiments.state import finished, progress

    out, counts = Path(config.out), {"done": 0, "begun": 0, "to do": 0}
    for run in runs:
        state, folder = "to do", run.folder(out)
        if config.out and finished(folder):
            state = "done"
        elif config.out and (folder / "config.yaml").is_file():
            state = "begun"
        counts[state] += 1
        note = ""
        if state == "begun":
            at = progress(run, out)
            note = f"  epoch {at.epochs} of {at.of}"
        if state != "to do" and differences(run.settings, folder):
            note += "  (with other settings)"
        sys.stdout.write(f"{state:<6} {run.name}  {run.settings.model}{note}\n")
    said = ", ".join(f"{n} {state}" for state, n in counts.items() if n)
    sys.stdout.write(f"{found.title}: {len(runs)} runs ({said})\n")
