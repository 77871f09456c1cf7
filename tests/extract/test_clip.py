"""What becomes of a recording, with stages that are made up; the real ones are tested where they live."""

import hashlib
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from made_clips import frames
from modashift.errors import DataError, ModashiftError
from modashift.extract import stages
from modashift.extract.clip import extract_clip
from modashift.extract.media import MediaError, Picture, Problem
from modashift.extract.options import ExtractOptions, recipe, transcript_beside
from modashift.extract.recording import Frames, TimedWord
from modashift.extract.utterances import Cutting, Segment

SECONDS = 4.0


class Stages:
    """Stages of a recording of four seconds with everything; attributes change what is there."""

    def __init__(self) -> None:
        self.has_sound = self.has_picture = True
        self.duration: float | None = SECONDS
        self.sound = np.ones(int(16_000 * SECONDS), dtype=np.float32)
        self.seen = np.ones(8, dtype=bool)
        self.heard = "so it goes"
        self.read: dict[str, Any] = {}
        self.raises: dict[str, Exception] = {}
        self.calls: list[tuple[str, Any]] = []

    def _do(self, what: str, about: Any = None) -> None:
        self.calls.append((what, about))
        if what in self.raises:
            raise self.raises[what]

    def probe(self, path: Path) -> Any:
        self._do("probe")
        return SimpleNamespace(has_sound=self.has_sound, has_picture=self.has_picture, duration=self.duration)

    def read_sound(self, path: Path, problems: list[Problem]) -> Any:
        self._do("sound")
        return self.sound

    def pictures(self, path: Path, rate: float, side: int, problems: list[Problem]) -> Any:
        self._do("pictures", (rate, side))
        for i in range(len(self.seen)):
            if "middle" in self.raises and i == 4:
                raise self.raises["middle"]
            yield Picture(i / 2, np.zeros((2, 2, 3), dtype=np.uint8))

    def face(self, kind: str, shown: Any) -> tuple[Frames, list[str]]:
        self._do("face", kind)
        times = np.array([p.time for p in shown])
        usual = frames(len(times) / 2, 2.0, name=kind)
        return Frames(kind, usual.columns, usual.values, times, self.seen[: len(times)]), []

    def voice(self, kind: str, sound: Any) -> tuple[Frames, list[str]]:
        self._do("voice", kind)
        return frames(len(sound) / 16_000, 100.0, name=kind), ["a warning"]

    def align_transcript(self, sound: Any, text: str) -> list[TimedWord]:
        self._do("align", (len(sound), text))
        parts = text.split()
        return [TimedWord(w, i / 4, i / 4 + 0.2, 0.9) for i, w in enumerate(parts)]

    def align_cues(self, sound: Any, cues: Any) -> list[TimedWord]:
        self._do("cues")
        return [TimedWord(w, c.start, min(c.end, SECONDS), 0.9) for c in cues for w in c.text.split()]

    def alignment_notes(self, words: Any) -> tuple[str, ...]:
        return ()

    def recognise(self, sound: Any, model: str | None) -> list[TimedWord]:
        self._do("recognise", model)
        return [TimedWord(w, i, i + 0.5, 0.8) for i, w in enumerate(self.heard.split())]

    def read_words(self, path: Path) -> Any:
        self._do("read", path.name)
        return SimpleNamespace(**{"kind": "text", "text": "", "cues": (), "words": (), **self.read})

    def did(self, what: str) -> list[Any]:
        return [about for name, about in self.calls if name == what]


@pytest.fixture
def made(monkeypatch) -> Stages:
    found = Stages()
    for name in (
        "probe read_sound pictures face voice align_transcript align_cues alignment_notes recognise read_words".split()
    ):
        monkeypatch.setattr(stages, name, getattr(found, name))
    return found


@pytest.fixture
def path(tmp_path) -> Path:
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"a recording")
    return file


def test_everything_of_a_recording(made: Stages, path: Path) -> None:
    told: list[tuple[str, float]] = []
    seconds: dict[str, float] = {}
    found = extract_clip(path, progress=lambda stage, done: told.append((stage, done)), seconds=seconds)
    assert found.name == "clip"
    assert found.source == "clip.mp4"
    assert found.sha256 == hashlib.sha256(b"a recording").hexdigest()
    assert found.duration == SECONDS
    assert [w.text for w in found.words] == ["so", "it", "goes"]
    assert found.words_from == "recognised"
    assert found.spans == ((0.0, SECONDS, 0, 3),)
    assert {m: f.set_name for m, f in found.features.items()} == {"visual": "face", "acoustic": "covarep"}
    assert found.notes == ("covarep: a warning",)
    assert set(seconds) == {"decode", "words", "acoustic", "face"}
    assert min(seconds.values()) >= 0
    assert [stage for stage, done in told if done == 1.0] == ["words", "face", "acoustic"]
    assert all(0 <= done <= 1 for _, done in told)


