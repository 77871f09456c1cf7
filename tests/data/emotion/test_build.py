"""From a corpus to a data set: features on words, frames and utterances; relative to the speaker; resumed."""

import math
import os

import numpy as np
import pytest

from modashift.data.emotion import frames as making
from modashift.data.emotion import read_iemocap, read_ravdess
from modashift.data.emotion.build import build_dataset, pauses_after
from modashift.data.emotion.cli import corpus as command
from modashift.data.emotion.cli import make_dataset
from modashift.data.emotion.corpus import Corpus, CorpusRow, Given
from modashift.data.emotion.frames import extract_all, read_sound, waveform_frames
from modashift.data.emotion.speakers import standardise_speakers
from modashift.data.speaker_folds import protocol_splits
from modashift.data.states import state_columns
from modashift.data.store import open_store
from modashift.errors import DataError
from modashift.extract.recording import Frames, TimedWord


def row(name, words=(), text="one two", label="sad", speaker="s1", **more):
    from pathlib import Path

    return CorpusRow(name, Path(f"{name}.wav"), text, tuple(TimedWord(*w) for w in words), label, speaker, **more)


def frames(values, step=0.1):
    values = np.array(values, dtype=np.float32)
    times = step * (np.arange(len(values)) + 0.5)
    return Frames("made", ("a", "b"), values, times, np.ones(len(values), dtype=bool))


VALUES = [[0, 1], [2, np.nan], [4, 3], [6, np.nan], [8, np.nan], [10, 9]]
TWO = (("one", 0.0, 0.2), ("two", 0.3, 0.5))


def small(*rows, **more):
    return Corpus("small", rows, ("happy", "sad"), **more)


def test_words_have_the_means_of_their_frames():
    data = build_dataset(small(row("u", TWO)), {"u": frames(VALUES)})
    # Word two has no finite entry in column b, so it stands at that of the other word.
    np.testing.assert_allclose(data.features["acoustic"][0], [[1, 1], [7, 1]])
    assert data.features["acoustic"].alignment == "word"
    assert data.classes == ("happy", "sad")
    assert data.labels.tolist() == [1.0]
    assert any("1 entries without a finite value" in note for note in data.provenance["notes"])


def test_deviations_come_after_the_means():
    data = build_dataset(small(row("u", TWO)), {"u": frames(VALUES)}, statistics="mean+sd")
    np.testing.assert_allclose(data.features["acoustic"][0], [[1, 1, 1, 0], [7, 1, 1, 0]])
    assert data.features["acoustic"].columns == ("a", "b", "a:sd", "b:sd")


def test_a_word_beyond_the_frames_stands_at_the_mean_of_the_others():
    words = (*TWO, ("late", 3.0, 3.2))
    data = build_dataset(small(row("u", words)), {"u": frames(VALUES)})
    np.testing.assert_allclose(data.features["acoustic"][0], [[1, 1], [7, 1], [4, 1]])
    assert "1 of 3 words had no frame and stand at the mean of the other words" in data.provenance["notes"]


def test_without_word_times_each_word_stands_for_all_of_the_recording():
    data = build_dataset(small(row("u", TWO), row("v")), {"u": frames(VALUES), "v": frames(VALUES)})
    np.testing.assert_allclose(data.features["acoustic"][1], [[5, 13 / 3]] * 2)
    assert data.words[1] == ("one", "two")
    with pytest.raises(DataError, match="no word times; take steps of a frame"):
        build_dataset(small(row("v")), {"v": frames(VALUES)})


def test_frames_and_utterances():
    made = {"u": frames(VALUES), "v": frames(VALUES[:2])}
    both = small(row("u", TWO), row("v"))
    framed = build_dataset(both, made, "frame").features["acoustic"]
    assert framed.alignment == "frame"
    assert framed.lengths.tolist() == [6, 2]
    np.testing.assert_allclose(framed[0][:, 1], [1, 13 / 3, 3, 13 / 3, 13 / 3, 9], rtol=1e-6)
    whole = build_dataset(both, made, "utterance", "mean+sd").features["acoustic"]
    assert whole.alignment == "utterance"
    np.testing.assert_allclose(whole[0], [[4, 2, math.sqrt(8), 1]], rtol=1e-6)  # from the first word to the last
    np.testing.assert_allclose(whole[1], [[1, 1, 1, 0]], rtol=1e-6)


