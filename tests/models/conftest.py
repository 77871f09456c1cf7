"""Random batches for model tests."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from modashift.batch import Batch, Pieces, Seq

SIZES = {"linguistic": 7, "visual": 5, "acoustic": 3}

MakeBatch = Callable[..., Batch]


def random_batch(
    size: int = 6, longest: int = 9, seed: int = 0, sizes: dict[str, int] = SIZES, vocabulary: int = 60
) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(4, longest + 1, (size,), generator=generator)
    lengths[0] = longest
    mask = torch.arange(longest)[None] < lengths[:, None]
    word = torch.arange(longest)[None] - 1
    real = (word >= 0) & (torch.arange(longest)[None] < lengths[:, None] - 1)
    word = torch.where(real, word, -1)
    ids = torch.randint(5, vocabulary, (size, longest), generator=generator) * mask
    features = {
        m: Seq(torch.randn(size, longest, d, generator=generator) * real.unsqueeze(-1), real) for m, d in sizes.items()
    }
    label = (torch.rand(size, generator=generator) * 6 - 3).round(decimals=1)
    return Batch(Pieces(ids, mask, word), label, torch.arange(size), features)


@pytest.fixture
def make_batch() -> Any:
    return random_batch