def test_options_reach_the_stages(made: Stages, path: Path) -> None:
    options = ExtractOptions("action-units", "egemaps", "recognise", "small.en", 5.0, 320)
    extract_clip(path, options)
    assert made.did("pictures") == [(5.0, 320)]
    assert made.did("face") == ["action-units"]
    assert made.did("voice") == ["egemaps"]
    assert made.did("recognise") == ["small.en"]


def test_nothing_is_done_for_nothing(made: Stages, path: Path) -> None:
    found = extract_clip(path, ExtractOptions(None, None, "none"))
    assert [name for name, _ in made.calls] == ["probe"]
    assert found.features == {}
    assert found.words_from == "none"
    assert found.duration == SECONDS


@pytest.mark.parametrize(
    ("change", "absent", "note"),
    [
        ({"has_picture": False}, "visual", "no pictures"),
        ({"seen": np.zeros(8, dtype=bool)}, "visual", "no face was found in any picture"),
        ({"seen": np.zeros(0, dtype=bool)}, "visual", "no picture could be read"),
        ({"raises": {"middle": MediaError("damaged", "torn")}}, "visual", "no face features: torn"),
        ({"has_sound": False}, "acoustic", "no sound"),
        ({"sound": np.zeros(0, dtype=np.float32)}, "acoustic", "the sound is empty"),
        ({"raises": {"sound": MediaError("damaged", "torn")}}, "acoustic", "the sound cannot be read: torn"),
        ({"raises": {"voice": DataError("too odd")}}, "acoustic", "no covarep features: too odd"),
        ({"heard": ""}, None, "no words were recognised"),
    ],
)
def test_what_cannot_be_had_is_a_note(made: Stages, path: Path, change: dict, absent: str | None, note: str) -> None:
    vars(made).update(change)
    found = extract_clip(path)
    assert note in found.notes
    assert set(found.features) == {"visual", "acoustic"} - {absent}
    if not found.words:
        assert found.spans[0][2:] == (0, 0)


def test_a_file_that_is_no_recording_is_an_error(made: Stages, path: Path) -> None:
    made.raises["probe"] = MediaError("not-media", "a text")
    with pytest.raises(MediaError, match="a text"):
        extract_clip(path)


def test_a_recording_of_which_nothing_can_be_decoded_is_an_error(made: Stages, path: Path) -> None:
    made.raises["sound"] = MediaError("damaged", "torn sound")
    made.raises["middle"] = MediaError("damaged", "torn pictures")
    with pytest.raises(MediaError, match="torn sound"):
        extract_clip(path)


def test_missing_packages_are_an_error_and_no_note(made: Stages, path: Path) -> None:
    for stage in ("face", "voice", "recognise"):
        made.raises = {stage: ModashiftError("pip install")}
        with pytest.raises(ModashiftError, match="pip install"):
            extract_clip(path)


def test_a_given_transcript_is_aligned(made: Stages, path: Path) -> None:
    found = extract_clip(path, transcript="one two")
    assert [w.text for w in found.words] == ["one", "two"]
    assert found.words_from == "given"
    assert not made.did("recognise")


@pytest.mark.parametrize("raises", [{"align": DataError("too long")}, {"sound": MediaError("damaged", "torn")}])
def test_a_transcript_that_cannot_be_aligned_is_spread_evenly(made: Stages, path: Path, raises: dict) -> None:
    made.raises = raises
    found = extract_clip(path, transcript="one two")
    assert [w[1:] for w in found.words] == [(0.0, 2.0, 0.0), (2.0, 4.0, 0.0)]
    assert any("spread evenly" in note for note in found.notes)


