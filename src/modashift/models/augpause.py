"""AugPauseRoBERTa: silences between words written as punctuation, their lengths varied while it trains."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from modashift.batch import Batch, Pieces
from modashift.errors import ModashiftError
from modashift.models.base import Model, Output
from modashift.models.encoder import ShiftedEncoder
from modashift.models.layers import TaskLoss

__all__ = ["BINS", "AugPause", "insert_marks", "marks_of"]

BINS = (0.05, 0.5, 2.0)  # seconds from which a pause is a comma and a period, and beyond which it is an ellipsis
NOTHING, COMMA, PERIOD, ELLIPSIS = range(4)
# What the marks' embeddings start from, by model type and size of the vocabulary: entries of , and . and … or ...
PUNCTUATION: Mapping[tuple[str, int], tuple[int, int, int]] = {
    ("bert", 30522): (1010, 1012, 1529),  # bert-base-uncased, MiniLM
    ("bert", 28996): (117, 119, 119),  # bert-base-cased
    ("roberta", 50265): (6, 4, 734),
}
EMBEDDINGS = "embeddings.word_embeddings.weight"
DRAWN_FOR = 512  # words with a noise of their own at evaluation; those beyond start over


def marks_of(pauses: Tensor) -> Tensor:
    """Class of each pause in seconds: nothing below .05, a comma below .5, a period up to 2, else an ellipsis."""
    comma, period, ellipsis = BINS
    return (pauses >= comma).long() + (pauses >= period).long() + (pauses > ellipsis).long()


def insert_marks(text: Pieces, marks: Tensor, first: int, padding: int) -> Pieces:
    """Write a mark after the last piece of each word that is followed by a pause.

    Args:
        text: word pieces (B, N).
        marks: (B, N) class of the pause after the piece, 0 for none.
        first: vocabulary entry of the comma; period and ellipsis are the next two.
        padding: vocabulary entry of padding.

    Returns:
        Pieces as long as the longest text with its marks; marks belong to no word.
    """
    marked = (marks > 0) & text.mask
    places = torch.arange(text.ids.shape[1], device=marks.device) + marked.cumsum(1) - marked.long()  # of the pieces
    length = text.ids.shape[1] + (int(marked.sum(1).max()) if marked.numel() else 0)
    shape = (len(marks), length)
    ids = text.ids.new_full(shape, padding).scatter(1, places, text.ids)
    mask = text.mask.new_zeros(shape).scatter(1, places, text.mask)
    word = text.word.new_full(shape, -1).scatter(1, places, text.word)
    row, piece = marked.nonzero(as_tuple=True)
    behind = places[row, piece] + 1
    ids[row, behind], mask[row, behind] = first - 1 + marks[row, piece], True
    longest = int(mask.sum(1).max()) if len(mask) else 0
    return Pieces(ids[:, :longest], mask[:, :longest], word[:, :longest])


class AugPause(Model):
    """AugPauseRoBERTa: a language model that reads the pauses between words as punctuation, and nothing of the sound.

    Yuan, Cai and Church, *Pause-Encoded Language Models for Recognition of Alzheimer's Disease and Emotion*, ICASSP
    2021. After each word follows the mark of its pause g: nothing below 50 ms, a comma below .5 s, a period up to 2 s,
    an ellipsis beyond. In training the marks are those of g' = g · exp(ε), ε ~ N(0, σ²), drawn anew each time a text is
    read; otherwise the outputs of the pauses as they are and of some draws are averaged. Then h = tanh(W x_[CLS] + b)
    and a linear layer.

    A reconstruction: no code was published. The bins are those of the same authors' work on Alzheimer's disease; σ, the
    number of draws and the training are ours.

    The marks are three entries added to the vocabulary, whose embeddings start from those of the punctuation they stand
    for where the vocabulary is known (BERT, RoBERTa), else from the mean of all. Pauses are the linguistic features
    that ``modashift data corpus … --features pauses`` writes; give the words without punctuation of their own
    (``plain_words``).

    Args:
        backbone: configuration of the encoder (filled in from the chosen backbone).
        modality_sizes: of linguistic features one column, the seconds of silence after each word (filled in from the
        data).
        pauses: ``augmented``; ``plain`` leaves them as they are (PauseRoBERTa); ``none`` reads the words alone
        (RoBERTa).
        sigma: σ.
        draws: perturbed texts at evaluation, besides the text as it is.
        dropout: before the last layer.
        task_loss: mse (mean squared error), huber or l1, for scores.
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "augpause"
    title = "AugPauseRoBERTa"
    paper = "Yuan et al. 2021"
    modalities = ("linguistic",)
    differs = (
        "A reconstruction: the paper's code was never published; σ, the number of draws and the training are ours.",
        "The language model is not trained further on transcripts with pauses before it is fine-tuned.",
        "The marks are entries of their own in the vocabulary, which start as the punctuation they stand for.",
    )

    def __init__(
        self,
        backbone: dict[str, Any],
        modality_sizes: Mapping[str, int] | None = None,
        pauses: Literal["augmented", "plain", "none"] = "augmented",
        sigma: float = 0.3,
        draws: int = 8,
        dropout: float = 0.1,
        task_loss: TaskLoss = "mse",
        classes: int = 0,
    ) -> None:
        super().__init__(classes)
        width = (modality_sizes or {}).get("linguistic", 1)
        if width != 1:
            raise ValueError(
                "augpause reads one linguistic column, the pause after each word, and the data have "
                f"{width}; write them with `modashift data corpus … --features pauses`"
            )
        if sigma < 0 or draws < 0:
            raise ValueError(f"sigma and draws must not be negative, got {sigma} and {draws}")
        self.first = int(backbone["vocab_size"])
        self.known = PUNCTUATION.get((str(backbone.get("model_type")), self.first))
        self.padding = int(backbone.get("pad_token_id") or 0)
        self.longest = int(backbone.get("max_position_embeddings", 512))
        if backbone.get("model_type") != "bert":  # RoBERTa counts positions from the one after that of padding
            self.longest -= self.padding + 1
        self.encoder = ShiftedEncoder({**backbone, "vocab_size": self.first + ELLIPSIS}, {}, "none")
        size = self.encoder.hidden_size
        self.dense, self.dropout = nn.Linear(size, size), nn.Dropout(dropout)
        self.head = nn.Linear(size, self.outputs)
        self.pauses, self.sigma, self.draws = pauses, sigma, draws
        self.task_loss: TaskLoss = task_loss
        # Of each draw and word, the same for every text, so that neither batch mates nor repetition change a result.
        noise = torch.randn(max(draws, 1), DRAWN_FOR, generator=torch.Generator().manual_seed(0))
        self.register_buffer("noise", noise, persistent=False)

    noise: Tensor

    def forward(self, batch: Batch) -> Output:
        """Score a batch; its linguistic features stand at the word pieces."""
        text = batch.pieces()
        if self.pauses == "none":
            return self._read(batch, text)
        seconds = self._seconds(batch, text)
        if self.training:
            noise = self.sigma * torch.randn(seconds.shape, dtype=torch.float32).to(seconds.device)
            return self._read(batch, self._marked(text, seconds, noise if self.pauses == "augmented" else None))
        plain = self._read(batch, self._marked(text, seconds, None))
        if self.pauses == "plain" or not self.draws or not self.sigma:
            return plain
        total, state = plain.prediction, plain.embeddings["linguistic"]
        for draw in range(self.draws):
            noise = self.sigma * self.noise[draw][text.word.clamp(min=0) % DRAWN_FOR]  # (B, N)
            read = self._read(batch, self._marked(text, seconds, noise))
            total, state = total + read.prediction, state + read.embeddings["linguistic"]
        return Output(total / (1 + self.draws), {"linguistic": state / (1 + self.draws)})

    def _seconds(self, batch: Batch, text: Pieces) -> Tensor:
        """Pause after each piece (B, N), 0 within a word and where none is known."""
        given = batch.features.get("linguistic")
        if given is None:
            raise ModashiftError(
                "augpause needs the pause after each word, and the data have no linguistic features; write them with "
                "`modashift data corpus … --features pauses`, or train with pauses: none"
            )
        if given.mask.shape[1] != text.ids.shape[1]:
            raise ModashiftError(
                "augpause needs pauses at the word pieces: its linguistic features must be word-aligned"
            )
        following = torch.nn.functional.pad(text.word[:, 1:], (0, 1), value=-1)
        ends = text.real & (following != text.word) & (following >= 0)  # nothing follows the last word
        return torch.where(ends & given.mask, given.values[..., 0], 0.0)

    def _marked(self, text: Pieces, seconds: Tensor, noise: Tensor | None) -> Pieces:
        perturbed = seconds if noise is None else seconds * noise.to(seconds.dtype).exp()
        marked = insert_marks(text, marks_of(perturbed), self.first, self.padding)
        if marked.ids.shape[1] > self.longest:
            raise ModashiftError(
                f"a text has {marked.ids.shape[1]} pieces with its pauses, and the backbone reads {self.longest}; "
                "lower max_length"
            )
        return marked

    def _read(self, batch: Batch, text: Pieces) -> Output:
        hidden = self.encoder(Batch(text, batch.label, batch.index)).hidden[:, 0]  # (B, H)
        state = torch.tanh(self.dense(self.dropout(hidden)))
        return Output(self.head(self.dropout(state)).squeeze(-1), {"linguistic": state})

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Take over pre-trained weights, and start the marks from punctuation, or from the mean of all entries."""
        table = state[EMBEDDINGS]
        marks = table[list(self.known)] if self.known else table.mean(0, keepdim=True).expand(ELLIPSIS, -1)
        super().load_backbone({**state, EMBEDDINGS: torch.cat([table, marks.to(table.dtype)])})
