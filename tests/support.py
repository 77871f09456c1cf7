"""Helpers shared by test modules."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modashift.batch import Seq
from modashift.data.dataset import Dataset, Feature
from modashift.models import get_model
from modashift.models.base import Model

SIZES = {"visual": 5, "acoustic": 3}
WORD_SIZE = 7  # of word vectors


def build(name: str, backbone: dict[str, Any], sizes: dict[str, int] | None = None, **options: Any) -> Model:
    """A model with random weights, the same ones every time."""
    torch.manual_seed(0)
    cls: Any = get_model(name)
    sizes = SIZES if sizes is None else sizes
    if cls.text == "vectors":
        model: Model = cls(modality_sizes={"linguistic": WORD_SIZE, **sizes}, **options)
    else:
        model = cls(backbone=backbone, modality_sizes=sizes, **options)
    return model


def scattered(
    lengths: dict[str, list[int]], sizes: dict[str, int], padding: int, generator: torch.Generator
) -> dict[str, Seq]:
    """Sequences of given lengths of each modality; masked steps lie anywhere and hold garbage."""
    features = {}
    for m, counts in lengths.items():
        steps = max(counts) + padding
        mask = torch.zeros(len(counts), steps, dtype=torch.bool)
        for row, count in enumerate(counts):
            mask[row, torch.randperm(steps, generator=generator)[:count]] = True
        values = torch.randn(len(counts), steps, sizes[m], generator=generator, dtype=torch.float64)
        features[m] = Seq(torch.where(mask.unsqueeze(-1), values, 77.0), mask)
    return features


def toy_dataset(n: int = 60, seed: int = 0, features: tuple[str, ...] = ("visual", "acoustic")) -> Dataset:
    """Sentences of a tiny vocabulary whose score follows from their words, with random word-level features."""
    rng = np.random.default_rng(seed)
    value = {"good": 1.5, "great": 2.5, "lovely": 1.0, "bad": -1.5, "awful": -2.5, "boring": -1.0}
    words = [[str(w) for w in rng.choice([*value, "the", "movie", "was", "it"], rng.integers(3, 12))] for _ in range(n)]
    labels = np.array([np.clip(sum(value.get(w, 0) for w in sentence), -3, 3) for sentence in words])
    third = n // 3
    return Dataset(
        name="toy",
        ids=[f"v{i // 4}_{i % 4}" for i in range(n)],
        groups=[f"v{i // 4}" for i in range(n)],
        splits=np.array(["train"] * (n - 2 * (third // 2)) + ["dev"] * (third // 2) + ["test"] * (third // 2)),
        labels=labels,
        texts=[" ".join(sentence) for sentence in words],
        words=words,
        features={
            m: Feature.pack([rng.normal(size=(len(w), SIZES[m])).astype(np.float32) for w in words], SIZES[m])
            for m in features
        },
    )


def write_table(dataset: Dataset, folder: Path) -> Path:
    """Write a data set as a JSON-lines table with .npy files beside it; returns the table."""
    lines = []
    for i, utterance in enumerate(dataset):
        row: dict[str, Any] = {
            "id": utterance.id,
            "video": utterance.group,
            "split": utterance.split,
            "label": utterance.label,
            "text": utterance.text,
            "words": list(utterance.words),
        }
        for modality, values in utterance.features.items():
            name = f"{i}_{modality}.npy"
            np.save(folder / name, values)
            row[modality] = name
        lines.append(json.dumps(row))
    table = folder / "table.jsonl"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table
