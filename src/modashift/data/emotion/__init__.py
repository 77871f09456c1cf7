"""Emotion corpora from their folders as they are distributed, one module each.

Each reader returns a `Corpus` of recordings with text, class, speaker and, where the corpus has them, word times;
``frames`` makes features of the recordings, ``build`` puts both together as a `Dataset`, ``cli`` is
``modashift data corpus``. How such data are divided is in `modashift.data.speaker_folds`.
"""

from pathlib import Path
from typing import get_args

from modashift.data.emotion.corpus import Corpus, CorpusRow, Given
from modashift.data.emotion.crema_d import read_crema_d
from modashift.data.emotion.iemocap import Classes, read_iemocap
from modashift.data.emotion.meld import read_meld
from modashift.data.emotion.ravdess import read_ravdess
from modashift.errors import DataError

__all__ = [
    "CORPORA",
    "Corpus",
    "CorpusRow",
    "Given",
    "read_corpus",
    "read_crema_d",
    "read_iemocap",
    "read_meld",
    "read_ravdess",
]

CORPORA = ("iemocap", "ravdess", "crema-d", "meld")


def read_corpus(name: str, folder: Path | str, classes: Classes = "four", part: bool = False) -> Corpus:
    """Read one of `CORPORA` by name.

    Args:
        name: of the corpus.
        folder: as it is distributed.
        classes: of IEMOCAP; the others have one set of classes.
        part: the folder holds a part of the corpus, so that its counts are not compared with the whole's.

    Raises:
        DataError: an unknown corpus, or whatever its reader finds wrong.
    """
    if classes not in get_args(Classes):
        raise DataError(f"classes are {' or '.join(get_args(Classes))}, not {classes!r}")
    if name == "iemocap":
        return read_iemocap(folder, classes, part)
    readers = {"ravdess": read_ravdess, "crema-d": read_crema_d, "meld": read_meld}
    if name not in readers:
        raise DataError(f"there is no corpus {name!r}; there are {', '.join(CORPORA)}")
    return readers[name](folder, part)
