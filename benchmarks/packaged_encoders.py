"""The packaged encoders: are they what their runtimes run, how fast are they, and what do their states know?

    OMP_NUM_THREADS=1 python benchmarks/packaged_encoders.py [--data ../shared/data] [--every 15] [--json FILE]

Whisper's encoder is compared with CTranslate2's own output on RAVDESS clips (every 15th of 720), both in float32, and
both with the same network in float64, which says how much of a difference is rounding. Speed is in processor time of
the whole process, so that it holds on a busy machine.

The networks of pictures are shown faces of 25 GRID clips, every fourth picture. Ridge regression on the states of all
but a fifth of the clips tells the blendshapes of the others (mean R² over those that vary, which says only that the
states hold the movement: mediapipe makes both with one network) and whether somebody speaks by the clips' annotation
(area under the curve); each clip's mean is taken out first, so that neither is a matter of who it is. The exit status
is 1 where more than one of Whisper's states in 10,000 differs by more than 1e-3: at a few positions the attention of
the last layer is so sharp that float32 does not fix the state any better.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modashift.data.fetch import fetch_whisper
from modashift.encoders.faces import crop_face
from modashift.encoders.packaged import load_packaged, packaged_encoder
from modashift.extract.face import Face, Landmarker
from modashift.extract.media import pictures

ALLOWED = 1e-3
RATE = 16_000
Array = NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--every", type=int, default=15, help="one RAVDESS clip in so many")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sounds = sorted((args.data / "ravdess" / "flac16k").glob("*.flac"))[:: args.every]
    clips = sorted((args.data / "grid").glob("*.mpg"))
    if not sounds or not clips:
        print(f"no recordings below {args.data}; give their folder with --data", file=sys.stderr)
        return 2
    report = {"whisper": whisper(sounds), "faces": faces(clips)}
    for name, found in report.items():
        print(name)
        for key, value in found.items():
            print(f"  {key}: {value:.3g}" if isinstance(value, float) else f"  {key}: {value}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    return int(report["whisper"]["states that differ by more than 1e-3"] > 1e-4 * report["whisper"]["states"])


@torch.inference_mode()
def whisper(paths: list[Path]) -> dict[str, Any]:
    """Differences over clips, and speed on a full window and on these clips, each of which is padded to 30 s."""
    import ctranslate2
    import soundfile
    from transformers import AutoFeatureExtractor

    prepare = AutoFeatureExtractor.from_pretrained(packaged_encoder("whisper-tiny.en"))
    encoder, exact = load_packaged("whisper-tiny.en"), load_packaged("whisper-tiny.en").double()
    runtime = ctranslate2.models.Whisper(str(fetch_whisper()), device="cpu", compute_type="float32", intra_threads=1)
    worst = {"runtime": 0.0, "rounding of the runtime": 0.0, "rounding of ours": 0.0}
    seconds, spent, mean, apart, states = 0.0, 0.0, [], 0, 0
    for path in paths:
        sound, _ = soundfile.read(path, dtype="float32")
        begun = time.process_time()
        heard = prepare(sound, sampling_rate=RATE, return_tensors="pt")["input_features"]
        ours = encoder(heard, output_hidden_states=True).last_hidden_state.numpy()
        spent += time.process_time() - begun
        seconds += len(sound) / RATE
        theirs = np.array(runtime.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(heard.numpy()))))
        wanted = exact(heard.double()).last_hidden_state.numpy()
        mean.append(float(np.abs(ours - theirs).mean()))
        apart += int((np.abs(ours - theirs).max(axis=2) > ALLOWED).sum())
        states += ours.shape[1]
        for key, difference in zip(worst, (ours - theirs, theirs - wanted, ours - wanted)):
            worst[key] = max(worst[key], float(np.abs(difference).max()))
    window = np.resize(sound, 30 * RATE)
    begun = time.process_time()
    for _ in range(5):
        heard = prepare(window, sampling_rate=RATE, return_tensors="pt")["input_features"]
        encoder(heard, output_hidden_states=True)
    full = (time.process_time() - begun) / 5
    return {
        "clips": len(paths),
        "states": states,
        "states that differ by more than 1e-3": apart,
        "largest difference from the runtime": worst["runtime"],
        "mean difference from the runtime": float(np.mean(mean)),
        "largest difference of the runtime from float64": worst["rounding of the runtime"],
        "largest difference of ours from float64": worst["rounding of ours"],
        "largest state": float(np.abs(wanted).max()),
        "processor s for 30 s": full,
        "× real time, full windows": 30 / full,
        "× real time, these clips": seconds / spent,
        "mean length of a clip": seconds / len(paths),
    }


@torch.inference_mode()
def faces(clips: list[Path]) -> dict[str, Any]:
    """Speed, and what can be told of a face from each layer."""
    from transformers import AutoImageProcessor

    names = ("mediapipe-face", "random-vit")
    models = {name: load_packaged(name) for name in names}
    prepare = {name: AutoImageProcessor.from_pretrained(packaged_encoder(name)) for name in names}
    states: dict[str, list[Array]] = {name: [] for name in names}
    spent = dict.fromkeys(names, 0.0)
    of, speaks, shapes = [], [], []
    with Landmarker(most_faces=1) as landmarker:
        for number, path in enumerate(clips):
            marked = [line.split() for line in path.with_suffix(".align").read_text().splitlines()]
            words = [(int(a) / 25_000, int(b) / 25_000) for a, b, word in marked if word not in ("sil", "sp")]
            for k, picture in enumerate(pictures(path)):
                found = landmarker.faces(picture.rgb) if k % 4 == 0 else []
                if not found:
                    continue
                of.append(number)
                speaks.append(any(start <= picture.time < end for start, end in words))
                shapes.append(found[0].blendshapes.astype(np.float64))
                for name, model in models.items():
                    margin = getattr(model.config, "face_margin", 0.0)
                    face = crop_face(picture.rgb, Seen(found), margin)
                    begun = time.process_time()
                    ready = prepare[name]([face], return_tensors="pt")
                    layers = model(**ready, output_hidden_states=True).hidden_states
                    spent[name] += time.process_time() - begun
                    states[name].append(np.stack([layer[0, 0].double().numpy() for layer in layers]))
    clip = np.array(of)
    moves = centred(np.array(shapes), clip)
    moves = moves[:, moves.std(0) > 0.02]
    said = np.array(speaks, np.float64)[:, None]
    report: dict[str, Any] = {
        "pictures": len(of),
        "spoken over": float(said.mean()),
        "blendshapes that vary": moves.shape[1],
        "speech from blendshapes": area(told(centred(np.array(shapes), clip), said, clip)[:, 0], said[:, 0]),
    }
    for name in names:
        report[f"{name}: processor ms for a picture"] = 1e3 * spent[name] / len(of)
        every = np.stack(states[name], axis=1)
        scores = []
        for layer in every:
            own = centred(layer, clip)
            left = (told(own, moves, clip) - moves) ** 2
            scores.append((float(1 - (left.sum(0) / (moves**2).sum(0)).mean()), told(own, said, clip)[:, 0]))
        report[f"{name}: R² of blendshapes by layer"] = " ".join(f"{r2:.2f}" for r2, _ in scores)
        report[f"{name}: speech by layer"] = " ".join(f"{area(guess, said[:, 0]):.3f}" for _, guess in scores)
    return report


class Seen:
    """Faces that were found already."""

    def __init__(self, found: list[Face]) -> None:
        self.found = found

    def faces(self, picture: NDArray[np.uint8]) -> list[Face]:
        return self.found


def centred(values: Array, of: NDArray[np.int64]) -> Array:
    """Less the mean of each clip."""
    return np.stack([row - values[of == number].mean(0) for row, number in zip(values, of)])


def told(inputs: Array, wanted: Array, of: NDArray[np.int64], folds: int = 5, strength: float = 100.0) -> Array:
    """What ridge regression on the other clips says, five folds of clips."""
    guess = np.zeros_like(wanted)
    for fold in np.array_split(np.random.default_rng(0).permutation(np.unique(of)), folds):
        held = np.isin(of, fold)
        mean, deviation = inputs[~held].mean(0), inputs[~held].std(0) + 1e-6
        known, asked = ((part - mean) / deviation for part in (inputs[~held], inputs[held]))
        middle = wanted[~held].mean(0)
        solved = np.linalg.solve(
            known.T @ known + strength * np.eye(known.shape[1]), known.T @ (wanted[~held] - middle)
        )
        guess[held] = asked @ solved + middle
    return guess


def area(scores: Array, truth: Array) -> float:
    """Area under the receiver's curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, scores))


if __name__ == "__main__":
    sys.exit(main())
