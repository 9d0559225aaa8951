"""What the machine really delivers when it has all hands full, beside what its stages say.

Efforts count what an engine does, not what it waits for, nor what carries its output. On a machine
that is full, though, what arrives per second is the capacity. Pure: time is given.
"""

_HALF_LIFE_S = 5.0  # of full time, in the moving average
_RECOVERY_S = 60.0  # half-life of what was learnt, while the machine is not full
_LEAST_FACTOR = 0.5  # a machine that delivers less than half is ill, not slow


class Delivered:
    """A factor on the capacity that efforts suggest, at most 1."""

    def __init__(self) -> None:
        self.factor = 1.0
        self._at_s: float | None = None
        self._sent_s = self._seconds = self._since_s = 0.0
        self._was_full = False

    def update(self, sent_s: float, is_full: bool, capacity: float, now_s: float) -> None:
        """What has arrived in all until now (``sent_s`` only grows), and whether more turns than
        the machine can draw at once wait for the next packet."""
        if self._at_s is None:
            self._at_s, self._since_s = now_s, sent_s
        passed_s, came_s = now_s - self._at_s, sent_s - self._since_s
        if passed_s <= 0:
            return
        if self._was_full and is_full:
            self._learn(came_s, passed_s, capacity)
        else:
            self.factor = 1.0 - (1.0 - self.factor) * 0.5 ** (passed_s / _RECOVERY_S)
        self._at_s, self._since_s, self._was_full = now_s, sent_s, is_full

    def _learn(self, came_s: float, passed_s: float, capacity: float) -> None:
        kept = 0.5 ** (passed_s / _HALF_LIFE_S)
        self._sent_s = self._sent_s * kept + came_s
        self._seconds = self._seconds * kept + passed_s
        if self._seconds > _HALF_LIFE_S / 2:  # before that, packets are too coarse a measure
            found = self._sent_s / self._seconds / capacity
            self.factor = min(1.0, max(_LEAST_FACTOR, found))
