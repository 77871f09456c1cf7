"""BERT on the words alone: the text-only control every multimodal result must be read against."""

from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from modashift.batch import Batch, masked_mean
from modashift.models.base import Model, Output
from modashift.models.encoder import ShiftedEncoder
from modashift.models.layers import TaskLoss

__all__ = ["BERT", "Pooling"]

Pooling = Literal["cls", "mean"]


class BERT(Model):
    """Fine-tuned BERT on the words alone.

    Devlin et al., *BERT*, NAACL 2019; as a baseline it is MAG-BERT with its gate shut.

    Args:
        backbone: configuration of the encoder (filled in from the chosen backbone).
        modality_sizes: ignored; the model reads words only.
        pooling: ``mean`` over all tokens, or ``cls``: the encoder's own pooler on [CLS], as the published code has it.
        dropout: before the head.
        task_loss: mse (mean squared error); or huber, which weighs large errors less, or l1 (mean absolute error).
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "bert"
    title = "BERT"
    paper = "Devlin et al. 2019"

    def __init__(
        self,
        backbone: dict[str, Any],
        modality_sizes: Mapping[str, int] | None = None,
        pooling: Pooling = "mean",
        dropout: float = 0.1,
        task_loss: TaskLoss = "mse",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        self._assemble(ShiftedEncoder(backbone, {}, "none", pooler=pooling == "cls"), pooling, dropout, task_loss)

    def _assemble(self, encoder: ShiftedEncoder, pooling: Pooling, dropout: float, task_loss: TaskLoss) -> None:
        self.encoder = encoder
        self.task_loss: TaskLoss = task_loss
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.hidden_size, self.outputs)

    def forward(self, batch: Batch) -> Output:
        """Score a batch."""
        hidden = self.encoder(batch).hidden
        if self.pooling == "cls":
            pooled = self.encoder.backbone.pooler(hidden)  # (B, H)
        else:
            pooled = masked_mean(hidden, batch.pieces().mask)
        return Output(self.head(self.dropout(pooled)).squeeze(-1), {"linguistic": pooled})
