"""What a recipe may ask of the loop: optimiser, schedule, clipping, modality dropout."""

import json
from dataclasses import replace

import pytest
import torch
import yaml

from modashift.errors import ModashiftError
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from modashift.train.schedules import rate
from support import toy_dataset


@pytest.fixture
def args(tiny_backbone):
    return TrainArgs(
        backbone=tiny_backbone, epochs=2, batch_size=16, lr=3e-3, lr_backbone=3e-3, average=0.0, tensorboard=False
    )


def run(folder, args, name="bert", **more):
    train(name, DataArgs("toy"), folder, args, silent=True, dataset=toy_dataset(), **more)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_constant_rate_rises_and_stays():
    assert [rate(s, 10, 0.2, decays=False) for s in range(5)] == [0.5, 1, 1, 1, 1]


def test_plateau_lowers_the_rate_after_patience_and_survives_a_resume(tmp_path, args):
    """With a rate too small to improve anything, the rate falls every second flat epoch."""
    flat = replace(args, epochs=6, warmup=0.0, lr=1e-30, lr_backbone=1e-30, schedule="plateau",
                   plateau_patience=1, plateau_factor=0.5)  # fmt: skip
    rates = [line["lr"] for line in run(tmp_path / "a", flat)]
    assert rates == pytest.approx([1e-30, 1e-30, 1e-30, 5e-31, 5e-31, 2.5e-31], rel=1e-6)


def test_the_optimiser_that_was_asked_for_is_used(tmp_path, args, monkeypatch):
    used = []
    for kind in ("Adam", "AdamW"):
        original = getattr(torch.optim, kind)

        class Spy(original):
            def __init__(self, *a, **k):
                used.append(type(self).__mro__[1].__name__)
                super().__init__(*a, **k)

        monkeypatch.setattr(torch.optim, kind, Spy)
    run(tmp_path / "a", replace(args, optimizer="adam"))
    run(tmp_path / "b", args)
    assert used == ["Adam", "AdamW"]


def test_gradients_are_clipped_by_value_before_the_norm(tmp_path, args, monkeypatch):
    seen = []
    original = torch.nn.utils.clip_grad_norm_

    def spy(parameters, norm):
        parameters = list(parameters)
        seen.append(max(float(p.grad.abs().max()) for p in parameters if p.grad is not None))
        return original(parameters, norm)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
    run(tmp_path / "a", replace(args, clip_value=1e-4))
    assert max(seen) == pytest.approx(1e-4)
    seen.clear()
    run(tmp_path / "b", args)
    assert max(seen) > 1e-3


def test_modality_dropout_hides_face_or_voice_in_training_only(tmp_path, args, monkeypatch):
    from modashift.models.cmsbert import CMSBERT

    hidden = {True: [], False: []}
    original = CMSBERT.forward

    def spy(self, batch):
        for seq in batch.features.values():
            assert bool((seq.values[~seq.mask] == 0).all())
            hidden[self.training] += (~seq.mask.any(1)).tolist()
        return original(self, batch)

    monkeypatch.setattr(CMSBERT, "forward", spy)
    run(tmp_path / "a", replace(args, epochs=8, modality_dropout=0.5), "cmsbert")
    assert not any(hidden[False])
    share = sum(hidden[True]) / len(hidden[True])
    assert 0.4 < share < 0.6
    with pytest.raises(ModashiftError, match="probability"):
        TrainArgs(modality_dropout=1.0)


def test_feature_dropout_leaves_the_rest_scaled_up_in_training_only(tmp_path, args, monkeypatch):
    from modashift.models.cmsbert import CMSBERT
    from modashift.preprocess import Preprocessor

    seen, plain = {True: [], False: []}, {}
    forward, collate = CMSBERT.forward, Preprocessor.collate

    def gather(self, dataset, encoded, rows):
        batch = collate(self, dataset, encoded, rows)
        plain.update({int(i): batch.features["acoustic"].values[k] for k, i in enumerate(batch.index)})
        return batch

    def spy(self, batch):
        values = batch.features["acoustic"].values
        for k, i in enumerate(batch.index.tolist()):
            own = plain[i]
            dropped = (values[k] == 0).all(0) & (own != 0).any(0)  # (D,)
            seen[self.training] += dropped[(own != 0).any(0)].tolist()
            factor = 2.0 if self.training else 1.0
            assert torch.equal(values[k][:, ~dropped], own[:, ~dropped] * factor)
        return forward(self, batch)

    monkeypatch.setattr(Preprocessor, "collate", gather)
    monkeypatch.setattr(CMSBERT, "forward", spy)
    run(tmp_path / "a", replace(args, epochs=3, feature_dropout=0.5), "cmsbert")
    assert not any(seen[False])
    assert 0.4 < sum(seen[True]) / len(seen[True]) < 0.6
    with pytest.raises(ModashiftError, match="feature_dropout is a probability"):
        TrainArgs(feature_dropout=1.0)


def test_an_option_that_an_older_run_did_not_have_does_not_stop_its_resuming(tmp_path, args):
    run(tmp_path / "a", args)
    path = tmp_path / "a" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    del config["modality_dropout"], config["text"]
    path.write_text(yaml.safe_dump(config))
    run(tmp_path / "a", args, resume=True)
    with pytest.raises(ModashiftError, match=r"modality_dropout was 0.0, now 0.2"):
        run(tmp_path / "a", replace(args, modality_dropout=0.2), resume=True)
