"""Whisper's encoder (Radford et al. 2022) as transformers knows it, made of a model that CTranslate2 runs."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.backbones import quiet_transformers
from modashift.encoders.whisper_ctranslate2 import Variables, read_variables
from modashift.errors import DataError, ModashiftError

__all__ = ["convert_whisper", "encoder_weights", "load_whisper_encoder"]

LINEAR = {
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
NORMS = {"self_attention/layer_norm": "self_attn_layer_norm", "ffn/layer_norm": "final_layer_norm"}
PARTS = ("q_proj", "k_proj", "v_proj")
"""The three projections of attention, in the order in which CTranslate2 stacks them."""

Weights = dict[str, NDArray[np.float32]]


def convert_whisper(source: Path, target: Path) -> None:
    """Write the encoder of a CTranslate2 Whisper as a folder that `load_whisper_encoder` reads.

    The folder holds the encoder alone: ``config.json`` (whose ``architectures`` say ``WhisperEncoder``),
    ``model.safetensors`` in float32 and ``preprocessor_config.json``, by which transformers makes the spectrogram.

    Args:
        source: folder with ``model.bin``.
        target: folder to write into.

    Raises:
        DataError: it is no Whisper of CTranslate2.
    """
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    variables = read_variables(source / "model.bin", "encoder/")
    weights = encoder_weights(variables)
    width, bands, _ = weights["conv1.weight"].shape
    config = WhisperConfig(
        num_mel_bins=bands,
        d_model=width,
        encoder_layers=_layers(variables),
        encoder_attention_heads=variables.number("encoder/num_heads"),
        encoder_ffn_dim=len(weights["layers.0.fc1.weight"]),
        max_source_positions=len(weights["embed_positions.weight"]),
        decoder_layers=0,  # there is no decoder here, and transformers' default would claim one
    )
    encoder = WhisperEncoder(config)
    encoder.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    encoder.save_pretrained(target)
    WhisperFeatureExtractor(feature_size=bands).save_pretrained(target)


def encoder_weights(variables: Variables) -> Weights:
    """The weights of the encoder under transformers' names.

    CTranslate2 keeps query, key and value of an attention in one matrix, one below the other. Whisper's keys have no
    bias, so the middle third of the joint bias is 0 and is left out.

    Raises:
        DataError: a weight is missing, or the model is no Whisper.
    """
    if variables.kind != "WhisperSpec":
        raise DataError(f"the model is a {variables.kind}, and should be a Whisper")
    weights: Weights = {"embed_positions.weight": variables.weight("encoder/position_encodings/encodings")}
    for name in ("conv1", "conv2"):
        weights |= _affine(variables, f"encoder/{name}", name)
    for k in range(_layers(variables)):
        theirs, ours = f"encoder/layer_{k}", f"layers.{k}"
        stacked = _affine(variables, f"{theirs}/self_attention/linear_0", "")
        for place, part in enumerate(PARTS):
            third = {name: np.split(values, 3)[place] for name, values in stacked.items()}
            weights[f"{ours}.self_attn.{part}.weight"] = third[".weight"]
            if part != "k_proj":
                weights[f"{ours}.self_attn.{part}.bias"] = third[".bias"]
            elif third[".bias"].any():
                raise DataError(f"{theirs} has a bias for its keys, which Whisper has not")
        for part, name in LINEAR.items():
            weights |= _affine(variables, f"{theirs}/{part}", f"{ours}.{name}")
        for part, name in NORMS.items():
            weights |= _norm(variables, f"{theirs}/{part}", f"{ours}.{name}")
    return weights | _norm(variables, "encoder/layer_norm", "layer_norm")


def load_whisper_encoder(folder: str | Path) -> Any:
    """transformers' ``WhisperEncoder`` out of a folder that holds it alone or a whole Whisper.

    ``AutoModel`` would make a whole Whisper of either, and where there is only the encoder invent a decoder at random.

    Args:
        folder: with ``config.json`` and the weights.

    Returns:
        The encoder, for evaluation. It hears 30 seconds at a time, 3,000 steps of spectrogram, and answers with 1,500.

    Raises:
        ModashiftError: the folder holds no such model, or not all of its weights.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import WhisperConfig, WhisperModel
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    try:
        with quiet_transformers():
            config = WhisperConfig.from_pretrained(str(folder), local_files_only=True)
            alone = "WhisperEncoder" in (config.architectures or ())
            model, said = (WhisperEncoder if alone else WhisperModel).from_pretrained(
                str(folder), local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ModashiftError(
            f"{folder} holds no Whisper as transformers saves it ({reason}); give the folder of one, or the name of a "
            "packaged encoder"
        ) from error
    if said["missing_keys"]:
        missing = sorted(said["missing_keys"])
        raise ModashiftError(f"the Whisper in {folder} lacks {len(missing)} weights ({missing[0]}); fetch it again")
    return (model if alone else model.get_encoder()).eval()


def _layers(variables: Variables) -> int:
    ends = "/ffn/linear_0/weight"
    return sum(name.startswith("encoder/layer_") and name.endswith(ends) for name in variables.raw)


def _affine(variables: Variables, theirs: str, ours: str) -> Weights:
    return {f"{ours}.{part}": variables.weight(f"{theirs}/{part}") for part in ("weight", "bias")}


def _norm(variables: Variables, theirs: str, ours: str) -> Weights:
    names = {"weight": "gamma", "bias": "beta"}
    return {f"{ours}.{name}": variables.weight(f"{theirs}/{part}") for name, part in names.items()}
