"""Cross-validation as emotion recognition has it: speakers or sessions held out, or utterances at random.

Scores of different protocols cannot be compared: a model that has heard a speaker in training is a few points better on
him. So each protocol says in words what it is, and the words go with the data set (``provenance["protocol"]``).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset
from modashift.errors import DataError

__all__ = ["PROTOCOLS", "declare_protocol", "describe_protocol", "fold_count", "protocol_splits"]

PROTOCOLS = ("speakerN", "sessionN", "actorsK", "randomK", "yoonK")
DEV_SHARE = 0.1  # of the training utterances, where dev is drawn at random
YOON_SEED = 337
YOON_DEV = 0.3  # of the part held out; the rest is the test split

_NAME = re.compile(r"(speaker|session|actors|random|yoon)([1-9]\d*)(-random)?")


@dataclass(frozen=True)
class _Protocol:
    """A protocol's name taken apart: kind, number of folds, and whether dev is drawn at random from train."""

    kind: str
    count: int
    random_dev: bool


def protocol_splits(dataset: Dataset, name: str, fold: int, seed: int = 0) -> NDArray[np.str_]:
    """Splits of one fold; the same arguments always give the same splits, and nothing is changed.

    ======================  ============================  ==================================  ======================
    name                    test                          dev                                 who is in train
    ======================  ============================  ==================================  ======================
    ``speaker10``           one speaker                   the others of the same session      the other sessions
    ``speaker10-random``    one speaker                   10 % of the rest, by class          all other speakers
    ``session5``            one session                   the next session                    the other sessions
    ``session5-random``     one session                   10 % of the rest, by class          the other sessions
    ``actorsK``             one of K parts of speakers    the next part                       the other parts
    ``actorsK-random``      one of K parts of speakers    10 % of the rest, by class          the other parts
    ``randomK``             one of K parts, by class      the next part                       anybody
    ``yoon5``               14 % of all                   6 %                                 anybody
    ======================  ============================  ==================================  ======================

    Speakers are dealt to the parts of ``actorsK`` by sex, in the order of their names, so that the sexes are as equal
    in number as can be. ``yoon5`` follows the law of Yoon et al. (SLT 2018; ICASSP 2019 and 2020): five random parts,
    of which each in turn is cut 30 : 70 into dev and test; not their very files. 30 % of the utterances are therefore
    in no test split. In all others every utterance is tested exactly once.

    Args:
        dataset: whose groups are the speakers. Sessions and sexes are in its provenance, as the corpus readers put
        them.
        name: see above, with the number of folds; that of ``speaker`` and ``session`` must be the data's own.
        fold: from 1.
        seed: of what is drawn at random; ``yoonK`` has its own, 337.

    Returns:
        (n,) of ``train``, ``dev``, ``test``.

    Raises:
        DataError: an unknown name, a fold that is not there, or data that lack what the protocol needs.
    """
    protocol = _parse(name)
    parts = _PARTS[protocol.kind](dataset, protocol, seed)
    if not 1 <= fold <= len(parts):
        raise DataError(f"fold {fold} of {name}; it must be 1 to {len(parts)}")
    test = parts[fold - 1]
    splits = np.full(len(dataset), "train", dtype="<U5")
    if protocol.kind == "yoon":
        cut = round(YOON_DEV * len(test))
        splits[test[:cut]], splits[test[cut:]] = "dev", "test"
        return splits
    splits[test] = "test"
    if protocol.random_dev:
        splits[_drawn(dataset, np.flatnonzero(splits == "train"), seed + fold)] = "dev"
    elif protocol.kind == "speaker":
        session = _sessions(dataset, name)
        splits[(session == session[test[0]]) & (splits == "train")] = "dev"
    else:
        splits[parts[fold % len(parts)]] = "dev"
    return splits


def fold_count(dataset: Dataset, name: str) -> int:
    """Number of folds of a protocol.

    Raises:
        DataError: as `protocol_splits`.
    """
    protocol = _parse(name)
    return len(_PARTS[protocol.kind](dataset, protocol, 0))


def declare_protocol(dataset: Dataset, name: str, fold: int, seed: int = 0) -> Dataset:
    """The data set under the splits of one fold; what the protocol is goes with it as ``provenance["protocol"]``.

    Raises:
        DataError: as `protocol_splits`.
    """
    declared = dataset.with_splits(protocol_splits(dataset, name, fold, seed))
    about = {
        "name": name,
        "fold": fold,
        "folds": fold_count(dataset, name),
        "seed": YOON_SEED if _parse(name).kind == "yoon" else seed,
        "words": describe_protocol(name),
    }
    return replace(declared, provenance={**dataset.provenance, "protocol": about})


def describe_protocol(name: str) -> str:
    """What a protocol is, in words to print beside every number.

    Raises:
        DataError: an unknown name.
    """
    protocol = _parse(name)
    count = protocol.count
    test, dev = {
        "speaker": ("leave-one-speaker-out", "dev is the other speaker of the session"),
        "session": ("leave-one-session-out", "dev is the next session"),
        "actors": ("speakers held out in parts balanced by sex", "dev is the next part"),
        "random": ("random utterances, stratified by class", "dev is the next part"),
        "yoon": (
            "random utterances, train 80 %, dev 6 %, test 14 % (the law of Yoon et al., seed 337)",
            "each utterance is tested at most once",
        ),
    }[protocol.kind]
    if protocol.random_dev:
        dev = "dev is a random 10 % of the training utterances"
    independent = protocol.kind not in {"random", "yoon"}
    return f"{count} folds, {test}, {dev}; speaker-{'independent' if independent else 'dependent'}"


