"""Subtitles as found in the wild, and back from what was written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modashift.errors import DataError
from modashift.extract.words import Cue, read_subtitles, srt, vtt

WILD_SRT = """\ufeff1\r
00:00:01,000 --> 00:00:02,500 X1:100 X2:200\r
<i>Hello</i> {\\an8}there,\r
second  line\r
\r
2\r
0:03,5 --> 0:04.25\r
- Tom &amp; Anna\r
3\r
00:00:04,000-->00:00:06,000\r
overlaps\r
\r
4\r
00:00:07,000 --> 00:00:08,000\r
\r
"""
WILD_VTT = """WEBVTT - a title

STYLE
::cue { color: red }

NOTE a remark
over two lines

intro
00:01.000 --> 00:02.500 align:start position:10%
<v Anna>Hello <b>there</b>&nbsp;&lt;all&gt;

01:00:03.000 --> 01:00:04.000
<00:00:03.200>NOTE this is <c.x>text</c>
"""


def test_srt_in_the_wild(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_bytes(WILD_SRT.encode())
    assert read_subtitles(tmp_path / "a.srt") == (
        Cue(1, 2.5, "Hello there,\nsecond line"),
        Cue(3.5, 4.25, "- Tom & Anna"),
        Cue(4, 6, "overlaps"),
    )


def test_vtt_in_the_wild(tmp_path: Path) -> None:
    (tmp_path / "a.vtt").write_text(WILD_VTT)
    assert read_subtitles(tmp_path / "a.vtt") == (
        Cue(1, 2.5, "Hello there <all>"),
        Cue(3603, 3604, "NOTE this is text"),
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.srt").write_bytes("1\n00:00:01,000 --> 00:00:02,000\nein Käse für dich\n".encode(encoding))
    assert read_subtitles(tmp_path / "a.srt") == (Cue(1, 2, "ein Käse für dich"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no subtitles"),
        ("no times\nat all\n", "has no subtitles"),
        ("1\n00:00:aa,000 --> 00:00:02,000\nx\n", "line 2: .* is no time"),
        ("\n\n1\n00:00:03,000 --> 00:00:02,000\nx\n", "line 4: the subtitle ends before it starts"),
        ("1\n00:00:01,000 -->\nx\n", "line 2"),
        ("a\nb\0c\n", "line 2: this is no text"),
    ],
)
def test_malformed_files_name_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.srt"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_subtitles(path)
    assert "bad.srt" in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none\.srt"):
        read_subtitles(tmp_path / "none.srt")


def test_scores_are_written_and_read_back(tmp_path: Path) -> None:
    cues = (Cue(0, 1, "good", 1.25), Cue(1, 2, "bad", -2.0), Cue(2, 3, "[3]"))
    for name, write in (("a.srt", srt), ("a.vtt", vtt)):
        (tmp_path / name).write_text(write(cues), encoding="utf-8")
        assert read_subtitles(tmp_path / name) == cues
    assert "[+1.25]\ngood" in srt(cues)


def test_text_cannot_break_out_of_its_cue(tmp_path: Path) -> None:
    cue = Cue(0, 1, "<script>x</script> & a --> b\n\n2\n00:00:05,000 --> 00:00:06,000\nmore")
    written = vtt([cue])
    assert "<script>" not in written
    assert written.count("-->") == 1
    (tmp_path / "a.vtt").write_text(written)
    assert len(read_subtitles(tmp_path / "a.vtt")) == 1


_LINE = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=20).map(
    lambda text: " ".join(text.split())
)
_TEXT = st.lists(_LINE.filter(bool), min_size=1, max_size=3).map("\n".join)


@given(
    st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**6), _TEXT), min_size=1, max_size=5),
    st.sampled_from([("a.srt", srt), ("a.vtt", vtt)]),
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, str]], form: tuple) -> None:
    name, write = form
    cues = sorted((Cue(a / 1000, (a + b) / 1000, text) for a, b, text in rows), key=lambda cue: cue.start)
    path = tmp_path_factory.mktemp("cues") / name
    path.write_text(write(cues), encoding="utf-8", newline="")
    assert list(read_subtitles(path)) == cues


def test_negative_times_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="no time of a subtitle"):
        srt([Cue(-1, 2, "x")])
