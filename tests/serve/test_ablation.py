"""Effects recomputed the slow way: one forward pass after the other."""

import numpy as np
import pytest
import torch

from modashift.evaluate.subject import Subject
from modashift.serve import ablation
from modashift.serve.ensemble import load_ensemble
from modashift.serve.inputs import model_input

SAID = ["the movie was great", "it was not lovely but boring and awful", "bad"]


@pytest.fixture(scope="module")
def subject(runs, clip_of):
    models = load_ensemble([str(runs / "cms")])
    dataset, _ = model_input(clip_of(SAID), models)
    return Subject.of(models.predictors[0], dataset)


def predicted(subject, row, words=None, without=()):
    """Score by the public interface, with some words and some modalities."""
    utterance = subject.dataset[row]
    kept = list(range(len(utterance.words))) if words is None else words
    features = {m: [None if m in without else utterance.features[m][kept]] for m in ("visual", "acoustic")}
    return subject.predictor.predict([[utterance.words[k] for k in kept]], **features)[0]


def test_a_words_effect_is_the_score_less_the_score_without_it(subject):
    scores = subject.score()
    for row in (0, 1):
        found = ablation.word_effects(subject, row, scores[row])
        n = len(subject.dataset.words[row])
        slow = [scores[row] - predicted(subject, row, [k for k in range(n) if k != gone]) for gone in range(n)]
        assert found == pytest.approx(slow, abs=1e-5)
        assert np.abs(found).max() > 1e-3  # the model does read the words
    assert np.isnan(ablation.word_effects(subject, 2, scores[2])).all()  # the only word


def test_a_modalitys_effect_is_the_score_less_the_score_without_it(subject):
    scores = subject.score()
    found = ablation.modality_effects(subject, scores)
    for row in range(3):
        assert scores[row] == pytest.approx(predicted(subject, row), abs=1e-5)
        for m in ("visual", "acoustic"):
            slow = scores[row] - predicted(subject, row, without=(m,))
            assert found[m][row] == pytest.approx(slow, abs=1e-5)
        both = scores[row] - predicted(subject, row, without=("visual", "acoustic"))
        assert found["nonverbal"][row] == pytest.approx(both, abs=1e-5)
    unknown = subject.predictor.preprocessor.tokenizer.unk_token_id
    ids = subject.encoded.ids[0].copy()
    ids[subject.encoded.words[0] >= 0] = unknown
    batch = subject.predictor.preprocessor.collate(subject.dataset, subject.encoded, [0])
    batch.text.ids[0] = torch.from_numpy(ids)
    with torch.no_grad():
        slow = scores[0] - float(subject.predictor.model(batch).prediction[0])
    assert found["linguistic"][0] == pytest.approx(slow, abs=1e-5)


def test_a_shifts_effect_by_hand(subject):
    model, preprocessor = subject.predictor.model, subject.predictor.preprocessor
    found = ablation.shift_effects(subject, 1)
    batch = preprocessor.collate(subject.dataset, subject.encoded, [1])
    own_shift = model.encoder._shift

    def without(positions):
        def shifted(*arguments):
            shift = own_shift(*arguments).clone()
            shift[:, positions] = 0
            return shift

        model.encoder._shift = shifted
        try:
            with torch.no_grad():
                return float(model(batch).prediction[0])
        finally:
            del model.encoder._shift

    score = without([])
    words = subject.encoded.words[1]
    slow = [score - without(np.flatnonzero(words == k).tolist()) for k in range(words.max() + 1)]
    assert found.effects == pytest.approx(slow, abs=1e-5)
    assert found.total == pytest.approx(score - without(list(range(len(words)))), abs=1e-5)
    assert abs(found.total) > 1e-4
    with torch.no_grad():
        details = model.encoder(batch, details=True)
    norms = np.mean([s[0].norm(dim=-1).numpy() for s in details.shifts.values()], axis=0)
    assert found.norms == pytest.approx([norms[words == k].mean() for k in range(words.max() + 1)], rel=1e-4)
    assert not model.encoder.shift["0"]._forward_hooks  # taken away again


def test_maps_hold_the_mean_magnitude_of_the_words_pieces(subject):
    inside = ablation.shift_effects(subject, 1).inside
    found = ablation.shift_maps([inside], len(subject.dataset.words[1]))
    for m in ("visual", "acoustic"):
        maps = inside.maps[m]
        for word in range(len(subject.dataset.words[1])):
            rows = [k for k, w in enumerate(inside.words) if w == word]
            slow = np.mean([[abs(maps[layer][k]) for k in rows] for layer in range(len(maps))], axis=(0, 1))
            assert found[m][word] == pytest.approx(slow)


def test_models_without_a_shift_and_recordings_without_features_have_none(runs, clip_of):
    words_only = load_ensemble([str(runs / "bert")])
    dataset, _ = model_input(clip_of(SAID), words_only)
    assert ablation.shift_effects(Subject.of(words_only.predictors[0], dataset), 0) is None
    models = load_ensemble([str(runs / "cms")])
    dataset, _ = model_input(clip_of(SAID, sets=()), models)
    subject = Subject.of(models.predictors[0], dataset)
    assert ablation.shift_effects(subject, 0) is None
    assert ablation.modality_effects(subject, subject.score())["visual"] == pytest.approx(0)
