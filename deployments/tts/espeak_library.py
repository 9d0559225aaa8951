"""espeak-ng through ctypes: one utterance at a time, each from a library that has spoken nothing.

All of espeak's state is global. Two threads in it crash the process, and what was said before
(pitch flutter, wave phase, noise) changes the samples of what is said next, by more than its own
initialisation resets (measured on 1.52.0, 2026-11). So one lock guards it, and each utterance loads
the library afresh and unloads it afterwards, which takes 0.6 ms and makes its samples a function of
its input alone.

Source: espeak-ng 1.52.0 (GPL-3), ``speak_lib.h``; constants and the layout of its events.
"""

import _ctypes
import ctypes
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deployments.errors import EngineLoadError, EngineRuntimeError
from deployments.tts.blocks import Mark, Piece
from deployments.types import Samples

SAMPLE_RATE_HZ = 22_050
BUFFER_MS = 100  # of speech per callback; a callback can stop the synthesis

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_PHONEME_EVENTS_IN_IPA_DONT_EXIT = 0x1 | 0x2 | 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_POS_CHARACTER = 1
_PLAIN_UTF8_WITH_END_PAUSE = 0x1 | 0x1000  # neither SSML (0x10) nor phoneme codes (0x100)
_EVENT_PHONEME = 7
# espeak keeps the path in 160 bytes and appends to it without looking.
_MAX_DATA_PATH_BYTES = 120

_STRESS_AND_TONE = str.maketrans("", "", "ˈˌ˥˦˧˨˩")
# Its Mandarin names that are no IPA.
_MANDARIN = {
    "th": "tʰ",
    "kh": "kʰ",
    "ph": "pʰ",
    "tsh": "tsʰ",
    "tɕh": "tɕʰ",
    "ts.": "ʈʂ",
    "ts.h": "ʈʂʰ",
    "s.": "ʂ",
    "i.": "ɨ",
    "i̪": "ɨ",
    "o-": "ɤ",
    "onɡ": "ʊŋ",
}

