import math

import numpy as np
import pytest

from made_clips import clip, frames
from modashift.data.store import open_store, write_store
from modashift.data.validate import check
from modashift.errors import DataError
from modashift.extract.dataset import clips_dataset, column_names
from modashift.extract.labels import Label, Labels, read_labels
from modashift.extract.recording import Clip, Frames, Span, TimedWord


def by_hand(frames: Frames, word: TimedWord) -> np.ndarray:
    """Mean of the valid frames within a word, one by one."""
    inside = [
        frames.values[t].astype(np.float64)
        for t in range(len(frames.times))
        if frames.mask[t] and word.start <= frames.times[t] < word.end
    ]
    return np.mean(inside, axis=0)


def changed(clip: Clip, **changes) -> Clip:
    return Clip(**{**vars(clip), **changes})


def test_one_row_an_utterance_with_means_of_each_word() -> None:
    clips = [clip("a", seed=1), clip("b", words=9, seed=2)]
    found = clips_dataset(clips)
    assert list(found.ids) == ["a_1", "a_2", "b_1", "b_2"]
    assert list(found.groups) == ["a", "a", "b", "b"]
    assert found.texts[1] == "w3 w4 w5"
    assert [len(w) for w in found.words] == [3, 3, 4, 5]
    assert np.isnan(found.labels).all()
    assert set(found.splits) == {"train"}
    row = 0
    for made in clips:
        for span in made.spans:
            for modality in ("visual", "acoustic"):
                expected = [by_hand(made.features[modality], w) for w in made.words[span.first : span.stop]]
                np.testing.assert_allclose(found.features[modality][row], expected, atol=1e-6)
            row += 1
    assert found.features["visual"].columns == ("face0", "face1", "face2")
    assert found.provenance["feature_sets"] == {"visual": "face", "acoustic": "covarep"}
    assert found.provenance["notes"] == []
    assert not check(found).errors


def test_several_statistics_have_columns_of_their_own() -> None:
    made = clip()
    found = clips_dataset([made], statistics=("mean", "sd"))
    feature = found.features["visual"]
    assert feature.columns == ("face0:mean", "face1:mean", "face2:mean", "face0:sd", "face1:sd", "face2:sd")
    plain = clips_dataset([made], statistics=("sd",)).features["visual"]
    assert plain.columns == ("face0:sd", "face1:sd", "face2:sd")
    np.testing.assert_array_equal(feature[0][:, 3:], plain[0])
    assert column_names(("x",), ("mean",)) == ("x",)


def test_words_without_a_valid_frame_stand_at_the_mean_of_the_others_of_their_utterance() -> None:
    made = clip()
    visual = made.features["visual"]
    visual.mask[(visual.times >= 0.5) & (visual.times < 1.0)] = False  # the second word
    visual.values[~visual.mask] = math.nan  # what stands there has no meaning, and must not be read
    found = clips_dataset([made])
    rows = found.features["visual"][0]
    first, third = by_hand(visual, made.words[0]), by_hand(visual, made.words[2])
    np.testing.assert_allclose(rows[0], first, atol=1e-6)
    np.testing.assert_allclose(rows[1], (first + third) / 2, atol=1e-6)
    assert found.provenance["notes"] == [
        "visual: 1 of 6 words had no valid frame and stand at the mean of their utterance's other words"
    ]


def test_an_utterance_without_any_valid_frame_lacks_the_modality() -> None:
    made = clip()
    made.features["visual"].mask[made.features["visual"].times < 1.5] = False
    found = clips_dataset([made])
    assert list(found.features["visual"].lengths) == [0, 3]
    assert list(found.features["acoustic"].lengths) == [3, 3]


def test_a_modality_that_a_clip_lacks_is_empty_there() -> None:
    whole, silent = clip("a"), clip("b")
    silent = changed(silent, features={"visual": silent.features["visual"]})
    assert list(clips_dataset([whole, silent]).features["acoustic"].lengths) == [3, 3, 0, 0]
    assert list(clips_dataset([silent]).features) == ["visual"]


def test_a_short_word_takes_the_nearest_frame() -> None:
    made = clip()
    words = (TimedWord("a", 0.96, 0.99), *made.words[1:])  # frames at 0.95 and 1.05
    made = changed(made, words=words)
    np.testing.assert_allclose(
        clips_dataset([made]).features["visual"][0][0], made.features["visual"].values[9], atol=1e-6
    )
    away = clips_dataset([made], reach=0.0)
    assert "1 of 6" in away.provenance["notes"][0]


