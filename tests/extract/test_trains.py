"""A store made of recordings trains like any other."""

import json
from pathlib import Path

import numpy as np
import pytest

from made_clips import clip
from modashift.__main__ import main
from modashift.data.store import write_store
from modashift.extract.clip_file import read_clip, write_clip
from modashift.extract.dataset import Label, Labels, clips_dataset
from modashift.extract.recording import Clip


@pytest.mark.slow
def test_a_store_of_recordings_trains_cmsbert_clr(tmp_path: Path, tiny_backbone: str) -> None:
    names = [f"r{i}" for i in range(12)]
    for i, name in enumerate(names):
        made = clip(name, seed=i)
        if i % 4 == 0:  # a recording without a face
            made = Clip(**{**vars(made), "features": {"acoustic": made.features["acoustic"]}})
        write_clip(tmp_path / name, made, {}, {})
    labels = Labels("t", {name: Label(str(i / 4 - 1.4)) for i, name in enumerate(names)})
    dataset = clips_dataset((read_clip(tmp_path / name).clip for name in names), labels)
    write_store(dataset, tmp_path / "x.store")
    options = f"--backbone {tiny_backbone} --epochs 1 --batch-size 8 --device cpu --tensorboard false --validation 0.25"
    run = tmp_path / "run"
    assert main(["train", "cmsbert-clr", "--data", str(tmp_path / "x.store"), "--run", str(run), *options.split()]) == 0
    assert np.isfinite(json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["dev_mae"])
