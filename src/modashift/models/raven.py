"""RAVEN: each word's vector is shifted by the face and voice while it is spoken."""

from typing import Literal

import torch
from torch import Tensor, nn

from modashift.batch import Batch, Seq, masked_mean
from modashift.models.base import Model, Output
from modashift.models.layers import TaskLoss, compact, last_step, vectors

__all__ = ["RAVEN", "NonverbalEncoder", "WordShift"]


class NonverbalEncoder(nn.Module):
    """LSTM over the frames within a word; its state at the last real one, zero for a word without.

    Args:
        input_size: width of a frame.
        hidden_size: width of the state.
        dropout: on the frames.
        subword_frames: whether a word has several frames. With one only, the LSTM never sees a state of its own, so its
            recurrent weights could not learn and are frozen.
    """

    def __init__(self, input_size: int, hidden_size: int, dropout: float, subword_frames: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(input_size, hidden_size)
        self.lstm = nn.LSTM(hidden_size, hidden_size, batch_first=True)
        self.lstm.weight_hh_l0.requires_grad_(subword_frames)

    def forward(self, frames: Seq) -> Tensor:
        """Encode words × frames (N, T, D) → (N, hidden_size)."""
        frames = compact(frames)
        states, _ = self.lstm(self.project(self.dropout(frames.values)))  # padding comes last: a forward LSTM is blind
        return last_step(states, frames.mask)


class WordShift(nn.Module):
    """Gated mixing of non-verbal states into a shift of each word.

    Args:
        word_size: width of a word vector.
        nonverbal_sizes: width of each modality's state.
        gate_activation: of the scalar gates.
        shift_limit: β.
        shift_norm: see `RAVEN`.
    """

    def __init__(
        self,
        word_size: int,
        nonverbal_sizes: dict[str, int],
        gate_activation: Literal["sigmoid", "none"],
        shift_limit: float,
        shift_norm: Literal["capped", "relative"],
    ) -> None:
        super().__init__()
        self.gate = nn.ModuleDict({m: nn.Linear(d + word_size, 1) for m, d in nonverbal_sizes.items()})
        self.mix = nn.Linear(sum(nonverbal_sizes.values()), word_size)
        self.gate_activation, self.shift_limit, self.shift_norm = gate_activation, shift_limit, shift_norm

    def forward(self, words: Tensor, states: dict[str, Tensor]) -> Tensor:
        """Shift (…, word_size) of words, from states (…, d) of each modality."""
        gated: list[Tensor] = []
        for m, state in states.items():
            gate = self.gate[m](torch.cat([state, words], -1))  # (…, 1)
            gated.append((torch.sigmoid(gate) if self.gate_activation == "sigmoid" else gate) * state)
        mixed: Tensor = self.mix(torch.cat(gated, -1))
        longest: Tensor = self.shift_limit * torch.linalg.vector_norm(words, dim=-1, keepdim=True)
        length: Tensor = torch.linalg.vector_norm(mixed, dim=-1, keepdim=True)
        if self.shift_norm == "relative":
            return longest * mixed / length.clamp(min=1)
        return (longest / (length + 1e-6)).clamp(max=1) * mixed


class RAVEN(Model):
    """RAVEN: a word's vector is shifted by the face and voice while it is spoken.

    Wang et al., *Words Can Shift: Dynamically Adjusting Word Representations Using Nonverbal Behaviors*, AAAI 2019.
    With e the vector of a word and h_m the last state of an LSTM over the frames of modality m within it:

        g_m = sigmoid(w_m [h_m ; e] + b_m)                   a scalar
        h   = g_v W_v h_v + g_a W_a h_a + b
        e'  = e + min(β ‖e‖ / ‖h‖, 1) h
        ŷ   = wᵀ LSTM(e'_1, …, e'_L) + c

    Args:
        modality_sizes: width of each modality (filled in from the data).
        hidden_size: of the LSTM over words.
        nonverbal_size: of the LSTMs over the frames of a word.
        shift_limit: β, the largest length of a shift as a share of the word's; 0 leaves the words as they are.
        shift_norm: ``capped``: a shift longer than β ‖e‖ is cut to it (the paper); ``relative``: the shift is
            β ‖e‖ h / max(‖h‖, 1), in proportion to the word's length throughout (the published code).
        gate_activation: sigmoid (the paper), or none (the published code).
        subword_frames: whether the data hold several frames a word; with one vector a word the recurrent weights of
            the LSTMs over frames never act, and are frozen.
        detach_shift: freeze everything the shift is made of at its random start, as happens in the published code;
            only for studying that.
        input_dropout: on the frames.
        dropout: on the shifted words.
        task_loss: mean absolute (l1) or mean squared (mse) error.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "raven"
    title = "RAVEN"
    paper = "Wang et al. 2019"
    modalities = ("visual", "acoustic")
    text = "vectors"
    steps = "word"
    aligned = True
    differs = (
        "Gates are sigmoids and the shift is capped, as in the paper; not as in the published code (both are options).",
        "The gradient reaches the non-verbal networks; the published code cuts it off, so they stay at random.",
        "With one vector a word the LSTM over the frames of a word makes a single step from zero.",
        "Acoustic frames are not normalised by batch statistics at each word position, which padding would enter.",
        "Longer and empty utterances are kept; the published code leaves them out.",
    )

    def __init__(
        self,
        modality_sizes: dict[str, int],
        hidden_size: int = 300,
        nonverbal_size: int = 150,
        shift_limit: float = 0.2,
        shift_norm: Literal["capped", "relative"] = "capped",
        gate_activation: Literal["sigmoid", "none"] = "sigmoid",
        subword_frames: bool = False,
        detach_shift: bool = False,
        input_dropout: float = 0.2,
        dropout: float = 0.2,
        task_loss: TaskLoss = "mse",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        self.sizes = {m: modality_sizes[m] for m in self.modalities if m in modality_sizes}
        if not self.sizes:
            raise ValueError(
                "raven shifts words by face or voice, but the data have neither visual nor acoustic features; "
                "train `bert` on words alone, or give data with features"
            )
        if shift_limit < 0:
            raise ValueError(f"shift_limit is a share of a word's length, at least 0, got {shift_limit}")
        self.word_size, self.subword_frames = modality_sizes["linguistic"], subword_frames
        self.nonverbal = nn.ModuleDict(
            {m: NonverbalEncoder(d, nonverbal_size, input_dropout, subword_frames) for m, d in self.sizes.items()}
        )
        self.shift = WordShift(
            self.word_size, dict.fromkeys(self.sizes, nonverbal_size), gate_activation, shift_limit, shift_norm
        )
        if detach_shift:  # neither part has another way for a gradient to take
            self.nonverbal.requires_grad_(False)
            self.shift.requires_grad_(False)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(self.word_size, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, self.outputs)
        self.task_loss = task_loss

    def forward(self, batch: Batch) -> Output:
        """Score a batch; a step without a word has nothing to shift and is left out."""
        text = vectors(batch, "linguistic", self.word_size)
        order = (~text.mask).to(torch.int8).argsort(dim=1, stable=True)  # words first
        words = compact(text)
        states, embeddings = {}, {}
        for m, size in self.sizes.items():
            frames = self._frames(batch, m, size, words.mask.shape, order)  # (B, L, T, D)
            states[m] = self.nonverbal[m](Seq(frames.values.flatten(0, 1), frames.mask.flatten(0, 1)))
            states[m] = states[m].unflatten(0, words.mask.shape)  # (B, L, nonverbal_size)
            embeddings[m] = masked_mean(states[m], frames.mask.any(-1) & words.mask)
        shifted = words.values + self.shift(words.values, states)
        read, _ = self.lstm(self.dropout(shifted))
        embeddings = {"linguistic": last_step(read, words.mask), **embeddings}
        return Output(self.head(embeddings["linguistic"]).squeeze(-1), embeddings)

    def _frames(self, batch: Batch, modality: str, size: int, shape: torch.Size, order: Tensor) -> Seq:
        """Frames within each word (B, L, T, D), words in order; a masked one each where the batch lacks them."""
        if modality not in batch.features:
            mask = torch.zeros(*shape, 1, dtype=torch.bool, device=order.device)
            return Seq(torch.zeros(*shape, 1, size, device=order.device), mask)
        values, mask = batch.features[modality].values, batch.features[modality].mask
        if mask.ndim == 2:
            values, mask = values.unsqueeze(2), mask.unsqueeze(2)
        elif not self.subword_frames:
            raise ValueError(f"the {modality} features have several frames a word: give subword_frames true")
        if mask.shape[:2] != shape:
            raise ValueError(f"raven needs {modality} features at the words: {mask.shape[1]} steps, {shape[1]} words")
        values = values.gather(1, order[:, :, None, None].expand_as(values))
        return Seq(values, mask.gather(1, order[:, :, None].expand_as(mask)))
