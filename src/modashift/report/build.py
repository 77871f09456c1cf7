"""From runs to a report: every number of it, in memory; how it looks is decided elsewhere."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modashift.errors import ModashiftError
from modashift.evaluate.classification import LEGACY
from modashift.evaluate.metrics import VARIANTS, Variant
from modashift.evaluate.results import Results, Run
from modashift.evaluate.statistics import Bootstrap, Estimate
from modashift.report.classes import worst_classes
from modashift.report.compare import ENOUGH_SEEDS, Comparison, compare, sentences
from modashift.report.names import CLASSES_SHOWN, SHOWN, TESTED, TEXT_ONLY, better_is_lower
from modashift.report.published import Published, System, published_for, system_of
from modashift.report.run_facts import constant_floor, data_in_words, selection
from modashift.report.texts import Texts, find_texts

__all__ = ["Cell", "Options", "Report", "Row", "Table", "build"]


@dataclass(frozen=True)
class Options:
    """What to report.

    Attributes:
        split: to measure on.
        metrics: to show and to test; the usual ones where not given.
        variant: metric conventions, as of `regression_metrics`.
        bootstrap: samples.
        against: compare with this row only.
        planned: pairs of rows to compare, in families that are corrected each by itself; all pairs where not given.
        texts: look for the words of the utterances.
        timing: show seconds an epoch, the one thing in a report that equal runs do not share.
    """

    split: str = "test"
    metrics: tuple[str, ...] = ()
    variant: Variant = "mmsa"
    bootstrap: int = 10_000
    against: str | None = None
    planned: tuple[tuple[tuple[str, str], ...], ...] | None = None
    texts: bool = True
    timing: bool = True


@dataclass(frozen=True)
class Cell:
    """A metric of a row: by seed, mean with interval, sample standard deviation (None for one run), best."""

    values: tuple[float, ...]
    estimate: Estimate
    sd: float | None
    best: float


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        name: of the row.
        runs: by seed.
        cells: by metric.
        prediction: (n,) means over the runs; of classes, the number of the class with the largest mean probability.
        probabilities: (n, C) means over the runs, where classes are predicted.
        seconds: median over epochs and runs; None where not recorded or not wanted.
        floor_missed: seeds whose dev error was never below that of the train mean.
        variant: which data, in words.
        selection: how the checkpoint was chosen, in words.
    """

    name: str
    runs: tuple[Run, ...]
    cells: Mapping[str, Cell]
    prediction: NDArray[np.float64]
    seconds: float | None
    floor_missed: tuple[int, ...]
    variant: str
    selection: str
    probabilities: NDArray[np.float64] | None = None

    @property
    def models(self) -> str:
        """Registered name of the model."""
        return ", ".join(dict.fromkeys(run.model for run in self.runs))

    @property
    def system(self) -> System:
        """What its results are results of."""
        return system_of(self.runs)

    @property
    def parameters(self) -> int | None:
        """Of the model."""
        found = self.runs[0].results.get("parameters")
        return None if found is None else int(found)

    @property
    def few_seeds(self) -> bool:
        """Whether there are fewer than three runs."""
        return len(self.runs) < ENOUGH_SEEDS

    @property
    def text_only(self) -> bool:
        """Whether the row sees words alone."""
        return all(run.model == TEXT_ONLY or run.config.get("features") == [] for run in self.runs)


@dataclass(frozen=True)
class Table:
    """Everything about the rows that were measured on the same items.

    Attributes:
        data: name of the data set.
        ids: (n,) of the items.
        gold: (n,) scores.
        rows: models.
        floor: metrics of predicting the train mean (the majority class) for everybody, as far as known.
        comparisons: of all pairs.
        sentences: what these say.
        published: numbers to stand beside.
        texts: of the items.
        classes: names of the classes; none for scores.
    """

    data: str
    ids: tuple[str, ...]
    gold: NDArray[np.float64]
    rows: tuple[Row, ...]
    floor: Mapping[str, float]
    comparisons: Sequence[Comparison]
    sentences: Sequence[str]
    published: Sequence[Published]
    texts: Texts = field(default_factory=Texts)
    classes: tuple[str, ...] = ()

    @property
    def constant(self) -> str:
        """What the floor predicts for everybody."""
        return "majority class" if self.classes else "train mean"

    @property
    def protocols(self) -> tuple[str, ...]:
        """How the splits came about, in words, as far as recorded; one where all runs agree."""
        return tuple(dict.fromkeys(run.protocol for row in self.rows for run in row.runs if run.protocol))

    @property
    def control(self) -> str:
        """What there is to say about a control by words alone."""
        names = [row.name for row in self.rows if row.text_only]
        if names:
            return f"Text-only control: {', '.join(names)}."
        return (
            "There is no text-only control among these runs (a row of the model `bert`): what the words alone would "
            "reach is not known."
        )

    def worst(self, row: Row, count: int = 10) -> list[tuple[str, str, float, float]]:
        """Items that a row's mean prediction misses by most: id, text, gold score, mean prediction."""
        order = np.lexsort((np.arange(len(self.ids)), -np.abs(row.prediction - self.gold)))[:count]
        return [
            (self.ids[k], self.texts.texts.get(self.ids[k], ""), float(self.gold[k]), float(row.prediction[k]))
            for k in order
        ]

    def worst_in_words(self, row: Row, count: int = 10) -> list[tuple[str, str, str, str]]:
        """The same as they are printed; of classes, the items whose own class is given the least probability."""
        if row.probabilities is None:
            return [(i, text, f"{gold:+.2f}", f"{p:+.2f}") for i, text, gold, p in self.worst(row, count)]
        return worst_classes(self, row, count)


