"""The columns of the ``face`` set: 52 blendshapes as the landmarker names them, and 13 measures of head and face.

Left and right are the person's own. Directions in the picture are the viewer's: a person who turns to her own left
turns to the right of the picture, and that is positive.
"""

from modashift.extract.sets import Column, FeatureSet

__all__ = ["BLENDSHAPES", "COLUMNS", "FACE", "MAX_SIDE", "MEASURES", "RATE"]

RATE = 15.0  # pictures a second that are worth looking at, see docs/face.md
MAX_SIDE = 640  # pixels; larger pictures give no better features

_SIDES = {"Left": "left", "Right": "right"}
_PAIRS = {
    "browDown": "{} brow is lowered",
    "browOuterUp": "outer end of the {} brow is raised",
    "cheekSquint": "{} cheek is raised towards the eye; the model hardly ever moves it",
    "eyeBlink": "{} eye is closed",
    "eyeLookDown": "{} eye looks down",
    "eyeLookIn": "{} eye looks towards the nose",
    "eyeLookOut": "{} eye looks away from the nose",
    "eyeLookUp": "{} eye looks up",
    "eyeSquint": "{} eye is narrowed",
    "eyeWide": "{} eye is wide open",
    "mouthDimple": "{} corner of the mouth is drawn backwards",
    "mouthFrown": "{} corner of the mouth is pulled down",
    "mouthLowerDown": "lower lip is lowered on the {}",
    "mouthPress": "lips are pressed together on the {}",
    "mouthSmile": "{} corner of the mouth is pulled up",
    "mouthStretch": "{} corner of the mouth is stretched sideways",
    "mouthUpperUp": "upper lip is raised on the {}",
    "noseSneer": "nose is wrinkled on the {}; the model hardly ever moves it",
}
_SINGLE = {
    "_neutral": "the rest of the model's classes; 0 in practice",
    "browInnerUp": "inner ends of both brows are raised",
    "cheekPuff": "cheeks are puffed out; the model hardly ever moves it",
    "jawForward": "jaw is pushed forward",
    "jawLeft": "jaw is moved to the left",
    "jawOpen": "jaw is lowered",
    "jawRight": "jaw is moved to the right",
    "mouthClose": "lips are closed although the jaw is lowered",
    "mouthFunnel": "lips are opened in the shape of a funnel",
    "mouthLeft": "whole mouth is moved to the left",
    "mouthPucker": "closed lips are puckered",
    "mouthRight": "whole mouth is moved to the right",
    "mouthRollLower": "lower lip is rolled inwards",
    "mouthRollUpper": "upper lip is rolled inwards",
    "mouthShrugLower": "lower lip is pushed up by the chin",
    "mouthShrugUpper": "upper lip is pushed up by the lower lip",
}

BLENDSHAPES: tuple[str, ...] = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff"),
    *("cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight"),
    *("eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"),
    *("eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel"),
    *("mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker"),
    *("mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft"),
    *("mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight"),
)
"""Names of the 52 blendshapes in the landmarker's order."""


def _meaning(name: str) -> str:
    if name in _SINGLE:
        return _SINGLE[name]
    side = "Left" if name.endswith("Left") else "Right"
    return _PAIRS[name.removesuffix(side)].format(_SIDES[side])


MEASURES: tuple[Column, ...] = (
    Column("head_pitch", "degrees", "head nods; positive: the nose points up, seen from the camera"),
    Column("head_yaw", "degrees", "head is turned; positive: the nose points to the right of the picture"),
    Column("head_roll", "degrees", "head is tilted; positive: counter-clockwise in the picture"),
    Column("head_x", "cm", "place of the head right of the camera's axis, for a head of average size"),
    Column("head_y", "cm", "place of the head above the camera's axis, for a head of average size"),
    Column("head_z", "cm", "place of the head along the axis; negative, nearer to 0 when nearer to the camera"),
    Column("face_size", "0…1", "root of the share of the picture that the face's box covers"),
    Column("gaze_horizontal", "degrees", "eyes within the head; positive: to the right of the picture"),
    Column("gaze_vertical", "degrees", "eyes within the head, from the line of the eye's corners; positive: up"),
    Column("eye_opening_left", "ratio", "distance of the left eye's lids over the distance of its corners"),
    Column("eye_opening_right", "ratio", "distance of the right eye's lids over the distance of its corners"),
    Column("mouth_opening", "ratio", "distance of the lips' inner edges over the distance of the eyes' outer corners"),
    Column("mouth_width", "ratio", "distance of the mouth's corners over the distance of the eyes' outer corners"),
)
"""What `modashift.extract.face.measures` computes, in its order."""

COLUMNS: tuple[Column, ...] = (*(Column(name, "0…1", _meaning(name)) for name in BLENDSHAPES), *MEASURES)

FACE = FeatureSet(
    name="face",
    modality="visual",
    columns=COLUMNS,
    rate=RATE,
    source="mediapipe's face landmarker and its blendshapes; pose, gaze and openings from its landmarks",
    needs="modashift[extract], modashift data fetch landmarker",
)
