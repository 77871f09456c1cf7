import math
import os
import subprocess
import sys

import numpy as np
import pytest

from made_clips import clip, frames
from modashift.errors import DataError
from modashift.extract.clip_file import read_clip, write_clip
from modashift.extract.recording import Clip, TimedWord

RECIPE = {"options": {"visual": "face"}, "segments": [[0.0, 1.5, "so"]]}


def same(a: Clip, b: Clip) -> bool:
    for modality in {*a.features, *b.features}:
        x, y = a.features[modality], b.features[modality]
        assert x.set_name == y.set_name
        assert x.columns == y.columns
        for one, other in ((x.values, y.values), (x.times, y.times), (x.mask, y.mask)):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    plain = [{k: v for k, v in vars(c).items() if k != "features"} for c in (a, b)]
    return repr(plain[0]) == repr(plain[1])  # NaN is not equal to itself, but looks the same


def test_all_of_a_clip_survives(tmp_path) -> None:
    made = clip(
        "ordner/grüße",
        words=4,
        notes=("keine “Stimme”", "x"),
        duration=1 / 3,
        words_from="given",
    )
    unsure = (TimedWord("naïve", 0.1, 0.2), TimedWord("", 0.2, 0.2, 0.0), *made.words[2:])
    visual = frames(2.0)
    visual.mask[3:5] = False
    visual.values[3:5] = math.nan
    made = Clip(**{**vars(made), "words": unsure, "features": {**made.features, "visual": visual}})
    write_clip(tmp_path / "deep" / "a.clip.safetensors", made, RECIPE, {"numpy": "2"})
    found = read_clip(tmp_path / "deep" / "a.clip.safetensors")
    assert same(found.clip, made)
    assert found.recipe == RECIPE
    assert found.packages == {"numpy": "2"}
    assert math.isnan(found.clip.words[0].confidence)


def test_a_clip_without_anything_survives(tmp_path) -> None:
    made = clip(words=0, features={}, spans=(), notes=())
    write_clip(tmp_path / "a", made, {}, {})
    assert same(read_clip(tmp_path / "a").clip, made)


def test_the_same_clip_gives_the_same_bytes_in_any_process(tmp_path) -> None:
    write_clip(tmp_path / "a", clip(), RECIPE, {"b": "1", "a": "2"})
    code = (
        "from pathlib import Path; from made_clips import clip; from modashift.extract.clip_file import write_clip; "
        f"write_clip(Path({str(tmp_path / 'b')!r}), clip(), {RECIPE!r}, {{'a': '2', 'b': '1'}})"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_any_changed_byte_is_found(tmp_path) -> None:
    path = tmp_path / "a"
    write_clip(path, clip(words=2), RECIPE, {})
    content = path.read_bytes()
    harmless = found = named = 0
    for position in range(0, len(content), 29):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x41]) + content[position + 1 :])
        try:
            assert same(read_clip(path).clip, clip(words=2))
            harmless += 1  # a space of the header's padding
        except DataError as error:
            named += str(path) in str(error)
            found += 1
    assert harmless <= 2
    assert named == found > 100


def test_cut_and_foreign_files_are_refused_with_the_remedy(tmp_path) -> None:
    path = tmp_path / "a"
    write_clip(path, clip(), RECIPE, {})
    content = path.read_bytes()
    for wrong in (b"", content[:7], content[:300], content[:-1], content + b"x", b"no clip at all", b"\xff" * 64):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match="makes it anew"):
            read_clip(path)
    with pytest.raises(DataError, match="cannot read"):
        read_clip(tmp_path / "none")


def test_other_versions_are_refused(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a"
    monkeypatch.setattr("modashift.extract.clip_file.VERSION", 99)
    write_clip(path, clip(), RECIPE, {})
    monkeypatch.undo()
    with pytest.raises(DataError, match="version 99"):
        read_clip(path)
