"""The numbers of a report."""

import inspect
import shutil
from importlib import resources

import numpy as np
import pytest
import yaml

from made_runs import SPLITS, make_experiment, make_run, make_texts
from modashift.errors import ModashiftError
from modashift.evaluate.metrics import regression_metrics
from modashift.evaluate.results import Results, read_results
from modashift.evaluate.statistics import holm, mcnemar
from modashift.models import MODELS, get_model
from modashift.report.build import Options, build
from modashift.report.published import System, published_for, system_of
from modashift.report.render_html import render_html
from modashift.report.render_text import absent, facts, render_markdown

ROWS = {"bert": ("bert", 1.3), "cmsbert": ("cmsbert", 0.7), "clr, no EMA": ("cmsbert-clr", 0.69)}
QUICK = Options(bootstrap=300)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_results([make_experiment(tmp_path_factory.mktemp("e"), ROWS)])


@pytest.fixture(scope="module")
def table(results):
    return build(results, QUICK).tables[0]


def test_cells_are_means_and_spreads_of_the_runs(results, table):
    assert [row.name for row in table.rows] == list(ROWS)
    assert len(table.ids) == SPLITS["test"]
    for row in table.rows:
        scores = [run.scores["test"] for run in results.runs if run.row == row.name]
        metrics = [regression_metrics(s.gold, s.prediction) for s in scores]
        for name, cell in row.cells.items():
            values = [m[name] for m in metrics]
            assert cell.values == pytest.approx(values)
            assert cell.estimate.value == pytest.approx(np.mean(values))
            assert cell.sd == pytest.approx(np.std(values, ddof=1))
            assert cell.best == pytest.approx(min(values) if name == "mae" else max(values))
            assert cell.estimate.low < cell.estimate.value < cell.estimate.high
        assert row.seconds == 22.5
        assert row.prediction == pytest.approx(np.mean([s.prediction for s in scores], axis=0))


def test_the_floor_is_the_train_mean(results, table):
    scores = results.runs[0].scores
    centre = scores["train"].gold.mean()
    assert table.floor["mae"] == pytest.approx(np.abs(scores["test"].gold - centre).mean())
    assert table.floor["corr"] == 0
    assert table.floor["mae"] == pytest.approx(results.runs[0].results["splits"]["test"]["floor"]["mae"])


def test_every_pair_is_tested_and_corrected_together(table):
    assert len(table.comparisons) == 3 * 6
    assert [c.p_holm for c in table.comparisons] == pytest.approx(holm([c.p for c in table.comparisons]))
    assert {c.family for c in table.comparisons} == {18}
    by = {(c.first, c.second, c.metric): c for c in table.comparisons}
    clear = by["bert", "cmsbert", "mae"]
    assert clear.status == "established"
    assert clear.better == "cmsbert"
    assert by["cmsbert", "clr, no EMA", "mae"].status == "not established"
    acc = by["bert", "cmsbert", "acc2_non0"]
    gold = table.gold
    a, b = (((row.prediction > 0) == (gold > 0))[gold != 0] for row in table.rows[:2])
    assert (acc.only_first, acc.only_second) == (int((a & ~b).sum()), int((b & ~a).sum()))
    assert acc.p_mcnemar == pytest.approx(mcnemar(acc.only_first, acc.only_second))
    assert acc.p == max(acc.p_mcnemar, acc.estimate.p)
    assert clear.p_mcnemar is None


def test_sentences_say_what_is_established_and_what_is_not(table):
    first, *_, last = table.sentences
    assert first.startswith("cmsbert has a lower MAE than bert by 0.")
    assert "95 % interval" in first
    assert "after correction" in first
    assert last.startswith("No difference between cmsbert and clr, no EMA is established: MAE ")
    assert "Corr" in last


def test_few_seeds_are_marked_wherever_they_count(tmp_path):
    root = make_experiment(tmp_path, {"bert": ("bert", 1.5)}, seeds=(1, 2))
    make_run(root / "runs" / "cmsbert" / "mosi" / "1", "cmsbert", 1, noise=0.3)
    table = build(read_results([root]), QUICK).tables[0]
    assert all(row.few_seeds for row in table.rows)
    assert table.rows[1].cells["mae"].sd is None
    found = next(c for c in table.comparisons if c.metric == "mae")
    assert found.few_seeds
    assert found.status != "established"
    assert "fewer than three seeds" in " ".join(table.sentences).lower()


