"""A portrait and one row of motion to a frame, with a single remap of the picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.warp2d import mesh, mouth
from deployments.avatar.warp2d.closing import closed, teeth_light
from deployments.avatar.warp2d.columns import N_COLUMNS, Column
from deployments.avatar.warp2d.eyes import Eye, find_eyes
from deployments.avatar.warp2d.fields import STEP_PX, face_fields, grid_nodes, head_fields
from deployments.avatar.warp2d.geometry import Geometry, in_order
from deployments.avatar.warp2d.pixels import remap, resized, shrunk
from deployments.avatar.warp2d.seam import below_seam, through
from deployments.types import Frame, PortraitSource

_SCALE = 1.5  # the picture is kept larger than the frame, or each warp would soften it
_SEAM_POINTS = 41  # the lips' edges are drawn through so many points
_N_INVERSIONS = (
    3  # fixed-point steps from forward to backward displacement; the third moves < 0.1 px
)
_FADE_NODES = 10


@dataclass(frozen=True, slots=True, eq=False)
class WarpPortrait:
    """All that is computed once of a picture. ``canvas`` is scratch: its eyes are redrawn for
    every frame, so a portrait is drawn by one thread at a time, as the engine's contract says.
    """

    id: str
    size: tuple[int, int]  # width, height of a frame
    canvas: Frame
    eyes: tuple[Eye, Eye]
    upper: NDArray[np.float32]  # (16, rows * cols * 2)
    lower: NDArray[np.float32]
    head: NDArray[np.float32]
    nodes: NDArray[np.float32]  # (rows, cols, 2)
    identity: NDArray[np.float32]  # (height, width, 2) in the canvas's pixels
    seam: NDArray[np.float64]  # (41, 2) at rest
    upper_seam: NDArray[np.float64]  # (16, 41, 2)
    lower_seam: NDArray[np.float64]
    head_seam: NDArray[np.float64]
    mouth: mouth.Mouth
    jaw_rows: tuple[int, int]  # the rows that the lower half of the face may reach, in nodes


def prepare(source: PortraitSource, width_px: int, height_px: int) -> WarpPortrait:
    """Everything about ``source``, which has landmarks, for frames of the given size."""
    landmarks = np.asarray(source.landmarks, dtype=np.float64)
    image, landmarks = _fit(source.image, landmarks, width_px, height_px)
    canvas = shrunk(image, round(width_px * _SCALE), round(height_px * _SCALE))
    light = teeth_light(canvas, landmarks[: mesh.N_POINTS], _SCALE)
    canvas, landmarks[: mesh.N_POINTS] = closed(canvas, landmarks[: mesh.N_POINTS], _SCALE)
    face = Geometry.of(in_order(landmarks[: mesh.N_POINTS]))
    upper, lower, upper_seam, lower_seam = face_fields(face, width_px, height_px)
    nodes = grid_nodes(width_px, height_px)
    rows = height_px // STEP_PX
    top = max(int((face.mouth[1] - 0.55 * face.mouth_width) // STEP_PX), 0)
    bottom = min(int((face.chin[1] + 1.2 * face.mouth_width) // STEP_PX), rows)
    # The lower fields are used down to ``bottom``: there they must have become the upper ones.
    fade = np.clip((bottom - np.arange(rows, dtype=np.float32)) / _FADE_NODES, 0, 1)
    lower = upper + (lower - upper) * fade.astype(np.float32)[None, :, None, None]
    smoother = through(len(face.seam), _SEAM_POINTS)
    seam = smoother @ face.seam
    x, y = np.meshgrid(np.arange(width_px), np.arange(height_px))
    identity = (np.stack([x, y], axis=-1) + 0.5) * _SCALE - 0.5
    return WarpPortrait(
        id=source.id,
        size=(width_px, height_px),
        canvas=canvas,
        eyes=find_eyes(canvas, (landmarks + 0.5) * _SCALE - 0.5, source.layout),
        upper=upper.reshape(N_COLUMNS, -1),
        lower=lower.reshape(N_COLUMNS, -1),
        head=head_fields(face, nodes).reshape(N_COLUMNS, -1).astype(np.float32),
        nodes=nodes.reshape(rows, -1, 2).astype(np.float32),
        identity=identity.astype(np.float32),
        seam=seam,
        upper_seam=np.einsum("sp,cpd->csd", smoother, upper_seam),
        lower_seam=np.einsum("sp,cpd->csd", smoother, lower_seam),
        head_seam=head_fields(face, seam),
        mouth=mouth.paint_mouth(face.mouth_width, _parting(canvas, seam), light),
        jaw_rows=(top, bottom),
    )


def _parting(canvas: Frame, seam: NDArray[np.float64]) -> NDArray[np.float32]:
    """The colour (3,) of the line where the closed lips meet."""
    at = ((seam + 0.5) * _SCALE - 0.5)[None].astype(np.float32)
    return np.asarray(remap(canvas, at)[0].mean(axis=0), dtype=np.float32)


def draw(portrait: WarpPortrait, motion: NDArray[np.float32]) -> Frame:
    """(height, width, 3) uint8 BGR."""
    shut, gaze_x, gaze_y = (float(motion[c]) for c in (Column.BLINK, Column.GAZE_X, Column.GAZE_Y))
    for eye in portrait.eyes:
        eye.draw_on(portrait.canvas, shut, gaze_x, gaze_y)
    where, upper_lip, lower_lip = _where(portrait, motion)
    frame: Frame = remap(portrait.canvas, where)
    if float((lower_lip - upper_lip)[:, 1].max()) > 0:
        _open_mouth(frame, portrait, motion, upper_lip, lower_lip)
    return frame


def _where(
    portrait: WarpPortrait, motion: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Where in the canvas each pixel comes from, and the edges of both lips in the frame."""
    shape = portrait.nodes.shape
    upper = (motion @ portrait.upper).reshape(shape)
    lower = (motion @ portrait.lower).reshape(shape)
    head = (motion @ portrait.head).reshape(shape)
    # Backwards: first undo the head's movement, then the face's.
    here = portrait.nodes - _sample(head, portrait.nodes - head)
    width, height = portrait.size
    moved = _undo(here, upper) - portrait.nodes
    where = resized(moved * np.float32(_SCALE), width, height)

    still = portrait.seam + np.tensordot(motion, portrait.head_seam, 1)
    upper_lip = still + np.tensordot(motion, portrait.upper_seam, 1)
    lower_lip = still + np.tensordot(motion, portrait.lower_seam, 1)
    lower_lip[:, 1] = np.maximum(lower_lip[:, 1], upper_lip[:, 1])
    top, bottom = portrait.jaw_rows
    below = _undo(here[top:bottom], lower) - portrait.nodes[top:bottom]
    part = resized(below * np.float32(_SCALE), width, (bottom - top) * STEP_PX)
    first = top * STEP_PX
    weight = below_seam((upper_lip + lower_lip) / 2, width, first)
    region = where[first : first + len(part)]
    blended = region[: len(weight)]
    blended += (part[: len(weight)] - blended) * weight[..., None]
    region[len(weight) :] = part[len(weight) :]
    where += portrait.identity
    return where, upper_lip, lower_lip


