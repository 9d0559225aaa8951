"""Records <-> the bytes and JSON of the interface; the only place that knows their form."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from deployments.types import AvatarCapabilities, AvatarCard, Transcript, Voice, Word
from graph.events import QueueUpdated, Timings, VideoFragment
from web.store import Session, Turn

KEEP_ALIVE = b": still here\n\n"
_PAUSE_S = 0.6  # a silence so long between two words begins a new segment
_SENTENCE_ENDS = (".", "?", "!", "。", "？", "！", "…")


def sse(event: str, data: Any) -> bytes:
    """One server-sent event: one ``event:`` line and one ``data:`` line of JSON."""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event}\ndata: {body}\n\n".encode()


def timings_json(timings: Timings) -> dict[str, Any]:
    """Milliseconds and seconds to a thousandth; ``null`` where a stage had no part."""
    values = asdict(timings)
    del values["av_skew_ms"]  # for the metrics only
    values["ladder"] = [_rounded(step) for step in values["ladder"]]
    return _rounded(values)


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in values.items()
    }


def queue_json(place: QueueUpdated) -> dict[str, Any]:
    return {
        "position": place.position,
        "predicted_wait_s": round(place.predicted_wait_s, 3),
    }


def fragment_json(fragment: VideoFragment) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "index": fragment.index,
        "data": base64.b64encode(fragment.data).decode("ascii"),
    }
    if fragment.mime is not None:
        answer["mime"] = fragment.mime
    return answer


def turn_json(turn: Turn) -> dict[str, Any]:
    """The turn. ``is_shortened`` tells that ``response_text``, not the deltas, is what was said."""
    return {
        "turn_id": turn.turn_id,
        "session_id": turn.session_id,
        "user_text": turn.user_text,
        "response_text": turn.response_text,
        "language": turn.language,
        "video_url": f"/api/v1/turns/{turn.turn_id}/video" if turn.has_video else None,
        "timings": dict(turn.timings),
        "engines": dict(turn.engines),
        **({"is_shortened": True} if turn.is_shortened else {}),
    }


def session_json(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "created_at": session.created_at,
        "turns": [{**turn_json(t), "created_at": t.created_at} for t in session.turns],
    }


def avatar_json(card: AvatarCard, capabilities: AvatarCapabilities) -> dict[str, Any]:
    return {
        "id": card.id,
        "name": card.name,
        "width": card.width_px,
        "height": card.height_px,
        "thumbnail_url": f"/api/v1/avatars/{card.id}/thumbnail",
        "idle_url": f"/api/v1/avatars/{card.id}/idle",
        "builtin": card.builtin,
        "controls": [asdict(control) for control in capabilities.controls],
    }


def voice_json(voice: Voice) -> dict[str, Any]:
    return {
        "id": voice.id,
        "name": voice.name,
        "languages": list(voice.languages),
        "builtin": voice.builtin,
        "cloned": voice.cloned,
    }


def segments_json(transcript: Transcript, duration_s: float) -> list[dict[str, Any]]:
    """The words in runs that end with a sentence or a pause; one run where times are unknown."""
    if not transcript.words:
        return [{"start": 0.0, "end": duration_s, "text": transcript.text}]
    return [
        {
            "start": run[0].start_s,
            "end": run[-1].end_s,
            "text": " ".join(word.text.strip() for word in run),
        }
        for run in _runs(transcript.words)
    ]


def _runs(words: Sequence[Word]) -> list[list[Word]]:
    runs = [[words[0]]]
    for before, word in pairwise(words):
        is_apart = word.start_s - before.end_s > _PAUSE_S
        if is_apart or before.text.rstrip().endswith(_SENTENCE_ENDS):
            runs.append([])
        runs[-1].append(word)
    return runs
