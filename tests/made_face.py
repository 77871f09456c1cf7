"""A drawn face, and what TensorFlow Lite's own runtime makes of it.

    python tests/made_face.py face_landmarker.task tests/encoders/face_golden.npz

writes the states and landmarks that the tests compare with. It needs ``pip install ai-edge-litert``, which nothing else
here does.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIDE = 256
MEMBER = "face_landmarks_detector.tflite"


def face() -> NDArray[np.uint8]:
    """(256, 256, 3) RGB: a head with brows, eyes, nose and an open mouth, a little out of the middle."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    picture = np.stack([90 + 0.1 * x, 110 + 0.1 * y, 140 - 0.1 * x], axis=2)

    def paint(cx: float, cy: float, rx: float, ry: float, colour: tuple[int, int, int], soft: float = 0.1) -> None:
        inside = 1 / (1 + np.exp((np.hypot((x - cx) / rx, (y - cy) / ry) - 1) / soft))
        picture[:] += inside[..., None] * (np.array(colour) - picture)

    paint(131, 78, 74, 60, (60, 40, 30))  # hair
    paint(131, 132, 66, 88, (224, 178, 150), 0.03)
    for side in (-1, 1):
        paint(131 + 27 * side, 92, 16, 4, (80, 50, 40))  # brow
        paint(131 + 26 * side, 108, 13, 7, (245, 245, 240))
        paint(131 + 26 * side, 108, 6, 6, (70, 50, 40))
        paint(131 + 8 * side, 152, 4, 3, (150, 100, 85))  # nostril
    paint(131, 135, 7, 22, (236, 192, 165), 0.4)  # nose
    paint(131, 179, 26, 12, (190, 90, 90))
    paint(131, 180, 19, 6, (70, 25, 30))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def main(task: Path, target: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(task) as members:
        runtime = Interpreter(members.extract(MEMBER, folder), num_threads=1, experimental_preserve_all_tensors=True)
        runtime.allocate_tensors()
    runtime.set_tensor(runtime.get_input_details()[0]["index"], face()[None].astype(np.float32) / 255)
    runtime.invoke()
    outputs = {detail["name"]: runtime.get_tensor(detail["index"]) for detail in runtime.get_output_details()}
    states = []
    for operation in runtime._get_ops_details():
        if operation["op_name"] == "PRELU":
            grid = runtime.get_tensor(operation["outputs"][0])
            if grid.shape[-1] == 128:  # only the end of a block has that many
                states.append(grid[0].mean((0, 1), dtype=np.float64).astype(np.float32))
    np.savez_compressed(target, states=np.stack(states), landmarks=outputs["Identity"].reshape(-1, 3))
    print(f"{len(states)} layers of {states[0].shape[0]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
