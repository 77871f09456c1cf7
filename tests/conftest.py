"""Fixtures and settings shared by all tests."""

import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

RESEARCH_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

WORDS = (
    "the a it movie was film really good great awful bad boring lovely story actor not very i he she they and but so "
    "plot scene hat blue table walk fine nice poor terrible wonderful dull un ##believ ##able ##ly ##s ##ing"
).split()


@pytest.fixture(scope="session")
def mosi() -> Path:
    """Folder of the CMU-MOSI research files; the test is skipped where they are absent."""
    folder = RESEARCH_DATA / "mosi"
    if not folder.is_dir():
        pytest.skip(f"research data not present at {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_config() -> dict[str, Any]:
    """Configuration of a BERT small enough for a unit test."""
    return {
        "model_type": "bert",
        "vocab_size": 5 + len(WORDS) + 26,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    }


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory, tiny_config: dict[str, Any]) -> str:
    """Folder of a tiny BERT with random weights and a word-piece tokenizer, as transformers saves them."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, BertTokenizerFast

    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *WORDS,
        *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
    ]
    numbers = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path_factory.mktemp("backbone")
    BertTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    torch.manual_seed(0)
    settings = {k: v for k, v in tiny_config.items() if k != "model_type"}
    AutoModel.from_config(AutoConfig.for_model("bert", **settings)).save_pretrained(folder)
    return str(folder)
