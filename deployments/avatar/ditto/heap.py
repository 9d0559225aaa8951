"""What the process does with memory that was freed."""

import ctypes

# Numbers of glibc's mallopt. Source: malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Memory that was freed stays with this process, for the next tensor of the same size.

    Otherwise every tensor of some megabytes is new to the process, and its pages come one by one
    as they are first written: a tenth to a third of a frame's time on a CPU
    (benchmarks/ditto.md). The process keeps the most that it ever needed. A thread that has had a
    heap of its own before keeps returning what it takes: a process with MALLOC_ARENA_MAX=1 among
    its variables has one heap from the beginning. Elsewhere than with glibc nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)  # one heap for all threads: those of others hold 64 MB at most
        mallopt(_MMAP_MAX, 0)  # from the heap, whatever the size
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)  # which does not shrink
