"""The network that finds mediapipe's face landmarks, as an image encoder whose hidden states are those of its blocks.

It is a convolutional network of residual blocks that get by on few multiplications (M. Sandler et al., *MobileNetV2*,
CVPR 2018, describe their like), trained by Google to place 478 landmarks on a face (I. Grishchenko et al., *Attention
Mesh*, 2020, on the family), Apache 2.0. From the 16 × 16 grid on all its blocks are 128 wide, and these are the layers
here: the first of them takes the part of the embedding, layer 0, and 19 follow. A layer's state is the mean over its
grid, so that a picture is one step of 128 numbers.

It knows faces and nothing else: where a face is and how it moves, never what stands beside it.
"""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from modashift.encoders.packaged_tflite import Operation, read_operations
from modashift.errors import DataError

__all__ = ["FaceConfig", "FaceEncoder", "convert_face", "face_weights"]

MEMBER = "face_landmarks_detector.tflite"
LANDMARKS = 478


class FaceConfig(PreTrainedConfig):  # type: ignore[misc]
    """Shape of the network.

    Args:
        widths: channels of each stage; a stage halves the grid of the one before.
        blocks: of each stage.
        hidden_size: width of the layers whose states are given; stages of another width come before them.
        image_size: pixels of the square picture.
        face_margin: what the network was shown around a face, as a share of the face's box, on each side.
    """

    model_type = "modashift-face"

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64, 128, 128, 128, 128),
        blocks: Sequence[int] = (4, 5, 5, 5, 5, 5, 5),
        hidden_size: int = 128,
        image_size: int = 256,
        face_margin: float = 0.25,
        **others: Any,
    ) -> None:
        self.widths, self.blocks = list(widths), list(blocks)
        self.hidden_size, self.image_size, self.face_margin = hidden_size, image_size, face_margin
        layers = sum(count for width, count in zip(widths, blocks) if width == hidden_size) - 1
        super().__init__(**{**others, "num_hidden_layers": layers})


