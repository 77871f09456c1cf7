"""Encoders that need no hub: real weights out of packages that pip can fetch, and one that is random and says so."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modashift.backbones import quiet_transformers
from modashift.cache import provide
from modashift.data.fetch import LANDMARKER_MODEL, LANDMARKER_NAME, WHISPER_MODEL, fetch_landmarker, fetch_whisper
from modashift.errors import ModashiftError

__all__ = ["MODALITIES", "PACKAGED", "load_packaged", "packaged_encoder"]

WHISPER, FACE, RANDOM = "whisper-tiny.en", "mediapipe-face", "random-vit"

PACKAGED: Mapping[str, str] = {
    WHISPER: "sound: the encoder of Whisper tiny.en, 4 layers of 384, real weights (MIT), 69 MB fetched by pip",
    FACE: (
        "pictures of faces: the network behind mediapipe's face landmarks, convolutional, 19 layers of 128, real "
        "weights by Google (Apache 2.0), 9.4 MB fetched by pip"
    ),
    RANDOM: "pictures: a Vision Transformer of 6 layers of 192 with RANDOM weights, trained on nothing; to try things",
}
"""What each packaged encoder is, in one line."""

MODALITIES: Mapping[str, str] = {WHISPER: "acoustic", FACE: "visual", RANDOM: "visual"}
"""What each packaged encoder looks at."""

MADE = 1  # raise it when what is written for the same weights changes, so that the cache makes it anew
VIT = {"hidden_size": 192, "num_hidden_layers": 6, "num_attention_heads": 3, "intermediate_size": 768}
PICTURE = {"image_size": 224, "patch_size": 16}


def packaged_encoder(name: str) -> Path:
    """Folder of a packaged encoder in the layout of transformers, made on first use and kept in the cache.

    Each holds ``config.json``, ``model.safetensors`` and ``preprocessor_config.json``, by which
    ``AutoFeatureExtractor`` or ``AutoImageProcessor`` prepares its input. `load_packaged` loads the model.

    Args:
        name: one of `PACKAGED`.

    Raises:
        ModashiftError: there is no such encoder, or Pillow, which those of pictures need, is not installed.
        DataError: pip cannot fetch its weights, they are others than expected, or the cache cannot be written.
    """
    if name not in PACKAGED:
        raise ModashiftError(f"no encoder named {name!r} is packaged; there are {', '.join(PACKAGED)}")
    version, write = _RECIPES[name]

    def fill(folder: Path) -> None:
        with quiet_transformers():
            write(folder)

    return provide(f"encoder-{name}-{version}-{MADE}", fill)


def load_packaged(name: str) -> Any:
    """A packaged encoder, for evaluation, on the CPU in float32.

    Its configuration has ``hidden_size`` and ``num_hidden_layers``; with ``output_hidden_states=True`` it answers with
    one more hidden state than it has layers. `packaged_encoder` lists what else can be known of it.

    Args:
        name: one of `PACKAGED`.

    Raises:
        ModashiftError: there is no such encoder.
        DataError: as `packaged_encoder`.
    """
    folder = packaged_encoder(name)
    with quiet_transformers():
        if name == WHISPER:
            from modashift.encoders.packaged_whisper import load_whisper_encoder

            return load_whisper_encoder(folder)
        if name == FACE:
            from modashift.encoders.packaged_face import FaceEncoder

            return FaceEncoder.from_pretrained(folder, local_files_only=True).eval()
        from transformers import AutoModel

        return AutoModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False).eval()


def _write_whisper(folder: Path) -> None:
    from modashift.encoders.packaged_whisper import convert_whisper

    convert_whisper(fetch_whisper(), folder)


def _write_face(folder: Path) -> None:
    from modashift.encoders.packaged_face import FaceConfig, convert_face

    convert_face(fetch_landmarker() / LANDMARKER_NAME, folder)
    _write_processor(folder, FaceConfig().image_size, do_normalize=False)  # the network takes [0, 1]


def _write_random(folder: Path) -> None:
    import torch
    from transformers import ViTConfig, ViTModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ViTModel(ViTConfig(**VIT, **PICTURE), add_pooling_layer=False).save_pretrained(folder)
    _write_processor(folder, PICTURE["image_size"])


def _write_processor(folder: Path, side: int, **settings: bool) -> None:
    try:
        from transformers import ViTImageProcessorPil

        ViTImageProcessorPil(size={"height": side, "width": side}, **settings).save_pretrained(folder)
    except ImportError as error:
        raise ModashiftError('encoders of pictures need Pillow: pip install "modashift[extract]"') from error


_RECIPES: Mapping[str, tuple[str, Callable[[Path], None]]] = {
    WHISPER: (WHISPER_MODEL[:8], _write_whisper),
    FACE: (LANDMARKER_MODEL[:8], _write_face),
    RANDOM: ("seed0", _write_random),
}
