"""The network of the face landmarks against TensorFlow Lite's own runtime, and the reader of its file."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_face import face
from modashift.encoders.packaged import load_packaged
from modashift.errors import DataError

GOLDEN = Path(__file__).parent / "face_golden.npz"
CLIP = Path(__file__).resolve().parents[3] / "shared" / "data" / "grid" / "bbaf2n.mpg"


@pytest.fixture(scope="module")
def encoder(packaged: Callable[[str], Path]) -> Any:
    packaged("mediapipe-face")
    return load_packaged("mediapipe-face")


@pytest.fixture(scope="module")
def network(packaged: Callable[[str], Path]) -> zipfile.ZipFile:
    from modashift.data.fetch import LANDMARKER_NAME, fetch_landmarker

    packaged("mediapipe-face")
    return zipfile.ZipFile(fetch_landmarker() / LANDMARKER_NAME)


def batch(*pictures: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def test_same_as_the_runtime(encoder: Any) -> None:
    golden = np.load(GOLDEN)
    states = encoder(batch(face()), output_hidden_states=True).hidden_states
    assert len(states) == len(golden["states"]) == 20
    for layer, (ours, theirs) in enumerate(zip(states, golden["states"])):
        np.testing.assert_allclose(ours[0, 0].numpy(), theirs, atol=1e-3, rtol=0, err_msg=f"layer {layer}")
    np.testing.assert_allclose(encoder.landmarks(batch(face()))[0].numpy(), golden["landmarks"], atol=5e-3, rtol=0)


@torch.inference_mode()
def test_landmarks_lie_on_the_drawn_face(encoder: Any) -> None:
    points = encoder.landmarks(batch(face()))[0, :, :2].numpy()
    for number, x, y in ((468, 105, 108), (473, 157, 108), (1, 131, 148), (13, 131, 174), (14, 131, 186)):
        assert np.hypot(*(points[number] - (x, y))) < 6, number  # pupils, tip of the nose, edges of the lips


@torch.inference_mode()
def test_pictures_of_a_batch_do_not_touch(encoder: Any) -> None:
    other = np.roll(face(), 20, axis=1)
    alone = encoder(batch(face())).last_hidden_state
    together = encoder(batch(other, face())).last_hidden_state
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)
    assert (together[0] - together[1]).abs().max() > 0.01
    assert encoder(batch(face())).hidden_states is None


@torch.inference_mode()
def test_agrees_with_mediapipe_on_a_real_face(encoder: Any) -> None:
    pytest.importorskip("mediapipe")
    if not CLIP.is_file():
        pytest.skip(f"research data not present at {CLIP}")
    from PIL import Image

    from modashift.extract.face import Landmarker
    from modashift.extract.media import pictures

    picture = next(iter(pictures(CLIP))).rgb
    with Landmarker(most_faces=1) as landmarker:
        seen = landmarker.faces(picture)[0].landmarks[:, :2] * picture.shape[1::-1]
    low, high = seen.min(0), seen.max(0)
    size = (high - low).max() * (1 + 2 * encoder.config.face_margin)
    corner = (low + high - size) / 2
    side = encoder.config.image_size
    box = (*corner, *(corner + size))
    cut = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR, box=box))
    ours = encoder.landmarks(batch(cut))[0, :, :2].numpy() * size / side + corner
    assert np.hypot(*(ours - seen).T).mean() < 0.02 * (high - low).max()


def test_another_network_is_refused(network: zipfile.ZipFile) -> None:
    from modashift.encoders.packaged_face import FaceConfig, face_weights

    with pytest.raises(DataError, match="another network than expected"):
        face_weights(network.read("face_blendshapes.tflite"), FaceConfig())


def test_not_a_task_file(tmp_path: Path) -> None:
    from modashift.encoders.packaged_face import convert_face

    path = tmp_path / "x.task"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"x\.task holds no face_landmarks_detector"):
        convert_face(path, tmp_path)
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("other", "")
    with pytest.raises(DataError, match=r"x\.task holds no face_landmarks_detector"):
        convert_face(path, tmp_path)


def test_constants_and_operations_as_the_schema_has_them(network: zipfile.ZipFile) -> None:
    """Read once more with the classes that mediapipe brings for the metadata of its models."""
    schema = pytest.importorskip("mediapipe.tasks.metadata.schema_py_generated")
    from modashift.encoders.packaged_tflite import read_operations

    content = network.read("face_blendshapes.tflite")
    model = schema.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    constants = {n for n in range(graph.TensorsLength()) if model.Buffers(graph.Tensors(n).Buffer()).DataLength()}
    theirs = []
    for number in range(graph.OperatorsLength()):
        operation = graph.Operators(number)
        code = model.OperatorCodes(operation.OpcodeIndex())
        if max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) == schema.BuiltinOperator.DEQUANTIZE:
            constants.add(operation.Outputs(0))
            continue
        inputs = operation.InputsAsNumpy().tolist()
        theirs.append((tuple(n for n in inputs if n not in constants), operation.Outputs(0), len(inputs)))
    ours = [(o.inputs, o.output, len(o.inputs) + len(o.weights)) for o in read_operations(content)]
    assert ours == theirs
    assert {o.kind for o in read_operations(content)} >= {"add", "conv", "operation 40"}  # 40: mean


@pytest.mark.parametrize("keep", [0, 6, 8, 40, 2_000, 100_000, 900_000])
def test_a_broken_file(keep: int, network: zipfile.ZipFile) -> None:
    from modashift.encoders.packaged_tflite import read_operations

    with pytest.raises(DataError, match="fetch it again"):
        read_operations(network.read("face_blendshapes.tflite")[:keep])
