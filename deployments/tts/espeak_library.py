"""espeak-ng through ctypes, as a small program: each utterance is spoken by a process of its own.

All of espeak's state is global. Two threads in it crash the process; what was said before (pitch
flutter, wave phase, noise) changes the samples of what is said next, by more than its own
initialisation resets; and it loses memory: 2 kB for its list of voices, 185 kB for an English
dictionary beside the Chinese one (valgrind, 1.52.0, 2026-12). So this program loads the library,
which then has spoken nothing, and forks for each utterance: its samples are a function of its
input alone, what it leaks ends with it, and many can speak at once. Forking takes 0.5 ms, and is
safe because this program has one thread; that is why it is none of the replica's own forks.

It imports the standard library alone and is started by ``espeak_process``, with a control socket
on which each utterance's own socket arrives. Closing that socket stops the utterance.

Source: espeak-ng 1.52.0 (GPL-3), ``speak_lib.h``; constants and the layout of its events.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

SAMPLE_RATE_HZ = 22_050
BUFFER_MS = 100  # of speech per callback; a callback can stop the synthesis

READY = b"ready"
# A message to the listener: its kind, the bytes of its text, the bytes of its samples (s16).
HEAD = struct.Struct("=cII")
PIECE, END, FAILURE = b"p", b"e", b"f"  # text: marks as JSON; none; what went wrong

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_PHONEME_EVENTS_IN_IPA_DONT_EXIT = 0x1 | 0x2 | 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_POS_CHARACTER = 1
_PLAIN_UTF8_WITH_END_PAUSE = 0x1 | 0x1000  # neither SSML (0x10) nor phoneme codes (0x100)
_EVENT_PHONEME = 7

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


def main(control_fd: str, library_path: str, data_path: str) -> None:
    """Serves until the other end of the control socket closes, which its process's death does.

    The first message on the socket is ``READY``, or else why there will be no speech.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides when to end
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for an utterance's process
    with socket.socket(fileno=int(control_fd)) as control:
        try:
            library = _loaded(library_path, data_path)
        except OSError as error:
            control.sendall(str(error).encode())
            return
        control.sendall(READY)
        _serve(control, library)


def _loaded(library_path: str, data_path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(library_path)
    rate_hz = library.espeak_Initialize(
        _SYNCHRONOUS, BUFFER_MS, data_path.encode(), _PHONEME_EVENTS_IN_IPA_DONT_EXIT
    )
    if rate_hz != SAMPLE_RATE_HZ:
        raise OSError("espeak-ng cannot read its voice data")
    library.espeak_ListVoices(None)  # reads the folder once instead of in every process
    ctypes.CDLL(None).srand(1)  # breath noise comes from the C library's generator
    return library


def _serve(control: socket.socket, library: ctypes.CDLL) -> None:
    while fds := socket.recv_fds(control, 1, 1)[1]:
        if os.fork() == 0:
            control.close()
            try:
                _attend(socket.socket(fileno=fds[0]), library)
            finally:
                os._exit(0)  # nothing of the parent's is to be cleaned up here
        os.close(fds[0])


def _attend(listener: socket.socket, library: ctypes.CDLL) -> None:
    """Reads a line, the utterance as JSON, and answers with its speech."""
    with suppress(OSError):  # the listener left
        try:
            with listener.makefile("rb") as reader:
                request = json.loads(reader.readline())
            _say(library, Utterance(**request), listener)
            _send(listener, END)
        except Exception as error:
            _send(listener, FAILURE, repr(error))


def _say(library: ctypes.CDLL, utterance: Utterance, listener: socket.socket) -> None:
    failures: list[Exception] = []

    def deliver(samples: Any, n: int, events: Any) -> int:
        try:
            sound = ctypes.string_at(samples, 2 * n) if samples and n > 0 else b""
            _send(listener, PIECE, json.dumps(list(_marks(events))), sound)
            return 0
        except Exception as error:  # ctypes would print it and go on
            failures.append(error)
            return 1

    callback = _Callback(deliver)  # must live as long as espeak calls it
    library.espeak_SetSynthCallback(callback)
    _synthesise(library, utterance)
    if failures:
        raise failures[0]


def _synthesise(library: ctypes.CDLL, utterance: Utterance) -> None:
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
        raise RuntimeError(f"status {status}")


def _send(listener: socket.socket, kind: bytes, text: str = "", sound: bytes = b"") -> None:
    encoded = text.encode()
    listener.sendall(HEAD.pack(kind, len(encoded), len(sound)) + encoded + sound)


def _marks(events: Any) -> Iterator[tuple[str, int]]:
    for event in _until_end(events):
        if event.type == _EVENT_PHONEME:
            name = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0]
            ipa = name.decode(errors="ignore")  # a name of 8 bytes may end within a character
            if not ipa.startswith("("):  # a language mark such as (en), no sound
                yield plain_ipa(ipa), event.sample


def _until_end(events: Any) -> Iterator[Any]:
    index = 0
    while events[index].type:
        yield events[index]
        index += 1


def plain_ipa(name: str) -> str:
    """IPA for espeak's name of a phoneme, without stress and tone: they do not show on a face."""
    plain = name.translate(_STRESS_AND_TONE)
    return _MANDARIN.get(plain, plain)


if __name__ == "__main__":
    main(*sys.argv[1:])
