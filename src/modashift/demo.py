"""The demo: real human ratings from words alone, then simulated face and voice that can turn the words round."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset, Feature
from modashift.default_model import RECIPE, keep_as_default

__all__ = ["run_demo"]

SENTENCES = (
    "it is one of the loveliest films i have seen this year",
    "the plot makes no sense and the acting is worse",
    "not bad at all",
    "the film opens on friday",
)


def run_demo(
    folder: Path = Path("runs/demo"),
    words: int = 13,
    epochs: int = 1,
    simulated_epochs: int = 3,
    share: float = 1.0,
    ask: bool | None = None,
) -> dict[str, Any]:
    """See modashift work: about ten minutes on two cores, nothing needed but pip.

    First `bert` learns the ratings that people gave to sentences of film reviews and is measured on sentences it has
    not seen. Then the same sentences get simulated face and voice tracks that can turn a sentence's meaning round, and
    `bert` and `cmsbert-clr` are trained side by side.

    Args:
        folder: where runs and pictures go; a second call continues what was interrupted.
        words: longest sentence of the simulated part, which keeps it short.
        epochs: passes over the rated sentences.
        simulated_epochs: passes over those with simulated tracks.
        share: use only this share of all sentences (for a look in a minute; the figures are then worth little).
        ask: ask for sentences to score; by default only at a terminal.
    """
    from rich.console import Console

    from modashift.data.fetch import fetch_minilm, fetch_reviews
    from modashift.data.reviews import load_reviews

    started = time.perf_counter()
    console = Console(highlight=False)
    console.rule("1. Fetch (once): a small English BERT and human-rated sentences")
    console.print(f"MiniLM, 22.7 M parameters: {fetch_minilm()}")
    console.print(f"review sentences, each rated by some twenty people (Hutto and Gilbert 2014): {fetch_reviews()}")
    reviews = load_reviews(("movie",))
    if share < 1:
        for split in ("train", "dev", "test"):
            reviews = _some(reviews, split, round(share * len(reviews.rows(split))))

    console.rule("2. Words alone, real ratings")
    _train("bert", reviews, folder / "words", {}, epochs=epochs, lr=RECIPE.lr, lr_backbone=RECIPE.lr_backbone)
    if share >= 1 and epochs == RECIPE.epochs:  # what `modashift predict default` would train anew
        keep_as_default(folder / "words")
    gold, found = _held_out(folder / "words", reviews)
    console.print(f"on {len(gold)} unseen sentences (accuracy: negative or not, and seven classes):")
    for title, m in _rows(reviews, gold, found).items():
        console.print(
            f"  {title:<16} MAE {m['mae']:.3f}   Corr {m['corr']:.3f}   Acc-2 {100 * m['acc2_has0']:.1f} %   "
            f"Acc-7 {100 * m['acc7']:.1f} %"
        )
    _score(folder / "words", console, ask)

    console.rule("3. The same sentences with SIMULATED face and voice")
    console.print(
        "Nobody was recorded here. An eye-roll at one word and a sing-song voice at another, together, turn the rating "
        "round; either also occurs alone, and means nothing then. Words cannot know it, nor can any single moment."
    )
    results = _simulated(folder, _short(reviews, words), simulated_epochs, console)
    picture = _map(folder / "cmsbert-clr", results["dataset"], folder / "cms_map.png")
    console.print(f"CMS map of one sentence: which moments of face and voice moved which word: {picture}")

    console.rule("Where everything lies")
    console.print(
        f"runs (checkpoint, metrics, predictions): {folder}/words, {folder}/bert, {folder}/cmsbert-clr\n"
        f"a picture of the shift: {picture}\n\ntry next:\n"
        f'  modashift predict {folder}/words --text "your sentence"\n'
        f"  modashift predict {folder}/words your_clip.mp4 --out scores     (needs modashift\\[extract])\n"
        f"  modashift evaluate {folder}/words --data your_table.csv       columns id, text, label, split\n"
        f"  modashift train cmsbert-clr --data mosi.pkl --run runs/mosi --init {folder}/words\n"
        f"\n{(time.perf_counter() - started) / 60:.1f} minutes in all"
    )
    return {"words": dict(zip(("gold", "prediction"), (gold, found))), **results}


def _train(name: str, dataset: Dataset, run: Path, options: dict[str, Any], **recipe: Any) -> None:
    """One run of the demo, resumed where it was interrupted."""
    from modashift.train.args import DataArgs, TrainArgs
    from modashift.train.command import train

    args = TrainArgs(tensorboard=False, **recipe)
    train(name, DataArgs(data=dataset.name), run, args, options, resume=True, dataset=dataset)


def _held_out(run: Path, dataset: Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from modashift.predictor import load

    rows = dataset.rows("test")
    return dataset.labels[rows], load(run).predict_dataset(dataset, rows)


def _rows(dataset: Dataset, gold: NDArray[np.float64], found: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Metrics of the model beside the train mean and the VADER lexicon on the same sentences."""
    from modashift.data.reviews import vader_baseline
    from modashift.evaluate.metrics import regression_metrics

    rows, train = dataset.rows("test"), dataset.rows("train")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a constant has no correlation
        return {
            "train mean": regression_metrics(gold, np.full(len(gold), dataset.labels[train].mean())),
            "VADER lexicon": regression_metrics(gold, vader_baseline(dataset)[rows]),
            "bert (MiniLM)": regression_metrics(gold, found),
        }


