"""Made-up hidden states of several layers, in which it is known which layer carries the label of which split."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from modashift.data.dataset import Dataset, Feature
from modashift.data.states import StateColumns

WIDTH = 4
SPLITS = {"train": 60, "dev": 30, "test": 30}


def states(
    labels: np.ndarray,
    splits: Sequence[str],
    carries: Mapping[int, Sequence[str]],
    layers: Sequence[int],
    encoder: str,
    seed: int,
    noise: float = 0.3,
) -> Feature:
    """Steps (T, L · WIDTH) in half precision: noise, and in the layers that carry a split's labels, these beside it.

    Args:
        labels: (n,) to carry.
        splits: of each utterance.
        carries: by layer, the splits in which its first column is the label.
        layers: numbers of the layers.
        encoder: name.
        seed: of the noise.
        noise: standard deviation of it beside a label; elsewhere it is 1.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for label, split in zip(labels, splits, strict=True):
        values = rng.normal(size=(int(rng.integers(2, 5)), len(layers), WIDTH))
        for place, layer in enumerate(layers):
            if split in carries.get(layer, ()):
                values[:, place] = label + noise * values[:, place]
        rows.append(values.reshape(len(values), -1).astype(np.float16))
    packed = Feature.pack(rows, len(layers) * WIDTH)
    return replace(packed, alignment="frame", columns=StateColumns(encoder, tuple(layers), WIDTH))


def layered(
    carries: Mapping[str, Mapping[int, Sequence[str]]],
    layers: Mapping[str, Sequence[int]],
    sizes: Mapping[str, int] | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> Dataset:
    """Utterances without words, by six speakers, with states of each modality; see `states`."""
    sizes = sizes or SPLITS
    rng = np.random.default_rng(seed)
    splits = np.array([s for s, n in sizes.items() for _ in range(n)])
    if classes:
        labels = rng.integers(len(classes), size=len(splits)).astype(np.float64)
        carried = 4.0 * labels - 2.0 * (len(classes) - 1)
    else:
        labels = carried = np.clip(rng.normal(0, 1.5, len(splits)), -3, 3)
    return Dataset(
        name="made",
        ids=[f"u{i:03d}" for i in range(len(splits))],
        groups=[f"s{i % 6}" for i in range(len(splits))],
        splits=splits,
        labels=labels,
        texts=[""] * len(splits),
        words=[()] * len(splits),
        features={
            m: states(carried, splits, carries[m], own, f"{m}-net", seed + k)
            for k, (m, own) in enumerate(layers.items())
        },
        classes=tuple(classes),
    )


ALWAYS = ("train", "dev", "test")
# Layer 1 is what dev prefers; layer 2 learns as well from train and is perfect on test, and worthless on dev.
TRAP = {1: ("train", "dev"), 2: ("train", "test")}
