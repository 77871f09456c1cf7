"""``modashift data inspect | import | export``: the signatures below are the options."""

from pathlib import Path
from typing import Literal

from modashift.data.dataset import Dataset
from modashift.errors import DataError

__all__ = ["export", "import_", "inspect"]

Format = Literal["store", "mmsa", "mag", "misa", "mult", "csd", "table", "join"]


def inspect(
    file: str,
    format: Format | None = None,
    split: str | None = None,
    arrays: str | None = None,
    words_offset: int | None = None,
    classes: list[str] | None = None,
) -> None:
    """Describe a data file, folder or store, and list every problem found in it.

    Args:
        file: what to look at; its layout is recognised by content.
        format: its layout, where recognition is not to decide.
        split: of a file that does not tell (train, dev, test), or for .csd files the file with the standard folds.
        arrays: .npz file with the features of a table.
        words_offset: for .csd files, by how many entries the word times run ahead of the words.
        classes: names of the classes of a table, in their order; sorted by name where its labels are no numbers.

    Raises:
        DataError: the file cannot be read, or has errors that would stop a training.
    """
    from rich.console import Console

    from modashift.data.inspect import describe
    from modashift.data.open import read
    from modashift.data.store import verify_store
    from modashift.data.validate import check

    dataset = read(Path(file), format, split=split, arrays=arrays, words_offset=words_offset, classes=classes)
    if "store" in dataset.provenance:
        verify_store(file)
    report = check(dataset)
    Console(highlight=False, soft_wrap=True).print(describe(dataset, file, report))
    if report.errors:
        raise DataError(f"{file} has {len(report.errors)} error(s), listed above; it cannot be trained on as it is")


def import_(
    source: str,
    out: str,
    format: Format | None = None,
    split: str | None = None,
    arrays: str | None = None,
    words_offset: int | None = None,
    pauses: Literal["drop", "keep"] | None = None,
    replace_nonfinite: bool = False,
    classes: list[str] | None = None,
) -> None:
    """Read a file or folder in any layout, check it, and write it as a store, which opens at once.

    Args:
        source: what to read; its layout is recognised by content.
        out: folder to write, NAME.store by custom; an older store of that name is replaced.
        format: layout of the source, where recognition is not to decide.
        split: of a file that does not tell (train, dev, test), or for .csd files the file with the standard folds.
        arrays: .npz file with the features of a table.
        words_offset: for .csd files, by how many entries the word times run ahead of the words.
        pauses: for .csd files, drop the pause entries (sp) or keep them as words.
        replace_nonfinite: replace NaN and infinite feature values by 0 instead of refusing the file.
        classes: names of the classes of a table, in their order; sorted by name where its labels are no numbers.

    Raises:
        DataError: the source cannot be read or has errors, or the store cannot be written.
    """
    from modashift.data.open import open_dataset
    from modashift.data.store import write_store

    dataset = open_dataset(
        source,
        format,
        replace_nonfinite=replace_nonfinite,
        split=split,
        arrays=arrays,
        words_offset=words_offset,
        pauses=pauses,
        classes=classes,
    )
    write_store(dataset, out)
    _done(dataset, out)


def export(
    source: str,
    out: str,
    layout: Literal["mmsa", "mag"] = "mmsa",
    features: list[str] | None = None,
    tokenizer: str | None = None,
    split: str | None = None,
    replace_nonfinite: bool = False,
) -> None:
    """Write a data set in a layout that other code bases read.

    Args:
        source: store, file or folder.
        out: pickle to write.
        layout: mmsa (aligned_50.pkl and its kind) or mag (MAG-BERT's mosi.pkl).
        features: modalities to write; all the source has where not given.
        tokenizer: backbone (minilm, folder or hub name) whose tokenizer makes MMSA's text_bert, left out without one.
        split: of a source that does not tell.
        replace_nonfinite: replace NaN and infinite feature values by 0 instead of refusing the source.

    Raises:
        DataError: the source cannot be read or has errors, or it does not fit the layout.
    """
    from modashift.data.mag import write_mag
    from modashift.data.mmsa_write import write_mmsa
    from modashift.data.open import open_dataset

    if Path(out).resolve() == Path(source).resolve():
        raise DataError(f"{out} is the source itself; write to another file")
    dataset = open_dataset(source, replace_nonfinite=replace_nonfinite, split=split)
    if features is not None:
        dataset = dataset.keep_features(features)
    if layout == "mag":
        if tokenizer is not None:
            raise DataError("the mag layout holds words, not word pieces; leave --tokenizer out")
        write_mag(dataset, out)
    else:
        tokenize = None
        if tokenizer is not None:
            from modashift.backbones import load_backbone

            loaded = load_backbone(tokenizer).tokenizer

            def tokenize(text: str) -> list[int]:
                return [int(i) for i in loaded(text)["input_ids"]]

        write_mmsa(dataset, out, tokenize)
    _done(dataset, out)


def _done(dataset: Dataset, out: str) -> None:
    from rich.console import Console

    from modashift.data.validate import check

    sizes = ", ".join(f"{name} {dim}" for name, dim in dataset.sizes().items()) or "no features"
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{len(dataset)} utterances written to {out} ({sizes})", markup=False)
    for warning in check(dataset).warnings:
        console.print(f"warning: {warning}", markup=False, style="yellow")
