"""Self-MM: every modality learns a score of its own, from labels the training generates along the way."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from modashift.batch import Batch, Seq, masked_mean
from modashift.models.base import Model, Output
from modashift.models.bert import Pooling
from modashift.models.cmsbert import require_modalities
from modashift.models.encoder import ShiftedEncoder
from modashift.models.layers import compact, last_step, task_loss, vectors

__all__ = ["Distance", "SelfMM", "UnimodalLabels"]

Distance = Literal["euclidean", "squared"]
WHOLE = "multimodal"


class UnimodalLabels:
    """Labels of the single modalities, generated from where an utterance lies between the two classes' centres.

    No gradient passes through them, and only training utterances have any. The centres are means over the whole store,
    taken anew for every batch: a product of (2, n) and (n, d), nothing beside a BERT.

    Args:
        labels: (n,) true score by row of the data set, NaN for rows that are not trained on.
        sizes: width of the stored features: ``multimodal`` and one a modality.
        limit: H, largest absolute label.
        exclude_zero: leave utterances with label 0 out of the positive class.
        distance: from a feature to a centre: ``euclidean`` (published code) or ``squared`` and divided by √d (paper).
    """

    def __init__(
        self, labels: Tensor, sizes: Mapping[str, int], limit: float, exclude_zero: bool, distance: Distance
    ) -> None:
        self.labels = {k: labels.clone() for k in sizes}  # all start at the true score
        self.features = {k: labels.new_zeros(len(labels), d) for k, d in sizes.items()}
        self.limit, self.exclude_zero, self.distance = limit, exclude_zero, distance

    def update(self, rows: Tensor, features: Mapping[str, Tensor], epoch: int) -> None:
        """Store the features (B, d) of rows (B,); from epoch 2 on, first move their labels, by the centres so far."""
        fresh = {k: features[k].detach().to(store) for k, store in self.features.items()}
        if epoch > 1:
            true = self.labels[WHOLE][rows]
            whole, known = self._position(WHOLE, fresh[WHOLE])
            for m in [k for k in self.labels if k != WHOLE]:
                own, also_known = self._position(m, fresh[m])
                scaled, moved = own / (whole + 1e-8) * true, true + own - whole
                new = (0.5 * scaled + 0.5 * moved).clamp(-self.limit, self.limit)
                old = self.labels[m][rows]
                new = (epoch - 1) / (epoch + 1) * old + 2 / (epoch + 1) * new
                self.labels[m][rows] = torch.where(known & also_known, new, old)
        for k, feature in fresh.items():
            self.features[k][rows] = feature

    def _position(self, name: str, feature: Tensor) -> tuple[Tensor, Tensor]:
        """α = (D⁻ − D⁺) / D⁺ of features (B, d), and whether both classes have a centre at all."""
        label = self.labels[name]
        positive = label > 0 if self.exclude_zero else label >= 0
        member = torch.stack([positive, label < 0]).to(feature.dtype)  # (2, n)
        count = member.sum(1, keepdim=True)  # (2, 1)
        centres = member @ self.features[name] / count.clamp(min=1)  # (2, d)
        to_positive, to_negative = (self._distance(feature - centre) for centre in centres)
        return (to_negative - to_positive) / (to_positive + 1e-8), (count > 0).all()

    def _distance(self, gap: Tensor) -> Tensor:
        squared = gap.square().sum(-1)
        return squared.sqrt() if self.distance == "euclidean" else squared / math.sqrt(gap.shape[-1])

    def state(self) -> dict[str, Tensor]:
        """Copies of all tensors."""
        return {f"{kind}.{k}": v.clone() for kind in ("labels", "features") for k, v in getattr(self, kind).items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""
        for name, value in state.items():
            kind, _, k = name.partition(".")
            getattr(self, kind)[k].copy_(value)


class LastState(nn.Module):
    """LSTM over a sequence, its state after the last real step, dropout and a linear layer."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, output_size)

    def forward(self, seq: Seq) -> Tensor:
        """Encode (B, T, D) → (B, output_size); an utterance without a real step has state zero."""
        seq = compact(seq)
        states, _ = self.lstm(seq.values)  # padding comes last and cannot touch what is before it
        result: Tensor = self.linear(self.dropout(last_step(states, seq.mask)))
        return result


