"""From the command line to a plan: data joined and checked, rows declared, settings in their places."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modashift import recipes
from modashift.atomic import write_atomic
from modashift.data.dataset import MODALITIES, Dataset
from modashift.data.join import JOIN_SUFFIX, Part, join_text, part_of
from modashift.data.open import open_dataset
from modashift.data.states import state_columns
from modashift.errors import ModashiftError
from modashift.experiments.declare import override, unknown_keys
from modashift.experiments.settings import DATA, place
from modashift.layers.plan import ALL, EVERY, NAME, Cell, Conventional, cells, parts_of
from modashift.layers.plan import Part as Modality
from modashift.models import get_model
from modashift.report.names import slug

__all__ = ["Asked", "Plan", "prepare"]

NO_RECIPE = "none"
OWN = ("data", "features", "layers", "text", "fold", "folds", "protocol")  # settings of data that the plan decides


@dataclass(frozen=True)
class Asked:
    """What the command line says; see `modashift.layers.cli`."""

    data: Sequence[str]
    conventional: Sequence[str] = ()
    modalities: Sequence[str] = ()
    layers: Sequence[str] = ("all",)
    model: str = "gated-encoders"
    config: str | None = None
    seeds: Sequence[int] = (1111, 1112, 1113)
    protocol: str | None = None
    folds: int | None = None
    fold: str = ALL
    settings: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """A comparison before anything is trained.

    Attributes:
        title: of experiment and report.
        table: name of the data in the experiment.
        dataset: the utterances with their states.
        parts: the modalities and their layers.
        cells: rows that are known now.
        declared: the declaration without its rows.
        row: what every row says besides data.
        folds: some of a cross-validation's; none for all of them, or where there is none.
        notes: what a reader must know.
    """

    title: str
    table: str
    dataset: Dataset
    parts: tuple[Modality, ...]
    cells: tuple[Cell, ...]
    declared: Mapping[str, Any]
    row: Mapping[str, Any]
    folds: tuple[int, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    def declaration(self, more: Mapping[str, tuple[Cell, Sequence[int]]]) -> dict[str, Any]:
        """The experiment, as its file declares it.

        Args:
            more: rows known since, by name, with the folds they are wanted for (none: those of all).
        """
        known = {cell.row: (cell, self.folds) for cell in self.cells} | dict(more)
        rows = {
            name: {**self.row, "data": {**cell.data, **({"fold": [*folds]} if folds else {})}}
            for name, (cell, folds) in known.items()
        }
        return deepcopy({**self.declared, "rows": rows})


def prepare(asked: Asked, out: Path) -> Plan:
    """Check everything that can be before hours are spent, and write the joins that runs will read.

    Raises:
        ModashiftError: data that do not fit together, modalities, layers or settings that are not there, or a model
            that cannot do without words.
    """
    main = [_absolute(part_of(text)) for text in asked.data]
    if not main:
        raise ModashiftError("give the data with the states: --data STATES.store …")
    path = main[0].data
    if len(main) > 1 or main[0].features is not None:
        path = _write_join(out / f"states{JOIN_SUFFIX}", main)
    dataset = open_dataset(path)
    settings = _settings(asked.settings)
    modalities, notes, weighted = _possible(asked, dataset)
    parts = parts_of(dataset, modalities, asked.layers)
    together = len(parts) > 1 and (not asked.modalities or ALL in asked.modalities)
    if ALL in asked.modalities and not together:
        notes.append("There is but one modality, so there is nothing to put together.")
    sources, said = _conventional(asked.conventional, main, parts, together, out)
    notes += said
    shared = {"normalise": "train", **settings["conventional"]}
    declared = cells(parts, together, weighted, sources, shared)
    twice = {cell.row for cell in declared if sum(other.row == cell.row for other in declared) > 1}
    if twice:
        raise ModashiftError(f"--conventional: two rows would be called {', '.join(sorted(twice))}; give other names")
    data, folds = _protocol(asked)
    config = asked.config or _own_recipe(get_model(asked.model).name)
    if not asked.config and config and dataset.classes:
        settings["train"].setdefault("select", "mse")  # the recipe's metric is one of scores
    about = f"Layers of {' and '.join(f'{p.encoder} ({p.modality})' for p in parts if p.layers)} on {dataset.name}"
    table = slug(dataset.name)
    head: dict[str, Any] = {
        "title": about,
        "data": {table: {"data": path, **data, **settings["data"]}},
        "seeds": [*asked.seeds],
        "train": settings["train"],
    }
    row = {
        "model": get_model(asked.model).name,
        **({"config": config} if config not in {"", NO_RECIPE} else {}),
        **({"options": settings["options"]} if settings["options"] else {}),
    }
    return Plan(about, table, dataset, parts, tuple(declared), head, row, folds, tuple(notes))


def _absolute(part: Part) -> Part:
    """The part by a path that means the same wherever the next call is made."""
    return Part(str(Path(part.data).resolve()), part.features)


def _write_join(path: Path, parts: Sequence[Part]) -> str:
    text = join_text(parts)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_atomic(path, text)
    return str(path.resolve())


def _settings(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``KEY=VALUE`` settings by what they are about: data, train, options (the model's) and conventional.

    Raises:
        ModashiftError: something that has no such key, or that the comparison decides itself.
    """
    tree: dict[str, Any] = {}
    override(tree, given, "--set")
    parts: dict[str, dict[str, Any]] = {"data": {}, "train": {}, "options": {}}
    conventional: dict[str, Any] = {}
    for key, value in tree.items():
        if key in {"data", "train", "model", "conventional"} and not isinstance(value, dict):
            raise ModashiftError(f"--set {key}={value}: expected {key}.OPTION=VALUE")
        if key == "model":
            parts["options"] = value
        elif key == "conventional":
            unknown_keys("--set conventional", value, DATA)
            conventional = value
        else:
            for name, one in value.items() if key in {"data", "train"} else [(key, value)]:
                full = f"{key}.{name}" if key in {"data", "train"} else name
                parts = place("--set", full, one, parts)
    if own := [k for k in (*parts["data"], *conventional) if k in OWN]:
        raise ModashiftError(f"--set: {', '.join(own)} of the data is what the comparison sets, by its own options")
    return {**parts, "conventional": conventional}


