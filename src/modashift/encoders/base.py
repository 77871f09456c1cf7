"""What encoders of pictures, speech and texts have in common: how they are loaded, where they run, what they are of."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from modashift.backbones import quiet_transformers
from modashift.data.states import StateColumns
from modashift.encoders.blocks import Blocks, Pick, find_blocks
from modashift.encoders.names import write_name
from modashift.encoders.sources import Source
from modashift.errors import ModashiftError

__all__ = ["Encoder", "Precision", "Settings", "device_of", "load_whole"]

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Settings:
    """How an encoder runs.

    Attributes:
        device: auto (a GPU where there is one), cpu, cuda or cuda:N.
        precision: fp32, or autocast in bf16 or fp16.
    """

    device: str = "auto"
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ModashiftError(f"precision {self.precision!r} is not one of {', '.join(get_args(Precision))}")


class Encoder:
    """A frozen encoder and the layers that are wanted of it.

    Args:
        source: from `modashift.encoders.sources.find`.
        model: in evaluation mode.
        layers: numbers of the layers, rising.
        settings: device and precision.

    Attributes:
        source: as given.
        layers: as given.
        device: where it runs.
    """

    def __init__(self, source: Source, model: Any, layers: tuple[int, ...], settings: Settings) -> None:
        self.source, self.layers, self.settings = source, layers, settings
        self.device = device_of(settings.device)
        if find_blocks(model, source.depth) is None:
            self._states = _listed(model, layers)
        else:
            self._states = Blocks(model, source.depth, layers)
        self._model = model.to(self.device)

    def columns(self, rate: float | None = None) -> StateColumns:
        """Columns of the states.

        Args:
            rate: states a second, None for all; of no meaning for texts.
        """
        written = write_name(self.source.name, self.source.mark, self.source.modality, rate)
        return StateColumns(written, self.layers, self.source.size)

    @property
    def batch(self) -> int:
        """How many pictures, windows or texts are worth looking at together."""
        return 32 if self.device.type == "cuda" else 8

    def run(self, pick: Pick, **inputs: Tensor) -> Tensor:
        """States of a batch.

        Args:
            pick: what is kept of a state (B, N, H): a tensor with the batch first.
            inputs: of the model, on any device.

        Returns:
            (B, L, …) float32 on the CPU.
        """
        import torch

        with torch.inference_mode(), self._autocast():
            found = self._states(pick, **{key: value.to(self.device) for key, value in inputs.items()})
        return torch.stack(found, dim=1)

    def _autocast(self) -> AbstractContextManager[Any]:
        import torch

        if self.settings.precision == "fp32":
            return nullcontext()
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[self.settings.precision]
        return torch.autocast(self.device.type, dtype)


def device_of(name: str) -> Any:
    """The device that is meant.

    Raises:
        ModashiftError: there is none of that name here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModashiftError(f"device {name!r} is not one of auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModashiftError(f"device {name}: there are {torch.cuda.device_count()} such devices here; choose another")
    return device


def load_whole(load: Callable[..., Any], source: Source, unused: Sequence[str] = ()) -> Any:
    """Load a model with all its weights, none of them made up.

    Args:
        load: ``from_pretrained`` of a class of transformers.
        source: what to load.
        unused: beginnings of the names of weights that hidden states do not need, and may be missing.

    Raises:
        ModashiftError: it cannot be loaded, or weights that are needed are missing.
    """
    import torch

    try:
        with quiet_transformers():
            model, about = load(str(source.folder), dtype=torch.float32, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        said = (str(error).strip().splitlines() or [""])[0]
        raise ModashiftError(f"{source.name} cannot be loaded from {source.folder}: {said}") from error
    missing = sorted(k for k in about["missing_keys"] if not k.startswith(tuple(unused)))
    if missing:
        raise ModashiftError(
            f"the weights in {source.folder} lack {len(missing)} that {type(model).__name__} needs "
            f"({', '.join(missing[:3])}, …); they are of another model, or were cut short"
        )
    return model.eval().requires_grad_(False)


def _listed(model: Any, layers: tuple[int, ...]) -> Callable[..., list[Tensor]]:
    """For models whose layers are in no list: transformers' own hidden states."""
    import torch

    def states(pick: Pick, **inputs: Tensor) -> list[Tensor]:
        found = model(**inputs, output_hidden_states=True).hidden_states
        if found is None or len(found) <= layers[-1]:
            raise ModashiftError(f"{type(model).__name__} gives no hidden states of its layers")
        return [pick(found[number]).to("cpu", torch.float32, copy=True) for number in layers]

    return states