class Head(nn.Module):
    """Dropout, the feature F = ReLU(W₁u + b₁) that labels are generated from, and a score from it."""

    def __init__(self, input_size: int, size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.first, self.second, self.last = nn.Linear(input_size, size), nn.Linear(size, size), nn.Linear(size, 1)

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Return F (B, size) and the score (B,)."""
        feature = torch.relu(self.first(self.dropout(encoded)))
        return feature, self.last(torch.relu(self.second(feature))).squeeze(-1)


class SelfMM(Model):
    """Self-MM: besides the whole, each modality alone learns a score, from labels generated during training.

    Yu et al., *Learning Modality-Specific Representations with Self-Supervised Multi-Task Learning*, AAAI 2021.

    L = |ŷ_M − y_M| + Σ_s tanh(|y_s − y_M|) |ŷ_s − y_s|, averaged over the batch; s = T, V, A. y_s starts at y_M and
    from epoch n = 2 moves after each batch: y_s ← (n−1)/(n+1) y_s + 2/(n+1) clamp(½ (α_s/α_M) y_M + ½ (y_M + α_s −
    α_M)), where α_k = (D_k⁻ − D_k⁺)/D_k⁺ compares the distances of F_k to the centres of both classes.

    Args:
        backbone: configuration of the encoder (filled in from the chosen backbone).
        modality_sizes: width of each non-verbal modality (filled in from the data).
        pooling: what stands for the words: ``cls``, the last state of [CLS], or ``mean`` over all tokens.
        visual_lstm: width of the visual LSTM.
        acoustic_lstm: of the acoustic one.
        visual_out: width of the visual encoding.
        acoustic_out: of the acoustic one.
        lstm_dropout: after the LSTMs.
        multimodal_size: width of the multimodal head (post_fusion_dim in the published code).
        linguistic_size: width of the words' head (post_text_dim).
        visual_size: width of the visual head.
        acoustic_size: width of the acoustic head.
        multimodal_dropout: before the multimodal head.
        linguistic_dropout: before the words' head.
        visual_dropout: before the visual head.
        acoustic_dropout: before the acoustic head.
        limit: H, largest absolute generated label.
        exclude_zero: leave utterances with label 0 out of the positive class.
        distance: ``euclidean`` as in the published code, or ``squared`` and divided by √d as in the paper.
        lr_visual: learning rate of the visual encoder; null for that of new parts.
        lr_acoustic: learning rate of the acoustic encoder; null for that of new parts.
        weight_decay_backbone: of the backbone; null for the general one, as in the next two.
        weight_decay_visual: of the visual encoder.
        weight_decay_acoustic: of the acoustic encoder.
    """

    name = "self-mm"
    title = "Self-MM"
    paper = "Yu et al. 2021"
    modalities = ("visual", "acoustic")
    steps = "word"
    scores_only = "its labels of the single modalities are made from distances between scores"
    differs = (
        "No weight decay on biases of the LSTMs and heads, which the published code decays.",
        "While one of the two classes is empty the labels stay as they are, where the published code gets NaN.",
        "An utterance without face or voice is given the encoding of a zero state in its place.",
    )

    def __init__(
        self,
        backbone: dict[str, Any],
        modality_sizes: dict[str, int],
        pooling: Pooling = "cls",
        visual_lstm: int = 64,
        acoustic_lstm: int = 32,
        visual_out: int = 32,
        acoustic_out: int = 16,
        lstm_dropout: float = 0.0,
        multimodal_size: int = 128,
        linguistic_size: int = 64,
        visual_size: int = 32,
        acoustic_size: int = 16,
        multimodal_dropout: float = 0.1,
        linguistic_dropout: float = 0.0,
        visual_dropout: float = 0.1,
        acoustic_dropout: float = 0.1,
        limit: float = 3.0,
        exclude_zero: bool = True,
        distance: Distance = "euclidean",
        lr_visual: float | None = None,
        lr_acoustic: float | None = None,
        weight_decay_backbone: float | None = None,
        weight_decay_visual: float | None = None,
        weight_decay_acoustic: float | None = None,
    ) -> None:
        super().__init__()
        require_modalities(self.name, modality_sizes)
        self.encoder = ShiftedEncoder(backbone, {}, "none")
        self.pooling = pooling
        self.modality_sizes = {m: modality_sizes[m] for m in self.modalities if m in modality_sizes}
        self.order = ("linguistic", *self.modality_sizes)
        lstm = {"visual": visual_lstm, "acoustic": acoustic_lstm}
        width = {"linguistic": self.encoder.hidden_size, "visual": visual_out, "acoustic": acoustic_out}
        size = {"linguistic": linguistic_size, "visual": visual_size, "acoustic": acoustic_size}
        dropout = {"linguistic": linguistic_dropout, "visual": visual_dropout, "acoustic": acoustic_dropout}
        self.sequence = nn.ModuleDict(
            {m: LastState(d, lstm[m], width[m], lstm_dropout) for m, d in self.modality_sizes.items()}
        )
        self.heads = nn.ModuleDict(
            {WHOLE: Head(sum(width[m] for m in self.order), multimodal_size, multimodal_dropout)}
            | {m: Head(width[m], size[m], dropout[m]) for m in self.order}
        )
        self.rates = {"visual": lr_visual, "acoustic": lr_acoustic}
        decays = (weight_decay_backbone, weight_decay_visual, weight_decay_acoustic)
        self.decays = dict(zip(("backbone", "visual", "acoustic"), decays))
        sizes = {WHOLE: multimodal_size, **{m: size[m] for m in self.order}}
        self.new_labels = partial(
            UnimodalLabels, sizes=sizes, limit=limit, exclude_zero=exclude_zero, distance=distance
        )
        self.generated: UnimodalLabels | None = None  # only while training

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds the features F of the single modalities."""
        hidden = self.encoder(batch).hidden  # (B, N, H)
        encoded = {"linguistic": hidden[:, 0] if self.pooling == "cls" else masked_mean(hidden, batch.pieces().mask)}
        for m, d in self.modality_sizes.items():
            encoded[m] = self.sequence[m](vectors(batch, m, d))
        feature, prediction = self.heads[WHOLE](torch.cat([encoded[m] for m in self.order], dim=-1))
        extra, embeddings = {f"feature_{WHOLE}": feature}, {}
        for m in self.order:
            embeddings[m], extra[f"prediction_{m}"] = self.heads[m](encoded[m])
            extra[f"feature_{m}"] = embeddings[m]
        return Output(prediction, embeddings, extra)

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Mean absolute error of the whole; in training also of each modality, weighted by how far its label is off."""
        losses = task_loss("l1", output.prediction, batch.label)
        losses[f"l1_{WHOLE}"] = losses["loss"]
        if not self.training or self.generated is None:
            return losses
        for m in self.order:
            prediction = output.extra[f"prediction_{m}"]
            label = self.generated.labels[m][batch.index].to(prediction.dtype)
            weight = (label - batch.label.to(prediction.dtype)).abs().tanh()
            losses[f"l1_{m}"] = (weight * (prediction - label).abs()).mean()
            losses["loss"] = losses["loss"] + losses[f"l1_{m}"]
        return losses

    def start_training(self, labels: Tensor) -> None:
        """Give every modality the true score as its first label."""
        self.generated = self.new_labels(labels.to(next(self.parameters()).dtype))

    @torch.no_grad()
    def after_backward(self, output: Output, batch: Batch, epoch: int) -> None:
        """Move the labels of the batch's utterances and store their features."""
        if self.generated is not None:
            features = {k: output.extra[f"feature_{k}"] for k in (WHOLE, *self.order)}
            self.generated.update(batch.index, features, epoch)

    def training_state(self) -> dict[str, Tensor]:
        """Generated labels and the features they are generated from."""
        return {} if self.generated is None else self.generated.state()

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `training_state` returned."""
        if self.generated is not None:
            self.generated.load(state)

    def param_groups(self, lr: float, lr_backbone: float, weight_decay: float) -> list[dict[str, Any]]:
        """Groups of the backbone, the two sequence encoders and the heads, each with a rate and decay of its own."""
        parts: dict[str, Sequence[nn.Parameter]] = {"backbone": self.pretrained_parameters()}
        parts |= {m: list(module.parameters()) for m, module in self.sequence.items()}
        parts["new"] = list(self.heads.parameters())
        rates, groups = {**self.rates, "backbone": lr_backbone}, []
        for part, parameters in parts.items():
            rate, decay = rates.get(part), self.decays.get(part)
            rate, decay = lr if rate is None else rate, weight_decay if decay is None else decay
            for name, matrices in ((f"{part} (no decay)", False), (part, True)):
                held = [p for p in parameters if p.requires_grad and (p.ndim >= 2) == matrices]
                groups.append({"name": name, "params": held, "lr": rate, "weight_decay": decay if matrices else 0.0})
        return groups
