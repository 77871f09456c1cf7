"""Results of classification for people: metrics by split, the majority floor, and the classes of one split."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modashift.evaluate.classification import CLASS_METRICS

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["HEADINGS", "class_results", "most_confused"]

HEADINGS: Mapping[str, str] = {
    "wa": "WA",
    "ua": "UA",
    "f1_weighted": "F1 weighted",
    "f1_macro": "F1 macro",
    "legacy_precision_weighted": "legacy WP",
    "legacy_precision_macro": "legacy MP",
}
NAMED = 3  # confusions that are named


def class_results(results: Mapping[str, Any]) -> "tuple[list[Table], list[str]]":
    """Tables of ``results.json`` or of `modashift evaluate`, and sentences below them.

    Args:
        results: with ``classes``, and by split the metrics as `modashift.evaluate.tasks.Classes.results` gives them.
    """
    from rich.table import Table

    table = Table(title=f"{results['model']} on {results['data']}", title_justify="left")
    floors = any("floor" in m for m in results["splits"].values())
    for column in ("split", "n", *(HEADINGS[m] for m in CLASS_METRICS), *(["floor WA/UA"] if floors else [])):
        table.add_column(column, justify="left" if column == "split" else "right")
    for split, m in results["splits"].items():
        floor = [f"{100 * m['floor']['wa']:.2f}/{100 * m['floor']['ua']:.2f}"] if floors else []
        table.add_row(split, str(m["n"]), *(f"{100 * m[k]:.2f}" for k in CLASS_METRICS), *floor)
    last = next(s for s in ("test", "dev", "train") if s in results["splits"])
    found = results["splits"][last]
    each = Table(title=f"Classes of the {last} split", title_justify="left")
    for column in ("class", "n", "recall", "precision", "F1"):
        each.add_column(column, justify="left" if column == "class" else "right")
    for name, c in found["classes"].items():
        recall = f"{100 * c['recall']:.2f}" if "recall" in c else "–"
        each.add_row(name, str(c["support"]), recall, f"{100 * c['precision']:.2f}", f"{100 * c['f1']:.2f}")
    said = [f"protocol: {results['protocol']}"] if "protocol" in results else []
    if confused := most_confused(found["confusion"], results["classes"]):
        said.append(f"most often confused in the {last} split: {confused}")
    legacy = found["legacy"]
    said.append(
        "weighted and macro precision, which some papers print as WA and UA: "
        f"{100 * legacy['legacy_precision_weighted']:.2f}/{100 * legacy['legacy_precision_macro']:.2f}"
    )
    if "absent" in found:
        said.append(f"left out of UA, since nobody in the {last} split is of it: {', '.join(found['absent'])}")
    if floors:
        said.append("floor: predicting the majority class of the training split for everybody")
    return [table, each], said


def most_confused(matrix: list[list[int]], names: list[str]) -> str:
    """The commonest mistakes, as ``sad for neutral (12)``: predicted class for gold class, and how often."""
    wrong = [(n, p, g) for g, row in enumerate(matrix) for p, n in enumerate(row) if p != g and n]
    wrong.sort(key=lambda entry: (-entry[0], entry[2], entry[1]))
    return ", ".join(f"{names[p]} for {names[g]} ({n})" for n, p, g in wrong[:NAMED])
