"""Models that read words as vectors and can do without them: they get just the modalities that are chosen."""

from dataclasses import replace

import numpy as np
import pytest

from made_layers import ALWAYS, layered
from modashift import load
from modashift.data.dataset import Feature
from modashift.data.store import open_store, write_store
from modashift.errors import DataError, ModashiftError
from modashift.evaluate.robustness import conditions, measure
from modashift.evaluate.subject import Subject
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from modashift.train.setup import prepare
from support import toy_dataset

SIZES = {"train": 16, "dev": 6, "test": 6}
OPTIONS = {"encoder_size": 8, "fused_size": 4}
ARGS = TrainArgs(epochs=1, batch_size=8, tensorboard=False, device="cpu")


@pytest.fixture
def both():
    return layered({"acoustic": {1: ALWAYS}, "linguistic": {2: ALWAYS}}, {"acoustic": (1,), "linguistic": (2,)}, SIZES)


def modalities(dataset, **data):
    setup = prepare("gated-encoders", OPTIONS, DataArgs("made", **data), ARGS, dataset)
    return set(setup.preprocessor.modality_sizes), setup


def test_features_say_exactly_what_is_read(both):
    assert modalities(both)[0] == {"acoustic", "linguistic"}
    assert modalities(both, features=["linguistic"])[0] == {"linguistic"}
    found, setup = modalities(both, features=["acoustic"])
    assert found == {"acoustic"}
    assert setup.preprocessor.vectors is None
    assert "words: none, the model has acoustic" in setup.notes


def test_without_words_there_are_none(both):
    silent = both.keep_features(["acoustic"])
    assert modalities(silent)[0] == {"acoustic"}
    with pytest.raises(DataError, match="has no words"):
        modalities(silent, features=["acoustic", "linguistic"])
    worded = replace(silent, words=[("hm",)] * len(silent))
    assert modalities(worded, text="given")[0] == {"acoustic"}
    with pytest.raises(DataError, match="has no linguistic features"):
        modalities(worded, features=["linguistic"], text="given")
    with pytest.raises(ModashiftError, match="has none of the modalities it takes"):
        modalities(replace(silent, features={}))


def test_others_read_words_whatever_is_chosen(both):
    with pytest.raises(ModashiftError, match=r"mult cannot use linguistic features \(it takes: visual, acoustic\)"):
        prepare("mult", {}, DataArgs("made", features=["linguistic"]), ARGS, both)
    setup = prepare("mult", {"layers": 1}, DataArgs("made", features=["acoustic"]), ARGS, both)
    assert set(setup.preprocessor.modality_sizes) == {"linguistic", "acoustic"}


def test_a_model_without_words_trains_is_loaded_and_predicts(both, tmp_path):
    write_store(both, tmp_path / "both.store")
    train(
        "gated-encoders",
        DataArgs(str(tmp_path / "both.store"), features=["acoustic"]),
        tmp_path / "run",
        ARGS,
        OPTIONS,
        silent=True,
    )
    predictor = load(tmp_path / "run")
    assert predictor.preprocessor.tokenizer is None
    assert predictor.preprocessor.vectors is None
    scores = predictor.predict_dataset(open_store(tmp_path / "both.store"))
    assert scores.shape == (len(both),)
    # The words have no say in it.
    other = replace(both, words=[("anything",)] * len(both), features={"acoustic": both.features["acoustic"]})
    assert np.array_equal(predictor.predict_dataset(other), scores)
    again = predictor.save_pretrained(tmp_path / "copy")
    assert np.array_equal(load(again).predict_dataset(both), scores)


def test_words_alone_are_nothing_to_a_model_without_words(both, tmp_path):
    write_store(both, tmp_path / "both.store")
    data = DataArgs(str(tmp_path / "both.store"), features=["acoustic"])
    train("gated-encoders", data, tmp_path / "run", ARGS, OPTIONS, silent=True)
    predictor = load(tmp_path / "run")
    with pytest.raises(DataError, match="reads no words: give it acoustic features"):
        predictor.predict(["what of it"])
    steps = np.ones((3, 4))
    first, second = predictor.predict(["one", "two"], acoustic=[steps, steps])
    assert first == second
    subject = Subject.of(predictor, both, both.rows("test"))
    found = measure(subject, conditions(["acoustic"], draws=1, shares=(1.0,), noise=(), errors=(0.4,)))
    clean, *others = (found[c][0] for c in found)
    by_words = [found[c][0] for c in found if c.modality == "linguistic"]
    assert len(by_words) == 3
    assert all(np.array_equal(scores, clean) for scores in by_words)
    assert not np.array_equal(others[0], clean)


def test_steps_at_words_need_no_vectors():
    worded = toy_dataset(30, features=("visual", "acoustic"))
    steps = worded.features["visual"]
    setup = modalities(worded, features=["visual"])[1]
    batch = setup.preprocessor.collate(setup.dataset, setup.encoded, [0, 1])
    assert batch.features["visual"].mask.sum(1).tolist() == [len(steps[0]), len(steps[1])]
    assert np.allclose(batch.features["visual"].values[0, : len(steps[0])], steps[0])
    # A layout without the words themselves; an utterance that lacks a modality keeps the steps of the other.
    lacking = [steps[k] if k else steps[k][:0] for k in range(30)]
    features = {**worded.features, "visual": Feature.pack(lacking, steps.dim)}
    mute = replace(worded, words=[()] * 30, features=features)
    setup = modalities(mute)[1]
    batch = setup.preprocessor.collate(setup.dataset, setup.encoded, [0, 1])
    assert batch.features["visual"].mask.sum(1).tolist() == [0, len(steps[1])]
    assert batch.features["acoustic"].mask.sum(1).tolist() == [len(steps[0]), len(steps[1])]
