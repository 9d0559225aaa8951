"""What whoever waits for weights is shown."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

_EVERY_S = {True: 0.2, False: 10.0}  # on a terminal one line is written over; in a log each stays


class Progress:
    """Bytes of ``n_total`` as they come, all files together.

    Args:
        n_total: bytes to come.
        out: where it is written.
        now: seconds of a clock that only goes forward.
    """

    def __init__(
        self, n_total: int, out: TextIO = sys.stderr, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._n_total, self._n = n_total, 0
        self._out, self._now = out, now
        self._is_terminal = out.isatty()
        self._began = self._shown = now()
        self._name = ""
        self._is_line_open = False

    def begin(self, name: str) -> None:
        """The next bytes are of this file."""
        self._name = name

    def add(self, n_bytes: int) -> None:
        """So many more; negative where some have to come again."""
        self._n += n_bytes
        if self._now() - self._shown >= _EVERY_S[self._is_terminal]:
            self._show()

    def end_line(self) -> None:
        """Whatever is said next begins a line of its own."""
        if self._is_line_open:
            self._out.write("\n")
            self._is_line_open = False

    def finish(self) -> None:
        """All of it is here: the last line, with the whole time in it."""
        self._show()
        self.end_line()

    def _show(self) -> None:
        self._shown = self._now()
        speed = self._n / max(1e-3, self._shown - self._began)
        share = self._n / max(1, self._n_total)
        text = f"  {share:4.0%}  {amount(self._n)} of {amount(self._n_total)}, {amount(speed)}/s"
        line = f"{text}  {self._name}"
        self._out.write(f"\r{line:<78.78}" if self._is_terminal else f"{line}\n")
        self._is_line_open = self._is_terminal
        self._out.flush()


def amount(n_bytes: float) -> str:
    """In the unit that people read: ``486 MB``, ``1.6 GB``; a MB is 1,000,000 bytes."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= size:
            number = n_bytes / size
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{n_bytes:.0f} bytes"
