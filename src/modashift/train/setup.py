"""From arguments to a model with its data: everything that happens before the first step."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modashift.backbones import load_backbone
from modashift.data.dataset import Dataset
from modashift.data.normalise import Normaliser
from modashift.data.speaker_folds import declare_protocol
from modashift.data.splits import folds, leave_group_out, redeclare
from modashift.data.states import choose_layers, state_columns
from modashift.errors import DataError, ModashiftError
from modashift.evaluate.tasks import Classes, Task, balanced_weights, task_of
from modashift.linguistic import choose
from modashift.models import MODELS, get_model
from modashift.models.base import FROM_DATA, Model
from modashift.preprocess import Encoded, Preprocessor
from modashift.train.args import DataArgs, TrainArgs

__all__ = ["Setup", "load_splits", "prepare", "run_data", "typed_options", "warm_start"]


@dataclass
class Setup:
    """A model ready to train and the data it is trained on.

    Attributes:
        model: with pre-trained weights in place.
        preprocessor: fitted to the training split.
        dataset: with its splits as declared.
        encoded: its word pieces.
        notes: things the user should know (rows left out, weights taken over).
        task: scores or classes, by the labels of the data.
    """

    model: Model
    preprocessor: Preprocessor
    dataset: Dataset
    encoded: Encoded
    notes: list[str]
    task: Task

    def labelled(self, split: str) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Rows of a split that have a label."""
        rows = self.dataset.rows(split)
        return rows[np.isfinite(self.dataset.labels[rows])]


def load_splits(args: DataArgs, dataset: Dataset | None = None) -> Dataset:
    """Open the data, unless they are given, and declare the splits.

    Raises:
        DataError: where no validation part is left to choose a checkpoint by.
    """
    if dataset is None:
        from modashift.data.open import open_dataset

        dataset = open_dataset(args.data, replace_nonfinite=args.replace_nonfinite)
    if args.protocol is not None:
        if args.folds is not None or args.leave_out is not None or args.dev_as_test or args.validation is not None:
            raise DataError(
                f"protocol {args.protocol} decides about all splits: leave folds, leave_out, dev_as_test and "
                "validation out"
            )
        dataset = declare_protocol(dataset, args.protocol, args.fold, args.split_seed)
    elif args.folds is not None:
        if not 1 <= args.fold <= args.folds:
            raise DataError(f"fold {args.fold} of {args.folds} folds; it must be 1 to {args.folds}")
        parts = folds(dataset, args.folds, args.group, args.validation or 0.15, args.split_seed)
        dataset = next(islice(parts, args.fold - 1, None))
    elif args.leave_out is not None:
        dataset = leave_group_out(dataset, args.leave_out, args.group, args.validation or 0.15, args.split_seed)
    else:
        dataset = redeclare(dataset, args.validation, args.group, args.dev_as_test, args.split_seed)
    for split in ("train", "dev"):
        rows = dataset.rows(split)
        if not np.isfinite(dataset.labels[rows]).any():
            raise DataError(
                f"{args.data}: the {split} split has no labelled utterance"
                + ("; carve one out of train with --validation 0.15" if split == "dev" else "")
            )
    return dataset


def run_data(run: Path) -> Dataset:
    """Data of a finished or interrupted run, with their splits as declared for it.

    Raises:
        ModashiftError: where the folder is no run's, or the data are not there any more.
    """
    import yaml

    path = run / "config.yaml"
    if not path.is_file():
        raise ModashiftError(f"{run} is no run folder, so its data are not known: give --data FILE")
    stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    # An option that is newer than the run stood at its default.
    return load_splits(DataArgs(**{f.name: stored[f.name] for f in fields(DataArgs) if f.name in stored}))


