"""From utterances to batches: which step of which word stands where."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from modashift.backbones import load_backbone
from modashift.data.dataset import Dataset, Feature
from modashift.data.normalise import Normaliser
from modashift.preprocess import Preprocessor


def dataset(alignment, sequences, words):
    n = len(words)
    feature = replace(
        Feature.pack([np.asarray(s, np.float32).reshape(-1, 2) for s in sequences], 2), alignment=alignment
    )
    return Dataset("d", [str(i) for i in range(n)], [str(i) for i in range(n)], np.array(["train"] * n), np.zeros(n),
                   [" ".join(w) for w in words], words, {"acoustic": feature})  # fmt: skip


@pytest.fixture
def preprocessor(tiny_backbone):
    return Preprocessor(load_backbone(tiny_backbone).tokenizer, Normaliser(), {"acoustic": 2}, {})


WORDS = [("unbelievable", "story"), ("good",)]  # un ##believ ##able | story, and good


def batch_of(preprocessor, data):
    return preprocessor.collate(data, preprocessor.encode(data), [0, 1])


def test_pieces_and_masks(preprocessor):
    batch = batch_of(preprocessor, dataset("word", [[], []], WORDS))
    assert batch.text.word.tolist() == [[-1, 0, 0, 0, 1, -1], [-1, 0, -1, -1, -1, -1]]
    assert batch.text.mask.sum(1).tolist() == [6, 3]
    assert batch.text.real.sum(1).tolist() == [4, 1]


def test_every_piece_gets_the_features_of_its_word(preprocessor):
    batch = batch_of(preprocessor, dataset("word", [[[1, 2], [3, 4]], [[5, 6]]], WORDS))
    acoustic = batch.features["acoustic"]
    assert acoustic.values[0].tolist() == [[0, 0], [1, 2], [1, 2], [1, 2], [3, 4], [0, 0]]
    assert acoustic.values[1].tolist() == [[0, 0], [5, 6], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert torch.equal(acoustic.mask, batch.text.real), "specials and padding carry no features and do not count"


def test_one_vector_stands_at_every_piece(preprocessor):
    batch = batch_of(preprocessor, dataset("utterance", [[[1, 2]], [[5, 6]]], WORDS))
    assert batch.features["acoustic"].values[0, 1:5].tolist() == [[1, 2]] * 4
    assert torch.equal(batch.features["acoustic"].mask, batch.text.real)


def test_frames_keep_their_own_rate(preprocessor):
    batch = batch_of(preprocessor, dataset("frame", [np.ones((9, 2)), np.ones((2, 2))], WORDS))
    assert batch.features["acoustic"].mask.sum(1).tolist() == [9, 2]


def test_an_utterance_without_the_modality_is_masked_out(preprocessor):
    for alignment in ("word", "utterance", "frame"):
        batch = batch_of(preprocessor, dataset(alignment, [[[1, 2]], []], [("good",), ("good",)]))
        assert batch.features["acoustic"].mask.any(1).tolist() == [True, False]


def test_words_without_features_are_masked_out(preprocessor):
    """Layouts with a fixed number of steps have none for the last words of long utterances."""
    batch = batch_of(preprocessor, dataset("word", [[[1, 2]], [[5, 6]]], WORDS))
    assert batch.features["acoustic"].mask[0].tolist() == [False, True, True, True, False, False]


def test_long_utterances_are_cut(preprocessor):
    data = dataset("word", [np.ones((60, 2)), [[5, 6]]], [("good",) * 60, ("good",)])
    batch = batch_of(preprocessor, data)
    assert batch.text.ids.shape == (2, 50)
    assert batch.text.real[0].sum() == 48


def test_steps_by_word(preprocessor):
    by_word = replace(preprocessor, steps="word")
    batch = batch_of(by_word, dataset("word", [[[1, 2], [3, 4]], [[5, 6]]], WORDS))
    assert batch.features["acoustic"].values.tolist() == [[[1, 2], [3, 4]], [[5, 6], [0, 0]]]
    assert batch.features["acoustic"].mask.tolist() == [[True, True], [True, False]]


def test_save_and_load(preprocessor, tmp_path):
    changed = replace(preprocessor, normaliser=Normaliser("segment"), columns={"acoustic": ("a", "b")}, max_length=20,
                      alignments={"acoustic": "word"})  # fmt: skip
    changed.save(tmp_path)
    again = Preprocessor.load(tmp_path)
    data = dataset("word", [[[1, 2], [3, 4]], [[5, 6]]], WORDS)
    for a, b in ((changed, again),):
        left, right = batch_of(a, data), batch_of(b, data)
        assert torch.equal(left.text.ids, right.text.ids)
        assert torch.equal(left.features["acoustic"].values, right.features["acoustic"].values)
    assert again.columns == {"acoustic": ("a", "b")}
    assert again.max_length == 20


def test_plain_words_are_read_like_the_written_ones(preprocessor, tmp_path):
    plain = replace(preprocessor, plain_words=True)
    spoken = dataset("word", [[[1, 2]] * 4, [[5, 6]]], [("GOOD", "--", "story", "!"), ("good",)])
    batch = batch_of(plain, spoken)
    assert batch.text.word[0].tolist() == [-1, 0, 2, -1], (
        "words without a letter have no piece, the others their number"
    )
    assert torch.equal(
        batch.text.ids[0], batch_of(preprocessor, dataset("word", [[], []], [("good", "story"), ()])).text.ids[0]
    )
    plain.save(tmp_path)
    assert Preprocessor.load(tmp_path).plain_words