def test_transcripts_beside_the_recording_are_taken_the_most_exact_first(made: Stages, path: Path) -> None:
    path.with_suffix(".txt").touch()
    made.read = {"text": "from text"}
    assert [w.text for w in extract_clip(path).words] == ["from", "text"]
    path.with_suffix(".srt").touch()
    assert transcript_beside(path) == path.with_suffix(".srt")
    path.with_suffix(".TextGrid").touch()
    assert transcript_beside(path) == path.with_suffix(".TextGrid")
    made.read = {"kind": "words", "words": (TimedWord("a", 1, 2),)}
    found = extract_clip(path)
    assert found.words_from == "timed"
    assert math.isnan(found.words[0].confidence)
    assert extract_clip(path, ExtractOptions(words="recognise")).words_from == "recognised"


def test_an_unusable_transcript_beside_is_noted_and_a_given_one_an_error(made: Stages, path: Path) -> None:
    path.with_suffix(".json").touch()
    made.raises["read"] = DataError("no transcript")
    found = extract_clip(path)
    assert found.words_from == "recognised"
    assert "cannot be used: no transcript" in found.notes[0]
    with pytest.raises(DataError, match="no transcript"):
        extract_clip(path, transcript=path.with_suffix(".json"))


def test_subtitles_are_the_utterances(made: Stages, path: Path) -> None:
    cues = (SimpleNamespace(start=0.5, end=1.5, text="so it"), SimpleNamespace(start=2.0, end=9.0, text="goes"))
    made.read = {"kind": "cues", "cues": cues}
    path.with_suffix(".srt").touch()
    found = extract_clip(path)
    assert found.spans == ((0.5, 1.5, 0, 2), (2.0, SECONDS, 2, 3))
    assert found.words_from == "given"
    whole = extract_clip(path, ExtractOptions(cutting=Cutting(whole=True)))
    assert whole.spans == ((0.0, SECONDS, 0, 3),)
    made.raises["cues"] = DataError("other language")
    assert [w.confidence for w in extract_clip(path).words] == [0, 0, 0]


def test_segments_with_text_are_aligned_within_their_time(made: Stages, path: Path) -> None:
    segments = (Segment(0.0, 1.0, "one two"), Segment(2.0, 3.0, "three"), Segment(3.0, 4.0))
    found = extract_clip(path, segments=segments)
    assert made.did("align") == [(16_000, "one two"), (16_000, "three")]
    assert [w.start for w in found.words] == [0.0, 0.25, 2.0]
    assert [s[2:] for s in found.spans] == [(0, 2), (2, 3), (3, 3)]


def test_words_outside_given_segments_are_left_out_and_counted(made: Stages, path: Path) -> None:
    found = extract_clip(path, segments=(Segment(0.9, 1.6), Segment(1.9, 1.92)))
    assert [w.text for w in found.words] == ["it"]  # its middle is at 1.25 s, those of the others at 0.25 and 2.25
    assert "2 words outside the given utterances are left out" in found.notes


def test_the_duration_is_what_was_decoded(made: Stages, path: Path) -> None:
    made.duration = 1e9
    assert extract_clip(path).duration == SECONDS
    made.has_sound = False
    assert extract_clip(path).duration == 3.75  # the last picture, and half the time between pictures
    made.duration = None
    assert extract_clip(path, ExtractOptions(None, None, "none")).duration == 0.0


def test_words_are_put_in_order_of_time(made: Stages, path: Path) -> None:
    made.read = {"kind": "words", "words": (TimedWord("b", 2, 3), TimedWord("a", 1, 2))}
    path.with_suffix(".json").touch()
    assert [w.text for w in extract_clip(path).words] == ["a", "b"]


def test_the_recipe_tells_what_a_clip_depends_on(path: Path) -> None:
    usual = recipe(path, ExtractOptions())
    assert usual["transcript"] is None
    assert usual["options"]["cutting"]["pause"] == 0.7
    path.with_suffix(".txt").write_text("a")
    one = recipe(path, ExtractOptions())
    path.with_suffix(".txt").write_text("b")
    assert one["transcript"]["file"] == "clip.txt"
    assert recipe(path, ExtractOptions()) != one
    assert recipe(path, ExtractOptions(words="none"))["transcript"] is None
    assert recipe(path, ExtractOptions(), "a")["transcript"] == {"sha256": one["transcript"]["sha256"]}
    assert recipe(path, ExtractOptions(), "a", (Segment(0, 1, "x", "2"),))["segments"] == [[0, 1, "x"]]


@pytest.mark.parametrize(
    "wrong", [{"visual": "faces"}, {"acoustic": "mfcc"}, {"words": None}, {"picture_rate": 0.0}, {"max_side": 8}]
)
def test_impossible_options_are_refused(wrong: dict) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        ExtractOptions(**wrong)
