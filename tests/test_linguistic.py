"""Word vectors: from a file, of a frozen encoder, or given."""

import gzip
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from modashift.backbones import load_backbone
from modashift.data.dataset import Feature
from modashift.errors import DataError, ModashiftError
from modashift.linguistic import WordVectors, choose, read_glove
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.setup import prepare, require_aligned
from support import toy_dataset

GLOVE = "good 1 2\nbad -1 -2\n. . . 7 7\nmovie 0.5 0\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def glove(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(GLOVE)
    return path


def test_wanted_words_are_read_and_others_skipped(glove):
    found = read_glove(glove, ["Good", "movie", "unseen"])
    assert {w: v.tolist() for w, v in found.items()} == {"Good": [1, 2], "movie": [0.5, 0]}


def test_an_exact_entry_wins_over_lower_case(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("US 1\nus 2\n")
    assert {w: v.item() for w, v in read_glove(path, ["US", "us", "Us"]).items()} == {"US": 1, "us": 2, "Us": 2}


def test_word2vec_header_and_compressed_files(tmp_path):
    plain = tmp_path / "w2v.txt"
    plain.write_text("2 3\ngood 1 2 3\nbad 4 5 6\n")
    packed, zipped = tmp_path / "w.txt.gz", tmp_path / "w.zip"
    with gzip.open(packed, "wt") as file:
        file.write(plain.read_text())
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(plain, "w.txt")
    for path in (plain, packed, zipped):
        assert read_glove(path, ["bad"])["bad"].tolist() == [4, 5, 6]


def test_a_file_of_something_else_is_named(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("good 1 2\nbad one two\n")
    with pytest.raises(DataError, match=r"v.txt, line 2: expected a word and 2 numbers"):
        read_glove(path, ["bad"])


def test_file_vectors_stand_at_their_words_and_survive_saving(glove, tmp_path):
    data = toy_dataset(12)
    vectors, _ = choose("auto", str(glove), "minilm", -1, 50, data, aligned=True)
    full, vectors, notes = vectors.add_to(data)
    assert list(full.features) == ["linguistic", "visual", "acoustic"]
    for row in range(len(data)):
        for word, vector in zip(data.words[row], full.features["linguistic"][row]):
            assert vector.tolist() == {"good": [1, 2], "bad": [-1, -2], "movie": [0.5, 0]}.get(word, [0, 0])
    assert "have no vector" in notes[0]
    state = vectors.save(tmp_path)
    glove.unlink()  # a model folder can be taken elsewhere
    again = WordVectors.load(tmp_path, state).add_to(data)[0]
    assert np.array_equal(again.features["linguistic"].values, full.features["linguistic"].values)


def test_a_file_that_is_not_there_or_knows_no_word(glove, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        WordVectors("glove", str(tmp_path / "none.txt")).add_to(toy_dataset(6))
    glove.write_text("zebra 1 2\n")
    with pytest.raises(DataError, match="a vector for none of the"):
        WordVectors("glove", str(glove)).add_to(toy_dataset(6))
    with pytest.raises(DataError, match="--glove"):
        choose("glove", None, "minilm", -1, 50, toy_dataset(6), aligned=False)


@pytest.mark.parametrize("layer", [-1, 0, 1])
def test_frozen_states_are_the_mean_over_the_pieces_of_each_word(tiny_backbone, layer):
    """Against transformers on one utterance at a time, piece by piece."""
    from transformers import AutoModel

    data = toy_dataset(9)
    vectors, _ = choose("encoder", None, tiny_backbone, layer, 50, data, aligned=True)
    found = vectors.add_to(data)[0].features["linguistic"]
    backbone = load_backbone(tiny_backbone)
    model = AutoModel.from_pretrained(tiny_backbone).eval()
    for row in range(len(data)):
        encoding = backbone.tokenizer([data.words[row]], is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            states = model(**encoding, output_hidden_states=True).hidden_states[layer][0].numpy()
        for number in range(len(data.words[row])):
            at = [i for i, w in enumerate(encoding.word_ids(0)) if w == number]
            np.testing.assert_allclose(found[row][number], states[at].mean(0), atol=1e-5)


def test_states_come_from_the_cache_the_second_time(tiny_backbone, tmp_path, monkeypatch):
    data = toy_dataset(8)
    vectors, _ = choose("encoder", None, tiny_backbone, -1, 50, data, aligned=True)
    first = vectors.add_to(data, cache=True)[0].features["linguistic"]
    monkeypatch.setattr("modashift.linguistic._states", lambda *_: pytest.fail("computed again"))
    second = vectors.add_to(data, cache=True)[0].features["linguistic"]
    assert np.array_equal(first.values, second.values)
    with pytest.raises(pytest.fail.Exception):
        vectors.add_to(replace(data, words=[("good",)] * 8), cache=True)


def test_words_beyond_the_limit_have_no_vector(tiny_backbone):
    data = replace(toy_dataset(2), words=[("good",) * 60, ("bad",)])
    full = WordVectors("encoder", tiny_backbone, max_length=50).add_to(data)[0]
    assert full.features["linguistic"].lengths.tolist() == [48, 1]


def test_another_backbone_is_refused(tiny_backbone):
    with pytest.raises(DataError, match="weights differ"):
        WordVectors("encoder", tiny_backbone, fingerprint="0" * 64).add_to(toy_dataset(3))
    with pytest.raises(DataError, match="layers 0 \\(embeddings\\) to 2"):
        WordVectors("encoder", tiny_backbone, layer=7).add_to(toy_dataset(3))


def with_given(data, alignment):
    lengths = [len(w) + (2 if alignment == "frame" else 0) for w in data.words]
    feature = Feature.pack([np.ones((n, 4), np.float32) for n in lengths], 4)
    return replace(data, features={"linguistic": replace(feature, alignment=alignment), **data.features})


def test_auto_takes_what_the_data_have(tiny_backbone):
    data = toy_dataset(6)
    assert choose("auto", None, "b", -1, 50, with_given(data, "word"), aligned=True)[0].kind == "given"
    assert choose("auto", None, "b", -1, 50, with_given(data, "frame"), aligned=False)[0].kind == "given"
    found, notes = choose("auto", None, "b", -1, 50, with_given(data, "frame"), aligned=True)
    assert found.kind == "encoder"
    assert "word pieces" in notes[0]
    with pytest.raises(DataError, match="no linguistic features"):
        WordVectors("given").add_to(data)
    with pytest.raises(DataError, match="no words"):
        WordVectors("encoder", "b").add_to(replace(data, words=[()] * 6))


def test_unaligned_frames_are_refused_with_a_remedy():
    data = toy_dataset(6)
    frames = {m: replace(f, alignment="frame") for m, f in data.features.items()}
    require_aligned("mfn", data, "vectors")
    require_aligned("mfn", replace(data, features=frames), "vectors")  # equally many frames of each
    with pytest.raises(ModashiftError, match=r"needs every sequence at the same steps.*aligned_50.*mult"):
        require_aligned("mag-bert", replace(data, features=frames), "pieces")
    uneven = {**data.features, "visual": frames["visual"]}
    with pytest.raises(ModashiftError, match="visual of toy come in frames"):
        require_aligned("mfn", replace(data, features=uneven), "vectors")


def test_models_of_word_pieces_refuse_data_without_words(tiny_backbone):
    data = replace(with_given(toy_dataset(), "frame"), words=[()] * 60)
    with pytest.raises(ModashiftError, match="reads words, and toy has none"):
        prepare("bert", {}, DataArgs("toy"), TrainArgs(backbone=tiny_backbone), data)