class FaceBlock(nn.Module):
    """A residual block: narrow to half, filter each channel with its neighbours, widen, add what came in.

    The first block of a stage also halves the grid. What comes in is then brought to the size of what goes out by
    taking the largest of four and appending channels of 0.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        size = 2 if halve else 1
        inner = outputs // 2
        self.halve, self.more = halve, outputs - inputs
        self.narrow = nn.Conv2d(inputs, inner, size, stride=size)
        self.narrow_act = nn.PReLU(inner)
        self.depth = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.widen = nn.Conv2d(inner, outputs, 1)
        self.act = nn.PReLU(outputs)

    def forward(self, grid: Tensor) -> Tensor:
        """(B, inputs, S, S) → (B, outputs, S or S / 2, S or S / 2)."""
        kept = functional.max_pool2d(grid, 2) if self.halve else grid
        if self.more:
            kept = functional.pad(kept, (0, 0, 0, 0, 0, self.more))
        added: Tensor = self.act(kept + self.widen(self.depth(self.narrow_act(self.narrow(grid)))))
        return added


class FaceEncoder(PreTrainedModel):  # type: ignore[misc]
    """The network, with its landmarks.

    ``hidden_states`` are 20 of shape (B, 1, 128): one step for each picture, the mean over the grid. A picture is
    (B, 3, 256, 256) RGB in [0, 1]: an upright face that takes about two thirds of its height.
    """

    config_class = FaceConfig
    base_model_prefix = "face"
    main_input_name = "pixel_values"

    def __init__(self, config: FaceConfig) -> None:
        super().__init__(config)
        first = config.widths[0]
        self.stem, self.stem_act = nn.Conv2d(3, first, 3, stride=2), nn.PReLU(first)
        stages = list(zip(config.widths, config.blocks))
        shapes = [(first if n == 0 else stages[n - 1][0], width, count) for n, (width, count) in enumerate(stages)]
        self.blocks = nn.ModuleList(
            FaceBlock(before if k == 0 else width, width, halve=k == 0 and n > 0)
            for n, (before, width, count) in enumerate(shapes)
            for k in range(count)
        )
        grid = config.image_size >> len(stages)
        self.head = nn.Conv2d(config.widths[-1], 3 * LANDMARKS, grid)
        self.post_init()

    def forward(self, pixel_values: Tensor, output_hidden_states: bool | None = None, **_: Any) -> BaseModelOutput:
        """Hidden states of pictures (B, 3, 256, 256) in [0, 1]."""
        states = [
            grid.mean((2, 3)).unsqueeze(1) for grid in self._grids(pixel_values) if grid.shape[1] == self._width
        ]  # each (B, 1, H)
        return BaseModelOutput(
            last_hidden_state=states[-1], hidden_states=tuple(states) if output_hidden_states else None
        )

    def landmarks(self, pixel_values: Tensor) -> Tensor:
        """(B, 478, 3): x to the right, y down and z away from the viewer in pixels of pictures (B, 3, 256, 256)."""
        *_, last = self._grids(pixel_values)
        placed: Tensor = self.head(last).view(-1, LANDMARKS, 3)
        return placed

    @property
    def _width(self) -> int:
        return int(self.config.hidden_size)

    def _grids(self, pictures: Tensor) -> Iterator[Tensor]:
        grid = self.stem_act(self.stem(functional.pad(pictures, (0, 1, 0, 1))))  # TensorFlow pads on the far side
        for block in self.blocks:
            grid = block(grid)
            yield grid


AutoConfig.register(FaceConfig.model_type, FaceConfig, exist_ok=True)
AutoModel.register(FaceConfig, FaceEncoder, exist_ok=True)


def convert_face(source: Path, target: Path) -> None:
    """Write configuration and weights of the network in mediapipe's face landmarker, in the layout of transformers.

    Args:
        source: the file ``face_landmarker.task``.
        target: folder to write into.

    Raises:
        DataError: the file holds another network.
    """
    try:
        with zipfile.ZipFile(source) as members:
            content = members.read(MEMBER)
    except (KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{source} holds no {MEMBER}; fetch it again") from error
    config = FaceConfig()
    encoder = FaceEncoder(config)
    encoder.load_state_dict({name: torch.from_numpy(values) for name, values in face_weights(content, config).items()})
    encoder.save_pretrained(target)


def face_weights(content: bytes, config: FaceConfig) -> dict[str, NDArray[np.float32]]:
    """The weights of the TensorFlow Lite network under the names of `FaceEncoder`, in PyTorch's order of axes.

    Raises:
        DataError: the operations are not those of this network.
    """
    operations = read_operations(content)
    halved = len(config.blocks) - 1
    widened = sum(a != b for a, b in zip(config.widths, config.widths[1:]))
    count = sum(config.blocks)
    said = {kind: sum(o.kind == kind for o in operations) for kind in ("add", "max-pool", "pad")}
    if said != {"add": count, "max-pool": halved, "pad": widened}:
        raise DataError(f"the face landmarker holds another network than expected ({said}); fetch it again")
    layers = [o for o in operations if o.kind in ("conv", "depthwise", "prelu")]
    wanted = ["stem", "stem_act"]
    parts = ("narrow", "narrow_act", "depth", "widen", "act")
    wanted += [f"blocks.{n}.{part}" for n in range(count) for part in parts]
    # Three heads follow: whether it is a face, a second score, and the landmarks, which have the most outputs.
    heads = layers[len(wanted) :]
    weights: dict[str, NDArray[np.float32]] = {}
    for name, layer in [*zip(wanted, layers), ("head", max(heads, key=lambda o: len(o.weights[0])))]:
        weights |= {f"{name}.{part}": values for part, values in _torch(layer).items()}
    return weights


def _torch(layer: Operation) -> dict[str, NDArray[np.float32]]:
    first = np.asarray(layer.weights[0], np.float32)
    if layer.kind == "prelu":
        return {"weight": first.reshape(-1).copy()}
    axes = (3, 0, 1, 2) if layer.kind == "depthwise" else (0, 3, 1, 2)
    bias = np.array(layer.weights[1], np.float32)
    return {"weight": np.ascontiguousarray(first.transpose(axes)), "bias": bias}
