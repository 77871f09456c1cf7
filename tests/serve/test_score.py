"""From a clip to a result: the same features as in training, every absence said, ensembles averaged."""

from dataclasses import replace

import numpy as np
import pytest

from modashift.errors import DataError, ModashiftError
from modashift.extract.dataset import clips_dataset, column_names
from modashift.extract.recording import Span
from modashift.serve.ensemble import load_ensemble
from modashift.serve.inputs import model_input
from modashift.serve.needs import frame_columns, is_model, needs_of, split_sources
from modashift.serve.result import UtteranceResult, clean, label_of
from modashift.serve.score import score_clip
from modashift.serve.timeline import timeline

SAID = ["the movie was great", "it was awful"]


@pytest.fixture(scope="module")
def models(runs):
    return load_ensemble([str(runs / "cms")])


def test_features_are_those_that_training_data_are_made_of(models, clip_of):
    clip = clip_of(SAID)
    found, _ = model_input(clip, models)
    trained = clips_dataset([clip])
    assert found.ids == list(trained.ids) == ["clip_1", "clip_2"]
    for m in ("visual", "acoustic"):
        assert np.array_equal(found.features[m].values, trained.features[m].values)
        assert found.features[m].columns == trained.features[m].columns


def test_statistics_and_frames_are_made_as_the_model_was_trained(tmp_path, train_on, clip_of):
    both = ("mean", "sd")
    folder = train_on(tmp_path / "sd", sets=("covarep",), statistics=both)
    clip = clip_of(SAID, sets=("covarep",))
    found, _ = model_input(clip, load_ensemble([str(folder)]))
    expected = clips_dataset([clip], statistics=both)
    assert np.array_equal(found.features["acoustic"].values, expected.features["acoustic"].values)
    folder = train_on(tmp_path / "frames", sets=("face",), alignment="frame")
    clip = clip_of(SAID, sets=("face",))
    models = load_ensemble([str(folder)])
    found, _ = model_input(clip, models)
    expected = clips_dataset([clip], alignment="frame")
    assert np.array_equal(found.features["visual"].values, expected.features["visual"].values)
    shown = score_clip(clip, models).utterances[0].maps[0]
    assert len(shown.steps) == shown.values.shape[1] == expected.features["visual"].lengths[0]
    assert needs_of(folder).sets == {"visual": "face"}


@pytest.mark.parametrize("statistics", [("mean",), ("mean", "sd"), ("max", "last", "mean")])
def test_columns_tell_their_statistics(statistics):
    assert frame_columns(column_names(("F0", "VUV"), statistics)) == (("F0", "VUV"), statistics)


def test_other_columns_are_refused_by_name(models, clip_of):
    clip = clip_of(SAID, sets=("action-units", "covarep"))
    with pytest.raises(DataError, match=r"65 visual columns .*action-units.*modashift features"):
        score_clip(clip, models)


def test_what_a_recording_lacks_counts_as_missing_and_is_said(models, clip_of):
    clip = clip_of(SAID, sets=("covarep",))
    result = score_clip(clip, models, {"visual": "no face was found"})
    by = {m.modality: m for m in result.utterances[0].modalities}
    assert not by["visual"].used
    assert by["visual"].why == "no face was found"
    assert by["visual"].effect is None
    assert by["acoustic"].used
    assert "nonverbal" not in by  # nothing is together with the voice
    words = list(clip.words)
    acoustic = clips_dataset([clip]).features["acoustic"][0]
    slow = models.predictors[0].predict([[w.text for w in words[:4]]], [None], [acoustic])[0]
    assert result.utterances[0].score == pytest.approx(slow, abs=1e-5)


def test_a_stretch_without_a_face_is_said_of_that_utterance(models, clip_of):
    clip = clip_of(SAID)
    face = clip.features["visual"]
    gone = replace(face, mask=face.mask & (face.times < clip.spans[1].start - 0.2))
    result = score_clip(replace(clip, features={**clip.features, "visual": gone}), models)
    first, second = ({m.modality: m for m in u.modalities} for u in result.utterances)
    assert first["visual"].used
    assert not second["visual"].used
    assert "no face was found while these words were said" in second["visual"].why
    inside = (face.times >= clip.spans[0].start) & (face.times < clip.spans[0].end)
    assert first["visual"].coverage == pytest.approx(face.mask[inside].mean())


def test_parts_without_words_are_left_out_and_counted(models, clip_of):
    clip = clip_of(["it was good", "", "it was bad"])
    result = score_clip(clip, models)
    assert [u.id for u in result.utterances] == ["clip_1", "clip_3"]  # the ids of a store made of the recording
    assert "1 of 3 parts have no words" in result.notes[0]
    nothing = score_clip(replace(clip, words=(), spans=(Span(0, 5, 0, 0),)), models)
    assert nothing.utterances == ()
    assert nothing.timeline is None
    assert "No words were found" in nothing.notes[0]


