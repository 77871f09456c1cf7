"""A thousand damaged recordings: does anything crash, hang or eat memory?

    OMP_NUM_THREADS=1 python benchmarks/mutated_media.py [--data ../shared/data] [--count 1000] [--seed 0] [--json FILE]
                                                         [--keep FOLDER] [--files FILE ...]

Each file is one of the research recordings with one to three mutations: bytes flipped, a cut, the header of another
file, a block repeated, zeroed, removed or filled with noise, a number in the header made large. A worker process reads
all its sound and one second of its pictures, five a second. A worker that dies is counted by its signal and replaced;
one that takes longer than a minute is killed and counted as a hang. The exit status is 1 where there was either.
``--keep`` keeps the files of crashes and hangs. ``--write FOLDER`` only writes the files, for the whole of extraction:

    modashift extract FOLDER --out mutated.store --words none --time-limit 45 --time-factor 5
"""

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

TIMEOUT = 60.0  # seconds
LARGEST = 2_500_000  # bytes of an original


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--files", type=Path, nargs="+", help="other recordings instead of the research data")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work()
    originals = args.files or gather(args.data)
    if not originals:
        print(f"no recordings at {args.data}; give their folder with --data", file=sys.stderr)
        return 2
    if args.write:
        args.write.mkdir(parents=True, exist_ok=True)
        for number in range(args.count):
            mutate(random.Random(f"{args.seed}-{number}"), originals, args.write, number)
        return 0
    started = time.monotonic()
    results = []
    with tempfile.TemporaryDirectory() as folder, Workers() as workers:
        for number in range(args.count):
            rng = random.Random(f"{args.seed}-{number}")
            path, how = mutate(rng, originals, Path(folder), number)
            result = workers.read(path)
            results.append({"number": number, "original": path.suffix, "how": how, **result})
            if result["outcome"] in ("crash", "hang"):
                print(f"{number} {how} {path.name}: {result}", file=sys.stderr)
                if args.keep:
                    args.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, args.keep)
            path.unlink()
    report = summary(results, time.monotonic() - started)
    print(json.dumps(report, indent=1))
    if args.json:
        args.json.write_text(json.dumps({**report, "files": results}, indent=1))
    return int(report["crashes"] or report["hangs"])


def gather(data: Path) -> list[Path]:
    patterns = ("grid/*.mpg", "clips/*.mp4", "mosi/*.mp4", "mosi/*.wav", "covarep_golden/*.wav")
    found = [path for pattern in patterns for path in sorted(data.glob(pattern))]
    found += sorted((data / "ravdess").glob("**/*.flac"))[:12]
    return [path for path in found if path.stat().st_size <= LARGEST]


# ---- mutations ----


def mutate(rng: random.Random, originals: list[Path], folder: Path, number: int) -> tuple[Path, str]:
    """Write one mutated file; the kinds of containers come equally often."""
    kind = rng.choice(sorted({path.suffix for path in originals}))
    source = rng.choice([path for path in originals if path.suffix == kind])
    content = bytearray(source.read_bytes())
    names = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(sorted(MUTATIONS))
        content = MUTATIONS[name](rng, content, originals)
        names.append(name)
    path = folder / f"{number:05d}-{source.stem}{source.suffix}"
    path.write_bytes(content)
    return path, "+".join(names)


def flip(rng: random.Random, content: bytearray, _: list[Path], reach: int | None = None) -> bytearray:
    for _ in range(rng.choice((1, 10, 100, 1000))):
        if content:
            content[rng.randrange(min(len(content), reach or len(content)))] = rng.randrange(256)
    return content


def flip_header(rng: random.Random, content: bytearray, originals: list[Path]) -> bytearray:
    return flip(rng, content, originals, reach=2048)


def flip_index(rng: random.Random, content: bytearray, originals: list[Path]) -> bytearray:
    """In the tables of an MP4; elsewhere anywhere."""
    at = content.find(b"moov")
    if at < 0:
        return flip(rng, content, originals)
    for _ in range(rng.choice((1, 5, 50))):
        content[rng.randrange(at, len(content))] = rng.randrange(256)
    return content


def large_number(rng: random.Random, content: bytearray, _: list[Path]) -> bytearray:
    """Four bytes of the header, or behind the name of a table, become a number of millions."""
    names = [b"stsz", b"stts", b"stsc", b"stco", b"ctts", b"tkhd", b"mvhd", b"data", b"fmt ", b"avc1", b"mp4a"]
    places = [at for at in (content.find(name) for name in names) if at >= 0]
    base = rng.choice([*places, 0])
    start = min(base + rng.randrange(4, 40), max(len(content) - 4, 0))
    content[start : start + 4] = rng.choice((10**6, 10**8, 10**9, 2**31 - 1, 2**32 - 1)).to_bytes(
        4, rng.choice(("big", "little"))
    )
    return content


def cut_end(rng: random.Random, content: bytearray, _: list[Path]) -> bytearray:
    return content[: rng.randrange(len(content) + 1)]


def cut_start(rng: random.Random, content: bytearray, _: list[Path]) -> bytearray:
    return content[rng.randrange(min(len(content), 100_000) + 1) :]


