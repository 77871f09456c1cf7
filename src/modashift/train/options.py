"""Settings of a model and its training on the command line, shared by all commands that train."""

from pathlib import Path
from typing import TYPE_CHECKING

from modashift.errors import ModashiftError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

__all__ = ["add_settings", "check_name", "shipped_configs", "train_parser", "value_of"]


def add_settings(parser: "ArgumentParser", model: str, config: str) -> None:
    """Add the options of data, training and model, and those that read them from a file.

    Args:
        parser: of a command.
        model: name of the model.
        config: help of ``--config``.
    """
    from modashift.models import get_model
    from modashift.models.base import FROM_DATA
    from modashift.train.args import DataArgs, TrainArgs

    parser.add_argument("--config", action="config", help=config)
    parser.add_argument("--name", default=model, help="model the configuration is for (checked)")
    parser.add_class_arguments(DataArgs)
    parser.add_class_arguments(TrainArgs)
    parser.add_class_arguments(get_model(model), "model", skip=set(FROM_DATA))


def train_parser(name: str) -> "ArgumentParser":
    """Parser of ``modashift train NAME``: the options are the signatures of the model and of the training arguments."""
    from jsonargparse import ArgumentParser

    from modashift.models import get_model

    cls = get_model(name)
    parser = ArgumentParser(
        prog=f"modashift train {name}",
        description=f"Train {cls.title} ({cls.paper}). The checkpoint is chosen on dev; test is scored once, last.",
    )
    parser.add_argument("--run", type=str, required=True, help="folder to write the run to")
    parser.add_argument("--resume", type=bool, default=False, help="continue an interrupted run in that folder")
    add_settings(parser, name, "YAML file of options; those given after it win")
    return parser


def shipped_configs(argv: list[str]) -> list[str]:
    """Replace the names of shipped configurations by their paths."""
    from modashift.recipes import find

    result = list(argv)
    for k, argument in enumerate(argv):
        option, equals, value = argument.partition("=")
        if option == "--config" and equals:
            result[k] = f"--config={find(value)}"
        elif option == "--config" and k + 1 < len(argv):
            result[k + 1] = str(find(argv[k + 1]))
    return result


def check_name(path: Path, name: str) -> None:
    """Say so where a configuration is for another model, before its options are found not to fit."""
    import yaml

    stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    other = stored.get("name", name) if isinstance(stored, dict) else name
    if other != name:
        raise ModashiftError(f"{path} is for {other!r}: use `modashift train {other}`")


def value_of(option: str, argv: list[str]) -> str | None:
    """Value of an option before the arguments are parsed."""
    for argument, following in zip(argv, [*argv[1:], ""]):
        name, equals, value = argument.partition("=")
        if name == option:
            return value if equals else following
    return None
