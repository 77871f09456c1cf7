"""Encoders of texts: BERT, RoBERTa, DeBERTa, and whatever else ``AutoModel`` loads with a fast tokenizer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modashift.backbones import quiet_transformers
from modashift.encoders.base import Encoder, Settings, load_whole
from modashift.encoders.sources import Source
from modashift.errors import ModashiftError

__all__ = ["TextEncoder", "TextStates"]

UNBOUNDED = 100_000  # tokenizers without a limit of their own claim a number beyond any use


class TextStates(NamedTuple):
    """States of a text: values (T, L, H) of its word pieces with the special tokens around them, and their words.

    Attributes:
        values: (T, L, H) float32.
        words: (T,) number of the word that a piece is of; that of the first word for special tokens before it, of the
            last for those behind it.
        special: (T,) True at special tokens.
    """

    values: NDArray[np.float32]
    words: NDArray[np.int64]
    special: NDArray[np.bool_]


class TextEncoder(Encoder):
    """States of texts, one step a word piece, with the special tokens the encoder was trained with.

    A text longer than the encoder's positions is read in overlapping windows, each with its own special tokens; a piece
    is taken from the window in which it is farther from an edge, the special tokens from the first and last window.

    Args:
        source: from `modashift.encoders.sources.find`.
        layers: numbers of the layers, rising.
        settings: device and precision.

    Attributes:
        limit: most pieces of a window, special tokens included.

    Raises:
        ModashiftError: it cannot be loaded, or has no fast tokenizer.
    """

    def __init__(self, source: Source, layers: tuple[int, ...], settings: Settings) -> None:
        from transformers import AutoModel, AutoTokenizer

        super().__init__(source, load_whole(AutoModel.from_pretrained, source, ("pooler.",)), layers, settings)
        if getattr(self._model.config, "is_encoder_decoder", False):
            raise ModashiftError(f"{source.name} is an encoder with a decoder; give one that is an encoder alone")
        try:
            with quiet_transformers():
                tokenizer: Any = AutoTokenizer.from_pretrained(str(source.folder), use_fast=True)
        except (OSError, ValueError, ImportError) as error:
            raise ModashiftError(
                f"{source.folder} has no tokenizer that can be loaded: {(str(error).strip().splitlines() or [''])[0]}"
            ) from error
        if not tokenizer.is_fast:
            raise ModashiftError(f"{source.name} has no fast tokenizer, which is needed to tell whose the pieces are")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        tokenizer.padding_side = tokenizer.truncation_side = "right"
        self._tokenizer = tokenizer
        self._specials = int(tokenizer.num_special_tokens_to_add())
        self.limit = self._positions()

    def states(self, texts: Sequence[Sequence[str]]) -> list[TextStates]:
        """States of some texts, each given as its words; a text without words has no step.

        Args:
            texts: words, which are joined by spaces to what the encoder reads.
        """
        rows = [k for k, words in enumerate(texts) if any(w.strip() for w in words)]
        found = [self._nothing()] * len(texts)
        if not rows:
            return found
        overlap = (self.limit - self._specials) // 4
        encoding = self._tokenizer(
            [" ".join(texts[k]) for k in rows],
            truncation=True,
            max_length=self.limit,
            stride=overlap,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        owner = np.array(encoding["overflow_to_sample_mapping"])
        values = self._run([encoding["input_ids"][n] for n in range(len(owner))])
        for number, row in enumerate(rows):
            own = np.flatnonzero(owner == number)
            parts = []
            for place, n in enumerate(own.tolist()):
                special = np.array(encoding["special_tokens_mask"][n], dtype=bool)
                kept = _kept(special, place == 0, n == own[-1], overlap)
                offsets = np.array(encoding["offset_mapping"][n], dtype=np.int64)[kept]
                parts.append((values[n][kept], offsets, special[kept]))
            states, offsets, special = (np.concatenate(each) for each in zip(*parts))
            found[row] = TextStates(states, _words(texts[row], offsets, special), special)
        return found

    def _run(self, ids: list[list[int]]) -> list[NDArray[np.float32]]:
        """States (N, L, H) of each sequence, batched with those of like length."""
        import torch

        found: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(ids)
        order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
        for begin in range(0, len(order), self.batch):
            rows = order[begin : begin + self.batch]
            longest = max(len(ids[n]) for n in rows)
            padded = torch.full((len(rows), longest), int(self._tokenizer.pad_token_id or 0))
            mask = torch.zeros((len(rows), longest), dtype=torch.long)
            for k, n in enumerate(rows):
                padded[k, : len(ids[n])] = torch.tensor(ids[n])
                mask[k, : len(ids[n])] = 1
            states = self.run(lambda state: state, input_ids=padded, attention_mask=mask).numpy()  # (B, L, N, H)
            for k, n in enumerate(rows):
                found[n] = states[k, :, : len(ids[n])].transpose(1, 0, 2)
        return found

    def _nothing(self) -> TextStates:
        shape = (0, len(self.layers), self.source.size)
        return TextStates(np.zeros(shape, np.float32), np.zeros(0, np.int64), np.zeros(0, bool))

    def _positions(self) -> int:
        """Most pieces the model has positions for."""
        config = self._model.config
        limit = int(getattr(config, "max_position_embeddings", 0) or UNBOUNDED)
        table = getattr(getattr(self._model, "embeddings", None), "position_embeddings", None)
        padding = getattr(table, "padding_idx", None)
        if padding is not None:  # RoBERTa counts positions from behind that of the padding
            limit -= padding + 1
        limit = min(limit, int(self._tokenizer.model_max_length))
        if limit < self._specials + 4:
            raise ModashiftError(f"{self.source.name} has positions for {limit} word pieces only")
        return limit


def _kept(special: NDArray[np.bool_], first: bool, last: bool, overlap: int) -> NDArray[np.intp]:
    """Places of a window that are taken: half of what it shares with each neighbour, special tokens at the ends."""
    content = np.flatnonzero(~special)
    if not len(content):
        return np.arange(len(special))
    # Of what two windows share the former gives the first half, the latter the rest.
    head = 0 if first else overlap - (overlap + 1) // 2
    tail = len(content) if last else len(content) - (overlap + 1) // 2
    low = 0 if first else int(content[head])
    high = len(special) if last else int(content[tail - 1]) + 1
    return np.arange(low, high)


def _words(words: Sequence[str], offsets: NDArray[np.int64], special: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(T,) number of the word of each piece, by where it ends in the text."""
    starts = np.cumsum([0, *(len(w) + 1 for w in words)])[:-1]
    # A piece may begin with the space before its word, so that its end decides.
    found = np.searchsorted(starts, np.maximum(offsets[:, 1] - 1, 0), side="right") - 1
    content = np.flatnonzero(~special)
    last = len(words) - 1
    if len(content):
        number = np.arange(len(special))
        found = np.where(special & (number < content[0]), 0, np.where(special & (number > content[-1]), last, found))
    else:  # nothing but special tokens: the text is of signs the encoder does not know and drops
        found = np.where(np.arange(len(special)) < len(special) / 2, 0, last)
    return np.clip(found, 0, last).astype(np.int64)