def test_words_beyond_the_longest_input_are_marked(models, clip_of):
    clip = clip_of([" ".join(["good"] * 60)])
    utterance = score_clip(clip, models).utterances[0]
    assert [w.read for w in utterance.words] == [True] * 48 + [False] * 12
    assert {w.effect for w in utterance.words[48:]} == {0.0}
    assert "the last 12 here were not read" in utterance.notes[0]


def test_several_models_are_averaged_and_their_spread_is_given(runs, clip_of):
    clip = clip_of(SAID)
    alone = [score_clip(clip, load_ensemble([str(runs / name)])) for name in ("cms", "cms2")]
    both = score_clip(clip, load_ensemble([str(runs / "cms"), str(runs / "cms2")]))
    for k, u in enumerate(both.utterances):
        scores = [a.utterances[k].score for a in alone]
        assert u.scores == pytest.approx(scores, abs=1e-5)
        assert u.score == pytest.approx(np.mean(scores), abs=1e-5)
        assert u.seeds_sd == pytest.approx(np.std(scores, ddof=1), abs=1e-5)
        for w, *own in zip(u.words, *(a.utterances[k].words for a in alone)):
            assert w.effect == pytest.approx(np.mean([o.effect for o in own]), abs=1e-5)
            assert w.shift == pytest.approx(np.mean([o.shift for o in own]), abs=1e-5)
    assert alone[0].utterances[0].seeds_sd is None
    with pytest.raises(ModashiftError, match="words alone"):
        load_ensemble([str(runs / "cms"), str(runs / "bert")])


def test_without_explaining_only_the_scores_are_there(models, clip_of):
    clip = clip_of(SAID)
    quick, full = score_clip(clip, models, explain=False), score_clip(clip, models)
    assert [u.score for u in quick.utterances] == pytest.approx([u.score for u in full.utterances])
    assert all(w.effect is None for u in quick.utterances for w in u.words)
    assert all(m.effect is None for u in quick.utterances for m in u.modalities)


def test_features_that_nothing_extracts_are_refused_unless_allowed(tmp_path, runs):
    import json
    import shutil

    folder = tmp_path / "facet"
    shutil.copytree(runs / "cms", folder)
    state = json.loads((folder / "preprocessor.json").read_text())
    state["columns"]["visual"] = [f"Facet_{k}" for k in range(65)]
    (folder / "preprocessor.json").write_text(json.dumps(state))
    with pytest.raises(ModashiftError, match=r"65 columns: Facet_0, .*--missing-ok"):
        needs_of(folder)
    allowed = needs_of(folder, missing_ok=True)
    assert allowed.sets == {"acoustic": "covarep"}
    assert "Facet_0" in allowed.absent["visual"]
    assert is_model(str(folder))
    assert not is_model(str(tmp_path))
    assert split_sources("a, b,c") == ["a", "b", "c"]
    (tmp_path / "x,y").mkdir()
    assert split_sources(str(tmp_path / "x,y")) == [str(tmp_path / "x,y")]


def utterances(scores, seconds=2.0):
    return [UtteranceResult(str(k), k * seconds, (k + 1) * seconds, "x", s, (s,), None) for k, s in enumerate(scores)]


def test_the_timeline_finds_what_stands_out():
    found = timeline(utterances([0.1, 0.2, 2.0, 0.1, 0.0, -1.8, 0.1, 0.3, 0.2]))
    assert (found.highest, found.lowest, found.peaks) == (2, 5, (2, 5))
    assert found.mean == pytest.approx(np.mean([0.1, 0.2, 2.0, 0.1, 0.0, -1.8, 0.1, 0.3, 0.2]))
    assert timeline(utterances([0.1, 0.2, 0.1, 0.2])).peaks == ()
    assert timeline([]) is None
    assert timeline(utterances([1.0])).peaks == ()
    many = timeline(utterances([(-1) ** k * (1 + k / 50) for k in range(40)]))
    assert len(many.peaks) == 12


def test_names_of_the_seven_classes():
    assert [label_of(s) for s in (-3.7, -2, -0.6, 0.4, 1.2, 2.4, 2.6)] == [
        "strongly negative",
        "negative",
        "weakly negative",
        "neutral",
        "weakly positive",
        "positive",
        "strongly positive",
    ]


def test_text_that_could_harm_a_terminal_is_marked():
    assert clean("a\x1b[31mb\u202ec\udce9") == "a\ufffd[31mb\ufffdc?"
    assert clean("naïve “quotes” — 東京\n") == "naïve “quotes” — 東京\n"
