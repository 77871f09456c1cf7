"""Disturbances do what they say, the same way for every model, and the table shows their effect."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

import modashift
from modashift.__main__ import main
from modashift.data.dataset import Feature
from modashift.evaluate import plots
from modashift.evaluate.metrics import regression_metrics
from modashift.evaluate.perturb import (
    blank_words,
    misheard,
    missing_steps,
    noisy,
    step_numbers,
    train_deviation,
)
from modashift.evaluate.robustness import Condition, conditions, measure, summarise, to_markdown
from modashift.evaluate.robustness_plot import curves_figure
from modashift.evaluate.subject import Subject, open_subject, short_names
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from support import toy_dataset, write_table

NAMES = ("bert", "cmsbert", "mfn")


def long_words(data):
    """The toy data with a word of several pieces in every sentence."""
    return replace(data, words=[("unbelievably", *w[1:]) for w in data.words])


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_backbone):
    folder = tmp_path_factory.mktemp("runs")
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=8, tensorboard=False)
    (folder / "data").mkdir()
    table = write_table(long_words(toy_dataset()), folder / "data")
    for name in NAMES:
        options = {"shift": {"initial_scale": 0.5}} if name == "cmsbert" else {}
        train(name, DataArgs(str(table), normalise="train"), folder / name, args, options, silent=True)
    return folder


@pytest.fixture(params=NAMES)
def subject(runs, request):
    return open_subject(str(runs / request.param), split="all")


def batch_of(subject, change=None):
    batch = next(subject.batches(len(subject.rows)))
    return batch if change is None else change(batch)


def test_a_step_goes_at_all_its_positions_or_at_none(runs):
    subject = open_subject(str(runs / "cmsbert"), split="all")
    before = batch_of(subject)
    after = batch_of(subject, missing_steps(subject, ["visual"], 0.5, seed=1))
    numbers, seq = step_numbers(subject, before, "visual"), after.features["visual"]
    assert (numbers == 0).sum(1).min() > 1  # the first word has several pieces
    for own, left in zip(numbers, seq.mask):
        for step in range(int(own.max()) + 1):
            assert len(set(left[own == step].tolist())) == 1
    assert not seq.values[~seq.mask].any()
    kept = seq.mask.sum() / before.features["visual"].mask.sum()
    assert 0.4 < float(kept) < 0.6
    assert torch.equal(after.features["acoustic"].mask, before.features["acoustic"].mask)
    assert torch.equal(seq.values[seq.mask], before.features["visual"].values[seq.mask])


def test_more_missing_steps_contain_fewer(runs):
    subject = open_subject(str(runs / "cmsbert"))
    masks = [batch_of(subject, missing_steps(subject, ["visual"], s)).features["visual"].mask for s in (0.2, 0.6, 1.0)]
    assert not (masks[1] & ~masks[0]).any()
    assert masks[0].sum() > masks[1].sum() > masks[2].sum() == 0
    other = batch_of(subject, missing_steps(subject, ["visual"], 0.2, draw=1)).features["visual"].mask
    assert not torch.equal(other, masks[0])


def test_everything_missing_is_a_missing_modality(subject):
    own = [m for m in subject.dataset.features if m != "linguistic"]
    clean = subject.score()
    for m in own:
        gone = subject.score(lambda batch, m=m: batch.without(m))
        np.testing.assert_allclose(subject.score(missing_steps(subject, [m], 1.0)), gone, atol=1e-6)
    assert bool(own) == (not np.allclose(clean, subject.score(missing_steps(subject, own, 1.0))))
    np.testing.assert_array_equal(clean, subject.score(missing_steps(subject, own, 0.0)))


def test_what_is_drawn_does_not_depend_on_the_batch(subject):
    own = [m for m in subject.dataset.features if m != "linguistic"]
    deviation = train_deviation(subject)[0]
    for change in (missing_steps(subject, own, 0.5), noisy(subject, own, 1.0, deviation)):
        np.testing.assert_allclose(subject.score(change, batch_size=64), subject.score(change, batch_size=3), atol=1e-5)


def test_models_meet_the_same_missing_steps(runs):
    pieces, words = (open_subject(str(runs / name), split="all") for name in ("cmsbert", "mfn"))
    found = []
    for subject in (pieces, words):
        order = next(subject.batches(99)).index
        numbers = step_numbers(subject, batch_of(subject), "visual")
        left = batch_of(subject, missing_steps(subject, ["visual"], 0.5)).features["visual"].mask
        found.append({int(r): set(n[k].tolist()) for r, n, k in zip(order, numbers, left)})
    assert found[0] == found[1]


def test_noise_has_the_size_it_says(runs):
    subject = open_subject(str(runs / "cmsbert"), split="all")
    deviation, split = train_deviation(subject)
    assert split == "train"
    assert deviation["visual"] == pytest.approx(np.ones(5), abs=1e-3)  # it was normalised by the training split
    before = batch_of(subject).features["visual"]
    after = batch_of(subject, noisy(subject, ["visual"], 2.0, deviation)).features["visual"]
    added = (after.values - before.values)[before.mask]
    assert float(added.std()) == pytest.approx(2.0, rel=0.1)
    assert torch.equal(after.mask, before.mask)
    assert not after.values[~after.mask].any()
    numbers = step_numbers(subject, batch_of(subject), "visual")
    both = (after.values - before.values)[0][numbers[0] == 0]
    assert torch.allclose(both[0], both[1], atol=1e-6)  # two pieces of one word


def test_deviation_of_features_as_they_are(runs):
    subject = open_subject(str(runs / "cmsbert"), split="all")
    raw = replace(subject.predictor.preprocessor.normaliser, kind="none")
    subject.predictor.preprocessor = replace(subject.predictor.preprocessor, normaliser=raw)
    feature, rows = subject.dataset.features["visual"], subject.dataset.rows("train")
    steps = np.concatenate([feature[int(r)] for r in rows]).astype(np.float64)
    assert train_deviation(subject)[0]["visual"] == pytest.approx(steps.std(0), rel=1e-6)
    test = Subject.of(subject.predictor, subject.source.take(subject.source.rows("test")))
    assert train_deviation(test)[1] == "all"


def test_deleted_words_go_with_their_features(runs):
    subject = open_subject(str(runs / "cmsbert"), split="all")
    heard = misheard(subject, "deletion", 0.5, seed=2)
    lost = 0
    for row in range(len(subject.rows)):
        before, after = subject.source[row], heard.source[row]
        assert len(after.words) >= 1
        assert len(after.features["visual"]) == len(after.words)
        places = [int(np.flatnonzero((before.features["visual"] == v).all(1))[0]) for v in after.features["visual"]]
        assert [before.words[p] for p in places] == list(after.words)
        lost += len(before.words) - len(after.words)
    assert 0.4 < lost / sum(map(len, subject.source.words)) < 0.6
    assert all(len(w) == 1 for w in misheard(subject, "deletion", 1.0).source.words)


def test_replaced_words_come_from_the_training_split(runs):
    data = long_words(toy_dataset())
    rare = replace(data, words=[("hat", *w[1:]) if s != "train" else w for w, s in zip(data.words, data.splits)])
    predictor = modashift.load(runs / "cmsbert")
    subject = Subject.of(predictor, rare, rare.rows("test"))
    heard = misheard(subject, "substitution", 1.0)
    known = {w for r in rare.rows("train") for w in rare.words[r]}
    assert {w for words in heard.source.words for w in words} <= known
    assert [len(w) for w in heard.source.words] == [len(rare.words[r]) for r in subject.rows]
    for k, row in enumerate(subject.rows):
        np.testing.assert_array_equal(heard.source.features["visual"][k], rare.features["visual"][int(row)])
    some = misheard(subject, "substitution", 0.3).source.words
    pairs = [a == b for k, r in enumerate(subject.rows) for a, b in zip(some[k], rare.words[r])]
    assert 0.55 < np.mean(pairs) < 0.9


def test_given_word_vectors_follow_their_words(tmp_path):
    data = toy_dataset()
    table = {w: np.random.default_rng(k).normal(size=7) for k, w in enumerate({w for s in data.words for w in s})}
    vectors = Feature.pack([np.stack([table[w] for w in s]) for s in data.words], 7)
    data = replace(data, features={**data.features, "linguistic": vectors})
    args = TrainArgs(epochs=1, batch_size=8, tensorboard=False)
    train("mfn", DataArgs("toy"), tmp_path / "run", args, silent=True, dataset=data)
    subject = Subject.of(modashift.load(tmp_path / "run"), data)
    for kind in ("deletion", "substitution"):
        heard = misheard(subject, kind, 0.5)
        for row, words in enumerate(heard.source.words):
            expected = np.stack([table[w] for w in words]).astype(np.float32)
            np.testing.assert_array_equal(heard.source.features["linguistic"][row], expected)
        assert np.isfinite(heard.score()).all()
    steps = replace(vectors, alignment="frame")
    data = replace(data, features={m: replace(f, alignment="frame") for m, f in data.features.items()})
    data = replace(data, features={**data.features, "linguistic": steps}, words=[()] * len(data))
    train("mfn", DataArgs("toy"), tmp_path / "frames", args, silent=True, dataset=data)
    subject = Subject.of(modashift.load(tmp_path / "frames"), data)
    heard = misheard(subject, "deletion", 0.5)
    lengths = heard.source.features["linguistic"].lengths
    np.testing.assert_array_equal(lengths, heard.source.features["visual"].lengths)
    assert lengths.sum() < vectors.lengths.sum()
    assert np.isfinite(heard.score()).all()


def test_one_vector_for_the_utterance_goes_whole(tmp_path, tiny_backbone):
    data = toy_dataset(features=("acoustic",))
    vector = Feature.pack([data.features["acoustic"][r][:1] for r in range(len(data))], 3)
    data = replace(data, features={"acoustic": replace(vector, alignment="utterance")})
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=8, tensorboard=False)
    train("cmsbert", DataArgs("toy"), tmp_path / "run", args, silent=True, dataset=data)
    subject = Subject.of(modashift.load(tmp_path / "run"), data)
    before = batch_of(subject).features["acoustic"].mask
    after = batch_of(subject, missing_steps(subject, ["acoustic"], 0.5)).features["acoustic"].mask
    whole = (after == before).all(1)
    assert (whole | ~after.any(1)).all()
    assert 0.3 < float(whole.double().mean()) < 0.7


def test_unknown_words_leave_nothing_of_the_words(runs):
    for name in ("bert", "mfn"):
        subject = open_subject(str(runs / name), split="all")
        words = [tuple("zzz" for _ in w) for w in subject.source.words]
        batch = batch_of(subject, blank_words(subject.predictor.preprocessor))
        if name == "bert":
            unknown = subject.predictor.preprocessor.tokenizer.unk_token_id
            assert (batch.text.ids[batch.text.real] == unknown).all()
            assert (batch.text.ids[:, 0] != unknown).all()
        else:
            assert not batch.features["linguistic"].values.any()
            assert batch.features["linguistic"].mask.any()
        assert not np.allclose(subject.score(blank_words(subject.predictor.preprocessor)), subject.score())
        assert len(words) == len(subject.rows)


def test_summary_agrees_with_the_metrics():
    rng = np.random.default_rng(0)
    gold = rng.normal(size=80)
    clean = gold + rng.normal(size=80) * 0.3
    worse = gold + rng.normal(size=(4, 80)) * 1.5
    found = {Condition("none", "", 0, 1): clean[None], Condition("noise", "visual", 1, 4): worse}
    first, second = summarise("run", gold, found, resamples=300, centre=0.0)
    reference = [regression_metrics(gold, w) for w in worse]
    for metric in ("mae", "corr"):
        assert first[metric] == pytest.approx(regression_metrics(gold, clean)[metric])
        assert second[metric] == pytest.approx(np.mean([r[metric] for r in reference]))
        assert second[f"{metric}_sd"] == pytest.approx(np.std([r[metric] for r in reference], ddof=1))
        assert second[f"{metric}_low"] < second[metric] < second[f"{metric}_high"]
        assert first[f"{metric}_change"] == first[f"{metric}_change_low"] == 0
    assert second["mae_change_low"] > 0 > second["corr_change_high"]
    assert summarise("run", gold, found, resamples=300, centre=0.0)[1] == second
    assert second["floor_mae"] == pytest.approx(np.abs(gold).mean())
    assert first["unchanged"]
    assert not second["unchanged"]
    constant = summarise("run", gold, {Condition("none", "", 0, 1): np.full((1, 80), 0.3)}, resamples=10)
    assert constant[0]["corr"] == 0


def test_text_only_models_do_not_read_the_features(runs):
    subject = open_subject(str(runs / "bert"))
    found = measure(subject, conditions(["visual", "acoustic"], draws=2))
    clean = found[Condition("none", "", 0.0, 1)]
    for condition, predictions in found.items():
        if condition.kind in {"missing", "noise"}:
            np.testing.assert_array_equal(predictions, np.repeat(clean, condition.draws, 0))
    worst = found[Condition("deletion", "linguistic", 0.4, 2)]
    assert not np.array_equal(worst[0], clean[0])
    assert not np.array_equal(worst[0], worst[1])


def test_command_is_repeatable_and_complete(runs, tmp_path, capsys):
    options = ["--draws", "2", "--resamples", "50", "--noise", "1", "--shares", "0.5", "1", "--errors", "0.3"]
    folders = [str(runs / name) for name in NAMES]
    for out in ("a", "b"):
        arguments = ["robustness", *folders, "--out", str(tmp_path / out), *options, "--format", "svg"]
        assert main(arguments) == 0
    names = {"robustness.csv", "robustness.md", "robustness.svg"}
    assert {p.name for p in (tmp_path / "a").iterdir()} == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with (tmp_path / "a" / "robustness.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["run"] for r in rows} == set(NAMES)
    assert len(rows) == 3 * (1 + 3 * 2 + 3 + 2 + 1)
    printed = capsys.readouterr().out
    assert "| mfn | every word unknown |" in printed
    assert "| mfn | visual: noise |" in printed
    assert "| bert | train mean for everybody |" in printed
    assert "| bert | visual: noise |" not in printed
    given = main(
        [
            "robustness",
            folders[0],
            "--data",
            str(runs / "data" / "table.jsonl"),
            "--split",
            "dev",
            "--out",
            str(tmp_path / "c"),
            *options,
        ]
    )
    assert given == 0


def test_figure_has_a_line_a_run_in_every_panel(runs, tmp_path, monkeypatch):
    figures = []
    original = plots._save
    monkeypatch.setattr(plots, "_save", lambda figure, path: (figures.append(figure), original(figure, path))[1])
    rng = np.random.default_rng(0)
    gold, rows = rng.normal(size=30), []
    for run in ("one", "two"):
        found = {c: gold + rng.normal(size=(c.draws, 30)) for c in conditions(["acoustic"], 2)}
        rows += summarise(run, gold, found, resamples=20, centre=0.5)
    curves_figure(rows, tmp_path / "a.png")
    panels = [a for a in figures[0].axes if a.get_visible()]
    assert [a.get_title(loc="left") for a in panels][:2] == ["acoustic: steps missing", "words deleted"]
    assert len(panels) == 2 * 4
    assert [len(a.lines) for a in panels] == [3] * 4 + [2] * 4  # the floor in those of the MAE
    assert panels[0].lines[-1].get_ydata()[0] == pytest.approx(np.abs(gold - 0.5).mean())
    assert "two" in to_markdown(rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--draws", "0"], "at least 1"),
        (["--shares", "1.5"], "at most 1"),
        (["--noise", "0"], "above 0"),
        (["--data", "nowhere.pkl"], "no file or folder"),
    ],
)
def test_command_says_what_is_wrong(runs, capsys, arguments, message):
    assert main(["robustness", str(runs / "bert"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_names_tell_runs_apart():
    assert short_names(["runs/a", "runs/b/"]) == ["a", "b"]
    assert short_names(["x/a", "y/a"]) == ["x/a", "y/a"]
    assert short_names(["x/a"]) == ["a"]