def prepare(
    name: str, options: Mapping[str, Any], data: DataArgs, args: TrainArgs, dataset: Dataset | None = None
) -> Setup:
    """Build a model for some data.

    Args:
        name: of the model.
        options: its own arguments, beyond those that data and backbone determine.
        data: which data.
        args: backbone, seed and warm start are read from it.
        dataset: the data themselves, where they are in memory already.
    """
    notes: list[str] = []
    dataset = load_splits(data, dataset)
    cls: Any = get_model(name)
    task = _task(cls, options, dataset, args)
    wanted, with_words = _modalities(cls, data, dataset)
    backbone, vectors = None, None
    if cls.text == "vectors" and data.plain_words:
        raise ModashiftError(f"plain_words is for models that read word pieces; {name} reads words as vectors")
    if cls.text == "vectors" and not with_words:
        dataset = choose_layers(dataset.keep_features(wanted), data.layers or {})
        notes.append("words: none, the model has " + " and ".join(wanted))
    elif cls.text == "vectors":
        given = ("linguistic",) if "linguistic" in dataset.features else ()
        dataset = choose_layers(dataset.keep_features((*given, *wanted)), data.layers or {})
        vectors, said = choose(
            data.text, data.glove, args.backbone, data.text_layer, data.max_length, dataset, cls.aligned
        )
        dataset, vectors, more = vectors.add_to(dataset, cache=True)
        notes += [*said, *more, f"words: {vectors.describe()}"]
    else:
        dataset = choose_layers(dataset.keep_features(wanted), data.layers or {})
        backbone = load_backbone(args.backbone)
        limit = backbone.config.get("max_position_embeddings", 512)
        if data.max_length > limit:
            raise ModashiftError(f"max_length {data.max_length} is beyond the {limit} positions of {args.backbone}")
        if not any(len(w) for w in dataset.words):
            able = ", ".join(n for n in MODELS if get_model(n).text == "vectors")
            raise ModashiftError(
                f"{name} reads words, and {dataset.name} has none (its layout holds word vectors only); "
                f"use a model that reads vectors ({able}), or a file with texts"
            )
    if cls.aligned:
        require_aligned(name, dataset, cls.text)
    depths = {m: len(c.layers) for m, f in dataset.features.items() if (c := state_columns(f))}
    several = [m for m, depth in depths.items() if depth > 1]
    if several and not cls.layered:
        raise ModashiftError(
            f"{dataset.name} holds {depths[several[0]]} layers of {several[0]} states, and {name} reads one: choose it "
            f"with --layers.{several[0]} N (`modashift layers compare` finds which is best)"
        )
    preprocessor = Preprocessor(
        tokenizer=None if backbone is None else backbone.tokenizer,
        normaliser=Normaliser.fit(data.normalise, dataset),
        modality_sizes=dataset.sizes(),
        columns={m: f.columns for m, f in dataset.features.items() if f.columns},
        alignments={m: f.alignment for m, f in dataset.features.items()},
        max_length=data.max_length,
        steps=cls.steps,
        vectors=vectors,
        aligned=cls.aligned,
        plain_words=data.plain_words,
        classes=dataset.classes,
    )
    encoded = preprocessor.encode(dataset)
    cut = int((encoded.lengths >= data.max_length).sum())
    if cut and backbone is not None:
        notes.append(f"{cut} of {len(dataset)} utterances reach {data.max_length} word pieces and may be cut off there")
    torch.manual_seed(args.seed)
    try:
        own: dict[str, Any] = {} if backbone is None else {"backbone": backbone.config}
        own |= {"classes": len(dataset.classes)} if dataset.classes else {}
        own |= {"state_layers": depths} if cls.layered else {}
        model = cls(**own, modality_sizes=dataset.sizes(), **typed_options(cls, options))
    except ValueError as error:
        raise ModashiftError(str(error)) from error
    if backbone is not None:
        model.load_backbone(backbone.state_dict())
    if isinstance(task, Classes) and task.weights is not None:
        model.weigh_classes(torch.tensor(task.weights, dtype=torch.float32))
    setup = Setup(model, preprocessor, dataset, encoded, notes, task)
    missing = int(np.isnan(dataset.labels).sum())
    if missing:
        notes.append(f"{missing} utterances without a label are left out")
    if args.init:
        notes += [warm_start(model, Path(args.init)), *_other_settings(preprocessor, Path(args.init))]
    return setup


def _modalities(cls: Any, data: DataArgs, dataset: Dataset) -> tuple[tuple[str, ...], bool]:
    """Modalities to use beside the words, and whether words are read as vectors too.

    A model of word pieces may read linguistic features beside them (augpause: the pauses).

    Raises:
        ModashiftError: a modality that the model cannot use, or nothing at all.
    """
    beside = tuple(m for m in cls.modalities if m != "linguistic" or not cls.words_optional)
    able = (*beside, "linguistic") if cls.words_optional else beside
    asked = able if data.features is None else tuple(data.features)
    unknown = [m for m in asked if m not in able]
    if unknown:
        raise ModashiftError(
            f"{cls.name} cannot use {', '.join(unknown)} features (it takes: {', '.join(able) or 'words only'})"
        )
    wanted = tuple(m for m in asked if m in beside and (m in dataset.features or data.features is not None))
    if not cls.words_optional:
        return wanted, cls.text == "vectors"
    # Words that were asked for must be there; else they are read where there are any.
    there = data.features is not None or "linguistic" in dataset.features
    there = there or (data.text != "given" and any(len(w) for w in dataset.words))
    words = "linguistic" in asked and there
    if not words and not wanted:
        raise ModashiftError(f"{cls.name}: {dataset.name} has none of the modalities it takes ({', '.join(able)})")
    return wanted, words


