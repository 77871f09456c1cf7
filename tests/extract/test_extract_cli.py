"""The command itself, on sounds made here; words and faces are tested where they live."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_batches import Inline
from modashift.__main__ import normalised
from modashift.data.open import open_dataset
from modashift.errors import DataError, ModashiftError
from modashift.extract import cli
from modashift.extract.clip import ExtractOptions
from modashift.extract.utterances import Cutting


def hum(path: Path, seconds: float = 1.0, pitch: float = 120.0) -> None:
    """A voice-like sound: harmonics of a pitch that falls a little."""
    t = np.arange(int(16_000 * seconds)) / 16_000
    phase = 2 * np.pi * pitch * (t - 0.05 * t**2)
    sound = sum(np.sin(k * phase) / k for k in range(1, 20)) * 0.2
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((sound * 32767).astype("<i2").tobytes())


def call(*arguments: Any) -> None:
    cli.extract(normalised([str(a) for a in arguments]))


@pytest.fixture
def inline(monkeypatch) -> None:
    monkeypatch.setattr(cli, "_engine", lambda *_: Inline())


VOICE = ("--visual", "none", "--words", "none", "--alignment", "frame")


def test_a_folder_becomes_a_store_with_failures_listed(tmp_path, capsys) -> None:
    hum(tmp_path / "in/b/low.wav", pitch=100)
    hum(tmp_path / "in/high.wav", pitch=200)
    (tmp_path / "in/not.wav").write_text("a text")
    (tmp_path / "labels.csv").write_text("name,label,split\nhigh,2,train\nb/low,-1,valid\n")
    out = tmp_path / "x.store"
    call(tmp_path / "in", "--out", out, *VOICE, "--labels", tmp_path / "labels.csv", "--processes", 1)  # in a worker
    found = open_dataset(out)
    assert list(found.ids) == ["b/low_1", "high_1"]
    assert found.labels.tolist() == [-1, 2]
    assert found.splits.tolist() == ["dev", "train"]
    voice = found.features["acoustic"]
    assert voice.columns[0] == "F0"
    assert abs(np.median(voice[0][:, 0]) - 97) < 5
    assert abs(np.median(voice[1][:, 0]) - 190) < 10
    said = capsys.readouterr().out
    assert "failed, not-media: 1 (not)" in said
    assert "2 of 3 recordings, 2 s, in 2 utterances" in said
    lines = [json.loads(line) for line in Path(f"{out}.clips/manifest.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["ok", "ok", "failed"]
    assert lines[0]["seconds"].keys() == {"decode", "acoustic"}


def test_strict_and_all_failed_end_with_an_error(tmp_path, inline) -> None:
    hum(tmp_path / "a.wav", 0.3)
    (tmp_path / "b.wav").write_text("a text")
    out = tmp_path / "x.store"
    with pytest.raises(SystemExit) as ended:
        call(tmp_path / "a.wav", tmp_path / "b.wav", "--out", out, *VOICE, "--strict")
    assert ended.value.code == 2
    assert len(open_dataset(out)) == 1
    with pytest.raises(ModashiftError, match="none of the 1 recordings"):
        call(tmp_path / "b.wav", "--out", tmp_path / "y.store", *VOICE)


def test_a_second_call_does_nothing_again(tmp_path, inline, capsys) -> None:
    hum(tmp_path / "a.wav", 0.3)
    out = tmp_path / "x.store"
    call(tmp_path / "a.wav", "--out", out, *VOICE)
    before = (out / "arrays.safetensors").read_bytes()
    call(tmp_path / "a.wav", "--out", out, *VOICE)
    assert "1 were there" in capsys.readouterr().out
    assert (out / "arrays.safetensors").read_bytes() == before


def test_classes_and_segments(tmp_path, inline) -> None:
    hum(tmp_path / "a.wav", 2.0)
    (tmp_path / "s.csv").write_text("name,start,end,label\na,0,1,sad\na,1,2,glad\n")
    call(tmp_path / "a.wav", "--out", tmp_path / "x.store", *VOICE, "--segments", tmp_path / "s.csv")
    found = open_dataset(tmp_path / "x.store")
    assert found.classes == ("glad", "sad")
    assert found.labels.tolist() == [1, 0]
    assert list(found.features["acoustic"].lengths) == [100, 100]
    call(
        tmp_path / "a.wav",
        "--out",
        tmp_path / "x.store",
        *VOICE,
        "--segments",
        tmp_path / "s.csv",
        "--classes=[sad,glad]",
    )
    assert open_dataset(tmp_path / "x.store").labels.tolist() == [0, 1]


def test_wrong_labels_are_found_before_the_work(tmp_path, monkeypatch) -> None:
    hum(tmp_path / "a.wav", 0.3)
    monkeypatch.setattr(cli, "_engine", lambda *_: pytest.fail("work has begun"))
    (tmp_path / "l.csv").write_text("name,label\na,7\n")
    with pytest.raises(DataError, match="outside"):
        call(tmp_path / "a.wav", "--out", tmp_path / "x.store", *VOICE, "--labels", tmp_path / "l.csv")
    (tmp_path / "l.csv").write_text("name,text\na,so\na,it\n")
    with pytest.raises(DataError, match="line 3: a was given before"):
        call(tmp_path / "a.wav", "--out", tmp_path / "x.store", *VOICE, "--transcripts", tmp_path / "l.csv")


def test_options_are_those_of_the_signature() -> None:
    usual = cli.options_from(cli._parser().parse_args(["a.mp4", "--out", "x"]))
    assert usual == ExtractOptions()
    arguments = (
        "a.mp4 --out x --visual action-units --acoustic none --words recognise --asr small.en --picture-rate null "
        "--max-side 320 --whole=false --whole-below 3 --pause 1 --most-words 9 --most-seconds 8 --least-words 2"
    )
    given = cli.options_from(cli._parser().parse_args(normalised(arguments.split())))
    assert given == ExtractOptions(
        "action-units", None, "recognise", "small.en", None, 320, Cutting(False, 3.0, 1.0, 9, 8.0, 2)
    )


def test_a_missing_package_is_named_at_once(monkeypatch) -> None:
    from modashift.extract import stages

    monkeypatch.setattr(stages, "find_spec", lambda name: None if name in {"av", "mediapipe"} else True)
    with pytest.raises(ModashiftError, match=r"av \(for recordings\), mediapipe \(for faces\).*modashift\[extract\]"):
        stages.require(ExtractOptions(words="none"))


def test_the_machine_is_used_in_full(tmp_path) -> None:
    config = cli._parser().parse_args(["a.mp4", "--out", "x"])
    from modashift.extract.engines.work import Limit

    engine: Any = cli._engine(config, tmp_path / "x", Limit(), 1000)
    assert engine.processes >= 1
    assert (engine.limit.of(6.0), engine.retries) == (120.0, 1)
    config.processes = -1
    with pytest.raises(ModashiftError, match="--processes"):
        cli._engine(config, tmp_path / "x", Limit(), 1)
