"""TextGrids of Praat in their text formats."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modashift.errors import DataError
from modashift.extract.recording import TimedWord
from modashift.extract.words import read_textgrid, read_words, textgrid

SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

0
2.5
<exists>
3
"IntervalTier"
"phones"
0
2.5
2
0
1
"HH"
1
2.5
"AY"
"TextTier"
"clicks"
0
2.5
1
0.5
"click 1"
"IntervalTier"
"Anna - words"
0
2.5
3
0
1
"say ""hi"""
1
1.5
"sp"
1.5
2.5
"you ! [2] = 3"
'''


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_short_format(tmp_path: Path, encoding: str) -> None:
    tiers = read_textgrid(write(tmp_path / "a.TextGrid", SHORT.replace("\n", "\r\n"), encoding))
    assert [tier.name for tier in tiers] == ["phones", "Anna - words"]
    assert tiers[1].intervals == ((0, 1, 'say "hi"'), (1, 1.5, "sp"), (1.5, 2.5, "you ! [2] = 3"))


def test_words_are_taken_from_the_tier_named_like_words(tmp_path: Path) -> None:
    words = read_words(write(tmp_path / "a.TextGrid", SHORT)).words
    assert [word.text for word in words] == ["say", '"hi"', "you", "!", "[2]", "=", "3"]
    assert (words[0].start, words[1].end, words[2].start) == (0, 1, 1.5)


def test_words_are_taken_by_content(tmp_path: Path) -> None:
    text = (
        SHORT.replace("Anna - words", "B").replace('"say ""hi"""', '"hello"').replace('"you ! [2] = 3"', '"everyone"')
    )
    assert [word.text for word in read_words(write(tmp_path / "a.TextGrid", text)).words] == ["hello", "everyone"]


def test_a_tier_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.TextGrid", SHORT)
    assert [word.text for word in read_words(path, "phones").words] == ["HH", "AY"]
    with pytest.raises(DataError, match="has no interval tier 'syllables', but 'phones', 'Anna - words'"):
        read_words(path, "syllables")


def test_long_format_with_comments(tmp_path: Path) -> None:
    text = textgrid([TimedWord("one", 0.5, 1), TimedWord("two", 1, 2)], 2.5)
    text = text.replace("tiers? <exists>", "! a remark with 17 and \ntiers? <exists>")
    assert [tuple(word[:3]) for word in read_words(write(tmp_path / "a.TextGrid", text)).words] == [
        ("one", 0.5, 1),
        ("two", 1, 2),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "ends where a|should be"),
        (lambda text: "", "line 1: the TextGrid ends where a text"),
        (lambda text: text.replace("TextGrid", "Sound"), "line 2: this is no TextGrid"),
        (lambda text: text.replace("\n1\n2.5\n", "\n3\n2.5\n", 1), r"line 17: an interval ends \(2.5\) before"),
        (lambda text: text.replace('"HH"', "7"), "line 15: found '7' where a text"),
        (lambda text: text.replace("IntervalTier", "Odd", 1), "'Odd' is no kind of tier"),
        (lambda text: "ooBinaryFile\x08TextGrid", "is a binary TextGrid"),
    ],
)
def test_malformed_files_name_file_and_line(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_textgrid(write(tmp_path / "bad.TextGrid", change(SHORT)))
    assert "bad.TextGrid" in str(caught.value)


_WORD = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8).filter(
    lambda text: (
        text.lower() not in {"sil", "sp", "spn", "#", "_", "pau", "silence", "<s>", "</s>", "<sil>", "<eps>", "<unk>"}
    )
)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(1e-3, 2), _WORD), min_size=1, max_size=6), st.floats(0, 3))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, str]], rest: float
) -> None:
    words, at = [], 0.0
    for gap, length, text in rows:
        words.append(TimedWord(text, at + gap, at + gap + length))
        at = words[-1].end
    path = write(tmp_path_factory.mktemp("grid") / "a.TextGrid", textgrid(words, at + rest))
    assert [tuple(word[:3]) for word in read_words(path).words] == [tuple(word[:3]) for word in words]


def test_words_without_time_are_left_out_and_overlaps_refused() -> None:
    assert '"..."' not in textgrid([TimedWord("a", 0, 1), TimedWord("...", 1, 1)], 2)
    with pytest.raises(ValueError, match="overlaps"):
        textgrid([TimedWord("a", 0, 1), TimedWord("b", 0.5, 2)], 2)
