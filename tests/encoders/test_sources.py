"""Names, folders, the hub's cache, weights that are others than meant, choice of layers."""

import json
from pathlib import Path

import pytest

from made_encoders import save_encoder
from modashift.encoders import sources
from modashift.encoders.load import load_encoder
from modashift.encoders.names import ALIASES, TINY, absolute, check_name, packaged_names, read_name, write_name
from modashift.encoders.sources import chosen_layers, find
from modashift.errors import ModashiftError


@pytest.mark.parametrize("rate", [None, 3.0, 5.0, 10.0, 2.5])
@pytest.mark.parametrize("mark", ["", "0a1b2c3d"])
@pytest.mark.parametrize("name", ["wavlm-large", "/models/a b/wavlm-v1.0", "org/name", "whisper-tiny.en"])
def test_a_written_name_is_read_again(name, mark, rate):
    for modality in ("visual", "acoustic", "linguistic"):
        found = read_name(write_name(name, mark, modality, rate))
        assert (found.name, found.weights) == (name, mark)
        usual = {"visual": 3.0, "acoustic": 5.0}.get(modality, rate)
        assert found.rate == ("usual" if rate == usual else rate)
        assert found.plain == f"{name}{'#' * bool(mark)}{mark}"


def test_names_are_checked_by_what_they_encode(tmp_path):
    for name, alias in ALIASES.items():
        check_name(name, alias.modality)
    for name, modality in {**TINY, **packaged_names(), "minilm": "linguistic", "org/any": "visual"}.items():
        check_name(name, modality)
    check_name(str(tmp_path), "acoustic")
    check_name("wavlm-large@10", "acoustic")
    with pytest.raises(ModashiftError, match="'wavlm-large' is an encoder of speech, not of pictures"):
        check_name("wavlm-large", "visual")
    with pytest.raises(ModashiftError, match="'wavlm-lrge' is not one of wavlm-large"):
        check_name("wavlm-lrge", "acoustic")
    with pytest.raises(ModashiftError, match="is not one of covarep, egemaps"):
        check_name("zzz", "acoustic", ("covarep", "egemaps"))


def test_folders_are_known_by_their_whole_path(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "minilm").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute("mine#01234567@10") == f"{tmp_path}/mine#01234567@10"
    assert absolute("minilm") == "minilm"  # a short name comes first
    assert absolute("./minilm") == f"{tmp_path}/minilm"
    assert absolute("org/name") == "org/name"


def test_aliases_name_models_of_the_size_that_is_said():
    assert ALIASES["clip-vit-l14"].hub == "openai/clip-vit-large-patch14"
    assert ALIASES["wavlm-large"].hub == "microsoft/wavlm-large"
    assert ALIASES["bert-large"].hub == "bert-large-uncased"
    assert {(ALIASES[n].layers, ALIASES[n].size) for n in ("clip-vit-l14", "wavlm-large", "bert-large")} == {(24, 1024)}


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ("all", (1, 2, 3, 4)),
        ("last", (4,)),
        ("2,1", (1, 2)),
        ("0-2,4", (0, 1, 2, 4)),
        (3, (3,)),
        ([4, 2, 2], (2, 4)),
        ({"acoustic": "last", "visual": 1}, (4,)),
        ({"visual": 1}, (1, 2, 3, 4)),
    ],
)
def test_layers_may_be_said_in_many_ways(given, numbers):
    assert chosen_layers(given, "acoustic", 4, "x") == numbers


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("5", "x has layers 1 to 4, and 0"),
        ("-1", "not readable"),
        ("first", "not readable"),
        ([], "x has layers 1 to 4"),
        ({"voice": 1}, "voice is no modality"),
    ],
)
def test_layers_that_are_not_there_are_refused(given, message):
    with pytest.raises(ModashiftError, match=message):
        chosen_layers(given, "acoustic", 4, "x")


def test_a_folder_says_what_it_is_and_is_marked_by_its_weights(tmp_path):
    folder = save_encoder("clip", tmp_path / "m")
    source = find(str(folder), "visual")
    assert (source.model_type, source.depth, source.size, source.fixed) == ("clip", 3, 16, False)
    assert source.name == str(folder)
    assert len(source.mark) == 8
    assert source.weights.startswith(source.mark)
    written = write_name(source.name, source.mark, "visual", 3.0)
    assert find(written, "visual") == source
    with pytest.raises(ModashiftError, match=r"not the one meant by .*#00000000"):
        find(f"{folder}#00000000", "visual")
    with pytest.raises(ModashiftError, match="is a clip of transformers, no encoder of speech: WavLM"):
        find(str(folder), "acoustic")


