"""``modashift features [SET]``: the feature sets and encoders, and the columns of a set."""

import json
import sys

from modashift.extract.sets import FeatureSet, feature_sets, get_set

__all__ = ["columns_table", "features", "sets_table"]


def features(argv: list[str]) -> None:
    """``modashift features [SET]``, ``modashift features --encoders``.

    Raises:
        DataError: there is no such set.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="modashift features",
        description="Sets of features that can be extracted, and encoders; with SET, its columns and units.",
    )
    parser.add_argument("set", nargs="?", type=str, help="name of a set; all sets without it")
    for name, text in (
        ("--json", "as JSON instead of a table: the sets, or with --encoders those"),
        ("--encoders", "the encoders alone"),
    ):
        parser.add_argument(name, type=bool, nargs="?", const=True, default=False, help=text)
    config = parser.parse_args(argv)
    from modashift.encoders.listing import encoders_json, encoders_table

    if config.encoders:
        text = json.dumps(encoders_json(), indent=1, ensure_ascii=False) + "\n" if config.json else encoders_table()
        sys.stdout.write(text)
        return
    shown = list(feature_sets().values()) if config.set is None else [get_set(config.set)]
    if config.json:
        sys.stdout.write(json.dumps([_as_json(each) for each in shown], indent=1, ensure_ascii=False) + "\n")
    else:
        whole = f"{sets_table(shown)}\n{encoders_table()}"
        sys.stdout.write(whole if config.set is None else columns_table(shown[0]))


def sets_table(sets: list[FeatureSet]) -> str:
    """Name, modality, number of columns, rate, source and needs of feature sets, a block each."""
    lines = []
    for each in sets:
        lines += [
            f"{each.name}: {each.modality}, {len(each.columns)} columns, {each.rate:g} a second",
            f"  {each.source}",
        ]
        if each.needs:
            lines.append(f"  needs {each.needs}")
    return "\n".join([*lines, "", "modashift features SET lists the columns of one", ""])


def columns_table(each: FeatureSet) -> str:
    """Columns of a feature set with number, name, unit and meaning, a line each."""
    names = max(len(column.name) for column in each.columns)
    units = max(len(column.unit) for column in each.columns)
    lines = [sets_table([each]).splitlines()[0]]
    lines += [
        f"{number:>3}  {column.name:<{names}}  {column.unit:<{units}}  {column.meaning}"
        for number, column in enumerate(each.columns)
    ]
    return "\n".join(lines) + "\n"


def _as_json(each: FeatureSet) -> dict[str, object]:
    return {
        "name": each.name,
        "modality": each.modality,
        "rate": each.rate,
        "source": each.source,
        "needs": each.needs,
        "columns": [column._asdict() for column in each.columns],
    }