def test_what_cannot_be_read_is_missing_there():
    made = {"u": frames(VALUES), "v": DataError("v.wav is damaged")}
    data = build_dataset(small(row("u", TWO), row("v", TWO)), made)
    assert data.features["acoustic"].lengths.tolist() == [2, 0]
    assert any("1 recordings without sound" in note and "v.wav" in note for note in data.provenance["notes"])


def test_given_features_and_pauses():
    words = (("one", 0.0, 0.2), ("two", 0.2, 0.5), ("three", 1.25, 1.5))
    units = Given("visual", ("x",), {"u": np.array([7.0], dtype=np.float32)})
    both = small(row("u", words, "one two three"), row("v"), given={"units": units})
    data = build_dataset(both, given=["units"], pauses=True)
    assert data.features["visual"].alignment == "utterance"
    assert data.features["visual"].lengths.tolist() == [1, 0]
    np.testing.assert_allclose(data.features["linguistic"][0], [[0], [0.75], [0]])
    np.testing.assert_array_equal(pauses_after(both.rows[0]), data.features["linguistic"][0])
    assert data.features["linguistic"].lengths.tolist() == [3, 0]
    with pytest.raises(DataError, match="no features faces come with it"):
        build_dataset(both, given=["faces"])


def test_groups_are_speakers_or_sessions():
    rows = (row("u", session="d1", sex="F"), row("v", speaker="s2", session="d1", label="happy"))
    data = build_dataset(small(*rows))
    assert list(data.groups) == ["s1", "s2"]
    assert data.provenance["speakers"] == {"s1": {"session": "d1", "sex": "F"}, "s2": {"session": "d1", "sex": ""}}
    data = build_dataset(small(*rows, group="session"))
    assert list(data.groups) == ["d1", "d1"]
    assert "speakers" not in data.provenance


