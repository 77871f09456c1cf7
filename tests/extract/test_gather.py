from pathlib import Path

import pytest

from modashift.errors import DataError
from modashift.extract.gather import gather


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_are_searched_by_ending_and_names_keep_the_folders_below(tmp_path) -> None:
    touch(tmp_path, "b.MP4", "a/x.wav", "a/deep/y.flac", "a/x.txt", ".hidden/z.mp4", "a/.z.mp4", "notes.csv")
    found = gather([tmp_path])
    assert [r.name for r in found] == ["a/deep/y", "a/x", "b"]
    assert found[2].path == tmp_path / "b.MP4"


def test_named_files_may_have_any_ending_and_count_once(tmp_path) -> None:
    touch(tmp_path, "x.bin", "y.mp4")
    found = gather([str(tmp_path / "x.bin"), tmp_path, tmp_path / "y.mp4"])
    assert [r.name for r in found] == ["x", "y"]


def test_names_that_clash_keep_their_endings_then_their_folders(tmp_path) -> None:
    touch(tmp_path, "a/x.mp4", "a/x.wav", "b/x.mp4", "b/y.mp4", "b/Y.wav")
    found = [r.name for r in gather([tmp_path / "a/x.mp4", tmp_path / "a/x.wav", tmp_path / "b/x.mp4"])]
    assert found == ["a/x.mp4", "x.wav", "b/x.mp4"]
    assert [r.name for r in gather([tmp_path / "a", tmp_path / "b"])] == [
        "a/x.mp4",
        "x.wav",
        "Y.wav",
        "b/x.mp4",
        "y.mp4",
    ]
    assert sorted(r.name for r in gather([tmp_path / "b/y.mp4", tmp_path / "b/Y.wav"])) == ["Y.wav", "y.mp4"]


def test_lists_count_from_their_folder_and_may_name_what_is_not_there(tmp_path) -> None:
    touch(tmp_path, "clips/a.mp4")
    (tmp_path / "list.txt").write_text("# recordings\n\nclips/a.mp4\n  clips/b c.mp4  \n")
    found = gather([f"@{tmp_path / 'list.txt'}"])
    assert [(r.name, r.path) for r in found] == [
        ("a", tmp_path / "clips/a.mp4"),
        ("b c", tmp_path / "clips/b c.mp4"),
    ]


def test_nothing_to_extract_is_said(tmp_path) -> None:
    touch(tmp_path, "x.txt")
    with pytest.raises(DataError, match="holds no recording"):
        gather([tmp_path])
    with pytest.raises(DataError, match="no file or folder"):
        gather([tmp_path / "none.mp4"])
    with pytest.raises(DataError, match="cannot read the list"):
        gather([f"@{tmp_path / 'none.txt'}"])
    (tmp_path / "empty.txt").write_text("#\n")
    with pytest.raises(DataError, match="no recording to extract"):
        gather([f"@{tmp_path / 'empty.txt'}"])


def test_names_can_be_written_whatever_the_file_is_called(tmp_path) -> None:
    touch(tmp_path, "line\nbreak.mp4", "é.mp4")
    assert [r.name for r in gather([tmp_path])] == ["line_break", "é"]