def test_of_single_runs_mcnemar_alone_counts(tmp_path):
    root = make_experiment(tmp_path, {"bert": ("bert", 1.5), "cmsbert": ("cmsbert", 0.2)}, seeds=(1,))
    table = build(read_results([root]), QUICK).tables[0]
    for c in table.comparisons:
        if c.metric.startswith("acc"):
            assert c.p == c.p_mcnemar
    assert any(c.status == "of these runs only" for c in table.comparisons)
    assert "of these trained models only" in " ".join(table.sentences)


def test_controls_and_floors(tmp_path):
    root = make_experiment(tmp_path / "a", {"cmsbert": ("cmsbert", 1.0)}, dev_mse=[9.0, 8.0])
    table = build(read_results([root]), QUICK).tables[0]
    assert "no text-only control" in table.control
    assert table.rows[0].floor_missed == (1111, 1112, 1113)
    assert not table.comparisons
    make_run(root / "runs" / "w" / "mosi" / "1", "cmsbert", 1, config={"features": []})
    assert build(read_results([root]), QUICK).tables[0].control == "Text-only control: w."


def test_other_items_are_another_table(tmp_path):
    make_run(tmp_path / "bert-1", "bert", 1)
    make_run(tmp_path / "cmsbert-1", "cmsbert", 1)
    make_run(tmp_path / "mfn-1", "mfn", 1, sizes={**SPLITS, "test": 50})
    make_run(tmp_path / "tfn-1", "tfn", 1, data="other")
    report = build(read_results([tmp_path]), QUICK)
    assert [t.data for t in report.tables] == ["CMU-MOSI (items 1 of 2)", "CMU-MOSI (items 2 of 2)", "other"]
    assert [len(t.rows) for t in report.tables] == [2, 1, 1]


def test_options_choose_metrics_split_variant_and_reference(results):
    report = build(results, Options(split="dev", metrics=("acc7", "mae"), bootstrap=200, against="bert"))
    table = report.tables[0]
    assert report.metrics == ("acc7", "mae")
    assert len(table.ids) == SPLITS["dev"]
    assert {(c.first, c.second) for c in table.comparisons} == {("bert", "cmsbert"), ("bert", "clr, no EMA")}
    assert {c.metric for c in table.comparisons} == {"acc7", "mae"}
    assert all(row.seconds is None for row in build(results, Options(bootstrap=100, timing=False)).tables[0].rows)
    mag = build(results, Options(variant="mag", bootstrap=200))
    assert mag.metrics == ("mae", "corr", "acc2_non0", "f1_non0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(split="holdout"), "they have dev, test, train"),
        (Options(metrics=("rmse",), bootstrap=100), "no metric rmse"),
        (Options(variant="x"), "variant"),  # type: ignore[arg-type]
        (Options(bootstrap=10), "at least 100"),
        (Options(against="nobody", bootstrap=100), "no row 'nobody'"),
    ],
)
def test_options_that_do_not_fit_are_refused(results, options, message):
    with pytest.raises(ModashiftError, match=message):
        build(results, options)


def test_nothing_finished_is_nothing_to_report(tmp_path):
    make_run(tmp_path / "r-1", finished=False)
    with pytest.raises(ModashiftError, match="1 unfinished"):
        build(read_results([tmp_path]))


def test_texts_come_from_the_data_where_these_are_there(tmp_path, table):
    assert "no/such/file.pkl is not there" in table.texts.missing
    path = make_texts(tmp_path / "texts.jsonl")
    make_run(tmp_path / "bert-1", "bert", 1, config={"data": str(path)})
    found = build(read_results([tmp_path]), QUICK).tables[0]
    assert not found.texts.missing
    assert set(found.texts.words) == set(found.ids)
    worst = found.worst(found.rows[0], 5)
    errors = np.abs(found.rows[0].prediction - found.gold)
    assert [abs(p - g) for _, _, g, p in worst] == pytest.approx(sorted(errors)[::-1][:5])
    assert all(text for _, text, _, _ in worst)


