"""Parameter counts against those the papers' sizes give."""

import pytest
import torch
from transformers import BertConfig

from modashift.models.listing import parameter_counts
from support import build

# BERT-base with pooler has 109,482,240 parameters; on CMU-MOSI a layer's shift has 94,587.
SHIFT = 94_587
CLR = 2_509_824 + 2_592_768 + 3 * 1_181_184 + 5_513_984 + 1_771_009  # LSTMs, projectors, fusion, predictor


@pytest.mark.parametrize(
    ("name", "new"),
    [("bert", 769), ("cmsbert-1", 769 + SHIFT), ("cmsbert", 769 + 12 * SHIFT), ("cmsbert-clr", 12 * SHIFT + CLR)],
)
def test_parameter_counts(name, new):
    total, found = parameter_counts(name, BertConfig().to_dict())
    assert found == new
    assert total - found == 109_482_240 - 590_592  # without pooler, which averaging the tokens does not need


def test_bert_with_pooler_has_the_published_size():
    with torch.device("meta"):
        model = build("bert", BertConfig().to_dict(), pooling="cls")
    assert sum(p.numel() for p in model.parameters()) == 109_482_240 + 769
