"""``modashift data corpus``: an emotion corpus from its folder, written as a store; the signature is the options."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modashift.data.dataset import Dataset
from modashift.errors import DataError, ModashiftError

if TYPE_CHECKING:
    from modashift.data.emotion.corpus import Corpus
    from modashift.extract.recording import Frames

__all__ = ["Name", "corpus", "make_dataset"]

Name = Literal["iemocap", "ravdess", "crema-d", "meld"]


def corpus(
    name: Name,
    folder: str,
    out: str | None = None,
    features: str = "covarep",
    steps: Literal["word", "frame", "utterance"] | None = None,
    statistics: Literal["mean", "mean+sd"] = "mean",
    by_speaker: bool = False,
    classes: Literal["four", "seven"] = "four",
    part: bool = False,
    skip_unreadable: bool = False,
    processes: int | None = None,
    cache: str | None = None,
    layers: str = "all",
) -> None:
    """Read an emotion corpus, make features of its recordings, and write a store.

    Features are kept recording by recording while they are made: after an interruption the same command goes on.

    Args:
        name: iemocap, ravdess, crema-d or meld.
        folder: of the corpus, as it is distributed.
        out: store to write; NAME.store where not given.
        features: names with commas between: covarep, mfcc or waveform (acoustic), action-units (visual, where they come
            with the corpus), pauses (silence after each word, where word times do), or none; or the hidden states of a
            speech encoder by its name or folder: whisper-tiny.en for example, or whisper-tiny.en@5 for 5 a second.
        steps: of acoustic features: one a word, a frame or an utterance. Where not given, words for covarep and hidden
            states if the corpus has word times, else frames.
        statistics: of the frames of a word or an utterance: mean, or mean+sd.
        by_speaker: standardise features by each speaker's own mean and deviation over all recordings; needs no labels.
        classes: of iemocap: four (angry, happy with excited, sad, neutral) or seven.
        part: the folder holds a part of the corpus, so that its counts are not compared with the whole's.
        skip_unreadable: leave features of recordings that are missing or damaged away instead of stopping.
        processes: recordings worked on at once; all processors where not given.
        cache: folder where features are kept; OUT.cache where not given. It may be deleted when the store is written.
        layers: of a speech encoder: all, last, or numbers with commas between; 0 is what enters the first layer.

    Raises:
        DataError: the corpus cannot be read or is not whole, or recordings cannot be read.
    """
    from rich.console import Console

    from modashift.data.store import write_store
    from modashift.data.validate import check

    console = Console(highlight=False, soft_wrap=True)
    out = out or f"{name}.store"
    dataset = make_dataset(
        name, folder, features, steps, statistics, by_speaker, classes, part, skip_unreadable, processes,
        Path(cache) if cache else Path(f"{out.rstrip('/')}.cache"), layers,
    )  # fmt: skip
    write_store(dataset, out)
    sizes = ", ".join(f"{m} {f.dim} a {f.alignment}" for m, f in dataset.features.items()) or "no features"
    console.print(f"{len(dataset)} recordings of {len(dataset.classes)} classes written to {out} ({sizes})")
    for note in dataset.provenance["notes"]:
        console.print(f"note: {note}", markup=False)
    for warning in check(dataset).warnings:
        console.print(f"warning: {warning}", markup=False, style="yellow")


def make_dataset(
    name: Name,
    folder: str | Path,
    features: str = "covarep",
    steps: Literal["word", "frame", "utterance"] | None = None,
    statistics: Literal["mean", "mean+sd"] = "mean",
    by_speaker: bool = False,
    classes: Literal["four", "seven"] = "four",
    part: bool = False,
    skip_unreadable: bool = False,
    processes: int | None = None,
    cache: Path | None = None,
    layers: str = "all",
) -> Dataset:
    """What `corpus` writes; see there.

    Args:
        cache: folder where features are kept; needed for features that are made of the recordings.
    """
    from modashift.data.emotion import read_corpus
    from modashift.data.emotion.build import PAUSES, build_dataset
    from modashift.data.emotion.frames import SETS
    from modashift.encoders.names import check_name

    wanted = [one.strip() for one in features.split(",") if one.strip() not in {"", "none"}]
    found = read_corpus(name, folder, classes=classes, part=part)
    known = {*SETS, *found.given, PAUSES}
    for one in wanted:
        if one not in known:
            try:
                check_name(one, "acoustic")
            except ModashiftError as error:
                there = ", ".join([*SETS, PAUSES, *found.given])
                raise DataError(
                    f"{folder}: no features {one}; of this folder there are {there}, and states of speech encoders"
                ) from error
    made = [one if one in SETS else f"{one}@{layers}" for one in wanted if one in SETS or one not in known]
    if len(made) > 1:
        raise DataError(f"{' and '.join(made)} are both acoustic; write a store for each")
    if steps is None:
        worded = any(row.words for row in found.rows) and all(one == "covarep" or "@" in one for one in made)
        steps = "word" if made and worded else "frame"
    if made == ["waveform"] and steps != "frame":
        raise DataError("of a waveform there are steps of frames only; leave --steps out")
    frames = None
    if made:
        if cache is None:
            raise ValueError("features of recordings need a cache folder")
        frames = _extracted(found, made[0], cache, processes, skip_unreadable)
    return build_dataset(
        found,
        frames,
        steps,
        statistics,
        given=[one for one in wanted if one in found.given],
        pauses=PAUSES in wanted,
        by_speaker=by_speaker,
        options={"features": ",".join(wanted), **({"layers": layers} if any("@" in one for one in made) else {})},
    )


def _extracted(
    found: "Corpus", feature_set: str, cache: Path, processes: int | None, skip_unreadable: bool
) -> "dict[str, Frames | DataError]":
    """Features of all recordings, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from modashift.data.emotion.frames import extract_all

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    recordings = {row.id: row.path for row in found.rows}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{feature_set}, recordings", total=len(recordings))
        frames = dict(extract_all(recordings, feature_set, cache, processes, lambda: bar.advance(task)))
    failed = [error for error in frames.values() if isinstance(error, DataError)]
    if failed and (not skip_unreadable or len(failed) == len(frames)):
        raise DataError(
            f"{len(failed)} of {len(frames)} recordings of {found.name} have no sound that can be read; the first: "
            f"{failed[0]}. With --skip_unreadable true their words are kept and their features are missing"
        )
    return frames
