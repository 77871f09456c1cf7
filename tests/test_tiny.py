"""The tiny backbone: made without a download, the same every time, and able to read anything."""

import torch

from modashift.backbones import load_backbone
from modashift.cache import cache_folder
from modashift.data.synthetic import VALENCES
from modashift.tiny import SIZES


def test_it_is_the_same_every_time_and_leaves_the_random_generator_alone(tmp_path, monkeypatch):
    states = []
    for folder in ("a", "b"):
        monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / folder))
        torch.manual_seed(7)
        states.append(load_backbone("tiny").state_dict())
        after = torch.rand(1)
        torch.manual_seed(7)
        assert torch.equal(after, torch.rand(1))
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert cache_folder().name == "b"
    assert sum(p.numel() for p in states[0].values()) < 1e6


def test_it_knows_the_words_of_the_made_up_data_and_spells_others(tmp_path, monkeypatch):
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path))
    backbone = load_backbone("tiny")
    assert {k: backbone.config[k] for k in SIZES} == SIZES
    for word in VALENCES:
        assert backbone.tokenizer.tokenize(word) == [word]
    assert backbone.tokenizer.tokenize("So-so, 7!") == ["s", "##o", "-", "s", "##o", ",", "7", "!"]
    ids = backbone.tokenizer("the film")["input_ids"]
    assert backbone.tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "the", "film", "[SEP]"]