def test_published_numbers_have_their_four_facts():
    found = published_for("CMU-MOSI train+dev", [System("cmsbert-clr"), System("misa"), System("bert")])
    clr = next(p for p in found if p.system.model == "cmsbert-clr")
    assert (clr.metrics["mae"], clr.metrics["acc2_non0"], clr.test) == (0.708, pytest.approx(0.8656), "685")
    assert {p.source for p in found if p.system.model == "misa"} >= {"MMSA, result-stat.md"}
    assert all(p.variant and p.test and p.runs and p.selection for p in found)
    assert not [p for p in found if p.system.departures]
    mosei = published_for("mosei", [System("mult")])
    assert [p.metrics["mae"] for p in mosei] == [0.58, 0.559]
    assert published_for("reviews", [System("bert")]) == []


def test_what_the_paper_printed_of_the_ablations():
    """Table III of Kim and Kim: the whole system, without moving average, without label smoothing, without both."""
    printed = {(): 0.708, ("without EMA",): 0.709, ("without LS",): 0.721, ("without EMA", "without LS"): 0.730}
    found = published_for("mosi", [System("cmsbert-clr", departures) for departures in printed])
    assert {p.system.departures: p.metrics["mae"] for p in found} == printed


@pytest.mark.parametrize(
    ("model", "options", "config", "departures"),
    [
        ("cmsbert-clr", {}, {}, ()),
        ("cmsbert-clr", {"loss_momentum": 0.99, "target_weight": 0.9, "initial_weight": 0.01}, {}, ()),
        ("cmsbert-clr", {"loss_momentum": 1.0}, {}, ("without EMA",)),
        ("cmsbert-clr", {"loss_momentum": 1, "target_weight": 1.0}, {}, ("without EMA", "without LS")),
        ("cmsbert-clr", {"contrastive": False}, {}, ("without contrastive losses",)),
        ("cmsbert", {"shift": {"context_window": 0}}, {}, ("narrower context",)),
        ("cmsbert", {"shift": {"context_window": None, "activation": "tanh"}}, {}, ()),
        ("cmsbert", {"layers": [1, 2]}, {}, ("other layers shifted",)),
        ("cmsbert-1", {"layers": "first"}, {}, ()),
        ("cmsbert-1", {"layers": "all"}, {}, ("other layers shifted",)),
        ("mag-bert", {"beta": 0.1}, {}, ()),
        ("mag-bert", {"beta": 0.0}, {}, ("gate shut",)),
        ("mult", {}, {"features": ["visual", "acoustic"]}, ()),
        ("mult", {}, {"features": ["visual"]}, ("visual features only",)),
        ("cmsbert", {}, {"features": []}, ("words alone",)),
        ("bert", {}, {"features": []}, ()),
        ("bert", {}, {"init": "runs/reviews"}, ("warm-started",)),
    ],
)
def test_a_row_is_known_by_what_it_leaves_out(tmp_path, model, options, config, departures):
    make_run(tmp_path / "r-1", model, 1, options=options, config=config)
    assert system_of(read_results([tmp_path]).runs) == System(model, departures)


def test_every_rule_and_every_published_line_can_apply():
    """Names of models and options in the file of published numbers are those of the code."""
    content = yaml.safe_load(resources.files("modashift.report").joinpath("published.yaml").read_text())
    names = {rule["name"] for rule in content["departures"]}
    for rule in content["departures"]:
        for model in rule["models"]:
            option, _, field = rule["option"].partition(".")
            default = inspect.signature(get_model(model)).parameters[option].default
            value = getattr(default, field) if field else default
            assert (value not in rule["is"]) if "is" in rule else (value in rule["is not"]), rule
    for line in content["numbers"]:
        assert line["model"] in MODELS
        assert set(line.get("departures", ())) <= names


