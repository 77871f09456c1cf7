"""Reports on classes and on cross-validations, from run folders with made-up predictions."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from modashift.errors import DataError, ModashiftError
from modashift.evaluate.classification import class_metrics
from modashift.evaluate.results import read_results
from modashift.evaluate.statistics import mcnemar
from modashift.evaluate.tasks import Classes
from modashift.report.build import Options, build
from modashift.report.classes import sections
from modashift.report.cli import write_report
from modashift.report.render_text import marks

NAMES = ("angry", "happy", "sad", "neutral")
SHARES = (0.2, 0.3, 0.2, 0.3)
PROTOCOL = "4 classes; actors3: three parts of speakers"
QUICK = Options(bootstrap=300, texts=False)


def make_run(folder: Path, model: str, seed: int, right: float, fold: int | None = None, n: int = 60, folds: int = 3):
    """A run whose predictions are right with a probability; items differ from fold to fold."""
    task = Classes(NAMES)
    folder.mkdir(parents=True)
    config = {"name": model, "data": "no/such.store", "seed": seed, "model": {}}
    if fold is not None:
        config |= {"protocol": f"actors{folds}", "fold": fold}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps({"epoch": e, "train_ce": 1.5 / e, "dev_ce": 1.4 / e, "dev_ua": 0.3}) + "\n" for e in (1, 2))
    )
    (folder / "timing.jsonl").write_text('{"epoch": 1, "seconds": 3}\n')
    results = {"model": model, "parameters": 1000, "data": "acted", "seed": seed, "select": "dev ce"}
    results |= {"classes": list(NAMES), "protocol": PROTOCOL, "best_epoch": 2, "epochs": 2, "splits": {}}
    of_items, own = np.random.default_rng([7, fold or 0]), np.random.default_rng([seed, fold or 0, len(model)])
    rows = []
    train = np.repeat(np.arange(4.0), [10, 12, 10, 11])  # happy is the majority
    for split, gold in (("train", train), ("dev", train), ("test", of_items.choice(4, n, p=SHARES).astype(float))):
        chances = own.dirichlet(np.ones(4), len(gold))
        hit = own.random(len(gold)) < right
        chances[hit] = 0.1
        chances[hit, gold[hit].astype(int)] = 0.7
        ids = [f"{split}{fold or 0}_{k}" for k in range(len(gold))]
        rows += task.lines(ids, gold, chances, split)
        results["splits"][split] = {"n": len(gold), **task.results(gold, chances), "floor": task.floor(train, gold)}
    with (folder / "predictions.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([task.header(), *rows])
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def make_experiment(root: Path, rows, seeds=(1, 2, 3), folds=3, without=()):
    root.mkdir(parents=True)
    data = {"acted": {"data": "no/such.store", **({"protocol": f"actors{folds}", "fold": "all"} if folds else {})}}
    declaration = {
        "title": "Acted",
        "data": data,
        "seeds": list(seeds),
        "rows": {r: {"model": m} for r, (m, _) in rows.items()},
    }
    (root / "experiment.yaml").write_text(yaml.safe_dump(declaration, sort_keys=False))
    for row, (model, right) in rows.items():
        for seed in seeds:
            for fold in range(1, folds + 1) if folds else (None,):
                name = f"{row}/acted/{seed}" + (f"/fold{fold}" if fold else "")
                if name not in without:
                    make_run(root / "runs" / name, model, seed, right, fold, folds=folds)
    return root


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    rows = {"bert": ("bert", 0.0), "voice": ("cmsbert", 0.6), "clr": ("cmsbert-clr", 0.65)}
    return make_experiment(tmp_path_factory.mktemp("acted") / "exp", rows)


def test_test_parts_are_pooled_within_a_seed(folded):
    results = read_results([folded])
    assert list(results.missing) == []
    assert results.declared == 27
    assert [(r.row, r.seed, len(r.parts)) for r in results.runs] == [
        (row, seed, 3) for row in ("bert", "voice", "clr") for seed in (1, 2, 3)
    ]
    run = results.runs[4]
    assert list(run.scores) == ["test"]
    assert len(run.scores["test"].ids) == 180
    assert list(run.scores["test"].ids) == sorted(run.scores["test"].ids)
    by_id = {}
    for part in run.parts:
        own = part.scores["test"]
        by_id |= {i: (g, p, tuple(c)) for i, g, p, c in zip(own.ids, own.gold, own.prediction, own.probabilities)}
    for k, i in enumerate(run.scores["test"].ids):
        whole = run.scores["test"]
        assert by_id[i] == (whole.gold[k], whole.prediction[k], tuple(whole.probabilities[k]))
    assert run.beat_floor is True  # 0.7 is below ln 4
    assert run.parts[1].fold == 2
    assert run.folds == 3


def test_an_item_tested_twice_is_refused(tmp_path):
    make_run(tmp_path / "a", "bert", 1, 0.5, 1)
    folder = make_run(tmp_path / "b", "bert", 1, 0.5, 1)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "fold": 2}))
    with pytest.raises(DataError, match="test1_0 is tested in more than one fold"):
        read_results([tmp_path])


def test_cells_tests_and_floor(folded):
    table = build(read_results([folded]), QUICK).tables[0]
    assert table.classes == NAMES
    assert table.protocols == (PROTOCOL,)
    bert, voice, _ = table.rows
    for k, run in enumerate(voice.runs):
        whole = run.scores["test"]
        expected = class_metrics(whole.gold, whole.prediction, 4)
        for metric in ("wa", "ua", "f1_weighted", "f1_macro", "legacy_precision_macro"):
            assert voice.cells[metric].values[k] == pytest.approx(expected[metric])
    cell = voice.cells["ua"]
    assert cell.estimate.value == pytest.approx(np.mean(cell.values))
    assert cell.estimate.low < cell.estimate.value < cell.estimate.high
    majority = class_metrics(table.gold, np.full(len(table.gold), 1), 4)
    assert table.floor == pytest.approx(majority)
    assert table.floor["ua"] == 0.25
    means = np.mean([run.scores["test"].probabilities for run in voice.runs], axis=0)
    np.testing.assert_array_equal(voice.prediction, means.argmax(1))

    tests = {(c.first, c.second, c.metric): c for c in table.comparisons}
    assert len(tests) == 3 * 4
    assert {c.family for c in table.comparisons} == {12}
    c = tests["bert", "voice", "wa"]
    a, b = bert.prediction == table.gold, voice.prediction == table.gold
    assert (c.only_first, c.only_second) == (np.sum(a & ~b), np.sum(b & ~a))
    assert c.p_mcnemar == pytest.approx(mcnemar(c.only_first, c.only_second))
    assert c.p == max(c.p_mcnemar, c.estimate.p)
    assert tests["bert", "voice", "ua"].only_first is None
    assert all(tests["bert", "voice", m].status == "established" for m in ("wa", "ua", "f1_macro"))
    assert tests["bert", "voice", "ua"].better == "voice"
    assert "Text-only control: bert." in table.control


def test_small_tables_by_fold_and_class(folded):
    table = build(read_results([folded]), QUICK).tables[0]
    by_fold, recall, legacy = sections(table, QUICK)
    voice = table.rows[1]
    each = [  # (seed, fold)
        [class_metrics(p.scores["test"].gold, p.scores["test"].prediction, 4)["ua"] for p in run.parts]
        for run in voice.runs
    ]
    values = 100 * np.mean(each, axis=0)
    assert by_fold.header == ("", "folds", "WA", "UA", "F1 weighted", "F1 macro")
    assert by_fold.body[1][:2] == ("voice", "3")
    assert by_fold.body[1][3] == f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    assert recall.header == ("", *NAMES)
    assert recall.body[0] == ("items", *(str(int((table.gold == k).sum())) for k in range(4)))
    found = np.mean(
        [[np.mean(r.scores["test"].prediction[table.gold == k] == k) for k in range(4)] for r in voice.runs], 0
    )
    assert recall.body[2] == ("voice", *(f"{100 * v:.2f}" for v in found))
    assert legacy.body[1][1] == f"{100 * voice.cells['legacy_precision_weighted'].estimate.value:.2f}"


def test_every_form_of_the_report(folded, tmp_path):
    page = write_report([folded], tmp_path / "report", QUICK)
    html, text = page.read_text(), (tmp_path / "report" / "report.md").read_text()
    for form in (html, text):
        assert PROTOCOL in form
        assert "ajority class" in form
        assert "train mean" not in form
        assert "By fold" in form
        assert "Recall of each class" in form
    assert "27 runs, 0 unfinished. Intervals and tests" in text
    assert PROTOCOL in (tmp_path / "report" / "table.tex").read_text()
    drawn = sorted(p.name for p in (tmp_path / "report" / "figures").glob("*.png"))
    assert drawn == ["acted-confusion.png", "acted-overview.png"]  # folds have a learning curve each: none is drawn
    with (tmp_path / "report" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {r["metric"] for r in rows if r["row"] == "voice"} == {
        *("wa", "ua", "f1_weighted", "f1_macro", "legacy_precision_weighted", "legacy_precision_macro")
    }
    assert all(PROTOCOL in r["marks"] for r in rows if r["row"] == "voice")
    table = build(read_results([folded]), QUICK).tables[0]
    worst = table.worst_in_words(table.rows[1], 3)
    k = [table.ids.index(i) for i, *_ in worst]
    own = table.rows[1].probabilities[np.arange(len(table.gold)), table.gold.astype(int)]
    assert own[k].tolist() == sorted(own)[:3]
    assert worst[0][2] == f"{NAMES[int(table.gold[k[0]])]} ({100 * own[k[0]]:.0f} %)"
    assert worst[0][2] in text


def test_runs_without_folds_have_learning_curves(tmp_path):
    make_experiment(tmp_path / "exp", {"bert": ("bert", 0.2), "voice": ("cmsbert", 0.6)}, folds=0)
    write_report([tmp_path / "exp"], tmp_path / "report", QUICK)
    drawn = sorted(p.name for p in (tmp_path / "report" / "figures").glob("*.png"))
    assert drawn == ["acted-confusion.png", "acted-learning.png", "acted-overview.png"]
    table = build(read_results([tmp_path / "exp"]), QUICK).tables[0]
    assert [s.title for s in sections(table, QUICK)] == ["Recall of each class", "Precisions"]
    assert "Least cross-entropy on dev of any seed: bert 0.700" in (tmp_path / "report" / "report.md").read_text()


def test_missing_folds_are_said(tmp_path):
    without = [f"bert/acted/{seed}/fold3" for seed in (1, 2, 3)]
    root = make_experiment(tmp_path / "exp", {"bert": ("bert", 0.2)}, without=without)
    results = read_results([root])
    assert list(results.missing) == without
    row = build(results, QUICK).tables[0].rows[0]
    assert "2 of 3 folds" in marks(row)


def test_metrics_of_the_other_task_are_refused(folded):
    with pytest.raises(ModashiftError, match="no metric mae of classes; there are wa, ua"):
        build(read_results([folded]), Options(metrics=("mae",), bootstrap=100, texts=False))
    found = build(read_results([folded]), Options(metrics=("ua", "legacy_precision_macro"), bootstrap=100, texts=False))
    assert found.metrics == ("ua", "legacy_precision_macro")


def test_damaged_predictions_are_named(tmp_path):
    folder = make_run(tmp_path / "a", "bert", 1, 0.5)
    path = folder / "predictions.csv"
    path.write_text(path.read_text().replace("angry,", "furious,", 1).replace("test0_0,", "test0_0,odd", 1))
    with pytest.raises(DataError, match="damaged"):
        read_results([tmp_path])
