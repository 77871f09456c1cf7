"""Recordings to stores of hidden states, interrupted and continued, and from there to a trained model's score."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from made_batches import Inline
from made_encoders import save_encoder
from made_media import make, tone
from modashift.__main__ import main, normalised
from modashift.data.open import open_dataset
from modashift.data.states import StateColumns
from modashift.encoders import load
from modashift.errors import DataError, ModashiftError
from modashift.extract import cli, stages
from modashift.extract.clip_file import read_clip
from modashift.extract.options import ExtractOptions, recipe

SAID = ["it was good", "bad and awful", "great the film", "so it goes", "good the film", "it was bad"]


class Finder:
    """A face in the middle of every picture that is not dark."""

    def faces(self, picture):
        if picture.mean() < 60:
            return []
        points = np.zeros((478, 3), np.float32)
        points[:, 0], points[:, 1] = np.linspace(0.3, 0.7, 478), np.linspace(0.2, 0.8, 478)
        return [SimpleNamespace(landmarks=points)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No face landmarker, and no worker processes."""
    monkeypatch.setattr(stages, "_landmarker", Finder)
    monkeypatch.setattr(cli, "_engine", lambda *_: Inline())


def recording(path: Path, said: str, seed: int) -> Path:
    """1.5 s of noise over a hum and of pictures that flicker, the first fifth of them dark; words with times beside."""
    rng = np.random.default_rng(seed)
    sound = tone(1.5, 16_000, 150 + 40 * seed) + 0.05 * rng.normal(size=(24_000, 1)).astype(np.float32)
    images = [np.full((48, 64, 3), 10 if k < 3 else 90 + 10 * (k + seed) % 100, np.uint8) for k in range(15)]
    make(path, sound=sound, images=images, fps=10)
    words = [[w, 0.1 + 0.4 * k, 0.45 + 0.4 * k] for k, w in enumerate(said.split())]
    path.with_suffix(".json").write_text(json.dumps(words))
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for k, said in enumerate(SAID):
        recording(folder / f"c{k}.mkv", said, k)
    return folder


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    kinds = {"visual": "clip", "acoustic": "wavlm-large", "linguistic": "bert"}
    return {modality: str(save_encoder(kind, folder / kind)) for modality, kind in kinds.items()}


def extract(*arguments):
    cli.extract(normalised([str(a) for a in arguments]))


def options(encoders):
    return [part for modality, folder in encoders.items() for part in (f"--{modality}", folder)]


def test_all_layers_of_three_encoders_in_one_pass(clips, encoders, tmp_path):
    out = tmp_path / "x.store"
    extract(clips, "--out", out, *options(encoders), "--alignment", "frame")
    found = open_dataset(out)
    assert list(found.features) == ["linguistic", "visual", "acoustic"]
    for modality, feature in found.features.items():
        assert feature.values.dtype == np.float16
        assert feature.alignment == "frame"
        assert isinstance(feature.columns, StateColumns)
        assert feature.columns.layers == (1, 2, 3)
        assert feature.columns.encoder.startswith(f"{encoders[modality]}#")
        assert feature.dim == 3 * 16
    assert list(found.features["acoustic"].lengths) == [8] * 6  # 74 states at 50 a second, one in ten
    assert list(found.features["visual"].lengths) == [4] * 6  # 5 pictures at 3 a second, the first dark
    clip = read_clip(tmp_path / "x.store.clips" / "c1.clip.safetensors").clip
    assert clip.features["visual"].mask.tolist() == [False, True, True, True, True]
    assert found.features["linguistic"].lengths[1] == len(clip.features["linguistic"].values)
    line = json.loads((tmp_path / "x.store.clips" / "manifest.jsonl").read_text().splitlines()[0])
    assert line["status"] == "ok"
    assert set(line["seconds"]) == {"decode", "words", "face", "acoustic", "linguistic"}
    assert not (tmp_path / "x.store.clips" / ".scratch").exists()


