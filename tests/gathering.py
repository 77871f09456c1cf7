"""What the processes of test_distributed.py run; a module of its own, because they import it anew."""

import os

import torch
import torch.distributed as dist

from modashift.losses import pairwise_contrastive, smoothed_targets
from modashift.train.distributed import World, gather, gather_tensor

N, D = 7, 5  # an odd number, so that the processes hold unequal shares


def whole():
    torch.manual_seed(0)
    inputs = torch.randn(N, D, dtype=torch.float64)
    weights = {m: torch.randn(D, D, dtype=torch.float64) for m in ("linguistic", "visual", "acoustic")}
    labels = torch.randn(N, dtype=torch.float64).round(decimals=1)
    return inputs, weights, labels


def loss_of(embeddings, labels):
    return pairwise_contrastive(embeddings, smoothed_targets(labels, 0.9, 0.5), 0.1)


def worker(rank, size, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=size)
    world = World(rank, size)
    inputs, weights, labels = whole()
    weights = {m: w.requires_grad_() for m, w in weights.items()}
    own = {m: torch.tanh(inputs[rank::size] @ w) for m, w in weights.items()}
    loss = loss_of(gather(own, world), gather_tensor(labels[rank::size], world))
    loss.backward()
    gradients = {}
    for m, w in weights.items():  # what data-parallel training does: average over the processes
        dist.all_reduce(w.grad)
        gradients[m] = w.grad / size
    flags = gather_tensor(torch.tensor([rank == 1]), world)
    results[rank] = (loss.item(), {m: g.tolist() for m, g in gradients.items()}, flags.tolist())
    dist.destroy_process_group()