_LOCK = threading.Lock()


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What to say and how. ``voice`` is espeak's name, with a variant (``en-us+f3``) or without.

    ``pitch`` and ``pitch_range`` are espeak's 0 to 99, where 50 is the voice's own.
    """

    text: str
    voice: str
    rate_wpm: int
    pitch: int
    pitch_range: int


class EspeakLibrary:
    """espeak-ng of the ``espeakng-loader`` package (or of a given folder of voice data).

    Raises:
        EngineLoadError: the package or its data is missing.
    """

    def __init__(self, data_path: str | None = None) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise EngineLoadError(
                "espeak-ng is missing; install its extra: pip install 'realtime-avatar[espeak]'",
                stage="tts",
            ) from error
        self._library_path = espeakng_loader.get_library_path()
        path = data_path if data_path is not None else str(espeakng_loader.get_data_path())
        if not Path(path).is_dir():
            raise EngineLoadError("espeak-ng's voice data is missing", stage="tts")
        self._data_path = self._shortened(path).encode()
        with _LOCK, self._loaded(_Callback(_stop)):
            pass

    def synthesise(
        self,
        utterance: Utterance,
        deliver: Callable[[Piece], None],
        is_wanted: Callable[[], bool],
    ) -> None:
        """Speaks, handing over piece after piece; returns when all is said or wanted no more.

        Waits while another thread speaks.

        Args:
            deliver: takes a piece of about ``BUFFER_MS``, its marks counted from the utterance's
                first sample. Must not block: the lock is held.
            is_wanted: asked before the first piece and after each.

        Raises:
            EngineRuntimeError: espeak refused, or ``deliver`` raised.
        """
        failures: list[Exception] = []

        def callback(samples: Any, n: int, events: Any) -> int:
            try:
                deliver(_piece(samples, n, events))
                return 0 if is_wanted() else 1
            except Exception as error:  # ctypes would print it and go on
                failures.append(error)
                return 1

        with _LOCK:
            if not is_wanted():  # left while waiting
                return
            with self._loaded(_Callback(callback)) as library:
                _say(library, utterance)
        if failures:
            raise EngineRuntimeError(f"espeak-ng: {failures[0]!r}", stage="tts") from failures[0]

    @contextmanager
    def _loaded(self, callback: Any) -> Iterator[ctypes.CDLL]:
        """A library that has spoken nothing yet; the caller holds the lock."""
        try:
            library = ctypes.CDLL(self._library_path)
        except OSError as error:
            raise EngineLoadError(f"espeak-ng cannot be loaded: {error}", stage="tts") from error
        try:
            rate_hz = library.espeak_Initialize(
                _SYNCHRONOUS, BUFFER_MS, self._data_path, _PHONEME_EVENTS_IN_IPA_DONT_EXIT
            )
            if rate_hz != SAMPLE_RATE_HZ:
                raise EngineLoadError("espeak-ng cannot read its voice data", stage="tts")
            ctypes.CDLL(None).srand(1)  # breath noise comes from the C library's generator
            library.espeak_SetSynthCallback(callback)
            yield library
            library.espeak_Terminate()
        finally:
            _ctypes.dlclose(library._handle)

    def _shortened(self, path: str) -> str:
        if len(path.encode()) <= _MAX_DATA_PATH_BYTES:
            return path
        folder = tempfile.mkdtemp(prefix="espeak-")  # readable by this user alone
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)  # at exit at the latest
        link = Path(folder) / "data"
        link.symlink_to(Path(path).resolve(), target_is_directory=True)
        if len(str(link).encode()) > _MAX_DATA_PATH_BYTES:
            raise EngineLoadError(
                "espeak-ng cannot use voice data behind so long a path, nor link to it from the "
                "temporary folder, whose path is too long as well; set TMPDIR to a shorter one",
                stage="tts",
            )
        return str(link)


def _stop(_samples: Any, _n: int, _events: Any) -> int:
    return 1


def _say(library: ctypes.CDLL, utterance: Utterance) -> None:
    status = library.espeak_SetVoiceByName(utterance.voice.encode())
    for parameter, value in (
        (_RATE, utterance.rate_wpm),
        (_PITCH, utterance.pitch),
        (_RANGE, utterance.pitch_range),
    ):
        status = status or library.espeak_SetParameter(parameter, value, 0)
    text = utterance.text.encode() + b"\0"
    size = ctypes.c_size_t(len(text))
    status = status or library.espeak_Synth(
        text, size, 0, _POS_CHARACTER, 0, _PLAIN_UTF8_WITH_END_PAUSE, None, None
    )
    if status:
        raise EngineRuntimeError(f"espeak-ng failed with status {status}", stage="tts")


def _piece(samples: Any, n: int, events: Any) -> Piece:
    """What a callback was given, copied: espeak writes over it."""
    sound: Samples = np.zeros(0, np.float32)
    if samples and n > 0:
        sound = np.ctypeslib.as_array(samples, (n,)).astype(np.float32) / np.float32(32768)
    return Piece(sound, tuple(_marks(events)))


def _marks(events: Any) -> Iterator[Mark]:
    for event in _until_end(events):
        if event.type == _EVENT_PHONEME:
            name = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0]
            ipa = name.decode(errors="ignore")  # a name of 8 bytes may end within a character
            if not ipa.startswith("("):  # a language mark such as (en), no sound
                yield Mark(plain_ipa(ipa), event.sample)


def _until_end(events: Any) -> Iterator[Any]:
    index = 0
    while events[index].type:
        yield events[index]
        index += 1


def plain_ipa(name: str) -> str:
    """IPA for espeak's name of a phoneme, without stress and tone: they do not show on a face."""
    plain = name.translate(_STRESS_AND_TONE)
    return _MANDARIN.get(plain, plain)
