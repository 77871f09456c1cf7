"""Frozen states of a large encoder for each modality, pooled by attention and mixed by gates."""

from typing import Literal

import torch
from torch import Tensor, nn

from modashift.batch import Batch, Seq
from modashift.models.base import Model, Output
from modashift.models.layers import TaskLoss, vectors
from modashift.models.masks import Masks, hide

__all__ = ["AttentivePooling", "GatedEncoders", "ModalityEncoder"]

ORDER = ("linguistic", "visual", "acoustic")


class AttentivePooling(nn.Module):
    """Steps averaged by what each head of an attention over time makes of them.

        S = W₂ tanh(W₁ H + b₁),   a_k = softmax_t(S_k) over the real steps,   [Σ_t a_kt H_t for each head k]

    Args:
        size: E, width of a step.
        heads: K.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.inner = nn.Linear(size, size)
        self.scores = nn.Linear(size, heads, bias=False)

    def attention(self, states: Tensor, mask: Tensor) -> Tensor:
        """Weights (B, T, K) of steps (B, T, E): over the real ones they sum to 1, all others have 0."""
        scores: Tensor = self.scores(torch.tanh(self.inner(states)))
        # Where no step is real, a softmax over −∞ would be NaN; those weights are set to zero afterwards.
        scores = scores.masked_fill(~mask.unsqueeze(-1), torch.finfo(scores.dtype).min)
        return scores.softmax(1) * mask.unsqueeze(-1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool steps (B, T, E) with mask (B, T) → (B, K · E), the heads one after the other; zero without a step."""
        return torch.einsum("btk,bte->bke", self.attention(states, mask), states).flatten(1)


