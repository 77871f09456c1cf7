"""A long recording as a whole: its mean, and the utterances that stand out."""

from collections.abc import Sequence

import numpy as np

from modashift.serve.result import Timeline, UtteranceResult

__all__ = ["timeline"]

PROMINENCE = 0.75  # score points by which a peak must stand above (or below) its surroundings; a class is 1 wide
MOST = 12


def timeline(utterances: Sequence[UtteranceResult]) -> Timeline | None:
    """Sum up scores in order of time.

    A peak is a local extreme, upwards or downwards, that stands out by at least `PROMINENCE`; of very many the
    `MOST` that stand out furthest are kept. The first and the last utterance may be peaks too.

    Returns:
        None without utterances.
    """
    if not utterances:
        return None
    from scipy.signal import find_peaks

    scores = np.array([u.score for u in utterances])
    seconds = np.array([max(u.end - u.start, 1e-3) for u in utterances])
    prominence: dict[int, float] = {}
    if len(scores) > 2:
        for sign in (1, -1):
            padded = np.pad(sign * scores, 1, mode="reflect")  # so that an end may be a peak over its neighbour
            at, found = find_peaks(padded, prominence=PROMINENCE)
            prominence |= {int(k) - 1: float(p) for k, p in zip(at, found["prominences"])}
    strongest = sorted(prominence, key=lambda k: (-prominence[k], k))[:MOST]
    return Timeline(
        mean=float(np.average(scores, weights=seconds)),
        lowest=int(scores.argmin()),
        highest=int(scores.argmax()),
        peaks=tuple(sorted(strongest)),
    )