def test_states_on_words_are_for_models_that_align(clips, encoders, tmp_path):
    out = tmp_path / "x.store"
    extract(clips, "--out", out, *options(encoders), "--layers", "{visual: 2, acoustic: '1,3'}")
    found = open_dataset(out)
    sizes = {m: (f.alignment, f.columns.layers, f.values.dtype) for m, f in found.features.items()}
    assert sizes == {
        "linguistic": ("frame", (1, 2, 3), np.float16),
        "visual": ("word", (2,), np.float16),
        "acoustic": ("word", (1, 3), np.float16),
    }
    assert list(found.features["acoustic"].lengths) == [3] * 6


def test_an_interrupted_extraction_continues_and_ends_the_same(clips, encoders, tmp_path, monkeypatch, capsys):
    arguments = [*options(encoders), "--alignment", "frame", "--layers", "last"]
    extract(clips, "--out", tmp_path / "whole.store", *arguments)
    real = stages.encode_sound
    calls = []

    def killed(*given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(stages, "encode_sound", killed)
    with pytest.raises(KeyboardInterrupt):
        extract(clips, "--out", tmp_path / "cut.store", *arguments)
    assert not (tmp_path / "cut.store").exists()
    capsys.readouterr()
    extract(clips, "--out", tmp_path / "cut.store", *arguments)
    assert "2 were there" in capsys.readouterr().out
    assert len(calls) == 7  # two, the interrupted one, and four more
    for k in range(6):
        name = f"c{k}.clip.safetensors"
        one, two = (tmp_path / f"{s}.store.clips" / name for s in ("whole", "cut"))
        assert one.read_bytes() == two.read_bytes()
    arrays = [(tmp_path / f"{s}.store" / "arrays.safetensors").read_bytes() for s in ("whole", "cut")]
    assert arrays[0] == arrays[1]


def test_what_states_depend_on_is_in_the_recipe(clips, encoders, tmp_path):
    path = clips / "c0.mkv"
    usual = {"acoustic": encoders["acoustic"], "visual": None}
    base = recipe(path, ExtractOptions(**usual))
    assert base["encoders"]["acoustic"]["layers"] == [1, 2, 3]
    assert len(base["encoders"]["acoustic"]["weights"]) == 64
    for change in ({"layers": "1,2"}, {"sound_rate": 10.0}, {"sound_rate": None}, {"precision": "bf16"}):
        assert recipe(path, ExtractOptions(**usual, **change)) != base
    assert recipe(path, ExtractOptions(**usual, layers=[3, 2, 1], device="cpu")) == base  # the same asked for otherwise
    from safetensors.torch import load_file, save_file

    other = tmp_path / "m"
    save_encoder("wavlm-large", other)
    weights = load_file(other / "model.safetensors")
    weights["encoder.layer_norm.bias"] += 1
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    from modashift.encoders.sources import find

    assert find(str(other), "acoustic").weights != find(encoders["acoustic"], "acoustic").weights
    plain = recipe(path, ExtractOptions())
    assert set(plain) == {"options", "transcript", "segments"}  # as before there were encoders, so that stores go on
    assert set(plain["options"]) == set("visual acoustic words asr picture_rate max_side cutting".split())
    assert (plain["options"]["picture_rate"], plain["options"]["max_side"]) == (15.0, 640)


def test_rates_and_sizes_have_defaults_of_their_own(encoders):
    assert ExtractOptions().picture_rate == 15.0
    encoded = ExtractOptions(visual=encoders["visual"])
    assert (encoded.picture_rate, encoded.max_side, encoded.sound_rate) == (3.0, 1280, 5.0)
    assert ExtractOptions(visual=encoders["visual"], picture_rate=None).picture_rate is None
    named = ExtractOptions(visual="clip-vit-l14@10", acoustic="wavlm-large@all")
    assert (named.visual, named.picture_rate) == ("clip-vit-l14", 10.0)
    assert (named.acoustic, named.sound_rate) == ("wavlm-large", None)
    with pytest.raises(DataError, match="names a rate, and picture_rate is 4"):
        ExtractOptions(visual="clip-vit-l14@10", picture_rate=4.0)
    with pytest.raises(DataError, match="words none finds none"):
        ExtractOptions(linguistic="minilm", words="none")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--acoustic", "clip-vit-l14"], "an encoder of pictures, not of speech"),
        (["--visual", "smile"], "visual 'smile' is not one of face, action-units"),
        (["--acoustic", "tiny-speech", "--layers", "9"], "tiny-speech has layers 1 to 3"),
        (["--acoustic", "tiny-speech", "--device", "cuda:7"], "such devices here"),
        (["--acoustic", "tiny-speech", "--device", "abacus"], "not one of auto, cpu"),
        (["--acoustic", "wavlm-large"], "give its path instead of the name"),
    ],
)
def test_what_cannot_be_is_said_before_the_work(clips, tmp_path, given, message, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ModashiftError, match=message):
        extract(clips, "--out", tmp_path / "x.store", *given)
    assert not (tmp_path / "x.store.clips").exists()


