"""The model to predict with where nothing was trained: words alone, learnt once from real human ratings, then kept.

It is what `modashift demo` trains first: MiniLM on some 10,000 sentences of film reviews that twenty people each rated
(Hutto and Gilbert 2014). It knows written English about films best; of face and voice it knows nothing.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

from modashift.cache import cache_folder, provide

__all__ = ["RECIPE", "Recipe", "default_model_name", "keep_as_default", "provide_default_model"]

UNFINISHED = ("tensorboard", "state.pt", ".*")  # of a run, of no use to a finished model


@dataclass(frozen=True)
class Recipe:
    """How the default model is trained; the demo takes its options from here.

    Attributes:
        model: registered name.
        backbone: see `modashift.backbones.load_backbone`.
        sets: of rated sentences, see `modashift.data.reviews.load_reviews`.
        epochs: passes over them.
        lr: learning rate of the new parts.
        lr_backbone: learning rate of the backbone.
        seed: of everything drawn.
    """

    model: str = "bert"
    backbone: str = "minilm"
    sets: tuple[str, ...] = ("movie",)
    epochs: int = 1
    lr: float = 5e-4
    lr_backbone: float = 5e-5
    seed: int = 1111


RECIPE = Recipe()


def default_model_name(recipe: Recipe = RECIPE) -> str:
    """Name of its folder in the cache: another recipe, other sentences or another backbone make another name."""
    from modashift.data.fetch import MINILM_WEIGHTS, VADER

    content = json.dumps([1, asdict(recipe), MINILM_WEIGHTS, VADER.sha256], sort_keys=True)
    return f"default-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def provide_default_model(recipe: Recipe = RECIPE, say: Callable[[str], None] | None = None) -> Path:
    """Folder of the default model, trained on first use.

    Two processes that want it at once train it once: the second waits for the first. One that is interrupted leaves
    nothing behind.

    Args:
        recipe: how it is trained.
        say: where to tell that it takes a while; standard error where not given.

    Raises:
        ModashiftError: the sentences or the backbone cannot be fetched, or the cache cannot be written. Nothing else is
            ever used in its place.
    """
    name = default_model_name(recipe)
    if not (cache_folder() / name).is_dir():
        (say or _say)(
            "There is no default model yet. It is now trained, once: a small English BERT learns from sentences of "
            "film reviews that people rated. That takes some minutes; it is then kept in "
            f"{cache_folder() / name}. (If another process is at it already, this one waits for it.)"
        )
    return provide(name, lambda folder: _train(folder, recipe))


def keep_as_default(run: Path, recipe: Recipe = RECIPE) -> Path:
    """Take a finished run of this very recipe (the demo's) as the default model, unless there is one.

    Returns:
        The folder in the cache.
    """

    def copy(folder: Path) -> None:
        shutil.copytree(run, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*UNFINISHED))

    return provide(default_model_name(recipe), copy)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _train(folder: Path, recipe: Recipe) -> None:
    from modashift.data.reviews import load_reviews
    from modashift.train.args import DataArgs, TrainArgs
    from modashift.train.command import train

    args = TrainArgs(
        backbone=recipe.backbone,
        epochs=recipe.epochs,
        lr=recipe.lr,
        lr_backbone=recipe.lr_backbone,
        seed=recipe.seed,
        tensorboard=False,
    )
    # Nothing of the training goes to standard output, where a command's results go.
    with redirect_stdout(sys.stderr):
        dataset = load_reviews(recipe.sets)  # type: ignore[arg-type]
        train(recipe.model, DataArgs(data=dataset.name), folder, args, {}, dataset=dataset)