def test_what_is_no_whole_model_is_refused(tmp_path):
    with pytest.raises(ModashiftError, match=r"is no encoder as transformers saves it .*config\.json"):
        find(str(tmp_path), "visual")
    folder = save_encoder("vit", tmp_path / "a")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModashiftError, match="holds no weights"):
        find(str(folder), "visual")
    folder = save_encoder("vit", tmp_path / "b")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModashiftError, match="does not say how pictures are made ready"):
        load_encoder(str(folder), "visual")


def test_weights_that_are_missing_are_not_made_up(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = save_encoder("wavlm", tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layers.1.attention.q_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModashiftError, match=r"lack 1 that WavLMModel needs \(encoder\.layers\.1"):
        load_encoder(str(folder), "acoustic")


def test_weights_in_parts_are_read_and_marked_together(tmp_path):
    from made_encoders import random_model

    model, prepare = random_model("vit")
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    prepare.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors.index.json").is_file()
    source = find(str(tmp_path), "visual")
    assert len(source.weights) == 64
    assert source.parameters_bytes > 20_000
    load_encoder(str(tmp_path), "visual")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's cache with nothing in it; returns a function that puts a model there as a download would."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    sources._find.cache_clear()

    def put(name: str, kind: str) -> Path:
        root = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text("abc")
        return save_encoder(kind, root / "snapshots" / "abc")

    yield put
    sources._find.cache_clear()


def test_a_model_in_the_cache_of_the_hub_is_taken_without_network(hub):
    folder = hub("microsoft/wavlm-large", "wavlm-large")
    source = find("wavlm-large", "acoustic")
    assert source.folder == folder
    assert (source.name, source.mark) == ("wavlm-large", "")  # the name says which weights
    hub("somebody/encoder", "vit")
    assert len(find("somebody/encoder", "visual").mark) == 8


def test_without_network_the_folder_is_named_as_the_way_out(hub):
    with pytest.raises(
        ModashiftError,
        match=r"openai/clip-vit-large-patch14 \(clip-vit-l14\) is not on this machine and cannot be fetched.*"
        r"hf download openai/clip-vit-large-patch14 --local-dir FOLDER.*give its path",
    ):
        find("clip-vit-l14", "visual")


def test_a_download_takes_one_set_of_weights_and_the_small_files(hub, tmp_path, monkeypatch):
    import huggingface_hub

    asked = []
    real = huggingface_hub.snapshot_download

    def download(name, allow_patterns=None, local_files_only=False):
        if local_files_only:
            return real(name, local_files_only=True)
        asked.append(allow_patterns)
        return str(save_encoder("bert", tmp_path / "downloaded"))

    class Api:
        def list_repo_files(self, _name):
            return ["config.json", "model.safetensors", "pytorch_model.bin", "flax_model.msgpack", "vocab.txt"]

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert find("bert-large", "linguistic").depth == 3
    assert asked == [["*.json", "*.txt", "*.model", "model.safetensors"]]


def test_facts_name_weights_and_settings(tmp_path):
    folder = save_encoder("vit", tmp_path / "m")
    before = find(str(folder), "visual").facts()
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["image_mean"] = [0.1, 0.2, 0.3]
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    after = find(str(folder), "visual").facts()
    assert before["weights"] == after["weights"]
    assert before["settings"] != after["settings"]  # other means make other states


def test_the_command_lists_encoders_with_their_modality(capsys):
    from modashift.__main__ import main

    assert main(["features", "--encoders", "--json"]) == 0
    shown = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert set(shown) == {*ALIASES, *TINY, *packaged_names(), "minilm"}
    assert shown["wavlm-large"]["modality"] == "acoustic"
    assert (shown["wavlm-large"]["layers"], shown["wavlm-large"]["size"]) == (24, 1024)
    assert "RANDOM" in shown["tiny-text"]["source"]
    assert main(["features"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in (*shown, "covarep", "face"))
