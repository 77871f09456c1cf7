"""Protocols of emotion recognition: who is tested when, and who may be heard before."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modashift.data.dataset import Dataset
from modashift.data.speaker_folds import declare_protocol, describe_protocol, fold_count, protocol_splits
from modashift.data.store import open_store, write_store
from modashift.errors import DataError


def corpus(speakers, labels=None, sessions=True, classes=4):
    """Utterances of speakers such as Ses01F: session, then sex."""
    n = len(speakers)
    known = {s: {"session": s[:5] if sessions else "", "sex": s[-1]} for s in set(speakers)}
    numbers = np.arange(n) % classes if labels is None else labels
    return Dataset(
        "made", [f"u{i}" for i in range(n)], speakers, np.array(["train"] * n), np.array(numbers, dtype=np.float64),
        ["x"] * n, [("x",)] * n, {}, {"speakers": known}, tuple(f"c{k}" for k in range(classes)),
    )  # fmt: skip


def ten(sizes):
    """Ten speakers of five sessions with so many utterances each."""
    names = [f"Ses0{k}{sex}" for k in range(1, 6) for sex in "FM"]
    return corpus([name for name, size in zip(names, sizes) for _ in range(size)])


SIZES = st.lists(st.integers(3, 25), min_size=10, max_size=10)
INDEPENDENT = ("speaker10", "session5", "actors10", "actors5", "actors3")
RANDOM_DEV = ("speaker10-random", "session5-random", "actors4-random")


def parts(data, splits):
    return {s: set(np.array(list(data.groups))[splits == s].tolist()) for s in ("train", "dev", "test")}


@settings(max_examples=25, deadline=None)
@given(SIZES, st.sampled_from([*INDEPENDENT, *RANDOM_DEV, "random10", "random4"]), st.integers(0, 5))
def test_every_utterance_is_tested_exactly_once(sizes, name, seed):
    data = ten(sizes)
    tested = np.zeros(len(data), dtype=int)
    for fold in range(1, fold_count(data, name) + 1):
        splits = protocol_splits(data, name, fold, seed)
        tested += splits == "test"
        assert set(splits.tolist()) == {"train", "dev", "test"}  # all three are there; each utterance is in one
        assert np.array_equal(splits, protocol_splits(data, name, fold, seed))
    assert (tested == 1).all()


@settings(max_examples=25, deadline=None)
@given(SIZES, st.sampled_from(INDEPENDENT))
def test_no_speaker_is_in_two_parts(sizes, name):
    data = ten(sizes)
    for fold in range(1, fold_count(data, name) + 1):
        found = parts(data, protocol_splits(data, name, fold))
        assert sum(map(len, found.values())) == len(set().union(*found.values())) == 10


@settings(max_examples=25, deadline=None)
@given(SIZES, st.sampled_from(RANDOM_DEV), st.integers(0, 5))
def test_with_a_random_dev_the_tested_speakers_are_still_unheard(sizes, name, seed):
    data = ten(sizes)
    for fold in range(1, fold_count(data, name) + 1):
        splits = protocol_splits(data, name, fold, seed)
        found = parts(data, splits)
        assert not found["test"] & (found["train"] | found["dev"])
        rest = (splits != "test").sum()
        assert abs((splits == "dev").sum() - 0.1 * rest) <= 1


def test_speaker10_holds_the_other_speaker_of_the_session_as_dev():
    data = ten([6] * 10)
    for fold, speaker in enumerate(sorted(set(data.groups)), 1):
        found = parts(data, protocol_splits(data, "speaker10", fold))
        assert found["test"] == {speaker}
        assert found["dev"] == {speaker[:-1] + ("M" if speaker[-1] == "F" else "F")}
        assert len(found["train"]) == 8


def test_session5_takes_the_next_session_as_dev():
    data = ten([4] * 10)
    sessions = [{s[:5] for s in parts(data, protocol_splits(data, "session5", k))["dev"]} for k in range(1, 6)]
    assert sessions == [{"Ses02"}, {"Ses03"}, {"Ses04"}, {"Ses05"}, {"Ses01"}]
    held = [{s[:5] for s in parts(data, protocol_splits(data, "session5", k))["test"]} for k in range(1, 6)]
    assert held == [{f"Ses0{k}"} for k in range(1, 6)]


@pytest.mark.parametrize("count", [2, 3, 4, 6, 12])
def test_actors_are_dealt_by_sex(count):
    names = [f"a{k:02d}{'M' if k % 2 else 'F'}" for k in range(1, 13)]
    data = corpus([n for n in names for _ in range(5)], sessions=False)
    name = f"actors{count}" + ("-random" if count < 3 else "")
    tests = [parts(data, protocol_splits(data, name, k))["test"] for k in range(1, count + 1)]
    assert set().union(*tests) == set(names)
    assert {len(t) for t in tests} == {12 // count}
    for held in tests:
        men = sum(n.endswith("M") for n in held)
        assert abs(2 * men - len(held)) <= len(held) % 2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=60, max_size=200), st.integers(2, 10), st.integers(0, 3))
def test_random_parts_are_stratified(labels, count, seed):
    data = corpus(["Ses01F"] * len(labels), labels)
    name, labels = f"random{max(count, 3)}", np.array(labels)
    for fold in range(1, fold_count(data, name) + 1):
        splits = protocol_splits(data, name, fold, seed)
        for part in ("test", "dev"):
            for one in range(4):
                share = (labels == one).sum() / max(count, 3)
                assert abs((labels[splits == part] == one).sum() - share) < 1


def test_dev_of_random10_is_the_test_part_of_the_next_fold():
    data = ten([7] * 10)
    splits = [protocol_splits(data, "random10", k) for k in range(1, 11)]
    for k in range(10):
        assert np.array_equal(splits[k] == "dev", splits[(k + 1) % 10] == "test")
    assert not np.array_equal(splits[0], protocol_splits(data, "random10", 1, seed=1))


def test_yoon5_has_the_shares_of_their_papers_and_tests_nothing_twice():
    data = ten([100] * 10)
    tested = np.zeros(len(data), dtype=int)
    for fold in range(1, 6):
        splits = protocol_splits(data, "yoon5", fold)
        assert [int((splits == s).sum()) for s in ("train", "dev", "test")] == [800, 60, 140]
        tested += splits == "test"
        assert np.array_equal(splits, protocol_splits(data, "yoon5", fold, seed=9))  # it has a seed of its own
    assert tested.max() == 1
    assert tested.sum() == 700


def test_unlabelled_utterances_are_dealt_as_one_more_class():
    data = corpus(["Ses01F", "Ses01M"] * 30, [np.nan, 1.0, 0.0] * 20)
    splits = protocol_splits(data, "random3", 1)
    assert (np.isnan(data.labels) & (splits == "test")).sum() in (6, 7)


def test_the_protocol_goes_with_the_data_in_words(tmp_path):
    data = declare_protocol(ten([5] * 10), "speaker10", 3)
    about = data.provenance["protocol"]
    assert (about["name"], about["fold"], about["folds"]) == ("speaker10", 3, 10)
    assert about["words"] == (
        "10 folds, leave-one-speaker-out, dev is the other speaker of the session; speaker-independent"
    )
    write_store(data, tmp_path / "x.store")
    again = open_store(tmp_path / "x.store")
    assert again.provenance["protocol"] == about
    assert np.array_equal(protocol_splits(again, "speaker10", 3), data.splits)
    assert declare_protocol(ten([5] * 10), "yoon5", 1).provenance["protocol"]["seed"] == 337
    assert describe_protocol("random10").endswith("speaker-dependent")
    assert "random 10 %" in describe_protocol("session5-random")


@pytest.mark.parametrize(
    ("name", "fold", "message"),
    [
        ("speaker9", 1, "has 10 speakers, so the protocol is speaker10"),
        ("session4", 1, "has 5 sessions, so the protocol is session5"),
        ("speaker10", 0, "must be 1 to 10"),
        ("speaker10", 11, "must be 1 to 10"),
        ("actors11", 1, "too few for actors11"),
        ("actors2", 1, "at least 3 folds"),
        ("random1000", 1, "too few for 1000 folds"),
        ("yoon100", 1, "too few for yoon100"),
        ("yoon5-random", 1, "leave -random out"),
        ("loso", 1, "no protocol 'loso'; there are speaker10"),
    ],
)
def test_impossible_requests(name, fold, message):
    with pytest.raises(DataError, match=re.escape(message)):
        protocol_splits(ten([5] * 10), name, fold)


def test_sessions_must_be_known_and_have_two_speakers():
    unknown = corpus(["Ses01F", "Ses01M", "Ses02F", "Ses02M"] * 5, sessions=False)
    with pytest.raises(DataError, match="needs the session of every speaker"):
        protocol_splits(unknown, "session2-random", 1)
    alone = corpus(["Ses01F", "Ses02F", "Ses02M"] * 5)
    with pytest.raises(DataError, match="'Ses01' has one speaker only; use speaker3-random, or actors3"):
        protocol_splits(alone, "speaker3", 1)
    with pytest.raises(DataError, match="one session"):
        protocol_splits(corpus(["Ses01F", "Ses01M"] * 5), "speaker2", 1)
