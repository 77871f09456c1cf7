"""Hand-made recordings and models trained on them within seconds: no media, no recogniser."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modashift.extract.dataset import Label, Labels, clips_dataset
from modashift.extract.recording import Clip, Frames, Span, TimedWord
from modashift.extract.sets import get_set
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train

VALUE = {"good": 1.5, "great": 2.5, "lovely": 1.0, "bad": -1.5, "awful": -2.5, "boring": -1.0}


def frames(set_name: str, seconds: float, rate: float, rng: np.random.Generator) -> Frames:
    """Random frames of a set; the first tenth is not valid."""
    times = (np.arange(round(seconds * rate)) + 0.5) / rate
    columns = get_set(set_name).names
    values = rng.normal(size=(len(times), len(columns))).astype(np.float32)
    mask = np.arange(len(times)) >= len(times) // 10
    return Frames(set_name, columns, values, times, mask)


def make_clip(
    sentences: Sequence[str], name: str = "clip", sets: Sequence[str] = ("face", "covarep"), seed: int = 0, **more: Any
) -> Clip:
    """A recording in which the sentences are said one after the other, a word every 0.4 s."""
    rng = np.random.default_rng(seed)
    words: list[TimedWord] = []
    spans = []
    time = 0.5
    for sentence in sentences:
        first = len(words)
        for word in sentence.split():
            words.append(TimedWord(word, time, time + 0.35, 0.9))
            time += 0.4
        end = words[-1].end if len(words) > first else time + 1
        spans.append(Span(words[first].start if len(words) > first else time, end, first, len(words)))
        time = end + 1
    features = {get_set(s).modality: frames(s, time, 25.0, rng) for s in sets}
    values = {
        "source": f"{name}.mp4",
        "sha256": "ab" * 32,
        "duration": time,
        "words_from": "recognised",
        "notes": (),
        **more,
    }
    return Clip(name=name, words=tuple(words), spans=tuple(spans), features=features, **values)


def train_made(
    backbone: str,
    folder: Path,
    model: str = "cmsbert",
    sets: Sequence[str] = ("face", "covarep"),
    seed: int = 1,
    **data: Any,
) -> Path:
    """Train a model on 90 short recordings; returns its run folder."""
    rng = np.random.default_rng(5)
    clips, by_name = [], {}
    for k in range(90):
        said = [str(w) for w in rng.choice([*VALUE, "the", "movie", "was", "it"], rng.integers(3, 9))]
        clips.append(make_clip([" ".join(said)], f"c{k}", sets, seed=k))
        label = float(np.clip(sum(VALUE.get(w, 0) for w in said), -3, 3))
        by_name[f"c{k}"] = Label(label, "dev" if k >= 60 else "train")
    dataset = clips_dataset(clips, Labels("", by_name), name="made", **data)
    dataset = replace(dataset, features=dict(dataset.features) if model != "bert" else {})
    options = {"shift": {"activation": "tanh", "initial_scale": 0.3}} if model.startswith("cms") else {}
    args = TrainArgs(backbone=backbone, epochs=1, lr=3e-3, seed=seed, batch_size=16, tensorboard=False)
    train(model, DataArgs("made"), folder, args, options, silent=True, dataset=dataset)
    return folder
