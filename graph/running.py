"""The turns in progress, as far as the ingress processes have told. Pure: time is given."""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from graph.events import Progress
from graph.fluid import Work

_N_LENGTHS = 64  # so many replies tell how long one will be
_N_FEW = 5  # with fewer only their mean is used,
_LONGER_SHARE = 0.25  # and one that is already longer is taken to go on for so much of its length
_MIN_LEFT_S = 1.0  # of a reply that is still being spoken, however long it is already
_MAX_LATE_S = 1.0  # more lateness than that says no more about what the machine has to do
_A_PACKET_S = 0.2  # less than one packet of words is no work for the face
_PAUSING_S = 1.0  # so near its look-ahead, a turn may be waiting for its viewer
_REMEMBERED_S = 60.0  # that a process was there, beyond its lease
_ON_ITS_WAY_S = 1.0  # how long a report may take that was sent before its turn was let in


@dataclass(slots=True)
class _Turn:
    ingress_id: str
    admitted_at_s: float
    progress: Progress | None = None
    told_at_s: float = 0.0
    is_counted: bool = False


class ReplyLengths:
    """How long replies are: the newest ones; before there are any, a guess."""

    def __init__(self, guess_s: float) -> None:
        self._newest: deque[float] = deque([guess_s], maxlen=_N_LENGTHS)
        self._is_guess = True
        self._reckon()

    def add(self, length_s: float) -> None:
        """A reply was spoken to its end."""
        if self._is_guess:
            self._newest.clear()
            self._is_guess = False
        self._newest.append(length_s)
        self._reckon()

    def left_s(self, sent_s: float) -> float:
        """What is to be expected of a reply that has come so far and not to its end: the mean of
        what those that were longer had left."""
        if len(self._newest) < _N_FEW:
            return max(_MIN_LEFT_S, self.mean_s - sent_s, _LONGER_SHARE * sent_s)
        n_longer = len(self._sorted) - bisect_right(self._sorted, sent_s)
        if not n_longer:
            return _MIN_LEFT_S
        return max(_MIN_LEFT_S, self._sums[n_longer] / n_longer - sent_s)

    def _reckon(self) -> None:
        """Once for each reply that ended: it is asked for every turn at every question."""
        self._sorted = sorted(self._newest)
        self._sums = [0.0, *accumulate(reversed(self._sorted))]  # of the so many longest
        self.mean_s = self._sums[-1] / len(self._sorted)


class Running:
    """Leases: a turn runs as long as its ingress says so, and ends when that falls silent."""

    def __init__(self, expected_reply_s: float, lease_s: float) -> None:
        self.lengths = ReplyLengths(expected_reply_s)
        self._lease_s = lease_s
        self._turns: dict[str, _Turn] = {}
        self._heard_at_s: dict[str, float] = {}
        self.sent_s = 0.0  # by all turns that ever were

    def __len__(self) -> int:
        return len(self._turns)

    def n_ingresses(self, now_s: float, memory_s: float) -> int:
        """How many processes were heard of in the last ``memory_s``; at least one asks."""
        return max(1, sum(now_s - at_s <= memory_s for at_s in self._heard_at_s.values()))

    def is_heard(self, ingress_id: str, since_s: float, now_s: float) -> bool:
        """Whether the process can still be alive, which it was at ``since_s``."""
        return now_s - max(since_s, self._heard_at_s.get(ingress_id, since_s)) <= self._lease_s

    def admit(self, turn_id: str, ingress_id: str, now_s: float) -> None:
        """The turn starts; until its first report all of its work is to come."""
        self._turns[turn_id] = _Turn(ingress_id, now_s)

    def leave(self, turn_id: str, last: Progress | None = None) -> bool:
        """The turn ended; how it came on since the last report, if it was told. Whether it was
        known."""
        turn = self._turns.pop(turn_id, None)
        if turn is not None and last is not None:
            self._count(turn, last)
        return turn is not None

    def report(self, ingress_id: str, turns: Mapping[str, Progress | None], now_s: float) -> None:
        """All turns of one ingress; those that it does not name have ended, and those that nobody
        has let in (because whoever did has died) run all the same."""
        self._heard_at_s[ingress_id] = now_s
        for turn_id, progress in turns.items():
            if turn_id not in self._turns:
                self._turns[turn_id] = _Turn(ingress_id, now_s, progress)
            self._told(self._turns[turn_id], progress, now_s)
        for turn_id, turn in list(self._turns.items()):
            is_theirs = turn.ingress_id == ingress_id and turn_id not in turns
            if is_theirs and now_s - turn.admitted_at_s > _ON_ITS_WAY_S:
                del self._turns[turn_id]

    def expire(self, now_s: float) -> bool:
        """Drop the turns of processes that fell silent, and the names of those that are long gone.
        Whether there were any turns."""
        kept_s = self._lease_s + _REMEMBERED_S
        self._heard_at_s = {i: at for i, at in self._heard_at_s.items() if now_s - at <= kept_s}
        lost = [
            turn_id
            for turn_id, turn in self._turns.items()
            if not self.is_heard(turn.ingress_id, turn.admitted_at_s, now_s)
        ]
        for turn_id in lost:
            del self._turns[turn_id]
        return bool(lost)

    def n_hungry(self, look_ahead_s: float) -> int:
        """How many turns wait for the next picture, with words for it and no reason to pause."""
        told = (turn.progress for turn in self._turns.values())
        return sum(
            progress.spoken_s - progress.sent_s >= _A_PACKET_S
            and progress.ahead_s < look_ahead_s - _PAUSING_S
            for progress in told
            if progress is not None and not progress.is_held
        )

    def works(self, now_s: float) -> list[Work]:
        """What is left to be done for each turn that is not all sent."""
        works = [self._work(turn, now_s) for turn in self._turns.values()]
        return [work for work in works if work.left_s > 0]

    def _work(self, turn: _Turn, now_s: float) -> Work:
        progress = turn.progress
        if progress is None:
            return Work(0.0, self.lengths.mean_s)
        to_draw_s = max(0.0, progress.spoken_s - progress.sent_s)
        if progress.is_held:  # until its viewer reads on it is as near to need as it is, not nearer
            lead_s = max(0.0, progress.ahead_s)
        else:
            lead_s = progress.ahead_s - (now_s - turn.told_at_s)
        if progress.is_all_spoken:
            return Work(max(lead_s, -_MAX_LATE_S), to_draw_s)
        left_s = max(self.lengths.left_s(progress.sent_s), to_draw_s)
        # A viewer who waits for words that are not there yet is not waiting for this machine.
        return Work(max(lead_s, -_MAX_LATE_S if to_draw_s else 0.0), left_s)

    def _told(self, turn: _Turn, progress: Progress | None, now_s: float) -> None:
        if progress is not None:
            self._count(turn, progress)
        turn.progress, turn.told_at_s = progress, now_s

    def _count(self, turn: _Turn, progress: Progress) -> None:
        """What was sent since then, and the reply's length once it is known."""
        before_s = 0.0 if turn.progress is None else turn.progress.sent_s
        self.sent_s += max(0.0, progress.sent_s - before_s)
        if progress.is_all_spoken and not turn.is_counted:
            turn.is_counted = True
            self.lengths.add(progress.spoken_s)
