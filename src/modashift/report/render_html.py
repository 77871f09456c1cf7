"""A report as one HTML page that needs nothing beside it: styles and images are in it, scripts there are none."""

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from modashift.report.build import Report, Table
from modashift.report.classes import sections
from modashift.report.figures import Drawn
from modashift.report.names import LABELS, difference, number, p_value, slug
from modashift.report.render_text import about, absent, facts, heading, marks, mean_and_spread, millions

__all__ = ["inlined", "render_html"]


def render_html(report: Report, figures: Mapping[str, Sequence[Drawn]]) -> str:
    """The page.

    Args:
        report: to render.
        figures: by data set; read from where they were drawn.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("modashift.report"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        heading=heading,
        marks=marks,
        mean_and_spread=mean_and_spread,
        millions=millions,
        number=number,
        difference=difference,
        p=lambda value: p_value(value).removeprefix("p = ").removeprefix("p "),
        labels=LABELS,
    )
    tables = [
        {
            "table": table,
            "slug": f"{slug(table.data)}-{k}",
            "facts": facts(report, table),
            "figures": [inlined(f) for f in figures.get(table.data, ())],
            "found": [s for s in table.sentences if not s.startswith("No ")],
            "open": [s for s in table.sentences if s.startswith("No ")],
            "summary": summary(table),
            "sections": sections(table, report.options),
        }
        for k, table in enumerate(report.tables, 1)
    ]
    return environment.get_template("report.html.j2").render(
        report=report, tables=tables, about=about(report), absent=absent(report.results)
    )


def summary(table: Table) -> str:
    """How many comparisons are established, in a sentence."""
    count = len(table.comparisons)
    sure = sum(c.status == "established" for c in table.comparisons)
    few = sum(c.status == "of these runs only" for c in table.comparisons)
    text = f"Of {count} comparisons, {sure or 'none'} {'is' if sure <= 1 else 'are'} established at the level of .05"
    text += " after correction over all of them."
    if few:
        text += f" {few} more {'holds' if few == 1 else 'hold'} of these runs, but rest on fewer than three seeds."
    return text


def inlined(figure: Drawn) -> dict[str, Any]:
    """A figure as a template shows it: the image itself, its width in pixels, and the words around it."""
    content = figure.path.read_bytes()
    width = struct.unpack(">I", content[16:20])[0]  # of a PNG
    return {
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "data": base64.b64encode(content).decode("ascii"),
        "width": round(width * 100 / 160),  # drawn at 160 points an inch, shown at about 100
    }
