import pickle
from dataclasses import replace

import numpy as np
import pytest

from modashift.data.mag import read_mag
from modashift.data.misa import read_misa
from modashift.data.mmsa import read_mmsa
from modashift.data.mmsa_write import write_mmsa
from modashift.errors import DataError

TEXTS = ["so good", "the film is bad", "no", "good good good", "a b c d e"]


def part(texts=TEXTS, length=8, first=1, ids=None, seed=0, **changes):
    """A split with values at the words' steps: from `first`, or up to the end where it is None."""
    rng = np.random.default_rng(seed)
    n = len(texts)
    content = {
        "raw_text": np.array(texts),
        "id": np.array(ids or [f"v{seed}$_${k + 1}" for k in range(n)]),
        "audio": np.zeros((n, length, 3), np.float32),
        "vision": np.zeros((n, length, 2), np.float32),
        "regression_labels": np.linspace(-3, 3, n).astype(np.float32),
    }
    for row, text in enumerate(texts):
        count = len(text.split())
        start = length - count if first is None else first
        for key in ("audio", "vision"):
            steps = content[key][row, start : start + count]
            steps[:] = rng.uniform(0.5, 1, steps.shape)
    content.update(changes)
    return {key: value for key, value in content.items() if value is not None}


def write(tmp_path, train, **others):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"train": train, **others}))
    return path


@pytest.mark.parametrize("first", [1, 0, None])
def test_where_the_words_stand_is_found_from_the_values(tmp_path, first):
    data = read_mmsa(
        write(tmp_path, part(first=first), valid=part(first=first, seed=1), test=part(first=first, seed=2))
    )
    assert data.splits.tolist() == ["train"] * 5 + ["dev"] * 5 + ["test"] * 5
    for modality, dim in (("visual", 2), ("acoustic", 3)):
        feature = data.features[modality]
        assert (feature.alignment, feature.dim) == ("word", dim)
        assert feature.lengths.tolist() == [len(t.split()) for t in TEXTS] * 3
        assert (feature.values != 0).all()
    assert data[1].words == ("the", "film", "is", "bad")
    assert (data[1].id, data[1].group) == ("v0_2", "v0")


def test_a_zero_step_within_the_words_is_a_missing_one(tmp_path):
    content = part(length=9, texts=TEXTS * 4)
    content["vision"][1, 2] = 0
    content["vision"][4] = 0
    content["vision"][3, 3] = 0  # the last word of one row among many
    data = read_mmsa(write(tmp_path, content))
    assert data.features["visual"].alignment == "word"
    assert data.features["visual"].lengths[:5].tolist() == [2, 4, 1, 3, 5]
    assert not data[1].features["visual"][1].any()
    assert not data[4].features["visual"].any()


def test_texts_longer_than_the_arrays(tmp_path):
    texts = [*TEXTS, "one two three four five six seven eight nine"]
    content = part(texts=texts, length=8)
    content["audio"][5, 7] = content["vision"][5, 7] = 0  # [SEP]
    data = read_mmsa(write(tmp_path, content))
    assert data.features["visual"].lengths.tolist()[-1] == 6
    assert any("1 utterances have more words than steps" in note for note in data.provenance["notes"])
    content["vision"][5, 7] = 1
    assert read_mmsa(write(tmp_path, content)).features["visual"].lengths.tolist()[-1] == 7


def test_steps_that_match_no_words_are_frames(tmp_path):
    content = part(length=20)
    content["audio"] = np.ones((5, 20, 3), np.float32)
    content["audio"][:, 15:] = 0
    content["audio"][:, 0] = 0
    content["audio"][2] = 0
    data = read_mmsa(write(tmp_path, content))
    assert data.features["acoustic"].alignment == "frame"
    assert data.features["acoustic"].lengths.tolist() == [14, 14, 0, 14, 14]
    assert data.features["visual"].alignment == "word"
    assert any("do not match the words" in note for note in data.provenance["notes"])


def test_lengths_are_taken_where_given(tmp_path):
    content = part(length=20, audio_lengths=[3, 4, 0, 20, 1], vision_lengths=np.array([1.0, 2, 3, 4, 5]))
    data = read_mmsa(write(tmp_path, content))
    assert data.features["acoustic"].lengths.tolist() == [3, 4, 0, 20, 1]
    assert data.features["visual"].lengths.tolist() == [1, 2, 3, 4, 5]
    assert {f.alignment for f in data.features.values()} == {"frame"}


