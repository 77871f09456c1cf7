"""Data sets of the same utterances put together, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from made_layers import ALWAYS, layered
from modashift.__main__ import main
from modashift.data.dataset import Feature
from modashift.data.join import Part, join, join_text, part_of, read_join
from modashift.data.open import open_dataset
from modashift.data.states import state_columns
from modashift.data.store import write_store
from modashift.errors import DataError
from support import toy_dataset

SIZES = {"train": 6, "dev": 3, "test": 3}


@pytest.fixture
def both():
    """Voice and words of the same twelve utterances."""
    return layered(
        {"acoustic": {0: ALWAYS}, "linguistic": {2: ALWAYS}}, {"acoustic": (0, 4), "linguistic": (1, 2)}, SIZES
    )


def only(dataset, *modalities):
    return dataset.keep_features(modalities)


def test_features_come_together_and_all_else_is_the_first_ones(both):
    voice, words = only(both, "acoustic"), replace(only(both, "linguistic"), name="other", groups=["x"] * len(both))
    whole = join([voice, words], ["voice.store", "words.store"])
    assert list(whole.features) == ["acoustic", "linguistic"]
    assert whole.name == "made"
    assert whole.groups == both.groups
    assert np.array_equal(whole.features["linguistic"].values, both.features["linguistic"].values)
    assert state_columns(whole.features["acoustic"]).layers == (0, 4)
    assert [part["data"] for part in whole.provenance["joined"]] == ["voice.store", "words.store"]


def test_another_order_is_put_right(both):
    rng = np.random.default_rng(1)
    order = rng.permutation(len(both))
    whole = join([only(both, "acoustic"), only(both, "linguistic").take(order)])
    for k in range(len(both)):
        assert np.array_equal(whole.features["linguistic"][k], both.features["linguistic"][k])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.take(range(11)), r"one and two hold other utterances: 1 are in one only \(u011\)"),
        (
            lambda d: replace(d, ids=[*d.ids[:10], "new", "newer"]),
            r"2 are in one only \(u010, u011\); 2 are in two only",
        ),
        (lambda d: replace(d, labels=d.labels + np.arange(12) / 10), r"other labels for 11 of 12 utterances: u001"),
        (
            lambda d: replace(d, labels=np.where(np.arange(12) == 3, np.nan, d.labels)),
            r"other labels for 1 of 12 utterances: u003 \(.* and nan\)",
        ),
        (
            lambda d: replace(d, splits=np.array(["train"] * 12)),
            r"other splits for 6 of 12 utterances: u006 \(dev and train\)",
        ),
        (lambda d: replace(d, classes=("no", "yes")), r"other labels: scores and \(no, yes\)"),
        (lambda d: replace(d, features={"acoustic": d.features["linguistic"]}), "one and two both have acoustic"),
    ],
)
def test_what_does_not_agree_is_refused_by_name(both, change, message):
    with pytest.raises(DataError, match=message):
        join([only(both, "acoustic"), change(only(both, "linguistic"))], ["one", "two"])


def test_missing_labels_agree_where_both_lack_them(both):
    unlabelled = replace(both, labels=np.where(np.arange(12) == 3, np.nan, both.labels))
    assert np.isnan(join([only(unlabelled, "acoustic"), only(unlabelled, "linguistic")]).labels[3])


def test_words_are_those_whose_steps_they_are():
    worded = toy_dataset(12, features=("visual",))
    rng = np.random.default_rng(0)
    frames = replace(Feature.pack([rng.normal(size=(3, 2)) for _ in range(12)], 2), alignment="frame")
    silent = replace(worded, words=[()] * 12, texts=[""] * 12, features={"acoustic": frames})
    assert join([silent, worded]).words == worded.words
    assert join([silent, worded]).texts == worded.texts
    # Frames have no words of their own: whatever is said there gives way to the words of the steps.
    other = replace(worded, words=[("spelt", "otherwise")] * 12, features={"acoustic": frames})
    assert join([other, worded]).words == worded.words
    clash = replace(other, features={"acoustic": toy_dataset(12, features=("acoustic",)).features["acoustic"]})
    with pytest.raises(DataError, match="its words are not those of first"):
        join([worded, clash], ["first", "second"])


def test_a_join_file_opens_wherever_data_are_expected(both, tmp_path, capsys):
    write_store(only(both, "acoustic"), tmp_path / "voice.store")
    write_store(both, tmp_path / "both.store")
    path = tmp_path / "all.join"
    path.write_text(join_text([Part("voice.store"), Part(str(tmp_path / "both.store"), ("linguistic",))]))
    whole = open_dataset(path)
    assert set(whole.features) == {"acoustic", "linguistic"}
    assert not whole.features["linguistic"].values.flags.writeable  # still on disk
    assert [len(part["store"]["sha256"]) for part in whole.provenance["joined"]] == [64, 64]
    main(["data", "inspect", str(path)])
    assert "read as join" in capsys.readouterr().out
    path.write_text(join_text([Part("both.store", ()), Part("voice.store")]))
    assert set(read_join(path).features) == {"acoustic"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("join: a.store", "is no join"),
        ("- a.store", "is no join"),
        ("join: [a.store]", "is no part of a join"),
        ("join: [{data: a.store, features: acoustic}]", "is no part of a join"),
        ("join: [{data: a.store, features: [smell]}]", "is no part of a join"),
        ("join: [{data: a.store, layers: 3}]", "is no part of a join"),
        ("join: [{data: self.join}]", "is a join itself"),
        ("join: [{data: nowhere.store}]", "there is no file or folder"),
        ("join: [", "cannot be read"),
    ],
)
def test_join_files_that_are_none(text, message, tmp_path):
    (tmp_path / "self.join").write_text(text)
    with pytest.raises(DataError, match=message):
        read_join(tmp_path / "self.join")


def test_parts_as_people_write_them():
    assert part_of("a.store") == Part("a.store")
    assert part_of("dir/a.store:acoustic,visual") == Part("dir/a.store", ("acoustic", "visual"))
    assert part_of("C:/data/a.store") == Part("C:/data/a.store")