@dataclass(frozen=True)
class Report:
    """All tables, and what they were made of.

    Attributes:
        title: of the experiment.
        options: what was asked for.
        metrics: that are shown.
        tables: one for each data set.
        results: all that was found, also what is in no table.
    """

    title: str
    options: Options
    metrics: tuple[str, ...]
    tables: tuple[Table, ...]
    results: Results


def build(results: Results, options: Options = Options()) -> Report:
    """Work out every number of a report.

    Raises:
        ModashiftError: no finished run, no run with the split, an unknown metric or variant, or an unknown row to
            compare with.
    """
    if not results.runs:
        raise ModashiftError(f"no finished run to report on; {len(results.unfinished)} unfinished")
    if options.variant not in VARIANTS:
        raise ModashiftError(f"variant {options.variant!r} is not one of {', '.join(VARIANTS)}")
    if options.bootstrap < 100:
        raise ModashiftError(f"an interval needs at least 100 bootstrap samples, got {options.bootstrap}")
    runs = [run for run in results.runs if options.split in run.scores]
    if not runs:
        there = sorted({split for run in results.runs for split in run.scores})
        raise ModashiftError(f"no run has predictions of the split {options.split!r}; they have {', '.join(there)}")
    tables = tuple(_table(data, found, options) for data, found in _grouped(runs, options.split).items())
    metrics = options.metrics or (*SHOWN, *CLASSES_SHOWN)
    shown = tuple(m for m in metrics if any(m in row.cells for table in tables for row in table.rows))
    return Report(results.title, options, shown, tables, results)


def _grouped(runs: Sequence[Run], split: str) -> dict[str, list[Run]]:
    """Runs by data set; those of one name but with other items or gold scores are another table."""
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        scores = run.scores[split]
        items = hashlib.sha256("\n".join((*scores.ids, *run.classes)).encode() + scores.gold.tobytes()).hexdigest()
        groups.setdefault(run.data, {}).setdefault(items, []).append(run)
    result = {}
    for data, sets in groups.items():
        for k, found in enumerate(sets.values(), 1):
            name = data if len(sets) == 1 else f"{data} (items {k} of {len(sets)})"
            result[name] = found
    return result


def _table(data: str, runs: Sequence[Run], options: Options) -> Table:
    classes = runs[0].classes
    wanted = options.metrics or (CLASSES_SHOWN if classes else SHOWN)
    by_row: dict[str, list[Run]] = {}
    for run in runs:
        by_row.setdefault(run.row, []).append(run)
    scores = runs[0].scores[options.split]
    predictions = {
        name: {run.seed: run.scores[options.split].prediction for run in found} for name, found in by_row.items()
    }
    bootstrap = Bootstrap(scores.gold, predictions, options.bootstrap, options.variant, classes=len(classes))
    unknown = [m for m in wanted if m not in bootstrap.metrics]
    if unknown and options.metrics:
        raise ModashiftError(
            f"no metric {', '.join(unknown)} {'of classes' if classes else f'in the variant {options.variant}'}; "
            f"{'there are' if classes else 'it has'} {', '.join(bootstrap.metrics)}"
        )
    shown = [m for m in wanted if m in bootstrap.metrics]
    legacy = [m for m in LEGACY if classes and m not in shown]
    rows = tuple(_row(name, found, bootstrap, [*shown, *legacy], options) for name, found in by_row.items())
    tested = [m for m in shown if options.metrics or m in (*TESTED, *CLASSES_SHOWN)]
    means = {row.name: row.prediction for row in rows}
    comparisons = compare(bootstrap, scores.gold, means, tested, options.variant, options.against, options.planned)
    names = f"{data} {runs[0].results.get('data', '')} {runs[0].config.get('data', '')}"
    return Table(
        data=data,
        ids=scores.ids,
        gold=scores.gold,
        rows=rows,
        floor=constant_floor(runs[0], options.split, options.variant),
        comparisons=comparisons,
        sentences=sentences(comparisons),
        published=published_for(names, {row.system for row in rows}),
        texts=find_texts(runs, options.split) if options.texts else Texts(missing="they were not looked for"),
        classes=classes,
    )


def _row(name: str, runs: Sequence[Run], bootstrap: Bootstrap, metrics: Sequence[str], options: Options) -> Row:
    cells = {}
    for metric in metrics:
        values = bootstrap.by_seed(name, metric)
        cells[metric] = Cell(
            values=tuple(float(v) for v in values),
            estimate=bootstrap.estimate(name, metric),
            sd=float(values.std(ddof=1)) if len(values) > 1 else None,
            best=float(values.min() if better_is_lower(metric) else values.max()),
        )
    scores = [run.scores[options.split] for run in runs]
    chances = [s.probabilities for s in scores if s.probabilities is not None]
    probabilities = np.mean(chances, axis=0) if len(chances) == len(scores) else None
    seconds = [s for run in runs for s in run.seconds]
    return Row(
        name=name,
        runs=tuple(runs),
        cells=cells,
        prediction=np.mean([s.prediction for s in scores], axis=0)
        if probabilities is None
        else probabilities.argmax(1).astype(np.float64),
        seconds=float(np.median(seconds)) if seconds and options.timing else None,
        floor_missed=tuple(run.seed for run in runs if run.beat_floor is False),
        variant=" or ".join(dict.fromkeys(data_in_words(run) for run in runs)),
        selection=" or ".join(dict.fromkeys(selection(run) for run in runs)),
        probabilities=probabilities,
    )
