"""MulT on unaligned sequences: seconds, CPU seconds and memory of a training step, against the common implementation.

    OMP_NUM_THREADS=1 python benchmarks/mult_unaligned.py [--lengths full mosi] [--steps 2] [--batch 16] [--json FILE]

The sizes are those of CMU-MOSI without alignment (50 words, 500 frames of the face, 375 of the voice) and the options
those of MMSA (width 50, 10 heads, 4 layers, kernels 5/5/5, its dropout rates). A step is forward, loss, backward and
Adam, on one thread. ``full``: every sequence has its greatest length; ``mosi``: lengths are shares of it drawn from a
log-normal (12 words on average, frames in proportion), padded to 50/500/375 as the data come.

``common`` is MulT as it is usually written: the future mask made anew in every layer, attention weights made, dropped
out and averaged over heads in full, every padded step computed. It is written here from the paper alone and shares no
code with modashift. Every row is measured in a fresh process, in turn; peak memory is that of the whole process.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modashift.batch import Batch, Seq
from modashift.models import get_model

WIDTHS = {"linguistic": 300, "visual": 20, "acoustic": 5}
LENGTHS = {"linguistic": 50, "visual": 500, "acoustic": 375}
UTTERANCES = 1284  # of the training split
WIDTH, HEADS, LAYERS, KERNEL = 50, 10, 4, 5
ATTENTION = {"linguistic": 0.3, "visual": 0.0, "acoustic": 0.2}
TEXT, EMBED, OUT = 0.5, 0.2, 0.5
IMPLEMENTATIONS = ("modashift", "modashift, checkpoint", "common")


class CommonAttention(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.dropout = dropout

    def forward(self, x: Tensor, source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # (T, B, width)
        def split(t: Tensor) -> Tensor:
            return t.contiguous().view(t.shape[0], t.shape[1] * HEADS, -1).transpose(0, 1)  # (B · heads, T, d)

        q = split(self.query(x) * (x.shape[-1] // HEADS) ** -0.5)
        k, v = split(self.key(source)), split(self.value(source))
        logits = torch.bmm(q, k.transpose(1, 2)) + mask
        weights = F.dropout(F.softmax(logits.float(), dim=-1), self.dropout, self.training)
        attended = torch.bmm(weights, v).transpose(0, 1).contiguous().view(x.shape)
        averaged = weights.view(x.shape[1], HEADS, x.shape[0], -1).sum(1) / HEADS
        return self.out(attended), averaged


class CommonLayer(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.attention = CommonAttention(width, dropout)
        self.norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, source: Tensor | None) -> Tensor:
        y = self.norm(x)
        s = y if source is None else self.norm(source)
        offset = 1 + abs(s.shape[0] - y.shape[0])
        mask = torch.triu(torch.full((y.shape[0], s.shape[0]), -math.inf), offset)
        x = x + self.attention(y, s, mask)[0]
        return x + self.narrow(torch.relu(self.widen(self.feed_norm(x))))


class CommonEncoder(nn.Module):
    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CommonLayer(width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def embed(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        steps = torch.arange(1, x.shape[0] + 1)[:, None] * torch.exp(torch.arange(half) * -math.log(10000) / (half - 1))
        positions = torch.cat([steps.sin(), steps.cos()], 1)[:, None]
        return F.dropout(math.sqrt(x.shape[-1]) * x + positions, EMBED, self.training)

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        x = self.embed(x)
        source = None if source is None else self.embed(source)
        for layer in self.layers:
            x = layer(x, source)
        return self.norm(x)


class CommonMulT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolve = nn.ModuleDict({m: nn.Conv1d(d, WIDTH, KERNEL, bias=False) for m, d in WIDTHS.items()})
        self.cross = nn.ModuleDict(
            {f"{m}{s}": CommonEncoder(WIDTH, LAYERS, ATTENTION[s]) for m in WIDTHS for s in WIDTHS if m != s}
        )
        self.memory = nn.ModuleDict({m: CommonEncoder(2 * WIDTH, LAYERS, ATTENTION["linguistic"]) for m in WIDTHS})
        self.first, self.second = nn.Linear(6 * WIDTH, 6 * WIDTH), nn.Linear(6 * WIDTH, 6 * WIDTH)
        self.head = nn.Linear(6 * WIDTH, 1)

    def forward(self, batch: Batch) -> Tensor:
        x = {}
        for m, convolve in self.convolve.items():
            values = batch.features[m].values.transpose(1, 2)
            values = F.dropout(values, TEXT, self.training) if m == "linguistic" else values
            x[m] = convolve(values).permute(2, 0, 1)  # (T, B, WIDTH)
        ends = []
        for m in WIDTHS:
            crossed = torch.cat([self.cross[f"{m}{s}"](x[m], x[s]) for s in WIDTHS if s != m], 2)
            ends.append(self.memory[m](crossed)[-1])
        h = torch.cat(ends, 1)
        h = h + self.second(F.dropout(torch.relu(self.first(h)), OUT, self.training))
        return self.head(h).squeeze(-1)


def random_batch(size: int, lengths: str, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    share = torch.ones(size)
    if lengths == "mosi":
        share = (math.log(0.2) + 0.6 * torch.randn(size, generator=generator)).exp().clamp(0.02, 1)
    features = {}
    for m, longest in LENGTHS.items():
        mask = torch.arange(longest) < (share * longest).round().clamp(min=1)[:, None]
        features[m] = Seq(torch.randn(size, longest, WIDTHS[m], generator=generator) * mask.unsqueeze(-1), mask)
    return Batch(None, torch.randn(size, generator=generator), torch.arange(size), features)


def build(name: str) -> Any:
    torch.manual_seed(0)
    if name == "common":
        return CommonMulT()
    cls: Any = get_model("mult")
    return cls(
        WIDTHS,
        hidden_size=WIDTH,
        heads=HEADS,
        layers=LAYERS,
        **{f"{m}_kernel": KERNEL for m in WIDTHS},
        **{f"{m}_attention_dropout": p for m, p in ATTENTION.items()},
        text_dropout=TEXT,
        embed_dropout=EMBED,
        relu_dropout=0.0,
        residual_dropout=0.0,
        output_dropout=OUT,
        checkpoint="checkpoint" in name,
    )


def measure(name: str, lengths: str, size: int, steps: int) -> dict[str, float]:
    """Median seconds of a step after a first one, and the peak of this process."""
    torch.set_num_threads(1)
    model = build(name)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    wall, cpu = [], []
    for number in range(steps + 1):
        batch = random_batch(size, lengths, number)
        started = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        output = model(batch)
        loss = F.l1_loss(output, batch.label) if name == "common" else model.loss(output, batch)["loss"]
        loss.backward()
        optimizer.step()
        wall.append(time.perf_counter() - started[0])
        cpu.append(time.process_time() - started[1])
    return {
        "seconds": statistics.median(wall[1:]),
        "cpu": statistics.median(cpu[1:]),
        "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", nargs="+", choices=("full", "mosi"), default=["full", "mosi"])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--json", default=None)
    parser.add_argument("--measure", nargs=2, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure, options.batch, options.steps)))
        return
    rows = []
    again = [sys.executable, __file__, "--batch", str(options.batch), "--steps", str(options.steps), "--measure"]
    print("| lengths | implementation | s a step | CPU s a step | CPU s an epoch | peak GiB | CPU, memory to common |")
    print("|---|---|---|---|---|---|---|")
    for lengths in options.lengths:
        found = {}
        for name in IMPLEMENTATIONS:
            run = subprocess.run([*again, name, lengths], capture_output=True, text=True, check=True)
            found[name] = json.loads(run.stdout)
        for name, row in found.items():
            row["epoch"] = row["cpu"] * UTTERANCES / options.batch
            cpu, memory = row["cpu"] / found["common"]["cpu"], row["gib"] / found["common"]["gib"]
            rows.append({"lengths": lengths, "implementation": name, **row, "cpu ratio": cpu, "memory ratio": memory})
            print(
                f"| {lengths} | {name} | {row['seconds']:.2f} | {row['cpu']:.2f} | {row['epoch']:.0f} "
                f"| {row['gib']:.2f} | {cpu:.2f}, {memory:.2f} |",
                flush=True,
            )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"batch": options.batch, "torch": torch.__version__, "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