def test_one_step_is_the_utterance(tmp_path):
    data = read_mmsa(write(tmp_path, part(audio=np.ones((5, 1, 3)), vision=None)))
    assert data.features["acoustic"].alignment == "utterance"
    assert "visual" not in data.features


@pytest.mark.parametrize("kind", [np.float32, np.int64, object])
def test_states_of_the_text(tmp_path, kind):
    words = [len(t.split()) for t in TEXTS]
    states = np.random.default_rng(0).standard_normal((5, 10, 4)).astype(np.float32)
    bert = np.zeros((5, 3, 10), dtype=kind)
    for row, count in enumerate(words):
        bert[row, 1, : count + 2] = 1
    data = read_mmsa(write(tmp_path, part(text=states, text_bert=bert)))
    assert data.features["linguistic"].alignment == "word"
    np.testing.assert_array_equal(data[1].features["linguistic"], states[1, 1:5])
    bert[0, 1, :5] = 1  # a word in two pieces
    data = read_mmsa(write(tmp_path, part(text=states, text_bert=bert)))
    assert data.features["linguistic"].alignment == "frame"
    assert data.features["linguistic"].lengths.tolist() == [5, *(c + 2 for c in words[1:])]
    states[:, 7:] = 0
    data = read_mmsa(write(tmp_path, part(text=states)))
    assert data.features["linguistic"].lengths.tolist() == [7] * 5


def test_nonfinite_values_are_not_padding(tmp_path):
    content = part()
    content["audio"][2] = 0
    content["audio"][2, 1] = -np.inf
    data = read_mmsa(write(tmp_path, content))
    assert np.isneginf(data[2].features["acoustic"]).all()
    content = part()
    content["audio"] = np.full((5, 8, 3), 1e300)
    assert np.isinf(read_mmsa(write(tmp_path, content)).features["acoustic"].values).all()


def test_clips_counted_from_zero(tmp_path):
    ids = ["a$_$0", "a$_$1", "b$_$3", "c", "d$_$x"]
    data = read_mmsa(write(tmp_path, part(ids=ids)))
    assert list(data.ids) == ["a_1", "a_2", "b_4", "c", "d_x"]
    assert list(data.groups) == ["a", "a", "b", "c", "d"]
    assert data.provenance["first_clip"] == 0
    data = read_mmsa(write(tmp_path, part(ids=["a$_$1", "a$_$2", "b$_$0003", "c", "d$_$x"])))
    assert list(data.ids)[:3] == ["a_1", "a_2", "b_3"]


def test_values_of_other_types(tmp_path):
    raw = np.array([t.encode() for t in TEXTS], dtype=object)
    labels = np.array([1, 2, 3, 0, -1], dtype=object)
    data = read_mmsa(write(tmp_path, part(raw_text=raw, regression_labels=labels, audio=part()["audio"].tolist())))
    assert data[0].text == "so good"
    assert data.labels.tolist() == [1, 2, 3, 0, -1]
    assert data.sizes() == {"visual": 2, "acoustic": 3}


