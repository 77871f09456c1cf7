"""Attention over sequences of any two lengths, lean on the CPU: what MulT spends its time on."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Sight", "attend", "blockwise", "fused"]

BLOCK = 128  # queries at a time on the CPU: the weights of a block stay in its cache


@dataclass(frozen=True)
class Sight:
    """Which keys a query may see, by the real lengths alone: padding and batch mates do not enter.

    Attributes:
        queries: (B,) real queries of each utterance, at the front.
        keys: (B,) real keys.
        sizes: padded lengths of queries and keys.
        future_mask: query i sees the keys up to i + |queries − keys|; otherwise all.
    """

    queries: Tensor
    keys: Tensor
    sizes: tuple[int, int]
    future_mask: bool

    @cached_property
    def mask(self) -> Tensor:
        """(B, 1, Tq, Tk) True where seen; key 0 always is, so that no softmax is over nothing."""
        i, j = (torch.arange(n, device=self.keys.device) for n in self.sizes)
        seen = j < self.keys[:, None, None]  # (B, 1, Tk)
        if self.future_mask:
            seen = seen & (j <= i[:, None] + (self.queries - self.keys).abs()[:, None, None])  # (B, Tq, Tk)
        return (seen | (j == 0)).expand(-1, self.sizes[0], -1).unsqueeze(1)

    @cached_property
    def blocks(self) -> list[tuple[int, slice, slice, Tensor | None]]:
        """Utterance, queries, keys and logits' bias of each block of queries; what no query sees is in none."""
        return list(self._blocks())

    def _blocks(self) -> Iterator[tuple[int, slice, slice, Tensor | None]]:
        for row, (queries, keys) in enumerate(zip(self.queries.tolist(), self.keys.tolist())):
            for start in range(0, queries if keys else 0, BLOCK):
                stop, bias = min(start + BLOCK, queries), None
                first = start + abs(queries - keys)  # last key the first query sees
                reach = min(keys, first + stop - start) if self.future_mask else keys
                if self.future_mask and first + 1 < reach:
                    bias = torch.full((stop - start, reach), -math.inf).triu(first + 1)
                yield row, slice(start, stop), slice(reach), bias


class _BlockwiseAttention(torch.autograd.Function):
    """Attention on the CPU, where torch's fused kernel knows no dropout (and would store the weights) and no lengths.

    The weights of a block are made anew in the backward pass, their dropout from the seed of the forward pass. Whether
    a weight is dropped is decided by one random byte, so the probability is rounded to 1/256.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, sight: Sight, dropout: float) -> Tensor:
        ctx.sight, ctx.cut, ctx.seed = sight, min(round(256 * dropout), 255), int(torch.randint(2**62, ()))
        ctx.save_for_backward(query, key, value)
        out = torch.zeros_like(query)
        random = torch.Generator().manual_seed(ctx.seed)
        for row, queries, keys, bias in sight.blocks:
            q, k, v = _wide(query[row, :, queries]), _wide(key[row, :, keys]), _wide(value[row, :, keys])
            weights = _weights(q, k, bias, query.shape[-1])  # (heads, queries, keys)
            if ctx.cut:
                weights.mul_(_kept(weights.shape, ctx.cut, random))
            out[row, :, queries] = torch.bmm(weights, v)[..., : query.shape[-1]]
        return out.mul_(256 / (256 - ctx.cut))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        size, above = query.shape[-1], gradients[0] * (256 / (256 - ctx.cut))
        of_query, of_key, of_value = (torch.zeros_like(t) for t in (query, key, value))
        random = torch.Generator().manual_seed(ctx.seed)
        for row, queries, keys, bias in ctx.sight.blocks:
            q, k, v = _wide(query[row, :, queries]), _wide(key[row, :, keys]), _wide(value[row, :, keys])
            g = _wide(above[row, :, queries])
            weights = _weights(q, k, bias, size)
            of_weights, dropped = torch.bmm(g, v.transpose(1, 2)), weights
            if ctx.cut:
                kept = _kept(weights.shape, ctx.cut, random)
                dropped = weights * kept
                of_weights.mul_(kept)
            of_value[row, :, keys] += torch.bmm(dropped.transpose(1, 2), g)[..., :size]
            of_logits = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_query[row, :, queries] = torch.bmm(of_logits, k)[..., :size]
            of_key[row, :, keys] += torch.bmm(of_logits.transpose(1, 2), q)[..., :size]
        return of_query.mul_(size**-0.5), of_key.mul_(size**-0.5), of_value, None, None


def _wide(rows: Tensor) -> Tensor:
    """Zero columns up to a multiple of 16: matrix products over heads of width 4 or 5 are slower than over 16."""
    return F.pad(rows, (0, -rows.shape[-1] % 16))


def _weights(query: Tensor, key: Tensor, bias: Tensor | None, size: int) -> Tensor:
    if bias is None:
        logits = torch.bmm(query * size**-0.5, key.transpose(1, 2))
    else:
        logits = torch.baddbmm(bias.to(query.dtype), query, key.transpose(1, 2), alpha=size**-0.5)
    return torch.softmax(logits, -1, out=logits)


def _kept(shape: torch.Size, cut: int, random: torch.Generator) -> Tensor:
    """True with probability 1 − cut/256, from eight bytes of each random number."""
    numbers = torch.empty((shape.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None, generator=random)
    return numbers.view(torch.uint8)[: shape.numel()].view(shape) >= cut


def attend(query: Tensor, key: Tensor, value: Tensor, sight: Sight, dropout: float) -> Tensor:
    """Attention of (B, heads, Tq, d) over (B, heads, Tk, d); zero for an utterance without keys."""
    if query.device.type == "cpu" and query.dtype in (torch.float32, torch.float64):
        out: Tensor = blockwise(query, key, value, sight, dropout)
        return out
    return fused(query, key, value, sight, dropout)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def blockwise(query: Tensor, key: Tensor, value: Tensor, sight: Sight, dropout: float) -> Tensor:
    """By blocks of queries, cut to the real lengths; what is not a real query gets zero."""
    out: Tensor = _BlockwiseAttention.apply(query, key, value, sight, dropout)  # type: ignore[no-untyped-call]
    return out


def fused(query: Tensor, key: Tensor, value: Tensor, sight: Sight, dropout: float) -> Tensor:
    """The same through torch's own kernels, the whole padded batch at once."""
    size, pad = query.shape[-1], -query.shape[-1] % 8  # they take heads whose width is a multiple of 8
    query, key, value = (F.pad(t, (0, pad)) for t in (query, key, value))
    out = F.scaled_dot_product_attention(query, key, value, sight.mask, dropout, scale=size**-0.5)
    return out[..., :size] * (sight.keys > 0)[:, None, None, None]
