"""F-III: filters learned on the sound itself, words by convolutions and a recurrent network, fused by attention."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modashift.batch import Batch, Seq, masked_mean
from modashift.models.base import Model, Output
from modashift.models.layers import TaskLoss, compact, vectors
from modashift.models.mha import BidirectionalEncoder

__all__ = ["F3", "AttentionPool", "SincConvolution", "masked_pool"]

RATE = 16_000  # Hz
WAVE_STEP = 160  # samples of a step of the feature set ``waveform``
LOWEST, NARROWEST = 50.0, 50.0  # Hz: lowest edge at the start, least width of a band
POOL = 3
SLOPE = 0.2  # of the leaky rectifier, as in SincNet


def masked_pool(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Largest value of every three steps, over the real ones: (B, C, T), (B, T) → (B, C, ⌈T/3⌉), (B, ⌈T/3⌉)."""
    more = -values.shape[2] % POOL
    lowest = torch.finfo(values.dtype).min
    padded = F.pad(values.masked_fill(~mask.unsqueeze(1), lowest), (0, more), value=lowest)
    there = F.pad(mask, (0, more)).reshape(len(mask), -1, POOL).any(2)
    return F.max_pool1d(padded, POOL) * there.unsqueeze(1), there


class SincConvolution(nn.Module):
    """Band-pass filters of which only the edges are learned (Ravanelli and Bengio, SLT 2018).

    g[n] = (2 f₂ sinc(2 f₂ n) − 2 f₁ sinc(2 f₁ n)) w[n] / (2 (f₂ − f₁)), with sinc(x) = sin(πx)/(πx), frequencies in
    cycles a sample and w a Hamming window. Edges start equally spaced on the mel scale.

    Args:
        filters: how many.
        length: taps of a filter, odd.
    """

    def __init__(self, filters: int, length: int) -> None:
        super().__init__()
        if length % 2 == 0:
            raise ValueError(f"filters need a middle: their length must be odd, got {length}")
        mel = torch.linspace(_mel(LOWEST), _mel(RATE / 2 - LOWEST - NARROWEST), filters + 1)
        edges = 700 * (torch.exp(mel / 1127) - 1) / RATE
        # In cycles a sample, so that a step of the optimiser moves an edge by some hertz rather than by none.
        self.low = nn.Parameter(edges[:-1].clone())
        self.band = nn.Parameter(edges[1:] - edges[:-1])  # beyond the least width
        self.length = length

    def edges(self) -> tuple[Tensor, Tensor]:
        """Lower and upper edge of each filter in hertz, 0 ≤ f₁ < f₂ ≤ 8000 whatever was learned."""
        low = (RATE * self.low.abs()).clamp(max=RATE / 2 - NARROWEST)
        return low, (low + NARROWEST + RATE * self.band.abs()).clamp(max=RATE / 2)

    def filters(self) -> Tensor:
        """(filters, length), symmetric about the middle tap."""
        low, high = (edge.unsqueeze(1) / RATE for edge in self.edges())  # cycles a sample
        kind: dict[str, Any] = {"dtype": low.dtype, "device": low.device}
        taps = torch.arange(self.length, **kind) - self.length // 2
        window = torch.hamming_window(self.length, periodic=False, **kind)
        passed = 2 * high * torch.sinc(2 * high * taps) - 2 * low * torch.sinc(2 * low * taps)
        result: Tensor = passed * window / (2 * (high - low))
        return result

    def forward(self, wave: Tensor) -> Tensor:
        """(B, L) → (B, filters, L); beyond the ends there is silence."""
        kernels = self.filters().unsqueeze(1)
        return F.conv1d(wave.unsqueeze(1), kernels, padding=kernels.shape[-1] // 2)


class AttentionPool(nn.Module):
    """Σ_t softmax_t(vᵀ tanh(W K_t)) S_t over the real steps: keys K say how much of the values S counts."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.project, self.score = nn.Linear(size, size), nn.Linear(size, 1, bias=False)

    def forward(self, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), (B, T, D), (B, T) → (B, D); zero where no step is real."""
        scores = self.score(torch.tanh(self.project(keys))).squeeze(-1)
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(1) * mask
        return torch.einsum("bt,btd->bd", weights, values)


class _Convolutions(nn.Module):
    """Convolutions of widths 1, 3 and 5 side by side, ReLU; the length stays."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(size, channels, k, padding=k // 2) for k in (1, 3, 5))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), zero at padding → (B, T, 3 · channels), zero at padding."""
        steps = values.transpose(1, 2)
        found = torch.cat([torch.relu(c(steps)) for c in self.convolutions], dim=1).transpose(1, 2)
        return found * mask.unsqueeze(-1)


class _Sound(nn.Module):
    """Convolutions over the waveform, or over frames of features, to steps of one width."""

    def __init__(self, size: int, waveform: bool, channels: int, length: int, width: int) -> None:
        super().__init__()
        self.waveform = waveform
        self.first = SincConvolution(channels, length) if waveform else nn.Conv1d(size, channels, 5, padding=2)
        narrower = max(1, 3 * channels // 4)
        self.middle = nn.ModuleList(nn.Conv1d(n, narrower, 5, padding=2) for n in (channels, narrower))
        self.norms = nn.ModuleList(nn.LayerNorm(n) for n in (channels, narrower, narrower))
        self.last = nn.Conv1d(narrower, width, 5, stride=4 if waveform else 1, padding=2)

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (B, L), or frames (B, T, D), and their mask → steps (B, T', width) and theirs."""
        x = self.first(values).abs() if self.waveform else self.first(values.transpose(1, 2))
        x, mask = self._settled(x, mask, self.norms[0])
        for convolution, norm in zip(self.middle, self.norms[1:]):
            x, mask = self._settled(convolution(x), mask, norm)
        x = self.last(x)
        mask = mask[:, :: self.last.stride[0]]
        return x.transpose(1, 2) * mask.unsqueeze(-1), mask

    def _settled(self, x: Tensor, mask: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
        """Pooling (of the waveform), layer norm over channels, leaky ReLU, zeros at padding."""
        if self.waveform:
            x, mask = masked_pool(x, mask)
        x = F.leaky_relu(norm(x.transpose(1, 2)), SLOPE).transpose(1, 2)
        return x * mask.unsqueeze(1), mask


class _GatedFusion(nn.Module):
    """Two tokens, voice and words, that attend to each other; a gate for each column says how much of it is taken."""

    def __init__(self, sound: int, text: int, width: int) -> None:
        super().__init__()
        self.sound, self.text = nn.Linear(sound, width), nn.Linear(text, width)
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.gate = nn.Linear(width, width)

    def forward(self, sound: Tensor, text: Tensor) -> Tensor:
        """(B, sound), (B, text) → (B, 2 · width)."""
        tokens = torch.stack([self.sound(sound), self.text(text)], dim=1)  # (B, 2, width)
        scores = self.query(tokens) @ self.key(tokens).transpose(1, 2) / math.sqrt(tokens.shape[-1])
        attended = scores.softmax(-1) @ self.value(tokens)
        fused: Tensor = tokens + self.gate(tokens).sigmoid() * attended
        return fused.flatten(1)


class F3(Model):
    """F-III: sound through learned band-pass filters, words through two branches, joined by attention.

    Priyasad, Fernando, Denman, Sridharan and Fookes, *Attention Driven Fusion for Multi-Modal Emotion Recognition*,
    ICASSP 2020. Voice S_A from SincNet filters and convolutions; words C₁ from convolutions of widths 1, 3 and 5, C₂
    from the same over a bidirectional LSTM; with att(K, S) = Σ_t softmax_t(vᵀ tanh(W K_t)) S_t:

        words = [att(C₂, C₁) ; att(C₁, C₂)],   voice = att(S_A, S_A),
        logits = net(gated self-attention of the two tokens W_a voice and W_t words)

    A reconstruction: no code was published, and layer sizes, training and the definition of F-I and F-II are not known.

    Args:
        modality_sizes: width of each modality (filled in from the data).
        fusion: ``f3``; ``f1`` concatenates the means of voice and words; ``f2`` lets those means attend to each other.
        audio: ``waveform``: the steps of the data hold samples at 16 kHz; ``features``: they hold acoustic features,
            over which plain convolutions stand in for the filters; ``auto``: a waveform where steps are 160 wide, as in
            the feature set of that name.
        filters: band-pass filters.
        filter_length: taps of each.
        channels: of each convolution over words.
        hidden_size: of the LSTM, a direction.
        width: of the voice's steps, and of the tokens that are fused.
        seconds: a longer waveform is cut to a random part of this length in training; otherwise the mean of the logits
            over such parts is taken, as few as cover it.
        dropout: on word vectors and before the head's first layer.
        head_dropout: within the head.
        task_loss: mse (mean squared error), huber or l1, for scores.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "f3"
    title = "F-III"
    paper = "Priyasad et al. 2020"
    modalities = ("acoustic",)
    text = "vectors"
    steps = "word"
    differs = (
        "A reconstruction: of the paper only the outline of the networks is known; all sizes, the fusion of F-I and "
        "F-II, and the training are ours.",
        "Layer norm is over the channels of a step, so that neither length nor padding of an utterance enters it.",
        "With `audio: features` acoustic features take the place of the waveform; the paper has no such variant.",
    )

    def __init__(
        self,
        modality_sizes: dict[str, int],
        fusion: Literal["f1", "f2", "f3"] = "f3",
        audio: Literal["auto", "waveform", "features"] = "auto",
        filters: int = 80,
        filter_length: int = 251,
        channels: int = 128,
        hidden_size: int = 128,
        width: int = 128,
        seconds: float = 4.0,
        dropout: float = 0.3,
        head_dropout: float = 0.5,
        task_loss: TaskLoss = "mse",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        if "acoustic" not in modality_sizes:
            raise ValueError("f3 fuses voice and words, but the data have no acoustic features")
        self.sizes = {m: modality_sizes[m] for m in ("linguistic", "acoustic")}
        self.fusion = fusion
        self.waveform = audio == "waveform" or (audio == "auto" and self.sizes["acoustic"] == WAVE_STEP)
        self.longest = max(1, round(seconds * RATE))
        self.sound = _Sound(self.sizes["acoustic"], self.waveform, filters, filter_length, width)
        self.first = _Convolutions(self.sizes["linguistic"], channels)
        self.lstm = BidirectionalEncoder(self.sizes["linguistic"], hidden_size, "lstm")
        self.second = _Convolutions(2 * hidden_size, channels)
        if fusion == "f3":
            self.over_sound, self.over_first = AttentionPool(width), AttentionPool(3 * channels)
            self.over_second = AttentionPool(3 * channels)
        text = 6 * channels
        self.fuse = _GatedFusion(width, text, 2 * width) if fusion != "f1" else None
        fused = width + text if self.fuse is None else 4 * width
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(
            nn.Linear(fused, 2 * width), nn.ReLU(), nn.Dropout(head_dropout), nn.Linear(2 * width, self.outputs)
        )
        self.task_loss: TaskLoss = task_loss

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds what is fused of voice and words."""
        words = compact(vectors(batch, "linguistic", self.sizes["linguistic"]))
        text = self._text(words)  # (B, 6 · channels)
        voice = compact(vectors(batch, "acoustic", self.sizes["acoustic"]))
        parts = self._parts(voice) if self.waveform else [(voice.values, voice.mask, voice.mask.new_ones(len(batch)))]
        logits, sound = text.new_zeros(len(batch), self.outputs), None
        count = logits.new_zeros(len(batch), 1)
        for values, mask, counts in parts:
            steps, real = self.sound(values, mask)
            pooled = self.over_sound(steps, steps, real) if self.fusion == "f3" else masked_mean(steps, real)
            joined = torch.cat([pooled, text], dim=1) if self.fuse is None else self.fuse(pooled, text)
            weight = counts.unsqueeze(1).to(logits.dtype)
            logits, count = logits + weight * self.head(self.dropout(joined)), count + weight
            sound = pooled if sound is None else sound
        assert sound is not None
        return Output((logits / count).squeeze(-1), {"linguistic": text, "acoustic": sound})

    def _text(self, words: Seq) -> Tensor:
        """Both branches over word vectors (B, T, D), real steps in front → (B, 6 · channels)."""
        given = self.dropout(words.values)
        states, _ = self.lstm(Seq(given, words.mask))
        first = self.first(given, words.mask)
        second = self.second(states, words.mask)
        if self.fusion == "f3":  # each branch says where in the other to look
            pooled = [self.over_second(second, first, words.mask), self.over_first(first, second, words.mask)]
        else:
            pooled = [masked_mean(first, words.mask), masked_mean(second, words.mask)]
        return torch.cat(pooled, dim=1)

    def _parts(self, voice: Seq) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Samples (B, L), their mask, and for which utterances (B,) the part counts.

        In training one part at a random place; else parts that start at equal distances and cover the whole waveform.
        """
        wave = voice.values.flatten(1)  # (B, T · D)
        lengths = voice.mask.sum(1) * voice.values.shape[2]
        longest = min(self.longest, wave.shape[1])
        spare = (lengths - longest).clamp(min=0)
        if self.training:
            chance = torch.rand(len(wave)).to(spare.device)
            starts = [((spare + 1) * chance).long().clamp(max=spare)]
            counts = [torch.ones_like(spare, dtype=torch.bool)]
        else:
            needed = (-(-lengths // longest)).clamp(min=1)  # (B,) parts of each
            numbers = range(int(needed.max()))
            starts = [spare * n // (needed - 1).clamp(min=1) for n in numbers]
            counts = [needed > n for n in numbers]
        offsets = torch.arange(longest, device=wave.device)
        parts = []
        for start, counted in zip(starts, counts):
            at = (start.clamp(max=spare).unsqueeze(1) + offsets).clamp(max=wave.shape[1] - 1)
            mask = offsets < (lengths - start.clamp(max=spare)).unsqueeze(1)
            parts.append((wave.gather(1, at) * mask, mask, counted))
        return parts


def _mel(hertz: float) -> float:
    return 1127 * math.log1p(hertz / 700)