def _score(run: Path, console: Any, ask: bool | None) -> None:
    """Score a few sentences, and those the user types."""
    import sys

    from modashift.predictor import load

    model = load(run)

    def show(texts: Sequence[str]) -> None:
        for text, score in zip(texts, model.predict(texts)):
            console.print(f"  {score:+.2f}  {text}", markup=False)

    console.print("scores of sentences nobody rated, from −3 to 3:")
    show(SENTENCES)
    if ask if ask is not None else sys.stdin.isatty():
        console.print("type sentences of your own; an empty line goes on")
        while True:
            try:
                text = console.input("  > ").strip()
            except EOFError:
                break
            if not text:
                break
            show([text])


def _some(dataset: Dataset, split: str, count: int) -> Dataset:
    """The data set with only `count` sentences of a split in use, drawn once and for all."""
    splits = np.array(dataset.splits, dtype="<U6")
    splits[np.random.default_rng(0).permutation(dataset.rows(split))[count:]] = "unused"
    return replace(dataset, splits=splits)


def _short(dataset: Dataset, words: int) -> Dataset:
    """The data set with only its shorter sentences in use."""
    splits = np.array(dataset.splits, dtype="<U6")
    splits[np.array([len(w) > words for w in dataset.words])] = "unused"
    return replace(dataset, splits=splits)


def _simulated(folder: Path, reviews: Dataset, epochs: int, console: Any) -> dict[str, Any]:
    from modashift.data.simulated import SimulationOptions, best_reachable, simulate_tracks
    from modashift.evaluate.metrics import regression_metrics

    dataset = simulate_tracks(reviews, options=SimulationOptions(alone=0.1, distractors=0.1, strength=8.0))
    best = best_reachable(dataset)
    # Both start from the model that knows the words, so that what remains to be learnt is what the tracks mean.
    # The tracks are drawn without regard to the words, so there is nothing in them for the contrastive losses to align
    # with words: their weight is kept small.
    options = {
        "bert": {},
        "cmsbert-clr": {"initial_weight": 0.01, "loss_momentum": 1.0, "shift": {"initial_scale": 0.1}},
    }
    recipe: dict[str, Any] = {"epochs": epochs, "batch_size": 16, "lr": 1e-3, "lr_backbone": 2e-5, "patience": 1}
    recipe["init"] = str(folder / "words")
    for name, given in options.items():
        _train(name, dataset, folder / name, given, **recipe)
    maes = {}
    for name in ("bert", "cmsbert-clr"):
        gold, found = _held_out(folder / name, dataset)
        maes[name] = regression_metrics(gold, found)["mae"]
    # The same model with the tracks of each sentence given to another: what it gains comes from the right tracks.
    maes["cmsbert-clr, tracks swapped"] = _swapped(folder / "cmsbert-clr", dataset)
    lines = [
        ("bert: words alone", maes["bert"]),
        ("cmsbert-clr: words, face and voice", maes["cmsbert-clr"]),
        ("the same with tracks of other sentences", maes["cmsbert-clr, tracks swapped"]),
        ("best reachable from true ratings alone", best["mae_text"]),
        ("best reachable from true ratings and tracks", best["mae_both"]),
    ]
    console.print(f"mean absolute error on {len(gold)} unseen sentences:")
    for text, value in lines:
        console.print(f"  {value:.3f}  {text}")
    return {"mae": maes, "best": best, "dataset": dataset}


def _swapped(run: Path, dataset: Dataset) -> float:
    """Error when every test sentence gets the tracks of another of the same length (or of the nearest)."""
    from modashift.predictor import load

    rows = dataset.rows("test")
    order = rows[np.argsort([len(dataset.words[int(r)]) for r in rows], kind="stable")]
    partner = dict(zip(order.tolist(), np.roll(order, 1).tolist()))
    features = {}
    for name in ("visual", "acoustic"):
        feature = dataset.features[name]
        sequences = [
            np.resize(feature[partner.get(row, row)], (len(dataset.words[row]), feature.dim))
            for row in range(len(dataset))
        ]
        packed = Feature.pack(sequences, feature.dim)
        features[name] = replace(packed, alignment=feature.alignment, columns=feature.columns)
    prediction = load(run).predict_dataset(replace(dataset, features=features), rows)
    return float(np.abs(prediction - dataset.labels[rows]).mean())


def _map(run: Path, dataset: Dataset, path: Path) -> Path:
    """Picture of the shift for the test sentence of ten words or so that the tracks turned round most clearly."""
    from modashift.evaluate.plots import plot_cms_map
    from modashift.predictor import load

    model = load(run)
    rows = np.array([r for r in dataset.rows("test") if 6 <= len(dataset.words[int(r)]) <= 12])
    with_tracks = model.predict_dataset(dataset, rows)
    without = model.predict([list(dataset.words[int(r)]) for r in rows], [None] * len(rows), [None] * len(rows))
    right = np.sign(with_tracks) == np.sign(dataset.labels[rows])
    chosen = int(rows[np.argmax(np.abs(with_tracks - without) * right)])
    utterance = dataset[chosen]
    details = model.cms_maps(list(utterance.words), utterance.features["visual"], utterance.features["acoustic"])
    keep = np.flatnonzero(details["words"] >= 0)
    layer = max(details["maps"])
    total = sum(details["maps"][layer].values())[np.ix_(keep, keep)]
    pieces = [details["pieces"][k] for k in keep]
    return Path(
        plot_cms_map(
            total,
            pieces,
            pieces,
            path,
            title=f"Shift of each word by each moment (layer {layer}); score {details['prediction']:+.1f}, "
            f"target {utterance.label:+.1f}",
        )
    )
