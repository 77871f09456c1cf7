"""A tiny BERT that knows nothing: for made-up data, for tests and for trying a command without a download."""

import string
from pathlib import Path

from modashift.cache import provide

__all__ = ["tiny_backbone"]

SIZES = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 256}


def tiny_backbone() -> Path:
    """Folder of a BERT of 4 layers of 128 with random weights, the same every time; made on first use and cached.

    Its vocabulary holds the words of the made-up data sets (`modashift.data.synthetic.VALENCES`), letters, digits and
    punctuation: other words are spelt. It has 0.6 million parameters, and a run on the made-up data takes seconds.

    Raises:
        DataError: the cache folder cannot be written.
    """
    return provide("tiny-1", _write)


def _write(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from modashift.data.synthetic import VALENCES

    special = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    letters = string.ascii_lowercase + string.digits
    pieces = [*special.values(), *VALENCES, *letters, *string.punctuation, *(f"##{c}" for c in letters)]
    numbers = {piece: k for k, piece in enumerate(dict.fromkeys(pieces))}  # "a" is a word and a letter
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(piece, numbers[piece]) for piece in ("[CLS]", "[SEP]")]
    )
    BertTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertModel(BertConfig(vocab_size=len(numbers), **SIZES), add_pooling_layer=True)
    model.save_pretrained(folder)
