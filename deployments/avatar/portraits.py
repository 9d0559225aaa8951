"""The faces that come with the project.

Each is a picture, ``portraits/<id>.png``, and what is known about it, ``portraits/<id>.json``.
They are original characters, painted by the program in ``painting``; nobody's photograph.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deployments.errors import EngineLoadError
from deployments.types import PortraitSource

_FOLDER = Path(__file__).parent / "portraits"
_IDS = ("mira",)  # the first is the default face


def builtin_portraits() -> tuple[PortraitSource, ...]:
    """The built-in faces, the default one first; their landmarks are exact, since painted.

    Raises:
        EngineLoadError: the installation lacks their files.
    """
    return tuple(_read(portrait_id) for portrait_id in _IDS)


def _read(portrait_id: str) -> PortraitSource:
    image = cv2.imread(str(_FOLDER / f"{portrait_id}.png"), cv2.IMREAD_COLOR)
    if image is None:
        raise EngineLoadError(f"built-in portrait {portrait_id!r} is missing", stage="avatar")
    facts = _facts(portrait_id)
    landmarks = np.array(facts["landmarks"], dtype=np.float32)
    return PortraitSource(
        id=portrait_id,
        name=facts["name"],
        image=np.asarray(image, dtype=np.uint8),
        landmarks=landmarks,
        layout=facts["layout"],
    )


def _facts(portrait_id: str) -> Mapping[str, Any]:
    try:
        text = (_FOLDER / f"{portrait_id}.json").read_text(encoding="utf-8")
    except OSError as error:
        raise EngineLoadError(
            f"built-in portrait {portrait_id!r} lacks its landmarks", stage="avatar"
        ) from error
    facts: Mapping[str, Any] = json.loads(text)
    return facts
