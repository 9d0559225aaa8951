"""espeak's processes: no memory lost, nothing left running, a dead one replaced."""

import ctypes
import gc
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from deployments.config import TtsConfig
from deployments.errors import EngineLoadError, EngineRuntimeError
from deployments.registry import load_engine
from deployments.tts.blocks import Piece
from deployments.tts.deployment import Tts
from deployments.tts.engine import TtsEngine
from deployments.tts.espeak_library import Utterance
from deployments.tts.espeak_process import EspeakProcess
from deployments.types import ReplySentence

pytestmark = pytest.mark.skipif(
    not find_spec("espeakng_loader"), reason="the extra 'espeak' is not installed"
)
on_linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")

LONG = "He said it again and again. " * 200


@pytest.fixture
def espeak() -> Iterator[EspeakProcess]:
    yield EspeakProcess()
    gc.collect()


def utterance(text: str, voice: str = "en-us") -> Utterance:
    return Utterance(text, voice, rate_wpm=165, pitch=50, pitch_range=50)


def sound(pieces: Iterator[Piece]) -> bytes:
    return b"".join(piece.samples.tobytes() for piece in pieces)


def speaking(espeak: EspeakProcess) -> list[int]:
    """The processes that speak now."""
    children = Path(f"/proc/{espeak.pid}/task/{espeak.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def library_processes() -> set[int]:
    """Those that this process has started, whichever thread did."""
    lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    pids = [int(pid) for pid in " ".join(lists).split()]
    return {p for p in pids if b"espeak_library" in Path(f"/proc/{p}/cmdline").read_bytes()}


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Ends the test that waits for longer, which nothing else would where a read has no limit."""

    def end(*_: object) -> None:
        raise AssertionError(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ends(pid: int, within_s: float = 10.0) -> bool:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], within_s)[0])
    finally:
        os.close(fd)


class _Heap(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


def heap_bytes() -> int:
    """What this process has allocated and not freed: exact, unlike its resident memory."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        pytest.skip("needs glibc 2.33 to count the heap")
    library.mallinfo2.restype = _Heap
    gc.collect()
    heap = library.mallinfo2()
    return int(heap.uordblks + heap.hblkhd)


def resident_bytes_of_children() -> int:
    """Of the processes that this one started, among them the one that loaded espeak."""
    lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    pids = " ".join(lists).split()
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sum(pages) * os.sysconf("SC_PAGESIZE")


@on_linux
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "A sentence, number {}."),
        ("zh", "第{}句。"),
        ("zh", "第{}句，用Python写的，在Linux上。"),  # makes espeak load a second dictionary
    ],
)
def test_many_sentences_leave_no_memory_behind(language: str, text: str) -> None:
    engine: TtsEngine = load_engine("tts", "espeak", {})

    def speak(n: int) -> None:
        for index in range(n):
            sentence = ReplySentence(index, text.format(index), is_last=True)
            assert list(engine.speak(sentence, language, None))

    speak(20)
    heap, resident = heap_bytes(), resident_bytes_of_children()
    speak(200)
    assert heap_bytes() - heap < 200 * 500  # espeak itself loses 2,000, or 185,000, each
    assert resident_bytes_of_children() - resident < 200 * 1_500


@on_linux
def test_closing_an_utterance_ends_its_process(espeak: EspeakProcess) -> None:
    pieces = espeak.say(utterance(LONG))
    next(pieces)
    (pid,) = speaking(espeak)
    pieces.close()
    assert ends(pid)
    assert ends(espeak.pid, within_s=0) is False


def test_an_utterance_that_nobody_began_to_hear_costs_nothing(espeak: EspeakProcess) -> None:
    pieces = espeak.say(utterance(LONG))
    pieces.close()
    assert list(pieces) == []


@on_linux
def test_a_process_lost_while_it_speaks_is_an_error_worth_repeating(espeak: EspeakProcess) -> None:
    pieces = espeak.say(utterance(LONG))
    next(pieces)
    (pid,) = speaking(espeak)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineRuntimeError) as raised:
        list(pieces)
    assert raised.value.retryable
    assert sound(espeak.say(utterance("Hello.")))


@on_linux
def test_the_library_process_is_replaced_when_it_dies(espeak: EspeakProcess) -> None:
    expected = sound(espeak.say(utterance("Hello.")))
    dead = espeak.pid
    os.kill(dead, signal.SIGKILL)
    assert ends(dead)
    assert sound(espeak.say(utterance("Hello."))) == expected
    assert espeak.pid != dead


@on_linux
def test_a_stopped_library_process_is_ended_and_replaced(espeak: EspeakProcess) -> None:
    stopped = espeak.pid
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(EngineRuntimeError, match="hung") as raised, limit(10):
        list(espeak.say(utterance("Hello.")))
    assert raised.value.retryable
    assert ends(stopped, within_s=0)
    assert sound(espeak.say(utterance("Hello.")))


@on_linux
def test_a_speaking_process_that_is_stopped_is_ended(espeak: EspeakProcess) -> None:
    pieces = espeak.say(utterance(LONG))
    next(pieces)
    (stopped,) = speaking(espeak)
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(EngineRuntimeError, match="hung") as raised, limit(10):
        list(pieces)
    assert raised.value.retryable
    assert ends(stopped)
    assert sound(espeak.say(utterance("Hello.")))


@on_linux
async def test_a_replica_whose_process_cannot_be_started_again_is_unhealthy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = library_processes()  # of engines that other tests have left to the collector
    tts = Tts(TtsConfig(engine="espeak"))
    await tts.check_health()
    (pid,) = library_processes() - others
    os.kill(pid, signal.SIGKILL)
    assert ends(pid)
    monkeypatch.setattr(sys, "executable", "/no/such/program")
    for _ in range(2):
        with pytest.raises(EngineLoadError, match="espeak-ng does not start") as raised:
            async for _ in tts.speak(ReplySentence(0, "Hello.", is_last=True), "en", None):
                pass
        assert raised.value.retryable
        with pytest.raises(EngineLoadError, match="espeak-ng does not start"):
            await tts.check_health()


@on_linux
def test_nothing_runs_on_when_the_engine_is_gone() -> None:
    espeak = EspeakProcess()
    pid = espeak.pid
    del espeak
    gc.collect()
    assert ends(pid)


def test_what_espeak_refuses_is_an_error(espeak: EspeakProcess) -> None:
    with pytest.raises(EngineRuntimeError, match="status"):
        list(espeak.say(utterance("Hello.", voice="nobody-speaks-like-this")))
    assert sound(espeak.say(utterance("Hello.")))
