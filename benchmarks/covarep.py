"""The 74 acoustic features against the original, and their speed and memory.

    OMP_NUM_THREADS=1 python benchmarks/covarep.py [--data ../shared/data] [--repeats 5] [--hour] [--json FILE]

Three recordings whose features were computed with the original under Octave are compared column by column; correlations
are over frames that the original calls voiced, infinite values and their neighbours left out. A fourth comparison is
with the published CMU-MOSI data: the mean over one segment, from its first channel and with Matlab's window. Speed is
processor time on one core, the best of the repeats. ``--hour`` repeats the recordings to one hour and adds the peak
memory of a process of its own. The exit status is 1 where a criterion is missed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

from modashift.extract.covarep import NAMES, covarep

RECORDINGS = ("03-01-03-01-01-01-02", "03-01-04-01-01-01-07", "mosi_03bSnISJMiM_1")
SEGMENT = "03bSnISJMiM_1"
COLUMN = {name: i for i, name in enumerate(NAMES)}
MCEP, HMPDM, HMPDD = range(11, 36), range(45, 60), range(61, 74)
RANDOM = [COLUMN["creak"], COLUMN["HMPDM_24"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hour", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one-hour-of", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one_hour_of:
        print(json.dumps(one_hour(args.one_hour_of)))
        return 0
    folder = args.data / "covarep_golden"
    if not folder.is_dir():
        print(f"no recordings at {folder}; give their folder with --data", file=sys.stderr)
        return 2
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("note: set OMP_NUM_THREADS=1 for the speed of one core", file=sys.stderr)
    report: dict[str, Any] = {"acceptance": {}, "speed": {}}
    rows: dict[str, list[tuple[str, bool]]] = {}
    for name in RECORDINGS:
        signal, expected = read(folder, name)
        found = covarep(signal, 16_000, window="octave").values
        for label, (value, met) in accept(found, expected).items():
            rows.setdefault(label, []).append((value, met))
        report["acceptance"][name] = {k: v[0] for k, v in accept(found, expected).items()}
        report["speed"][name] = speed(signal, args.repeats)
    print_table(rows)
    missed = [label for label, cells in rows.items() if not all(met for _, met in cells)]
    missed += published_means(args.data / "mosi", report)
    print("\n| recording | seconds | processor seconds | times real time |\n|---|---|---|---|")
    for name, (seconds, spent) in report["speed"].items():
        print(f"| {name} | {seconds:.2f} | {spent:.3f} | {seconds / spent:.1f} |")
    if args.hour:
        report["hour"] = measure_hour(folder)
        print("\none hour:", ", ".join(f"{k} {v:.4g}" for k, v in report["hour"].items()))
    print("\nall criteria met" if not missed else f"\nmissed: {', '.join(missed)}")
    if args.json:
        args.json.write_text(json.dumps({**report, "missed": missed}, indent=1))
    return int(bool(missed))


def read(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    _, samples = wavfile.read(folder / f"{name}.wav")
    with np.load(folder / f"{name}.npz") as file:
        return samples / 32768.0, file["features"].astype(float)


def accept(found: np.ndarray, expected: np.ndarray) -> dict[str, tuple[str, bool]]:
    """Label with its criterion -> what was measured, and whether the criterion is met."""
    rows: dict[str, tuple[str, bool]] = {}
    same = found.shape == expected.shape and not np.isnan(found).any()
    if not same:
        return {"frames (same number, no NaN)": (f"{found.shape}, {np.isnan(found).sum()} NaN", False)}
    edges = [COLUMN[name] for name in ("F0", "VUV", "NAQ", "MDQ", "peakSlope", "Rd")]
    zero = all(edge(found[:, i]) == edge(expected[:, i]) for i in edges)
    zero &= set(np.flatnonzero(found.any(0))) ^ set(np.flatnonzero(expected.any(0))) <= set(range(36, 44))
    rows["frames, first and last non-zero frame (same)"] = (str(len(found)), zero)
    voiced = expected[:, 1] > 0
    finite = np.isfinite(expected[:, 7])
    away = finite & np.roll(finite, 1) & np.roll(finite, -1)

    def r(i: int, frames: np.ndarray = voiced) -> float:
        return float(np.corrcoef(found[frames, i], expected[frames, i])[0, 1])

    def circular(i: int) -> float:
        return float(abs(np.mean(np.exp(1j * (found[voiced, i] - expected[voiced, i])))))

    def least(label: str, columns: Any, minimum: float, measure: Any = r) -> None:
        values = {NAMES[i]: measure(i) for i in columns}
        worst = min(values, key=lambda name: values[name])
        text = f"{values[worst]:.5f}" + (f" ({worst})" if len(values) > 1 else "")
        rows[f"{label} (≥ {minimum:g})"] = (text, values[worst] >= minimum)

    agreement = float((found[:, 1] == expected[:, 1]).mean())
    rows["VUV, agreement (≥ .98)"] = (f"{agreement:.4f}", agreement >= 0.98)
    both = voiced & (found[:, 1] > 0)
    gross = float((np.abs(found[both, 0] / expected[both, 0] - 1) > 0.2).mean())
    rows["F0, gross errors (≤ .01)"] = (f"{gross:.4f}", gross <= 0.01)
    rows["F0, largest difference (Hz)"] = (f"{np.abs(found[:, 0] - expected[:, 0]).max():.2g}", True)
    least("F0, r", [0], 0.99)
    for name, minimum in (("NAQ", 0.95), ("QOQ", 0.95), ("H1H2", 0.9), ("PSP", 0.9), ("MDQ", 0.95)):
        least(f"{name}, r", [COLUMN[name]], minimum)
    least("peakSlope, r", [7], 0.999, lambda i: r(i, voiced & away))
    least("Rd, r", [8], 0.9)
    least("Rd_conf, r", [9], 0.95)
    least("MCEP_0–24, lowest r", MCEP, 0.99)
    largest = float(np.abs(found[:, list(MCEP)] - expected[:, list(MCEP)]).max())
    rows["MCEP, largest difference (≤ .001)"] = (f"{largest:.2g}", largest <= 0.001)
    least("HMPDM_9–23, lowest circular r", HMPDM, 0.95, circular)
    least("HMPDM_24 (random), circular r", [60], 0.9, circular)
    used = np.flatnonzero(expected[:, 61])
    inside = voiced & (np.arange(len(found)) > used[0]) & (np.arange(len(found)) < used[-1])
    least("HMPDD_0–12 but first and last frame, lowest r", HMPDD, 0.95, lambda i: r(i, inside))
    return rows


def edge(column: np.ndarray) -> tuple[int, int]:
    used = np.flatnonzero(column)
    return (int(used[0]), int(used[-1])) if len(used) else (-1, -1)


def print_table(rows: dict[str, list[tuple[str, bool]]]) -> None:
    print(f"| column (criterion) | {' | '.join(RECORDINGS)} | |\n|---|{'---|' * (len(RECORDINGS) + 1)}")
    for label, cells in rows.items():
        met = "met" if all(ok for _, ok in cells) else "**missed**"
        print(f"| {label} | {' | '.join(text for text, _ in cells)} | {met} |")


def published_means(folder: Path, report: dict[str, Any]) -> list[str]:
    """Compare the mean over a published segment; returns the columns further away than 3 % of the spread."""
    if not folder.is_dir():
        print(f"no CMU-MOSI at {folder}: means not compared", file=sys.stderr)
        return []
    rate, samples = wavfile.read(folder / f"{SEGMENT}.wav")
    with np.load(folder / "utterance_covarep.npz") as file:
        published = file["covarep_mean"][list(file["ids"]).index(SEGMENT)]
        spread = file["covarep_mean"].std(0)
    mean = covarep(samples, rate).values.mean(0)[: len(published)]
    difference = np.abs(mean - published)
    groups = {
        "F0": [0],
        "VUV … Rd_conf": range(1, 10),
        "MCEP_0": [11],
        "MCEP_1–24": range(12, 36),
        "HMPDM_0–23": range(36, 60),
        "HMPDM_24 (random, no criterion)": [60],
        "HMPDD_0–11": range(61, 73),
    }
    print(f"\n| mean over {SEGMENT} | largest difference | of the spread between segments (≤ .03) |\n|---|---|---|")
    for label, columns in groups.items():
        some = list(columns)
        share = np.divide(difference[some], spread[some], out=np.zeros(len(some)), where=spread[some] > 0)
        print(f"| {label} | {difference[some].max():.2g} | {share.max():.4f} |")
    report["means"] = {NAMES[i]: [float(mean[i]), float(published[i])] for i in range(len(published))}
    judged = np.setdiff1d(np.arange(len(published)), RANDOM)
    return [f"mean of {NAMES[i]}" for i in judged if difference[i] > 0.03 * spread[i] + 1e-9]


def speed(signal: np.ndarray, repeats: int) -> tuple[float, float]:
    """Seconds of the recording, and processor seconds spent on it."""
    spent = []
    for _ in range(max(repeats, 1)):
        start = time.process_time()
        covarep(signal, 16_000)
        spent.append(time.process_time() - start)
    return len(signal) / 16_000, min(spent)


def measure_hour(folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--one-hour-of", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def one_hour(folder: Path) -> dict[str, float]:
    """Features of the recordings in turn for one hour; memory beyond what the interpreter and the input take."""
    parts = [wavfile.read(folder / f"{name}.wav")[1] for name in RECORDINGS]
    signal = np.resize(np.concatenate(parts), 3600 * 16_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    features = covarep(signal, 16_000)
    spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "frames": len(features.values),
        "processor seconds": spent,
        "times real time": 3600 / spent,
        "peak memory, GB": peak / 1e6,
        "of that before the call, GB": before / 1e6,
    }


if __name__ == "__main__":
    sys.exit(main())
