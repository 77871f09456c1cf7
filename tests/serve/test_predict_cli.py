"""``modashift predict`` with recordings that were extracted before, and the process that reads the others."""

import csv
import io
import json
import signal
from dataclasses import replace

import numpy as np
import pytest

from modashift.__main__ import main
from modashift.errors import ModashiftError
from modashift.extract.clip_file import write_clip
from modashift.serve.cli import _ordered, predict
from modashift.serve.extractor import Extractor, Wanted
from modashift.serve.illustrate import Illustration, Thumbnail
from modashift.serve.result import ClipResult
from modashift.serve.worker import packed


@pytest.fixture(scope="module")
def clips(tmp_path_factory, clip_of):
    """Three recordings as `modashift extract` leaves them; the last is damaged."""
    folder = tmp_path_factory.mktemp("clips")
    paths = []
    for name, said in (("one", ["it was great"]), ("two", ["it was awful", "and boring"])):
        paths.append(folder / f"{name}.clip.safetensors")
        write_clip(paths[-1], clip_of(said, name), {}, {})
    broken = folder / "broken.clip.safetensors"
    broken.write_bytes(paths[0].read_bytes()[:-40])
    return [*map(str, paths), str(broken)]


def test_files_of_all_formats_are_written(runs, clips, tmp_path, capsys):
    assert main(["predict", str(runs / "cms"), *clips[:2], "--out", str(tmp_path / "o")]) == 0
    names = {p.name for p in (tmp_path / "o").iterdir()}
    stems = {n.split(".scores")[0] for n in names}
    assert len(names) == 2 * 5 + 1
    assert "scores.csv" in names
    rows = list(csv.DictReader(io.StringIO((tmp_path / "o" / "scores.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 3
    for stem in stems - {"scores.csv"}:
        found = json.loads((tmp_path / "o" / f"{stem}.scores.json").read_text(encoding="utf-8"))
        assert found["model"]["sources"] == [str(runs / "cms")]
        assert (tmp_path / "o" / f"{stem}.scores.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    out = capsys.readouterr().out
    assert "used: words, face and voice" in out
    assert "on the whole" in out


def test_one_file_and_standard_output(runs, clips, tmp_path, capsys):
    assert main(["predict", str(runs / "cms"), clips[0], "--out", str(tmp_path / "p.html")]) == 0
    assert "<!doctype html>" in (tmp_path / "p.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["predict", str(runs / "cms"), "--format", "json", *clips[:2]]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["recording"]["name"] for line in lines] == ["one", "two"]
    assert main(["predict", str(runs / "cms"), *clips[:2], "--format", "csv", "--explain", "false"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [r["utterance"] for r in rows] == ["one_1", "two_1", "two_2"]
    assert {r["words_effect"] for r in rows} == {""}
    assert main(["predict", str(runs / "cms"), clips[1], "--format", "srt"]) == 0
    assert capsys.readouterr().out.startswith("1\n00:00:00,500 -->")


def test_a_damaged_recording_does_not_stop_the_others(runs, clips, tmp_path, capsys):
    order = [clips[2], clips[0], clips[1]]
    assert main(["predict", str(runs / "cms"), *order, "--out", str(tmp_path / "o"), "--format", "json"]) == 2
    said = capsys.readouterr().err
    assert "broken" in said
    assert "1 of 3 recordings could not be scored" in said
    assert len(list((tmp_path / "o").iterdir())) == 2


def test_runs_are_joined_by_commas_or_named_one_after_the_other(runs, clips, capsys):
    names = [str(runs / "cms"), str(runs / "cms2")]
    comma = predict([",".join(names), clips[0], "--format", "json"])
    assert predict([*names, clips[0], "--format", "json"]) == comma
    single = [predict([n, clips[0], "--format", "json"])[0]["utterances"][0]["score"] for n in names]
    assert comma[0]["utterances"][0]["scores"] == pytest.approx(single, abs=1e-4)
    capsys.readouterr()
    rows = predict([*names, "--text", "it was good", "bad"])
    alone = [predict([n, "--text", "it was good", "bad"]) for n in names]
    for k, row in enumerate(rows):
        assert row["score"] == pytest.approx(np.mean([a[k]["score"] for a in alone]), abs=1e-5)
        assert row["sd"] == pytest.approx(np.std([a[k]["score"] for a in alone], ddof=1), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "nowhere.mp4"], "there is no file or folder nowhere.mp4"),
        (["{run}", "{clip}", "--text", "x"], "not both"),
        (["{run}", "--text", "x", "--transcript", "t.txt"], "--transcript is about recordings"),
        (["{run}", "--text", "x", "--format", "srt"], "not one of text, json, csv"),
        (["{run}", "{clip}", "--format", "html"], "a page needs --out"),
        (["{run}", "{clip}", "--format", "json,csv"], "give a folder as --out"),
        (["{run}", "{clip}", "{two}", "--out", "x.html"], "one file for 2 recordings"),
        (["{run}", "{clip}", "{two}", "--transcript", "{clip}"], "one transcript for 2 recordings"),
        (["{run}", "{clip}", "--transcript", "no.txt"], "there is no transcript no.txt"),
        (["{run}", "{clip}", "--transcript", "{clip}"], "holds its words already"),
    ],
)
def test_what_does_not_go_together_is_said(runs, clips, arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [a.format(run=runs / "cms", clip=clips[0], two=clips[1]) for a in arguments]
    assert main(["predict", *given]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_recordings_may_be_named_after_options():
    assert _ordered(["r", "--missing_ok", "a.mp4", "--text", "b", "c", "--out", "d", "e.mp4", "--explain=false"]) == [
        "r", "a.mp4", "e.mp4", "--missing_ok=true", "--text", "b", "c", "--out", "d", "--explain=false",
    ]  # fmt: skip
    assert _ordered(["r", "--missing_ok", "false", "x"]) == ["r", "x", "--missing_ok", "false"]


def test_a_recording_that_cannot_be_read_is_an_error_of_its_own(tmp_path):
    text = tmp_path / "a.mp4"
    text.write_text("this is no film")
    with Extractor() as extractor:
        for _ in range(2):  # the process goes on after an error
            extractor.start(Wanted(text, "a", words="recognise"))
            with pytest.raises(ModashiftError, match=r"a\.mp4: neither sound nor video"):
                extractor.finish()
        extractor.process.send_signal(signal.SIGSTOP)  # else it may have answered before it is killed
        extractor.start(Wanted(text, "a"))
        extractor.process.kill()
        with pytest.raises(ModashiftError, match=r"the process that read it ended \(by signal 9\)"):
            extractor.finish()
        extractor.start(Wanted(text, "a"))  # and is started anew
        with pytest.raises(ModashiftError, match="neither sound nor video"):
            extractor.finish()


def test_pictures_and_outline_survive_the_way_between_processes():
    from modashift.serve.extractor import unpacked

    seen = Illustration((Thumbnail(0.5, b"\xff\xd8\x00", 4, 3),), np.array([-1.0, -0.5]), np.array([0.5, 1.0]))
    again = unpacked(json.loads(json.dumps(packed(seen))))
    assert again.thumbnails == seen.thumbnails
    assert np.array_equal(again.low, seen.low)
    assert np.array_equal(again.high, seen.high)


def test_reasons_for_what_is_missing_come_from_the_notes(runs, clip_of, tmp_path):
    clip = replace(clip_of(["it was good"], sets=("covarep",)), notes=("no face was found in any picture",))
    path = tmp_path / "x.clip.safetensors"
    write_clip(path, clip, {}, {})
    from modashift.serve.pipeline import score_recordings

    (scored,) = score_recordings([str(runs / "cms")], [("x", path)])
    assert isinstance(scored.result, ClipResult)
    face = scored.result.utterances[0].modalities[1]
    assert (face.used, face.why) == (False, "no face was found in any picture")
