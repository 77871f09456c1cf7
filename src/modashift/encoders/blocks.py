"""Hidden states where they arise: at the blocks of a model of transformers, and no further than is asked for.

transformers' own ``output_hidden_states`` gives for some models (WavLM-large, Whisper, ViT) the last state after the
model's final norm, and computes all blocks whatever is wanted. Here state n < depth is what enters block n + 1, and the
last is what leaves the last block: never normalised or projected for an output. After the deepest block that is asked
for nothing more is computed, and the blocks behind it are not even kept in memory.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor, nn

__all__ = ["Blocks", "find_blocks"]

Pick = Callable[[Tensor], Tensor]


class _Enough(Exception):
    """Ends a pass through a model after the last state that is wanted."""


class Blocks:
    """The blocks of a model, watched.

    Args:
        model: in evaluation mode; the blocks that are not needed are taken off it.
        depth: how many blocks it has.
        layers: numbers of the states, rising; 0 is what enters the first block.

    Raises:
        ValueError: the model has no list of so many blocks.
    """

    def __init__(self, model: Any, depth: int, layers: Sequence[int]) -> None:
        blocks = find_blocks(model, depth)
        if blocks is None:
            raise ValueError(f"{type(model).__name__} has no list of {depth} layers")
        self.model, self.layers = model, tuple(layers)
        self._found: dict[int, Tensor] = {}
        self._pick: Pick = lambda state: state
        deepest = self.layers[-1]
        del blocks[deepest + 1 :]
        for number in self.layers:
            if number < depth:
                blocks[number].register_forward_pre_hook(self._entering(number, deepest), with_kwargs=True)
            else:
                blocks[-1].register_forward_hook(self._leaving(number))

    def __call__(self, pick: Pick, **inputs: Tensor) -> list[Tensor]:
        """Run the model as far as needed.

        Args:
            pick: what is kept of a state (B, N, H).
            inputs: of the model.

        Returns:
            By layer what `pick` made of its state, float32, on the CPU.
        """
        self._found, self._pick = {}, pick
        with suppress(_Enough):
            self.model(**inputs)
        found, self._found = self._found, {}
        return [found[number] for number in self.layers]

    def _keep(self, number: int, state: Tensor) -> None:
        import torch

        # A copy: blocks may go on to write into what they were given.
        self._found[number] = self._pick(state.detach()).to("cpu", torch.float32, copy=True)

    def _entering(self, number: int, deepest: int) -> Callable[..., None]:
        def hook(_block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._keep(number, args[0] if args else kwargs["hidden_states"])
            if number == deepest:
                raise _Enough

        return hook

    def _leaving(self, number: int) -> Callable[..., None]:
        def hook(_block: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            self._keep(number, output if isinstance(output, Tensor) else output[0])
            raise _Enough

        return hook


def find_blocks(model: nn.Module, depth: int) -> nn.ModuleList | None:
    """The list of a model's Transformer layers, the first that is called ``layer`` or ``layers`` and has `depth`."""
    for name, module in model.named_modules():
        called = name.rpartition(".")[2] in {"layer", "layers"}
        if called and isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    return None
