"""Cost of opening and reading a store of MOSEI's size, beside a padded pickle of the same utterances.

    python benchmarks/store.py [--utterances 23000] [--json]

Synthetic values; 768 linguistic, 35 visual and 74 acoustic columns, about 20 steps an utterance. Each opening is a
fresh process, so that neither imports nor allocations of this one count; the files are in the page cache (warm).
"""

import argparse
import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from modashift.data.dataset import Dataset, Feature
from modashift.data.store import write_store

DIMS = {"linguistic": 768, "visual": 35, "acoustic": 74}
STEPS = 50  # of the padded arrays
TARGETS = {"open_ms": 50.0, "added_rss_mb": 100.0}

MEASURE = """
import json, sys, time
import numpy as np
from modashift.data.store import open_store
from modashift.data import safe_pickle

def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024

kind, path, reads = sys.argv[1], sys.argv[2], int(sys.argv[3])
before, start = resident(), time.perf_counter()
if kind == "store":
    data = open_store(path)
    len(data), data.ids[0], data.labels[0]
else:
    import pickle
    data = pickle.load(open(path, "rb"))
result = {"ms": 1000 * (time.perf_counter() - start), "rss": resident() - before}
if kind == "store":
    rows = np.random.default_rng(0).integers(len(data), size=reads)
    start = time.perf_counter()
    total = 0.0
    for row in rows:
        for feature in data.features.values():
            total += float(feature[int(row)].sum())
    result["reads_per_s"] = reads / (time.perf_counter() - start)
print(json.dumps(result))
"""


def synthetic(utterances: int) -> Dataset:
    """A data set of that many utterances with random values."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.poisson(19, utterances) + 1, 1, STEPS)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    block = rng.standard_normal((1 << 14, sum(DIMS.values())), dtype=np.float32)
    features, column = {}, 0
    for name, dim in DIMS.items():
        part = np.ascontiguousarray(block[:, column : column + dim])
        values = np.concatenate([part] * (int(offsets[-1]) // len(part) + 1))[: offsets[-1]]
        features[name] = Feature(values, offsets, "word")
        column += dim
    words = [tuple(f"word{k}" for k in range(n)) for n in lengths]
    splits = np.array(["train", "dev", "test"])[np.minimum(rng.integers(10, size=utterances), 2)]
    return Dataset(
        name="synthetic",
        ids=[f"video{i // 10}_{i % 10 + 1}" for i in range(utterances)],
        groups=[f"video{i // 10}" for i in range(utterances)],
        splits=splits,
        labels=rng.uniform(-3, 3, utterances),
        texts=[" ".join(w) for w in words],
        words=words,
        features=features,
    )


def write_padded(data: Dataset, path: Path) -> None:
    """The usual pickle: every sequence padded to 50 steps, text as states of 768."""
    content = {"train": {"raw_text": np.array(list(data.texts)), "regression_labels": data.labels}}
    for name, feature in data.features.items():
        padded = np.zeros((len(data), STEPS, feature.dim), dtype=np.float32)
        for row in range(len(data)):
            steps = feature[row]
            padded[row, : len(steps)] = steps
        content["train"][name] = padded
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=4)


def measure(kind: str, path: Path, reads: int, repeats: int) -> dict[str, float]:
    """Medians over fresh processes."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, "-c", MEASURE, kind, str(path), str(reads)]
        runs.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def main() -> int:
    """Print the measurements; exit status 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=23_000)
    parser.add_argument("--reads", type=int, default=1536, help="random utterances to read, all modalities")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-pickle", action="store_true", help="skip the padded pickle (it takes 4 GB of disk)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = synthetic(args.utterances)
        store, padded = Path(folder) / "mosei.store", Path(folder) / "padded.pkl"
        write_store(data, store)
        store_bytes = sum(file.stat().st_size for file in store.iterdir())
        found = measure("store", store, args.reads, args.repeats)
        result: dict[str, object] = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "utterances": args.utterances,
            "store_gb": store_bytes / 1e9,
            "open_ms": found["ms"],
            "added_rss_mb": found["rss"],
            "reads_per_s": found["reads_per_s"],
        }
        if not args.no_pickle:
            write_padded(data, padded)
            del data
            loaded = measure("pickle", padded, 0, min(2, args.repeats))
            result |= {
                "pickle_gb": padded.stat().st_size / 1e9,
                "pickle_ms": loaded["ms"],
                "pickle_rss_mb": loaded["rss"],
                "open_ratio": loaded["ms"] / found["ms"],
            }
    missed = [key for key, limit in TARGETS.items() if found[{"open_ms": "ms", "added_rss_mb": "rss"}[key]] >= limit]
    if args.json:
        print(json.dumps({**result, "missed": missed}))
    else:
        for key, value in result.items():
            target = f"  (target < {TARGETS[key]:g})" if key in TARGETS else ""
            print(f"{key:>14}: {value:,.2f}{target}" if isinstance(value, float) else f"{key:>14}: {value}{target}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
