"""Encoders that need no hub: their folders, their cache, their shapes."""

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modashift.data import fetch
from modashift.encoders import packaged as module
from modashift.encoders.packaged import MODALITIES, PACKAGED, load_packaged, packaged_encoder
from modashift.errors import DataError, ModashiftError

Made = Callable[[str], Path]
SHAPES = {"whisper-tiny.en": (4, 384, 1500), "mediapipe-face": (19, 128, 1), "random-vit": (6, 192, 197)}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def made_input(name: str, folder: Path) -> dict[str, Any]:
    """What the encoder's own preprocessor makes of a second of noise or of a small picture."""
    from transformers import AutoFeatureExtractor, AutoImageProcessor

    random = np.random.default_rng(0)
    if MODALITIES[name] == "acoustic":
        sound = random.normal(0, 0.1, 16_000).astype(np.float32)
        return dict(AutoFeatureExtractor.from_pretrained(folder)(sound, sampling_rate=16_000, return_tensors="pt"))
    picture = random.integers(0, 256, (90, 70, 3), dtype=np.uint8)
    return dict(AutoImageProcessor.from_pretrained(folder)([picture], return_tensors="pt"))


def test_every_encoder_is_described() -> None:
    assert set(PACKAGED) == set(MODALITIES) == set(SHAPES)
    assert "RANDOM" in PACKAGED["random-vit"]
    assert not any("\n" in line for line in PACKAGED.values())


@pytest.mark.parametrize("name", SHAPES)
def test_folder_loads_and_answers_with_all_layers(name: str, packaged: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = packaged(name)
    assert {"config.json", "model.safetensors", "preprocessor_config.json"} <= {p.name for p in folder.iterdir()}

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network must not be asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    model = load_packaged(name)
    layers, size, steps = SHAPES[name]
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (layers, size)
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    with torch.inference_mode():
        states = model(**made_input(name, folder), output_hidden_states=True).hidden_states
    assert [tuple(state.shape) for state in states] == [(1, steps, size)] * (layers + 1)
    assert all(torch.isfinite(state).all() for state in states)


def test_made_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = packaged_encoder("random-vit")
    assert folder.parent == cache
    monkeypatch.setitem(module._RECIPES, "random-vit", ("seed0", lambda _: pytest.fail("made again")))
    assert packaged_encoder("random-vit") == folder


def test_random_is_the_same_every_time_and_leaves_the_seed_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    first = (packaged_encoder("random-vit") / "model.safetensors").read_bytes()
    assert torch.equal(torch.rand(4), wanted)
    monkeypatch.setenv("MODASHIFT_CACHE", str(cache / "other"))
    assert (packaged_encoder("random-vit") / "model.safetensors").read_bytes() == first


def test_unknown_name(cache: Path) -> None:
    with pytest.raises(ModashiftError, match=r"no encoder named 'clip'.*whisper-tiny\.en, mediapipe-face, random-vit"):
        packaged_encoder("clip")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("name", "remedy"), [("whisper-tiny.en", "fetch whisper --source"), ("mediapipe-face", "landmarker --source")]
)
def test_without_network(name: str, remedy: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no route to host")

    monkeypatch.setattr(fetch.subprocess, "run", offline)
    with pytest.raises(DataError, match=f"no route to host.*{remedy}"):
        packaged_encoder(name)
    assert [path for path in cache.iterdir() if not path.name.endswith(".lock")] == []


def test_without_pillow(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import ViTImageProcessorPil

    def absent(*_: object, **__: object) -> None:
        raise ImportError("ViTImageProcessorPil requires the PIL library")

    monkeypatch.setattr(ViTImageProcessorPil, "__init__", absent)
    with pytest.raises(ModashiftError, match=r"need Pillow: pip install \"modashift\[extract\]\""):
        packaged_encoder("random-vit")
    assert not list(cache.glob("encoder-*"))


def test_whisper_folder_holds_no_decoder(packaged: Made) -> None:
    from safetensors import safe_open

    folder = packaged("whisper-tiny.en")
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["WhisperEncoder"]
    assert config["decoder_layers"] == 0
    with safe_open(folder / "model.safetensors", "np") as file:
        assert not [name for name in file.keys() if "decoder" in name]  # noqa: SIM118 (this object is no dict)
