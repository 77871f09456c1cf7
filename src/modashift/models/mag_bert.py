"""MAG-BERT: a gate at the input of BERT displaces every word by what face and voice do at that word."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modashift.batch import Batch, Seq, masked_mean
from modashift.models.base import Model, Output
from modashift.models.bert import BERT, Pooling
from modashift.models.cmsbert import require_modalities
from modashift.models.encoder import ShiftedEncoder
from modashift.models.layers import TaskLoss, vectors

__all__ = ["MAG", "MAGBERT"]


class MAG(nn.Module):
    """Multimodal Adaptation Gate: Z̄_i = Dropout(LayerNorm(Z_i + α_i H_i)), token by token.

    Args:
        hidden_size: width of the tokens.
        modality_sizes: width of each non-verbal modality.
        beta: longest displacement allowed, as a share of the token's own length.
        dropout: after the layer norm.
    """

    def __init__(self, hidden_size: int, modality_sizes: Mapping[str, int], beta: float, dropout: float) -> None:
        super().__init__()
        self.gate = nn.ModuleDict({m: nn.Linear(d + hidden_size, hidden_size) for m, d in modality_sizes.items()})
        self.project = nn.ModuleDict({m: nn.Linear(d, hidden_size) for m, d in modality_sizes.items()})
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.beta = beta

    def displacement(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """α_i H_i for tokens (B, N, H) and features {modality: (B, N, d)}; never longer than β times the token."""
        total = torch.zeros_like(hidden)  # H_i
        for m, project in self.project.items():
            gate = torch.relu(self.gate[m](torch.cat([features[m], hidden], dim=-1)))  # (B, N, H), one for each column
            total = total + gate * project(features[m])
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)  # (B, N, 1)
        reach = torch.linalg.vector_norm(total, dim=-1, keepdim=True)
        reach = torch.where(reach == 0, torch.ones_like(reach), reach)
        scale: Tensor = (self.beta * length / (reach + 1e-6)).clamp(max=1.0)  # α_i
        return scale * total

    def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Displace tokens (B, N, H) by features at the same places {modality: (B, N, d)}."""
        result: Tensor = self.dropout(self.norm(hidden + self.displacement(hidden, features)))
        return result


class MAGBERT(BERT):
    """MAG-BERT: each word's embedding is displaced by face and voice at that word, before BERT's first layer.

    Rahman et al., *Integrating Multimodal Information in Large Pretrained Transformers*, ACL 2020. For token i with
    embedding Z_i and features V_i, A_i (zero at [CLS], [SEP] and wherever a modality is missing):

    g^m_i = ReLU(W_gm [m_i ; Z_i] + b_gm), a vector, for m in V, A; H_i = Σ_m g^m_i ⊙ (W_m m_i + c_m);
    α_i = min(β ‖Z_i‖ / ‖H_i‖, 1); Z̄_i = Dropout(LayerNorm(Z_i + α_i H_i)).

    Args:
        backbone: configuration of the encoder (filled in from the chosen backbone).
        modality_sizes: width of each non-verbal modality (filled in from the data).
        beta: β, longest displacement as a share of the embedding's own length.
        gate_dropout: after the gate's layer norm.
        pooling: ``mean`` over all tokens, or ``cls``: the encoder's own pooler on [CLS], as the published code has it.
        dropout: before the head.
        task_loss: mse as published, or l1 (mean absolute error) as in MMSA.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "mag-bert"
    title = "MAG-BERT"
    paper = "Rahman et al. 2020"
    modalities = ("visual", "acoustic")
    aligned = True
    differs = (
        "By default the head reads the mean of all tokens' states, as our other BERT rows do, because a small backbone "
        "such as MiniLM has no trained pooler; `pooling: cls` is the published head.",
        "An utterance is padded to the longest of its batch instead of to 50 pieces, which masks make invisible.",
    )

    def __init__(
        self,
        backbone: dict[str, Any],
        modality_sizes: dict[str, int],
        beta: float = 1.0,
        gate_dropout: float = 0.5,
        pooling: Pooling = "mean",
        dropout: float = 0.1,
        task_loss: TaskLoss = "mse",
        classes: int = 0,
    ) -> None:
        Model.__init__(self, classes)
        require_modalities(self.name, modality_sizes)
        self._assemble(ShiftedEncoder(backbone, {}, "none", pooler=pooling == "cls"), pooling, dropout, task_loss)
        self.mag = MAG(self.encoder.hidden_size, modality_sizes, beta, gate_dropout)
        self.modality_sizes = dict(modality_sizes)

    def forward(self, batch: Batch) -> Output:
        """Score a batch whose features stand at the word pieces."""
        text = batch.pieces()
        features = {m: _at_pieces(vectors(batch, m, d), text.mask, m) for m, d in self.modality_sizes.items()}
        hidden = self.encoder(batch, adapt=lambda embedded: self.mag(embedded, features)).hidden  # (B, N, H)
        pooled = self.encoder.backbone.pooler(hidden) if self.pooling == "cls" else masked_mean(hidden, text.mask)
        return Output(self.head(self.dropout(pooled)).squeeze(-1), {"linguistic": pooled})


def _at_pieces(seq: Seq, pieces: Tensor, modality: str) -> Tensor:
    """Features (B, N, d) at the word pieces, zero wherever there is none.

    Raises:
        ValueError: where they stand at steps of their own.
    """
    values = seq.values.masked_fill(~seq.mask.unsqueeze(-1), 0.0)
    if seq.mask.shape[1] == pieces.shape[1]:
        return values
    if seq.mask.any():
        raise ValueError(
            f"mag-bert needs {modality} features at the word pieces, got {seq.mask.shape[1]} steps for "
            f"{pieces.shape[1]} pieces; align the frames to words first"
        )
    return values.new_zeros(*pieces.shape, values.shape[-1])  # the modality is absent
