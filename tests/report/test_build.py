"""The numbers of a report."""

import numpy as np
import pytest

from made_runs import SPLITS, make_experiment, make_run, make_texts
from modashift.errors import ModashiftError
from modashift.evaluate.metrics import regression_metrics
from modashift.evaluate.results import read_results
from modashift.evaluate.statistics import holm, mcnemar
from modashift.report.build import Options, build
from modashift.report.published import published_for

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
    found = published_for("CMU-MOSI train+dev", ["cmsbert-clr", "misa", "bert"])
    clr = next(p for p in found if p.model == "cmsbert-clr")
    assert (clr.metrics["mae"], clr.metrics["acc2_non0"], clr.test) == (0.708, pytest.approx(0.8656), "685")
    assert {p.source for p in found if p.model == "misa"} >= {"MMSA, result-stat.md"}
    assert all(p.variant and p.test and p.runs and p.selection for p in found)
    assert not [p for p in found if "without" in p.label]
    assert [p.label for p in published_for("mosi", ["cmsbert-clr"] * 2) if "without" in p.label]
    mosei = published_for("mosei", ["mult"])
    assert [p.metrics["mae"] for p in mosei] == [0.58, 0.559]
    assert published_for("reviews", ["bert"]) == []
