"""The page and the files: nothing from outside runs or loads, everything is there, sizes are bounded."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from modashift.serve import drawing
from modashift.serve.ensemble import load_ensemble
from modashift.serve.illustrate import Illustration, Thumbnail, envelope
from modashift.serve.outputs import SCHEMA, csv_text, json_text, rendered, terminal_text
from modashift.serve.page import render_page
from modashift.serve.result import ShiftMap, UtteranceResult, WordResult
from modashift.serve.score import score_clip

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Tags and attributes; fails on tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(page):
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    return checker


@pytest.fixture(scope="module")
def models(runs):
    return load_ensemble([str(runs / "cms")])


@pytest.fixture(scope="module")
def one(models, clip_of):
    return score_clip(clip_of(["the movie was really great and not boring"]), models)


@pytest.fixture(scope="module")
def several(models, clip_of):
    return score_clip(clip_of(["it was great", "it was awful", "the plot was fine"], notes=("no sound",)), models)


@pytest.fixture(scope="module")
def seen():
    low, high = envelope(np.sin(np.arange(16000)))
    return Illustration(tuple(Thumbnail(k / 8, b"\xff\xd8" + bytes(6000), 176, 99) for k in range(40)), low, high)


def test_a_page_says_what_it_must(one, seen):
    page = render_page(one, seen)
    text = " ".join(" ".join(read(page).texts).split())
    u = one.utterances[0]
    assert f"{u.score:+.1f}".replace("-", "−") in text
    for part in (
        "Sounds",
        "between",
        "How sure is that?",
        "The score rests on the words, face and voice",
        "kept aside",
    ):
        assert part in text
    assert "lets the face and the voice of every moment nudge the meaning of every word" in text
    for w in u.words:
        assert w.text in text
    assert page.count("data:image/jpeg;base64,") == 24


def test_hostile_names_and_words_stay_text(models, clip_of, hostile, seen):
    clip = clip_of(
        [f"it was {hostile} good", f"{hostile} bad"], name=hostile, source=f"{hostile}.mp4", notes=(hostile,)
    )
    result = score_clip(clip, models)
    for page in (render_page(result, seen), render_page(result)):
        found = read(page)
        assert "script" not in found.tags
        assert not [name for name, _ in found.attributes if name.startswith("on")]
        assert "\x1b" not in page
        assert "\u202e" not in page
    assert "\x1b" not in terminal_text(result)
    assert json.loads(json_text(result))["recording"]["source"].startswith("<script>")


def test_nothing_is_loaded_and_nothing_runs(one, several, seen):
    for result in (one, several):
        page = render_page(result, seen)
        found = read(page)
        assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & set(found.tags)
        targets = [value for name, value in found.attributes if name in {"src", "href"}]
        assert all(t.startswith(("data:image/jpeg;base64,", "#u")) for t in targets)
        assert "@import" not in page
        assert "url(" not in page
        policy = next(value for name, value in found.attributes if name == "content" and "default-src" in value)
        assert policy.startswith("default-src 'none'; img-src data:")
        ids = {value for name, value in found.attributes if name == "id"}
        assert {t[1:] for t in targets if t.startswith("#")} <= ids


def test_everything_that_scrolls_can_be_reached_by_key(several, seen):
    page = render_page(several, seen)
    regions = re.findall(r'<div class="scroll"[^>]*>', page)
    assert regions
    assert all('tabindex="0"' in r and "aria-label=" in r and 'role="region"' in r for r in regions)
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_a_long_recording_has_a_bounded_page(several, seen):
    from dataclasses import replace

    u = several.utterances[0]
    rows = tuple(replace(u, id=str(k), start=5.0 * k, end=5.0 * k + 4, score=float(np.sin(k))) for k in range(3000))
    from modashift.serve.timeline import timeline

    page = render_page(replace(several, utterances=rows, duration=15000.0, timeline=timeline(rows)), seen)
    read(page)
    assert len(page) < 4_000_000
    assert "The first 1500 of 3000" in page
    assert page.count('class="part"') == 60


def test_a_recording_without_words_says_so(models, clip_of):
    page = render_page(score_clip(clip_of([""]), models))
    assert "Nothing to score" in page
    read(page)


def test_words_alone_are_said_to_be_all(runs, clip_of):
    result = score_clip(clip_of(["it was good"], sets=()), load_ensemble([str(runs / "bert")]))
    page = render_page(result)
    assert "The face had no part in it: the model was trained without face." in page
    assert "nudge" not in page
    assert "used: words." in terminal_text(result)


def test_json_has_a_version_and_no_value_that_json_lacks(one, several):
    for result in (one, several):
        found = json.loads(json_text(result), parse_constant=pytest.fail)
        assert found["schema"] == SCHEMA == "modashift.prediction/1"
        assert set(found) == {"schema", "recording", "model", "scale", "summary", "utterances", "notes"}
        for u, own in zip(found["utterances"], result.utterances):
            assert u["score"] == pytest.approx(own.score, abs=1e-4)
            assert u["interval"]["low"] < u["score"] < u["interval"]["high"]
            assert u["interval"]["method"] == "dev residuals"
            assert {m["modality"] for m in u["modalities"]} == {"linguistic", "visual", "acoustic", "nonverbal"}
            assert [w["text"] for w in u["words"]] == [w.text for w in own.words]
            assert np.array(u["maps"][0]["values"]).shape == (len(u["words"]), len(u["maps"][0]["steps"]))
    assert len(rendered("json", several, Illustration(), lines=True).splitlines()) == 1


def test_a_row_an_utterance(one, several):
    rows = list(csv.DictReader(io.StringIO(csv_text([one, several]))))
    assert [r["utterance"] for r in rows] == ["clip_1", "clip_1", "clip_2", "clip_3"]
    for row, u in zip(rows, [*one.utterances, *several.utterances]):
        assert float(row["score"]) == pytest.approx(u.score, abs=1e-4)
        assert float(row["face_effect"]) == pytest.approx(u.modalities[1].effect, abs=1e-4)
        assert row["used"] == "words+face+voice"
        assert row["seeds_sd"] == ""


def test_subtitles_carry_the_scores_and_can_be_read_again(several, tmp_path):
    from dataclasses import replace

    from modashift.extract.words.subtitles import read_subtitles

    u = several.utterances
    scores = replace(several, utterances=(replace(u[0], score=1.84, text="a <b> --> c"), replace(u[1], score=-0.5)))
    for kind in ("srt", "vtt"):
        path = tmp_path / f"x.{kind}"
        path.write_text(rendered(kind, scores, Illustration()), encoding="utf-8")
        assert "\n[+1.84]\n" in path.read_text(encoding="utf-8")
        cues = read_subtitles(path)
        assert [c.score for c in cues] == [1.84, -0.5]
        assert [c.text for c in cues] == ["a <b> --> c", u[1].text]
        assert [(c.start, c.end) for c in cues] == [pytest.approx((x.start, x.end), abs=1e-3) for x in u[:2]]
    with pytest.raises(ValueError, match="no format"):
        rendered("xml", several, Illustration())


def word(text, start, effect, end=None):
    return WordResult(text, start, end or start + 0.1, effect=effect)


def test_words_on_the_axis_do_not_cover_each_other():
    rng = np.random.default_rng(0)
    words = [word("w" * int(rng.integers(1, 12)), 0.3 * k, float(rng.normal())) for k in range(30)]
    width = drawing.track_width(9.5, words)
    placed = drawing.lanes(words, 0.0, 9.5, width)
    for lane in range(drawing.MOST_LANES):
        own = sorted((p for p in placed if p.lane == lane), key=lambda p: p.text_left)
        for a, b in pairwise(own):
            assert a.text_left * width / 100 + len(a.word.text) * drawing.CHARACTER < b.text_left * width / 100 + 1e-6
    assert all(0 <= p.text_left <= 100 for p in placed)


def test_colours_say_direction_and_size():
    assert [drawing.shade(v, 1.0) for v in (1.0, 0.5, 0.05, -0.3, -2.0, None)] == [
        "p5",
        "p3",
        "zero",
        "n2",
        "n5",
        "zero",
    ]
    assert drawing.shade(0.01, 0.01) == "p1"  # noise is not shown as if it were much


def test_ticks_are_round_and_within():
    assert drawing.ticks(0, 8) == [(float(t), 12.5 * t) for t in range(9)]
    assert [t for t, _ in drawing.ticks(61.3, 64.0)] == [61.5, 62.0, 62.5, 63.0, 63.5, 64.0]
    assert len(drawing.ticks(0, 4000)) <= 9


def test_squares_keep_the_strongest_cell():
    rng = np.random.default_rng(1)
    words = [word(f"w{k}", float(k), 0.0) for k in range(6)]
    values = rng.random((6, 6))
    steps = np.array([(w.start, w.end) for w in words])
    found = drawing.grid(ShiftMap("visual", steps, values), words, values.max())
    r, c = np.unravel_index(values.argmax(), values.shape)
    assert found.strongest == (f"w{r}", f"w{c}")
    assert {(a, b): s for a, b, s in found.cells} == {
        (a, b): int(np.ceil(9 * values[a, b] / values.max())) for a in range(6) for b in range(6)
    }
    frames = np.stack([np.arange(200) / 25, (np.arange(200) + 1) / 25], axis=1)
    many = rng.random((6, 200))
    found = drawing.grid(ShiftMap("visual", frames, many), words, many.max())
    assert len(found.columns) == drawing.MOST_CELLS
    assert max(c for _, c, _ in found.cells) < drawing.MOST_CELLS
    flat = drawing.grid(ShiftMap("visual", steps, np.zeros((6, 6))), words, 0.0)
    assert (flat.cells, flat.strongest) == ([], None)


def test_the_outline_of_a_sound_is_its_extremes():
    sound = np.random.default_rng(0).normal(size=1003).astype(np.float32)
    low, high = envelope(sound, 50)
    loudest = np.abs(sound).max()
    starts = [int(s) for s in np.linspace(0, 1003, 50, endpoint=False)]
    for k, (a, b) in enumerate(zip(starts, [*starts[1:], 1003])):
        assert low[k] == pytest.approx(min(sound[a:b].min(), 0) / loudest)
        assert high[k] == pytest.approx(max(sound[a:b].max(), 0) / loudest)
    assert len(envelope(np.zeros(0))[0]) == 0
    path, steps = drawing.wave_path(low, high, 10.0, 0.0, 10.0)
    assert path.count("L") == 99
    assert steps == 49
    assert drawing.wave_path(low, high, 10.0, 0.0, 1.0) == ("", 0)  # too coarse to be a shape


def test_an_uncertain_direction_is_called_so():
    from modashift.serve.result import Interval
    from modashift.serve.wording import how_sure

    def said(low, high):
        return how_sure(UtteranceResult("1", 0, 1, "x", 0.2, (0.2,), Interval(low, high, 0.8, 1, 50, "d")))[0]

    assert said(-0.9, 1.3).startswith("Not sure: in about 80 in 100")
    assert said(0.2, 2.2).endswith("all on the positive side of the scale.")
    assert "side" not in said(-0.2, 2.2)
