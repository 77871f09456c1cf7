import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modashift.errors import DataError
from modashift.extract.recording import Span, TimedWord
from modashift.extract.utterances import Cutting, Segment, cut, cut_at, ends_sentence, even_spans, read_segments

CUT = Cutting(whole=False)


def said(text: str, gaps: dict[int, float] | None = None, length: float = 0.3, gap: float = 0.05) -> list[TimedWord]:
    """Words of equal length; ``gaps[i]`` lies before word i."""
    words, at = [], 0.0
    for i, word in enumerate(text.split()):
        at += (gaps or {}).get(i, gap if i else 0.0)
        words.append(TimedWord(word, at, at + length))
        at += length
    return words


def texts(words: list[TimedWord], spans: tuple[Span, ...]) -> list[str]:
    return [" ".join(w.text for w in words[s.first : s.stop]) for s in spans]


def test_sentences_and_pauses_are_cut() -> None:
    words = said("This is one. And this is another one but here we wait", {9: 0.8})
    spans = cut(words, 60.0, CUT)
    assert texts(words, spans) == ["This is one.", "And this is another one but", "here we wait"]
    assert spans[1].start == words[3].start
    assert spans[1].end == words[8].end


def test_a_pause_just_too_short_is_not_cut() -> None:
    assert len(cut(said("one two three four five six", {3: 0.69}), 60.0, CUT)) == 1


@pytest.mark.parametrize(
    ("word", "ends"),
    [
        ("film.", True),
        ("really?!", True),
        ('said."', True),
        ("well…", True),
        ("no.", True),
        ("I.", True),
        ("Mr.", False),
        ("(e.g.", False),
        ("J.", False),
        ("U.S.", False),
        ("film", False),
        ("3.5", False),
        ("however,", False),
    ],
)
def test_ends_of_sentences(word: str, ends: bool) -> None:
    assert ends_sentence(word) is ends


def test_a_short_piece_joins_the_nearer_neighbour() -> None:
    words = said("It was a long film. Well. I liked it a lot.", {5: 0.3, 6: 0.1})
    assert texts(words, cut(words, 60.0, CUT)) == ["It was a long film.", "Well. I liked it a lot."]
    words = said("It was a long film. Well. I liked it a lot.", {5: 0.1, 6: 0.3})
    assert texts(words, cut(words, 60.0, CUT)) == ["It was a long film. Well.", "I liked it a lot."]


def test_a_short_piece_far_from_everything_stays_alone() -> None:
    words = said("It was a long film. Well. I liked it a lot.", {5: 2.0, 6: 2.0})
    assert len(cut(words, 60.0, CUT)) == 3


def test_a_short_piece_does_not_join_what_becomes_too_long() -> None:
    rule = Cutting(whole=False, most_words=5)
    words = said("one two three four five. Well.")
    assert texts(words, cut(words, 60.0, rule)) == ["one two three four five.", "Well."]


def test_long_pieces_are_divided_at_the_longest_gap() -> None:
    rule = Cutting(whole=False, most_words=8)
    words = said("a b c d e f g h i j k l", {7: 0.4})
    assert texts(words, cut(words, 60.0, rule)) == ["a b c d e f g", "h i j k l"]


def test_a_comma_counts_as_a_quarter_second() -> None:
    rule = Cutting(whole=False, most_words=8)
    words = said("a b c d, e f g h i j k l", {8: 0.2})
    assert texts(words, cut(words, 60.0, rule))[0] == "a b c d,"
    words = said("a b c d, e f g h i j k l", {8: 0.4})
    assert texts(words, cut(words, 60.0, rule))[-1] == "i j k l"


def test_short_recordings_stay_whole_unless_told_otherwise() -> None:
    words = said("This is one sentence. This is another one.")
    assert cut(words, 15.0) == (Span(0.0, 15.0, 0, 8),)
    assert len(cut(words, 15.1)) == 2
    assert len(cut(words, 15.0, Cutting(whole=False))) == 2
    assert len(cut(words, 900.0, Cutting(whole=True))) == 1


def test_recordings_without_words_are_cut_evenly() -> None:
    spans = cut([], 50.0, CUT)
    assert [(round(s.start, 3), round(s.end, 3)) for s in spans] == [(0, 16.667), (16.667, 33.333), (33.333, 50)]
    assert even_spans(40.0, 20.0) == (Span(0.0, 20.0, 0, 0), Span(20.0, 40.0, 0, 0))


@given(
    lengths=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1.5), st.sampled_from(["a", "b.", "c,"])), max_size=120),
    most_words=st.integers(3, 20),
    most_seconds=st.floats(1.0, 20.0),
)
def test_every_word_is_in_one_utterance_and_none_is_too_long(
    lengths: list[tuple[float, float, str]], most_words: int, most_seconds: float
) -> None:
    words, at = [], 0.0
    for gap, length, text in lengths:
        words.append(TimedWord(text, at + gap, at + gap + length))
        at += gap + length
    spans = cut(words, at, Cutting(whole=False, most_words=most_words, most_seconds=most_seconds))
    if not words:
        return
    assert [i for s in spans for i in range(s.first, s.stop)] == list(range(len(words)))
    assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(spans))
    for span in spans:
        assert span.stop - span.first <= most_words
        assert span.stop - span.first == 1 or span.end - span.start <= most_seconds + 1e-9


def test_given_segments_hold_the_words_whose_middle_they_contain() -> None:
    words = said("a b c d e f")  # a word every 0.35 s
    kept, spans = cut_at(words, [Segment(1.55, 2.5), Segment(0.0, 0.45), Segment(0.45, 0.6)])
    assert [w.text for w in kept] == ["a", "b", "c", "e", "f"]  # the middle of b is at 0.5 s, of c at 0.85, of d at 1.2
    assert spans == (Span(0.0, 0.45, 0, 1), Span(0.45, 0.6, 1, 3), Span(1.55, 2.5, 3, 5))
    assert cut_at(words, []) == ((), ())
    on_the_edge = TimedWord("x", 0.25, 0.75)
    assert [s.stop for s in cut_at([on_the_edge], [Segment(0, 0.5), Segment(0.5, 1)])[1]] == [0, 1]


def test_segments_are_read_from_a_table(tmp_path) -> None:
    table = tmp_path / "segments.csv"
    table.write_text("name,start,end,label,text\na,2,3.5,-1,so it goes\na,0,2,,\nb,0,1,2,x\n")
    found = read_segments(table)
    assert found["a"] == (Segment(0.0, 2.0), Segment(2.0, 3.5, "so it goes", "-1"))
    assert found["b"][0].label == "2"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,start\na,1\n", "no column end"),
        ("name,start,end\na,2,1\n", "line 2: a segment from 2 to 1 s"),
        ("name,start,end\na,x,1\n", "line 2, start: 'x' is not a number"),
        ("name,start,end\na,0,1,2\n", "line 2: not as many fields"),
        ("name,start,end\na,0,nan\n", "'nan' is not a number"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, content: str, said: str) -> None:
    table = tmp_path / "segments.csv"
    table.write_text(content)
    with pytest.raises(DataError, match=said):
        read_segments(table)


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(DataError, match="least_words"):
        Cutting(least_words=5, most_words=4)
    with pytest.raises(DataError, match="pause"):
        Cutting(pause=0)
