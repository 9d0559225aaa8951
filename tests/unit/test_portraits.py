"""The built-in face and its landmarks are what its painter says."""

import json

import numpy as np

from deployments.avatar.painting.landmarks import FOLDER, facts
from deployments.avatar.portraits import builtin_portraits
from deployments.avatar.warp2d import mesh


def test_the_first_portrait_is_the_default_face_with_its_mesh_and_irises() -> None:
    face = builtin_portraits()[0]
    assert (face.id, face.name, face.builtin) == ("mira", "Mira", True)
    assert face.image.shape == (1152, 768, 3)
    assert face.landmarks is not None
    assert face.landmarks.shape == (478, 2)
    assert face.landmarks.min() > 0
    assert (face.landmarks < (768, 1152)).all()


def test_the_committed_landmarks_are_those_of_the_painting() -> None:
    committed = json.loads((FOLDER / "mira.json").read_text(encoding="utf-8"))
    assert committed == facts()


def test_the_lips_are_closed_in_the_picture() -> None:
    landmarks = builtin_portraits()[0].landmarks
    assert landmarks is not None
    gap = landmarks[list(mesh.LIP_LOWER_INNER)] - landmarks[list(mesh.LIP_UPPER_INNER)]
    assert np.abs(gap).max() == 0


def test_the_face_is_the_same_on_both_sides() -> None:
    landmarks = builtin_portraits()[0].landmarks
    assert landmarks is not None
    axis = 192 * 2 - 0.5
    for left, right in ((33, 263), (133, 362), (61, 291), (78, 308), (159, 386)):
        assert abs(landmarks[left, 0] + landmarks[right, 0] - 2 * axis) < 0.05
        assert abs(landmarks[left, 1] - landmarks[right, 1]) < 0.05
