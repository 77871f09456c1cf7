"""CMU-MOSI's research files as a store that experiments read by its path.

    python benchmarks/mosi_store.py --out mosi.store
    modashift experiment run table2-small --out runs/table2-small --data mosi=mosi.store

Standard train and dev splits: text, and the acoustic means as one vector for each utterance; see real_mosi.py.
"""

import argparse
from pathlib import Path

from modashift.data.store import write_store
from real_mosi import mosi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mosi"), help="folder of the research files")
    parser.add_argument("--out", type=Path, required=True, help="store to write")
    options = parser.parse_args()
    if not (options.data / "segments.jsonl").is_file():
        raise SystemExit(f"no segments.jsonl in {options.data}: give the folder of the CMU-MOSI files with --data")
    dataset = mosi(options.data)
    write_store(dataset, options.out)
    counts = ", ".join(f"{len(dataset.rows(split))} {split}" for split in ("train", "dev"))
    print(f"{options.out}: {counts}")


if __name__ == "__main__":
    main()
