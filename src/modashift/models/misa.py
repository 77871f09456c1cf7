"""MISA: each modality is split into a part that it shares with the others and a part of its own."""

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from modashift.batch import Batch, Seq, masked_mean
from modashift.models.base import Model, Output
from modashift.models.cmsbert import require_modalities
from modashift.models.encoder import ShiftedEncoder
from modashift.models.layers import TaskLoss, compact, vectors

__all__ = ["MISA", "SequenceSummary", "central_moment_discrepancy", "overlap"]


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Difference loss of two representations (n, h): mean squared entry of AᵀB, zero where they are orthogonal.

    Columns are centred over the batch, then each row is divided by its own length, which takes no gradient. A single
    utterance leaves nothing after centring, hence zero.
    """
    a, b = (x - x.mean(0, keepdim=True) for x in (a, b))
    a, b = (x / (torch.linalg.vector_norm(x, dim=1, keepdim=True).detach() + 1e-6) for x in (a, b))
    return (a.T @ b).square().mean()


def central_moment_discrepancy(x: Tensor, y: Tensor, moments: int = 5) -> Tensor:
    """CMD of two samples (n, h) with entries in [0, 1]: distance of their means and of their central moments 2 … K."""
    mean_x, mean_y = x.mean(0), y.mean(0)
    # vector_norm has gradient 0 at 0, where a root of squares would give NaN (a batch of one, equal samples).
    total: Tensor = torch.linalg.vector_norm(mean_x - mean_y)
    for k in range(2, moments + 1):
        total = total + torch.linalg.vector_norm(((x - mean_x) ** k).mean(0) - ((y - mean_y) ** k).mean(0))
    return total


class SequenceSummary(nn.Module):
    """Two bidirectional LSTMs with a layer norm between; the last states of both, in both directions, sum it up.

    Args:
        size: width D of the features and of each LSTM; the summary is 4D wide.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first = nn.LSTM(size, size, bidirectional=True, batch_first=True)
        self.norm = nn.LayerNorm(2 * size)
        self.second = nn.LSTM(2 * size, size, bidirectional=True, batch_first=True)
        for lstm in (self.first, self.second):
            for name, parameter in lstm.named_parameters():
                if name.startswith("weight_hh"):
                    nn.init.orthogonal_(parameter)

    def forward(self, seq: Seq) -> Tensor:
        """Sum up (B, T, D) → (B, 4D); zero for an utterance without a real step."""
        seq = compact(seq)
        lengths = seq.mask.sum(1)
        pack = partial(pack_padded_sequence, lengths=lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        packed, (last, _) = self.first(pack(seq.values))  # last (2, B, D)
        states, _ = pad_packed_sequence(packed, batch_first=True)  # (B, T, 2D)
        _, (later, _) = self.second(pack(self.norm(states)))
        summary = torch.cat([last, later], dim=-1).transpose(0, 1).flatten(1)  # (B, 4D)
        return summary * (lengths > 0).unsqueeze(-1)


class MISA(Model):
    """MISA: a shared and a private representation of each modality, attended to together.

    Hazarika et al., *MISA: Modality-Invariant and -Specific Representations*, ACM MM 2020. u_t is the mean of BERT's
    last states, u_v and u_a the last states of two BiLSTMs. For each modality m:

    p̂_m = LayerNorm(ReLU(W_m u_m)); private p_m = σ(P_m p̂_m); shared s_m = σ(S p̂_m), one S for all;
    r_m = R_m (p_m + s_m). A Transformer layer over all p_m and s_m, then two linear layers, give the score.

    L = task + w_d Σ overlap of (p_m, s_m) and (p_m, p_k) + w_s mean CMD(s_m, s_k) + w_r mean MSE(r_m, p̂_m).

    Args:
        backbone: configuration of the encoder (filled in from the chosen backbone).
        modality_sizes: width of each non-verbal modality (filled in from the data).
        size: h, width of the representations.
        dropout: in the predictor (and in the discriminator).
        difference_weight: w_d.
        similarity_weight: w_s.
        reconstruction_weight: w_r.
        similarity: what pulls the shared representations together: cmd, or adversarial (a discriminator guesses the
            modality through a gradient reversal).
        moments: highest central moment in CMD.
        fusion_heads: attention heads of the fusion Transformer.
        fusion_feedforward: width of its feed-forward part.
        fusion_dropout: its dropout.
        frozen_layers: how many of the encoder's layers, from the first, keep their weights (the embeddings do not);
            all where it has fewer.
        task_loss: mse as published, or l1 (mean absolute error).
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "misa"
    title = "MISA"
    paper = "Hazarika et al. 2020"
    modalities = ("visual", "acoustic")
    steps = "word"
    differs = (
        "Word pieces are cut at `max_length`, not at the number of words of the longest utterance plus two.",
        "Representations are fused in the order linguistic, visual, acoustic.",
        "A distance of exactly zero has gradient zero instead of NaN.",
        "An utterance without face or voice is given a zero state in its place.",
    )

    def __init__(
        self,
        backbone: dict[str, Any],
        modality_sizes: dict[str, int],
        size: int = 128,
        dropout: float = 0.5,
        difference_weight: float = 0.3,
        similarity_weight: float = 1.0,
        reconstruction_weight: float = 1.0,
        similarity: Literal["cmd", "adversarial"] = "cmd",
        moments: int = 5,
        fusion_heads: int = 2,
        fusion_feedforward: int = 2048,
        fusion_dropout: float = 0.1,
        frozen_layers: int = 0,
        task_loss: TaskLoss = "mse",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        require_modalities(self.name, modality_sizes)
        if frozen_layers < 0:
            raise ValueError(f"frozen_layers is a number of layers, got {frozen_layers}")
        self.encoder = ShiftedEncoder(backbone, {}, "none")
        for layer in self.encoder.backbone.encoder.layer[:frozen_layers]:
            layer.requires_grad_(False)
        self.modality_sizes = {m: modality_sizes[m] for m in self.modalities if m in modality_sizes}
        self.order = ("linguistic", *self.modality_sizes)
        count = len(self.order)
        self.summary = nn.ModuleDict({m: SequenceSummary(d) for m, d in self.modality_sizes.items()})
        widths = {"linguistic": self.encoder.hidden_size, **{m: 4 * d for m, d in self.modality_sizes.items()}}
        self.project = nn.ModuleDict(
            {m: nn.Sequential(nn.Linear(widths[m], size), nn.ReLU(), nn.LayerNorm(size)) for m in self.order}
        )
        self.private = nn.ModuleDict({m: nn.Linear(size, size) for m in self.order})
        self.shared = nn.Linear(size, size)
        self.reconstruct = nn.ModuleDict({m: nn.Linear(size, size) for m in self.order})
        self.fusion = nn.TransformerEncoderLayer(
            size, fusion_heads, fusion_feedforward, fusion_dropout, batch_first=True
        )
        self.predictor = nn.Sequential(
            nn.Linear(2 * count * size, count * size),
            nn.Dropout(dropout),
            nn.ReLU(),
            nn.Linear(count * size, self.outputs),
        )
        self.discriminator: nn.Sequential | None = None
        if similarity == "adversarial":
            self.discriminator = nn.Sequential(
                nn.Linear(size, size), nn.ReLU(), nn.Dropout(dropout), nn.Linear(size, count)
            )
        self.difference_weight, self.similarity_weight = difference_weight, similarity_weight
        self.reconstruction_weight, self.moments = reconstruction_weight, moments
        self.task_loss: TaskLoss = task_loss

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds the shared representations."""
        pooled = {"linguistic": masked_mean(self.encoder(batch).hidden, batch.pieces().mask)}  # specials included
        for m, d in self.modality_sizes.items():
            pooled[m] = self.summary[m](vectors(batch, m, d))
        projected = {m: self.project[m](pooled[m]) for m in self.order}  # each (B, h)
        private = {m: torch.sigmoid(self.private[m](projected[m])) for m in self.order}
        shared = {m: torch.sigmoid(self.shared(projected[m])) for m in self.order}
        rebuilt = {m: self.reconstruct[m](private[m] + shared[m]) for m in self.order}
        fused = self.fusion(torch.stack([*private.values(), *shared.values()], dim=1))  # (B, 2 · modalities, h)
        extra = {
            name: torch.stack(list(parts.values()), dim=1)  # (B, modalities, h)
            for name, parts in (
                ("projected", projected),
                ("private", private),
                ("shared", shared),
                ("reconstructed", rebuilt),
            )
        }
        if self.discriminator is not None:
            # The value is that of `shared`, the gradient its opposite: what helps the discriminator hurts the encoder.
            extra["guesses"] = self.discriminator(2 * extra["shared"].detach() - extra["shared"])  # (B, M, M)
        return Output(self.predictor(fused.flatten(1)).squeeze(-1), shared, extra)

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Task, difference, similarity and reconstruction."""
        terms = self.task_terms(output, batch)
        private, shared = (output.extra[k].unbind(1) for k in ("private", "shared"))
        difference = self._difference(private, shared)
        if self.discriminator is None:
            pairs = list(combinations(shared, 2))
            similarity = torch.stack([central_moment_discrepancy(x, y, self.moments) for x, y in pairs]).mean()
        else:
            guesses = output.extra["guesses"]
            own = torch.arange(len(self.order), device=guesses.device).expand(len(guesses), -1)  # (B, M)
            similarity = F.cross_entropy(guesses.flatten(0, 1), own.flatten())
        # Not detached, as published: the projections also move towards what can be rebuilt.
        reconstruction = F.mse_loss(output.extra["reconstructed"], output.extra["projected"])
        total = (
            terms["loss"]
            + self.difference_weight * difference
            + self.similarity_weight * similarity
            + self.reconstruction_weight * reconstruction
        )
        return {
            **terms,
            "loss": total,
            "difference": difference,
            "similarity": similarity,
            "reconstruction": reconstruction,
        }

    @staticmethod
    def _difference(private: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Sum over each modality's two parts, and over the private parts of each pair of modalities."""
        pairs = [*zip(private, shared), *combinations(private, 2)]
        return torch.stack([overlap(a, b) for a, b in pairs]).sum()
