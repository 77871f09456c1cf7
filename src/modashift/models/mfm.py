"""MFM: a factor for the label and one for each modality, which together must rebuild the modality."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modashift.batch import Batch
from modashift.models.base import Model, Output
from modashift.models.layers import TaskLoss, last_step
from modashift.models.mfn import Aligned, Memory, MemoryOptions, Sizes, align, mlp, unroll

__all__ = ["MFM", "Bandwidth", "FactorMemory", "Weights", "mmd"]

Bandwidth = Literal["dim_squared", "dim", "median"]


@dataclass(frozen=True)
class Weights:
    """A number for each modality.

    Attributes:
        linguistic: of the words.
        visual: of the face.
        acoustic: of the voice.
    """

    linguistic: float
    visual: float
    acoustic: float


@dataclass(frozen=True)
class FactorMemory(MemoryOptions):
    """Attention and gated memory of the multimodal encoder, an MFN; the defaults are the published code's.

    Attributes:
        size: M, width of the memory.
        attention: hidden width of the network that attends over the cells.
        attention_dropout: in it, as in the others between their two layers.
        candidate: hidden width of the network that proposes a new memory.
        candidate_dropout: in it.
        retain: hidden width of the network that says how much of the old memory stays.
        retain_dropout: in it.
        update: hidden width of the network that says how much of the proposal enters.
        update_dropout: in it.
    """

    size: int = 64
    attention: int = 128
    attention_dropout: float = 0.5
    candidate: int = 128
    candidate_dropout: float = 0.5
    retain: int = 128
    retain_dropout: float = 0.5
    update: int = 128
    update_dropout: float = 0.5


def mmd(codes: Tensor, prior: Tensor, bandwidth: Bandwidth = "dim_squared") -> Tensor:
    """Squared maximum mean discrepancy of two samples (n, d) under a Gaussian kernel, diagonals included.

    k(p, q) = exp(−‖p − q‖² / s), with s = d² (the published code, very flat for large d), d, or the median squared
    distance between different members of the two samples together.
    """
    n, size = codes.shape
    both = torch.cat([prior, codes])  # (2n, d)
    square = both.square().sum(1)
    distance = (square[:, None] + square[None, :] - 2 * both @ both.T).clamp(min=0)  # (2n, 2n)
    scale: float | Tensor = float(size)
    if bandwidth == "dim_squared":
        scale = float(size**2)
    elif bandwidth == "median":
        above = torch.ones_like(distance, dtype=torch.bool).triu(1)
        scale = distance.detach().masked_fill(~above, torch.nan).nanmedian().clamp(min=1e-6)
    kernel = (-distance / scale).exp()
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


class MFM(Model):
    """MFM: a factor that tells the label and one for each modality, which together must rebuild the modality.

    Tsai, Liang, Zadeh, Morency and Salakhutdinov, *Learning Factorized Multimodal Representations*, ICLR 2019. An MFN
    gives the code z_y, an LSTM a modality z_m; networks turn codes into factors f, and

        ŷ = net(f_y),   x̂_m = decoder_m([f_y ; f_m])
        L = |ŷ − y| + Σ_m λ_m ‖x̂_m − x_m‖² + λ Σ_k MMD(z_k, N(0, I))

    Defaults: the setting of the best accuracy on CMU-MOSI in the authors' code.

    Args:
        modality_sizes: width of each modality's vectors (filled in from the data).
        hidden: width of each LSTM of the multimodal encoder.
        memory: options of its attention and memory.
        code: width of z_m, and of the LSTM it comes from.
        shared_code: width of z_y.
        factor: width of f_m.
        shared_factor: width of f_y.
        factor_dropout: between the two layers from z_m to f_m.
        shared_dropout: between the two layers from z_y to f_y.
        head_dropout: between the two layers from f_y to the score.
        reconstruction_weight: λ_m of each modality.
        mmd_weight: λ; with bandwidth ``dim_squared`` the authors search 10 to 200 too.
        mmd_bandwidth: s of the kernel exp(−‖p − q‖² / s): ``dim_squared`` (d², the published code; its gradients are
            tiny for wide codes), ``dim`` (d), or ``median`` (of the squared distances in the batch).
        task_loss: ``l1`` (mean absolute error, as the authors train) or ``mse``.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "mfm"
    title = "MFM"
    paper = "Tsai et al. 2019"
    modalities = ("visual", "acoustic")
    text = "vectors"
    steps = "word"
    aligned = True
    differs = (
        "All words of an utterance are read, not its last 20, and codes are read at the last word.",
        "Only real steps are to be rebuilt, not padding; every real step of a batch weighs the same.",
        "The variant trained to predict missing modalities is left out.",
    )

    def __init__(
        self,
        modality_sizes: dict[str, int],
        hidden: Sizes = Sizes(linguistic=88, visual=48, acoustic=64),  # noqa: B008 (frozen)
        memory: FactorMemory = FactorMemory(),
        code: Sizes = Sizes(linguistic=32, visual=80, acoustic=8),  # noqa: B008 (frozen)
        shared_code: int = 32,
        factor: Sizes = Sizes(linguistic=88, visual=8, acoustic=8),  # noqa: B008 (frozen)
        shared_factor: int = 16,
        factor_dropout: Weights = Weights(linguistic=0.2, visual=0.7, acoustic=0.2),
        shared_dropout: float = 0.0,
        head_dropout: float = 0.0,
        reconstruction_weight: Weights = Weights(linguistic=1.0, visual=0.5, acoustic=0.01),
        mmd_weight: float = 1.0,
        mmd_bandwidth: Bandwidth = "dim_squared",
        task_loss: TaskLoss = "l1",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        self.sizes = {m: modality_sizes[m] for m in ("linguistic", *self.modalities) if m in modality_sizes}
        z = {m: int(getattr(code, m)) for m in self.sizes}
        f = {m: int(getattr(factor, m)) for m in self.sizes}
        self.memory = Memory(self.sizes, hidden, memory)
        self.shared_code = nn.Linear(self.memory.width, shared_code)
        self.shared_factor = mlp(shared_code, shared_factor, shared_factor, shared_dropout)
        self.head = mlp(shared_factor, shared_factor, self.outputs, head_dropout)
        self.encoder_lstm = nn.ModuleDict({m: nn.LSTM(d, z[m], batch_first=True) for m, d in self.sizes.items()})
        self.code = nn.ModuleDict({m: nn.Linear(z[m], z[m]) for m in self.sizes})
        self.factor = nn.ModuleDict({m: mlp(z[m], f[m], f[m], getattr(factor_dropout, m)) for m in self.sizes})
        self.widths = {m: shared_factor + f[m] for m in self.sizes}  # of the decoders
        self.decoder_lstm = nn.ModuleDict({m: nn.LSTMCell(w, w) for m, w in self.widths.items()})
        self.decoder = nn.ModuleDict({m: nn.Linear(w, self.sizes[m]) for m, w in self.widths.items()})
        self.reconstruction_weight = {m: float(getattr(reconstruction_weight, m)) for m in self.sizes}
        self.mmd_weight = mmd_weight
        self.mmd_bandwidth: Bandwidth = mmd_bandwidth
        self.task_loss: TaskLoss = task_loss

    def codes(self, steps: Aligned) -> tuple[dict[str, Tensor], Tensor]:
        """z_m of each modality and z_y, (B, size) each."""
        own = {
            m: self.code[m](last_step(lstm(steps.values[m])[0], steps.real)) for m, lstm in self.encoder_lstm.items()
        }
        last, memory = self.memory(steps)
        return own, self.shared_code(torch.cat([*last.values(), memory], dim=-1))

    def rebuild(self, factors: Mapping[str, Tensor], length: int) -> dict[str, Tensor]:
        """Decode [f_y ; f_m] of each modality, (B, width) → (B, length, d_m).

        The factors are a decoder's first input and its own last state every later one, so that from the second step
        on input and recurrent weights act on the same vector and are added up beforehand.
        """
        drives, weights = [], []
        for m, lstm in self.decoder_lstm.items():
            cell = cast(nn.LSTMCell, lstm)
            bias = cell.bias_ih + cell.bias_hh
            first = F.linear(factors[m], cell.weight_ih, bias).unsqueeze(1)  # (B, 1, 4 width)
            drives.append(torch.cat([first, bias.to(first).expand(len(first), length - 1, -1)], dim=1))
            weights.append(cell.weight_ih + cell.weight_hh)
        states, _ = unroll(drives, weights)
        parts = torch.split(states, list(self.widths.values()), dim=-1)
        return {m: self.decoder[m](part) for m, part in zip(self.widths, parts)}

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds z_m of each modality, ``extra`` z_y and the errors of rebuilding."""
        steps = align(batch, self.sizes)
        codes, shared_code = self.codes(steps)
        shared = torch.relu(self.shared_factor(shared_code))  # f_y
        factors = {m: torch.cat([shared, torch.relu(self.factor[m](z))], dim=-1) for m, z in codes.items()}
        extra = {"shared_code": shared_code}
        for m, rebuilt in self.rebuild(factors, steps.real.shape[1]).items():
            error = (rebuilt - steps.values[m]).square().mean(-1)  # (B, T)
            extra[f"error_{m}"] = (error * steps.masks[m]).sum(1)
            extra[f"steps_{m}"] = steps.masks[m].sum(1).to(error.dtype)
        return Output(self.head(shared).squeeze(-1), codes, extra)

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Task, rebuilding each modality (mean over steps and features) and MMD of all codes, its prior drawn anew."""
        terms = self.task_terms(output, batch)
        total = terms["task"] = terms["loss"]
        for m, weight in self.reconstruction_weight.items():
            steps = output.extra[f"steps_{m}"].sum().clamp(min=1)
            terms[f"reconstruction_{m}"] = output.extra[f"error_{m}"].sum() / steps
            total = total + weight * terms[f"reconstruction_{m}"]
        codes = [*output.embeddings.values(), output.extra["shared_code"]]
        terms["mmd"] = torch.stack([mmd(z, torch.randn_like(z), self.mmd_bandwidth) for z in codes]).sum()
        return {**terms, "loss": total + self.mmd_weight * terms["mmd"]}
