"""Two processes equal one: gathered losses, their gradients, and a run started by torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp

from gathering import loss_of, whole, worker
from modashift.train.distributed import World, gather, gather_tensor
from support import toy_dataset, write_table


def single():
    inputs, weights, labels = whole()
    weights = {m: w.requires_grad_() for m, w in weights.items()}
    loss = loss_of({m: torch.tanh(inputs @ w) for m, w in weights.items()}, labels)
    loss.backward()
    return loss.item(), {m: w.grad for m, w in weights.items()}


def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.slow
def test_gathered_loss_and_gradients_equal_a_single_process():
    # The order of samples differs (rank by rank), which a mean over the batch does not feel.
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(worker, args=(2, free_port(), results), nprocs=2)
        results = dict(results)
    loss, gradients = single()
    for rank in range(2):
        assert results[rank][0] == pytest.approx(loss, rel=1e-12)
        assert results[rank][2] == [False, True]
        for m, expected in gradients.items():
            torch.testing.assert_close(
                torch.tensor(results[rank][1][m], dtype=torch.float64), expected, atol=1e-12, rtol=1e-10
            )


def test_one_process_gathers_nothing():
    x = torch.randn(3, 2)
    assert gather_tensor(x, World()) is x
    assert gather({"a": x}, World())["a"] is x


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from support import toy_dataset
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
args = TrainArgs(backbone=sys.argv[2], epochs=2, batch_size=9, lr=3e-3, lr_backbone=3e-3, tensorboard=False, threads=1)
options = {"dropout": 0.0}
train("cmsbert-clr", DataArgs(data="toy"), sys.argv[3], args, options, silent=True, dataset=toy_dataset())
"""


@pytest.mark.slow
def test_the_command_line_under_torchrun(tmp_path, tiny_backbone):
    table = write_table(toy_dataset(), tmp_path)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"]
    command += ["-m", "modashift", "train", "cmsbert-clr", "--data", str(table), "--folder", str(tmp_path / "run")]
    command += ["--backbone", tiny_backbone, "--epochs", "1", "--batch-size", "16", "--tensorboard=false"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len((tmp_path / "run/predictions.csv").read_text().splitlines()) == 61


@pytest.mark.slow
def test_torchrun_trains_as_one_process_does(tmp_path, tiny_backbone, tiny_config):
    """Without dropout two processes follow the path of one, contrastive pairs and uneven batches included."""
    import json
    import shutil

    still = tmp_path / "still"
    shutil.copytree(tiny_backbone, still)
    config = json.loads((still / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (still / "config.json").write_text(json.dumps(config))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    here = str(Path(__file__).parents[1])
    plain = [sys.executable, str(script), here, str(still), str(tmp_path / "one")]
    two = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"]
    two += [str(script), here, str(still), str(tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in (plain, two):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    rows = {
        name: [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    }
    for a, b in zip(rows["one"], rows["two"], strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert b[key] == pytest.approx(a[key], rel=2e-4, abs=2e-5), key