def test_a_row_stands_beside_the_numbers_of_its_own_system_only(tmp_path):
    rows = {"clr": ("cmsbert-clr", 0.7), "no-ema": ("cmsbert-clr", 0.7), "no-contrast": ("cmsbert-clr", 0.7)}
    root = make_experiment(tmp_path, {"clr": rows["clr"]}, seeds=(1,))
    make_run(root / "runs" / "no-ema" / "mosi" / "1", "cmsbert-clr", 1, options={"loss_momentum": 1.0})
    make_run(root / "runs" / "no-contrast" / "mosi" / "1", "cmsbert-clr", 1, options={"contrastive": False})
    report = build(read_results([root]), QUICK)
    assert [line[0] for line in facts(report, report.tables[0])] == [
        "clr",
        "CMSBERT-CLR (B)",
        "no-contrast (cmsbert-clr, without contrastive losses)",
        "no-ema (cmsbert-clr, without EMA)",
        "CMSBERT-CLR without EMA",
    ]
    alone = make_run(tmp_path / "alone" / "no-ema-1", "cmsbert-clr", 1, data="mosi", options={"loss_momentum": 1.0})
    assert [p.label for p in build(read_results([alone]), QUICK).tables[0].published] == ["CMSBERT-CLR without EMA"]


def test_declared_runs_that_are_not_there_are_counted(tmp_path):
    root = make_experiment(tmp_path / "e", {"bert": ("bert", 1.0), "cmsbert": ("cmsbert", 0.8)}, seeds=(1, 2, 3))
    assert absent(build(read_results([root]), QUICK).results) == []
    for seed in (1, 3):
        shutil.rmtree(root / "runs" / "cmsbert" / "mosi" / str(seed))
    (root / "runs" / "bert" / "mosi" / "2" / "results.json").unlink()  # begun, hence unfinished and not missing
    report = build(read_results([root]), QUICK)
    said = "2 of 6 declared runs are missing: cmsbert/mosi (1, 3)."
    assert absent(report.results) == [said]
    assert f"\n\n{said}\n" in render_markdown(report, {})
    assert said in render_html(report, {})
    assert report.results.unfinished == ["runs/bert/mosi/2"]
    other = make_experiment(tmp_path / "f", {"mfn": ("mfn", 1.0)}, seeds=(1,), data="mosei")
    (other / "experiment.yaml").write_text("rows: {mfn: {model: mfn, grid: {lr: [0.1, 0.2]}}}\ndata: {mosei: {}}\n")
    assert absent(read_results([root, other])) == [
        "4 of 8 declared runs are missing: e: cmsbert/mosi (1, 3), f: mfn,lr=0.1/mosei (1111), "
        "f: mfn,lr=0.2/mosei (1111)."
    ]
    (root / "experiment.yaml").write_text("title: x\nrows: {bert: {model: bert}}\n")
    assert "not known: " in absent(read_results([root]))[0]


def test_many_missing_rows_are_not_all_named():
    names = [f"row{k:02d}/mosi/1" for k in range(15)]
    (said,) = absent(Results("t", [], declared=40, missing=names))
    assert said.startswith("15 of 40 declared runs are missing: row00/mosi (1), ")
    assert said.endswith("row11/mosi (1), and of 3 more rows.")
    assert absent(Results("t", [], declared=2, missing=["a/b/1"])) == ["1 of 2 declared runs is missing: a/b (1)."]


def test_planned_pairs_are_corrected_in_their_families(results):
    names = [row.name for row in build(results, Options(bootstrap=200)).tables[0].rows]
    a, b, c = names[:3]
    table = build(results, Options(bootstrap=200, metrics=("mae",), planned=(((a, b),), ((a, c), (b, c))))).tables[0]
    found = {(x.first, x.second): x for x in table.comparisons}
    assert {pair: x.family for pair, x in found.items()} == {(a, b): 1, (a, c): 2, (b, c): 2}
    assert found[a, b].p_holm == found[a, b].p
    assert [found[pair].p_holm for pair in ((a, c), (b, c))] == holm([found[a, c].p, found[b, c].p])
    assert build(results, Options(bootstrap=200, planned=())).tables[0].comparisons == []
