"""What a report says of finished runs: folds of unlike rows put together, curves, tests, sentences, files."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from modashift.errors import ModashiftError
from modashift.evaluate.classification import class_metrics
from modashift.evaluate.metrics import regression_metrics
from modashift.evaluate.results import Results, Run, Scores
from modashift.layers import study as study_module
from modashift.layers.curves import Weights
from modashift.layers.plan import ALL, Cell, Part, cells, combination
from modashift.layers.render import write_study
from modashift.layers.study import study

SEEDS = (1, 2, 3)
PARTS = (Part("acoustic", (0, 1, 2), "voice-net"),)
NOISE = {"acoustic-00": 0.9, "acoustic-01": 0.3, "acoustic-02": 0.8, "acoustic-weighted-a0to2": 0.5}


def run_of(row, seed, noise, fold=None, n=90, classes=(), folds=3):
    """A run whose predictions are the gold scores with noise; of a fold, on its third of the test items."""
    rng = np.random.default_rng([seed, fold or 0, sum(map(ord, row))])
    scores, splits = {}, {}
    for split, size in (("train", 40), ("dev", 30), ("test", n)):
        common = np.random.default_rng([len(split), size])
        if classes:
            gold = common.integers(len(classes), size=size).astype(np.float64)
        else:
            gold = common.normal(size=size).round(2)
        ids = [f"{split}{i:03d}" for i in range(size)]
        if fold and split == "test":
            own = np.arange(size) % folds == fold - 1
            ids, gold = [i for i, here in zip(ids, own) if here], gold[own]
        if classes:
            wrong = rng.random(len(gold)) < noise / 2
            said = np.where(wrong, (gold + 1) % len(classes), gold)
            chances = np.full((len(gold), len(classes)), 0.1)
            chances[np.arange(len(gold)), said.astype(int)] = 0.8
            splits[split] = class_metrics(gold, said, len(classes))
            scores[split] = Scores(tuple(ids), gold, said, chances)
        else:
            said = gold + noise * rng.normal(size=len(gold))
            splits[split] = regression_metrics(gold, said)
            scores[split] = Scores(tuple(ids), gold, said)
    results = {"model": "gated-encoders", "data": "made", "splits": splits}
    if classes:
        results["classes"] = list(classes)
    config = {"folds": folds, "fold": fold} if fold else {}
    return Run(
        path=Path("nowhere") / row / str(seed) / f"fold{fold}",
        row=row,
        data="made",
        seed=seed,
        model="gated-encoders",
        results=results,
        config=config,
        epochs=(),
        seconds=(),
        scores=scores,
    )


def results_of(noise=NOISE, folds=(None,), **options):
    runs = [run_of(row, s, level, k, **options) for row, level in noise.items() for s in SEEDS for k in folds]
    return Results("made", runs)


def made(chosen, results, parts=PARTS, rows=None, metrics=("mae", "corr"), **options):
    rows = rows or cells(parts, together=False, weighted=True)
    return study("Layers", results, parts, rows, chosen, SEEDS, metrics, samples=400, **options)


@pytest.fixture(scope="module")
def plain():
    return made({"acoustic": {0: 1}}, results_of())


def test_the_table_has_output_best_and_weighted(plain):
    assert [(line.policy, line.layers) for line in plain.lines] == [
        ("output layer", "2"),
        ("mid-best", "1"),
        ("weighted", "3 layers"),
    ]
    by_hand = [
        run.results["splits"]["test"]["mae"] for s in SEEDS for run in [run_of("acoustic-01", s, NOISE["acoustic-01"])]
    ]
    cell = plain.lines[1].row.cells["mae"]
    assert cell.values == pytest.approx(by_hand)
    assert cell.sd == pytest.approx(np.std(by_hand, ddof=1))
    assert cell.estimate.low < cell.estimate.value < cell.estimate.high


def test_the_claim_is_tested_by_itself(plain):
    families = {(c.first, c.second): c.family for c in plain.table.comparisons}
    assert families == {
        ("acoustic mid-best", "acoustic output layer"): 2,
        ("acoustic weighted", "acoustic output layer"): 2,
    }
    finding = plain.findings[0]
    assert finding.status == "better (established)"
    assert finding.choice == "Layer chosen on dev: 1; output: 2."
    assert finding.sentences[0].startswith("acoustic mid-best has a lower MAE than acoustic output layer by 0.")
    assert plain.others[0].startswith("acoustic weighted has a lower MAE than acoustic output layer")


def test_a_worse_choice_is_called_worse():
    found = made({"acoustic": {0: 0}}, results_of(NOISE | {"acoustic-00": 1.6}))
    assert found.findings[0].status == "worse (established)"
    close = made({"acoustic": {0: 0}}, results_of(NOISE | {"acoustic-00": 0.8}))
    assert close.findings[0].status == "not established"
    assert close.findings[0].sentences[0].startswith("No difference between acoustic mid-best and acoustic output")


def test_the_output_layer_is_not_compared_with_itself():
    found = made({"acoustic": {0: 2}}, results_of())
    assert found.findings[0].status == "nothing to compare"
    assert {(c.first, c.second) for c in found.table.comparisons} == {("acoustic weighted", "acoustic output layer")}


def test_curves_are_of_each_split_by_itself(plain):
    curve = plain.curves[0]
    assert curve.layers == (0, 1, 2)
    for split, points in (("test", curve.test), ("dev", curve.dev)):
        runs = [run_of("acoustic-00", s, NOISE["acoustic-00"]) for s in SEEDS]
        expected = np.mean([run.results["splits"][split]["mae"] for run in runs])
        assert points["mae"][0].mean == pytest.approx(expected)
        assert all(p.low < p.mean < p.high for p in points["mae"])


def test_each_fold_takes_the_runs_of_the_layer_chosen_there():
    chosen = {"acoustic": {1: 1, 2: 0, 3: 2}}
    found = made(chosen, results_of(folds=(1, 2, 3)))
    line = found.lines[1]
    assert line.layers == "1, 0, 2 by fold"
    assert len(line.row.prediction) == 90
    for run in line.row.runs:
        assert [part.row for part in run.parts] == ["acoustic-01+acoustic-00+acoustic-02"] * 3
        scores = run.scores["test"]
        for fold, layer in chosen["acoustic"].items():
            part = run_of(f"acoustic-0{layer}", run.seed, NOISE[f"acoustic-0{layer}"], fold)
            own = dict(zip(part.scores["test"].ids, part.scores["test"].prediction))
            assert own == {i: p for i, p in zip(scores.ids, scores.prediction) if i in own}
    assert "In 1 of 3 folds dev chose the output itself." in found.findings[0].choice
    dev = found.curves[0].dev["mae"][0]
    values = [
        np.mean([run_of("acoustic-00", s, 0.9, k).results["splits"]["dev"]["mae"] for s in SEEDS]) for k in (1, 2, 3)
    ]
    assert dev.mean == pytest.approx(np.mean(values))
    assert dev.high - dev.mean == pytest.approx(4.302653 * np.std(values, ddof=1) / 3**0.5, rel=1e-5)


def test_classes_have_recalls_and_the_choosing_metric_first():
    results = results_of(classes=("a", "b", "c"))
    found = made({"acoustic": {0: 1}}, results, metrics=("wa", "ua"))
    assert found.report.metrics == ("wa", "ua")
    assert found.table.constant == "majority class"
    assert found.findings[0].status == "better (established)"
    assert "right alone on" in found.findings[0].sentences[0]


def test_all_together_is_of_the_layers_chosen_for_each():
    parts = (Part("linguistic", (0, 1), "text-net"), *PARTS)
    rows = cells(parts, together=True, weighted=False)
    best = combination(parts, {"linguistic": 0, "acoustic": 1})
    conventional = Cell("covarep-acoustic", "acoustic", "conventional", source="covarep")
    rows = [*rows, best, conventional]
    noise = {cell.row: 0.5 for cell in rows} | {best.row: 0.2}
    found = made({"linguistic": {0: 0}, "acoustic": {0: 1}}, results_of(noise), parts, rows)
    lines = {(line.modality, line.policy): line.layers for line in found.lines}
    assert lines[ALL, "mid-best"] == "linguistic 0, acoustic 1"
    assert lines[ALL, "output layer"] == "linguistic 1, acoustic 2"
    assert lines["acoustic", "covarep"] == ""
    assert found.findings[2].status == "better (established)"
    # The curve is of the same layer everywhere; combinations of unlike layers are not in it.
    assert {c.modality: c.layers for c in found.curves} == {"linguistic": (0, 1), "acoustic": (0, 1, 2), ALL: (0, 1)}
    tested = {(c.first, c.second) for c in found.table.comparisons}
    assert ("acoustic mid-best", "acoustic covarep") in tested


def test_other_rows_seeds_and_folds_are_left_out(plain):
    more = results_of(NOISE | {"all-a07": 0.1}).runs
    again = made({"acoustic": {0: 1}}, Results("made", [*more, run_of("acoustic-01", 99, 5.0)]))
    assert again.lines[1].row.cells["mae"].values == plain.lines[1].row.cells["mae"].values
    with pytest.raises(ModashiftError, match="the run acoustic-02 with seed 2 is not finished"):
        made(
            {"acoustic": {0: 1}},
            Results("made", [run for run in more if (run.row, run.seed) != ("acoustic-02", 2)]),
        )


def test_what_was_tested_on_other_items_is_not_compared():
    runs = [run_of(r, s, n, n=60 if r == "acoustic-00" else 90) for r, n in NOISE.items() for s in SEEDS]
    with pytest.raises(ModashiftError, match=r"acoustic-00.* was not tested on the same utterances"):
        made({"acoustic": {0: 1}}, Results("made", runs))


def test_files_say_it_in_every_form(plain, tmp_path, monkeypatch):
    learned = np.array([[0.2, 0.5, 0.3], [0.1, 0.6, 0.3]])
    weights = [Weights("acoustic", False, (0, 1, 2), learned), Weights("acoustic", True, (0, 1, 2), learned[:, ::-1])]
    monkeypatch.setattr(study_module, "weights_of", lambda *_: weights)
    found = made({"acoustic": {0: 1}}, results_of(), notes=("<b>Mind</b> this.",))
    page = write_study(found, tmp_path)
    html, text = page.read_text(), (tmp_path / "report.md").read_text()
    for said in ("better (established)", "weighted", "voice-net", "The test split had no part in any choice"):
        assert said in html
        assert said in text
    assert "&lt;b&gt;Mind&lt;/b&gt; this." in html
    assert "<script" not in html
    assert html.count('<img src="data:image/png;base64,') == 2
    assert html.count('alt="') == 2
    assert "acoustic mid-best" in (tmp_path / "report.tex").read_text()
    lines = list(csv.DictReader(io.StringIO((tmp_path / "layers.csv").read_text())))
    assert len(lines) == 2 * 2 * 3 + 2 * 3
    best = next(r for r in lines if (r["layer"], r["what"], r["split"]) == ("1", "mae", "test"))
    assert float(best["mean"]) == pytest.approx(found.lines[1].row.cells["mae"].estimate.value)
    assert {r["mean"] for r in lines if r["what"] == "weight" and r["layer"] == "1"} == {"0.55"}
    table = list(csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text())))
    assert {r["row"] for r in table} >= {"acoustic mid-best", "acoustic output layer", "train mean"}
    assert len(list(csv.DictReader(io.StringIO((tmp_path / "tests.csv").read_text())))) == 4
    for name in ("layers-acoustic", "weights"):
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 10_000
        assert "<svg" in (tmp_path / "figures" / f"{name}.svg").read_text()
    before = {p.name: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    write_study(found, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_weights_that_were_deleted_are_missed(plain):
    assert plain.weights == ()
    assert plain.notes == (
        "The weights of the models were deleted, so the learned weights of the layers are not known.",
    )