def test_entries_that_are_not_finite_are_left_out_of_their_column_only() -> None:
    made = clip()
    voice = made.features["acoustic"]
    voice.values[:20, 1] = -math.inf  # half of the first word
    voice.values[50:90, 2] = -math.inf  # all of the second
    found = clips_dataset([made])
    rows = found.features["acoustic"][0]
    np.testing.assert_allclose(rows[0, 1], voice.values[20:40, 1].mean(), atol=1e-5)
    np.testing.assert_allclose(rows[1, 2], (rows[0, 2] + rows[2, 2]) / 2, atol=1e-6)
    np.testing.assert_allclose(rows[1, 1], voice.values[50:90, 1].mean(), atol=1e-5)
    assert found.provenance["notes"] == ["acoustic: 1 values that were not finite stand at their column's mean"]
    voice.values[:, 3] = math.nan
    again = clips_dataset([made])
    assert (again.features["acoustic"].values[:, 3] == 0).all()
    assert "acoustic: 2 columns without a finite value" in again.provenance["notes"][-1]


def test_frames_are_kept_where_they_are_valid_and_within_the_utterance() -> None:
    made = clip()
    visual, voice = made.features["visual"], made.features["acoustic"]
    visual.mask[4:7] = False
    voice.values[10, 1] = -math.inf
    found = clips_dataset([made], alignment="frame")
    inside = visual.values[(visual.times < 1.5) & visual.mask]
    np.testing.assert_array_equal(found.features["visual"][0], inside)
    assert found.features["visual"].alignment == "frame"
    others = [t for t in range(150) if t != 10]
    np.testing.assert_allclose(found.features["acoustic"][0][10, 1], voice.values[others, 1].mean(), atol=1e-6)
    assert not check(found).errors


def test_utterances_without_words_have_features_as_frames_only() -> None:
    made = changed(clip(), words=(), spans=(Span(0.0, 3.0, 0, 0),))
    words = clips_dataset([made, clip("b")])
    assert list(words.features["visual"].lengths) == [0, 3, 3]
    assert "alignment frame keeps them" in words.provenance["notes"][0]
    assert list(clips_dataset([made], alignment="frame").features["visual"].lengths) == [30]


def test_it_is_a_store_like_any_other(tmp_path) -> None:
    write_store(clips_dataset([clip("a"), clip("b/c")]), tmp_path / "x.store")
    found = open_store(tmp_path / "x.store")
    assert list(found.ids) == ["a_1", "a_2", "b/c_1", "b/c_2"]
    assert found.provenance["sha256"] == {"a": "0" * 64, "b/c": "0" * 64}


def test_labels_of_utterances_count_more_than_those_of_recordings(tmp_path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("name,id,label,split,group\na,,1.5,valid,Ann\n,a_2,-2,,\nb,,,test,\n")
    found = clips_dataset([clip("a"), clip("b"), clip("c")], read_labels(table))
    np.testing.assert_array_equal(found.labels, [1.5, -2, *[math.nan] * 4])
    assert found.splits.tolist() == ["dev", "dev", "test", "test", "train", "train"]
    assert list(found.groups) == ["Ann", "Ann", "b", "b", "c", "c"]
    assert found.classes == ()


def test_labels_may_be_classes(tmp_path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("name,label\na,sad\nb,happy\nelsewhere,angry\n")
    found = clips_dataset([clip("a"), clip("b")], read_labels(table))
    assert found.classes == ("angry", "happy", "sad")
    assert found.labels.tolist() == [2, 2, 1, 1]
    ordered = clips_dataset([clip("a")], read_labels(table, ["sad", "angry", "happy"]))
    assert ordered.labels.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,label\na,4\n", "line 2, label: 4 is outside"),
        ("name,label\na,1\nb,good\n", "line 3, label: 'good'"),
        ("name,label\na,1\na,2\n", "line 3: name a was given before"),
        ("name,split\na,later\n", "'later' is not one of"),
        ("label\n1\n", "neither a name nor an id"),
    ],
)
def test_wrong_labels_are_refused(tmp_path, content: str, said: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(content)
    with pytest.raises(DataError, match=said):
        read_labels(table)


def test_labels_of_other_recordings_are_refused() -> None:
    with pytest.raises(DataError, match="none of the 1 names and ids"):
        clips_dataset([clip("a")], Labels("t.csv", {"x": Label("1")}))


def test_groups_by_a_part_of_the_name() -> None:
    clips = [clip("03-01-12"), clip("03-02-12"), clip("03-01-07")]
    assert list(clips_dataset(clips, group=r"-(\d+)$").groups) == ["12"] * 4 + ["07"] * 2
    with pytest.raises(DataError, match="fits nothing in the name 03-01-12"):
        clips_dataset(clips, group="speaker")
    with pytest.raises(DataError, match="no regular expression"):
        clips_dataset(clips, group="(")


def test_different_feature_sets_and_equal_names_are_refused() -> None:
    other = changed(clip("b"), features={"visual": frames(3.0, name="action-units")})
    with pytest.raises(DataError, match=r"b has the visual features action-units .* a has face"):
        clips_dataset([clip("a"), other])
    with pytest.raises(DataError, match="two recordings have the name a"):
        clips_dataset([clip("a"), clip("a")])
