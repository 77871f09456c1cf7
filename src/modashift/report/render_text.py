"""A report as Markdown and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from modashift.evaluate.results import Results
from modashift.report.build import Report, Row, Table
from modashift.report.classes import sections
from modashift.report.names import LABELS, better_is_lower, number

__all__ = [
    "about",
    "absent",
    "facts",
    "heading",
    "markdown_table",
    "marks",
    "mean_and_spread",
    "millions",
    "render_comparisons",
    "render_csv",
    "render_markdown",
]

OURS = "this report"
NAMED = 12  # rows with missing runs that are named
# Label, source, data, size of test, runs, selection, metrics.
Facts = tuple[str, str, str, str, str, str, Mapping[str, float]]


def mean_and_spread(row: Row, metric: str, plus_minus: str = "±") -> str:
    """``0.711 ± 0.012``, or the one value."""
    cell = row.cells.get(metric)
    if cell is None:
        return "–"
    mean = number(metric, cell.estimate.value)
    return mean if cell.sd is None else f"{mean} {plus_minus} {number(metric, cell.sd)}"


def marks(row: Row) -> list[str]:
    """What a reader must know about a row before believing it."""
    found = []
    if row.few_seeds:
        count = len(row.runs)
        found.append(f"{'one seed' if count == 1 else f'{count} seeds'} only")
    if row.floor_missed:
        constant = "one answer for all" if row.probabilities is not None else "the train mean"
        found.append(f"never better than {constant} on dev: seed {', '.join(map(str, row.floor_missed))}")
    if row.text_only:
        found.append("text only")
    folds = [(len(run.parts) or 1, run.folds or 0) for run in row.runs]
    if any(done < count for done, count in folds):
        found.append(" of ".join(map(str, min(folds))) + " folds")
    return found


def facts(report: Report, table: Table) -> list[Facts]:
    """Our rows and published ones alike; published ones stand below the rows of the same system, and of no other."""
    systems = {row.name: row.system for row in table.rows}
    order = list(dict.fromkeys(systems.values()))
    lines: list[tuple[int, Facts]] = []
    for row in table.rows:
        runs = f"mean of {len(row.runs)}" if len(row.runs) > 1 else "one"
        metrics = {m: cell.estimate.value for m, cell in row.cells.items()}
        system = systems[row.name]
        label = f"{row.name} ({system.model}, {', '.join(system.departures)})" if system.departures else row.name
        ours = (label, OURS, row.variant, str(len(table.ids)), runs, row.selection, metrics)
        lines.append((order.index(system), ours))
    lines += [
        (order.index(p.system), (p.label, p.source, p.variant, p.test, p.runs, p.selection, p.metrics))
        for p in table.published
    ]
    return [found for _, found in sorted(lines, key=lambda line: line[0])]


def millions(row: Row) -> str:
    """Number of parameters."""
    count = row.parameters
    return "–" if count is None else f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"


def heading(metric: str) -> str:
    """Name of a metric with the direction that is good."""
    return f"{LABELS[metric]} {'↓' if better_is_lower(metric) else '↑'}"


def render_markdown(report: Report, figures: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The report as one Markdown page.

    Args:
        report: to render.
        figures: by data set, paths relative to the page and what they show.
    """
    lines = [f"# {report.title}", "", about(report), *(line for said in absent(report.results) for line in ("", said))]
    for table in report.tables:
        lines += ["", f"## {table.data}", "", f"{len(table.ids)} items of the {report.options.split} split.", ""]
        lines += [line for said in table.protocols for line in (f"Protocol: {said}.", "")]
        header = ["", "seeds", "parameters", "s/epoch", *map(heading, report.metrics), ""]
        body = [
            [
                row.name,
                str(len(row.runs)),
                millions(row),
                "–" if row.seconds is None else f"{row.seconds:.1f}",
                *(mean_and_spread(row, m) for m in report.metrics),
                "; ".join(marks(row)),
            ]
            for row in table.rows
        ]
        body.append(
            [f"{table.constant} (floor)", "–", "–", "–", *(number(m, table.floor.get(m)) for m in report.metrics), ""]
        )
        lines += [*markdown_table(header, body), "", "Mean ± sample standard deviation over seeds.", "", table.control]
        lines += ["", "### 95 % intervals over items and seeds", ""]
        lines += markdown_table(["", *map(heading, report.metrics)], [_intervals(row, report) for row in table.rows])
        lines += ["", "### Best run, chosen on the test items: not a fair number", ""]
        body = [
            [f"{r.name}, best of {len(r.runs)}", *(number(m, _best(r, m)) for m in report.metrics)] for r in table.rows
        ]
        lines += markdown_table(["", *map(heading, report.metrics)], body)
        for small in sections(table, report.options):
            lines += ["", f"### {small.title}", "", *markdown_table(small.header, small.body), "", small.caption]
        if table.comparisons:
            lines += ["", "### What is established, and what is not", "", *(f"- {s}" for s in table.sentences)]
        if table.published:
            lines += ["", "### Beside published numbers", ""]
            head = ["", "source", "data", "test items", "runs", "selection", *map(heading, report.metrics)]
            lines += markdown_table(
                head, [[*f[:6], *(number(m, f[6].get(m)) for m in report.metrics)] for f in facts(report, table)]
            )
        lines += ["", "### Figures", ""]
        for path, alt in figures.get(table.data, ()):
            lines += [f"![{_cell(alt)}]({path})", ""]
        lines += ["### Worst-predicted utterances", ""]
        if table.texts.missing:
            lines += [f"Texts are not shown: {table.texts.missing}.", ""]
        for row in table.rows:
            head = ["id", "text", "gold", "mean prediction"]
            lines += [f"**{row.name}**", "", *markdown_table(head, table.worst_in_words(row, 5)), ""]
    lines += _left_out(report.results)
    return "\n".join(lines).rstrip() + "\n"


