"""What the columns of this engine's motion mean."""

from enum import IntEnum


class Column(IntEnum):
    """All are 0 in the rest pose: mouth closed, eyes open and towards the viewer."""

    JAW = 0  # 0..1, how far the mouth is open
    WIDE = 1  # -0.3..1, corners apart (as in "ee")
    ROUND = 2  # 0..1, lips forward and together (as in "oo")
    PRESS = 3  # 0..1, lips pressed on each other (p, b, m)
    RAISE = 4  # 0..1, upper lip up, its teeth show
    TUCK = 5  # 0..1, lower lip under the upper teeth (f, v)
    TONGUE = 6  # 0..1, tip of the tongue up behind the teeth
    SMILE = 7  # -1..1
    BLINK = 8  # 0 open .. 1 closed
    GAZE_X = 9  # -1..1, to the picture's right
    GAZE_Y = 10  # -1..1, down
    BROW = 11  # -1..1, up
    YAW = 12  # -1..1, the nose moves to the picture's right
    PITCH = 13  # -1..1, the nose moves down
    ROLL = 14  # -1..1, clockwise
    BREATH = 15  # 0..1, shoulders up


N_COLUMNS = len(Column)
MOUTH = slice(Column.JAW, Column.TONGUE + 1)
"""The columns that speech drives, in the order of the tables in ``visemes``."""
