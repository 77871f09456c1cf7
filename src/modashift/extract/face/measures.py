"""Numbers about one face from its landmarks and its pose matrix: pure geometry, no mediapipe."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

__all__ = ["face_box", "gaze", "head_pose", "measures"]

# Landmarks by number in the landmarker's mesh of 478 points.
LEFT_EYE = {"outer": 263, "inner": 362, "upper": 386, "lower": 374}
RIGHT_EYE = {"outer": 33, "inner": 133, "upper": 159, "lower": 145}
LEFT_IRIS, RIGHT_IRIS = (473, 474, 475, 476, 477), (468, 469, 470, 471, 472)  # centre, then four points of its edge
LIPS = {"upper": 13, "lower": 14, "left": 291, "right": 61}

IRIS_DIAMETER = 11.7  # mm, visible, ±0.5 among adults: Ablavatski et al., arXiv:2006.11341
EYE_RADIUS = 12.0  # mm, about half an adult eye's axial length of 24 mm


def measures(
    landmarks: Float[np.ndarray, "478 3"], pose: Float[np.ndarray, "4 4"], width: int, height: int
) -> NDArray[np.float64]:
    """The 13 columns `modashift.extract.face.columns.MEASURES` of one face.

    Args:
        landmarks: x as a share of the picture's width, y of its height (downwards), z of its width (away).
        pose: from the canonical face to the camera, centimetres, x to the right, y up, z towards the viewer.
        width: of the picture, pixels.
        height: of the picture, pixels.
    """
    points = landmarks.astype(np.float64) * (width, height, width)
    left, top, right, bottom = face_box(landmarks)
    between = _distance(points, LEFT_EYE["outer"], RIGHT_EYE["outer"])
    return np.array(
        [
            *head_pose(pose),
            *pose[:3, 3],
            np.sqrt((right - left) * (bottom - top)),
            *gaze(points),
            *(_distance(points, e["upper"], e["lower"]) / _span(points, e) for e in (LEFT_EYE, RIGHT_EYE)),
            _distance(points, LIPS["upper"], LIPS["lower"]) / between,
            _distance(points, LIPS["left"], LIPS["right"]) / between,
        ]
    )


def head_pose(pose: Float[np.ndarray, "4 4"]) -> tuple[float, float, float]:
    """Pitch, yaw and roll in degrees.

    The rotation is taken apart as R = R_y(yaw) R_x(−pitch) R_z(roll): the head is tilted about its own nose first, then
    nods, then turns. Positive: nose up, nose to the right of the picture, counter-clockwise in the picture.
    """
    rotation = pose[:3, :3]
    pitch = np.arcsin(np.clip(rotation[1, 2], -1.0, 1.0))
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    roll = np.arctan2(rotation[1, 0], rotation[1, 1])
    return float(np.degrees(pitch)), float(np.degrees(yaw)), float(np.degrees(roll))


def gaze(points: Float[np.ndarray, "478 3"]) -> tuple[float, float]:
    """Horizontal and vertical angle of the eyes within the head, degrees, mean of both eyes.

    An eye of radius r that turns by θ moves its iris by r sin θ from the middle between the corners of the eye. The
    iris itself, whose diameter hardly differs among people, gives the scale.

    Args:
        points: landmarks in pixels, y downwards.
    """
    angles = [_eye_angles(points, LEFT_EYE, LEFT_IRIS, 1.0), _eye_angles(points, RIGHT_EYE, RIGHT_IRIS, -1.0)]
    horizontal, vertical = np.mean(angles, axis=0)
    return float(horizontal), float(vertical)


def face_box(landmarks: Float[np.ndarray, "478 3"]) -> Float[np.ndarray, "4"]:
    """Left, top, right and bottom of a face, as shares of the picture; it may reach beyond the picture."""
    flat = landmarks[:, :2]
    return np.concatenate([flat.min(0), flat.max(0)]).astype(np.float64)


def _eye_angles(
    points: Float[np.ndarray, "478 3"], eye: dict[str, int], iris: tuple[int, ...], outwards: float
) -> tuple[float, float]:
    centre, right, top, left, bottom = points[list(iris)]
    diameter = (np.linalg.norm(right - left) + np.linalg.norm(top - bottom)) / 2
    axis = outwards * (points[eye["outer"]] - points[eye["inner"]])  # towards the right of the picture
    axis /= max(float(np.linalg.norm(axis)), 1e-9)
    upwards = np.array([axis[1], -axis[0]]) / max(float(np.hypot(axis[0], axis[1])), 1e-9)
    offset = centre - (points[eye["outer"]] + points[eye["inner"]]) / 2
    scale = IRIS_DIAMETER / EYE_RADIUS / max(float(diameter), 1e-9)
    sines = np.clip([offset @ axis * scale, offset[:2] @ upwards * scale], -1.0, 1.0)
    horizontal, vertical = np.degrees(np.arcsin(sines))
    return float(horizontal), float(vertical)


def _span(points: Float[np.ndarray, "478 3"], eye: dict[str, int]) -> float:
    return _distance(points, eye["outer"], eye["inner"])


def _distance(points: Float[np.ndarray, "478 3"], one: int, other: int) -> float:
    return max(float(np.linalg.norm(points[one] - points[other])), 1e-9)