def test_processes_are_as_many_as_fit(encoders, monkeypatch):
    from modashift.encoders import memory

    monkeypatch.setattr(memory, "_free", lambda: 5.0 * memory.GIGABYTE)
    assert memory.processes_that_fit({"acoustic": encoders["acoustic"]}, "cpu", 16) == 4
    assert memory.processes_that_fit({"acoustic": encoders["acoustic"]}, "cpu", 2) == 2
    monkeypatch.setattr(memory, "_free", lambda: 1.0)
    assert memory.processes_that_fit({"acoustic": encoders["acoustic"]}, "cpu", 16) == 1
    monkeypatch.undo()
    assert memory._free() > 0


def train(model, store, run, *more):
    arguments = f"train {model} --data {store} --run {run} --epochs 1 --batch-size 2 --device cpu"
    assert main([*arguments.split(), "--tensorboard", "false", *more]) == 0


@pytest.fixture(scope="module")
def labelled(clips):
    path = clips / "labels.csv"
    path.write_text(
        "name,label,split\n" + "".join(f"c{k},{k / 2 - 1},{'train' if k < 4 else 'dev'}\n" for k in range(6))
    )
    return path


def predicted(capsys, run, clip, *more):
    capsys.readouterr()
    assert main(["predict", str(run), str(clip), "--format", "json", "--device", "cpu", *more]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def in_process(monkeypatch):
    """What `modashift predict` hands to its process that reads recordings is done here, and remembered."""
    from modashift.serve import extractor, worker

    asked = []

    def start(self, wanted):
        self.pending = wanted

    def finish(self, progress=None):
        wanted, self.pending = self.pending, None
        if extractor._is_clip_file(wanted.path):
            return extractor.Recorded(extractor._stored(wanted), extractor.Illustration())
        import tempfile

        asked.append(wanted)
        with tempfile.TemporaryDirectory() as folder:
            request = {**vars(wanted), "path": str(wanted.path), "out": folder, "transcript": None}
            answers = []
            worker.handle(request, answers.append)
            assert answers[-1] == {"ok": True}
            clip = read_clip(Path(folder) / "clip").clip
        return extractor.Recorded(clip, extractor.Illustration())

    monkeypatch.setattr(extractor.Extractor, "start", start)
    monkeypatch.setattr(extractor.Extractor, "finish", finish)
    return asked


@pytest.mark.slow
def test_cmsbert_clr_on_states_aligned_to_words_scores_a_new_recording(
    clips, encoders, labelled, tiny_backbone, tmp_path, capsys, in_process
):
    out, run = tmp_path / "x.store", tmp_path / "run"
    only = options({m: encoders[m] for m in ("visual", "acoustic")})
    extract(clips, "--out", out, *only, "--labels", labelled, "--sound-rate", "25")
    chosen = ("--layers.visual", "2", "--layers.acoustic", "3", "--backbone", tiny_backbone)
    train("cmsbert-clr", out, run, *chosen)
    found = predicted(capsys, run, recording(tmp_path / "new.mkv", "it was awful", 7))
    (wanted,) = in_process
    assert wanted.layers == {"visual": [2], "acoustic": [3]}
    assert wanted.acoustic.endswith("@25")  # at the rate it was trained on
    assert wanted.linguistic is None
    utterance = found["utterances"][0]
    assert np.isfinite(utterance["score"])
    assert {m["modality"]: m["used"] for m in utterance["modalities"]}["acoustic"]
    # A clip file of an extraction of all layers gives the same score as the recording itself.
    stored = predicted(capsys, run, out.with_name("x.store.clips") / "c2.clip.safetensors")
    direct = predicted(capsys, run, clips / "c2.mkv")
    assert stored["utterances"][0]["score"] == pytest.approx(direct["utterances"][0]["score"], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("alignment", ["frame", "word"])
def test_a_model_that_reads_states_of_words_scores_a_new_recording(
    clips, encoders, labelled, tmp_path, capsys, in_process, alignment
):
    out, run = tmp_path / "x.store", tmp_path / "run"
    extract(clips, "--out", out, *options(encoders), "--labels", labelled, "--alignment", alignment)
    layers = [
        part for m, n in (("visual", 1), ("acoustic", 2), ("linguistic", 3)) for part in (f"--layers.{m}", str(n))
    ]
    train("tfn", out, run, *layers)
    found = predicted(capsys, run, recording(tmp_path / "new.mkv", "it was awful", 7))
    (wanted,) = in_process
    assert wanted.layers == {"visual": [1], "acoustic": [2], "linguistic": [3]}
    assert wanted.linguistic.startswith(encoders["linguistic"])
    utterance = found["utterances"][0]
    effects = [w["effect"] for w in utterance["words"]]
    assert len(effects) == 3
    assert all(e is not None for e in effects)
    assert utterance["modalities"][0]["effect"] is not None
    # The score is what the model makes of the same recording in a store.
    extract(tmp_path / "new.mkv", "--out", tmp_path / "new.store", *options(encoders), "--alignment", alignment)
    from modashift.predictor import load as load_model

    expected = load_model(run).predict_dataset(open_dataset(tmp_path / "new.store"))
    assert utterance["score"] == pytest.approx(float(expected[0]), abs=1e-4)


def test_other_weights_under_the_same_name_are_refused(
    clips, encoders, labelled, tiny_backbone, tmp_path, capsys, in_process
):
    folder = save_encoder("hubert", tmp_path / "m")
    out, run = tmp_path / "x.store", tmp_path / "run"
    extract(clips, "--out", out, "--visual", "none", "--acoustic", folder, "--labels", labelled)
    train("cmsbert", out, run, "--layers.acoustic", "2", "--backbone", tiny_backbone)
    from modashift.encoders import sources

    (folder / "model.safetensors").write_bytes(Path(encoders["acoustic"], "model.safetensors").read_bytes())
    sources._find.cache_clear()
    load._loaded.cache_clear()
    capsys.readouterr()
    assert main(["predict", str(run), str(clips / "c0.mkv"), "--device", "cpu"]) == 2
    assert "is not the one meant by" in capsys.readouterr().err


def test_the_process_that_reads_is_told_encoders_and_layers(monkeypatch, tmp_path):
    import io

    from modashift.serve import extractor, worker

    written = io.StringIO()
    process = SimpleNamespace(stdin=written)
    monkeypatch.setattr(extractor.Extractor, "_running", lambda _: process)
    reader = extractor.Extractor()
    reader.start(
        extractor.Wanted(
            tmp_path / "a.mp4", "a", acoustic="tiny-speech@25", linguistic="tiny-text", layers={"acoustic": [2]}
        )
    )
    reader.folder.cleanup()
    request = json.loads(written.getvalue())
    seen = []
    monkeypatch.setattr(stages, "require", seen.append)
    monkeypatch.setattr("modashift.extract.clip.extract_clip", lambda *_, **__: pytest.fail("enough"))
    with pytest.raises(pytest.fail.Exception, match="enough"):
        worker.handle(request, lambda _: None)
    (given,) = seen
    assert (given.acoustic, given.sound_rate, given.linguistic) == ("tiny-speech", 25.0, "tiny-text")
    assert given.layers == {"acoustic": [2]}
    assert given.visual is None
