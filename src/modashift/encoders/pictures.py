"""Encoders of pictures: CLIP's and SigLIP's vision towers, DINOv2, ViT, and the packaged network of faces."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modashift.backbones import quiet_transformers
from modashift.encoders.base import Encoder, Settings, load_whole
from modashift.encoders.sources import FACE, Source
from modashift.errors import ModashiftError

__all__ = ["PictureEncoder"]

# What a checkpoint may lack: parts behind the last block, and what only training uses.
UNUSED = ("post_layernorm", "vision_model.post_layernorm", "head.", "vision_model.head.", "layernorm.", "pooler.")


class PictureEncoder(Encoder):
    """States of single pictures, one step each.

    A picture's state is that of the class token, or, where an encoder has none (SigLIP, the network of faces), the mean
    over its patches.

    Args:
        source: from `modashift.encoders.sources.find`.
        layers: numbers of the layers, rising.
        settings: device and precision.

    Attributes:
        margin: what the encoder was trained to see around a face, as a share of the face's box on each side.

    Raises:
        ModashiftError: it cannot be loaded.
    """

    def __init__(self, source: Source, layers: tuple[int, ...], settings: Settings) -> None:
        from transformers import AutoImageProcessor

        super().__init__(source, load_whole(_loader(source), source, UNUSED), layers, settings)
        try:
            with quiet_transformers():
                self._prepare = AutoImageProcessor.from_pretrained(str(source.folder), backend="pil")
        except (OSError, ValueError, ImportError) as error:
            raise ModashiftError(
                f"{source.folder} does not say how pictures are made ready (preprocessor_config.json): "
                f"{(str(error).strip().splitlines() or [''])[0]}"
            ) from error
        self.margin = float(getattr(self._model.config, "face_margin", 0.0))

    def states(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """States (n, L, H) of pictures (height, width, 3) RGB, all looked at together."""
        ready = self._prepare(images=list(pictures), return_tensors="pt", input_data_format="channels_last")
        found = self.run(_mean if self._model.config.model_type in _CLASSLESS else _first, **ready)
        return found.numpy()


_CLASSLESS = frozenset(("siglip", "siglip_vision_model", FACE))


def _first(state: Tensor) -> Tensor:
    return state[:, 0]


def _mean(state: Tensor) -> Tensor:
    return state.float().mean(1)


def _loader(source: Source) -> Callable[..., Any]:
    import transformers

    kind = source.model_type
    if kind == FACE:
        return transformers.AutoModel.from_pretrained  # type: ignore[no-any-return]
    name = {
        "clip": "CLIPVisionModel",
        "clip_vision_model": "CLIPVisionModel",
        "siglip": "SiglipVisionModel",
        "siglip_vision_model": "SiglipVisionModel",
        "dinov2": "Dinov2Model",
        "dinov2_with_registers": "Dinov2WithRegistersModel",
        "vit": "ViTModel",
    }[kind]
    load: Callable[..., Any] = getattr(transformers, name).from_pretrained
    return load