def _parse(name: str) -> _Protocol:
    match = _NAME.fullmatch(name)
    if not match:
        raise DataError(
            f"there is no protocol {name!r}; there are speaker10, session5, actors6 (or another number of parts), all "
            "three also with -random, random10 and yoon5"
        )
    kind, count, random_dev = match[1], int(match[2]), bool(match[3])
    if random_dev and kind in {"random", "yoon"}:
        raise DataError(f"{name}: the dev split of {kind}{count} is random as it is; leave -random out")
    least = 2 if random_dev or kind in {"speaker", "yoon"} else 3
    if count < least:
        raise DataError(f"{name}: it takes at least {least} folds to have train, dev and test apart")
    return _Protocol(kind, count, random_dev)


def _speakers(dataset: Dataset) -> NDArray[np.str_]:
    return np.array(list(dataset.groups), dtype=str)


def _known(dataset: Dataset) -> Mapping[str, Mapping[str, str]]:
    known: Mapping[str, Mapping[str, str]] = dataset.provenance.get("speakers", {})
    return known


def _sessions(dataset: Dataset, name: str) -> NDArray[np.str_]:
    """Session of each utterance."""
    known = _known(dataset)
    missing = [s for s in dict.fromkeys(dataset.groups) if not known.get(s, {}).get("session")]
    if missing:
        raise DataError(
            f"{dataset.name}: {name} needs the session of every speaker, and that of {missing[0]} is not known; write "
            "the store with `modashift data corpus`, or hold speakers out with actorsK"
        )
    return np.array([known[s]["session"] for s in dataset.groups], dtype=str)


def _by_key(keys: NDArray[np.str_], protocol: _Protocol, dataset: Dataset, what: str) -> list[NDArray[np.intp]]:
    """Rows of each distinct key, in the order of the keys."""
    names = np.unique(keys)
    if len(names) != protocol.count:
        raise DataError(
            f"{dataset.name} has {len(names)} {what}s, so the protocol is {what}{len(names)}, "
            f"not {what}{protocol.count}"
        )
    return [np.flatnonzero(keys == one) for one in names]


def _by_speaker(dataset: Dataset, protocol: _Protocol, seed: int) -> list[NDArray[np.intp]]:
    speakers = _speakers(dataset)
    parts = _by_key(speakers, protocol, dataset, "speaker")
    if not protocol.random_dev:
        sessions = _sessions(dataset, f"speaker{protocol.count}")
        alone = [str(s) for s in np.unique(sessions) if len(np.unique(speakers[sessions == s])) < 2]
        if alone:
            raise DataError(
                f"{dataset.name}: dev is the other speaker of the session, and {alone[0]!r} has one speaker only; "
                f"use speaker{protocol.count}-random, or actors{protocol.count}"
            )
        if len(np.unique(sessions)) < 2:
            raise DataError(f"{dataset.name} has one session, so nobody would be left to train on")
    return parts


def _by_session(dataset: Dataset, protocol: _Protocol, seed: int) -> list[NDArray[np.intp]]:
    return _by_key(_sessions(dataset, f"session{protocol.count}"), protocol, dataset, "session")


def _by_part(dataset: Dataset, protocol: _Protocol, seed: int) -> list[NDArray[np.intp]]:
    """Speakers dealt to the parts one sex after the other."""
    speakers, known = _speakers(dataset), _known(dataset)
    names = np.unique(speakers).tolist()
    if protocol.count > len(names):
        raise DataError(f"{dataset.name} has {len(names)} speakers, too few for actors{protocol.count}")
    dealt: list[list[str]] = [[] for _ in range(protocol.count)]
    ordered = sorted(names, key=lambda s: (str(known.get(s, {}).get("sex", "")), s))
    for place, speaker in enumerate(ordered):
        dealt[place % protocol.count].append(speaker)
    return [np.flatnonzero(np.isin(speakers, part)) for part in dealt]


def _at_random(dataset: Dataset, protocol: _Protocol, seed: int) -> list[NDArray[np.intp]]:
    """Utterances dealt to the parts one class after the other, each class in random order."""
    if protocol.count > len(dataset):
        raise DataError(f"{dataset.name} has {len(dataset)} utterances, too few for {protocol.count} folds")
    order = np.concatenate(_shuffled(dataset, np.arange(len(dataset)), seed))
    return [np.sort(order[place :: protocol.count]) for place in range(protocol.count)]


def _as_yoon(dataset: Dataset, protocol: _Protocol, seed: int) -> list[NDArray[np.intp]]:
    if len(dataset) < 4 * protocol.count:
        raise DataError(f"{dataset.name} has {len(dataset)} utterances, too few for yoon{protocol.count}")
    order = np.random.default_rng(YOON_SEED).permutation(len(dataset))
    return list(np.array_split(order, protocol.count))


def _shuffled(dataset: Dataset, rows: NDArray[np.intp], seed: int) -> Sequence[NDArray[np.intp]]:
    """Rows of each class in random order; those without a label are one more class."""
    generator = np.random.default_rng(seed)
    labels = np.nan_to_num(np.asarray(dataset.labels[rows], dtype=np.float64), nan=-np.inf)
    return [generator.permutation(rows[labels == one]) for one in np.unique(labels)]


def _drawn(dataset: Dataset, rows: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """A tenth of the rows: every tenth of them when they are lined up class by class, at least one."""
    lined = np.concatenate(_shuffled(dataset, rows, seed))
    return lined[:: round(1 / DEV_SHARE)]


_PARTS: Mapping[str, Callable[[Dataset, _Protocol, int], list[NDArray[np.intp]]]] = {
    "speaker": _by_speaker,
    "session": _by_session,
    "actors": _by_part,
    "random": _at_random,
    "yoon": _as_yoon,
}
