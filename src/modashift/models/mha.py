"""MHA: the voice asks the words, what the words answer asks the voice, and so on: attention in hops."""

from typing import Literal

import torch
from torch import Tensor, nn

from modashift.batch import Batch, Seq
from modashift.models.base import Model, Output
from modashift.models.layers import TaskLoss, compact, last_step, vectors

__all__ = ["MHA", "BidirectionalEncoder", "hop"]


def hop(query: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    """Σ_t softmax_t(q · O_t) O_t over the real steps: (B, H), (B, T, H), (B, T) → (B, H); zero where none is real."""
    scores = torch.einsum("bh,bth->bt", query, states)
    # A row without a real step would be a softmax of nothing; its weights are set to zero afterwards.
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(1) * mask
    return torch.einsum("bt,bth->bh", weights, states)


class BidirectionalEncoder(nn.Module):
    """A recurrent network in each direction over the real steps, with the states of each step and the last of each.

    The network that goes back is given the real steps in reverse, so that padding follows them there too and nothing
    need be packed: over packed steps torch takes some 25 times as long on a CPU.

    Args:
        input_size: width of a step.
        hidden_size: width of each direction.
        kind: ``lstm`` or ``gru``.
        dropout: on the steps.
    """

    def __init__(self, input_size: int, hidden_size: int, kind: Literal["lstm", "gru"], dropout: float = 0.0) -> None:
        super().__init__()
        network = nn.LSTM if kind == "lstm" else nn.GRU
        self.ahead = network(input_size, hidden_size, batch_first=True)
        self.back = network(input_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, seq: Seq) -> tuple[Tensor, Tensor]:
        """Encode steps (B, T, D), real ones in front → (B, T, 2H), zero at padding, and the last states (B, 2H)."""
        steps = self.dropout(seq.values)
        places = torch.arange(steps.shape[1], device=steps.device)
        reverse = seq.mask.sum(1, keepdim=True) - 1 - places  # (B, T); padding stays where it is
        reverse = torch.where(seq.mask, reverse, places)
        ahead, back = self.ahead(steps)[0], self.back(_at(steps, reverse))[0]  # (B, T, H)
        states = torch.cat([ahead, _at(back, reverse)], dim=2) * seq.mask.unsqueeze(-1)
        return states, torch.cat([last_step(ahead, seq.mask), last_step(back, seq.mask)], dim=1)


def _at(values: Tensor, places: Tensor) -> Tensor:
    """Steps of (B, T, D) in the order of places (B, T)."""
    return values.gather(1, places.unsqueeze(-1).expand_as(values))


class MHA(Model):
    """MHA: multi-hop attention between voice and words, each hop with what the one before has found.

    Yoon, Byun, Dey and Jung, *Speech Emotion Recognition Using Multi-hop Attention Mechanism*, ICASSP 2019. With O^A,
    O^T the states of bidirectional recurrent networks over the frames of the voice and the words, and o^A the last
    states of the first:

        H₁ = Σ_t softmax_t(o^A · O^T_t) O^T_t,   H₂ = Σ_t softmax_t(H₁ · O^A_t) O^A_t,   H₃ from H₂ over O^T, …
        logits = M [H_{n−1} ; H_n] + b,   with H₀ = o^A

    A reconstruction: no code of this paper was published; what it leaves open follows the group's related systems.

    Args:
        modality_sizes: width of each modality (filled in from the data).
        hops: n; 1, 2 and 3 are the paper's MHA-1, MHA-2 and MHA-3.
        hidden_size: width of each direction of both networks.
        rnn: ``lstm`` or ``gru``.
        acoustic_dropout: on the frames of the voice.
        text_dropout: on the word vectors.
        longest: frames of the voice beyond this many are cut off.
        task_loss: mse (mean squared error), huber or l1, for scores.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "mha"
    title = "MHA"
    paper = "Yoon et al. 2019"
    modalities = ("acoustic",)
    text = "vectors"
    steps = "word"
    differs = (
        "A reconstruction: the paper's code was never published. Kind and width of the networks, dropout and the two "
        "vectors that are classified are those of the same group's related systems.",
        "The 35 prosodic features of a whole utterance, which the paper appends to the voice's last states, are left "
        "out: the voice is whatever acoustic sequence the data have.",
        "Word vectors are not trained.",
    )

    def __init__(
        self,
        modality_sizes: dict[str, int],
        hops: int = 3,
        hidden_size: int = 200,
        rnn: Literal["lstm", "gru"] = "lstm",
        acoustic_dropout: float = 0.3,
        text_dropout: float = 0.7,
        longest: int = 1000,
        task_loss: TaskLoss = "mse",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        if hops < 1 or longest < 1:
            raise ValueError(f"hops and longest must be at least 1, got {hops} and {longest}")
        if "acoustic" not in modality_sizes:
            raise ValueError("mha attends from the voice to the words, but the data have no acoustic features")
        self.sizes = {m: modality_sizes[m] for m in ("linguistic", "acoustic")}
        self.words = BidirectionalEncoder(self.sizes["linguistic"], hidden_size, rnn, text_dropout)
        self.voice = BidirectionalEncoder(self.sizes["acoustic"], hidden_size, rnn, acoustic_dropout)
        self.head = nn.Linear(4 * hidden_size, self.outputs)
        self.hops, self.longest = hops, longest
        self.task_loss: TaskLoss = task_loss

    def forward(self, batch: Batch) -> Output:
        """Score a batch; ``embeddings`` holds the last states of both networks."""
        words = compact(vectors(batch, "linguistic", self.sizes["linguistic"]))
        voice = compact(vectors(batch, "acoustic", self.sizes["acoustic"]))
        voice = Seq(voice.values[:, : self.longest], voice.mask[:, : self.longest])
        text, last_text = self.words(words)
        sound, last_sound = self.voice(voice)
        before, newest = last_text, last_sound  # the first is never read: there is at least one hop
        for number in range(self.hops):
            states, mask = (sound, voice.mask) if number % 2 else (text, words.mask)
            before, newest = newest, hop(newest, states, mask)
        logits = self.head(torch.cat([before, newest], dim=1))  # (B, C)
        return Output(logits.squeeze(-1), {"linguistic": last_text, "acoustic": last_sound})
