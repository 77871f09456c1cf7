import json
from dataclasses import replace

from modashift.extract.manifest import Entry, Manifest

ENTRY = Entry("a/ü", "clips/a.mp4", "f" * 64, "ok", duration=3.5, seconds={"face": 1.23456}, notes=("x\ny",))


def test_the_last_entry_of_each_counts(tmp_path) -> None:
    manifest = Manifest(tmp_path / "new")
    assert manifest.read() == {}
    manifest.append(replace(ENTRY, status="failed", reason="crashed"))
    manifest.append(replace(ENTRY, name="b"))
    manifest.append(ENTRY)
    found = manifest.read()
    assert list(found) == ["a/ü", "b"]
    assert found["a/ü"] == replace(ENTRY, seconds={"face": 1.235})
    assert all(json.loads(line)["name"] for line in manifest.path.read_text().splitlines())


def test_a_line_cut_off_by_a_crash_costs_that_line_only(tmp_path) -> None:
    manifest = Manifest(tmp_path)
    manifest.append(ENTRY)
    with manifest.path.open("ab") as file:
        file.write(replace(ENTRY, name="lost").line().encode()[:-20])
    manifest.append(replace(ENTRY, name="c"))
    assert list(manifest.read()) == ["a/ü", "c"]


def test_rewriting_leaves_nothing_else(tmp_path) -> None:
    manifest = Manifest(tmp_path)
    for name in "abcabc":
        manifest.append(replace(ENTRY, name=name))
    manifest.rewrite([replace(ENTRY, name="c"), replace(ENTRY, name="a")])
    assert [json.loads(line)["name"] for line in manifest.path.read_text().splitlines()] == ["c", "a"]
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.jsonl"]
