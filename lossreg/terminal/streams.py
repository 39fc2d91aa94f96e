"""The standard streams of a command: the work goes on when their readers are gone or their disk is full."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TextIO, cast

# a reader that has seen enough, and a terminal that was closed, are no failures
GONE = (errno.EPIPE, errno.EIO)


class Outlet(io.FileIO):
    """A file descriptor that takes everything; `failure` is the error after which nothing more was passed on."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Pass all of `data` on while that is possible; returns its length either way."""
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        try:
            while rest and self.failure is None:
                rest = rest[self._pass_on(rest) :]
        except OSError as error:
            self.failure = error
        return size

    def close(self) -> None:
        """Stay open: the streams last as long as the process, whoever closes them."""

    def _pass_on(self, data: memoryview) -> int:
        # None is the answer of a full pipe that another process made non-blocking
        while (written := cast("int | None", super().write(data))) is None:
            select.select([], [self], [])
        return written


def guard() -> None:
    """Make standard output and error last as long as the process; characters that they cannot encode are spelled out.

    A descriptor that is closed from the start leads nowhere, so that no other file takes its number. Streams that
    somebody has replaced are left alone.
    """
    _fill()
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and not isinstance(_outlet(stream), Outlet):
            setattr(sys, name, _lasting(stream, descriptor))


@contextmanager
def pointed(descriptor: int, target: int) -> Iterator[int]:
    """Have all that is written to `descriptor`, by whatever code, reach `target`; yields a copy of the original."""
    kept = os.dup(descriptor)
    try:
        os.dup2(target, descriptor)
        yield kept
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


@contextmanager
def aside() -> Iterator[None]:
    """Send to standard error what any code, also of C and of other processes, writes to standard output.

    Either descriptor is as before in the end, if it is closed meanwhile too.
    """
    sys.stdout.flush()
    with pointed(2, 2), pointed(1, 2):
        try:
            yield
        finally:
            _flush_c()


def _flush_c() -> None:
    """Write out what C code has printed and still holds back; without ctypes there is hardly such code."""
    if ctypes := sys.modules.get("ctypes"):
        ctypes.CDLL(None).fflush(None)


class Lent:
    """A stream that does all but close."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Stay open: the stream is used by others."""

    def detach(self) -> Any:
        """The buffer; this stream goes on using it."""
        return self._stream.buffer


def lent(stream: TextIO | None) -> Any:
    """The stream for code that may write to it and may not close it; None is no stream, and stays None."""
    return Lent(stream) if stream is not None else None


def lost() -> str:
    """Say why standard output is incomplete, empty where it is not or where its reader simply left."""
    outlet = _outlet(sys.stdout)
    if isinstance(outlet, Outlet) and outlet.failure and outlet.failure.errno not in GONE:
        return f"standard output cannot be written: {outlet.failure.strerror}"
    return ""


def _fill() -> None:
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest free number is taken, which is this one
            os.open(os.devnull, os.O_RDWR)


def _lasting(stream: TextIO | None, descriptor: int) -> TextIO:
    encoding = stream.encoding if stream else "utf-8"
    lines = descriptor == 2 or os.isatty(descriptor)
    # no buffer between, which would write again what a signal's handler interrupted after it was written
    outlet = cast("BinaryIO", Outlet(descriptor))
    return io.TextIOWrapper(outlet, encoding, errors="backslashreplace", line_buffering=lines)


def _outlet(stream: TextIO | None) -> object:
    return getattr(stream, "buffer", None)