def _undo(points: NDArray[np.float32], field: NDArray[np.float32]) -> NDArray[np.float32]:
    """The points that ``field`` moves to ``points``."""
    origin = points
    for _ in range(_N_INVERSIONS):
        origin = points - _sample(field, origin)
    return origin


def _sample(field: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    at = (points - np.float32((STEP_PX - 1) / 2)) / np.float32(STEP_PX)
    return remap(field, at)


def _open_mouth(
    frame: Frame,
    portrait: WarpPortrait,
    motion: NDArray[np.float32],
    upper_lip: NDArray[np.float64],
    lower_lip: NDArray[np.float64],
) -> None:
    """Paint what is seen between the lips, in place."""
    outline = np.concatenate([upper_lip, lower_lip])
    x0, y0 = np.floor(outline.min(axis=0)).astype(int) - 2
    x1, y1 = np.ceil(outline.max(axis=0)).astype(int) + 3
    x, y = np.arange(x0, x1), np.arange(y0, y1)[:, None]
    top = np.interp(x, upper_lip[:, 0], upper_lip[:, 1])
    bottom = np.interp(x, lower_lip[:, 0], lower_lip[:, 1])
    within = (x > upper_lip[0, 0]) & (x < upper_lip[-1, 0])
    height = np.where(within, bottom - top, 0.0).clip(0)
    # The share of each pixel that is open. A filled polygon would cover a whole pixel wherever
    # its outline passes, and lips that barely part would show a dotted line.
    cover = np.minimum(y + 0.5, top + height) - np.maximum(y - 0.5, top)
    cover = cv2.GaussianBlur(cover.clip(0, 1).astype(np.float32), (3, 3), 0)[..., None]
    opening = mouth.Opening((y - top).astype(np.float32), height.astype(np.float32))
    pose = _pose(portrait, motion, upper_lip, lower_lip)
    inside = mouth.place(portrait.mouth, pose, opening, (int(x0), int(y0)))
    region = frame[y0:y1, x0:x1]
    region[:] = region + (inside.astype(np.float32) - region) * cover


def _pose(
    portrait: WarpPortrait,
    motion: NDArray[np.float32],
    upper_lip: NDArray[np.float64],
    lower_lip: NDArray[np.float64],
) -> mouth.Pose:
    middle = _SEAM_POINTS // 2
    skull = portrait.seam[middle] + np.tensordot(motion, portrait.head_seam[:, middle], 1)
    across = upper_lip[-1] - upper_lip[0]
    return mouth.Pose(
        skull=(float(skull[0]), float(skull[1])),
        jaw=(float(lower_lip[middle, 0]), float(lower_lip[middle, 1])),
        angle=float(np.arctan2(across[1], across[0])),
        stretch=float(np.linalg.norm(across)) / portrait.mouth.width,
        tongue=float(motion[Column.TONGUE]),
        tucked=min(max(float(motion[Column.TUCK]), 0.0), 1.0),
        rounded=min(max(float(motion[Column.ROUND]), 0.0), 1.0),
    )


def _fit(
    image: Frame, landmarks: NDArray[np.float64], width_px: int, height_px: int
) -> tuple[Frame, NDArray[np.float64]]:
    """Cut the picture to the frame's proportions around the face; landmarks in frame pixels."""
    height, width = image.shape[:2]
    scale = min(width / width_px, height / height_px)
    centre = landmarks[: mesh.N_POINTS].mean(axis=0)
    cut_w, cut_h = width_px * scale, height_px * scale
    x0 = round(min(max(centre[0] - cut_w / 2, 0), width - cut_w))
    y0 = round(min(max(centre[1] - 0.42 * cut_h, 0), height - cut_h))
    cut = image[y0 : y0 + round(cut_h), x0 : x0 + round(cut_w)]
    return cut, (landmarks - (x0, y0) + 0.5) / scale - 0.5
