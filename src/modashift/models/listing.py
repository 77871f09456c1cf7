"""The table behind ``modashift models``."""

from typing import Any

from modashift.models import MODELS, get_model

__all__ = ["model_table", "parameter_counts"]

SIZES = {"visual": 47, "acoustic": 74}  # CMU-MOSI in MAG-BERT's layout, the paper's variant
WORD_SIZE = 300  # of GloVe vectors


def parameter_counts(name: str, backbone: dict[str, Any]) -> tuple[int, int]:
    """Parameters of a model on CMU-MOSI's features: all, and those beyond the encoder's pre-trained ones.

    Built on the meta device: nothing is allocated.
    """
    import torch

    cls: Any = get_model(name)
    with torch.device("meta"):
        sizes = {m: s for m, s in SIZES.items() if m in cls.modalities}
        if cls.text == "vectors":
            model = cls(modality_sizes={"linguistic": WORD_SIZE, **sizes})
        else:
            model = cls(backbone=backbone, modality_sizes=sizes)
    total = sum(p.numel() for p in model.parameters())
    return total, total - sum(p.numel() for p in model.pretrained_parameters())


def model_table(backbone: str = "bert-base") -> str:
    """Models with inputs, size and source, a line each, and what differs from the published code.

    Args:
        backbone: ``bert-base`` (its architecture, no weights needed), or any backbone `load_backbone` takes.
    """
    if backbone == "bert-base":
        from transformers import BertConfig

        config = BertConfig().to_dict()
    else:
        from modashift.backbones import load_backbone

        config = load_backbone(backbone).config
    lines = [f"parameters on {backbone} with CMU-MOSI's features (47 visual, 74 acoustic columns, GloVe's 300)"]
    for name in MODELS:
        cls = get_model(name)
        total, new = parameter_counts(name, config)
        inputs = "+".join(("words" if cls.text == "pieces" else "vectors", *cls.modalities))
        inputs += " (aligned)" if cls.aligned else ""
        idea = (cls.__doc__ or "").strip().splitlines()[0].rstrip(".")
        size = f"{total / 1e6:.1f} M, {new / 1e6:.2f} M new"
        lines.append(f"{name:<14}  {inputs:<33}  {size:<21}  {idea} ({cls.paper})")
    lines += [
        "",
        "words: word pieces through a fine-tuned encoder; vectors: GloVe, frozen encoder states, or the data's own;",
        "aligned: all sequences at the same steps, one a word; without that mark, sequences of any rate will do",
        "",
        "what is not as in the published code:",
    ]
    for name in MODELS:
        lines += [f"{name if k == 0 else '':<14}  {text}" for k, text in enumerate(get_model(name).differs)]
    return "\n".join(lines) + "\n"
