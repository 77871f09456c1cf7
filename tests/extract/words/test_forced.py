"""Forced alignment: on speech where there is some, and what holds for any sound and any text."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from made_speech import RATE, Spoken, grid_clip, joined, noise
from modashift.errors import DataError
from modashift.extract.recording import TimedWord
from modashift.extract.words import (
    AlignmentError,
    Cue,
    Transcript,
    align_cues,
    align_transcript,
    alignment_notes,
    time_words,
)
from modashift.extract.words import windows as module
from modashift.extract.words.search import find
from modashift.extract.words.tokens import tokenise

pytest.importorskip("pocketsphinx")


def check(words: list[TimedWord], text: str, seconds: float) -> None:
    """What holds for every alignment."""
    assert [word.text for word in words] == [token.text for token in tokenise(text)]
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= seconds for time in times)
    assert all(math.isnan(word.confidence) or 0 <= word.confidence <= 1 for word in words)


def text_of(spoken: Spoken) -> str:
    return " ".join(word for word, _, _ in spoken[1])


def errors(words: list[TimedWord], spoken: Spoken) -> np.ndarray:
    return np.abs([[word.start - start, word.end - end] for word, (_, start, end) in zip(words, spoken[1])]).ravel()


def test_words_of_a_recording_are_found(grid: Spoken) -> None:
    words = align_transcript(grid[0], text_of(grid))
    check(words, text_of(grid), len(grid[0]) / RATE)
    assert np.median(errors(words, grid)) <= 0.03
    assert errors(words, grid).max() <= 0.1
    assert min(word.confidence for word in words) > 0.5
    assert alignment_notes(words) == ()


def test_a_wrong_transcript_shows(grid: Spoken) -> None:
    words = align_transcript(grid[0], "lay red with zed nine again")
    assert np.median([word.confidence for word in words]) < 0.3
    (note,) = alignment_notes(words)
    assert "of 6 words match the sound poorly" in note


def test_tokens_as_written_come_back(grid: Spoken) -> None:
    """A number, a new spelling, punctuation and marks do not disturb the words between."""
    text = "[noise] Bin BLUEE, at-F ... 2 (now)!"
    words = align_transcript(grid[0], text)
    check(words, text, len(grid[0]) / RATE)
    by_text = {word.text: word for word in words}
    bin_, blue, at, f, two, now = (row[1:] for row in grid[1])
    for token, start, end in (
        ("Bin", bin_[0], bin_[1]),
        ("BLUEE,", blue[0], blue[1]),
        ("at-F", at[0], f[1]),
        ("2", two[0], two[1]),
        ("(now)!", now[0], now[1]),
    ):
        assert abs(by_text[token].start - start) <= 0.1
        assert abs(by_text[token].end - end) <= 0.1
    assert math.isnan(by_text["[noise]"].confidence)
    assert (by_text["[noise]"].start, by_text["[noise]"].end) == (0, by_text["Bin"].start)
    assert by_text["..."].start == by_text["..."].end == by_text["at-F"].end


def test_a_word_that_cannot_be_read_lies_between_its_neighbours(grid: Spoken) -> None:
    words = align_transcript(grid[0], "bin blue привет at f two now")
    assert words[2].confidence == 0
    assert words[1].end == words[2].start <= words[2].end == words[3].start
    assert "1 of 7 words were not found" in alignment_notes(words)[0]


def test_long_pauses_do_not_matter(grid: Spoken) -> None:
    sound, rows = grid
    silence = np.zeros(2 * RATE, np.float32)
    cut = round((rows[2][2] + rows[3][1]) / 2 * RATE)
    paused = np.concatenate([silence, sound[:cut], silence, sound[cut:], silence])
    expected = [(w, a + 2 * (1 + (a * RATE >= cut - 800)), b + 2 * (1 + (b * RATE > cut + 800))) for w, a, b in rows]
    words = align_transcript(paused, text_of(grid))
    assert np.median(errors(words, (paused, expected))) <= 0.05


def test_windows_of_a_long_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows made short do what those of a minute and a half do in an hour."""
    parts = [grid_clip(name) for name in ("bbaf2n", "lbad6n", "bras6n", "bgwh8n", "bwis8n")]
    long = joined(parts)
    monkeypatch.setattr(module, "_WINDOW", 6.0)
    monkeypatch.setattr(module, "_SAFE", 4.5)
    searched = []
    monkeypatch.setattr(
        module, "find", lambda sound, *a, **k: (searched.append(len(sound) / RATE), find(sound, *a, **k))[1]
    )
    words = align_transcript(long[0], text_of(long))
    check(words, text_of(long), len(long[0]) / RATE)
    assert len(searched) >= 3
    assert max(searched) <= 6.0 * 1.25
    assert np.median(errors(words, long)) <= 0.03
    assert np.mean(errors(words, long) <= 0.1) >= 0.9


