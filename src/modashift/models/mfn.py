"""MFN: an LSTM a modality, attention over what their memories changed, and a gated memory across modalities.

`Memory`, everything below the head, is also the multimodal encoder of `modashift.models.mfm`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modashift.batch import Batch
from modashift.models.base import Model, Output
from modashift.models.layers import TaskLoss, last_step, vectors

__all__ = ["MFN", "Aligned", "Memory", "MemoryOptions", "Sizes", "align", "mlp", "unroll"]


@dataclass(frozen=True)
class Sizes:
    """A width for each modality.

    Attributes:
        linguistic: of the words' part.
        visual: of the face's part.
        acoustic: of the voice's part.
    """

    linguistic: int
    visual: int
    acoustic: int


@dataclass(frozen=True)
class MemoryOptions:
    """Widths and dropout of the attention and of the gated memory; the defaults are the published code's best MAE.

    Attributes:
        size: M, width of the memory u.
        attention: hidden width of the network that attends over the cells.
        attention_dropout: in it, as in the others between their two layers.
        candidate: hidden width of the network that proposes a new memory û.
        candidate_dropout: in it.
        retain: hidden width of the network of γ₁, how much of the old memory stays.
        retain_dropout: in it.
        update: hidden width of the network of γ₂, how much of the proposal enters.
        update_dropout: in it.
    """

    size: int = 128
    attention: int = 128
    attention_dropout: float = 0.0
    candidate: int = 64
    candidate_dropout: float = 0.2
    retain: int = 256
    retain_dropout: float = 0.0
    update: int = 64
    update_dropout: float = 0.2


@dataclass(frozen=True)
class Aligned:
    """Sequences of several modalities at the same steps, the real steps first.

    Attributes:
        values: by modality (B, T, d_m), zero where the modality has no step.
        masks: by modality (B, T), True where it has one.
        real: (B, T) True where any modality has one.
    """

    values: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    real: Tensor


def align(batch: Batch, sizes: Mapping[str, int]) -> Aligned:
    """Bring word-aligned sequences to one length and their real steps to the front, all in the same order.

    Step t of each modality is word t, so a sequence that is shorter than the others lacks its last words.
    """
    found = {m: vectors(batch, m, size) for m, size in sizes.items()}
    length = max(seq.mask.shape[1] for seq in found.values())
    masks = {m: F.pad(seq.mask, (0, length - seq.mask.shape[1])) for m, seq in found.items()}
    values = {m: F.pad(seq.values, (0, 0, 0, length - seq.values.shape[1])) for m, seq in found.items()}
    real = torch.stack(list(masks.values())).any(0)  # (B, T)
    order = (~real).to(torch.int8).argsort(dim=1, stable=True)  # real steps first
    values = {m: v.masked_fill(~masks[m].unsqueeze(-1), 0) for m, v in values.items()}
    values = {m: v.take_along_dim(order.unsqueeze(-1), dim=1) for m, v in values.items()}
    return Aligned(values, {m: mask.gather(1, order) for m, mask in masks.items()}, real.gather(1, order))


def mlp(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """Two layers with ReLU and dropout between."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))


