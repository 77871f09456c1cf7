"""Pose, gaze and openings of faces whose geometry is known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from modashift.extract.face import measures as module
from modashift.extract.face.columns import MEASURES
from modashift.extract.face.measures import face_box, gaze, head_pose, measures

WIDTH, HEIGHT = 400, 300
NUMBER = {column.name: i for i, column in enumerate(MEASURES)}


def pose(pitch: float, yaw: float, roll: float) -> np.ndarray:
    matrix = np.eye(4)
    turns = [
        Rotation.from_euler("y", yaw, degrees=True),
        Rotation.from_euler("x", -pitch, degrees=True),
        Rotation.from_euler("z", roll, degrees=True),
    ]
    matrix[:3, :3] = (turns[0] * turns[1] * turns[2]).as_matrix()
    matrix[:3, 3] = 1.0, 2.0, -40.0
    return matrix


def face(right: float = 0.0, up: float = 0.0, tilt: float = 0.0) -> np.ndarray:
    """Points in pixels of a face that looks at us, its eyes turned by angles in degrees, the whole tilted."""
    points = np.zeros((478, 3))
    iris = 12.0  # pixels for 11.7 mm
    radius = module.EYE_RADIUS * iris / module.IRIS_DIAMETER
    for eye, ring, x in ((module.LEFT_EYE, module.LEFT_IRIS, 240.0), (module.RIGHT_EYE, module.RIGHT_IRIS, 160.0)):
        outwards = 1 if x > 200 else -1
        points[eye["outer"]] = x + outwards * 15, 120, 0
        points[eye["inner"]] = x - outwards * 15, 120, 0
        points[eye["upper"]] = x, 116, 0
        points[eye["lower"]] = x, 125 if x > 200 else 122, 0
        centre = np.array([x + radius * np.sin(np.radians(right)), 120 - radius * np.sin(np.radians(up)), 0])
        around = np.array([[0, 0, 0], [1, 0, 0], [0, -1, 0], [-1, 0, 0], [0, 1, 0]]) * iris / 2
        points[list(ring)] = centre + around
    points[module.LIPS["upper"]], points[module.LIPS["lower"]] = (200, 180, 0), (200, 191, 0)
    points[module.LIPS["left"]], points[module.LIPS["right"]] = (227.5, 185, 0), (172.5, 185, 0)
    unset = ~points.any(1)
    points[unset] = (200, 150, 0)
    points[0], points[1] = (140, 80, 0), (260, 230, 0)
    points[:, :2] = (points[:, :2] - (200, 150)) @ Rotation.from_euler("z", tilt, degrees=True).as_matrix()[:2, :2]
    points[:, :2] += (200, 150)
    return points


def shares(points: np.ndarray) -> np.ndarray:
    return points / (WIDTH, HEIGHT, WIDTH)


@pytest.mark.parametrize(("pitch", "yaw", "roll"), [(0, 0, 0), (20, 0, 0), (0, 35, 0), (0, 0, -25), (-15, 60, 40)])
def test_pose_is_taken_apart_as_documented(pitch: float, yaw: float, roll: float) -> None:
    assert head_pose(pose(pitch, yaw, roll)) == pytest.approx((pitch, yaw, roll), abs=1e-9)


def test_signs_of_the_pose() -> None:
    nose = np.array([0, 0, 1])  # out of the face, towards the viewer
    assert (pose(10, 0, 0)[:3, :3] @ nose)[1] > 0  # up
    assert (pose(0, 10, 0)[:3, :3] @ nose)[0] > 0  # to the right of the picture
    assert (pose(0, 0, 10)[:3, :3] @ np.array([1, 0, 0]))[1] > 0  # its right side in the picture goes up


def test_a_mirrored_pose_changes_the_signs_of_yaw_and_roll_alone() -> None:
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    pitch, yaw, roll = head_pose(mirror @ pose(12, 20, -7) @ mirror)
    assert (pitch, yaw, roll) == pytest.approx((12, -20, 7))


@pytest.mark.parametrize("tilt", [0.0, 25.0, -40.0])
@pytest.mark.parametrize(("right", "up"), [(0, 0), (20, 0), (-12, 8), (0, -15)])
def test_gaze_of_eyes_turned_by_known_angles(right: float, up: float, tilt: float) -> None:
    assert gaze(face(right, up, tilt)) == pytest.approx((right, up), abs=1e-6)


def test_gaze_mirrors() -> None:
    points = face(17, 5)
    mirrored = points.copy()
    mirrored[:, 0] = WIDTH - points[:, 0]
    for left, right in ((module.LEFT_EYE, module.RIGHT_EYE),):
        for corner in left:
            mirrored[[left[corner], right[corner]]] = mirrored[[right[corner], left[corner]]]
    mirrored[[*module.LEFT_IRIS, *module.RIGHT_IRIS]] = mirrored[[*module.RIGHT_IRIS, *module.LEFT_IRIS]]
    assert gaze(mirrored) == pytest.approx((-17, 5), abs=1e-6)


def test_all_measures_of_a_known_face() -> None:
    values = measures(shares(face(10, 5)), pose(1, 2, 3), WIDTH, HEIGHT)
    expected = {
        **{"head_pitch": 1, "head_yaw": 2, "head_roll": 3, "head_x": 1, "head_y": 2, "head_z": -40},
        **{"gaze_horizontal": 10, "gaze_vertical": 5, "eye_opening_left": 9 / 30, "eye_opening_right": 6 / 30},
        **{"mouth_opening": 11 / 110, "mouth_width": 55 / 110},
        "face_size": np.sqrt((120 / WIDTH) * (150 / HEIGHT)),
    }
    assert values == pytest.approx([expected[column.name] for column in MEASURES], abs=1e-6)


def test_ratios_and_gaze_do_not_depend_on_the_shape_of_the_picture() -> None:
    points = face(10, 5, 20)
    one = measures(points / (400, 300, 400), pose(0, 0, 0), 400, 300)
    other = measures(points / (800, 300, 800), pose(0, 0, 0), 800, 300)
    same = [NUMBER[column.name] for column in MEASURES if column.name != "face_size"]
    assert one[same] == pytest.approx(other[same])
    assert one[NUMBER["face_size"]] > other[NUMBER["face_size"]]


def test_box_holds_all_points() -> None:
    assert face_box(shares(face())) == pytest.approx([140 / 400, 80 / 300, 260 / 400, 230 / 300])


def test_collapsed_landmarks_give_finite_numbers() -> None:
    assert np.isfinite(measures(np.full((478, 3), 0.5), pose(0, 0, 0), WIDTH, HEIGHT)).all()