def test_a_long_silence_before_the_words(monkeypatch: pytest.MonkeyPatch, grid: Spoken) -> None:
    monkeypatch.setattr(module, "_WINDOW", 5.0)
    monkeypatch.setattr(module, "_SAFE", 4.0)
    sound = np.concatenate([np.zeros(9 * RATE, np.float32), grid[0]])
    words = align_transcript(sound, text_of(grid))
    assert np.median(errors(words, (sound, [(w, a + 9, b + 9) for w, a, b in grid[1]]))) <= 0.05


def test_cues_are_aligned_within_their_times(two_clips: Spoken) -> None:
    sound, rows = two_clips
    cues = [
        Cue(rows[0][1] - 0.1, rows[5][2] + 0.1, "Bin blue\nat F two now."),
        Cue(rows[6][1], rows[-1][2], " ".join(word for word, _, _ in rows[6:])),
    ]
    words = time_words(sound, Transcript("cues", "", tuple(cues)))
    assert [word.text for word in words][:6] == ["Bin", "blue", "at", "F", "two", "now."]
    assert np.median(errors(words, two_clips)) <= 0.03


def test_a_cue_that_does_not_fit_is_spread_over_its_time(two_clips: Spoken) -> None:
    sound, rows = two_clips
    text = "seventeen extraordinary possibilities notwithstanding"
    cues = [Cue(0.0, 0.2, text), Cue(rows[0][1], rows[5][2], "bin blue at f two now")]
    words = align_cues(sound, cues)
    assert [word.confidence for word in words[:4]] == [0] * 4
    np.testing.assert_allclose([word.start for word in words[:4]], [0, 0.05, 0.1, 0.15])
    assert np.median(errors(words[4:], (sound, rows[:6]))) <= 0.05


def test_overlapping_cues_keep_time_in_order() -> None:
    sound = noise(3)
    words = align_cues(sound, [Cue(0, 2, "one two three"), Cue(1, 3, "four five"), Cue(1, 1, "…")])
    check(words, "one two three four five …", 3)


def test_cues_after_the_end_are_of_another_recording() -> None:
    with pytest.raises(DataError, match="a cue starts at 5 s, but the sound is only 2 s long"):
        align_cues(noise(2), [Cue(5, 6, "hello")])


def test_a_transcript_longer_than_the_sound_is_refused() -> None:
    with pytest.raises(DataError, match=r"3 words to say, which takes 0\.\d s at least, but the sound is only 0\.2 s"):
        align_transcript(noise(0.2), "these impossible words")


@pytest.mark.parametrize("sound", [np.zeros(2 * RATE, np.float32), np.full(2 * RATE, 1e-6, np.float32)])
def test_words_are_never_found_in_silence(sound: np.ndarray) -> None:
    with pytest.raises(DataError, match="no word of the transcript can be found"):
        align_transcript(sound, "hello there")


def test_nothing_to_say() -> None:
    assert align_transcript(noise(1), "  \n ") == []
    assert align_transcript(np.zeros(0, np.float32), "") == []
    (word,) = align_transcript(noise(1), "[laughter]")
    assert (word.start, word.end) == (0, 1)
    assert math.isnan(word.confidence)


def test_sound_with_gaps_and_overdrive() -> None:
    sound = noise(2, level=3.0)
    sound[100:200] = np.nan
    check(align_transcript(sound, "one two"), "one two", 2)


@settings(max_examples=8, deadline=None)
@given(st.text(max_size=40), st.integers(0, 3))
def test_any_text_on_any_sound(text: str, seed: int) -> None:
    try:
        words = align_transcript(noise(1.5, seed=seed), text)
    except AlignmentError:
        assume(bool(tokenise(text)))  # no text is never an error
    else:
        check(words, text, 1.5)


CLIPS = ("bbaf2n", "lbad6n", "bras6n", "bgwh8n", "bwis8n", "bbas3a", "brwg8p", "bbir8p", "bgaa8p", "brif6p")


@pytest.mark.slow
@pytest.mark.parametrize("absent", ["transcript", "sound"])
def test_the_way_is_found_again(absent: str) -> None:
    """Speech that nobody wrote down, or words that nobody says, spoil only themselves."""
    parts = [grid_clip(name) for name in CLIPS]
    some = parts[:3] + parts[6:]
    sound, heard = joined(parts if absent == "transcript" else some)
    written = joined(some if absent == "transcript" else parts)[1]
    words = align_transcript(sound, " ".join(word for word, _, _ in written))
    missing = range(18, 36)
    if absent == "transcript":
        pairs = zip(words, [row for number, row in enumerate(heard) if number not in missing])
    else:
        pairs = zip([word for number, word in enumerate(words) if number not in missing], heard)
        assert np.mean([words[number].confidence for number in missing]) < 0.3
    assert np.mean([abs(word.start - start) <= 0.1 for word, (_, start, _) in pairs]) >= 0.9


def test_cut_prefers_the_longest_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SAFE", 10.0)
    hits = [module.Hit(start, start + 0.5, 0.0) for start in (1.0, 5.0, 7.0, 7.6, 9.0, 11.0)]
    assert module._cut(hits) == 5
