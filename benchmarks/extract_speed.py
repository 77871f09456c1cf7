"""How fast recordings become features, and which stage takes how much of it.

    python benchmarks/extract_speed.py [RECORDINGS…] [--processes 1 2] [--words auto] [--out table.md]

Without recordings, those of ../shared/data are taken: GRID (video, 3 s each), two face clips, a clip of CMU-MOSI and 20
recordings of RAVDESS (sound only), where they are there.

The first table has processor time by stage, in one process with models loaded: on a machine that does other things as
well it says what an idle one would take. The second runs `modashift extract`'s engine with one and more processes and
has the time on the clock, start of the processes and loading of the models included, and the processor time of all.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from modashift.errors import ModashiftError
from modashift.extract import clip, stages
from modashift.extract.bulk import Given, clips_folder, extract_all, plan
from modashift.extract.clip import ExtractOptions, extract_clip
from modashift.extract.dataset import clips_dataset
from modashift.extract.display import Display
from modashift.extract.engines.local import LocalEngine
from modashift.extract.engines.work import Limit
from modashift.extract.gather import MEDIA, gather

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
STAGES = ("decode", "face", "acoustic", "words", "align")
Groups = dict[str, list[Path]]


def research(grid: int, ravdess: int) -> Groups:
    """Recordings beside the checkout, by where they are from."""
    found = {
        "GRID": sorted((DATA / "grid").glob("*.mpg"))[:grid],
        "face clips": sorted((DATA / "clips").glob("*.mp4")),
        "CMU-MOSI": sorted((DATA / "mosi").glob("*.mp4")),
        "RAVDESS (sound)": sorted((DATA / "ravdess" / "flac16k").glob("*.flac"))[:ravdess],
    }
    return {name: paths for name, paths in found.items() if paths}


def by_stage(paths: Sequence[Path], options: ExtractOptions) -> tuple[float, dict[str, float]]:
    """Seconds of recordings, and of processor time by stage."""
    media, spent = 0.0, dict.fromkeys(STAGES, 0.0)
    for path in paths:
        seconds: dict[str, float] = {}
        made = extract_clip(path, options, seconds=seconds)
        begun = time.process_time()
        clips_dataset([made])
        seconds["align"] = time.process_time() - begun
        media += made.duration
        for stage, value in seconds.items():
            spent[stage] += value
    return media, spent


def in_bulk(paths: Sequence[Path], options: ExtractOptions, processes: int) -> tuple[float, float, float]:
    """Seconds of recordings, on the clock, and of processors, of a whole extraction."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "x.store"
        tasks = plan(gather(paths), store, options, Given())
        engine = LocalEngine(processes, clips_folder(store) / "logs", Limit(600.0, 100.0))
        before, begun = _children(), time.perf_counter()
        summary = extract_all(tasks, store, engine, Display(plain=True))
        took = time.perf_counter() - begun
        return sum(e.duration for e in summary.entries), took, _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stage_table(groups: Groups, options: ExtractOptions) -> str:
    """Processor time by stage, as Markdown."""
    clip.CLOCK = time.process_time
    first = next(iter(groups.values()))[0]
    extract_clip(first, options)  # loads the models
    lines = ["| recordings | number | seconds | " + " | ".join(STAGES) + " | × real time on one processor |"]
    lines.append("|---|" + "--:|" * (len(STAGES) + 3))
    total, all_spent = 0.0, dict.fromkeys(STAGES, 0.0)
    for name, paths in groups.items():
        media, spent = by_stage(paths, options)
        lines.append(_row(name, len(paths), media, spent))
        total += media
        all_spent = {stage: all_spent[stage] + spent[stage] for stage in STAGES}
    lines.append(_row("all", sum(map(len, groups.values())), total, all_spent))
    return "\n".join(lines) + "\n"


def process_table(groups: Groups, options: ExtractOptions, processes: Sequence[int]) -> str:
    """The whole command with different numbers of processes, as Markdown."""
    everything = [path for paths in groups.values() for path in paths]
    lines = ["| processes | seconds | on the clock | × real time | processor time | × by processor time |"]
    lines.append("|--:|--:|--:|--:|--:|--:|")
    for count in processes:
        media, took, used = in_bulk(everything, options, count)
        ideal = media / used * min(count, len(everything))
        lines.append(f"| {count} | {media:.0f} | {took:.0f} | {media / took:.1f} | {used:.0f} | {ideal:.1f} |")
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    lines += ["", f"{cores} processors, load {load:.1f} at the end (1 process a processor is a load of {cores})."]
    return "\n".join(lines) + "\n"


def _row(name: str, count: int, media: float, spent: dict[str, float]) -> str:
    whole = sum(spent.values())
    shares = " | ".join(f"{100 * spent[stage] / whole:.0f} %" for stage in STAGES)
    return f"| {name} | {count} | {media:.0f} | {shares} | {media / whole:.1f} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="*", type=Path, help="files or folders")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--words", choices=("auto", "recognise", "none"), default="auto")
    parser.add_argument("--grid", type=int, default=25, help="how many of GRID")
    parser.add_argument("--ravdess", type=int, default=20, help="how many of RAVDESS")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    groups = research(given.grid, given.ravdess)
    if given.recordings:
        files = [p for r in given.recordings for p in (sorted(r.rglob("*")) if r.is_dir() else [r])]
        groups = {"given": [p for p in files if p.suffix.lower() in MEDIA]}
    if not any(groups.values()):
        raise SystemExit(f"no recordings: there is no research data at {DATA}; name files or folders")
    options = ExtractOptions(words=given.words)
    try:
        stages.require(options)
        text = stage_table(groups, options)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        more = process_table(groups, options, given.processes)
    except ModashiftError as error:
        raise SystemExit(str(error)) from error
    sys.stdout.write(more)
    text += "\n" + more
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
