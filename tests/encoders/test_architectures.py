"""Our hidden states of every architecture against transformers' own, and against its blocks where a norm follows."""

import numpy as np
import pytest
import torch

from made_encoders import random_model, save_encoder
from modashift.encoders.load import load_encoder

PICTURES = [np.random.default_rng(k).integers(0, 256, (20 + k, 24, 3), dtype=np.uint8) for k in range(3)]
SOUND = (0.1 * np.random.default_rng(7).normal(size=9_000)).astype(np.float32)
TEXTS = [["the", "film", "was"], ["really", "goood", "and", "so", "it", "goes"], [], ["bad"]]
NORMED = {"siglip", "dinov2", "vit", "wavlm-large", "hubert-large", "wav2vec2-large", "whisper"}
"""Models that norm what leaves their last block before they give it out."""


def block_outputs(model, run):
    """Output of every block, caught by hooks of our own; transformers' hidden states; and what the model gives out."""
    caught = []
    blocks = next(m for n, m in model.named_modules() if n.split(".")[-1] in {"layer", "layers"} and len(m) == 3)
    for block in blocks:
        block.register_forward_hook(
            lambda _m, _a, out: caught.append((out if isinstance(out, torch.Tensor) else out[0]).clone())
        )
    with torch.no_grad():
        given = run(model)
    return caught, list(given.hidden_states), given.last_hidden_state


def compare(kind, ours, caught, hidden, last):
    """Layers 0 to 3 (T, 4, H) are transformers' own, and the last is that of the last block, before a norm."""
    assert len(caught) == 3
    for number, state in enumerate([*hidden[:3], caught[-1]]):
        np.testing.assert_allclose(ours[:, number], state, atol=2e-5, rtol=1e-4, err_msg=f"{kind}, layer {number}")
    assert not np.allclose(ours[:, 1], ours[:, 2], atol=1e-2)  # else order would not show
    assert np.allclose(ours[:, 3], last, atol=1e-3) != (kind in NORMED)


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2", "vit"])
def test_pictures(kind, tmp_path):
    encoder = load_encoder(str(save_encoder(kind, tmp_path / "m")), "visual", "0-3")
    ours = encoder.states(PICTURES)
    model, prepare = random_model(kind)
    tower = getattr(model, "vision_model", model)
    ready = prepare(images=PICTURES, return_tensors="pt")
    caught, hidden, last = block_outputs(tower, lambda m: m(**ready, output_hidden_states=True))

    def of_picture(state):
        return state.mean(1) if kind == "siglip" else state[:, 0]

    compare(kind, ours, [of_picture(s) for s in caught], [of_picture(s) for s in hidden], of_picture(last))
    assert ours.shape == (3, 4, 16)
    assert encoder.columns(3.0).layers == (0, 1, 2, 3)


@pytest.mark.parametrize(
    "kind", ["wavlm", "wavlm-large", "hubert", "hubert-large", "wav2vec2", "wav2vec2-large", "whisper"]
)
def test_speech(kind, tmp_path):
    encoder = load_encoder(str(save_encoder(kind, tmp_path / "m")), "acoustic", "0-3")
    (part,) = encoder.states(SOUND)
    model, prepare = random_model(kind)
    if kind == "whisper":
        model = model.encoder
        ready = prepare(SOUND, sampling_rate=16_000, return_tensors="pt", max_length=16_000)
    else:
        ready = prepare(SOUND, sampling_rate=16_000, return_tensors="pt")
        ready = {"input_values": ready["input_values"]}
    caught, hidden, last = block_outputs(model, lambda m: m(**ready, output_hidden_states=True))
    steps = len(part.times)
    assert steps == (29 if kind == "whisper" else 27)  # ⌈9000 / 320⌉, or ⌊(9000 − 400) / 320⌋ + 1
    if kind == "whisper":
        assert hidden[0].shape[1] == 50  # its second of silence is cut off
    else:
        assert hidden[0].shape[1] == steps
    compare(kind, part.values, [s[0, :steps] for s in caught], [s[0, :steps] for s in hidden], last[0, :steps])
    first = 0.0 if kind == "whisper" else 0.0125
    np.testing.assert_allclose(part.times, first + 0.02 * np.arange(steps))


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2"])
def test_texts(kind, tmp_path):
    encoder = load_encoder(str(save_encoder(kind, tmp_path / "m")), "linguistic", "0-3")
    found = encoder.states(TEXTS)
    model, tokenizer = random_model(kind)
    assert len(found[2].values) == 0
    for words, own in zip(TEXTS, found):
        if not words:
            continue
        ready = tokenizer(" ".join(words), return_tensors="pt", return_special_tokens_mask=True)
        special = ready.pop("special_tokens_mask")[0].bool()
        ready = {key: ready[key] for key in ("input_ids", "attention_mask")}
        with torch.no_grad():
            hidden = model(**ready, output_hidden_states=True).hidden_states
        for number in range(4):
            np.testing.assert_allclose(own.values[:, number], hidden[number][0], atol=2e-5, rtol=1e-4)
        assert np.array_equal(own.special, special)
        assert own.special[[0, -1]].all()
        pieces = tokenizer.convert_ids_to_tokens(ready["input_ids"][0].tolist())
        for place, word in enumerate(words):
            said = "".join(p for p, w, s in zip(pieces, own.words, own.special) if w == place and not s)
            assert said.replace("##", "").strip("Ġ▁") == word
        assert own.words[0] == 0
        assert own.words[-1] == len(words) - 1


@pytest.mark.parametrize(
    ("kind", "modality"), [("clip", "visual"), ("wavlm-large", "acoustic"), ("deberta-v2", "linguistic")]
)
@pytest.mark.parametrize("layers", [(0,), (1,), (2,), (3,), (1, 3)])
def test_layers_chosen_are_those_of_all(kind, modality, layers, tmp_path):
    folder = str(save_encoder(kind, tmp_path / "m"))

    def states(wanted):
        encoder = load_encoder(folder, modality, wanted)
        if modality == "visual":
            return encoder.states(PICTURES), encoder
        if modality == "acoustic":
            return next(encoder.states(SOUND)).values, encoder
        return encoder.states(TEXTS)[1].values, encoder

    whole, _ = states([0, 1, 2, 3])
    some, encoder = states(list(layers))
    np.testing.assert_allclose(some, whole[:, list(layers)], atol=1e-6)
    kept = sum(1 for n, _ in encoder._model.named_modules() if n.split(".")[-2:-1] in (["layers"], ["layer"]))
    assert kept == min(layers[-1] + 1, 3)  # blocks behind the deepest are not held
