"""What a model is given: padded tensors that never travel without their masks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

__all__ = ["Batch", "Pieces", "Seq", "masked_mean"]


@dataclass(frozen=True)
class Seq:
    """Sequences of one modality: values (B, T, D), zero at padding, and mask (B, T), True at real steps."""

    values: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Pieces:
    """Word pieces of a batch of texts.

    Attributes:
        ids: (B, N) vocabulary entries, with the special tokens.
        mask: (B, N) True at [CLS], word pieces and [SEP], False at padding.
        word: (B, N) number of the word a piece belongs to, −1 at special tokens and padding.
    """

    ids: Tensor
    mask: Tensor
    word: Tensor

    @property
    def real(self) -> Tensor:
        """(B, N) True at word pieces only: neither special tokens nor padding."""
        return self.word >= 0


@dataclass(frozen=True)
class Batch:
    """A batch of utterances.

    Attributes:
        text: word pieces, or None for models that take no word pieces.
        features: modality name to `Seq`; a modality the data lacks is absent, an utterance that lacks it has no True
            in its mask.
        label: (B,) gold score, NaN where unknown.
        index: (B,) row of each utterance in its data set.
    """

    text: Pieces | None
    label: Tensor
    index: Tensor
    features: Mapping[str, Seq] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.index)

    def pieces(self) -> Pieces:
        """Word pieces; raises ValueError where the batch has none."""
        if self.text is None:
            raise ValueError("this model needs word pieces, and the batch was collated without a tokenizer")
        return self.text

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Apply a function to every tensor (a move to a device, for example)."""
        return Batch(
            text=None if self.text is None else Pieces(*(function(getattr(self.text, f.name)) for f in fields(Pieces))),
            label=function(self.label),
            index=function(self.index),
            features={name: Seq(function(seq.values), function(seq.mask)) for name, seq in self.features.items()},
        )

    def to(self, device: torch.device, non_blocking: bool = True) -> "Batch":
        """Move every tensor to a device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def without(self, modality: str) -> "Batch":
        """The same batch with a modality made missing: every step zero and masked out."""
        features = dict(self.features)
        if modality in features:
            gone = features[modality]
            features[modality] = Seq(torch.zeros_like(gone.values), torch.zeros_like(gone.mask))
        return replace(self, features=features)

    def drop_features(self, probability: float) -> "Batch":
        """Set each column of face and voice to zero for a whole utterance with some probability, and scale up the rest.

        Features that were standardised then stand at their mean there. Words and word vectors stay as they are.
        """
        features = dict(self.features)
        for modality, seq in features.items():
            if modality != "linguistic":
                kept = torch.rand(len(self), 1, seq.values.shape[-1]) >= probability  # on the CPU, whose state is saved
                factor = kept.to(seq.values.device, seq.values.dtype) / (1 - probability)
                features[modality] = Seq(seq.values * factor, seq.mask)
        return replace(self, features=features)

    def drop_modalities(self, probability: float) -> "Batch":
        """Make each non-verbal modality of each utterance missing with some probability (a regulariser)."""
        features = dict(self.features)
        for modality, seq in features.items():
            if modality != "linguistic":
                kept = torch.rand(len(self), 1) >= probability  # (B, 1), drawn on the CPU, whose state is saved
                kept = kept.to(seq.mask.device)
                features[modality] = Seq(seq.values * kept.unsqueeze(-1), seq.mask & kept)
        return replace(self, features=features)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over real steps: values (B, T, D), mask (B, T) → (B, D); zero where no step is real."""
    weight = mask.to(values.dtype).unsqueeze(-1)  # (B, T, 1)
    return (values * weight).sum(1) / weight.sum(1).clamp(min=1)
