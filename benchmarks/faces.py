"""Faces in real clips: how many are found, how steadily, how fast, and what a lower rate of pictures costs.

    OMP_NUM_THREADS=1 python benchmarks/faces.py [--data ../shared/data] [--json FILE]

Every picture of 25 GRID clips and of the other clips is looked at. Noise is the deviation of a still face's features:
the root mean square of second differences over √6. Processor time is of the whole process, decoding apart, so that it
holds on a busy machine. Lower rates are compared with all pictures on means over 0.25 s, about a word. The exit status
is 1 where fewer than 98 % of the GRID pictures have a face.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from modashift.extract.face import MAX_SIDE, Landmarker, action_units, face_frames
from modashift.extract.face.columns import BLENDSHAPES
from modashift.extract.media import pictures
from modashift.extract.recording import Frames

NEEDED = 0.98
WORD = 0.25  # s
SIZES = ((320, 180), (640, 360), (960, 540), (1280, 720), (1920, 1080))
RATES = (30.0, 15.0, 10.0, 5.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    grid = sorted((args.data / "grid").glob("*.mpg"))
    others = sorted((args.data / "clips").glob("*.mp4")) + sorted((args.data / "mosi").glob("*.mp4"))
    if not grid or not others:
        print(f"no clips below {args.data}; give their folder with --data", file=sys.stderr)
        return 2
    report: dict[str, Any] = {"clips": {}}
    found: dict[str, Frames] = {}
    with Landmarker() as landmarker:
        landmarker.faces(np.zeros((64, 64, 3), dtype=np.uint8))  # loads the model
        for path in [*grid, *others]:
            seen = [(picture.time, picture.rgb) for picture in pictures(path, max_side=MAX_SIDE)]
            spent, begun = time.process_time(), time.perf_counter()
            frames = found[path.name] = face_frames(seen, landmarker=landmarker)
            report["clips"][path.name] = {
                "pictures": len(seen),
                "size": f"{seen[0][1].shape[1]}×{seen[0][1].shape[0]}",
                "found": float(frames.mask.mean()),
                "processor_ms": 1e3 * (time.process_time() - spent) / len(seen),
                "wall_ms": 1e3 * (time.perf_counter() - begun) / len(seen),
                **noise(frames),
            }
        report["sizes"] = sizes(landmarker, others[0])
    print_clips(report["clips"], [path.name for path in grid])
    print_sizes(report["sizes"])
    report["rates"] = rates({name: frames for name, frames in found.items() if name in {p.name for p in others}})
    print_rates(report["rates"])
    report["greatest"] = greatest(list(found.values()))
    print("\ngreatest value of each action unit in all clips:")
    print(", ".join(f"{name} {value:.2f}" for name, value in report["greatest"].items()))
    share = counted([report["clips"][path.name] for path in grid])
    print(f"\n{len(grid)} GRID clips: a face in {share:.2%} of the pictures, {NEEDED:.0%} needed")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    return int(share < NEEDED)


def counted(clips: list[dict[str, Any]]) -> float:
    """Share of pictures with a face over several clips."""
    return float(sum(c["found"] * c["pictures"] for c in clips) / sum(c["pictures"] for c in clips))


def noise(frames: Frames) -> dict[str, float]:
    """Deviation from picture to picture of blendshapes, of pose angles and of gaze (degrees)."""
    values = frames.values[frames.mask].astype(float)

    def of(names: tuple[str, ...]) -> float:
        columns = [frames.columns.index(name) for name in names]
        return float(np.sqrt((np.diff(values[:, columns], 2, axis=0) ** 2).mean() / 6)) if len(values) > 2 else np.nan

    return {
        "noise_blendshapes": of(BLENDSHAPES),
        "noise_pose": of(("head_pitch", "head_yaw", "head_roll")),
        "noise_gaze": of(("gaze_horizontal", "gaze_vertical")),
    }


def sizes(landmarker: Landmarker, path: Path) -> dict[str, float]:
    """Processor milliseconds a picture of several sizes, the same pictures scaled."""
    import cv2

    some = [picture.rgb for picture in pictures(path, every=0.5)][:20]
    spent = {}
    for size in SIZES:
        scaled = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in some]
        begun = time.process_time()
        for picture in scaled:
            landmarker.faces(picture)
        spent[f"{size[0]}×{size[1]}"] = 1e3 * (time.process_time() - begun) / len(scaled)
    return spent


def rates(clips: dict[str, Frames]) -> dict[str, dict[str, float]]:
    """What is lost at lower rates: error of word-long means, relative to their deviation over the clip.

    Pictures are thinned as `modashift.extract.media.pictures` does it. The median is over columns that vary.
    """
    report = {}
    for rate in RATES:
        errors, empty, words = [], 0, 0
        for frames in clips.values():
            slot = np.floor((frames.times + 1e-6) * rate)
            kept = np.concatenate([[True], np.diff(slot) > 0])
            word = np.floor(frames.times / WORD).astype(int)
            full = np.array([frames.values[(word == w) & frames.mask].mean(0) for w in np.unique(word)])
            thin = [frames.values[(word == w) & frames.mask & kept] for w in np.unique(word)]
            words, empty = words + len(thin), empty + sum(not len(rows) for rows in thin)
            some = [k for k, rows in enumerate(thin) if len(rows)]
            means = np.array([thin[k].mean(0) for k in some])
            deviation = full.std(0)
            varies = deviation > 1e-3
            errors.append(np.sqrt(((means - full[some]) ** 2).mean(0))[varies] / deviation[varies])
        joined = np.concatenate(errors)
        report[f"{rate:g}"] = {
            "median_error": float(np.median(joined)),
            "ninetieth_error": float(np.quantile(joined, 0.9)),
            "words_without_picture": empty / words,
        }
    return report


def greatest(clips: list[Frames]) -> dict[str, float]:
    """The greatest value of each action unit."""
    units = [action_units(frames) for frames in clips]
    values = np.max([np.nanmax(each.values[each.mask], axis=0) for each in units], axis=0)
    return {name: float(value) for name, value in zip(units[0].columns, values)}


def print_clips(clips: dict[str, dict[str, Any]], grid: list[str]) -> None:
    print("| clip | pictures | size | face found | processor ms | noise: blendshapes | pose ° | gaze ° |")
    print("|---|---|---|---|---|---|---|---|")
    rows = [(f"{len(grid)} GRID clips", [clips[name] for name in grid])]
    rows += [(name, [each]) for name, each in clips.items() if name not in grid]
    for name, some in rows:
        mean = {key: float(np.mean([each[key] for each in some])) for key in some[0] if key not in {"size", "pictures"}}
        count = sum(each["pictures"] for each in some)
        print(
            f"| {name} | {count} | {some[0]['size']} | {counted(some):.2%} | {mean['processor_ms']:.1f} | "
            f"{mean['noise_blendshapes']:.4f} | {mean['noise_pose']:.2f} | {mean['noise_gaze']:.2f} |"
        )


def print_sizes(spent: dict[str, float]) -> None:
    print("\n| picture | processor ms |\n|---|---|")
    for size, milliseconds in spent.items():
        print(f"| {size} | {milliseconds:.1f} |")


def print_rates(report: dict[str, dict[str, float]]) -> None:
    print(
        "\n| pictures a second | error of word means / deviation: median | 90th percentile | words without a picture |"
    )
    print("|---|---|---|---|")
    for rate, each in report.items():
        print(
            f"| {rate} | {each['median_error']:.3f} | {each['ninetieth_error']:.3f} | "
            f"{each['words_without_picture']:.1%} |"
        )


if __name__ == "__main__":
    sys.exit(main())
