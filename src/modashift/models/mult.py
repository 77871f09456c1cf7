"""MulT: each modality attends to each other one over time, whatever their rates, without alignment."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint as recompute

from modashift.batch import Batch, Seq
from modashift.models.attention import Sight, attend
from modashift.models.base import Model, Output
from modashift.models.layers import TaskLoss, compact, vectors

__all__ = ["CrossmodalEncoder", "MulT"]


class _Layer(nn.Module):
    """Pre-norm layer; queries from x, keys and values from the source, all through one norm and one projection."""

    def __init__(self, width: int, heads: int, attention: float, relu: float, residual: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.into, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for linear in (self.into, self.out, self.widen, self.narrow):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        self.attention_dropout, self.relu_dropout = nn.Dropout(attention), nn.Dropout(relu)
        self.residual_dropout = nn.Dropout(residual)

    def forward(self, x: Tensor, source: Tensor, sight: Sight) -> Tensor:
        width = x.shape[-1]
        weight, bias = self.into.weight, self.into.bias
        query = F.linear(self.norm(x), weight[:width], bias[:width])
        key, value = F.linear(self.norm(source), weight[width:], bias[width:]).chunk(2, -1)
        shape = (*x.shape[:1], -1, self.heads, width // self.heads)
        q, k, v = (t.reshape(shape).transpose(1, 2) for t in (query, key, value))  # each (B, heads, T, d)
        attended = attend(q, k, v, sight, self.attention_dropout.p if self.training else 0.0)
        x = x + self.residual_dropout(self.out(attended.transpose(1, 2).flatten(-2)))
        inner = self.relu_dropout(torch.relu(self.widen(self.feed_norm(x))))
        x = x + self.residual_dropout(self.narrow(inner))
        return x


class CrossmodalEncoder(nn.Module):
    """Layers in which a target attends to a source that stays as embedded; without a source, to itself.

    Args:
        width: of target and source.
        layers: how many.
        heads: attention heads.
        future_mask: see `Sight`.
        dropouts: of embeddings, attention, ReLU and residuals.
        checkpoint: whether to keep only the layers' inputs for the backward pass.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        future_mask: bool,
        dropouts: tuple[float, float, float, float],
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads cannot share a width of {width} evenly")
        self.layers = nn.ModuleList(_Layer(width, heads, *dropouts[1:]) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropouts[0])
        self.future_mask, self.checkpoint = future_mask, checkpoint

    def embed(self, seq: Seq) -> Tensor:
        """√width · x + p, with p the sinusoids of the real steps' numbers 1, 2, …; zero at padding."""
        width, device = seq.values.shape[-1], seq.mask.device
        dtype = torch.promote_types(seq.values.dtype, torch.float32)  # half precision cannot tell 500 steps apart
        numbers = torch.arange(1, seq.mask.shape[1] + 1, dtype=dtype, device=device)[:, None]  # (T, 1)
        powers = torch.arange(width // 2, dtype=dtype, device=device) / max(width // 2 - 1, 1)
        angles = numbers * torch.exp(-math.log(10000) * powers)  # (T, width / 2)
        positions = F.pad(torch.cat([angles.sin(), angles.cos()], -1), (0, width % 2))  # (T, width)
        embedded: Tensor = self.dropout((math.sqrt(width) * seq.values + positions) * seq.mask.unsqueeze(-1))
        return embedded

    def forward(self, target: Seq, source: Seq | None = None, last: bool = False) -> Tensor:
        """Encode a target (B, T, width) with real steps in front → (B, T, width); with `last`, only its last step."""
        x, steps = self.embed(target), target.mask.sum(1)
        kept = None if source is None else self.embed(source)  # the keys and values of every layer start from this
        keys = steps if source is None else source.mask.sum(1)
        sight = Sight(steps, keys, (x.shape[1], (x if kept is None else kept).shape[1]), self.future_mask)
        for number, layer in enumerate(self.layers, 1):
            before = x if kept is None else kept
            if last and number == len(self.layers):  # nobody reads the other steps of the last layer
                x = x.gather(1, (steps - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[-1]))
                # the last real query sees every real key under the mask too
                sight = Sight(steps.clamp(max=1), keys, (1, before.shape[1]), future_mask=False)
            if self.checkpoint and self.training:
                x = recompute(layer, x, before, sight, use_reentrant=False)
            else:
                x = layer(x, before, sight)
        encoded: Tensor = self.norm(x)
        return encoded


class MulT(Model):
    """MulT: every modality attends over time to every other one, so that nothing need be aligned.

    Tsai et al., *Multimodal Transformer for Unaligned Multimodal Language Sequences*, ACL 2019. With X_m the modalities
    after a convolution over time, encoders m←s of crossmodal layers, and a Transformer ("memory") over each target:

        x ← x + softmax(LN(x) W_Q (LN(X_s) W_K)ᵀ / √d) LN(X_s) W_V,   x ← x + FFN(LN(x)),   starting from x = X_m
        h = [last step of memory_m([m←s for all s ≠ m]) for all m],   ŷ = wᵀ (h + W₂ ReLU(W₁ h)) + b

    Args:
        modality_sizes: width of each modality (filled in from the data).
        hidden_size: width of each modality after its convolution; one that has it already is taken as it is.
        heads: attention heads.
        layers: of each crossmodal encoder; the memories have at least 3.
        linguistic_kernel: width in steps of the words' convolution.
        visual_kernel: of the face's.
        acoustic_kernel: of the voice's.
        future_mask: hide the future: of T_q queries and T_k keys, query i sees the keys up to i + |T_q − T_k|.
        text_dropout: on the word vectors.
        embed_dropout: on the embeddings an encoder starts from.
        linguistic_attention_dropout: on attention to words, and in the memories.
        visual_attention_dropout: on attention to the face.
        acoustic_attention_dropout: on attention to the voice.
        relu_dropout: within the feed-forward parts.
        residual_dropout: before each sum with a residual.
        output_dropout: within the head.
        checkpoint: keep only the layers' inputs and compute the rest again for the backward pass: slower, in less
            memory.
        task_loss: mean absolute (l1) or mean squared (mse) error.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "mult"
    title = "MulT"
    paper = "Tsai et al. 2019"
    modalities = ("visual", "acoustic")
    text = "vectors"
    steps = "word"
    aligned = False
    differs = (
        "Padding is masked everywhere; the published code has only zero positions where a first channel is exactly 0.",
        "The offset of the future mask comes from each utterance's own lengths, not from the padded ones.",
        "The state that is read is that of the last real step, not of the last padded one.",
        "Keys and values share one dropout mask on the source's embedding; the published code draws one for each.",
        "The last layer of a memory is computed for the last step only, which alone is read (the same result).",
        "On the CPU the probability of attention dropout is rounded to 1/256.",
        "An utterance shorter than its convolution's kernel is padded with zeros to the kernel's width.",
    )

    def __init__(
        self,
        modality_sizes: dict[str, int],
        hidden_size: int = 40,
        heads: int = 10,
        layers: int = 4,
        linguistic_kernel: int = 1,
        visual_kernel: int = 3,
        acoustic_kernel: int = 3,
        future_mask: bool = True,
        text_dropout: float = 0.2,
        embed_dropout: float = 0.2,
        linguistic_attention_dropout: float = 0.2,
        visual_attention_dropout: float = 0.2,
        acoustic_attention_dropout: float = 0.2,
        relu_dropout: float = 0.1,
        residual_dropout: float = 0.1,
        output_dropout: float = 0.1,
        checkpoint: bool = False,
        task_loss: TaskLoss = "l1",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        self.sizes = {m: modality_sizes[m] for m in ("linguistic", *self.modalities) if m in modality_sizes}
        if len(self.sizes) < 2:
            raise ValueError(
                "mult attends from modality to modality, but the data have neither visual nor acoustic features; "
                "train `bert` on words alone, or give data with features"
            )
        kernels = {"linguistic": linguistic_kernel, "visual": visual_kernel, "acoustic": acoustic_kernel}
        attention = {
            "linguistic": linguistic_attention_dropout,
            "visual": visual_attention_dropout,
            "acoustic": acoustic_attention_dropout,
        }

        def encoder(width: int, depth: int, source: str) -> CrossmodalEncoder:
            dropouts = (embed_dropout, attention[source], relu_dropout, residual_dropout)
            return CrossmodalEncoder(width, depth, heads, future_mask, dropouts, checkpoint)

        self.convolution = nn.ModuleDict(
            {m: nn.Conv1d(d, hidden_size, kernels[m], bias=False) for m, d in self.sizes.items() if d != hidden_size}
        )
        self.sources = {m: [s for s in self.sizes if s != m] for m in self.sizes}
        self.crossmodal = nn.ModuleDict(
            {f"{m}_from_{s}": encoder(hidden_size, layers, s) for m in self.sizes for s in self.sources[m]}
        )
        width = (len(self.sizes) - 1) * hidden_size  # of a memory
        self.memory = nn.ModuleDict({m: encoder(width, max(layers, 3), "linguistic") for m in self.sizes})
        whole = len(self.sizes) * width
        self.text_dropout, self.output_dropout = nn.Dropout(text_dropout), nn.Dropout(output_dropout)
        self.first, self.second = nn.Linear(whole, whole), nn.Linear(whole, whole)
        self.head = nn.Linear(whole, self.outputs)
        self.task_loss = task_loss

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds the state each modality's memory ends in."""
        inputs = {m: self._convolved(m, vectors(batch, m, size)) for m, size in self.sizes.items()}
        embeddings = {}
        for m, target in inputs.items():
            crossed = [self.crossmodal[f"{m}_from_{s}"](target, inputs[s]) for s in self.sources[m]]
            end = self.memory[m](Seq(torch.cat(crossed, -1), target.mask), last=True)  # (B, 1, width)
            embeddings[m] = end.squeeze(1) * target.mask.any(1, keepdim=True)
        h = torch.cat(list(embeddings.values()), -1)
        h = h + self.second(self.output_dropout(torch.relu(self.first(h))))
        return Output(self.head(h).squeeze(-1), embeddings)

    def _convolved(self, modality: str, seq: Seq) -> Seq:
        """Real steps in front, convolved; a result is real where its whole window is."""
        seq = compact(seq)
        values, lengths = seq.values, seq.mask.sum(1)
        if modality == "linguistic":
            values = self.text_dropout(values)
        if modality not in self.convolution:
            return Seq(values, seq.mask)
        convolution = self.convolution[modality]
        assert isinstance(convolution, nn.Conv1d)
        (kernel,) = convolution.kernel_size
        values = F.pad(values, (0, 0, 0, max(kernel - values.shape[1], 0)))
        values = convolution(values.transpose(1, 2)).transpose(1, 2)  # (B, T − kernel + 1, hidden)
        lengths = (lengths - kernel + 1).clamp(min=1) * (lengths > 0)
        mask = torch.arange(values.shape[1], device=lengths.device) < lengths[:, None]
        return Seq(values * mask.unsqueeze(-1), mask)
