"""The representations of the modalities: how well they are aligned, and what each knows of the score.

The picture is that of Figure 3 of Kim and Kim 2022 (t-SNE). A t-SNE picture shows neighbourhoods and nothing else, so
the numbers are computed from the representations themselves, never from the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modashift.batch import Batch
from modashift.evaluate.subject import Subject
from modashift.models.base import Output

__all__ = ["Representations", "alignment", "describe", "knn_mae", "project", "represent", "retrieval"]

Floats = NDArray[np.float64]
SHAPES = {"linguistic": "^", "visual": "o", "acoustic": "*"}  # as in the paper's figure
SHORT = {"linguistic": "L", "visual": "V", "acoustic": "A"}
NEIGHBOURS = 10


@dataclass(frozen=True)
class Representations:
    """Vectors of the modalities of some utterances.

    Attributes:
        name: of the run, and of the part of the representation where it has several.
        vectors: by modality (n, d).
        present: by modality (n,), False where an utterance lacks it.
        gold: (n,) scores.
        ids: n identifiers.
        centre: mean score of the training split, NaN where there is none.
    """

    name: str
    vectors: Mapping[str, Floats]
    present: Mapping[str, NDArray[np.bool_]]
    gold: Floats
    ids: Sequence[str]
    centre: float

    @property
    def common(self) -> bool:
        """Whether all modalities live in spaces of one width, so that they can be compared."""
        return len({v.shape[1] for v in self.vectors.values()}) == 1


def represent(subject: Subject, private: bool = False, batch_size: int = 64) -> list[Representations]:
    """Run a model and collect ``Output.embeddings``.

    Args:
        subject: model and utterances.
        private: also return, apart, the private parts of a model that splits each modality in two (MISA, whose
            embeddings are the shared ones).
        batch_size: utterances at a time.
    """
    parts: dict[str, dict[str, list[Floats]]] = {}
    present: dict[str, list[NDArray[np.bool_]]] = {}
    order = []
    for batch, output in subject.outputs(batch_size=batch_size):
        order.append(batch.index.cpu().numpy())
        for part, vectors in _parts(output).items():
            for m, values in vectors.items():
                parts.setdefault(part, {}).setdefault(m, []).append(values)
        for m in output.embeddings:
            present.setdefault(m, []).append(_present(batch, m))
    place = {int(row): k for k, row in enumerate(np.concatenate(order))}
    back = np.array([place[int(row)] for row in subject.rows])
    found = []
    for part, lists in parts.items():
        if part == "private" and not private:
            continue
        found.append(
            Representations(
                f"{subject.name}, {part}" if part else subject.name,
                {m: np.concatenate(v)[back] for m, v in lists.items()},
                {m: np.concatenate(present[m])[back] for m in lists},
                subject.gold,
                [subject.dataset.ids[int(r)] for r in subject.rows],
                subject.centre,
            )
        )
    return found


def _parts(output: Output) -> dict[str, dict[str, Floats]]:
    main = {m: v.double().cpu().numpy() for m, v in output.embeddings.items()}
    private = output.extra.get("private")
    if private is None or private.ndim != 3 or private.shape[1] != len(main):
        return {"": main}
    return {"shared": main, "private": {m: private[:, k].double().cpu().numpy() for k, m in enumerate(main)}}


def _present(batch: Batch, modality: str) -> NDArray[np.bool_]:
    if modality == "linguistic" and batch.text is not None:
        mask = batch.text.mask
    elif modality in batch.features:
        mask = batch.features[modality].mask
    else:
        return np.zeros(len(batch), dtype=bool)
    return np.asarray(mask.any(1).cpu().numpy())


def alignment(a: ArrayLike, b: ArrayLike) -> dict[str, float]:
    """Cosine of two modalities' vectors (n, d) of the same utterance against those of different utterances.

    Returns:
        ``true``, the mean over the n true pairs; ``other``, over the n² − n others; ``gap``, their difference; and
        ``effect``, the gap in standard deviations of the other pairs, which does not depend on how far apart a model
        spreads its vectors. NaN for fewer than two utterances; ``effect`` also where the others do not vary.
    """
    cosine = _unit(a) @ _unit(b).T  # (n, n)
    if len(cosine) < 2:
        return dict.fromkeys(("true", "other", "gap", "effect"), float("nan"))
    others = cosine[~np.eye(len(cosine), dtype=bool)]
    true, other, spread = float(np.diagonal(cosine).mean()), float(others.mean()), float(others.std())
    effect = (true - other) / spread if spread > 1e-12 else float("nan")
    return {"true": true, "other": other, "gap": true - other, "effect": effect}


def retrieval(a: ArrayLike, b: ArrayLike) -> float:
    """Share of utterances whose vector in `a` (n, d) has its own partner as nearest in `b`, by cosine.

    Partners that share the first place count in part, so that vectors that are all alike give 1/n, which is chance.
    """
    cosine = _unit(a) @ _unit(b).T
    if not len(cosine):
        return float("nan")
    first = cosine >= cosine.max(1, keepdims=True) - 1e-9
    return float((np.diagonal(first) / first.sum(1)).mean())


def knn_mae(vectors: ArrayLike, gold: ArrayLike, neighbours: int = NEIGHBOURS) -> float:
    """Error of predicting each score by the mean of those of the nearest other utterances, by cosine.

    Args:
        vectors: (n, d).
        gold: (n,).
        neighbours: k; all others where there are fewer.

    Returns:
        Mean absolute error, leaving each utterance out of its own neighbours; NaN for fewer than two.
    """
    y, unit = np.asarray(gold, dtype=np.float64), _unit(vectors)
    if len(y) < 2:
        return float("nan")
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, : min(neighbours, len(y) - 1)]
    return float(np.abs(y[nearest].mean(1) - y).mean())


def _unit(vectors: ArrayLike) -> Floats:
    v = np.asarray(vectors, dtype=np.float64)
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12))


def describe(r: Representations) -> dict[str, Any]:
    """The numbers under the picture.

    Returns:
        ``name``, ``n``, ``widths``; ``alignment`` by pair (``linguistic-visual``) and ``retrieval`` by direction
        (``linguistic>visual``) with ``value``, ``chance`` and ``n``, both empty where the modalities have different
        widths, which ``note`` then says; ``knn_mae`` by modality with ``value``, ``floor`` (everybody gets the mean
        score of the training split) and ``n``. Utterances that lack a modality take no part in its numbers.
    """
    found: dict[str, Any] = {
        "name": r.name,
        "n": len(r.gold),
        "widths": {m: v.shape[1] for m, v in r.vectors.items()},
        "alignment": {},
        "retrieval": {},
        "knn_mae": {},
        "note": "",
    }
    if len(r.vectors) < 2:
        found["note"] = f"only {' and '.join(r.vectors)} representations: there is nothing to align"
    elif not r.common:
        found["note"] = "the modalities' vectors have different widths: alignment and retrieval are not defined"
    else:
        for a, b in combinations(r.vectors, 2):
            both = r.present[a] & r.present[b]
            found["alignment"][f"{a}-{b}"] = alignment(r.vectors[a][both], r.vectors[b][both]) | {"n": int(both.sum())}
        for a, b in permutations(r.vectors, 2):
            both = r.present[a] & r.present[b]
            n = int(both.sum())
            value = retrieval(r.vectors[a][both], r.vectors[b][both])
            found["retrieval"][f"{a}>{b}"] = {"value": value, "chance": 1 / n if n else float("nan"), "n": n}
    for m, v in r.vectors.items():
        own = r.present[m] & np.isfinite(r.gold)
        gold = r.gold[own]
        centre = r.centre if np.isfinite(r.centre) else float(gold.mean()) if len(gold) else float("nan")
        floor = float(np.abs(gold - centre).mean()) if len(gold) else float("nan")
        found["knn_mae"][m] = {"value": knn_mae(v[own], gold), "floor": floor, "n": int(own.sum())}
    return found


def project(r: Representations, seed: int = 0, points: int = 700) -> dict[str, tuple[NDArray[np.intp], Floats]]:
    """Positions in the plane by t-SNE of the vectors, each brought to length 1 (cosine is what models compare).

    Modalities of one width share one t-SNE; otherwise each has its own, and their positions cannot be compared.

    Args:
        r: the vectors.
        seed: of the start of t-SNE, and of the choice of utterances.
        points: most utterances in the picture; a random choice of more.

    Returns:
        By modality, which utterances, and their positions (k, 2).
    """
    chosen = np.arange(len(r.gold))
    if len(chosen) > points:
        chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:points])
    rows = {m: chosen[r.present[m][chosen]] for m in r.vectors}
    rows = {m: own for m, own in rows.items() if len(own)}
    groups = [list(rows)] if r.common else [[m] for m in rows]
    placed = {}
    for group in groups:
        flat = _tsne(np.concatenate([_unit(r.vectors[m][rows[m]]) for m in group]), seed)
        ends = np.cumsum([len(rows[m]) for m in group])[:-1]
        for m, position in zip(group, np.split(flat, ends)):
            placed[m] = (rows[m], position)
    return placed


def _tsne(vectors: Floats, seed: int) -> Floats:
    from sklearn.manifold import TSNE

    if len(vectors) < 5 or vectors.shape[1] < 2:  # too few for neighbourhoods
        return np.pad(vectors[:, :2], ((0, 0), (0, max(0, 2 - vectors.shape[1]))))
    spread = bool((vectors.std(0) > 1e-9).any())
    method = TSNE(
        perplexity=min(30.0, (len(vectors) - 1) / 3), init="pca" if spread else "random", random_state=seed, n_jobs=1
    )
    return np.asarray(method.fit_transform(vectors.astype(np.float32)), dtype=np.float64)
