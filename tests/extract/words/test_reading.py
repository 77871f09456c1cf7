"""Words from tables and transcripts."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modashift.errors import DataError
from modashift.extract.words import read_words


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_plain_text(tmp_path: Path) -> None:
    transcript = read_words(write(tmp_path / "a.txt", "\ufeffIt was\n\ngreat.\r\n"))
    assert (transcript.kind, transcript.text, transcript.words) == ("text", "It was great.", ())


def test_subtitles_give_cues(tmp_path: Path) -> None:
    transcript = read_words(write(tmp_path / "a.SRT", "1\n00:00:01,000 --> 00:00:02,000\nIt\nwas\n"))
    assert (transcript.kind, transcript.text, len(transcript.cues)) == ("cues", "It was", 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "word,start,end,confidence\nIt,0.5,1,0.9\nwas,1,1.25,\n"),
        ("a.csv", "\n0.5;1;It;0.9\n1;1.25;was\n".lstrip()),
        ("a.csv", "Start,End,Label,prob\n1,1.25,was,\n0.5,1,It,0.9\n"),
        ("a.tsv", "text\tonset\toffset\tscore\nIt\t0.5\t1\t0.9\nwas\t1\t1.25\t-7.5\n"),
        (
            "a.json",
            '[{"word": "It", "start": 0.5, "end": 1, "probability": 0.9}, {"word": "was", "start": 1, "end": 1.25}]',
        ),
        ("a.json", '{"words": [["It", 0.5, 1, 0.9], ["was", 1, 1.25]]}'),
        ("a.json", '{"segments": [{"words": [["It", 0.5, 1, 0.9]]}, {"text": "x"}, {"words": [["was", 1, 1.25]]}]}'),
    ],
)
def test_tables(tmp_path: Path, name: str, content: str) -> None:
    transcript = read_words(write(tmp_path / name, content))
    assert transcript.kind == "words"
    assert [tuple(word[:3]) for word in transcript.words] == [("It", 0.5, 1.0), ("was", 1.0, 1.25)]
    if ";" not in content:
        assert transcript.words[0].confidence == 0.9
    assert math.isnan(transcript.words[1].confidence)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "word,start,end\n", "has no words"),
        ("a.csv", "word,when\nIt,1\n", r"line 1: the columns word, start and end"),
        ("a.csv", "word,start,end\nIt,0,1\n\nwas,x,2\n", "line 4: start and end must be numbers"),
        ("a.csv", "word,start,end\nIt,2,1\n", "line 2: 2 to 1 s is no time"),
        ("a.csv", "word,start,end\nIt,0,nan\n", "line 2"),
        ("a.csv", "word,start,end\nIt,0\n", "line 2: 2 columns are too few"),
        ("a.tsv", "word\tstart\tend\nIt\t-1\t1\n", "line 2"),
        ("a.json", '{"words": [\n  {"word": }]}', "line 2: not JSON"),
        ("a.json", "[" * 100_000, "nested too deep|not JSON"),
        ("a.json", '{"text": "x"}', "a list of words"),
        ("a.json", '[{"word": "x"}]', "word 1: word, start and end are expected, not word"),
        ("a.json", '[["x", 0, 1], 7]', "word 2: an object or"),
        ("a.json", '[["x", null, 1]]', "word 1: start and end must be numbers"),
        ("a.doc", "x", "its ending is none of"),
    ],
)
def test_malformed_files_name_file_and_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_words(write(tmp_path / name, content))
    assert name in str(caught.value)


@given(st.binary(max_size=200), st.sampled_from([".txt", ".srt", ".vtt", ".TextGrid", ".json", ".csv", ".tsv"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    path = tmp_path_factory.mktemp("any") / f"a{suffix}"
    path.write_bytes(data)
    try:
        transcript = read_words(path)
    except DataError as error:
        message = str(error)
    else:
        message = path.name
        assert all(0 <= word.start <= word.end for word in transcript.words)
        assert all(cue.start <= cue.end and cue.text for cue in transcript.cues)
    assert path.name in message
