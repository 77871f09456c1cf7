"""A report's tables as LaTeX."""

import re

from modashift.report.build import Report, Row, Table
from modashift.report.names import LABELS, better_is_lower, number
from modashift.report.render_text import mean_and_spread

__all__ = ["render_latex"]


def render_latex(report: Report) -> str:
    """The tables with booktabs' rules, one ``table`` for each data set; accuracy and F1 has0/non0 in one column."""
    columns: list[tuple[str, ...]] = []
    for metric in report.metrics:
        pair = metric.removesuffix("_non0") + "_has0"
        if metric.endswith("_non0") and columns and columns[-1] == (pair,):
            columns[-1] = (pair, metric)
        else:
            columns.append((metric,))
    out = ["% \\usepackage{booktabs}"]
    for table in report.tables:
        head = " & ".join(_latex_heading(c) for c in columns)
        out += [
            "\\begin{table}[t]",
            "\\centering",
            f"\\caption{{{_latex(report.title)}: {_latex(table.data)}, {len(table.ids)} items. "
            f"Mean $\\pm$ sample standard deviation over seeds.{_latex(_protocol(table))}}}",
            f"\\begin{{tabular}}{{lr{'c' * len(columns)}}}",
            "\\toprule",
            f"Model & Seeds & {head} \\\\",
            "\\midrule",
        ]
        for row in table.rows:
            mark = "$^{\\dagger}$" if row.few_seeds else ""
            mark += "$^{\\ddagger}$" if row.floor_missed else ""
            cells = " & ".join(" / ".join(_latex_cell(row, m) for m in c) for c in columns)
            out.append(f"{_latex(row.name)}{mark} & {len(row.runs)} & {cells} \\\\")
        floor = " & ".join(" / ".join(number(m, table.floor.get(m)).replace("–", "--") for m in c) for c in columns)
        out += ["\\midrule", f"{table.constant.capitalize()} & -- & {floor} \\\\", "\\bottomrule", "\\end{tabular}"]
        if any(row.few_seeds for row in table.rows):
            out.append("\\\\ {\\footnotesize $^{\\dagger}$ fewer than three seeds}")
        if any(row.floor_missed for row in table.rows):
            out.append(f"\\\\ {{\\footnotesize $^{{\\ddagger}}$ a run never beat the {table.constant} on dev}}")
        out += ["\\end{table}", ""]
    return "\n".join(out).rstrip() + "\n"


def _protocol(table: Table) -> str:
    return "".join(f" Protocol: {said}." for said in table.protocols)


def _latex_heading(metrics: tuple[str, ...]) -> str:
    arrow = "$\\downarrow$" if better_is_lower(metrics[0]) else "$\\uparrow$"
    label = LABELS[metrics[0]] if len(metrics) == 1 else LABELS[metrics[0]].split()[0] + " (has0/non0)"
    return f"{label} {arrow}"


def _latex_cell(row: Row, metric: str) -> str:
    return mean_and_spread(row, metric, "$\\pm$").replace("–", "--")


def _latex(text: str) -> str:
    special = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    return re.sub(r"[\\~^&%$#_{}]", lambda m: special.get(m[0], "\\" + m[0]), text)
