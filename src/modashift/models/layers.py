"""Building blocks shared by several models."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modashift.batch import Batch, Seq, masked_mean

__all__ = ["Projector", "SequenceEncoder", "TaskLoss", "class_loss", "compact", "last_step", "task_loss", "vectors"]

TaskLoss = Literal["l1", "mse", "huber"]
HUBER = 0.5  # errors below it count squared, larger ones by their size


def task_loss(kind: TaskLoss, prediction: Tensor, label: Tensor) -> dict[str, Tensor]:
    """The task's term ``loss`` and ``mse``, which every model reports.

    ``l1`` is the mean absolute error, ``mse`` the mean squared one, and ``huber`` passes from the second to the first:
    e² / (2δ) for |e| < δ = 0.5, else |e| − δ / 2 (Huber 1964, divided by δ).
    """
    label = label.to(prediction.dtype)
    mse = F.mse_loss(prediction, label)
    if kind == "mse":
        return {"loss": mse, "mse": mse}
    loss = F.l1_loss(prediction, label) if kind == "l1" else F.smooth_l1_loss(prediction, label, beta=HUBER)
    return {"loss": loss, "mse": mse}


def class_loss(logits: Tensor, label: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
    """The task's term ``loss`` and ``ce`` where labels are classes: the mean of w_y · (−log softmax(logits)_y).

    The weighted terms are divided by the number of utterances, not by the sum of their weights, so that the mean over
    batches is that over all utterances; weights therefore are to have mean 1 over the training utterances.

    Args:
        logits: (B, C).
        label: (B,) numbers of the classes, in any type.
        weights: (C,) of the classes; all 1 where not given.
    """
    number = label.long()
    each = F.cross_entropy(logits, number, reduction="none")  # (B,)
    ce = (each if weights is None else weights.to(each.dtype)[number] * each).mean()
    return {"loss": ce, "ce": ce}


def vectors(batch: Batch, modality: str, size: int) -> Seq:
    """Sequence of a modality; where the batch lacks it, one masked step for each utterance, so that nothing fails."""
    if modality in batch.features:
        return batch.features[modality]
    n, device = len(batch), batch.index.device
    return Seq(torch.zeros(n, 1, size, device=device), torch.zeros(n, 1, dtype=torch.bool, device=device))


def compact(seq: Seq) -> Seq:
    """Move the real steps of each sequence to its front, in order, and zero the rest.

    Recurrent encoders must not meet a masked step before a real one (the place of [CLS], for example).
    """
    order = (~seq.mask).to(torch.int8).argsort(dim=1, stable=True)  # real steps first
    mask = seq.mask.gather(1, order)
    values = seq.values.gather(1, order.unsqueeze(-1).expand_as(seq.values))
    return Seq(values * mask.unsqueeze(-1), mask)


def last_step(states: Tensor, real: Tensor) -> Tensor:
    """Last real of the states (B, T, H), real steps first in (B, T); zero for an utterance without one."""
    last = real.sum(1).clamp(min=1) - 1  # (B,)
    state = states.gather(1, last.view(-1, 1, 1).expand(-1, 1, states.shape[-1])).squeeze(1)
    return state * real.any(1, keepdim=True)


class SequenceEncoder(nn.Module):
    """LSTM over a non-verbal sequence, then the mean of its states over the real steps.

    Args:
        input_size: width of the features.
        hidden_size: width of the result.
        layers: stacked LSTM layers.
        bidirectional: run in both directions at half the width each.
    """

    def __init__(self, input_size: int, hidden_size: int, layers: int = 1, bidirectional: bool = False) -> None:
        super().__init__()
        if bidirectional and hidden_size % 2:
            raise ValueError(f"a bidirectional encoder needs an even hidden size, got {hidden_size}")
        self.lstm = nn.LSTM(
            input_size,
            hidden_size // 2 if bidirectional else hidden_size,
            num_layers=layers,
            batch_first=True,
            bidirectional=bidirectional,
        )

    def forward(self, seq: Seq) -> Tensor:
        """Encode (B, T, D) → (B, hidden_size); zero for an utterance without a real step."""
        seq = compact(seq)
        if self.lstm.bidirectional:
            lengths = seq.mask.sum(1).clamp(min=1).cpu()
            packed = nn.utils.rnn.pack_padded_sequence(seq.values, lengths, batch_first=True, enforce_sorted=False)
            states, _ = nn.utils.rnn.pad_packed_sequence(
                self.lstm(packed)[0], batch_first=True, total_length=seq.values.shape[1]
            )
        else:
            # Padding comes after the real steps, so a forward LSTM cannot be touched by it and needs no packing,
            # which would copy the lengths to the host.
            states, _ = self.lstm(seq.values)
        return masked_mean(states, seq.mask)


class Projector(nn.Module):
    """Two-layer projection head: z¹ = ReLU(W₁u + b₁) feeds the fusion, z = W₂z¹ + b₂ the contrastive losses."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first = nn.Linear(size, size)
        self.second = nn.Linear(size, size)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return (z¹, z), each (B, size)."""
        middle = torch.relu(self.first(pooled))
        return middle, self.second(middle)
