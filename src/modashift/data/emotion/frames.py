"""Feature sets of single recordings, and how those of a whole corpus are made: in processes, resumable."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.atomic import atomic_file
from modashift.data.states import columns_from_json, columns_to_json
from modashift.errors import DataError, ModashiftError
from modashift.extract.recording import Frames

__all__ = ["SETS", "WAVE_STEP", "Maker", "covarep_frames", "extract_all", "maker", "read_sound", "waveform_frames"]

SOUND = (".wav", ".flac", ".ogg", ".aiff")  # read by soundfile; all else is taken for video
WAVE_STEP = 160  # samples of a step of the waveform: 10 ms at 16 kHz
RATE = 16_000
WHERE_VOICED = ("F0", "NAQ", "QOQ", "H1H2", "PSP", "MDQ", "peakSlope", "Rd", "Rd_conf")
"""COVAREP columns that describe the voice: without one they are no measurement."""


@dataclass(frozen=True)
class Maker:
    """How a feature set is made.

    Attributes:
        version: changes with what the numbers mean, so that older ones in a cache are made anew.
        make: from waveform (samples,) and rate in hertz.
    """

    version: str
    make: Callable[[NDArray[np.float64], int], Frames]


def read_sound(path: Path) -> tuple[NDArray[np.float64], int]:
    """Waveform (samples,) of the first channel of a recording, and its rate in hertz.

    Raises:
        DataError: it is missing, cannot be read, or has no sound.
        ModashiftError: the library for it is not installed.
    """
    if not path.is_file():
        raise DataError(f"there is no recording {path}")
    if path.suffix.lower() not in SOUND:
        from modashift.extract.media import read_sound as read_track

        return np.asarray(read_track(path), dtype=np.float64), RATE
    try:
        import soundfile
    except ImportError as error:
        raise ModashiftError('sound files need soundfile: pip install "modashift[extract]"') from error
    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read as sound ({error}); it is damaged or of another kind") from error
    if not len(samples):
        raise DataError(f"{path} has no samples")
    return np.asarray(samples[:, 0]), int(rate)


def covarep_frames(waveform: NDArray[np.float64], rate: int) -> Frames:
    """The 74 COVAREP features, repaired; columns of the voice are NaN where there is none, so that means leave them
    out."""
    from modashift.extract.covarep import covarep

    features = covarep(waveform, rate, compat=False)
    values = features.values.astype(np.float32)
    voiced = values[:, features.names.index("VUV")] > 0
    values[np.ix_(~voiced, np.isin(features.names, WHERE_VOICED))] = np.nan
    return Frames("covarep", features.names, values, features.times, np.ones(len(values), dtype=bool))


def waveform_frames(waveform: NDArray[np.float64], rate: int) -> Frames:
    """The sound itself at 16 kHz: each step holds the 160 samples of 10 ms, the last one filled up with zeros."""
    from modashift.extract.covarep.waveform import prepare

    signal, _ = prepare(waveform, rate)
    steps = -(-len(signal) // WAVE_STEP)
    values = np.zeros(steps * WAVE_STEP, dtype=np.float32)
    values[: len(signal)] = signal
    times = (np.arange(steps) + 0.5) * WAVE_STEP / RATE
    columns = tuple(f"sample_{k}" for k in range(WAVE_STEP))
    return Frames("waveform", columns, values.reshape(steps, WAVE_STEP), times, np.ones(steps, dtype=bool))


def _mfcc(waveform: NDArray[np.float64], rate: int) -> Frames:
    from modashift.extract.mfcc import mfcc

    return mfcc(waveform, rate)


SETS: Mapping[str, Maker] = {
    "covarep": Maker("1", covarep_frames),
    "mfcc": Maker("1", _mfcc),
    "waveform": Maker("1", waveform_frames),
}
"""Acoustic feature sets by name."""


def maker(feature_set: str) -> Maker:
    """How a feature set is made.

    Args:
        feature_set: one of `SETS`, or ``ENCODER@LAYERS``: hidden states of a speech encoder, all it makes a second; or
            ``ENCODER@RATE@LAYERS``, so many a second.

    Raises:
        DataError: there is none of that name.
        ModashiftError: the encoder cannot be found, or has no such layer.
    """
    if feature_set in SETS:
        return SETS[feature_set]
    encoder, at, layers = feature_set.rpartition("@")
    if not at:
        raise DataError(
            f"there is no feature set {feature_set!r}; there are {', '.join(SETS)}, and speech encoders as NAME@LAYERS"
        )
    from modashift.encoders.sources import find

    source = find(encoder, "acoustic")
    return Maker(json.dumps(source.facts(), sort_keys=True), partial(_states, encoder, layers))


def _states(encoder: str, layers: str, waveform: NDArray[np.float64], rate: int) -> Frames:
    """Hidden states of a speech encoder."""
    from modashift.encoders.load import load_encoder
    from modashift.encoders.names import read_name
    from modashift.encoders.states import sound_states
    from modashift.extract.covarep.waveform import prepare

    signal, _ = prepare(waveform, rate)
    said = read_name(encoder).rate
    found = load_encoder(encoder, "acoustic", layers)
    return sound_states(signal.astype(np.float32), found, None if said == "usual" else said)[0]


def extract_all(
    recordings: Mapping[str, Path],
    feature_set: str,
    cache: Path,
    processes: int | None = None,
    done: Callable[[], None] | None = None,
) -> Iterator[tuple[str, Frames | DataError]]:
    """Features of many recordings, each kept in a file of its own, so that an interrupted extraction goes on.

    A file counts while recording (size and time of change) and feature set are the same as when it was written.

    Args:
        recordings: paths by id; ids must be possible as names of files.
        feature_set: see `maker`.
        cache: folder for the files, one folder a feature set below it.
        processes: how many work at once; all processors where not given. One works in this process.
        done: is called for each recording, found or made.

    Yields:
        Id and features in the order given, or the error of a recording that could not be read.
    """
    version = maker(feature_set).version
    folder = cache / feature_set.replace("/", "_")
    jobs = [
        (feature_set, path, folder / f"{name}.npz", name)
        for name, path in recordings.items()
        if not _is_current(folder / f"{name}.npz", path, f"{feature_set} {version}")
    ]
    failed: dict[str, DataError] = {}
    waiting = {name for *_, name in jobs}
    for name in recordings:
        if name not in waiting and done is not None:
            done()
    for name, error in _run(jobs, processes or os.cpu_count() or 1):
        if error is not None:
            failed[name] = error
        if done is not None:
            done()
    for name in recordings:
        yield name, failed[name] if name in failed else _load(folder / f"{name}.npz", feature_set)


def _run(jobs: list[tuple[str, Path, Path, str]], processes: int) -> Iterator[tuple[str, DataError | None]]:
    if processes == 1 or len(jobs) < 2:
        for job in jobs:
            yield _work(job)
        return
    with ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn"), initializer=_alone) as pool:
        futures = [pool.submit(_work, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def _alone() -> None:
    """A worker is one of many: its libraries are not to start threads of their own."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def _work(job: tuple[str, Path, Path, str]) -> tuple[str, DataError | None]:
    """Make the features of one recording and write them."""
    feature_set, path, target, name = job
    try:
        made = maker(feature_set)
        frames = made.make(*read_sound(path))
        content: dict[str, Any] = {
            "key": np.array(_key(path, f"{feature_set} {made.version}")),
            "columns": np.array(json.dumps(columns_to_json(frames.columns))),
            "values": frames.values,
            "times": frames.times,
            "mask": frames.mask,
        }
    except DataError as error:
        return name, DataError(str(error))
    with atomic_file(target) as file:
        np.savez(file, **content)
    return name, None


def _key(path: Path, made: str) -> str:
    about = path.stat()
    return f"{made} {about.st_size} {about.st_mtime_ns}"


def _is_current(target: Path, path: Path, made: str) -> bool:
    if not target.is_file() or not path.is_file():
        return False
    try:
        with np.load(target, allow_pickle=False) as file:
            return str(file["key"]) == _key(path, made)
    except (OSError, ValueError, KeyError, EOFError):
        return False


def _load(target: Path, feature_set: str) -> Frames:
    try:
        with np.load(target, allow_pickle=False) as file:
            columns = columns_from_json(json.loads(str(file["columns"])))
            return Frames(feature_set, columns, file["values"], file["times"], file["mask"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"{target} is damaged ({error}); delete it and run the command again") from error
