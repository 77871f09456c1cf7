"""Losses of CMSBERT-CLR: pairwise contrastive, smoothed targets, and the balance against the task loss.

Kim and Kim, *CMSBERT-CLR* (IJCNN 2022), equations (16)–(24).
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LossBalance", "pairwise_contrastive", "smoothed_targets"]


def smoothed_targets(
    labels: Float[Tensor, " n"],
    beta: float,
    delta: float,
    *,
    strict: bool = False,
    include_self: bool = False,
    zero_is_positive: bool = False,
) -> Float[Tensor, "n n"]:
    """Soft targets of the contrastive losses (equation 23): β on the diagonal, the rest on utterances alike in score.

    Row i spreads 1 − β evenly over S_i = {k ≠ i : sign y_k = sign y_i and |y_k − y_i| ≤ δ}; where S_i is empty the
    whole weight stays on i, so every row sums to one. Distances are taken in float64 with a tolerance of 1e-6, because
    scores are multiples of 0.2 or 0.1 and sit exactly on the edge.

    Args:
        labels: scores y.
        beta: weight of the utterance itself; 1 gives the identity (no smoothing).
        delta: largest difference of scores that count as alike.
        strict: use ``<`` instead of ``≤``.
        include_self: let S_i contain i, as the formula reads literally: i then keeps β and rows sum to less than 1.
        zero_is_positive: treat a score of 0 as positive instead of as a sign of its own.

    Returns:
        Target matrix with the dtype of `labels`.
    """
    y = labels.detach().double()
    sign = torch.where(y >= 0, 1.0, -1.0) if zero_is_positive else y.sign()
    distance = (y[:, None] - y[None, :]).abs()
    near = distance < delta - 1e-6 if strict else distance <= delta + 1e-6
    alike = (sign[:, None] == sign[None, :]) & near
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    alike = alike | itself if include_self else alike & ~itself
    count = alike.double().sum(1, keepdim=True)  # float64: a whole number would divide in the default precision
    targets = alike.double() * ((1 - beta) / count.clamp(min=1))
    others = count > 1 if include_self else count > 0
    diagonal = torch.where(others, torch.full_like(count, beta), torch.ones_like(count))  # (n, 1)
    targets = torch.where(itself, diagonal, targets)
    return targets.to(labels.dtype)


def pairwise_contrastive(
    embeddings: Mapping[str, Tensor],
    targets: Float[Tensor, "n n"],
    temperature: float,
    *,
    reduction: Literal["sum", "mean"] = "sum",
    present: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Contrastive loss over all ordered pairs of modalities (equations 17–19).

    For p → q the logits are cos(z_p,i, z_q,k) / τ and the loss the cross-entropy with row i of the targets, averaged
    over i. The matrix of p → q is the transpose of that of q → p, so three products serve the six directions.

    Args:
        embeddings: by modality (n, d), at least two modalities.
        targets: from `smoothed_targets`, or the identity.
        temperature: τ.
        reduction: over the ordered pairs; the paper sums.
        present: by modality (n,), False for utterances that lack it. They have nothing to be aligned with: a pair of
            modalities is compared over the utterances that have both, all others being neither anchor nor negative.

    Returns:
        Scalar loss.
    """
    if len(embeddings) < 2:
        raise ValueError(f"a contrastive loss needs two modalities or more, got {sorted(embeddings)}")
    unit = {m: F.normalize(z, dim=-1) for m, z in embeddings.items()}
    total = targets.new_zeros(())
    for p, q in combinations(unit, 2):
        logits = unit[p] @ unit[q].T / temperature  # (n, n)
        both = None if present is None else present[p] & present[q]  # (n,)
        for directed in (logits, logits.T):
            total = total + _cross_entropy(directed, targets, both)
    pairs = len(unit) * (len(unit) - 1)
    return total / pairs if reduction == "mean" else total


def _cross_entropy(logits: Tensor, targets: Tensor, kept: Tensor | None) -> Tensor:
    """Soft-target cross-entropy, the mean over rows; over the kept rows and columns only, where given."""
    if kept is None:
        return -(targets * logits.log_softmax(1)).sum(1).mean()
    pairs = kept[:, None] & kept[None, :]
    weight = targets * pairs
    # What stood on utterances that are left out goes to those that are kept, so that rows keep their sum.
    weight = weight * (targets.sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1e-12))
    least = torch.finfo(logits.dtype).min / 2  # finite, so that rows without any pair give no NaN
    log_probability = logits.masked_fill(~pairs, least).log_softmax(1)
    return -(weight * log_probability).sum() / kept.sum().clamp(min=1)


class LossBalance(nn.Module):
    """Weight ν of the contrastive loss, a moving average of the ratio of the validation losses (equations 20–22).

    After each validation ν ← α ν + (1 − α) task / contrastive. ν is a buffer: saved with the model, never trained.

    Args:
        momentum: α in [0, 1]; 1 freezes ν (the paper's ablation without moving average).
        initial: ν before the first validation, which the paper leaves open. None asks for the ratio measured before
            training: call `start` with it.
        bounds: ν is kept within these, so that one odd validation cannot silence or let loose the contrastive loss.
    """

    nu: Tensor

    def __init__(
        self, momentum: float, initial: float | None = 1.0, bounds: tuple[float, float] = (1e-3, 10.0)
    ) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be in [0, 1], got {momentum}")
        self.momentum = momentum
        self.bounds = bounds
        self.measured = initial is None
        self.register_buffer("nu", torch.tensor(1.0 if initial is None else float(initial), dtype=torch.float64))

    @property
    def value(self) -> float:
        """Current ν."""
        return float(self.nu)

    @torch.no_grad()
    def start(self, task_loss: float, contrastive_loss: float) -> float:
        """Set ν to the ratio of two losses measured before training, and return it."""
        if contrastive_loss > 1e-8:
            self.nu.fill_(min(max(float(task_loss) / float(contrastive_loss), self.bounds[0]), self.bounds[1]))
        return self.value

    @torch.no_grad()
    def update(self, task_loss: float, contrastive_loss: float) -> float:
        """Move ν towards the ratio of two validation losses and return it; a contrastive loss near 0 moves nothing."""
        if self.momentum < 1 and contrastive_loss > 1e-8:
            moved = self.momentum * self.value + (1 - self.momentum) * float(task_loss) / float(contrastive_loss)
            self.nu.fill_(min(max(moved, self.bounds[0]), self.bounds[1]))
        return self.value
