"""Many recordings, with an extractor that does what the files tell it to, in real worker processes."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from made_batches import Clips, Inline, Quiet
from made_clips import OBEY
from modashift.data.open import open_dataset
from modashift.errors import DataError, ModashiftError
from modashift.extract import stages
from modashift.extract.bulk import Given, clips_folder, extract_all, plan
from modashift.extract.clip_file import read_clip
from modashift.extract.engines.work import Limit
from modashift.extract.gather import gather
from modashift.extract.manifest import Manifest
from modashift.extract.options import ExtractOptions
from modashift.extract.utterances import Segment


@pytest.mark.slow
def test_failures_are_their_own_and_each_has_a_reason(tmp_path) -> None:
    clips = Clips(tmp_path, a="ok", b="media", c="die", d="error", e="faceless", f="truncated", g="ok", h="die-once")
    found = clips.run(processes=2)
    said = {e.name: (e.status, e.reason) for e in found.entries}
    assert said == {
        "a": ("ok", ""),
        "b": ("failed", "not-media"),
        "c": ("failed", "crashed"),
        "d": ("failed", "error"),
        "e": ("partial", "no visual"),
        "f": ("partial", "truncated"),
        "g": ("ok", ""),
        "h": ("ok", ""),
    }
    entries = {e.name: e for e in found.entries}
    assert "SIGKILL" in entries["c"].message
    assert entries["c"].attempts == 2
    assert clips.asked("c") == 2
    assert entries["h"].attempts == 2
    assert "ZeroDivisionError: made up (made_clips.py" in entries["d"].message
    assert entries["a"].seconds == {"face": 0.25}
    assert found.reasons() == {"not-media": 1, "crashed": 1, "error": 1}
    assert {h for h in clips.listener.heard if h.startswith("again")} == {"again c", "again h"}
    manifest = [json.loads(line) for line in (clips_folder(clips.store) / "manifest.jsonl").read_text().splitlines()]
    assert [m["name"] for m in manifest] == list("abcdefgh")
    dataset = open_dataset(clips.store)
    assert list(dataset.ids) == [f"{n}_{k}" for n in "aefgh" for k in (1, 2)]
    assert list(dataset.features["visual"].lengths) == [3, 3, 0, 0, 3, 3, 3, 3, 3, 3]
    assert dataset.provenance["sha256"]["a"] == entries["a"].sha256


def test_nothing_done_is_done_again_unless_it_changed(tmp_path) -> None:
    clips = Clips(tmp_path, a="ok", b="ok", c="media", d="ok")
    clips.run()
    before = clips.files()
    found = clips.run()
    assert found.found == 3
    assert [clips.asked(n) for n in "abcd"] == [1, 1, 2, 1]  # what failed is tried again
    assert clips.files() == before
    assert {e.name: e.seconds for e in found.entries}["a"] == {"face": 0.25}  # of the call that made it

    clips.write(a="ok but changed")  # the recording
    target = clips_folder(clips.store) / "b.clip.safetensors"
    target.write_bytes(target.read_bytes()[:-1])  # the clip file
    clips.run()
    assert [clips.asked(n) for n in "abd"] == [2, 2, 1]
    assert clips.files()["b.clip.safetensors"] == before["b.clip.safetensors"]

    clips.run(options=ExtractOptions(picture_rate=5.0))
    assert [clips.asked(n) for n in "abd"] == [3, 3, 2]
    given = Given(transcripts={"a": "so it goes"}, segments={"b": (Segment(0.0, 1.0),)})
    clips.run(options=ExtractOptions(picture_rate=5.0), given=given)
    assert [clips.asked(n) for n in "abd"] == [4, 4, 2]
    (clips.folder / "d.txt").write_text("a transcript beside it")
    clips.run(options=ExtractOptions(picture_rate=5.0), given=given)
    assert [clips.asked(n) for n in "abd"] == [4, 4, 3]
    clips.run(options=ExtractOptions(picture_rate=5.0), given=given, redo=True)
    assert [clips.asked(n) for n in "abd"] == [5, 5, 4]


def test_the_number_of_processes_does_not_change_the_files(tmp_path) -> None:
    orders = dict.fromkeys("abcde", "ok")
    one, two = Clips(tmp_path / "one", **orders), Clips(tmp_path / "two", **orders)
    one.run()
    two.run(2)
    assert one.files() == two.files()
    assert len(one.files()) == 5


@pytest.fixture(autouse=True)
def _folders(tmp_path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()


@pytest.mark.slow
def test_what_hangs_is_killed_and_the_others_go_on(tmp_path) -> None:
    clips = Clips(tmp_path, a="hang", b="ok", c="ok")
    begun = time.monotonic()
    found = clips.run(1, limit=Limit(6.0, 0.0))
    assert time.monotonic() - begun < 60
    assert [(e.name, e.reason) for e in found.failed] == [("a", "timeout")]
    assert clips.asked("a") == 1  # what took too long once will again
    assert "--time_limit" in found.failed[0].message
    assert [e.status for e in found.entries[1:]] == ["ok", "ok"]


def test_the_limit_grows_with_the_recording() -> None:
    assert Limit(30, 10).of(6.0) == 90
    assert Limit().of(0.0) == 60


def test_all_failed_is_an_error_and_an_older_store_stays(tmp_path) -> None:
    clips = Clips(tmp_path, a="media", b="error")
    with pytest.raises(ModashiftError, match=r"none of the 2 recordings .*made up"):
        clips.run()
    assert not clips.store.exists()
    assert [e.reason for e in Manifest(clips_folder(clips.store)).read().values()] == ["not-media", "error"]


def test_what_is_no_store_is_not_overwritten(tmp_path) -> None:
    clips = Clips(tmp_path, a="ok")
    clips.store.mkdir()
    (clips.store / "thesis.tex").touch()
    with pytest.raises(DataError, match="no store"):
        clips.run()
    assert clips.asked("a") == 0


def test_two_calls_at_once_are_told_apart(tmp_path) -> None:
    from modashift.train.processes import claim

    clips = Clips(tmp_path, a="ok")
    with claim(clips_folder(clips.store)), pytest.raises(ModashiftError, match="another call is at work"):
        clips.run()


def test_a_missing_recording_is_a_failure_of_its_own(tmp_path) -> None:
    clips = Clips(tmp_path, a="ok")
    (tmp_path / "list.txt").write_text("in/a.wav\nin/gone.wav\n")
    tasks = plan(gather([f"@{tmp_path / 'list.txt'}"]), clips.store, ExtractOptions(), Given(), OBEY)
    found = extract_all(tasks, clips.store, Inline(), Quiet())
    assert [(e.name, e.reason) for e in found.failed] == [("gone", "missing")]


def test_given_things_for_other_recordings_are_refused(tmp_path) -> None:
    clips = Clips(tmp_path, a="ok")
    with pytest.raises(DataError, match="none of the 1 names in the transcripts"):
        clips.run(given=Given(transcripts={"x": "y"}))
    both = Given(transcripts={"a": "y"}, segments={"a": (Segment(0, 1, "z"),)})
    with pytest.raises(DataError, match="leave one out"):
        clips.run(given=both)


def test_labels_of_segments_reach_the_store(tmp_path) -> None:
    clips = Clips(tmp_path, a="ok")
    clips.run(given=Given(segments={"a": (Segment(0, 1.5, None, "2"), Segment(1.5, 3))}))
    np.testing.assert_array_equal(open_dataset(clips.store).labels, [2.0, np.nan])


CALL = """
import signal
import sys
from pathlib import Path
from made_batches import Clips
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell inherits it ignored
clips = Clips.__new__(Clips)
clips.folder, clips.store = Path(sys.argv[1]) / "in", Path(sys.argv[1]) / "x.store"
if __name__ == "__main__":
    try:
        clips.run(processes=2)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_call_that_is_killed_or_interrupted_continues_where_it_was(tmp_path, how: int, status: int) -> None:
    names = [f"c{i}" for i in range(12)]
    clips, whole = Clips(tmp_path / "one", **dict.fromkeys(names, "slow 0.3")), Clips(tmp_path / "two")
    script = tmp_path / "call.py"
    script.write_text(CALL)
    paths = os.pathsep.join(sys.path)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "one")], env={**os.environ, "PYTHONPATH": paths}
    )
    try:
        deadline = time.monotonic() + 60
        while len(clips.files()) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(how)
        assert process.wait(20) == status
    finally:
        process.kill()
    time.sleep(1.0)  # workers end with their parent, and leave the folder to the next call
    done = len(clips.files())
    assert 3 <= done < 12
    made = clips.run()
    assert made.found == done
    assert sum(clips.asked(n) for n in names) <= 12 + 2  # at most what was in hand is begun again
    whole.write(**dict.fromkeys(names, "slow 0"))
    whole.run()
    strip = [replace(read_clip(p).clip, sha256="") for p in sorted(clips_folder(whole.store).glob("*.safetensors"))]
    assert [c.name for c in strip] == sorted(names)
    assert list(open_dataset(clips.store).ids) == list(open_dataset(whole.store).ids)
    np.testing.assert_array_equal(
        open_dataset(clips.store).features["visual"].values, open_dataset(whole.store).features["visual"].values
    )


def test_an_impossible_duration_does_not_lift_the_limit(tmp_path, monkeypatch) -> None:
    from modashift.extract.engines.work import LEAST_RATE, probed

    clips = Clips(tmp_path, a="x" * 1000)
    [task] = plan(gather([clips.folder]), clips.store, ExtractOptions(), Given(), OBEY)
    monkeypatch.setattr(stages, "duration", lambda path: 1e9)
    assert probed(task) == 1000 / LEAST_RATE
    monkeypatch.undo()
    assert probed(task) == 0.0  # no recording at all
