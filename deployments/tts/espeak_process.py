"""The listener's side of ``espeak_library``: starts that program and hears its utterances."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import numpy as np

from deployments.errors import EngineLoadError, EngineRuntimeError
from deployments.tts import espeak_library
from deployments.tts.blocks import Mark, Piece
from deployments.tts.espeak_library import END, FAILURE, HEAD, READY, Utterance

# espeak keeps the path in 160 bytes and appends to it without looking.
_MAX_DATA_PATH_BYTES = 120
_START_TIMEOUT_S = 30.0  # a busy machine; 0.1 s on an idle one
_END_TIMEOUT_S = 1.0
# Between two pieces: a piece takes milliseconds, and even on a crowded machine far less than this;
# a turn has some seconds of speech in hand at most.
_SILENCE_TIMEOUT_S = 2.0


class EspeakProcess:
    """espeak-ng of the ``espeakng-loader`` package (or of a given folder of voice data).

    Safe to use from several threads. A process that died is started again by the next utterance;
    one that says nothing for too long is ended, with all that it says to others.

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
        path = data_path if data_path is not None else str(espeakng_loader.get_data_path())
        if not Path(path).is_dir():
            raise EngineLoadError("espeak-ng's voice data is missing", stage="tts")
        self._library_path = str(espeakng_loader.get_library_path())
        self._data_path = self._shortened(path)
        self._lock = threading.Lock()  # one start at a time
        self._start()

    def say(self, utterance: Utterance) -> Generator[Piece, None, None]:
        """The utterance, piece after piece of ``BUFFER_MS``, marks counted from its first sample.

        espeak runs ahead of the listener by some seconds of speech at most. Closing the iterator
        stops it.

        Raises:
            EngineRuntimeError: espeak refused, or its process died or hung.
            EngineLoadError: it died and cannot be started again; retryable, for others may speak.
        """
        ours, theirs = socket.socketpair()
        ours.settimeout(_SILENCE_TIMEOUT_S)
        with ours:
            with theirs:
                process = self._hand_over(theirs)
            try:
                ours.sendall(json.dumps(asdict(utterance)).encode() + b"\n")
                with ours.makefile("rb") as reader:
                    yield from _pieces(reader)
            except TimeoutError as error:
                self._kill(process)
                raise _lost() from error
            except OSError as error:
                raise _lost() from error

    @property
    def pid(self) -> int:
        """Of the process that loaded the library and speaks nothing itself."""
        return self._process.pid

    def _hand_over(self, listener: socket.socket) -> "subprocess.Popen[bytes]":
        with self._lock:
            try:
                socket.send_fds(self._control, [b"\0"], [listener.fileno()])
            except OSError:  # it died
                self._restart()
                socket.send_fds(self._control, [b"\0"], [listener.fileno()])
            return self._process

    def _restart(self) -> None:
        self._end()
        try:
            self._start()
        except EngineLoadError as error:
            raise EngineLoadError(error.message, stage="tts", retryable=True) from error

    def _kill(self, process: "subprocess.Popen[bytes]") -> None:
        with self._lock:
            _kill(process)

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            program = [sys.executable, "-I", "-S", espeak_library.__file__]  # starts in 20 ms
            arguments = [str(theirs.fileno()), self._library_path, self._data_path]
            try:
                self._process = subprocess.Popen(
                    program + arguments,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # a signal to our group is ours to answer
                )
            except OSError as error:
                self._control.close()
                raise EngineLoadError(f"espeak-ng does not start: {error}", stage="tts") from error
        # At exit at the latest; it ends by itself when we are killed, since the socket closes.
        self._end = weakref.finalize(self, _end, self._process, self._control)
        self._control.settimeout(_START_TIMEOUT_S)
        try:
            word = self._control.recv(1000)
        except OSError as error:
            self._end()
            raise EngineLoadError(f"espeak-ng does not start: {error}", stage="tts") from error
        self._control.settimeout(_SILENCE_TIMEOUT_S)
        if word != READY:
            self._end()
            text = word.decode(errors="replace") or "its process died at its start"
            raise EngineLoadError(f"espeak-ng cannot be loaded: {text}", stage="tts")

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


def _end(process: "subprocess.Popen[bytes]", control: socket.socket) -> None:
    control.close()
    try:
        process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _kill(process)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End it and all that speak for it: its session. SIGKILL also ends what was stopped."""
    if process.returncode is None:  # not waited for yet, so that its number is nobody else's
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pieces(reader: BinaryIO) -> Iterator[Piece]:
    while True:
        kind, n_text, n_sound = HEAD.unpack(_exactly(reader, HEAD.size))
        text = _exactly(reader, n_text).decode()
        sound = np.frombuffer(_exactly(reader, n_sound), np.int16)
        if kind == END:
            return
        if kind == FAILURE:
            raise EngineRuntimeError(f"espeak-ng: {text}", stage="tts")
        marks = tuple(Mark(*mark) for mark in json.loads(text))
        yield Piece(sound.astype(np.float32) / np.float32(32768), marks)


def _exactly(reader: BinaryIO, n: int) -> bytes:
    data = reader.read(n)
    if len(data) < n:
        raise _lost()
    return data


def _lost() -> EngineRuntimeError:
    text = "espeak-ng's process died or hung while it spoke"
    return EngineRuntimeError(text, stage="tts", retryable=True)
