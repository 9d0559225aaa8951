"""How many live sessions one device serves, by a simulated clock over measured batches.

Everybody speaks without a pause. Every 0.4 s the sound of a session's next ten frames is in: then
their window of motion can be made, then they can be drawn, and the first is due 0.4 s later, each
next one 40 ms after it. The device does one thing at a time, whatever is due first, together with
as much of the same kind as is ready.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

FRAME_S = 0.04
BLOCK = 10
"""Frames that a live window adds: 80 less an overlap of 70. Source: CONTRACT section 3."""
DELAY_S = 0.4
"""From a block's sound to its first frame. Source: the published first-frame delay of live
streams, "below 400 ms" (antgroup/ditto-talkinghead, issue 14)."""
_LASTING_S = 30.0  # long enough for a queue that grows by a hundredth to be late
_MOST = 1000  # sessions to try

Costs = Mapping[int, float]
"""Seconds by the size of the batch; what is between two sizes takes as long as the larger."""


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """A window or a frame of one session, ordered by when it is due."""

    due_s: float
    session: int
    ready_s: float = field(compare=False)


def sessions(frames: Costs, windows: Costs) -> int:
    """The most at once of whom not one frame is late; no more than ``_MOST`` are tried."""
    fine, late = 0, 1
    while late <= _MOST and latest_s(late, frames, windows) <= 0:
        fine, late = late, 2 * late
    while late - fine > 1:
        middle = (fine + late) // 2
        fine, late = (middle, late) if latest_s(middle, frames, windows) <= 0 else (fine, middle)
    return fine


def latest_s(n_sessions: int, frames: Costs, windows: Costs) -> float:
    """How late the latest frame is; below 0 if all are in time."""
    coming = deque(sorted(_blocks(n_sessions), key=lambda task: task.ready_s))
    to_move: list[Task] = []
    to_draw: list[Task] = []
    now_s, latest = 0.0, float("-inf")
    while coming or to_move or to_draw:
        while coming and coming[0].ready_s <= now_s:
            heappush(to_move, coming.popleft())
        if not to_move and not to_draw:
            now_s = coming[0].ready_s
        elif to_move and (not to_draw or to_move[0].due_s - frames[1] <= to_draw[0].due_s):
            moved = _taken(to_move, max(windows))
            now_s += cost(windows, len(moved))
            for frame in (frame for window in moved for frame in _frames(window)):
                heappush(to_draw, frame)
        else:
            drawn = _taken(to_draw, max(frames))
            now_s += cost(frames, len(drawn))
            latest = max(latest, now_s - drawn[0].due_s)
    return latest


def _taken(tasks: list[Task], n: int) -> list[Task]:
    """Those that are due first, no longer among ``tasks``, a heap."""
    return [heappop(tasks) for _ in range(min(n, len(tasks)))]


def cost(costs: Costs, n: int) -> float:
    """Seconds for a batch of n, which is not larger than the largest measured."""
    return costs[min(size for size in costs if size >= n)]


def _blocks(n_sessions: int) -> list[Task]:
    """All windows; sessions began evenly spread over a block."""
    block_s = BLOCK * FRAME_S
    ready = [
        (i, (i / n_sessions + k) * block_s)
        for i in range(n_sessions)
        for k in range(round(_LASTING_S / block_s))
    ]
    return [Task(ready_s + DELAY_S, i, ready_s) for i, ready_s in ready]


def _frames(block: Task) -> list[Task]:
    due_s = (block.due_s + j * FRAME_S for j in range(BLOCK))
    return [Task(at_s, block.session, block.ready_s) for at_s in due_s]
