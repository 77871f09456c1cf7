"""Small random encoders of every architecture, saved as transformers saves the real ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
CONVOLUTIONS: dict[str, Any] = {
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
}
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}  # as the large ones have it


def random_model(kind: str) -> tuple[Any, Any]:
    """A model and what makes its input ready; its norms are random as well, so that each leaves a trace."""
    torch.manual_seed(0)
    model, prepare = _MAKERS[kind]()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif "position" not in name:
                parameter.mul_(4)
    return model.eval(), prepare


def save_encoder(kind: str, folder: Path) -> Path:
    """Folder of a random encoder."""
    model, prepare = random_model(kind)
    model.save_pretrained(folder)
    prepare.save_pretrained(folder)
    return folder


def _clip() -> tuple[Any, Any]:
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    text = {**SIZES, "vocab_size": 20, "max_position_embeddings": 8}
    vision = {**SIZES, "image_size": 16, "patch_size": 4}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    return CLIPModel(config), CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=_square(16))


def _siglip() -> tuple[Any, Any]:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    text = {**SIZES, "vocab_size": 20, "max_position_embeddings": 8, "projection_size": 16}
    vision = {**SIZES, "image_size": 16, "patch_size": 4}
    return SiglipModel(SiglipConfig(text_config=text, vision_config=vision)), SiglipImageProcessorPil(size=_square(16))


def _dinov2() -> tuple[Any, Any]:
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    prepare = BitImageProcessorPil(size={"shortest_edge": 16}, crop_size=_square(16))
    return Dinov2Model(Dinov2Config(image_size=16, patch_size=4, **SIZES)), prepare


def _vit() -> tuple[Any, Any]:
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    return ViTModel(ViTConfig(image_size=16, patch_size=4, **SIZES)), ViTImageProcessorPil(size=_square(16))


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def _convolutional(model: str, config: str, **more: Any) -> Callable[[], tuple[Any, Any]]:
    def make() -> tuple[Any, Any]:
        import transformers

        own = getattr(transformers, config)(**CONVOLUTIONS, **SIZES, **more)
        prepare = transformers.Wav2Vec2FeatureExtractor(do_normalize="feat_extract_norm" in more)
        return getattr(transformers, model)(own), prepare

    return make


def _whisper() -> tuple[Any, Any]:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    config = WhisperConfig(
        d_model=16,
        encoder_layers=3,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        num_mel_bins=80,
        max_source_positions=50,
        vocab_size=12,
        max_target_positions=4,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=1,
    )
    return WhisperModel(config), WhisperFeatureExtractor()


LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = "the film was really good bad and so it goes on".split()


def _bert() -> tuple[Any, Any]:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    numbers = {t: k for k, t in enumerate(dict.fromkeys([*special, *WORDS, *LETTERS, *(f"##{c}" for c in LETTERS)]))}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = BertConfig(vocab_size=len(numbers), max_position_embeddings=24, **SIZES)
    names = {f"{t.strip('[]').lower()}_token": t for t in special}
    return BertModel(config), BertTokenizerFast(tokenizer_object=tokenizer, **names)


def _roberta() -> tuple[Any, Any]:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    numbers = {t: k for k, t in enumerate([*special, *letters, "Ġt", "he", "Ġthe", "oo"])}
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("o", "o")]
    tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special))
    config = RobertaConfig(vocab_size=len(numbers), max_position_embeddings=40, pad_token_id=1, **SIZES)
    wrapped = RobertaTokenizerFast(tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", **names)
    return RobertaModel(config), wrapped


def _deberta() -> tuple[Any, Any]:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import DebertaV2Config, DebertaV2Model, PreTrainedTokenizerFast

    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    pieces = [*special, *(f"▁{w}" for w in WORDS), "▁", *LETTERS, ".", ","]
    tokenizer = Tokenizer(models.Unigram([(p, -1.0 - 0.1 * k) for k, p in enumerate(pieces)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = {f"{t.strip('[]').lower()}_token": t for t in special}
    config = DebertaV2Config(
        vocab_size=len(pieces),
        max_position_embeddings=24,
        relative_attention=True,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        conv_kernel_size=3,
        conv_act="gelu",
        **SIZES,
    )
    return DebertaV2Model(config), PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


_MAKERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "clip": _clip,
    "siglip": _siglip,
    "dinov2": _dinov2,
    "vit": _vit,
    "wavlm": _convolutional("WavLMModel", "WavLMConfig"),
    "wavlm-large": _convolutional("WavLMModel", "WavLMConfig", **STABLE),
    "hubert": _convolutional("HubertModel", "HubertConfig"),
    "hubert-large": _convolutional("HubertModel", "HubertConfig", **STABLE),
    "wav2vec2": _convolutional("Wav2Vec2Model", "Wav2Vec2Config"),
    "wav2vec2-large": _convolutional("Wav2Vec2Model", "Wav2Vec2Config", **STABLE),
    "whisper": _whisper,
    "bert": _bert,
    "roberta": _roberta,
    "deberta-v2": _deberta,
}