def about(report: Report) -> str:
    """What the report was made of, in a sentence or two."""
    runs = sum(len(run.parts) or 1 for table in report.tables for row in table.rows for run in row.runs)
    tests = sum(len(table.comparisons) for table in report.tables)
    scores = not all(table.classes for table in report.tables)
    start = f"Metrics in the conventions of {report.options.variant}; i" if scores else "I"
    return (
        f"{runs} runs, {len(report.results.unfinished)} unfinished. {start}ntervals and tests of "
        f"{report.options.bootstrap:,} bootstrap samples of items and seeds; {tests} tests, corrected within each "
        "table (Holm)."
    )


def absent(results: Results) -> list[str]:
    """Sentences about declared runs that were never begun: how many and which, the seeds of a row together."""
    said = [f"Which runs were declared is not known: {reason}." for reason in results.unclear]
    if results.missing:
        seeds: dict[str, list[str]] = {}
        for name in results.missing:
            row, _, seed = name.rpartition("/")
            seeds.setdefault(row, []).append(seed)
        names = [f"{row} ({', '.join(found)})" for row, found in seeds.items()]
        more = [f"and of {len(names) - NAMED} more rows"] if len(names) > NAMED else []
        verb = "is" if len(results.missing) == 1 else "are"
        said.append(
            f"{len(results.missing)} of {results.declared} declared runs {verb} missing: "
            f"{', '.join([*names[:NAMED], *more])}."
        )
    return said


def _left_out(results: Results) -> list[str]:
    lines: list[str] = []
    if results.unfinished:
        lines += ["", "## Unfinished runs", "", *(f"- {name}" for name in results.unfinished)]
    if results.failures:
        lines += [
            "",
            "## Failures",
            "",
            *markdown_table(["run", "error"], [[f["run"], f["error"]] for f in results.failures]),
        ]
    return lines


def _intervals(row: Row, report: Report) -> list[str]:
    def interval(metric: str) -> str:
        cell = row.cells.get(metric)
        return "–" if cell is None else f"{number(metric, cell.estimate.low)} to {number(metric, cell.estimate.high)}"

    note = " (items only)" if len(row.runs) == 1 else ""
    return [row.name + note, *(interval(m) for m in report.metrics)]


def _best(row: Row, metric: str) -> float | None:
    return row.cells[metric].best if metric in row.cells else None


def markdown_table(header: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table; all columns but the first are set to the right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *body]
    return ["| " + " | ".join(_cell(c) for c in line) + " |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def render_csv(report: Report) -> str:
    """Every number of the tables, a line for each row and metric."""
    lines = [
        ["data", "row", "model", "metric", "seeds", "mean", "sd", "low", "high", "best", "items", "values", "marks"]
    ]
    for table in report.tables:
        for row in table.rows:
            lines += [
                [
                    table.data, row.name, row.models, m, str(len(row.runs)), repr(c.estimate.value),
                    "" if c.sd is None else repr(c.sd), repr(c.estimate.low), repr(c.estimate.high), repr(c.best),
                    str(len(table.ids)), " ".join(f"{r.seed}:{v!r}" for r, v in zip(row.runs, c.values)),
                    "; ".join([*marks(row), *(f"protocol: {said}" for said in table.protocols)]),
                ]
                for m, c in row.cells.items()
            ]  # fmt: skip
        lines += [
            [
                table.data,
                table.constant,
                "",
                m,
                "",
                repr(float(table.floor[m])),
                *[""] * 4,
                str(len(table.ids)),
                "",
                "floor",
            ]
            for m in report.metrics
            if m in table.floor
        ]
    return _csv(lines)


def render_comparisons(report: Report) -> str:
    """Every test, a line each."""
    lines = [
        "data,first,second,metric,items,seeds_first,seeds_second,seeds_paired,difference,low,high,p_bootstrap,"
        "only_first_right,only_second_right,p_mcnemar,p,p_holm,family,status".split(",")
    ]
    for table in report.tables:
        for c in table.comparisons:
            e = c.estimate
            numbers = [e.value, e.low, e.high, e.p, c.only_first, c.only_second, c.p_mcnemar, c.p, c.p_holm]
            lines.append(
                [
                    table.data, c.first, c.second, c.metric, str(len(table.ids)), *map(str, c.seeds),
                    str(e.paired).lower(), *("" if v is None else repr(v) for v in numbers), str(c.family), c.status,
                ]
            )  # fmt: skip
    return _csv(lines)


def _csv(lines: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