def test_speakers_are_standardised_by_their_own_recordings():
    rng = np.random.default_rng(0)
    rows = [row(f"u{k}", TWO, speaker=f"s{k % 3}") for k in range(12)]
    made = {r.id: frames(rng.normal(5 * (k % 3), 1 + k % 3, (6, 2))) for k, r in enumerate(rows)}
    plain = build_dataset(small(*rows), made)
    data = build_dataset(small(*rows), made, by_speaker=True)
    for speaker in ("s0", "s1", "s2"):
        own = [i for i in range(12) if data.groups[i] == speaker]
        steps = np.concatenate([data.features["acoustic"][i] for i in own])
        np.testing.assert_allclose(steps.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(steps.std(0), 1, atol=1e-6)
        before = np.concatenate([plain.features["acoustic"][i] for i in own]).astype(np.float64)
        np.testing.assert_allclose(steps, (before - before.mean(0)) / before.std(0), atol=1e-5)
    assert "standardised by each speaker" in data.provenance["notes"][-1]
    shuffled = plain.with_splits(np.array(["train"] * 5 + ["dev"] * 3 + ["test"] * 4))
    again = standardise_speakers(shuffled)  # splits do not matter
    np.testing.assert_array_equal(again.features["acoustic"].values, data.features["acoustic"].values)


def test_a_constant_column_becomes_zero_and_a_single_recording_is_refused():
    rows = [row("u", TWO), row("v", TWO)]
    made = {"u": frames([[1, 2]] * 6), "v": frames([[1, 4]] * 6)}
    data = build_dataset(small(*rows), made, by_speaker=True)
    np.testing.assert_allclose(data.features["acoustic"].values, [[0, -1], [0, -1], [0, 1], [0, 1]])
    with pytest.raises(DataError, match="s1 has 1 recording with acoustic"):
        build_dataset(small(row("u", TWO)), {"u": frames(VALUES)}, by_speaker=True)
    with pytest.raises(DataError, match="2 recordings but 1 speakers"):
        standardise_speakers(data, ["s1"])


# Making features


def test_waveform_frames_hold_every_sample(tmp_path, write_sound):
    write_sound(tmp_path / "a.wav", 0.1234)
    signal, rate = read_sound(tmp_path / "a.wav")
    made = waveform_frames(signal, rate)
    assert made.values.shape == (13, 160)  # 1,974 samples
    np.testing.assert_allclose(made.values.reshape(-1)[: len(signal)], signal, atol=1e-7)
    assert (made.values.reshape(-1)[len(signal) :] == 0).all()
    assert made.times[:2].tolist() == pytest.approx([0.005, 0.015])


def test_covarep_columns_of_the_voice_are_absent_where_there_is_none(tmp_path, write_sound):
    write_sound(tmp_path / "a.wav", 0.6)
    signal, rate = read_sound(tmp_path / "a.wav")
    made = making.covarep_frames(np.concatenate([signal, np.zeros(4000) + 1e-4]), rate)
    voiced = made.values[:, 1] > 0
    assert 10 < voiced.sum() < len(voiced)
    assert np.isfinite(made.values[voiced][:, 0]).all()
    assert np.isnan(made.values[~voiced][:, 0]).all()
    assert np.isfinite(made.values[:, 11:36]).all()


def test_an_extraction_goes_on_where_it_stopped(tmp_path, write_sound, monkeypatch):
    paths = {name: tmp_path / f"{name}.wav" for name in ("a", "b", "c")}
    for path in paths.values():
        write_sound(path, 0.2)
    cache, made, seen = tmp_path / "cache", [], []
    original = making.SETS["waveform"]

    def counted(signal, rate):
        made.append(1)
        if len(made) == 3:
            raise KeyboardInterrupt
        return original.make(signal, rate)

    monkeypatch.setitem(making.SETS, "waveform", making.Maker("1", counted))
    with pytest.raises(KeyboardInterrupt):
        list(extract_all(paths, "waveform", cache, processes=1))
    assert sorted(p.name for p in (cache / "waveform").iterdir()) == ["a.npz", "b.npz"]  # whole files only
    found = dict(extract_all(paths, "waveform", cache, processes=1, done=lambda: seen.append(1)))
    assert len(made) == 4  # of those that were there, none was made again
    assert len(seen) == 3
    np.testing.assert_array_equal(found["a"].values, waveform_frames(*read_sound(paths["a"])).values)
    write_sound(paths["b"], 0.3)  # another recording under the same name
    assert len(dict(extract_all(paths, "waveform", cache, processes=1))["b"].values) == 30
    assert len(made) == 5
    (cache / "waveform" / "c.npz").write_bytes(b"damaged")
    dict(extract_all(paths, "waveform", cache, processes=1))
    assert len(made) == 6
    monkeypatch.setitem(making.SETS, "waveform", making.Maker("2", counted))  # the numbers mean something else
    dict(extract_all(paths, "waveform", cache, processes=1))
    assert len(made) == 9


def test_several_processes_make_the_same(tmp_path, write_sound):
    paths = {name: tmp_path / f"{name}.wav" for name in "abcd"}
    for k, path in enumerate(paths.values()):
        write_sound(path, 0.2 + 0.05 * k)
    paths["none"] = tmp_path / "none.wav"
    one = dict(extract_all(paths, "mfcc", tmp_path / "one", processes=1))
    two = dict(extract_all(paths, "mfcc", tmp_path / "two", processes=2))
    assert list(two) == list(paths)
    for name in "abcd":
        np.testing.assert_array_equal(one[name].values, two[name].values)
    assert "no recording" in str(one["none"])
    assert "no recording" in str(two["none"])


def test_unreadable_sound(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFFnothing")
    with pytest.raises(DataError, match="cannot be read as sound"):
        read_sound(tmp_path / "a.wav")
    with pytest.raises(DataError, match="no feature set 'x'"):
        list(extract_all({}, "x", tmp_path))


# The command


def test_iemocap_becomes_a_store(iemocap, tmp_path, capsys):
    out = tmp_path / "small.store"
    command("iemocap", str(iemocap), str(out), features="mfcc,pauses", steps="word", part=True, processes=1)
    data = open_store(out)
    assert data.classes == ("angry", "happy", "sad", "neutral")
    assert data.sizes() == {"linguistic": 1, "acoustic": 120}
    assert data[0].words == ("Excuse", "me.")
    assert data.features["acoustic"].alignment == "word"
    assert sorted(set(data.groups)) == ["Ses01F", "Ses01M", "Ses02F", "Ses02M"]
    assert {d["session"] for d in data.provenance["speakers"].values()} == {"Ses01", "Ses02"}
    assert data.provenance["sha256"].keys() == {"Ses01F_impro01.txt", "Ses01M_script01_1b.txt", "Ses02M_impro02.txt"}
    splits = protocol_splits(data, "speaker4", 1)
    assert [data.groups[i] for i in np.flatnonzero(splits == "test")] == ["Ses01F"] * 3
    assert "7 recordings of 4 classes" in capsys.readouterr().out
    assert (tmp_path / "small.store.cache" / "mfcc").is_dir()


def test_features_that_are_not_there(iemocap, tmp_path):
    cases = {
        "action-units": "no features action-units; of this folder there are covarep, mfcc, waveform, pauses",
        "covarep,mfcc": "both acoustic",
    }
    for features, message in cases.items():
        with pytest.raises(DataError, match=message):
            make_dataset("iemocap", iemocap, features, part=True, cache=tmp_path)
    with pytest.raises(DataError, match="steps of frames only"):
        make_dataset("iemocap", iemocap, "waveform", "word", part=True, cache=tmp_path)


def test_missing_recordings_stop_unless_told_otherwise(iemocap, tmp_path):
    rows = read_iemocap(iemocap, part=True).rows
    os.unlink(rows[0].path)
    arguments = {"part": True, "processes": 1, "cache": tmp_path / "cache"}
    with pytest.raises(DataError, match=r"1 of 7 recordings .* --skip_unreadable true"):
        make_dataset("iemocap", iemocap, "mfcc", **arguments)
    data = make_dataset("iemocap", iemocap, "mfcc", skip_unreadable=True, **arguments)
    assert data.features["acoustic"].lengths[0] == 0
    assert data.features["acoustic"].alignment == "frame"


def test_words_alone(tmp_path, write_sound):
    write_sound(tmp_path / "03-01-01-01-01-01-01.wav", 0.1)
    write_sound(tmp_path / "03-01-05-01-01-01-02.wav", 0.1)
    data = make_dataset("ravdess", tmp_path, "none", part=True)
    assert data.features == {}
    assert data[1].words == ("Kids", "are", "talking", "by", "the", "door")
    assert data.labels.tolist() == [0.0, 4.0]
    assert len(read_ravdess(tmp_path, part=True).rows) == 2


def test_hidden_states_of_a_speech_encoder_are_features(iemocap, tmp_path):
    arguments = {"part": True, "cache": tmp_path / "cache", "processes": 1}
    words = make_dataset("iemocap", iemocap, "tiny-speech", layers="2", **arguments).features["acoustic"]
    columns = state_columns(words)
    assert columns is not None
    assert (columns.encoder, columns.layers, words.alignment) == ("tiny-speech@all", (2,), "word")
    frames = make_dataset("iemocap", iemocap, "tiny-speech@5", "frame", layers="0,2", **arguments).features["acoustic"]
    both = state_columns(frames)
    assert both is not None
    assert (both.layers, frames.dim, frames.alignment) == ((0, 2), 2 * columns.size, "frame")
    assert frames.values.dtype == np.float16
    every = make_dataset("iemocap", iemocap, "tiny-speech", "frame", layers="2", **arguments).features["acoustic"]
    assert every.lengths[0] > 5 * frames.lengths[0]
    # A word is the mean of the states within it.
    assert every[0].min(0) == pytest.approx(np.minimum(every[0].min(0), words[0].min(0)), abs=2e-3)
    with pytest.raises(DataError, match="no features tiny-speach; of this folder there are covarep"):
        make_dataset("iemocap", iemocap, "tiny-speach", **arguments)


def test_states_of_another_layer_are_not_taken_from_the_cache(iemocap, tmp_path):
    arguments = {"part": True, "cache": tmp_path / "cache", "processes": 1}
    first = make_dataset("iemocap", iemocap, "tiny-speech", layers="1", **arguments).features["acoustic"]
    other = make_dataset("iemocap", iemocap, "tiny-speech", layers="2", **arguments).features["acoustic"]
    assert not np.array_equal(first.values, other.values)
