"""``modashift report``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modashift.atomic import write_atomic

if TYPE_CHECKING:
    from modashift.report.build import Options

__all__ = ["report", "write_report"]


def report(argv: list[str]) -> Path:
    """``modashift report DIR``."""
    from jsonargparse import ArgumentParser

    from modashift.evaluate.metrics import VARIANTS

    parser = ArgumentParser(
        prog="modashift report",
        description="Tables, tests and figures of finished runs: an HTML page, and the same as Markdown, LaTeX, CSV.",
    )
    parser.add_argument("folders", type=str, nargs="+", help="experiment, folder of runs, or run folders")
    parser.add_argument("--out", type=str | None, help="folder to write to; DIR/report where not given")
    parser.add_argument("--split", type=str, default="test", help="train, dev or test")
    parser.add_argument(
        "--metrics", type=str, default="", help="to show and test, as mae,corr,acc2_has0; the usual ones"
    )
    parser.add_argument("--variant", type=str, default="mmsa", help=f"metric conventions: {', '.join(VARIANTS)}")
    parser.add_argument("--bootstrap", type=int, default=10_000, help="bootstrap samples")
    parser.add_argument("--against", type=str | None, help="compare with this row only: fewer tests, less correction")
    parser.add_argument("--texts", type=bool, default=True, help="look up the utterances' words in the runs' data")
    parser.add_argument("--timing", type=bool, default=True, help="show seconds an epoch (equal runs differ in them)")
    config = parser.parse_args(argv)

    from modashift.report.build import Options

    options = Options(
        split=config.split,
        metrics=tuple(m.strip() for m in config.metrics.split(",") if m.strip()),
        variant=config.variant,
        bootstrap=config.bootstrap,
        against=config.against,
        texts=config.texts,
        timing=config.timing,
    )
    out = Path(config.out) if config.out else Path(config.folders[0]) / "report"
    page = write_report(config.folders, out, options)
    sys.stdout.write(f"report: {page}\n")
    return page


def write_report(folders: Sequence[str | Path], out: Path, options: "Options | None" = None) -> Path:
    """Read runs and write ``report.html``, ``report.md``, ``table.tex``, ``table.csv``, ``comparisons.csv``, figures.

    The same runs give the same bytes.

    Args:
        folders: an experiment, a folder of runs, or run folders.
        out: folder to write to.
        options: what to report.

    Returns:
        The HTML page.

    Raises:
        ModashiftError: no finished runs, options that do not fit them, or files that cannot be read or written.
    """
    from modashift.evaluate.results import read_results
    from modashift.report.build import Options, build
    from modashift.report.figures import draw
    from modashift.report.render_html import render_html
    from modashift.report.render_latex import render_latex
    from modashift.report.render_text import render_comparisons, render_csv, render_markdown

    found = build(read_results(folders), options or Options())
    figures = draw(found, out)
    linked = {
        data: [(figure.path.relative_to(out).as_posix(), figure.alt) for figure in drawn]
        for data, drawn in figures.items()
    }
    write_atomic(out / "report.md", render_markdown(found, linked))
    write_atomic(out / "table.tex", render_latex(found))
    write_atomic(out / "table.csv", render_csv(found))
    write_atomic(out / "comparisons.csv", render_comparisons(found))
    write_atomic(out / "report.html", render_html(found, figures))
    return out / "report.html"
