"""Times of words against annotations: forced alignment, recognition, confidence, and speed.

    OMP_NUM_THREADS=1 python benchmarks/words.py [--data ../shared/data] [--ravdess 60] [--minutes 10] [--json FILE]

GRID's annotations (``.align``, unit 1/25,000 s) are its authors'; RAVDESS' times come from a forced alignment, and so
do those of the raw CMU-MOSI clip, on the clock of the whole video. An error is the distance of a start
or an end from the annotation, both counted. Wrong transcripts are those of other clips; words that happen to be right
do not count. Speed is sound divided by processor time of one thread. The exit status is 1 where a criterion is missed.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from modashift.extract.media import read_sound
from modashift.extract.recording import TimedWord
from modashift.extract.words import align_transcript, recognise
from modashift.spelling import plain_word

RATE = 16_000
SEGMENT = "Oz06ZWiO20M_6"
STATEMENTS = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
Word = tuple[str, float, float]


class Clip(NamedTuple):
    """A recording and its annotated words; its sound is read when it is wanted."""

    name: str
    path: Path
    words: list[Word]
    made: np.ndarray | None = None

    @property
    def sound(self) -> np.ndarray:
        return read_sound(self.path) if self.made is None else self.made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--ravdess", type=int, default=60, help="clips, evenly chosen")
    parser.add_argument("--minutes", type=float, default=10, help="of the long recording made of all clips; 0 for none")
    parser.add_argument("--no-recognition", action="store_true", help="leave out Whisper")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (args.data / "grid").is_dir():
        print(f"no recordings at {args.data}; give their folder with --data", file=sys.stderr)
        return 2
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("note: set OMP_NUM_THREADS=1 for the speed of one thread", file=sys.stderr)
    grid, ravdess, mosi = (
        read_grid(args.data / "grid"),
        read_ravdess(args.data / "ravdess"),
        read_mosi(args.data / "mosi"),
    )
    chosen = ravdess[:: max(1, len(ravdess) // args.ravdess)][: args.ravdess]
    report: dict[str, Any] = {}
    align_transcript(np.zeros(RATE, np.float32), "")  # loads the model
    align_transcript(grid[0].sound, spoken(grid[0]))

    print(
        "Forced alignment\n\n"
        "| data | clips | boundaries | median (ms) | 90 % below (ms) | within 100 ms | x real time |"
    )
    print("|---|---|---|---|---|---|---|")
    found = {}
    for name, clips in (("GRID", grid), ("RAVDESS", chosen), (f"MOSI {SEGMENT}", [mosi])):
        found[name], row = measure(clips, lambda sound, clip: align_transcript(sound, spoken(clip)))
        report[name] = row
        print(f"| {name} | {len(clips)} | {row['boundaries']} | {as_cells(row)} |")
    if args.minutes:
        long = joined(grid, ravdess, args.minutes * 60)
        _, row = measure([long], lambda sound, clip: align_transcript(sound, spoken(clip)))
        report["long"] = row
        print(f"| {args.minutes:g} min of both | 1 | {row['boundaries']} | {as_cells(row)} |")

    report["gaps"] = gaps(grid, ravdess)
    report["confidence"] = confidence({"GRID": grid, "RAVDESS": chosen}, found)
    if not args.no_recognition:
        recognition(grid, chosen, mosi, report)
    report["peak memory (MB)"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {report['peak memory (MB)']:.0f} MB")

    criteria = {
        "GRID: median <= 30 ms": report["GRID"]["median"] <= 0.030,
        "GRID: 90 % within 100 ms": report["GRID"]["within"] >= 0.9,
        "MOSI: forced alignment, median <= 100 ms": report[f"MOSI {SEGMENT}"]["median"] <= 0.100,
        "long: 90 % within 100 ms": not args.minutes or report["long"]["within"] >= 0.9,
        "confidence separates right from wrong on GRID (area >= .9)": report["confidence"]["GRID"]["area"] >= 0.9,
    }
    if not args.no_recognition:
        criteria["MOSI: recognition, median <= 100 ms"] = report["recognition"]["MOSI"]["refined"]["median"] <= 0.100
    missed = [name for name, met in criteria.items() if not met]
    print("\nall criteria met" if not missed else f"\nmissed: {'; '.join(missed)}")
    if args.json:
        args.json.write_text(json.dumps({**report, "missed": missed}, indent=1))
    return int(bool(missed))


def read_grid(folder: Path) -> list[Clip]:
    clips = []
    for path in sorted(folder.glob("*.align")):
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        words = [(word, int(a) / 25_000, int(b) / 25_000) for a, b, word in rows if word not in ("sil", "sp")]
        clips.append(Clip(path.stem, path.with_suffix(".mpg"), words))
    return clips


def read_ravdess(folder: Path) -> list[Clip]:
    """Clips whose annotated words are those of the statement, without repetitions or words left out."""
    times = json.loads((folder / "word_align.json").read_text())
    named = {
        name: [(word, a, b) for word, a, b in entry["words"]] for name, entry in sorted(times.items()) if entry["words"]
    }
    whole = {n: words for n, words in named.items() if " ".join(w for w, _, _ in words) == STATEMENTS[n.split("-")[4]]}
    return [Clip(name, folder / "flac16k" / f"{name}.flac", words) for name, words in whole.items()]


def read_mosi(folder: Path) -> Clip:
    rows = map(json.loads, (folder / "segments.jsonl").read_text().splitlines())
    row = next(row for row in rows if row["id"] == SEGMENT)
    words = [(word, a - row["start"], b - row["start"]) for word, a, b in row["words"]]
    return Clip(SEGMENT, folder / f"{SEGMENT}.mp4", words)


def spoken(clip: Clip) -> str:
    return " ".join(word for word, _, _ in clip.words)


def joined(grid: Sequence[Clip], ravdess: Sequence[Clip], seconds: float) -> Clip:
    """One recording of clips by turns from both, drawn with a fixed seed."""
    generator = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    words: list[Word] = []
    at = 0.0
    while at < seconds:
        clips = (grid, ravdess)[len(parts) % 2]
        clip = clips[int(generator.integers(len(clips)))]
        sound = clip.sound
        words += [(word, start + at, end + at) for word, start, end in clip.words]
        parts.append(sound)
        at += len(sound) / RATE
    return Clip("long", Path(), words, np.concatenate(parts))


def measure(
    clips: Iterable[Clip], work: Callable[[np.ndarray, Clip], list[TimedWord]]
) -> tuple[list[list[TimedWord]], dict[str, float]]:
    found, errors, seconds, spent = [], [], 0.0, 0.0
    for clip in clips:
        sound = clip.sound
        begin = time.process_time()
        words = work(sound, clip)
        spent += time.process_time() - begin
        seconds += len(sound) / RATE
        found.append(words)
        errors += boundary_errors(words, clip.words)
    return found, {**summary(errors), "speed": seconds / spent}


def boundary_errors(words: Sequence[TimedWord], expected: Sequence[Word]) -> list[float]:
    """Signed errors of starts and ends of the words that both have, in order."""
    errors = []
    for one, two in matches(words, expected):
        errors += [words[one].start - expected[two][1], words[one].end - expected[two][2]]
    return errors


def matches(words: Sequence[TimedWord], expected: Sequence[Word]) -> list[tuple[int, int]]:
    plain = [plain_word(word.text) for word in words], [plain_word(word) for word, _, _ in expected]
    blocks = SequenceMatcher(None, *plain, autojunk=False).get_matching_blocks()
    return [(block.a + n, block.b + n) for block in blocks for n in range(block.size)]


def summary(errors: Sequence[float]) -> dict[str, float]:
    size = np.abs(errors)
    return {
        "boundaries": len(size),
        "median": float(np.median(size)),
        "p90": float(np.quantile(size, 0.9)),
        "within": float(np.mean(size <= 0.1)),
        "bias": float(np.median(errors)),
    }


def as_cells(row: dict[str, float]) -> str:
    return f"{row['median'] * 1000:.0f} | {row['p90'] * 1000:.0f} | {row['within']:.1%} | {row['speed']:.1f}"


def gaps(grid: Sequence[Clip], ravdess: Sequence[Clip]) -> dict[str, Any]:
    """Two minutes whose transcript leaves out six clips in the middle, or has six that are not in the sound.

    A hard case: the twenty clips of RAVDESS repeat two sentences, so that one that is missing looks like the next.
    """
    parts = [(grid, ravdess)[n % 2][n * 17 % len((grid, ravdess)[n % 2])] for n in range(40)]
    print(
        "\nTranscripts that do not fit\n\n"
        "| two minutes | words that are said and found within 100 ms | x real time |\n|---|---|---|"
    )
    report = {}
    for name, heard, written in (
        ("fit", range(40), range(40)),
        ("six clips not in the transcript", range(40), [*range(8), *range(14, 40)]),
        ("six clips not in the sound", [*range(8), *range(14, 40)], range(40)),
    ):
        at, expected, sounds = 0.0, {}, []
        for number in heard:
            sounds.append(parts[number].sound)
            expected[number] = at
            at += len(sounds[-1]) / RATE
        begin = time.process_time()
        words = iter(align_transcript(np.concatenate(sounds), " ".join(spoken(parts[n]) for n in written)))
        spent = time.process_time() - begin
        right = []
        for number in written:
            for (_, start, _), word in zip(parts[number].words, words):
                if number in expected:
                    right.append(abs(word.start - start - expected[number]) <= 0.1)
        report[name] = {"right": float(np.mean(right)), "speed": at / spent}
        print(f"| {name} | {np.mean(right):.1%} of {len(right)} | {at / spent:.1f} |")
    return report


def confidence(data: dict[str, Sequence[Clip]], found: dict[str, list[list[TimedWord]]]) -> dict[str, Any]:
    print(
        "\nConfidence with right and wrong transcripts\n\n| data | right: median | right: below .5 | wrong: median "
        "| wrong: below .5 | area under the curve |\n|---|---|---|---|---|---|"
    )
    report = {}
    for name, clips in data.items():
        right = [word.confidence for words in found[name] for word in words]
        wrong = []
        for number, clip in enumerate(clips):
            other = clips[(number + 7) % len(clips)]
            if other.words[0][0] == clip.words[0][0] and name == "RAVDESS":
                text = STATEMENTS["02" if clip.words[0][0] == "kids" else "01"]
            else:
                text = spoken(other)
            own = [word for word, _, _ in clip.words]
            words = align_transcript(clip.sound, text)
            wrong += [word.confidence for word, true in zip(words, own) if word.text != true]
        ranks = rankdata([*right, *wrong])
        area = (ranks[: len(right)].sum() - len(right) * (len(right) + 1) / 2) / len(right) / len(wrong)
        low = [float(np.mean(np.array(part) < 0.5)) for part in (right, wrong)]
        middle = [float(np.median(part)) for part in (right, wrong)]
        report[name] = {"median": middle, "below half": low, "area": float(area)}
        print(f"| {name} | {middle[0]:.2f} | {low[0]:.1%} | {middle[1]:.2f} | {low[1]:.1%} | {area:.3f} |")
    return report


def recognition(grid: Sequence[Clip], ravdess: Sequence[Clip], mosi: Clip, report: dict[str, Any]) -> None:
    recognise(np.zeros(RATE, np.float32))  # loads the model
    print(
        "\nRecognition with the packaged tiny.en, times as Whisper gives them and refined by forced alignment\n\n"
        "| data | word errors | times | boundaries | median (ms) | 90 % below (ms) | within 100 ms | x real time |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    report["recognition"] = {}
    for name, clips in (("GRID", grid), ("RAVDESS", ravdess), ("MOSI", [mosi])):
        rows = {}
        for label, refine in (("Whisper", False), ("refined", True)):
            found, row = measure(clips, lambda sound, _, refine=refine: recognise(sound, threads=1, refine=refine))
            total = sum(len(clip.words) for clip in clips)
            row["word errors"] = sum(edits(words, clip.words) for words, clip in zip(found, clips)) / total
            rows[label] = row
            print(f"| {name} | {row['word errors']:.1%} | {label} | {row['boundaries']} | {as_cells(row)} |")
        report["recognition"][name] = rows


def edits(words: Sequence[TimedWord], expected: Sequence[Word]) -> int:
    """Words to insert, delete or replace."""
    heard, said = [plain_word(word.text) for word in words], [plain_word(word) for word, _, _ in expected]
    row = list(range(len(said) + 1))
    for number, word in enumerate(heard, 1):
        new = [number]
        for at, other in enumerate(said):
            new.append(min(row[at] + (word != other), row[at + 1] + 1, new[-1] + 1))
        row = new
    return row[-1]


if __name__ == "__main__":
    sys.exit(main())