BROKEN = {
    "no id": ({"id": None}, "train: the key 'id' is missing"),
    "no text": ({"raw_text": None}, "the key 'raw_text' is missing"),
    "labels": ({"regression_labels": np.zeros(4)}, "unequal numbers.*id 5.*regression_labels 4"),
    "audio rows": ({"audio": np.zeros((4, 8, 3))}, "unequal numbers.*audio 4"),
    "audio shape": ({"audio": np.zeros((5, 8))}, r"train, audio: expected .*\(5, 8\)"),
    "audio type": ({"audio": np.full((5, 8, 3), "a")}, "train, audio: not an array of numbers"),
    "audio ragged": ({"audio": [[1], [2, 3]]}, "train, audio: not an array of numbers"),
    "lengths": ({"audio_lengths": [1, 2]}, "audio_lengths: expected 5 lengths"),
    "lengths beyond": ({"audio_lengths": [9, 2, 2, 2, 2]}, "lengths of 0 to 8"),
    "text_bert": ({"text": np.zeros((5, 8, 2)), "text_bert": np.zeros((5, 8))}, r"text_bert: expected .*\(5, 8\)"),
    "labels as text": ({"regression_labels": ["a"] * 5}, "regression_labels: not an array"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(tmp_path, name):
    changes, message = BROKEN[name]
    with pytest.raises(DataError, match=rf"x\.pkl, .*{message}"):
        read_mmsa(write(tmp_path, part(**changes)))


def test_broken_structure(tmp_path):
    with pytest.raises(DataError, match="MMSA's layout"):
        read_mmsa(write(tmp_path, [1]))
    with pytest.raises(DataError, match="valid: expected a dictionary"):
        read_mmsa(write(tmp_path, part(), valid=[1]))
    with pytest.raises(DataError, match="'audio' is missing in dev only"):
        read_mmsa(write(tmp_path, part(), valid=part(audio=None, seed=1)))


@pytest.mark.parametrize("alignment", ["word", "frame", "utterance"])
def test_round_trip(make, same, tmp_path, alignment):
    data = make(videos=8, alignment=alignment)
    write_mmsa(data, tmp_path / "x.pkl", length=12)
    same(data, read_mmsa(tmp_path / "x.pkl"))
    content = pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert list(content) == ["train", "valid", "test"]
    assert content["train"]["id"][0] == "vid0$_$1"
    assert "text_bert" not in content["train"]
    if alignment == "word":
        assert content["train"]["audio"].shape == (12, 12, 5)
        assert not content["train"]["audio"][:, 0].any()
    assert set(content["train"]["annotations"]) <= {"Negative", "Neutral", "Positive"}


def test_word_pieces_are_written_with_a_tokenizer(make, same, tmp_path):
    data = make(modalities=("linguistic", "visual"))
    write_mmsa(data, tmp_path / "x.pkl", tokenize=lambda text: [101, *range(1, 1 + len(text.split())), 102])
    bert = pickle.loads((tmp_path / "x.pkl").read_bytes())["train"]["text_bert"]
    words = [len(data.words[r]) for r in data.rows("train")]
    assert bert.shape == (6, 3, 50)
    assert bert[:, 1].sum(1).tolist() == [n + 2 for n in words]
    assert bert[0, 0, : words[0] + 2].tolist() == [101, *range(1, words[0] + 1), 102]
    same(data, read_mmsa(tmp_path / "x.pkl"))


def test_words_that_are_not_the_text_split(make, tmp_path):
    data = make()
    write_mmsa(replace(data, texts=["Good, bad!"] * len(data)), tmp_path / "x.pkl")
    assert [u.words for u in read_mmsa(tmp_path / "x.pkl")] == [u.words for u in data]
    with pytest.raises(DataError, match="white space"):
        write_mmsa(replace(data, words=[("a b",) * len(w) for w in data.words]), tmp_path / "x.pkl")


def test_ids_outside_the_convention_stay_unique(make, tmp_path):
    data = make(videos=4, each=1)
    data = replace(data, ids=["a", "vid1", "vid2_x", "vid3_1"], splits=np.array(["train"] * 4))
    write_mmsa(data, tmp_path / "x.pkl")
    assert list(read_mmsa(tmp_path / "x.pkl").ids) == ["vid0_a", "vid1", "vid2_x", "vid3_1"]


def test_what_the_layout_cannot_hold(make, tmp_path):
    with pytest.raises(DataError, match="linguistic features of words only"):
        write_mmsa(make(modalities=("linguistic",), alignment="frame"), tmp_path / "x.pkl")
    data = make()
    with pytest.raises(DataError, match="declared word-aligned"):
        write_mmsa(replace(data, words=[w[:-1] for w in data.words]), tmp_path / "x.pkl")
    assert not list(tmp_path.iterdir())


def test_the_three_real_files_agree(mosi, same):
    misa, mag = read_misa(mosi / "misa_dev.pkl"), read_mag(mosi / "mag_format.pkl")
    mmsa = read_mmsa(mosi / "mmsa_format.pkl")
    assert (len(misa), int(misa.features["visual"].offsets[-1])) == (229, 2524)
    assert misa.sizes() == {"visual": 47, "acoustic": 74}
    same(mag, mmsa)
    same(misa, mag, splits=False)
    assert [len(mag.rows(s)) for s in ("train", "dev", "test")] == [134, 55, 40]


def test_real_files_round_trip(mosi, same, tmp_path):
    data = read_mmsa(mosi / "mmsa_format.pkl")
    write_mmsa(data, tmp_path / "x.pkl")
    same(data, read_mmsa(tmp_path / "x.pkl"))
