from dataclasses import replace

import numpy as np
import pytest

from modashift.data.dataset import Feature
from modashift.data.validate import check, replace_nonfinite
from modashift.errors import DataError


def keys(report, severity="error"):
    return [p.key for p in report.problems if p.severity == severity]


def changed(data, modality, function):
    feature = data.features[modality]
    values = function(feature.values.copy())
    return replace(data, features={**data.features, modality: replace(feature, values=values)})


def fill(index, value):
    def function(values):
        values[index] = value
        return values

    return function


def test_sound_data_have_no_problems(make):
    for alignment in ("word", "frame", "utterance"):
        report = check(make(modalities=("linguistic", "visual"), alignment=alignment))
        assert report.problems == ()
        report.raise_errors()


def test_nonfinite_values_are_counted_by_kind(make):
    data = make(seed=3)
    row = 4
    step = int(data.features["acoustic"].offsets[row])
    data = changed(data, "acoustic", fill((step, slice(None)), [np.nan, -np.inf, -np.inf, np.inf, 1]))
    report = check(data)
    assert keys(report) == ["acoustic"]
    problem = report.errors[0]
    assert "1 NaN, 2 -inf, 1 +inf among" in problem.message
    assert problem.row == data.ids[row]
    assert "--replace_nonfinite" in problem.remedy
    with pytest.raises(DataError, match=r"sample cannot be used.*\n.*acoustic: 1 NaN.*first: vid1_2"):
        report.raise_errors()
    repaired = replace_nonfinite(data)
    assert check(repaired).problems == ()
    assert repaired.provenance["replaced_nonfinite"] == {"acoustic": {"NaN": 1, "-inf": 2, "+inf": 1}}
    assert repaired[row].features["acoustic"][0].tolist() == [0, 0, 0, 0, 1]
    assert np.isnan(data[row].features["acoustic"][0, 0]), "the data set given is not changed"
    np.testing.assert_array_equal(repaired.features["visual"].values, data.features["visual"].values)
    assert replace_nonfinite(repaired) is repaired


def test_nonfinite_values_beyond_the_first_chunk(make, monkeypatch):
    monkeypatch.setattr("modashift.data.validate.CHUNK", 4)
    data = changed(make(), "visual", fill((-1, 0), np.nan))
    assert check(data).errors[0].row == data.ids[len(data) - 1]
    assert check(make()).problems == ()


def test_labels(make):
    data = make()
    labels = data.labels.copy()
    labels[[2, 5]] = [3.5, np.inf]
    report = check(replace(data, labels=labels))
    assert keys(report) == ["labels"]
    assert "2 labels are outside [-3, 3], 3.5 for example" in report.errors[0].message
    assert report.errors[0].row == data.ids[2]
    labels[[2, 5]] = np.nan
    report = check(replace(data, labels=labels))
    assert keys(report) == []
    assert "2 utterances have no label" in report.warnings[0].message


def test_duplicates(make):
    data = make()
    ids = list(data.ids)
    ids[1] = ids[0]  # both in train
    ids[11] = ids[2]  # test and train
    report = check(replace(data, ids=ids))
    assert [(p.key, p.row, p.message) for p in report.errors] == [
        ("ids", "vid0_3", "1 ids are in more than one split"),
        ("ids", "vid0_1", "1 ids occur more than once"),
    ]


def test_groups_in_two_splits_and_no_training_split(make):
    data = make()
    report = check(data.with_splits(np.array(["train", "dev", "test"] * 4)))
    assert keys(report) == []
    assert keys(report, "warning") == ["groups"]
    assert "4 groups" in report.warnings[0].message
    report = check(data.with_splits(np.array(["test"] * 12)))
    assert keys(report, "warning") == ["splits"]


def test_empty_texts(make):
    data = make(modalities=())
    words = list(data.words)
    words[3] = ()
    report = check(replace(data, words=words))
    assert (report.warnings[0].key, report.warnings[0].row) == ("texts", "vid1_1")


def test_missing_silent_and_dead_features(make):
    data = make(missing=True, seed=1)
    report = check(data)
    assert keys(report) == []
    assert [p.message for p in report.warnings] == ["missing in 4 utterances"]
    data = make()
    offsets = data.features["visual"].offsets
    silent = changed(data, "visual", fill(slice(offsets[5], offsets[6]), 0))
    assert [(p.key, p.row) for p in check(silent).warnings] == [("visual", data.ids[5])]
    dead = changed(data, "visual", fill((slice(None), 2), 0))
    assert "1 of 4 columns are 0 throughout (visual2" in check(dead).warnings[0].message
    unnamed = replace(dead.features["visual"], columns=())
    assert "(2 …)" in check(replace(dead, features={"visual": unnamed})).warnings[0].message


def test_steps_and_words(make):
    data = make(videos=8, seed=2)
    more = replace(data, words=[w[:-1] if i == 3 else w for i, w in enumerate(data.words)])
    report = check(more)
    assert keys(report) == ["visual", "acoustic"]
    assert report.errors[0].row == data.ids[3]
    fewer = replace(data, words=[(*w, "x") if i == 3 else w for i, w in enumerate(data.words)])
    assert keys(check(fewer)) == []
    assert "fewer steps than words" in check(fewer).warnings[0].message
    utterance = {m: replace(f, alignment="utterance") for m, f in data.features.items()}
    assert "more than one step" in check(replace(data, features=utterance)).errors[0].message


def test_unequal_lengths(make):
    data = make()
    assert keys(check(replace(data, ids=list(data.ids)[:-1]))) == ["ids"]
    assert keys(check(replace(data, texts=[]))) == ["texts"]
    feature = data.features["visual"]
    short = Feature(feature.values, feature.offsets[:-1], "word")
    assert keys(check(replace(data, features={"visual": short}))) == ["visual", "visual"]
    assert keys(check(replace(data, features={"smell": feature}))) == ["smell"]
    falling = feature.offsets.copy()
    falling[2] = 0
    assert keys(check(replace(data, features={"visual": replace(feature, offsets=falling)}))) == ["visual"]


def test_real_files_have_no_errors(mosi):
    from modashift.data.mmsa import read_mmsa

    report = check(read_mmsa(mosi / "mmsa_format.pkl"))
    assert report.errors == ()
    assert [p.key for p in report.warnings] == ["acoustic"]
    assert "1 of 74 columns are 0 throughout" in report.warnings[0].message
