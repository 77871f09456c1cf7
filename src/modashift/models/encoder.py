"""A BERT-family encoder of transformers, run with the context-driven shift inside its self-attention.

The pre-trained modules are transformers' own and keep their names and weights; only the order of calls within a layer
is ours, because the shift enters between the projections and the attention. With a shift of zero the result equals
transformers' encoder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modashift.batch import Batch, Pieces
from modashift.models.cms import ModalityShift, ShiftOptions

__all__ = ["EncoderOutput", "ShiftedEncoder", "shifted_layers"]

SUPPORTED = ("bert", "roberta", "xlm-roberta", "camembert")


@dataclass
class EncoderOutput:
    """Result of `ShiftedEncoder`.

    Attributes:
        hidden: (B, N, H) states that leave the last layer.
        maps: by layer, the CMS maps by modality (B, N, T); only when asked for.
        shifts: by layer, the shift S (B, N, H); only when asked for.
        attentions: by layer (B, heads, N, N); only when asked for.
    """

    hidden: Tensor
    maps: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    shifts: dict[int, Tensor] = field(default_factory=dict)
    attentions: list[Tensor] = field(default_factory=list)


def shifted_layers(layers: str | Sequence[int], count: int) -> list[int]:
    """Numbers (from 0) of the layers to shift: ``all``, ``first``, ``none`` or a list of numbers from 1.

    Raises:
        ValueError: for another word, or a number beyond the encoder.
    """
    named = {"all": list(range(count)), "first": [0], "none": []}
    if isinstance(layers, str):
        if layers not in named:
            raise ValueError(f"layers must be all, first, none or a list of numbers, got {layers!r}")
        return named[layers]
    wrong = [n for n in layers if not 1 <= n <= count]
    if wrong:
        raise ValueError(f"layers {wrong} do not exist: the backbone's layers are numbered 1 to {count}")
    return sorted({n - 1 for n in layers})


class ShiftedEncoder(nn.Module):
    """Embeddings and layers of a BERT-family model, with `ModalityShift` in the chosen layers.

    Args:
        backbone: configuration of the transformers model, as its ``config.to_dict()`` gives it.
        modality_sizes: width of each non-verbal modality; empty for a plain encoder.
        layers: see `shifted_layers`.
        options: see `ShiftOptions`.
        pooler: also build the backbone's own pooler (a layer on [CLS] with tanh).
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        modality_sizes: Mapping[str, int],
        layers: str | Sequence[int] = "all",
        options: ShiftOptions | None = None,
        pooler: bool = False,
    ) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel

        if backbone.get("model_type") not in SUPPORTED:
            raise ValueError(
                f"backbone of type {backbone.get('model_type')!r} is not supported; one of {', '.join(SUPPORTED)} is"
            )
        settings = {k: v for k, v in backbone.items() if k not in {"model_type", "transformers_version"}}
        config = AutoConfig.for_model(backbone["model_type"], **settings)
        self.backbone = AutoModel.from_config(config, add_pooling_layer=pooler, dtype=torch.float32)
        self.options = options = options or ShiftOptions()
        self.hidden_size: int = config.hidden_size
        self.heads: int = config.num_attention_heads
        self.attention_dropout: float = config.attention_probs_dropout_prob
        size = self.hidden_size if options.scale == "hidden" else self.hidden_size // self.heads
        self.attention_scale = size**-0.5
        chosen = shifted_layers(layers, config.num_hidden_layers) if modality_sizes else []
        modules = {}
        for number in chosen[:1] if options.share_layers else chosen:
            modules[str(number)] = ModalityShift(
                self.hidden_size,
                modality_sizes,
                options.activation,
                context_window=options.context_window,
                output_size=self.hidden_size // self.heads if options.heads == "shared" else None,
                fixed_length=options.fixed_length,
                gate_bias=options.gate_bias,
                initial_scale=options.initial_scale,
            )
        self.shift = nn.ModuleDict(modules)
        self.shifted = frozenset(chosen)
        self.shared = str(chosen[0]) if chosen and options.share_layers else None

    def forward(
        self, batch: Batch, details: bool = False, adapt: Callable[[Tensor], Tensor] | None = None
    ) -> EncoderOutput:
        """Encode a batch of word pieces.

        Args:
            batch: word pieces, and features whose modalities the encoder was built for.
            details: also return maps, shifts and attention weights. This leaves the fused attention, so it is slower;
                without it nothing of the kind is computed.
            adapt: what is done to the embeddings (B, N, H) before they enter the first layer; nothing by default.
        """
        text = batch.pieces()
        first: Any = next(iter(self.shift.values()), None)
        wanted = first.gate if first is not None else ()
        features = {m: batch.features[m].values for m in wanted if m in batch.features}
        masks = {m: batch.features[m].mask for m in features}
        embedded = self.backbone.embeddings(input_ids=text.ids)  # (B, N, H)
        output = EncoderOutput(embedded if adapt is None else adapt(embedded))
        allowed = text.mask[:, None, None, :]  # (B, 1, 1, N)
        for number, layer in enumerate(self.backbone.encoder.layer):
            shift = None
            if number in self.shifted and features:
                module = self._module(number)
                shift = self._shift(module, output.hidden, features, masks, text)
                if details:
                    output.shifts[number] = shift
                    output.maps[number] = module.maps(output.hidden, features, masks)
            output.hidden = self._layer(layer, output, shift, allowed, details)
        return output

    def _module(self, number: int) -> ModalityShift:
        module = self.shift[self.shared or str(number)]
        assert isinstance(module, ModalityShift)
        return module

    def _shift(
        self,
        module: ModalityShift,
        hidden: Tensor,
        features: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        text: Pieces,
    ) -> Tensor:
        shift: Tensor = module(hidden, features, masks)
        if self.options.specials == "keep":
            shift = shift * text.real.unsqueeze(-1)
        if self.options.heads == "shared":
            shift = shift.repeat(1, 1, self.heads)
        return shift

    def _layer(self, layer: Any, output: EncoderOutput, shift: Tensor | None, allowed: Tensor, details: bool) -> Tensor:
        """One encoder layer; the shift is that of equations (5)–(7), everything else is BERT."""
        hidden = output.hidden
        own = layer.attention.self
        before = hidden if shift is None or self.options.site == "post_projection" else hidden + shift
        projected = [own.query(before), own.key(before), own.value(before)]  # each (B, N, H)
        if shift is not None and self.options.site == "post_projection":
            projected = [p + shift for p in projected]
        query, key, value = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in projected)  # (B, heads, N, H')
        if details:
            logits = query @ key.transpose(-1, -2) * self.attention_scale
            weights = logits.masked_fill(~allowed, float("-inf")).softmax(-1)
            output.attentions.append(weights)
            context = own.dropout(weights) @ value
        else:
            dropout = self.attention_dropout if self.training else 0.0
            context = F.scaled_dot_product_attention(
                query, key, value, attn_mask=allowed, dropout_p=dropout, scale=self.attention_scale
            )
        context = context.transpose(1, 2).flatten(-2)  # (B, N, H)
        residual = hidden + shift if shift is not None and self.options.residual else hidden
        attended = layer.attention.output(context, residual)
        result: Tensor = layer.output(layer.intermediate(attended), attended)
        return result
