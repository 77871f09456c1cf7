"""Numbers of representations against naive loops, and pictures that show what there is."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import modashift
from modashift.__main__ import main
from modashift.data.dataset import Feature
from modashift.evaluate import plots
from modashift.evaluate.embed import Representations, alignment, describe, knn_mae, project, represent, retrieval
from modashift.evaluate.embed_plot import embed_figure, numbers
from modashift.evaluate.subject import Subject, open_subject
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from support import toy_dataset, write_table

NAMES = ("bert", "cmsbert-clr", "misa", "self-mm")
RNG = np.random.default_rng(0)


def made(n=40, widths=(6, 6, 6), noise=0.1, name="made"):
    """Vectors of three modalities around a common point for each utterance, which depends on the score."""
    gold = np.linspace(-3, 3, n)
    common = RNG.normal(size=(n, 6)) + gold[:, None]
    vectors = {
        m: (common + noise * RNG.normal(size=(n, 6)))[:, :d]
        for m, d in zip(("linguistic", "visual", "acoustic"), widths)
    }
    return Representations(name, vectors, {m: np.ones(n, bool) for m in vectors}, gold, [str(k) for k in range(n)], 0.5)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_backbone):
    folder = tmp_path_factory.mktemp("runs")
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=8, tensorboard=False)
    (folder / "data").mkdir()
    table = write_table(toy_dataset(), folder / "data")
    for name in NAMES:
        train(name, DataArgs(str(table)), folder / name, args, silent=True)
    return folder


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_alignment_in_loops():
    a, b = RNG.normal(size=(7, 4)), RNG.normal(size=(7, 4))
    true = [cosine(a[i], b[i]) for i in range(7)]
    other = [cosine(a[i], b[j]) for i in range(7) for j in range(7) if i != j]
    found = alignment(a, b)
    assert found["true"] == pytest.approx(np.mean(true))
    assert found["other"] == pytest.approx(np.mean(other))
    assert found["gap"] == pytest.approx(np.mean(true) - np.mean(other))
    assert found["effect"] == pytest.approx((np.mean(true) - np.mean(other)) / np.std(other))
    assert alignment(5 * a, b)["true"] == pytest.approx(found["true"])
    assert np.isnan(alignment(a[:1], b[:1])["true"])


def test_retrieval_in_loops():
    a, b = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 3))
    b[:12] = a[:12] * 2
    hits = [max(range(30), key=lambda j, i=i: cosine(a[i], b[j])) == i for i in range(30)]
    assert retrieval(a, b) == pytest.approx(np.mean(hits))
    assert 12 / 30 <= retrieval(a, b) < 1
    assert retrieval(a, a) == 1
    assert retrieval(np.ones((8, 3)), np.ones((8, 3))) == pytest.approx(1 / 8)  # all alike: chance, not 1


def test_neighbours_in_loops():
    vectors, gold = RNG.normal(size=(25, 3)), RNG.normal(size=25)
    errors = []
    for i in range(25):
        others = sorted((j for j in range(25) if j != i), key=lambda j: -cosine(vectors[i], vectors[j]))
        errors.append(abs(np.mean(gold[others[:4]]) - gold[i]))
    assert knn_mae(vectors, gold, 4) == pytest.approx(np.mean(errors))
    assert knn_mae(vectors[:3], np.array([0.0, 1.0, 5.0])) == pytest.approx(np.mean([3, 1.5, 4.5]))
    assert np.isnan(knn_mae(vectors[:1], gold[:1]))


def test_aligned_vectors_are_told_from_unrelated_ones():
    close, far = describe(made(noise=0.05)), describe(made(noise=30.0))
    for pair in ("linguistic-visual", "visual-acoustic"):
        assert close["alignment"][pair]["gap"] > 5 * abs(far["alignment"][pair]["gap"])
    assert close["retrieval"]["visual>acoustic"]["value"] > 0.9
    assert far["retrieval"]["visual>acoustic"]["value"] < 0.2
    assert close["retrieval"]["visual>acoustic"]["chance"] == 1 / 40
    assert len(close["retrieval"]) == 6
    assert close["knn_mae"]["visual"]["value"] < 0.6 * close["knn_mae"]["visual"]["floor"]
    assert close["knn_mae"]["visual"]["floor"] == pytest.approx(np.abs(np.linspace(-3, 3, 40) - 0.5).mean())


def test_widths_that_differ_are_not_compared():
    r = made(widths=(6, 4, 2))
    found = describe(r)
    assert not found["alignment"]
    assert not found["retrieval"]
    assert "different widths" in found["note"]
    assert set(found["knn_mae"]) == set(r.vectors)
    placed = project(r)
    assert {m: p.shape for m, (_, p) in placed.items()} == dict.fromkeys(r.vectors, (40, 2))


def test_missing_modalities_take_no_part():
    r = made(noise=0.01)
    present = {**r.present, "visual": np.arange(40) < 30}
    vectors = {**r.vectors, "visual": np.where(present["visual"][:, None], r.vectors["visual"], 0)}
    found = describe(replace(r, vectors=vectors, present=present))
    assert found["alignment"]["linguistic-visual"]["n"] == 30
    assert found["retrieval"]["linguistic>visual"]["chance"] == 1 / 30
    assert found["alignment"]["linguistic-acoustic"]["n"] == 40
    assert found["knn_mae"]["visual"]["n"] == 30
    assert len(project(replace(r, vectors=vectors, present=present))["visual"][0]) == 30


def test_places_are_repeatable_and_keep_neighbours():
    r = made(n=60, noise=0.01)
    first, again = project(r, seed=3), project(r, seed=3)
    for m in r.vectors:
        np.testing.assert_array_equal(first[m][1], again[m][1])
    words, faces = first["linguistic"][1], first["visual"][1]
    distance = np.linalg.norm(words[:, None] - faces[None], axis=-1)
    # true pairs, which are almost one point in the space, are neighbours in the picture
    assert np.median((distance <= np.diagonal(distance)[:, None]).sum(1)) <= 3
    few = project(r, points=20)
    assert len(few["visual"][0]) == 20
    np.testing.assert_array_equal(few["visual"][0], few["linguistic"][0])


def test_vectors_that_are_all_alike_or_few():
    r = made(n=12)
    project(replace(r, vectors={m: np.ones_like(v) for m, v in r.vectors.items()}))
    assert project(made(n=1))["visual"][1].shape == (1, 2)


def test_embeddings_are_those_of_the_model_in_order(runs):
    for name in ("cmsbert-clr", "misa"):
        subject = open_subject(str(runs / name), split="test")
        subject = replace(subject, rows=subject.rows[::-1].copy())
        (r,) = represent(subject, batch_size=4)
        alone = Subject.of(subject.predictor, subject.source, subject.rows[2:3])
        _, output = next(alone.outputs())
        for m, v in r.vectors.items():
            np.testing.assert_allclose(v[2], output.embeddings[m][0].numpy(), atol=1e-5)
        assert r.ids == [subject.dataset.ids[int(k)] for k in subject.rows]
        np.testing.assert_array_equal(r.gold, subject.gold)


def test_private_parts_of_misa(runs):
    subject = open_subject(str(runs / "misa"))
    assert [r.name for r in represent(subject)] == ["MISA, shared"]
    shared, private = represent(subject, private=True)
    assert private.name == "MISA, private"
    batch, output = next(subject.outputs())
    order = {int(k): i for i, k in enumerate(batch.index)}
    at = order[int(subject.rows[0])]
    for k, m in enumerate(("linguistic", "visual", "acoustic")):
        np.testing.assert_allclose(private.vectors[m][0], output.extra["private"][at, k].numpy(), atol=1e-5)
        assert not np.allclose(private.vectors[m], shared.vectors[m])


def test_an_utterance_without_a_face_is_not_counted(runs):
    data = toy_dataset()
    visual = data.features["visual"]
    gone = Feature.pack([visual[r] if r % 2 else visual[r][:0] for r in range(len(data))], 5)
    subject = Subject.of(
        modashift.load(runs / "cmsbert-clr"),
        replace(data, features={**data.features, "visual": gone}),
        data.rows("test"),
    )
    (r,) = represent(subject)
    np.testing.assert_array_equal(r.present["visual"], subject.rows % 2 == 1)
    assert r.present["linguistic"].all()


def test_figure_holds_a_panel_a_run(tmp_path, monkeypatch):
    figures = []
    original = plots._save
    monkeypatch.setattr(plots, "_save", lambda figure, path: (figures.append(figure), original(figure, path))[1])
    several = [made(name="one"), made(widths=(6, 4, 2), name="two")]
    placed = [project(r) for r in several]
    embed_figure(several, placed, [describe(r) for r in several], tmp_path / "a.png")
    titles = [a.get_title(loc="left") for a in figures[0].axes if a.get_visible() and a.get_title(loc="left")]
    assert titles == ["one", "two: linguistic alone", "two: visual alone", "two: acoustic alone"]
    panel = figures[0].axes[0]
    assert sum(len(c.get_offsets()) for c in panel.collections) == 3 * 40
    assert "retrieval@1" in panel.get_xlabel()
    assert "chance" in numbers(describe(several[0]))


def test_command(runs, tmp_path, capsys):
    folders = [str(runs / name) for name in NAMES]
    for out in ("a", "b"):
        arguments = ["embed", *folders, "--out", str(tmp_path / out), "--private", "--points", "8"]
        assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "cosine: true" in printed
    names = {"embed.png", "embed.json", "embed.csv", "embed_points.csv"}
    assert {p.name for p in (tmp_path / "a").iterdir()} == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    content = json.loads((tmp_path / "a" / "embed.json").read_text())
    expected = ["bert", "cmsbert-clr", "misa, shared", "misa, private", "self-mm"]
    assert [r["name"] for r in content["runs"]] == expected
    with (tmp_path / "a" / "embed.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["quantity"] for r in rows} == {"mean cosine of true pairs", "retrieval@1", "k-NN MAE"}
    assert len([r for r in rows if r["run"] == "cmsbert-clr"]) == 3 + 6 + 3
    assert {r["quantity"] for r in rows if r["run"] == "self-mm"} == {"k-NN MAE"}
    assert main(["embed", folders[0], "--split", "all", "--out", str(tmp_path / "c")]) == 0
    assert main(["embed", str(runs / "nobody")]) == 2
