"""Do the 74 acoustic features hold emotion? Linear probes on acted speech, one actor left out at a time.

    python benchmarks/ravdess_probe.py [--data ../shared/data/ravdess] [--processes 2] [--cache runs/ravdess.npz]

RAVDESS (Livingstone and Russo 2018): two sentences without sentiment, spoken in eight emotions. Each clip becomes one
vector: mean and deviation of every column over its frames (over voiced frames, for what only voiced speech has), and
where "quantiles" is said, the quantiles .1, .25, .5, .75 and .9 as well; or the mean activity of facial action units. A
logistic regression (C = 0.1 for all) is trained on all actors but one; columns are standardised by the training actors.
In the second number each actor's columns are first standardised by that actor's own clips, which needs no labels but
all his clips.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score

from modashift.extract.covarep import NAMES

VOICED_ONLY = ("F0", "NAQ", "QOQ", "H1H2", "PSP", "MDQ", "peakSlope", "Rd", "Rd_conf")


def moments(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean and deviation of each column over its finite entries; zero where there is none."""
    kept = finite(frames)
    return np.concatenate([np.nanmean(kept, 0), np.nanstd(kept, 0)])


def quantiles(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Five quantiles of each column over its finite entries; zero where there is none."""
    return np.nanpercentile(finite(frames), (10, 25, 50, 75, 90), axis=0).ravel()


def finite(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN for what is not finite, zeros for a column (or a clip) without anything that is."""
    if not len(frames):
        return np.zeros((1, frames.shape[1]))
    kept = np.where(np.isfinite(frames), frames, np.nan)
    return np.where(np.isfinite(kept).any(0), kept, 0.0)


def mfcc(signal: NDArray[np.float64], rate: int, count: int = 13, bands: int = 40) -> NDArray[np.float64]:
    """Mel-frequency cepstral coefficients (frames, count): 25 ms Hamming windows every 10 ms."""
    length, hop, size = round(0.025 * rate), round(0.01 * rate), 512
    starts = np.arange(0, max(1, len(signal) - length + 1), hop)
    frames = np.stack([signal[s : s + length] for s in starts]) * np.hamming(length)
    power = np.abs(np.fft.rfft(frames, size)) ** 2
    edges = 700 * (np.exp(np.linspace(0, 1127 * np.log1p(rate / 1400), bands + 2) / 1127) - 1)
    bins = np.arange(size // 2 + 1) * rate / size
    rising = (bins - edges[:-2, None]) / (edges[1:-1, None] - edges[:-2, None])
    falling = (edges[2:, None] - bins) / (edges[2:, None] - edges[1:-1, None])
    filters = np.maximum(0, np.minimum(rising, falling))
    coefficients: NDArray[np.float64] = scipy.fft.dct(np.log(power @ filters.T + 1e-10), norm="ortho")[:, :count]
    return coefficients


def frames_of(path: str) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """The 74 features and the cepstral coefficients of one clip, and its length in seconds."""
    import soundfile

    from modashift.extract.covarep import covarep

    signal, rate = soundfile.read(path)
    values = covarep(signal, rate, compat=False).values.astype(np.float32)
    return values, mfcc(np.asarray(signal, dtype=np.float64), rate).astype(np.float32), len(signal) / rate


def all_frames(clips: list[Path], cache: Path, processes: int) -> tuple[list[NDArray], list[NDArray]]:
    """Features and coefficients of every clip, computed once."""
    if not cache.is_file():
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            found = []
            for count, result in enumerate(pool.map(frames_of, map(str, clips), chunksize=4), 1):
                found.append(result)
                print(f"\r{count} of {len(clips)} clips", end="", flush=True)
        print(f": {sum(r[2] for r in found):.0f} s of sound")
        cache.parent.mkdir(parents=True, exist_ok=True)
        parts = {name: [r[i] for r in found] for i, name in enumerate("cm")}
        np.savez(cache, **{k: np.concatenate(v) for k, v in parts.items()}, n=[len(v) for v in parts["c"]],
                 k=[len(v) for v in parts["m"]])  # fmt: skip
    with np.load(cache) as file:
        ends = {key: np.cumsum(file[key])[:-1] for key in "nk"}
        return np.split(file["c"].astype(float), ends["n"]), np.split(file["m"].astype(float), ends["k"])


def describe(frames: NDArray[np.float64], more: bool) -> NDArray[np.float64]:
    """Statistics of one clip's 74 features."""
    voiced = frames[:, NAMES.index("VUV")] > 0
    only = np.isin(NAMES, VOICED_ONLY)
    parts = [moments(frames[:, ~only]), moments(frames[voiced][:, only])]
    if more:  # the phase columns are angles, of which quantiles mean nothing
        angles = np.array([name.startswith("HMPDM") for name in NAMES])
        cepstra = np.array([name.startswith("MCEP") for name in NAMES])
        parts += [quantiles(frames[voiced][:, ~angles]), quantiles(frames[:, cepstra])]
    return np.concatenate(parts)


def probe(columns: NDArray[np.float64], emotion: NDArray[np.int64], actor: NDArray[np.int64], own: bool) -> list[float]:
    """Unweighted average recall for each actor left out."""
    scores = []
    if own:
        columns = columns.copy()
        for a in np.unique(actor):
            rows = columns[actor == a]
            columns[actor == a] = (rows - rows.mean(0)) / (rows.std(0) + 1e-9)
    for a in np.unique(actor):
        train, test = actor != a, actor == a
        mean, deviation = columns[train].mean(0), columns[train].std(0) + 1e-9
        model = LogisticRegression(C=0.1, max_iter=2000)
        model.fit((columns[train] - mean) / deviation, emotion[train])
        found = model.predict((columns[test] - mean) / deviation)
        scores.append(float(recall_score(emotion[test], found, average="macro")))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ravdess"))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--cache", type=Path, default=Path("runs/ravdess.npz"), help="features are kept here")
    options = parser.parse_args()
    clips = sorted((options.data / "flac16k").glob("*.flac"))
    if not clips:
        raise SystemExit(f"no flac16k/*.flac in {options.data}: give the folder of the recordings with --data")
    os.environ["OMP_NUM_THREADS"] = "1"
    features, coefficients = all_frames(clips, options.cache, options.processes)
    acoustic, more = (np.stack([describe(f, m) for f in features]) for m in (False, True))
    cepstra = np.stack([moments(c) for c in coefficients])
    same = np.stack([np.concatenate([moments(c), quantiles(c)]) for c in coefficients])
    fields = np.array([[int(f) for f in clip.stem.split("-")] for clip in clips])
    emotion, actor = fields[:, 2], fields[:, 6]
    sets = {
        "13 MFCC": cepstra,
        "13 MFCC, quantiles": same,
        "74 COVAREP features": acoustic,
        "74 COVAREP features, quantiles": more,
    }
    with np.load(options.data / "clips.npz", allow_pickle=False) as file:
        units = {str(i).split("-", 2)[2]: row for i, row in zip(file["ids"], file["au35"])}
    joined = [clip.stem.split("-", 2)[2] for clip in clips]
    if all(key in units for key in joined):
        faces = np.stack([units[key] for key in joined]).astype(np.float64)
        sets |= {"35 action units": faces, "COVAREP, quantiles, and units": np.concatenate([more, faces], 1)}
    print(f"{len(clips)} clips of {len(set(actor))} actors, {len(set(emotion))} emotions; chance is 0.125\n")
    print("| features | columns | recall, actor unseen | each actor standardised |\n|---|---|---|---|")
    for name, columns in sets.items():
        cells = [probe(columns, emotion, actor, own) for own in (False, True)]
        print(
            f"| {name} | {columns.shape[1]} | "
            + " | ".join(f"{np.mean(c):.3f} ± {np.std(c, ddof=1):.3f}" for c in cells)
            + " |"
        )


if __name__ == "__main__":
    main()
