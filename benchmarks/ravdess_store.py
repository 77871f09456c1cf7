"""RAVDESS as stores that experiments read by their paths.

    python benchmarks/ravdess_store.py --out ravdess [--data ../shared/data/ravdess] [--processes 2] [--only states]
    modashift experiment run ravdess --out runs/ravdess --tables ravdess

``ravdess-states.store`` has the third layer of Whisper tiny.en's encoder on each word, ``ravdess-covarep.store``
COVAREP means and deviations of each word; both have the action units of the face, and all is standardised by its
speaker.
``ravdess-raw.store`` is the second as measured; ``ravdess-mfcc.store`` 120 cepstral columns every 10 ms;
``ravdess-wave.store`` the sound; ``ravdess-pauses.store`` the silence after each word. Features are kept in
``ravdess.cache``, so that an interrupted run goes on.
"""

import argparse
from pathlib import Path

from modashift.data.emotion.cli import corpus

STORES = {
    "-covarep": {"features": "covarep,action-units", "statistics": "mean+sd", "by_speaker": True},
    "-raw": {"features": "covarep,action-units", "statistics": "mean+sd"},
    "-mfcc": {"features": "mfcc"},
    "-states": {"features": "whisper-tiny.en,action-units", "layers": "3", "by_speaker": True},
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
