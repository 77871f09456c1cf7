"""TFN: words, face and voice are multiplied, not concatenated."""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from modashift.batch import Batch, masked_mean
from modashift.models.base import Model, Output
from modashift.models.layers import TaskLoss, compact, last_step, vectors

__all__ = ["TFN", "PresentBatchNorm", "tensor_fusion"]


def tensor_fusion(codes: Mapping[str, Tensor]) -> Tensor:
    """Outer product of all [1 ; z_m], flattened: (B, d_m) each → (B, Π (d_m + 1)).

    The ones keep what each modality, and each pair of them, says alone.
    """
    fused: Tensor | None = None
    for code in codes.values():
        factor = torch.cat([code.new_ones(len(code), 1), code], dim=1)  # (B, d_m + 1)
        fused = factor if fused is None else (fused.unsqueeze(2) * factor.unsqueeze(1)).flatten(1)
    assert fused is not None
    return fused


class PresentBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics leave out utterances that lack the modality.

    With all present it is `nn.BatchNorm1d`; it also takes a batch with fewer than two (a process's share of a small
    last batch), which then moves no running statistics.
    """

    def forward(self, values: Tensor, present: Tensor | None = None) -> Tensor:
        """Normalise (B, D); `present` is (B,)."""
        assert self.running_mean is not None
        assert self.running_var is not None
        mean, variance = self.running_mean, self.running_var
        if self.training:
            there = torch.ones_like(values[:, :1]) if present is None else present.to(values.dtype).unsqueeze(1)
            n = there.sum()
            mean = (values * there).sum(0) / n.clamp(min=1)
            variance = ((values - mean).square() * there).sum(0) / n.clamp(min=1)
            with torch.no_grad():
                share = (self.momentum or 0.1) * (n > 1)
                self.running_mean.lerp_(mean.detach().to(self.running_mean), share.to(self.running_mean))
                unbiased = variance.detach() * n / (n - 1).clamp(min=1)
                self.running_var.lerp_(unbiased.to(self.running_var), share.to(self.running_var))
        scaled: Tensor = (values - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias
        return scaled


class Averaged(nn.Module):
    """Sub-network of face or voice: batch normalisation, dropout and three layers over the mean of the features."""

    def __init__(self, size: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = PresentBatchNorm(size)
        self.dropout = nn.Dropout(dropout)
        widths = [size, hidden, hidden, hidden]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, mean: Tensor, present: Tensor) -> Tensor:
        """Encode (B, d_m) → (B, hidden)."""
        z: Tensor = self.dropout(self.norm(mean, present))
        for layer in self.layers:
            z = torch.relu(layer(z))
        return z


class TFN(Model):
    """TFN: the outer product of words, face and voice, so that each pair and triple of their features can weigh.

    Zadeh, Chen, Poria, Cambria and Morency, *Tensor Fusion Network for Multimodal Sentiment Analysis*, EMNLP 2017.
    z_l is the last state of an LSTM over the words, projected; z_v and z_a come from the features' means over time:

        z = [1 ; z_l] ⊗ [1 ; z_v] ⊗ [1 ; z_a],   ŷ = 2c · σ(net(z)) − c

    A modality an utterance lacks has z_m = 0, which leaves the products without it. Defaults: the authors' code.

    Args:
        modality_sizes: width of each modality's vectors (filled in from the data).
        lstm: width of the LSTM over the words.
        linguistic: width of z_l.
        visual: width of z_v and of the layers before it.
        acoustic: width of z_a and of the layers before it.
        fusion: width of the two layers after the product.
        linguistic_dropout: on the LSTM's last state.
        visual_dropout: on the normalised visual means.
        acoustic_dropout: on the normalised acoustic means.
        fusion_dropout: on the product.
        limit: c, the score no prediction reaches, 3 as in the ports to torch; the authors' own code has 4; null
            predicts without bound. Logits of classes have none.
        fixed_length: divide the features' sums by this number of steps, as code does that averages over padding too
            (MMSA: 50); null divides by the number of real steps.
        task_loss: ``l1`` (mean absolute error, as the published code trains) or ``mse``.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "tfn"
    title = "TFN"
    paper = "Zadeh et al. 2017"
    modalities = ("visual", "acoustic")
    text = "vectors"
    steps = "word"
    aligned = False
    differs = (
        "Word vectors are not trained, and all words of an utterance are read, not its last 20.",
        "Face and voice are averaged over real steps, not over padding.",
        "Scores are bounded by 3 as in the later ports to torch, not by 4 (`limit`).",
        "Utterances without a modality stay out of its batch statistics.",
    )

    def __init__(
        self,
        modality_sizes: dict[str, int],
        lstm: int = 128,
        linguistic: int = 64,
        visual: int = 32,
        acoustic: int = 32,
        fusion: int = 160,
        linguistic_dropout: float = 0.0,
        visual_dropout: float = 0.2,
        acoustic_dropout: float = 0.2,
        fusion_dropout: float = 0.2,
        limit: float | None = 3.0,
        fixed_length: int | None = None,
        task_loss: TaskLoss = "l1",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        if limit is not None and limit <= 0:
            raise ValueError(f"limit is the largest score and must be positive, got {limit}; null for none")
        self.sizes = {m: modality_sizes[m] for m in ("linguistic", *self.modalities) if m in modality_sizes}
        self.lstm = nn.LSTM(self.sizes["linguistic"], lstm, batch_first=True)
        self.linguistic = nn.Sequential(nn.Dropout(linguistic_dropout), nn.Linear(lstm, linguistic))
        options = {"visual": (visual, visual_dropout), "acoustic": (acoustic, acoustic_dropout)}
        options = {m: option for m, option in options.items() if m in self.sizes}
        self.averaged = nn.ModuleDict({m: Averaged(self.sizes[m], *option) for m, option in options.items()})
        width = linguistic + 1
        for hidden, _ in options.values():
            width *= hidden + 1
        self.fusion = nn.Sequential(
            nn.Dropout(fusion_dropout),
            nn.Linear(width, fusion),
            nn.ReLU(),
            nn.Linear(fusion, fusion),
            nn.ReLU(),
            nn.Linear(fusion, self.outputs),
        )
        self.limit = None if classes else limit
        self.fixed_length = fixed_length
        self.task_loss: TaskLoss = task_loss

    def codes(self, batch: Batch) -> dict[str, Tensor]:
        """z of each modality, (B, d_m), zero where an utterance lacks it."""
        words = compact(vectors(batch, "linguistic", self.sizes["linguistic"]))
        codes = {"linguistic": self.linguistic(last_step(self.lstm(words.values)[0], words.mask))}
        present = {"linguistic": words.mask.any(1)}
        for m, network in self.averaged.items():
            seq = vectors(batch, m, self.sizes[m])
            mean, present[m] = masked_mean(seq.values, seq.mask), seq.mask.any(1)
            if self.fixed_length is not None:
                mean = mean * seq.mask.sum(1, keepdim=True) / self.fixed_length
            codes[m] = network(mean, present[m])
        return {m: code * present[m].unsqueeze(1) for m, code in codes.items()}

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds z of each modality."""
        codes = self.codes(batch)
        score = self.fusion(tensor_fusion(codes)).squeeze(-1)
        if self.limit is not None:
            score = self.limit * (2 * score.sigmoid() - 1)
        return Output(score, codes)