def foreign_header(rng: random.Random, content: bytearray, originals: list[Path]) -> bytearray:
    length = rng.choice((16, 64, 512, 4096, 65536))
    return bytearray(rng.choice(originals).read_bytes()[:length]) + content[length:]


def block(rng: random.Random, content: bytearray) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(start + rng.choice((16, 512, 4096, 65536)), len(content))


def repeat(rng: random.Random, content: bytearray, _: list[Path]) -> bytearray:
    start, end = block(rng, content)
    return content[:end] + content[start:end] * rng.choice((1, 3, 20)) + content[end:]


def zero(rng: random.Random, content: bytearray, _: list[Path]) -> bytearray:
    start, end = block(rng, content)
    content[start:end] = bytes(end - start)
    return content


def noise(rng: random.Random, content: bytearray, _: list[Path]) -> bytearray:
    start, end = block(rng, content)
    content[start:end] = rng.randbytes(end - start)
    return content


def remove(rng: random.Random, content: bytearray, _: list[Path]) -> bytearray:
    start, end = block(rng, content)
    return content[:start] + content[end:]


MUTATIONS = {
    function.__name__: function
    for function in (
        flip, flip_header, flip_index, large_number, cut_end, cut_start, foreign_header, repeat, zero, noise, remove
    )
}  # fmt: skip


# ---- the worker ----


def work() -> int:
    """Read paths from standard input, write a line of JSON for each."""
    import resource

    from modashift.errors import ModashiftError
    from modashift.extract.media import MediaError, Problem, pictures, probe, read_sound

    for line in sys.stdin:
        path = Path(json.loads(line))
        problems: list[Problem] = []
        refused: dict[str, str] = {}
        had: dict[str, float] = {}
        started, spent = time.monotonic(), time.process_time()
        actions = {
            "probe": lambda path, _: float(probe(path).duration or 0),
            "sound": lambda path, problems: len(read_sound(path, problems=problems)) / 16_000,
            "pictures": lambda path, problems: float(
                some_pictures(pictures(path, every=0.2, max_side=320, problems=problems))
            ),
        }
        try:
            for name, action in actions.items():
                try:
                    had[name] = action(path, problems)
                except MediaError as error:
                    refused[name] = error.reason
            result: dict[str, Any] = {"outcome": "read"}
        except ModashiftError as error:
            result = {"outcome": "error", "message": repr(error)}
        except Exception as error:  # an error that a user should never see: reported, and counted
            result = {"outcome": "unexpected", "message": repr(error)}
        result |= {
            "had": had,
            "refused": refused,
            "problems": sorted({problem.reason for problem in problems}),
            "seconds": time.monotonic() - started,
            "processor": time.process_time() - spent,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        }
        print(json.dumps(result), flush=True)
    return 0


def some_pictures(found: Any) -> int:
    """Number of the pictures of the first second."""
    count = 0
    for picture in found:
        if picture.time > 1.0:
            break
        count += 1
    found.close()
    return count


class Workers:
    """One worker at a time; a dead or hanging one is replaced."""

    def __enter__(self) -> "Workers":
        self.process = self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, __file__, "--worker"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ)

    def read(self, path: Path) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(str(path)).encode() + b"\n")
        self.process.stdin.flush()
        started = time.monotonic()
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        line = self.process.stdout.readline() if ready else b""
        if line:
            result: dict[str, Any] = json.loads(line)
            return result
        if not ready:
            self.process.kill()
        code = self.process.wait()
        self.process = self.start()
        seconds = time.monotonic() - started
        if not ready:
            return {"outcome": "hang", "seconds": seconds}
        how = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return {"outcome": "crash", "how_it_died": how, "seconds": seconds}


def summary(results: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for result in results:
        if result["outcome"] != "read":
            counts[result["outcome"]] += 1
            continue
        absent = {"no-sound", "no-picture"}  # of a WAV or FLAC the pictures
        reasons = {reason for reason in result["refused"].values() if reason not in absent}
        nothing = not (result["had"].get("sound") or result["had"].get("pictures"))
        counts["refused" if nothing else "partial" if reasons or result["problems"] else "fine"] += 1
        if nothing:
            refused[result["refused"].get("sound", "no pictures in the first second")] += 1
        problems.update(result["problems"])
    slowest = max(results, key=lambda result: result["seconds"])
    return {
        "files": len(results),
        "fine": counts["fine"],
        "partial": counts["partial"],
        "refused": counts["refused"],
        "refused_by_reason": dict(refused.most_common()),
        "problems_told": dict(problems.most_common()),
        "unexpected_errors": counts["unexpected"] + counts["error"],
        "crashes": counts["crash"],
        "hangs": counts["hang"],
        "longest_seconds": round(slowest["seconds"], 2),
        "longest": f"{slowest['number']} {slowest['how']} {slowest['original']}",
        "longest_sound_seconds": max((result.get("had", {}).get("sound", 0) for result in results), default=0),
        "peak_memory_mb": max((result.get("peak_mb", 0) for result in results), default=0),
        "processor_seconds": round(sum(result.get("processor", 0) for result in results), 1),
        "wall_seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
