"""How busy the machine was all the while, not only at the end."""

import os
import threading
from collections.abc import Callable
from statistics import fmean

_EVERY_S = 2.0


def _now() -> float:
    return os.getloadavg()[0]


class LoadAverage:
    """Reads the load average (of one minute) when the block begins, every so often while it runs,
    and when it ends. The system's own average trails by about a minute."""

    def __init__(self, read: Callable[[], float] = _now, every_s: float = _EVERY_S) -> None:
        self._read, self._every_s = read, every_s
        self._readings: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "LoadAverage":
        self._readings.append(self._read())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._readings.append(self._read())

    @property
    def mean(self) -> float:
        """Over what was read so far."""
        return round(fmean(self._readings), 2)

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._readings.append(self._read())