class ModalityEncoder(nn.Module):
    """From the states of one modality to its embedding h_m.

    Args:
        input_size: D, width of a layer's states.
        layers: L; several are summed with learned weights first.
        encoder_size: E.
        fused_size: M, width of the embedding.
        heads: of the pooling.
        dropout: on the projected steps.
    """

    def __init__(
        self, input_size: int, layers: int, encoder_size: int, fused_size: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.layers = layers
        self.layer_logits = nn.Parameter(torch.zeros(layers)) if layers > 1 else None
        self.project = nn.Sequential(
            nn.Linear(input_size, encoder_size), nn.LayerNorm(encoder_size), nn.ReLU(), nn.Dropout(dropout)
        )
        self.pool = AttentivePooling(encoder_size, heads)
        self.out = nn.Linear(heads * encoder_size, fused_size)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Encode steps of L layers (B, T, L, D) → (B, M); zero for an utterance without a real step."""
        embedding: Tensor = self.out(self.pool(self.project(self._weighed(values)), mask))
        return embedding * mask.any(1, keepdim=True)

    def _weighed(self, values: Tensor) -> Tensor:
        """Σ_l w_l x_l of (B, T, L, D) → (B, T, D)."""
        if self.layer_logits is None:
            return values.squeeze(2)
        # The plain product copies the states where it is to have a gradient: a tenth of the speed.
        steps = values.flatten(0, 1)  # (B · T, L, D)
        weights = self.layer_logits.softmax(0).to(steps.dtype).expand(len(steps), 1, -1)
        return torch.bmm(weights, steps).view(*values.shape[:2], -1)


class GatedEncoders(Model):
    """Gated encoders: frozen states of large encoders, pooled by attention, weighed by a gate for each modality.

    Ando et al., *On the Use of Modality-Specific Large-Scale Pre-Trained Encoders for Multimodal Sentiment Analysis*,
    SLT 2022. With X_m the states of one layer, or Σ_l softmax(c_m)_l X_ml of several (c_m learned, 0 at the start):

        H_m = dropout(ReLU(LayerNorm(W X_m + b))),   h_m = W' [Σ_t a_kt H_mt for each head k] + b'
        α_m = σ(w_m · [h_l ; h_v ; h_a] + b_m),   h = Σ_m α_m h_m,   ŷ = decoder(h)

    with a_k attention over the steps. A modality that is missing has h_m = 0; so has one that is not read at all, and
    a unimodal model is nothing else. Sequences need not be aligned; conventional features are states of one layer.

    Args:
        modality_sizes: width of each modality (filled in from the data).
        encoder_size: E, width of the projected steps.
        fused_size: M, width of a modality's embedding and of their sum.
        heads: K, of the attention over time.
        fusion: ``gates`` weighs the embeddings and adds them up, ``concat`` puts them side by side.
        dropout: on the projected steps and in the decoder.
        mask_features: in training, masks over the columns of each layer, filled with its mean; a count of 0 for none.
        mask_time: in training, masks over its steps.
        task_loss: mean absolute (l1) or mean squared (mse) error, or huber, for scores.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
        state_layers: L of each modality that is hidden states of an encoder (filled in from the data).
    """

    name = "gated-encoders"
    title = "Gated encoders"
    paper = "Ando et al. 2022"
    modalities = ("visual", "acoustic")
    text = "vectors"
    steps = "word"
    words_optional = True
    layered = True
    differs = (
        "Masks lie evenly anywhere they fit and are filled with the mean of the array before masking, over real steps.",
        "Of epochs with equal dev error the first is kept; in the published code the last.",
        "Batches are of utterances of like length.",
    )

    def __init__(
        self,
        modality_sizes: dict[str, int],
        encoder_size: int = 256,
        fused_size: int = 128,
        heads: int = 4,
        fusion: Literal["gates", "concat"] = "gates",
        dropout: float = 0.2,
        mask_features: Masks = Masks(10, 0.02),  # noqa: B008 (frozen)
        mask_time: Masks = Masks(2, 0.2, 0.4),  # noqa: B008 (frozen)
        task_loss: TaskLoss = "l1",
        classes: int = 0,
        state_layers: dict[str, int] | None = None,
    ) -> None:
        super().__init__(classes)
        self.sizes = {m: modality_sizes[m] for m in ORDER if m in modality_sizes}
        if not self.sizes:
            raise ValueError(f"gated-encoders reads {', '.join(ORDER)} features, and the data have none of them")
        depths = {m: (state_layers or {}).get(m, 1) for m in self.sizes}
        for m, size in self.sizes.items():
            if depths[m] < 1 or size % depths[m]:
                raise ValueError(f"{size} columns of {m} states are not {depths[m]} layers of one width")
        self.encoders = nn.ModuleDict(
            {
                m: ModalityEncoder(size // depths[m], depths[m], encoder_size, fused_size, heads, dropout)
                for m, size in self.sizes.items()
            }
        )
        # Of full width whatever is read: a model of one modality is the same network with the others zero.
        whole = len(ORDER) * fused_size
        self.gates = nn.Linear(whole, len(ORDER)) if fusion == "gates" else None
        self.decoder = nn.Sequential(
            nn.Linear(whole if self.gates is None else fused_size, fused_size),
            nn.LayerNorm(fused_size),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(fused_size, self.outputs),
        )
        self.mask_features, self.mask_time = mask_features, mask_time
        self.task_loss: TaskLoss = task_loss

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds h_m of what is read.

        With gates, ``extra["gates"]`` is (B, 3): α of words, face and voice, 0 for what an utterance lacks.
        """
        inputs = {m: vectors(batch, m, size) for m, size in self.sizes.items()}
        embeddings = {m: self._embed(m, seq) for m, seq in inputs.items()}
        zero = torch.zeros_like(next(iter(embeddings.values())))
        parts = [embeddings.get(m, zero) for m in ORDER]  # each (B, M)
        whole = torch.cat(parts, 1)
        if self.gates is None:
            return Output(self.decoder(whole).squeeze(-1), embeddings)
        nowhere = torch.zeros_like(batch.index, dtype=torch.bool)
        present = torch.stack([inputs[m].mask.any(1) if m in inputs else nowhere for m in ORDER], 1)
        gates = torch.sigmoid(self.gates(whole)) * present  # (B, 3)
        h = torch.einsum("bm,bmd->bd", gates, torch.stack(parts, 1))  # (B, M)
        return Output(self.decoder(h).squeeze(-1), embeddings, {"gates": gates})

    def _embed(self, modality: str, seq: Seq) -> Tensor:
        """h_m (B, M) of a modality."""
        encoder = self.encoders[modality]
        assert isinstance(encoder, ModalityEncoder)
        values = seq.values.reshape(*seq.values.shape[:2], encoder.layers, -1)  # (B, T, L, D)
        if self.training:
            values = hide(values, seq.mask, self.mask_features, self.mask_time)
        embedding: Tensor = encoder(values, seq.mask)
        return embedding

    @torch.no_grad()
    def layer_weights(self) -> dict[str, Tensor]:
        """Learned weight (L,) of each layer, rising, by modality; of those with several layers."""
        weights = {}
        for m, encoder in self.encoders.items():
            logits = encoder.layer_logits
            if isinstance(logits, Tensor):
                weights[m] = logits.softmax(0)
        return weights
