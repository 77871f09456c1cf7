"""Faces in pictures: blendshapes, head pose, gaze and action units, by mediapipe's face landmarker.

``landmarker`` finds the faces of one picture, ``tracking`` chooses the speaker's, ``measures`` makes numbers of one
face, ``frames`` puts them together, ``action_units`` renames blendshapes to FACS. ``columns`` says what each number is.

    from modashift.extract.media import pictures
    face = face_frames(pictures("clip.mp4", every=1 / RATE, max_side=MAX_SIDE))
    units = action_units(face)
"""

from modashift.extract.face.action_units import action_units
from modashift.extract.face.columns import COLUMNS, MAX_SIDE, RATE
from modashift.extract.face.frames import face_frames
from modashift.extract.face.landmarker import Face, Landmarker
from modashift.extract.face.tracking import FaceTrack

__all__ = ["COLUMNS", "MAX_SIDE", "RATE", "Face", "FaceTrack", "Landmarker", "action_units", "face_frames"]