def _task(cls: Any, options: Mapping[str, Any], dataset: Dataset, args: TrainArgs) -> Task:
    """Scores or classes, by the labels; refuses settings that are meant for the other of the two.

    Raises:
        ModashiftError: a model for scores only, a loss or weights of the other task, or a dev metric of it.
    """
    classes = dataset.classes
    if classes and cls.scores_only:
        raise ModashiftError(
            f"{cls.name} predicts scores only ({cls.scores_only}), and the labels of {dataset.name} are classes "
            f"({', '.join(classes)}); train one of {', '.join(n for n in MODELS if not get_model(n).scores_only)}"
        )
    parameters = inspect.signature(cls).parameters
    if classes and "classes" not in parameters:
        raise ModashiftError(f"{cls.name} takes no `classes`, and the labels of {dataset.name} are classes")
    if classes and options.get("task_loss", usual := _usual_loss(cls)) != usual:
        raise ModashiftError(f"the loss of classes is the cross-entropy: leave task_loss {options['task_loss']} out")
    if args.class_weights != "none" and not classes:
        raise ModashiftError(f"class_weights {args.class_weights}: the labels of {dataset.name} are scores")
    task = task_of(classes, balanced_weights(dataset) if args.class_weights == "balanced" else None)
    task.criterion(args.select)
    return task


def _usual_loss(cls: Any) -> Any:
    parameter = inspect.signature(cls).parameters.get("task_loss")
    return None if parameter is None else parameter.default


def _other_settings(preprocessor: Preprocessor, run: Path) -> list[str]:
    """Notes where a run to start from saw its words in another form, or predicted something else."""
    path = run / "preprocessor.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    before, notes = stored.get("plain_words", False), []
    if before != preprocessor.plain_words:
        notes.append(
            f"{run} was trained with plain_words {str(before).lower()}, this run has {str(not before).lower()}"
        )
    theirs, own = (
        f"classes ({', '.join(c)})" if c else "scores" for c in (stored.get("classes"), preprocessor.classes)
    )
    if theirs != own:
        notes.append(f"{run} predicted {theirs}, this run {own}: a head of another size starts anew")
    return notes


def require_aligned(name: str, dataset: Dataset, text: str) -> None:
    """Refuse sequences at rates of their own for a model that reads all of them step by step.

    Frames will do where all sequences, word vectors included, have equally many of them.

    Raises:
        ModashiftError: naming the sequences, and what would do.
    """
    frames = {m: f for m, f in dataset.features.items() if f.alignment == "frame"}
    if not frames:
        return
    lengths = [f.lengths for f in frames.values()]
    together = (
        text == "vectors"
        and len(frames) == len(dataset.features)
        and all(((n == lengths[0]) | (n == 0) | (lengths[0] == 0)).all() for n in lengths)
    )
    if not together:
        raise ModashiftError(
            f"{name} needs every sequence at the same steps, and {' and '.join(frames)} of {dataset.name} come in "
            "frames of their own; give word-aligned data (an aligned_50 file, say), or train mult, misa, self-mm, tfn, "
            "cmsbert or cmsbert-clr, which take unaligned sequences"
        )


def typed_options(cls: type[Model], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the class takes them: plain mappings (from a file) become the dataclasses its signature names.

    Raises:
        ModashiftError: for an option the model does not have, listing those it has.
    """
    parameters = {k: p for k, p in inspect.signature(cls).parameters.items() if k not in FROM_DATA}
    typed = dict(options)
    for key, value in options.items():
        if key not in parameters:
            raise ModashiftError(f"{cls.name} has no option {key!r}; it has {', '.join(parameters)}")
        default: Any = parameters[key].default
        if is_dataclass(default) and not isinstance(default, type) and isinstance(value, Mapping):
            try:
                typed[key] = replace(default, **value)  # fields that are not given keep the model's own defaults
            except TypeError as error:
                names = ", ".join(f.name for f in fields(default))
                raise ModashiftError(f"{cls.name}'s option {key!r} has the fields {names} ({error})") from error
    return typed


def warm_start(model: Model, run: Path) -> str:
    """Take over from a trained run every weight that has the same name and shape; returns what was taken.

    Raises:
        ModashiftError: where the run has no weights, or none of them fits.
    """
    from safetensors.torch import load_file

    path = run / "model.safetensors"
    if not path.is_file():
        raise ModashiftError(f"--init {run}: no model.safetensors there; give the folder of a finished run")
    own, theirs = model.state_dict(), load_file(path)
    taken = {k: v for k, v in theirs.items() if k in own and own[k].shape == v.shape and not k.startswith("balance.")}
    if not taken:
        raise ModashiftError(f"--init {run}: no weight of it fits {model.name}; was it trained on another backbone?")
    model.load_state_dict(taken, strict=False)
    fresh = sum(own[k].numel() for k in own if k not in taken)
    return f"{sum(v.numel() for v in taken.values()):,} weights taken over from {run}, {fresh:,} start anew"