def _own_recipe(model: str) -> str:
    """The shipped configuration that has the model's name; none where there is none."""
    return model if (recipes.folder() / f"{model}.yaml").is_file() else ""


def _possible(asked: Asked, dataset: Dataset) -> tuple[list[str], list[str], bool]:
    """Modalities that the model can have by themselves, notes, and whether it weighs layers.

    Raises:
        ModashiftError: the model reads word vectors always, so that no modality is alone.
    """
    cls: Any = get_model(asked.model)
    modalities, notes = list(asked.modalities), []
    if cls.text == "vectors" and not cls.words_optional:
        raise ModashiftError(
            f"{asked.model} always reads words as vectors, so no other modality can be compared by itself; use "
            "gated-encoders"
        )
    if cls.text == "pieces":
        able = [m for m in MODALITIES if m in cls.modalities and m in dataset.features]
        if "linguistic" in modalities or not able:
            raise ModashiftError(f"{asked.model} reads the words itself; layers can be compared of {', '.join(able)}")
        modalities = modalities if {*modalities} & {*able} else [*able, *modalities]
        notes.append(f"{asked.model} reads the words in every row, whatever else it has.")
    if not cls.layered:
        notes.append(f"{asked.model} cannot weigh layers, so there is no weighted sum.")
    return modalities, notes, cls.layered


def _protocol(asked: Asked) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Fields of data that say the cross-validation, and the folds of it that are asked for (none: all).

    Raises:
        ModashiftError: folds without a cross-validation, or no numbers.
    """
    found = {k: v for k, v in (("protocol", asked.protocol), ("folds", asked.folds)) if v is not None}
    if len(found) > 1:
        raise ModashiftError("give --protocol or --folds, not both")
    pieces = [] if asked.fold == ALL else asked.fold.split(",")
    if not all(p.strip().isdigit() for p in pieces):
        raise ModashiftError(f"--fold {asked.fold}: expected all, or numbers such as 1,2")
    if pieces and not found:
        raise ModashiftError(f"--fold {asked.fold} is of a cross-validation: give --protocol or --folds too")
    return {**found, **({"fold": ALL} if found else {})}, tuple(sorted({int(p) for p in pieces}))


def _conventional(
    given: Sequence[str], main: Sequence[Part], parts: Sequence[Modality], together: bool, out: Path
) -> tuple[list[Conventional], list[str]]:
    """The conventional features, each joined to the utterances of the states, so that all rows have the same ones.

    Raises:
        ModashiftError: a name that cannot be, or data that are not of the same utterances.
    """
    utterances = [Part(part.data, ()) for part in main]
    found, files, notes = list[Conventional](), list[Part](), list[str]()
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not NAME.fullmatch(name) or name in (*MODALITIES, ALL, EVERY):
            raise ModashiftError(
                f"--conventional {text}: expected NAME=FILE, the name of letters, digits and . _ -, and not "
                f"{', '.join((*MODALITIES, ALL, EVERY))}"
            )
        if Path(path).suffix in {".txt", ".gz", ".zip"}:  # word vectors
            if not Path(path).is_file():
                raise ModashiftError(f"--conventional {text}: there is no file {path}")
            joined = _write_join(out / f"{name}{JOIN_SUFFIX}", utterances)
            if not any(len(w) for w in open_dataset(joined).words):
                raise ModashiftError(f"--conventional {text}: the data have no words to look up in it")
            found.append(Conventional(name, joined, ("linguistic",), str(Path(path).resolve())))
            continue
        part = _absolute(part_of(path))
        joined = _write_join(out / f"{name}{JOIN_SUFFIX}", [*utterances, part])
        dataset = open_dataset(joined)
        layered = [m for m, f in dataset.features.items() if state_columns(f)]
        if layered:
            raise ModashiftError(
                f"--conventional {text}: its {', '.join(layered)} features are states of an encoder; choose others as "
                f"{name}={path}:MODALITY, or give it as --data"
            )
        own = tuple(m for m in dataset.features if any(p.modality == m for p in parts))
        if not own:
            raise ModashiftError(
                f"--conventional {text}: it has {', '.join(dataset.features) or 'no'} features, and compared are "
                f"{', '.join(p.modality for p in parts)}"
            )
        found.append(Conventional(name, joined, own))
        files.append(Part(part.data, own))
    if together and len(found) > 1:
        every = [m for source in found for m in source.modalities]
        glove = [source.glove for source in found if source.glove]
        if len({*every}) < len(every):
            twice = ", ".join(sorted({m for m in every if every.count(m) > 1}))
            notes.append(f"Several conventional sets have {twice} features, so not all of them are put together.")
        else:
            joined = _write_join(out / f"{EVERY}{JOIN_SUFFIX}", [*utterances, *files])
            open_dataset(joined)
            found.append(Conventional(EVERY, joined, tuple(every), glove[0] if glove else ""))
    return found, notes
