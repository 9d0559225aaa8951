"""The networks' files inside the ``mediapipe`` wheel, which is never imported: its code needs
another protobuf than Ray does."""

from importlib.util import find_spec
from pathlib import Path

from deployments.errors import EngineLoadError

COMMAND = "pip install --no-deps --require-hashes -r requirements-portraits.lock"

DETECTOR = "face_detection/face_detection_short_range.tflite"
MESH = "face_landmark/face_landmark.tflite"
IRIS = "iris_landmark/iris_landmark.tflite"


def why_missing() -> str:
    """Why faces cannot be found here, in one line that names the command; empty where they can."""
    folder = _folder()
    missing = [name for name in (DETECTOR, MESH, IRIS) if not (folder / name).is_file()]
    if not missing:
        return ""
    names = ", ".join(Path(name).name for name in missing)
    return f"The networks that find a face are not installed ({names}); `{COMMAND}` brings them."


def read(name: str) -> bytes:
    """One of the files.

    Raises:
        EngineLoadError: it is not there, or cannot be read.
    """
    try:
        return (_folder() / name).read_bytes()
    except OSError as error:
        text = why_missing() or f"{Path(name).name} cannot be read: {error.strerror}"
        raise EngineLoadError(text, stage="avatar") from None


def _folder() -> Path:
    """Where they lie if the wheel is installed, found without running any of it."""
    spec = find_spec("mediapipe")
    places = spec.submodule_search_locations if spec is not None else None
    return Path(places[0] if places else "mediapipe") / "modules"
