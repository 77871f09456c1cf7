"""Masks over features and over time that hide parts of a training sample (SpecAugment), for a whole batch at once.

Park et al., *SpecAugment*, Interspeech 2019; here as used by Ando et al. (2022), without the warping of time.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Masks", "hide"]


@dataclass(frozen=True)
class Masks:
    """How many masks of which width.

    A mask on an axis of n places has a width drawn evenly from 0 to ⌊share · n⌋ − 1, never more than ⌊most · n⌋, and
    lies evenly anywhere it fits. Where ⌊share · n⌋ is 0 there is none.

    Attributes:
        count: masks on an axis; 0 for none.
        share: of the places, which bounds the drawn width.
        most: of the places, that no single mask exceeds.
    """

    count: int = 0
    share: float = 0.0
    most: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 0 or not 0 <= self.share <= 1 or not 0 <= self.most <= 1:
            raise ValueError(f"masks need a count of 0 or more and shares in [0, 1], got {self}")

    def draw(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """First place and width of each mask on axes of n places: (…) whole numbers → (…, count) each.

        Drawn on the device of `places`, from its own random state, which a run saves.
        """
        # A little is added before rounding down, as .02 · 50 may be a hair less than 1 in binary.
        bound = torch.floor(places.double() * self.share + 1e-9).unsqueeze(-1)  # (…, 1)
        widest = torch.floor(places.double() * self.most + 1e-9).unsqueeze(-1)
        # In [0, 1) by steps of 2⁻⁵³, so that no product with a whole number is rounded up to that number.
        chance = torch.rand(2, *places.shape, self.count, dtype=torch.float64, device=places.device)
        width = torch.floor(chance[0] * bound).minimum(widest)
        first = torch.floor(chance[1] * (places.unsqueeze(-1) - width + 1))
        return first.long(), width.long()


def covered(first: Tensor, width: Tensor, places: int) -> Tensor:
    """Which of so many places lie in any of the masks: first place and width (…, count) each → (…, places)."""
    edges = torch.zeros(*first.shape[:-1], places + 1, dtype=torch.int32, device=first.device)
    one = torch.ones_like(first, dtype=torch.int32)
    edges = edges.scatter_add(-1, first, one).scatter_add(-1, first + width, -one)
    return edges.cumsum(-1)[..., :places] > 0


def hide(values: Tensor, mask: Tensor, features: Masks, time: Masks) -> Tensor:
    """Fill masks over columns and over real steps with the mean of their array; each layer is an array of its own.

    Args:
        values: (B, T, L, H) steps of L layers.
        mask: (B, T) True at real steps, which may lie anywhere; no other is changed or counted.
        features: masks over the H columns, at all real steps.
        time: masks over the real steps, numbered as they follow each other.

    Returns:
        Values of the same shape. The mean is that of the array before anything was hidden, over real steps.
    """
    if not features.count and not time.count:
        return values
    batch, longest, layers, size = values.shape
    steps, real = mask.sum(1), mask[:, :, None, None]
    hidden = torch.zeros_like(real)  # (B, T, 1, 1)
    if features.count:
        first, width = features.draw(steps.new_full((batch, layers), size))
        hidden = hidden | covered(first, width, size).unsqueeze(1)  # (B, T, L, H)
    if time.count:
        first, width = time.draw(steps.unsqueeze(1).expand(batch, layers))
        number = (mask.cumsum(1) - 1).clamp(min=0).unsqueeze(1).expand(batch, layers, longest)  # of a real step
        hidden = hidden | covered(first, width, longest).gather(2, number).transpose(1, 2).unsqueeze(-1)
    total = torch.where(real, values.sum(-1, keepdim=True), 0.0).sum(1, keepdim=True)  # (B, 1, L, 1)
    mean = total / (steps * size).clamp(min=1)[:, None, None, None]
    return torch.where(hidden & real, mean, values)  # (B, T, L, H)
