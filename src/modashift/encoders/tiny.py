"""Encoders that know nothing: random weights, for tests and for trying a command without a download."""

from pathlib import Path

from modashift.cache import provide
from modashift.tiny import tiny_backbone

__all__ = ["tiny_encoder"]

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}


def tiny_encoder(name: str) -> Path:
    """Folder of an encoder with random weights, the same every time; made on first use and cached.

    Args:
        name: ``tiny-vision`` (a ViT of 3 layers of 32, pictures of 32 pixels), ``tiny-speech`` (a WavLM of 3 layers of
            32) or ``tiny-text`` (`modashift.tiny.tiny_backbone`).

    Raises:
        DataError: the cache folder cannot be written.
    """
    if name == "tiny-text":
        return tiny_backbone()
    return provide(f"{name}-1", _write_vision if name == "tiny-vision" else _write_speech)


def _write_vision(folder: Path) -> None:
    import torch
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ViTModel(ViTConfig(image_size=32, patch_size=8, **SIZES), add_pooling_layer=False)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def _write_speech(folder: Path) -> None:
    import torch
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

    config = WavLMConfig(
        conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, vocab_size=8, **SIZES
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = WavLMModel(config)
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)