def unroll(drives: Sequence[Tensor], weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Run several LSTMs from zero states, keeping all cells, of which `nn.LSTM` returns the last only.

    They run side by side as one of width H = Σ h_m with block-diagonal weights: a step costs one product for all.

    Args:
        drives: of each, (B, T, 4 h_m), what inputs and biases say to the gates in torch's order (in, forget, new, out).
        weights: of each, (4 h_m, h_m), from the last hidden state.

    Returns:
        Hidden states and cells of all steps, (B, T, H) each.
    """
    drive = torch.cat([d.view(*d.shape[:2], 4, -1) for d in drives], dim=-1)  # (B, T, 4, H)
    gates = zip(*(w.chunk(4) for w in weights))
    weight = torch.cat([torch.block_diag(*parts) for parts in gates])  # type: ignore[no-untyped-call]
    hidden = cell = drive.new_zeros(drive.shape[0], drive.shape[3])
    hiddens, cells = [], []
    for at in drive.unbind(1):
        enter, forget, new, out = (at + F.linear(hidden, weight).view_as(at)).unbind(1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = out.sigmoid() * cell.tanh()
        hiddens.append(hidden)
        cells.append(cell)
    return torch.stack(hiddens, 1), torch.stack(cells, 1)


class Memory(nn.Module):
    """System of LSTMs, delta-memory attention and multi-view gated memory.

    Nothing but the memory's own recursion needs the memory, so the attention, the proposals and the gates' part that
    comes from the cells are computed for all steps at once.

    Args:
        sizes: width of each modality's vectors.
        hidden: width of each modality's LSTM.
        options: of the attention and the memory.
    """

    def __init__(self, sizes: Mapping[str, int], hidden: Sizes, options: MemoryOptions) -> None:
        super().__init__()
        self.widths = {m: int(getattr(hidden, m)) for m in sizes}
        self.lstm = nn.ModuleDict({m: nn.LSTMCell(size, self.widths[m]) for m, size in sizes.items()})
        both, o = 2 * sum(self.widths.values()), options  # cells before and after a step
        self.attention = mlp(both, o.attention, both, o.attention_dropout)
        self.candidate = mlp(both, o.candidate, o.size, o.candidate_dropout)
        self.retain = mlp(both + o.size, o.retain, o.size, o.retain_dropout)
        self.update = mlp(both + o.size, o.update, o.size, o.update_dropout)
        self.width = sum(self.widths.values()) + o.size

    def system(self, steps: Aligned) -> tuple[Tensor, Tensor]:
        """Hidden states and cells of all LSTMs side by side, (B, T, H) each."""
        lstms = {m: cast(nn.LSTMCell, lstm) for m, lstm in self.lstm.items()}
        drives = [F.linear(steps.values[m], c.weight_ih, c.bias_ih + c.bias_hh) for m, c in lstms.items()]
        return unroll(drives, [c.weight_hh for c in lstms.values()])

    def attend(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Attention (B, T, 2H) over the cells before and after each step, and those cells; `cells` is (B, T, H)."""
        before = F.pad(cells, (0, 0, 1, 0))[:, :-1]
        pair = torch.cat([before, cells], dim=-1)  # (B, T, 2H)
        return self.attention(pair).softmax(-1), pair

    def remember(self, attended: Tensor, real: Tensor) -> Tensor:
        """Memory (B, M) after the last real step, from the attended cells (B, T, 2H)."""
        proposals = self.candidate(attended).tanh()  # (B, T, M)
        nets = [self.retain, self.update]
        first = [cast(nn.Linear, net[0]) for net in nets]
        weight = torch.cat([f.weight for f in first])
        from_cells, from_memory = torch.split(weight, [attended.shape[-1], proposals.shape[-1]], dim=1)
        drive = F.linear(attended, from_cells, torch.cat([f.bias for f in first]))
        rests, widths = [net[1:] for net in nets], [f.out_features for f in first]
        memory: Tensor = proposals.new_zeros(proposals.shape[0], proposals.shape[2])
        for at, proposal, here in zip(drive.unbind(1), proposals.unbind(1), real.unbind(1)):
            inner = torch.split(at + F.linear(memory, from_memory), widths, dim=-1)
            retain, update = (rest(x).sigmoid() for rest, x in zip(rests, inner))  # γ₁, γ₂
            memory = torch.where(here.unsqueeze(-1), retain * memory + update * proposal, memory)
        return memory

    def forward(self, steps: Aligned) -> tuple[dict[str, Tensor], Tensor]:
        """Last hidden state of each modality (B, h_m), and the memory (B, M)."""
        hidden, cells = self.system(steps)
        weights, pair = self.attend(cells)
        memory = self.remember(weights * pair, steps.real)
        last = torch.split(last_step(hidden, steps.real), list(self.widths.values()), dim=-1)
        return dict(zip(self.widths, last)), memory


class MFN(Model):
    """MFN: one LSTM a modality, attention over the changes of their cells, and a gated memory across modalities.

    Zadeh, Liang, Mazumder, Poria, Cambria and Morency, *Memory Fusion Network for Multi-view Sequential Learning*,
    AAAI 2018. With c the cells of all LSTMs side by side, at every word t

        C = [c^(t−1) ; c^t],  Ĉ = softmax(net_a(C)) ⊙ C,  û = tanh(net_u(Ĉ))
        u^t = σ(net_1([Ĉ ; u^(t−1)])) ⊙ u^(t−1) + σ(net_2([Ĉ ; u^(t−1)])) ⊙ û

    and ŷ = net([h^T ; u^T]). Defaults: the setting of the lowest MAE on CMU-MOSI in the authors' code.

    Args:
        modality_sizes: width of each modality's vectors (filled in from the data).
        hidden: width of each modality's LSTM.
        memory: options of the attention and the memory.
        head: hidden width of the head.
        head_dropout: dropout in it.
        task_loss: ``l1`` (mean absolute error, as the authors train) or ``mse``.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "mfn"
    title = "MFN"
    paper = "Zadeh et al. 2018"
    modalities = ("visual", "acoustic")
    text = "vectors"
    steps = "word"
    aligned = True
    differs = (
        "All words of an utterance are read, not its last 20, and the result is read at the last word, not at the end "
        "of a padded sequence.",
        "The incomplete last batch of an epoch is trained on, and the order of utterances is drawn anew each epoch.",
    )

    def __init__(
        self,
        modality_sizes: dict[str, int],
        hidden: Sizes = Sizes(linguistic=88, visual=16, acoustic=48),
        memory: MemoryOptions = MemoryOptions(),
        head: int = 64,
        head_dropout: float = 0.5,
        task_loss: TaskLoss = "l1",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        self.sizes = {m: modality_sizes[m] for m in ("linguistic", *self.modalities) if m in modality_sizes}
        self.memory = Memory(self.sizes, hidden, memory)
        self.head = mlp(self.memory.width, head, self.outputs, head_dropout)
        self.task_loss: TaskLoss = task_loss

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds the last hidden state of each modality."""
        last, memory = self.memory(align(batch, self.sizes))
        joint = torch.cat([*last.values(), memory], dim=-1)  # (B, H + M)
        return Output(self.head(joint).squeeze(-1), last)
