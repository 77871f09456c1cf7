"""CMSBERT-CLR: shifted BERT, LSTMs for face and voice, contrastive alignment and a fusion Transformer."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from modashift.batch import Batch, masked_mean
from modashift.losses import LossBalance, pairwise_contrastive, smoothed_targets
from modashift.models.base import Model, Output
from modashift.models.cms import ShiftOptions
from modashift.models.cmsbert import require_modalities
from modashift.models.encoder import ShiftedEncoder
from modashift.models.layers import Projector, SequenceEncoder

__all__ = ["CMSBERTCLR"]


class CMSBERTCLR(Model):
    """CMSBERT-CLR: shift, contrastive alignment and fusion, the whole system.

    Kim and Kim, *CMSBERT-CLR*, IJCNN 2022. Each modality is encoded and averaged over its real steps, projected to
    (z¹, z); the z of all ordered pairs of modalities are pulled together by contrastive losses with smoothed targets;
    a Transformer layer over the z¹ and two linear layers predict the score. The total is MSE + ν · contrastive.

    Where labels are classes, the cross-entropy takes the place of the MSE, in ν too, and utterances are alike that are
    of the same class.

    Ablations of Table III: ``loss_momentum: 1`` (without moving average), ``target_weight: 1`` (without label
    smoothing), both; ``contrastive: false`` leaves the contrastive losses out altogether.

    Args:
        backbone: configuration of the encoder (filled in from the chosen backbone).
        modality_sizes: width of each non-verbal modality (filled in from the data).
        layers: which layers to shift: all, first, none or a list of numbers from 1.
        shift: options of the shift.
        temperature: τ of the contrastive losses.
        loss_momentum: α of the moving average that sets ν; 1 keeps ν at its initial value.
        initial_weight: ν before the first validation; null measures the ratio of the losses before training.
        target_weight: β, target weight of an utterance's own pair; 1 means no label smoothing.
        alike: δ, largest difference of scores of the same sign that counts as alike; classes have no such thing.
        contrastive: whether the contrastive losses are trained.
        contrastive_reduction: sum or mean over the ordered pairs of modalities.
        pool_specials: average the words' states over [CLS] and [SEP] too.
        lstm_layers: layers of the LSTM encoders.
        bidirectional: run the LSTM encoders in both directions, half the width each.
        fusion_layers: layers of the fusion Transformer.
        fusion_heads: its attention heads.
        fusion_feedforward: width of its feed-forward part.
        dropout: in the fusion Transformer and the predictor.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "cmsbert-clr"
    title = "CMSBERT-CLR"
    paper = "Kim and Kim 2022"
    modalities = ("visual", "acoustic")

    def __init__(
        self,
        backbone: dict[str, Any],
        modality_sizes: dict[str, int],
        layers: str | list[int] = "all",
        shift: ShiftOptions = ShiftOptions(),  # noqa: B008 (frozen)
        temperature: float = 0.1,
        loss_momentum: float = 0.9,
        initial_weight: float | None = 1.0,
        target_weight: float = 0.9,
        alike: float = 0.1,
        contrastive: bool = True,
        contrastive_reduction: Literal["sum", "mean"] = "sum",
        pool_specials: bool = True,
        lstm_layers: int = 1,
        bidirectional: bool = False,
        fusion_layers: int = 1,
        fusion_heads: int = 2,
        fusion_feedforward: int = 2048,
        dropout: float = 0.1,
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        require_modalities(self.name, modality_sizes)
        self.encoder = ShiftedEncoder(backbone, modality_sizes, layers, shift)
        size = self.encoder.hidden_size
        self.order = ("linguistic", *(m for m in self.modalities if m in modality_sizes))
        self.lstm = nn.ModuleDict(
            {m: SequenceEncoder(modality_sizes[m], size, lstm_layers, bidirectional) for m in self.order[1:]}
        )
        self.projector = nn.ModuleDict({m: Projector(size) for m in self.order})
        if not contrastive:  # the second layers would receive no gradient
            for projector in self.projector.values():
                projector.second = nn.Identity()
        self.fusion = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(size, fusion_heads, fusion_feedforward, dropout, batch_first=True),
            fusion_layers,
            enable_nested_tensor=False,
        )
        self.predictor = nn.Sequential(
            nn.Linear(len(self.order) * size, size), nn.ReLU(), nn.Dropout(dropout), nn.Linear(size, self.outputs)
        )
        self.balance = LossBalance(loss_momentum, initial_weight)
        self.temperature, self.target_weight = temperature, target_weight
        self.alike = 0.0 if classes else alike  # numbers of classes are alike where they are the same
        self.contrastive, self.contrastive_reduction = contrastive, contrastive_reduction
        self.pool_specials = pool_specials

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds z of each modality."""
        text = batch.pieces()
        hidden = self.encoder(batch).hidden
        pooled = {"linguistic": masked_mean(hidden, text.mask if self.pool_specials else text.real)}
        present = {"linguistic": text.mask.any(1)}
        for m in self.order[1:]:
            if m in batch.features:
                pooled[m] = self.lstm[m](batch.features[m])
                present[m] = batch.features[m].mask.any(1)
            else:
                pooled[m] = torch.zeros_like(pooled["linguistic"])
                present[m] = torch.zeros_like(present["linguistic"])
        middle, embeddings = {}, {}
        for m in self.order:
            middle[m], embeddings[m] = self.projector[m](pooled[m])  # each (B, H)
        fused = self.fusion(torch.stack([middle[m] for m in self.order], dim=1))  # (B, modalities, H)
        return Output(self.predictor(fused.flatten(1)).squeeze(-1), embeddings, present)

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Task loss + ν · contrastive (equation 24)."""
        terms = self.task_terms(output, batch)
        task, label = terms["loss"], batch.label.to(output.prediction.dtype)
        if not self.contrastive or len(label) < 2:
            return terms
        targets = smoothed_targets(label, self.target_weight, self.alike)
        contrastive = pairwise_contrastive(
            output.embeddings,
            targets,
            self.temperature,
            reduction=self.contrastive_reduction,
            present=output.extra,
        )
        return {**terms, "loss": task + self.balance.nu.to(task.dtype) * contrastive, "contrastive": contrastive}

    def wants_initial_losses(self) -> bool:
        """Where ν is to start at the measured ratio."""
        return self.contrastive and self.balance.measured

    def before_training(self, losses: Mapping[str, float]) -> None:
        """Set ν to the ratio of the untrained model's dev losses."""
        self.balance.start(losses[self.task_term], losses["contrastive"])

    def after_validation(self, losses: Mapping[str, float]) -> dict[str, float]:
        """Update ν from the dev losses (equations 20–22)."""
        if "contrastive" not in losses:
            return {}
        self.balance.update(losses[self.task_term], losses["contrastive"])
        return {"contrastive_weight": self.balance.value}
