"""CMSBERT: BERT whose self-attention is shifted by the non-verbal context of the whole utterance."""

from collections.abc import Mapping
from typing import Any

from modashift.models.base import Model
from modashift.models.bert import BERT, Pooling
from modashift.models.cms import ShiftOptions
from modashift.models.encoder import ShiftedEncoder
from modashift.models.layers import TaskLoss

__all__ = ["CMSBERT", "CMSBERT1", "require_modalities"]


class CMSBERT(BERT):
    """CMSBERT: the shift in every layer, no contrastive learning.

    Kim and Kim, *CMSBERT-CLR*, IJCNN 2022, section III-A; the head is that of the BERT row.

    Args:
        backbone: configuration of the encoder (filled in from the chosen backbone).
        modality_sizes: width of each non-verbal modality (filled in from the data).
        layers: which layers to shift: all, first, none or a list of numbers from 1.
        shift: options of the shift.
        pooling: ``mean`` over all tokens, or ``cls``: the encoder's own pooler on [CLS], as the published code has it.
        dropout: before the head.
        task_loss: mse (mean squared error); or huber, which weighs large errors less, or l1 (mean absolute error).
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "cmsbert"
    title = "CMSBERT"
    paper = "Kim and Kim 2022"
    modalities = ("visual", "acoustic")

    def __init__(
        self,
        backbone: dict[str, Any],
        modality_sizes: dict[str, int],
        layers: str | list[int] = "all",
        shift: ShiftOptions = ShiftOptions(),  # noqa: B008 (frozen)
        pooling: Pooling = "mean",
        dropout: float = 0.1,
        task_loss: TaskLoss = "mse",
        classes: int = 0,
    ) -> None:
        Model.__init__(self, classes)
        require_modalities(self.name, modality_sizes)
        encoder = ShiftedEncoder(backbone, modality_sizes, layers, shift, pooler=pooling == "cls")
        self._assemble(encoder, pooling, dropout, task_loss)


class CMSBERT1(CMSBERT):
    """CMSBERT/1: the shift in the first layer only.

    The counterpart of MAG-BERT, whose gate is attached once (Table II).

    Args:
        backbone: configuration of the encoder (filled in from the chosen backbone).
        modality_sizes: width of each non-verbal modality (filled in from the data).
        layers: which layers to shift.
        shift: options of the shift.
        pooling: ``mean`` over all tokens, or ``cls``: the encoder's own pooler on [CLS], as the published code has it.
        dropout: before the head.
        task_loss: mse (mean squared error); or huber, which weighs large errors less, or l1 (mean absolute error).
        classes: how many classes to tell apart; 0 for scores (filled in from the data).
    """

    name = "cmsbert-1"
    title = "CMSBERT/1"

    def __init__(
        self,
        backbone: dict[str, Any],
        modality_sizes: dict[str, int],
        layers: str | list[int] = "first",
        shift: ShiftOptions = ShiftOptions(),  # noqa: B008 (frozen)
        pooling: Pooling = "mean",
        dropout: float = 0.1,
        task_loss: TaskLoss = "mse",
        classes: int = 0,
    ) -> None:
        super().__init__(backbone, modality_sizes, layers, shift, pooling, dropout, task_loss, classes)


def require_modalities(name: str, sizes: Mapping[str, int]) -> None:
    """Refuse data a multimodal model can make nothing of, and say what would do.

    Raises:
        ValueError: without any non-verbal modality.
    """
    if not sizes:
        raise ValueError(
            f"{name} needs face or voice beside the words, but the data have neither visual nor acoustic features; "
            "train `bert` on words alone, or give data with features"
        )
