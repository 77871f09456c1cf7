"""RAVDESS and CREMA-D are read from file names, MELD from tables; words from transcripts."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import RESEARCH_DATA
from modashift.data.emotion import read_corpus, read_crema_d, read_meld, read_ravdess
from modashift.data.emotion.corpus import place_words, spoken_words
from modashift.data.emotion.crema_d import COUNTS as CREMA_COUNTS
from modashift.data.emotion.meld import COUNTS as MELD_COUNTS
from modashift.data.emotion.meld import mend
from modashift.data.emotion.ravdess import UNITS
from modashift.errors import DataError
from modashift.extract.recording import TimedWord


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


# RAVDESS


def test_ravdess_reads_names(tmp_path):
    touch(
        tmp_path,
        "Actor_01/03-01-01-01-01-01-01.wav",
        "Actor_12/03-01-08-02-02-02-12.wav",
        "Actor_12/01-01-08-02-02-02-12.mp4",  # the same take with picture
        "Actor_12/02-01-08-02-02-02-12.mp4",  # without sound
        "Actor_12/03-02-05-02-02-02-12.wav",  # song
        "Actor_02/01-01-05-02-02-01-02.mp4",  # with picture only
        "Actor_02/notes.wav",
    )
    corpus = read_ravdess(tmp_path, part=True)
    told = [(r.id, r.label, r.speaker, r.sex, r.text, r.session) for r in corpus.rows]
    assert told == [
        ("01-01-05-02-02-01-02", "angry", "actor02", "F", "Dogs are sitting by the door", ""),
        ("03-01-01-01-01-01-01", "neutral", "actor01", "M", "Kids are talking by the door", ""),
        ("03-01-08-02-02-02-12", "surprised", "actor12", "F", "Dogs are sitting by the door", ""),
    ]
    assert all(row.words == () for row in corpus.rows)
    assert corpus.given == {}


def test_ravdess_takes_times_and_faces_from_beside(tmp_path):
    touch(tmp_path, "a/03-01-01-01-01-01-01.flac", "a/03-01-02-01-01-01-01.flac", "a/03-01-03-01-01-01-01.flac")
    words = [["kids", 0.9, 1.2], ["are", 1.2, 1.3], ["talking", 1.3, 1.7], ["by", 1.7, 1.8], ["the", 1.8, 2.0],
             ["door", 2.0, 2.3]]  # fmt: skip
    about = {"03-01-01-01-01-01-01": {"duration": 3.3, "words": words}, "03-01-02-01-01-01-01": {"words": None}}
    (tmp_path / "word_align.json").write_text(json.dumps(about), encoding="utf-8")
    vectors = np.arange(70, dtype=np.float64).reshape(2, 35)
    np.savez(tmp_path / "clips.npz", ids=np.array(["01-01-02-01-01-01-01", "01-01-01-01-01-01-01"]), au35=vectors)
    corpus = read_ravdess(tmp_path, part=True)
    assert [w.text for w in corpus.rows[0].words] == ["Kids", "are", "talking", "by", "the", "door"]
    assert corpus.rows[0].words[2][1:3] == (1.3, 1.7)
    assert corpus.rows[1].words == corpus.rows[2].words == ()
    units = corpus.given["action-units"]
    assert units.modality == "visual"
    assert units.columns == UNITS
    assert len(UNITS) == 35
    assert units.vectors["03-01-01-01-01-01-01"].tolist() == vectors[1].tolist()
    assert "03-01-03-01-01-01-01" not in units.vectors


def test_ravdess_as_it_is_here():
    folder = RESEARCH_DATA / "ravdess"
    if not folder.is_dir():
        pytest.skip(f"research data not present at {folder}")
    corpus = read_ravdess(folder, part=True)
    assert len(corpus.rows) == 720
    assert len({row.speaker for row in corpus.rows}) == 12
    counts = {name: sum(row.label == name for row in corpus.rows) for name in corpus.classes}
    assert counts.pop("neutral") == 48
    assert set(counts.values()) == {96}
    assert sum(bool(row.words) for row in corpus.rows) == 714
    assert len(corpus.given["action-units"].vectors) == 720
    with pytest.raises(DataError, match="720 recordings of speech, the corpus has 1440"):
        read_ravdess(folder)


def test_ravdess_refuses_damage(tmp_path):
    with pytest.raises(DataError, match="no recording of speech"):
        read_ravdess(tmp_path)
    touch(tmp_path, "03-01-01-01-01-01-01.wav")
    (tmp_path / "word_align.json").write_text('{"03-01-01-01-01-01-01": {"words": [["a", 2, 1]]}}', encoding="utf-8")
    with pytest.raises(DataError, match="ends before it starts"):
        read_ravdess(tmp_path, part=True)
    (tmp_path / "word_align.json").write_text('{"03-01-01-01-01-01-01": 3}', encoding="utf-8")
    with pytest.raises(DataError, match=r"word_align\.json: expected"):
        read_ravdess(tmp_path, part=True)
    (tmp_path / "word_align.json").unlink()
    np.savez(tmp_path / "clips.npz", ids=np.array(["01-01-01-01-01-01-01"]), au35=np.zeros((1, 3)))
    with pytest.raises(DataError, match="expected 35 columns"):
        read_ravdess(tmp_path, part=True)


# CREMA-D


def test_crema_d_reads_names(tmp_path):
    touch(
        tmp_path,
        "AudioWAV/1001_DFA_ANG_XX.wav",
        "AudioWAV/1002_IEO_HAP_LO.wav",
        "AudioWAV/1040_ITH_SAD_X.wav",
        "VideoFlash/1002_IEO_HAP_LO.flv",
        "AudioWAV/._1001_DFA_ANG_XX.wav",
    )
    (tmp_path / "VideoDemographics.csv").write_text(
        "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,C,N\n1002,21,Female,C,N\n", encoding="utf-8"
    )
    corpus = read_crema_d(tmp_path, part=True)
    assert [(r.id, r.label, r.speaker, r.sex, r.text, r.path.suffix) for r in corpus.rows] == [
        ("1001_DFA_ANG_XX", "angry", "actor1001", "M", "Don't forget a jacket", ".wav"),
        ("1002_IEO_HAP_LO", "happy", "actor1002", "F", "It's eleven o'clock", ".wav"),
        ("1040_ITH_SAD_X", "sad", "actor1040", "", "I think I have a doctor's appointment", ".wav"),
    ]
    assert corpus.classes == ("angry", "disgust", "fearful", "happy", "neutral", "sad")
    with pytest.raises(DataError, match=r"angry 1 \(expected 1271\)"):
        read_crema_d(tmp_path)
    assert sum(CREMA_COUNTS.values()) == 7442


def test_crema_d_refuses_unknown_names(tmp_path):
    with pytest.raises(DataError, match="no recording such as"):
        read_crema_d(tmp_path)
    touch(tmp_path, "1001_QQQ_ANG_XX.wav")
    with pytest.raises(DataError, match="QQQ is no sentence"):
        read_crema_d(tmp_path, part=True)


# MELD

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"


def meld(folder: Path) -> Path:
    (folder / "train_sent_emo.csv").write_text(
        HEADER
        + '1,"also I was the point person, and it\x92s fine",Chandler,neutral,neutral,0,0,8,21,"00:16,1","00:16,2"\n'
        '2,"You mustve had your hands full.",Monica,Surprise,positive,0,1,8,21,"a","b"\n',
        encoding="utf-8",
    )
    (folder / "dev_sent_emo.csv").write_bytes(
        (HEADER + '1,"Oh\x92 yes",Joey,joy,positive,0,0,1,1,"a","b"\n').encode("latin-1")  # raw Windows bytes
    )
    (folder / "test_sent_emo.csv").write_text(HEADER + "1,No.,Ross,anger,negative,3,5,1,1,a,b\n", encoding="utf-8")
    touch(folder, "train_splits/dia0_utt0.mp4", "train_splits/._dia0_utt1.mp4", "dev_splits_complete/dia0_utt0.mp4")
    touch(folder, "output_repeated_splits_test/dia3_utt5.mp4")
    return folder


def test_meld_reads_tables_and_finds_recordings(tmp_path):
    corpus = read_meld(meld(tmp_path), part=True)
    assert [(r.id, r.split, r.label, r.speaker, r.session) for r in corpus.rows] == [
        ("train_dia0_utt0", "train", "neutral", "Chandler", "train_dia0"),
        ("train_dia0_utt1", "train", "surprise", "Monica", "train_dia0"),
        ("dev_dia0_utt0", "dev", "joy", "Joey", "dev_dia0"),
        ("test_dia3_utt5", "test", "anger", "Ross", "test_dia3"),
    ]
    assert corpus.rows[0].text == "also I was the point person, and it’s fine"
    assert corpus.rows[2].text == "Oh’ yes"
    assert corpus.group == "session"
    assert [row.path.is_file() for row in corpus.rows] == [True, False, True, True]
    assert corpus.rows[2].path.parent.name == "dev_splits_complete"
    assert corpus.notes == ("1 utterances have no recording",)


def test_meld_checks_its_size_and_tables(tmp_path):
    folder = meld(tmp_path)
    assert MELD_COUNTS == {"train": 9989, "dev": 1109, "test": 2610}
    with pytest.raises(DataError, match=r"train 2 \(expected 9989\)"):
        read_meld(folder)
    (folder / "test_sent_emo.csv").write_text(HEADER + "1,No.,Ross,bliss,negative,3,5,1,1,a,b\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 2: the emotion 'bliss'"):
        read_meld(folder, part=True)
    (folder / "test_sent_emo.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column Utterance"):
        read_meld(folder, part=True)
    (folder / "test_sent_emo.csv").unlink()
    assert len(read_meld(folder, part=True).rows) == 3
    with pytest.raises(DataError, match="no test_sent_emo"):
        read_meld(folder)


@given(st.text())
def test_mending_touches_control_characters_only(text):
    assert not any("\x80" <= c <= "\x9f" for c in mend(text))
    kept = "".join(c for c in text if not "\x80" <= c <= "\x9f")
    assert mend(kept) == kept
    assert mend("it\x92s \x93so\x94") == "it’s “so”"


# Words


def test_sounds_and_lone_marks_are_no_words():
    assert spoken_words("[LAUGHTER] Well-- I, uh -- don't <noise> know...") == (
        "Well--",
        "I,",
        "uh",
        "don't",
        "know...",
    )
    assert spoken_words("[BREATHING] --") == ()


WORDS = st.lists(st.sampled_from(["the", "a", "dog", "ran", "o'clock"]), min_size=1, max_size=12)


@given(WORDS, st.sets(st.integers(0, 11)))
def test_times_rise_and_known_words_keep_theirs(words, dropped):
    timed = [TimedWord(w.upper(), 0.5 * k, 0.5 * k + 0.4) for k, w in enumerate(words) if k not in dropped]
    if not timed:
        return
    placed = place_words(" ".join(words), timed)
    assert all(w.start <= w.end + 1e-9 for w in placed)
    assert all(a.start <= b.start + 1e-9 for a, b in pairwise(placed))
    assert [w.text for w in placed] == words
    own = {(w.text.lower(), w.start, w.end) for w in placed if w.confidence != 0}
    assert own <= {(w.text.lower(), w.start, w.end) for w in timed}


def test_without_a_match_the_aligners_words_stand():
    timed = [TimedWord("ONE", 0.0, 0.5), TimedWord("TWO", 0.5, 1.0)]
    assert [w.text for w in place_words("", timed)] == ["one", "two"]
    assert [w.text for w in place_words("quite different", timed)] == ["one", "two"]


def test_unknown_corpus(tmp_path):
    with pytest.raises(DataError, match="no corpus 'emodb'; there are iemocap"):
        read_corpus("emodb", tmp_path)
