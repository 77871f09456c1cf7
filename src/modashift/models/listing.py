"""The table behind ``modashift models``."""

from typing import TYPE_CHECKING, Any

from modashift.models import MODELS, get_model

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["model_table", "parameter_counts"]

SIZES = {"visual": 47, "acoustic": 74}  # CMU-MOSI in MAG-BERT's layout, the paper's variant


def parameter_counts(name: str, backbone: dict[str, Any]) -> tuple[int, int]:
    """Parameters of a model on CMU-MOSI's features: all, and those beyond the encoder's pre-trained ones.

    Built on the meta device: nothing is allocated.
    """
    import torch

    cls: Any = get_model(name)
    with torch.device("meta"):
        model = cls(backbone=backbone, modality_sizes={m: s for m, s in SIZES.items() if m in cls.modalities})
    total = sum(p.numel() for p in model.parameters())
    return total, total - sum(p.numel() for p in model.pretrained_parameters())


def model_table(backbone: str = "bert-base") -> "Table":
    """Models with inputs, size and source.

    Args:
        backbone: ``bert-base`` (its architecture, no weights needed), or any backbone `load_backbone` takes.
    """
    from rich.table import Table

    if backbone == "bert-base":
        from transformers import BertConfig

        config = BertConfig().to_dict()
    else:
        from modashift.backbones import load_backbone

        config = load_backbone(backbone).config
    table = Table(title=f"models, on {backbone} and the features of CMU-MOSI (47 visual, 74 acoustic)")
    table.add_column("name")
    table.add_column("inputs")
    table.add_column("parameters", justify="right")
    table.add_column("of them new", justify="right")
    table.add_column("source")
    table.add_column("what it is")
    for name in MODELS:
        cls = get_model(name)
        total, new = parameter_counts(name, config)
        idea = (cls.__doc__ or "").strip().splitlines()[0].rstrip(".")
        table.add_row(name, ", ".join(("words", *cls.modalities)), f"{total:,}", f"{new:,}", cls.paper, idea)
    return table
