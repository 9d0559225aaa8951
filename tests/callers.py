"""People who ask a real server at the same time and watch all of what they get."""

import math
import threading

import httpx
import pytest

from tests.media import boxes, read_mp4

_FPS, _N_REST = 25, 8
_ATTEMPTS = 20


class Callers:
    """Each asks once, or again and again; whoever is refused comes back when told to."""

    def __init__(self, url: str, n: int, text: str, *, again: bool = False) -> None:
        self._url, self._text = url, text
        self._go_on = threading.Event()
        if again:
            self._go_on.set()
        self._answers: list[httpx.Response] = []
        self._asking = [threading.Thread(target=self._talk) for _ in range(n)]
        for one in self._asking:
            one.start()

    def check_answers(self) -> None:
        """Nobody asks any more, and everybody got whole answers, every frame of them."""
        self._go_on.clear()
        for one in self._asking:
            one.join()
        assert len(self._answers) >= len(self._asking)
        for answer in self._answers:
            assert answer.status_code == 200, answer.text
            turn_id = answer.headers["x-turn-id"]
            turn = httpx.get(f"{self._url}/api/v1/turns/{turn_id}", timeout=30).json()
            n_frames = math.ceil(round(turn["timings"]["audio_s"] * _FPS, 3)) + _N_REST
            assert turn["response_text"] == self._text
            assert "is_shortened" not in turn
            assert boxes(answer.content)[-1] == "mfra"
            assert read_mp4(answer.content).frame_times_s == pytest.approx(
                [i / _FPS for i in range(n_frames)]
            )

    def _talk(self) -> None:
        self._ask()
        while self._go_on.is_set():
            self._ask()

    def _ask(self) -> None:
        form = {"text": f"Repeat after me: {self._text}"}
        for _ in range(_ATTEMPTS):
            answer = httpx.post(f"{self._url}/api/v1/conversation", data=form, timeout=120)
            if answer.status_code != 503:
                break
            threading.Event().wait(float(answer.headers["retry-after"]))
        self._answers.append(answer)
