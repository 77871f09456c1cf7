"""The command line: ``modashift COMMAND``; each command is a function whose signature is its options."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from modashift import __version__
from modashift.errors import ModashiftError

__all__ = ["COMMANDS", "main"]

# command: (module:function that takes the remaining arguments, help). Nothing heavy is imported before a command is
# known, so that help is instant.
COMMANDS = {
    "train": ("modashift.commands:train", "train a model on a data file and evaluate it"),
    "evaluate": ("modashift.commands:evaluate", "measure a trained model on a data file"),
    "predict": ("modashift.serve.cli:predict", "score recordings, texts, standard input or a data file"),
    "extract": ("modashift.extract.cli:extract", "words, face and voice of recordings, aligned, as a store"),
    "encode": ("modashift.encoders.cli:encode", "hidden states of the texts of a data set, by a frozen encoder"),
    "features": ("modashift.extract.features_cli:features", "feature sets, their columns and units; encoders"),
    "data": ("modashift.commands:data", "inspect, import, export or fetch data"),
    "models": ("modashift.commands:models", "list the models"),
    "experiment": ("modashift.experiments.cli:experiment", "run a declared grid of models, data and seeds"),
    "layers": ("modashift.layers.cli:layers", "which layer of an encoder is best, chosen on dev, with intervals"),
    "report": ("modashift.report.cli:report", "tables, tests and figures of finished runs, published numbers beside"),
    "tune": ("modashift.train.tune_cli:tune", "search hyper-parameters on dev (needs modashift[tune])"),
    "explain": ("modashift.evaluate.cli:explain", "what a score owes to words, steps and modalities, with CMS maps"),
    "embed": ("modashift.evaluate.cli:embed", "picture and measure the representations of the modalities"),
    "robustness": ("modashift.evaluate.cli:robustness", "score against missing steps, noise and word errors"),
    "demo": ("modashift.commands:demo", "see it work on real, human-rated sentences"),
}

EXAMPLES = """examples:
  modashift demo                                                   ten minutes, nothing needed but pip
  modashift data inspect mosi.pkl                                  what a file holds, and what is wrong with it
  modashift train cmsbert-clr --data mosi.pkl --run runs/clr       train; the best epoch is chosen on dev
  modashift evaluate runs/clr                                      metrics of each split
  modashift predict runs/clr --text "it was really good"           score a sentence
  modashift predict default clip.mp4 --out clip                    what a person means, with a page that says why
  modashift extract clips/ --out clips.store                       features of your own recordings, to train on
  modashift train cmsbert-clr --help                               every option of a model and of training"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors meant for the user are printed without a traceback, with exit status 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        sys.stdout.write(usage())
        return 0
    if arguments[0] in {"-V", "--version"}:
        sys.stdout.write(f"modashift {__version__}\n")
        return 0
    if arguments[0] not in COMMANDS:
        sys.stderr.write(f"modashift: there is no command {arguments[0]!r}; there are {', '.join(COMMANDS)}\n")
        return 2
    module, _, name = COMMANDS[arguments[0]][0].partition(":")
    command: Callable[[list[str]], object] = getattr(import_module(module), name)
    try:
        command(normalised(arguments[1:]))
    except ModashiftError as error:
        sys.stderr.write(f"modashift: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("modashift: interrupted; a training run continues with --resume\n")
        return 130
    return 0


def normalised(arguments: Sequence[str]) -> list[str]:
    """Allow what people type: ``--batch-size 8`` for ``--batch_size 8`` and ``--compile`` for ``--compile=true``."""
    result = []
    for argument, following in zip(arguments, [*arguments[1:], "--"]):
        if argument.startswith("--") and len(argument) > 2:
            name, equals, value = argument.partition("=")
            option = "--" + name[2:].replace("-", "_")
            if not equals and following.startswith("--") and option not in {"--help", "--print_config"}:
                equals, value = "=", "true"
            # torchrun takes --run for an abbreviation of an option of its own; --folder is the same without the clash.
            argument = ("--run" if option == "--folder" else option) + equals + value  # noqa: PLW2901
        result.append(argument)
    return result


def usage() -> str:
    """Text of ``modashift --help``."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
    return (
        f"modashift {__version__}: multimodal sentiment analysis, from words, face and voice together\n\n"
        f"usage: modashift COMMAND [options]\n\ncommands:\n{commands}\n\n{EXAMPLES}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
