"""Explanations: what is shown is what the model did, and the check of the map can come out either way."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import modashift
from modashift.__main__ import main
from modashift.data.dataset import Feature
from modashift.evaluate.attribution import attribution, rank_correlation
from modashift.evaluate.explain import explain
from modashift.evaluate.explain_files import write_explanation
from modashift.evaluate.shift import look_inside
from modashift.evaluate.subject import Subject
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from support import toy_dataset, write_table

NAMES = ("bert", "cmsbert", "misa", "mfn")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_backbone):
    folder = tmp_path_factory.mktemp("runs")
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=8, tensorboard=False)
    data = toy_dataset()
    (folder / "data").mkdir()
    table = write_table(data, folder / "data")
    for name in NAMES:
        options = {"shift": {"initial_scale": 0.5}} if name == "cmsbert" else {}
        train(name, DataArgs(str(table)), folder / name, args, options, silent=True)
    return folder


def utterance(runs, name="cmsbert", words=8, **changes):
    data = toy_dataset()
    row = next(r for r in range(len(data)) if len(data.words[r]) == words)
    return Subject.of(modashift.load(runs / name), replace(data.take([row]), **changes))


def planted(runs, place=2):
    """A cmsbert whose gates are open everywhere, on an utterance that only at one acoustic step holds anything."""
    features = {
        "visual": Feature.pack([np.zeros((11, 5), np.float32)], 5),
        "acoustic": Feature.pack([np.zeros((11, 3), np.float32)], 3),
    }
    features["acoustic"].values[place] = 9.0
    subject = utterance(runs, words=11, features=features)
    for module in subject.predictor.model.encoder.shift.values():
        for gate in module.gate.values():
            torch.nn.init.zeros_(gate.weight)
            torch.nn.init.ones_(gate.bias)
    return subject


def test_the_map_of_a_planted_step_is_confirmed(runs):
    found = explain(planted(runs), top=1, seed=3)
    assert found.items[found.check.top[0]] == ("acoustic", 2)
    others = np.delete(found.check.changes, found.check.top[0])
    assert abs(found.check.changes[found.check.top[0]]) > 2 * np.abs(others).max()
    column = found.inside.maps["acoustic"][:, found.inside.real]
    assert np.abs(column[:, :, 2]).min() > 0
    np.testing.assert_array_equal(np.delete(column, 2, axis=2), 0)
    assert found.check.exact
    assert found.check.p == 1 / 22
    assert "beyond what random choices do" in found.check.sentences()[0]


def test_a_map_that_names_another_step_is_not_confirmed(runs, monkeypatch):
    from modashift.evaluate import explain as module

    subject = planted(runs)
    true = look_inside(subject)
    false = replace(true, maps={m: np.roll(v, 4, axis=2) for m, v in true.maps.items()})
    monkeypatch.setattr(module, "look_inside", lambda *_: false)
    check = explain(subject, top=1).check
    assert check.p > 0.05
    assert "within what random choices do" in check.sentences()[0]


@pytest.mark.parametrize("matters", [True, False])
def test_attribution_tells_a_true_map_from_a_false_one(matters):
    rng = np.random.default_rng(0)
    weight = np.sort(rng.exponential(size=30))[::-1] ** 2 * rng.choice([-1, 1], 30)
    claimed = np.abs(weight) if matters else rng.permutation(np.sort(np.abs(weight)))
    if not matters:
        claimed = np.roll(np.abs(weight), 15)  # the map's favourites are steps of little weight
    result = attribution(claimed, np.sign(weight) * claimed, claimed, lambda gone: 1.0 - gone @ weight, k=3, draws=400)
    assert result.changes == pytest.approx(-weight)
    assert result.top_change == pytest.approx(-weight[result.top].sum())
    assert not result.exact
    assert len(result.random_changes) == 400
    text = " ".join(result.sentences())
    if matters:
        assert result.top == [0, 1, 2]
        assert result.rank == pytest.approx(1.0)
        assert result.sign_rank == pytest.approx(1.0)
        assert "the two agree" in text
    else:
        assert result.p > 0.3
        assert "within what random choices do" in text
        assert "do not agree" in text


def test_all_choices_are_counted_where_there_are_few():
    weight = np.array([8.0, 4.0, 2.0, 1.0, 0.5])
    result = attribution(weight, weight, weight, lambda gone: gone @ weight, k=2, draws=10)
    assert result.exact
    assert sorted(result.random_changes) == sorted(a + b for i, a in enumerate(weight) for b in weight[i + 1 :])
    assert result.p == 1 / 10
    with pytest.raises(ValueError, match="at least four"):
        attribution(weight[:3], weight[:3], weight[:3], lambda gone: gone @ weight[:3])


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    a = rng.normal(size=25)
    b = np.round(a + rng.normal(size=25), 1)  # with ties
    found, p = rank_correlation(a, b)
    reference = spearmanr(a, b, alternative="greater")
    assert found == pytest.approx(reference.statistic)
    assert p == pytest.approx(reference.pvalue, abs=0.005)
    assert np.isnan(rank_correlation(np.ones(5), a[:5])[0])


def test_maps_add_up_to_the_shift(runs):
    subject = utterance(runs)
    inside = look_inside(subject)
    batch = next(subject.batches())
    details = subject.predictor.model.encoder(batch, details=True)
    count = int(batch.features["visual"].mask.sum())
    for k, layer in enumerate(inside.layers):
        mean = details.shifts[layer - 1][0].mean(-1).detach().numpy()
        np.testing.assert_allclose(inside.summed()[k].sum(1) / count, mean, atol=1e-5)
        np.testing.assert_allclose(inside.norms[k], details.shifts[layer - 1][0].norm(dim=-1).detach(), atol=1e-5)
    assert inside.layers == [1, 2]
    assert inside.steps["visual"] == list(subject.dataset.words[0])
    assert inside.maps["visual"].shape == (2, len(inside.pieces), 8)
    assert look_inside(subject, [2]).layers == [2]
    with pytest.raises(ValueError, match="those that have are 1, 2"):
        look_inside(subject, [3])


def test_a_step_is_removed_at_every_piece_of_its_word(runs):
    """Masking out all steps one by one is the same as an utterance whose features lack them."""
    subject = utterance(runs, words=8)
    words = list(subject.dataset.words[0])
    words[3] = "unbelievably"  # several pieces
    subject = Subject.of(subject.predictor, replace(subject.source, words=[tuple(words)]))
    inside = look_inside(subject)
    assert (inside.words == 3).sum() > 1
    assert inside.maps["acoustic"].shape[2] == 8
    check = explain(subject).check
    everything = explain(subject).modality_changes["both"]
    total = attribution(np.ones(16), np.ones(16), np.ones(16), _score(subject), k=8, draws=1)
    assert len(check.changes) == 16
    gone = _score(subject)(np.stack([np.zeros(16, bool), np.ones(16, bool)]))
    assert gone[1] - gone[0] == pytest.approx(everything, abs=1e-5)
    assert total.changes == pytest.approx(check.changes, abs=1e-5)


def _score(subject):
    from modashift.evaluate.explain import _scores

    items = [(m, s) for m in ("visual", "acoustic") for s in range(8)]
    return lambda gone: _scores(subject, items, gone)


def test_words_left_out_are_really_left_out(runs):
    subject = utterance(runs, "misa")
    found = explain(subject)
    words, features = list(subject.dataset.words[0]), {m: f[0] for m, f in subject.dataset.features.items()}
    for k in (0, 5):
        shorter = words[:k] + words[k + 1 :]
        own = {m: [np.delete(f, k, axis=0)] for m, f in features.items()}
        score = subject.predictor.predict([shorter], **own)[0]
        assert found.word_changes[k] == pytest.approx(score - found.prediction, abs=1e-5)
    assert found.inside is None
    assert "no maps" in found.notes[0]
    assert set(found.modality_changes) == {"visual", "acoustic", "both"}


def test_word_vectors_are_made_anew_for_the_words_that_are_left(runs):
    subject = utterance(runs, "mfn")
    found = explain(subject)
    assert len(found.word_changes) == 8
    assert np.ptp(found.word_changes) > 0
    assert found.units == list(subject.dataset.words[0])


def test_dead_gates_are_reported(runs):
    subject = planted(runs)
    for gate in subject.predictor.model.encoder.shift["1"].gate.values():
        torch.nn.init.constant_(gate.bias, -1.0)
    inside = look_inside(subject)
    assert inside.zero_gates["visual"].tolist() == [0, 1]
    assert [w for w in inside.warnings() if "visual gates of layer 2 " in w]


def test_a_window_leaves_gates_out_that_cannot_open(tmp_path, tiny_backbone):
    data = toy_dataset()
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=8, tensorboard=False)
    options = {"shift": {"context_window": 1, "gate_bias": 5.0}}
    train("cmsbert", DataArgs("toy"), tmp_path / "run", args, options, silent=True, dataset=data)
    inside = look_inside(Subject.of(modashift.load(tmp_path / "run"), data.take([0])))
    gates = inside.gates["visual"][0]
    assert np.isnan(gates).any()
    assert not inside.zero_gates["visual"].any()  # those outside the window do not count as closed


def test_one_vector_for_the_utterance_is_one_step(tmp_path, tiny_backbone):
    data = toy_dataset(features=("acoustic",))
    acoustic = Feature.pack([data.features["acoustic"][r][:1] for r in range(len(data))], 3)
    data = replace(data, features={"acoustic": replace(acoustic, alignment="utterance")})
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=8, tensorboard=False)
    train("cmsbert", DataArgs("toy"), tmp_path / "run", args, silent=True, dataset=data)
    found = explain(Subject.of(modashift.load(tmp_path / "run"), data.take([0])))
    assert found.items == [("acoustic", 0)]
    assert found.check is None
    assert any("1 steps are too few" in n for n in found.notes)
    write_explanation(found, tmp_path / "out", "title")
    assert (tmp_path / "out" / "map_layer2.png").is_file()


def test_frames_have_columns_of_their_own(tmp_path, tiny_backbone):
    data = toy_dataset()
    rng = np.random.default_rng(0)
    visual = Feature.pack([rng.normal(size=(17, 5)) for _ in range(len(data))], 5)
    data = replace(data, features={**data.features, "visual": replace(visual, alignment="frame")})
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=8, tensorboard=False)
    train("cmsbert", DataArgs("toy"), tmp_path / "run", args, silent=True, dataset=data)
    found = explain(Subject.of(modashift.load(tmp_path / "run"), data.take([0])), draws=20)
    assert found.inside.steps["visual"][-1] == "17"
    assert found.inside.summed() is None
    assert len(found.items) == 17 + len(data.words[0])
    write_explanation(found, tmp_path / "out", "title")


def test_command(runs, tmp_path, capsys):
    identifier = toy_dataset().ids[1]
    for suffix in ("png", "svg"):
        out = tmp_path / suffix
        arguments = ["explain", str(runs / "cmsbert"), "--id", identifier, "--out", str(out), "--format", suffix]
        assert main([*arguments, "--draws", "30"]) == 0
        names = {p.name for p in out.iterdir()}
        pictures = {f"{n}.{suffix}" for n in ("maps", "map_layer2", "shift", "attribution", "left_out")}
        assert names == {*pictures, "explanation.npz", "explanation.json"}
    printed = capsys.readouterr().out
    assert "with the map's strongest cells" in printed
    content = json.loads((out / "explanation.json").read_text())
    assert content["id"] == identifier
    assert len(content["attribution"]["top_steps"]) == 3
    with np.load(out / "explanation.npz", allow_pickle=False) as arrays:
        n = len(toy_dataset().words[1])
        assert arrays["map_visual"].shape[0] == 2
        assert arrays["map_visual"].shape[2] == n
        assert len(arrays["step_changes"]) == 2 * n
        assert len(arrays["word_changes"]) == n
    assert main([*arguments, "--draws", "30", "--layers", "2"]) == 0
    assert json.loads((out / "explanation.json").read_text())["zero_gates"]["visual"].keys() == {"2"}


def test_command_on_a_text_and_without_a_shift(runs, capsys):
    assert main(["explain", str(runs / "cmsbert"), "--text", "a good movie"]) == 0
    printed = capsys.readouterr().out
    assert "no face or voice features" in printed
    assert (runs / "cmsbert" / "explain" / "text" / "left_out.png").is_file()
    assert main(["explain", str(runs / "bert"), "--text", "good"]) == 0
    assert "BERT has no shift" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--id"),
        (["--id", "v0_0", "--text", "good"], "--id"),
        (["--id", "nobody"], "no utterance 'nobody'; it has 60, such as"),
        (["--id", "v0_0", "--layers", "9"], "no shift"),
        (["--text", "  "], "no words"),
        (["--id", "v0_0", "--top", "0"], "at least 1"),
    ],
)
def test_command_says_what_is_wrong(runs, capsys, arguments, message):
    assert main(["explain", str(runs / "cmsbert"), *arguments]) == 2
    assert message in capsys.readouterr().err
