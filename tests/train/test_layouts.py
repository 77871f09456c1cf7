"""Every model on every layout that fits it, and a clear refusal, with a remedy, of those that do not."""

from dataclasses import replace

import numpy as np
import pytest

import modashift
from modashift.data.dataset import Feature
from modashift.errors import DataError, ModashiftError
from modashift.models import MODELS, get_model
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from support import toy_dataset

NEEDS_STEPS = {"mfn", "raven", "mfm", "mag-bert"}
VECTORS = {"tfn", "mfn", "raven", "mfm", "mult", "mha", "f3", "gated-encoders"}
VOICE = {"mha", "f3"}  # of face and voice they take the voice alone
# augpause reads pauses, which none of these layouts has: see tests/models/test_augpause.py.
NEW = sorted(set(MODELS) - {"bert", "cmsbert-1", "cmsbert", "cmsbert-clr", "augpause"})


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def args(tiny_backbone):
    return TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=16, tensorboard=False, average=0.0)


def frames(dataset, lengths):
    """The data set with face and voice at rates of their own, some utterances without one of them."""
    rng = np.random.default_rng(0)
    features = {}
    for m, most in lengths.items():
        dim = dataset.features[m].dim
        steps = [rng.normal(size=(rng.integers(0, most), dim)).astype(np.float32) for _ in range(len(dataset))]
        features[m] = replace(Feature.pack(steps, dim), alignment="frame")
    return replace(dataset, features={**dataset.features, **features})


def without_words(dataset, together):
    """Vectors instead of words, as MulT's pickles have it; with equal steps or each modality with its own."""
    rng = np.random.default_rng(1)
    sizes = {"linguistic": 6, **dataset.sizes()}
    counts = rng.integers(2, 9, size=len(dataset))
    features = {}
    for k, (m, dim) in enumerate(sizes.items()):
        steps = [rng.normal(size=(n if together else n + 3 * k, dim)).astype(np.float32) for n in counts]
        features[m] = replace(Feature.pack(steps, dim), alignment="frame")
    return replace(dataset, words=[()] * len(dataset), texts=[""] * len(dataset), features=features)


def run(folder, name, args, dataset, **more):
    return train(name, DataArgs("toy", **more), folder, args, silent=True, dataset=dataset)


def test_the_lists_here_are_those_of_the_models():
    assert {n for n in MODELS if get_model(n).text == "vectors"} == VECTORS
    assert {n for n in MODELS if get_model(n).aligned} == NEEDS_STEPS


@pytest.mark.parametrize("name", NEW)
def test_unaligned_sequences(tmp_path, args, name):
    data = frames(toy_dataset(), {"visual": 30, "acoustic": 23})
    if name in NEEDS_STEPS:
        with pytest.raises(ModashiftError, match=f"{name} needs every sequence at the same steps, and visual and acou"):
            run(tmp_path / "run", name, args, data)
        return
    results = run(tmp_path / "run", name, args, data)
    assert np.isfinite(results["splits"]["test"]["mae"])
    predictor = modashift.load(tmp_path / "run")
    again = predictor.predict_dataset(data, data.rows("test"))
    assert np.abs(again - data.labels[data.rows("test")]).mean() == pytest.approx(results["splits"]["test"]["mae"])


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", NEW)
def test_vectors_without_words(tmp_path, args, name, together):
    data = without_words(toy_dataset(), together)
    if name not in VECTORS:
        with pytest.raises(ModashiftError, match=r"reads words, and toy has none.*use a model that reads vectors"):
            run(tmp_path / "run", name, args, data)
    elif name in NEEDS_STEPS and not together:
        with pytest.raises(ModashiftError, match="needs every sequence at the same steps"):
            run(tmp_path / "run", name, args, data)
    else:
        run(tmp_path / "run", name, args, data)
        predictor = modashift.load(tmp_path / "run")
        assert np.isfinite(predictor.predict_dataset(data)).all()
        with pytest.raises(DataError, match=r"give those of the texts as linguistic="):
            predictor.predict(["good"], [None], [None])


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_new_texts_are_scored_with_frozen_states_and_with_word_vectors(tmp_path, args, name):
    glove = tmp_path / "glove.txt"
    glove.write_text("".join(f"{w} {i} {i % 3} 1\n" for i, w in enumerate(("good", "great", "bad", "movie", "was"))))
    data = toy_dataset()
    for kind, more in (("encoder", {}), ("glove", {"glove": str(glove)})):
        run(tmp_path / kind, name, args, data, text=kind, **more)
        predictor = modashift.load(tmp_path / kind)
        assert predictor.modalities == (("acoustic",) if name in VOICE else ("visual", "acoustic"))
        visual, acoustic = np.ones((3, 5), np.float32), np.ones((3, 3), np.float32)
        faces, face = (None, None) if name in VOICE else ([visual, None], [None])
        first = predictor.predict(["good movie was", "bad"], faces, [acoustic, None])
        alone = predictor.predict(["bad"], face, [None])
        assert first[1] == pytest.approx(alone[0], abs=1e-5)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("present", [("visual",), ("acoustic",)])
def test_one_modality_is_enough(tmp_path, args, name, present):
    if name in VOICE and "acoustic" not in present:
        with pytest.raises(ModashiftError, match="the data have no acoustic features"):
            run(tmp_path / "run", name, args, toy_dataset(features=present))
        return
    results = run(tmp_path / "run", name, args, toy_dataset(features=present))
    assert np.isfinite(results["splits"]["test"]["mae"])
