"""``modashift encode DATA --linguistic ENCODER --out STORE``: states of the texts of a data set, without recordings."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modashift.errors import DataError, ModashiftError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

__all__ = ["encode"]

DESCRIPTION = """Add a frozen encoder's hidden states of the texts to a data set, as its linguistic features. The same
command continues what was interrupted. (States of face and voice come from recordings: `modashift extract`.)"""


def encode(argv: list[str]) -> None:
    """``modashift encode DATA --linguistic ENCODER --out STORE``.

    Raises:
        ModashiftError: the data, the encoder or a layer cannot be had, or the store not be written.
    """
    config = _parser().parse_args(argv)
    out, work = Path(config.out), Path(f"{config.out}.states")

    from modashift.data.open import open_dataset
    from modashift.data.store import STORE_FILE, write_store
    from modashift.display import console
    from modashift.encoders.base import Settings
    from modashift.encoders.encode import add_linguistic
    from modashift.encoders.names import check_name
    from modashift.train.processes import claim

    check_name(config.linguistic, "linguistic")
    if out.exists() and not (out / STORE_FILE).is_file():
        raise DataError(f"{out} exists and is no store, so it is not overwritten; choose another --out")
    if out.exists() and Path(config.data).exists() and out.resolve() == Path(config.data).resolve():
        raise DataError(f"{out} is the data set itself; write to another store")
    dataset = open_dataset(config.data, replace_nonfinite=config.replace_nonfinite, split=config.split)
    if config.keep is not None:
        dataset = dataset.keep_features(config.keep)
    bar = _Bar()
    try:
        with claim(work) as had:
            if not had:
                raise ModashiftError(f"another call is at work on {out}; wait for it, or choose another --out")
            settings = Settings(config.device, config.precision)
            made, notes = add_linguistic(dataset, config.linguistic, work, config.layers, settings, bar.told)
            bar.stop()
            write_store(made, out)
            shutil.rmtree(work, ignore_errors=True)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command continues where it was\n")
        raise
    except OSError as error:
        raise DataError(f"cannot write {work}: {error.strerror}") from error
    finally:
        bar.stop()
    for note in notes:
        console().print(f"note: {note}", markup=False)
    feature = made.features["linguistic"]
    sizes = ", ".join(f"{m} {dim}" for m, dim in made.sizes().items())
    sys.stdout.write(
        f"{len(made)} utterances, {len(feature.values)} word pieces, {feature.values.nbytes / 1e6:.1f} MB of states "
        f"written to {out} ({sizes})\n"
    )


def _parser() -> "ArgumentParser":
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="modashift encode", description=DESCRIPTION)
    add = parser.add_argument
    add("data", type=str, help="store, file or folder in any layout, or a name such as reviews")
    add("--linguistic", type=str, required=True, help="encoder of texts: a name, a folder, or a name on the hub")
    add("--out", type=str, required=True, help="store to write, NAME.store by custom")
    add(
        "--layers",
        type=str | int | list[int],
        default="all",
        help="all, last, 13,14 or 1-6; 0 is what enters the first",
    )
    add("--keep", type=list[str] | None, help="other modalities to keep, '[]' for none; all there are where not given")
    add("--device", type=str, default="auto", help="auto, cpu, cuda or cuda:N")
    add("--precision", type=Literal["fp32", "bf16", "fp16"], default="fp32", help="fp32, or autocast in bf16 or fp16")
    add("--split", type=str | None, help="of a source that does not tell (train, dev, test)")
    add("--replace_nonfinite", type=bool, default=False, help="replace NaN and infinite feature values by 0")
    return parser


class _Bar:
    """A bar in a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        from modashift.display import console, counting_bars

        on = console()
        self.bars: Any = counting_bars(on) if on.is_terminal else None
        self.row: Any = None

    def told(self, done: int, of: int) -> None:
        """Move the bar."""
        if self.bars is None:
            return
        if self.row is None:
            self.bars.start()
            self.row = self.bars.add_task("encoding", total=of, note="texts")
        self.bars.update(self.row, completed=done)

    def stop(self) -> None:
        """Take the bar away."""
        if self.bars is not None:
            self.bars.stop()
            self.bars = None
