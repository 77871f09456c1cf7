"""RAVDESS as stores that experiments read by their paths.

    python benchmarks/ravdess_store.py --out ravdess [--data ../shared/data/ravdess] [--processes 2]
    modashift experiment run ravdess --out runs/ravdess --data ravdess=ravdess.store

``ravdess.store`` has COVAREP means and deviations of each word and the action units of the face, each standardised by
its speaker; ``ravdess-raw.store`` the same as measured; ``ravdess-mfcc.store`` 120 cepstral columns every 10 ms;
``ravdess-wave.store`` the sound; ``ravdess-pauses.store`` the silence after each word. Features are kept in
``ravdess.cache``, so that an interrupted run goes on.
"""

import argparse
from pathlib import Path

from modashift.data.emotion.cli import corpus

STORES = {
    "": {"features": "covarep,action-units", "statistics": "mean+sd", "by_speaker": True},
    "-raw": {"features": "covarep,action-units", "statistics": "mean+sd"},
    "-mfcc": {"features": "mfcc"},
    "-wave": {"features": "waveform"},
    "-pauses": {"features": "pauses"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ravdess"), help="folder of the recordings")
    parser.add_argument("--out", type=Path, required=True, help="stores to write, without their ending")
    parser.add_argument("--processes", type=int, help="recordings worked on at once; all processors where not given")
    parser.add_argument("--only", nargs="*", choices=[name.strip("-") for name in STORES], help="endings to write")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"no folder {options.data}: give that of the recordings with --data")
    for ending, settings in STORES.items():
        if options.only is None or ending.strip("-") in options.only:
            corpus(
                "ravdess",
                str(options.data),
                f"{options.out}{ending}.store",
                part=True,
                processes=options.processes,
                cache=f"{options.out}.cache",
                **settings,
            )


if __name__ == "__main__":
    main()
