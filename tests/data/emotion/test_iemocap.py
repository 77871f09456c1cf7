"""IEMOCAP's reader on a small hand-made folder in the corpus's layout."""

from pathlib import Path

import pytest

from modashift.data.emotion import read_corpus
from modashift.data.emotion.iemocap import COUNTS, read_alignment, read_iemocap
from modashift.errors import DataError


def by_id(corpus):
    return {row.id: row for row in corpus.rows}


def test_counts_are_those_the_field_compares_on():
    assert sum(COUNTS["four"].values()) == 5531
    assert sum(COUNTS["seven"].values()) == 7487
    assert COUNTS["four"]["happy"] == COUNTS["seven"]["happy"] + COUNTS["seven"]["excited"]


def test_four_classes(iemocap):
    corpus = read_iemocap(iemocap, part=True)
    assert corpus.classes == ("angry", "happy", "sad", "neutral")
    assert {row.id: row.label for row in corpus.rows} == {
        "Ses01F_impro01_F000": "neutral",
        "Ses01F_impro01_F002": "happy",  # excited
        "Ses01F_impro01_M001": "happy",
        "Ses01M_script01_1b_FXX0": "angry",
        "Ses01M_script01_1b_M001": "sad",
        "Ses02M_impro02_F000": "sad",
        "Ses02M_impro02_M000": "angry",
    }
    assert corpus.notes[0].startswith("4 turns")  # fru, xxx, sur, oth
    assert corpus.notes[1:] == ("2 turns have no word alignment",)


def test_seven_classes(iemocap):
    corpus = read_iemocap(iemocap, "seven", part=True)
    assert corpus.classes == ("angry", "happy", "excited", "sad", "neutral", "frustrated", "surprised")
    found = {row.id: row.label for row in corpus.rows}
    assert len(found) == 9
    assert found["Ses01F_impro01_F002"] == "excited"
    assert found["Ses01F_impro01_M000"] == "frustrated"
    assert found["Ses01M_script01_1b_M000"] == "surprised"


def test_speaker_is_who_says_the_turn_not_who_wears_the_markers(iemocap):
    rows = by_id(read_iemocap(iemocap, part=True))
    told = {name: (row.speaker, row.session, row.sex) for name, row in rows.items()}
    assert told["Ses01F_impro01_M001"] == ("Ses01M", "Ses01", "M")
    assert told["Ses01M_script01_1b_FXX0"] == ("Ses01F", "Ses01", "F")
    assert told["Ses02M_impro02_F000"] == ("Ses02F", "Ses02", "F")


def test_words_have_the_transcripts_letters_and_the_alignments_times(iemocap):
    rows = by_id(read_iemocap(iemocap, part=True))
    first = rows["Ses01F_impro01_F000"]
    assert first.text == "Excuse me."
    assert [w[:3] for w in first.words] == [("Excuse", 0.11, 0.41), ("me.", 0.41, 0.61)]
    laugh = rows["Ses01F_impro01_F002"]  # [LAUGHTER] and -- are no words; "to" is not in the alignment
    assert [w.text for w in laugh.words] == ["We're", "going", "to", "Rome!"]
    assert [(w.start, w.end) for w in laugh.words] == [
        (0.2, 0.4), (0.5, 0.7), (pytest.approx(0.7), pytest.approx(0.9)), (0.9, 1.3),
    ]  # fmt: skip
    assert laugh.words[2].confidence == 0
    assert rows["Ses01M_script01_1b_M001"].words == ()


def test_recordings_are_where_the_corpus_has_them(iemocap):
    rows = by_id(read_iemocap(iemocap, part=True))
    path = rows["Ses01M_script01_1b_FXX0"].path
    assert path == iemocap / "Session1/sentences/wav/Ses01M_script01_1b/Ses01M_script01_1b_FXX0.wav"
    assert all(row.path.is_file() for row in rows.values())


def test_alignment_reads_odd_lines(tmp_path: Path):
    path = tmp_path / "x.wdseg"
    path.write_text(
        "SFrm EFrm SegAScr Word\n0 4 -5 <s>\n5 9 -3 A(2)\n10 14 -3 <sil>\n15 19 -3 ++BREATHING++\n20 29 -9 O'CLOCK\n"
        "30 x -1 NO\n31 32 -1\n\nTotal score: -9\n",
        encoding="utf-8",
    )
    assert [w[:3] for w in read_alignment(path)] == [("A", 0.05, 0.1), ("O'CLOCK", 0.2, 0.3)]
    assert read_alignment(tmp_path / "none.wdseg") == ()


def test_the_folder_above_will_do(iemocap):
    assert len(read_corpus("iemocap", iemocap.parent, part=True).rows) == 7


def test_a_part_is_refused_unless_said_to_be_one(iemocap):
    with pytest.raises(DataError, match=r"angry 2 \(expected 1103\).*neutral 1 \(expected 1708\).*7 \(expected 5531\)"):
        read_iemocap(iemocap)
    with pytest.raises(DataError, match=r"frustrated 1 \(expected 1849\)"):
        read_iemocap(iemocap, "seven")


def test_a_turn_without_transcript_has_the_alignments_words(iemocap):
    path = iemocap / "Session2/dialog/transcriptions/Ses02M_impro02.txt"
    path.write_text("nothing of use\n", encoding="utf-8")
    corpus = read_iemocap(iemocap, part=True)
    row = by_id(corpus)["Ses02M_impro02_F000"]
    assert (row.text, [w.text for w in row.words]) == ("she left", ["she", "left"])
    assert any("2 turns have no transcript" in note for note in corpus.notes)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1.0 - 2.0]\tSes01F_impro01_F000\tang\t[1, 1, 1]\n", "two labels"),
        ("[1.0 - 2.0]\tnonsense\tang\t[1, 1, 1]\n", "no name of a turn"),
    ],
)
def test_contradictions_are_refused(iemocap, line, message):
    path = iemocap / "Session1/dialog/EmoEvaluation/zzz.txt"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_iemocap(iemocap, part=True)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="Session1/dialog"):
        read_iemocap(tmp_path)
    (tmp_path / "Session1" / "dialog").mkdir(parents=True)
    with pytest.raises(DataError, match="no label in"):
        read_iemocap(tmp_path)
    with pytest.raises(DataError, match="four"):
        read_corpus("iemocap", tmp_path, classes="five")  # type: ignore[arg-type]
