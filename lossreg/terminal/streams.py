"""The standard streams of a command, which works on when their reader has left or the disk is full."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TextIO, cast

from lossreg.terminal.masking import masked

# of a reader that left and of a closed terminal: no failures
GONE = (errno.EPIPE, errno.EIO)


class Outlet(io.FileIO):
    """A file descriptor that accepts all writes; after the first error, `failure`, it drops them."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data` if possible; return its length in any case."""
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        try:
            while rest and self.failure is None:
                rest = rest[self._pass_on(rest) :]
        except OSError as error:
            self.failure = error
        return size

    def close(self) -> None:
        """Do nothing: the streams stay open as long as the process, whoever closes them."""

    def _pass_on(self, data: memoryview) -> int:
        # `write` returns None for a full pipe that another process made non-blocking
        while (written := cast("int | None", super().write(data))) is None:
            select.select([], [self], [])
        return written


def guard() -> None:
    """Keep standard output and error usable as long as the process; characters that they cannot encode are escaped.

    A descriptor that is closed from the start is opened on the null device, so that no other file gets its number.
    Replaced streams stay as they are.
    """
    _fill()
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and not isinstance(_outlet(stream), Outlet):
            setattr(sys, name, _lasting(stream, descriptor))


@contextmanager
def pointed(descriptor: int, target: int) -> Iterator[int]:
    """Redirect `descriptor` to `target` for any code; yields a copy of the original."""
    original = os.dup(descriptor)
    try:
        os.dup2(target, descriptor)
        yield original
    finally:
        os.dup2(original, descriptor)
        os.close(original)


@contextmanager
def silenced() -> Iterator[None]:
    """Drop what the block writes to standard error, C++ code included; if the block fails, write it after all."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as output, pointed(2, output.fileno()) as original:
        try:
            yield
        except Exception:
            output.seek(0)
            os.write(original, masked(output.read().decode(errors="replace")).encode())
            raise
        finally:
            sys.stderr.flush()


@contextmanager
def aside() -> Iterator[None]:
    """Redirect standard output to standard error, for C code and child processes too.

    Both descriptors are restored at the end, even if the block closes them.
    """
    sys.stdout.flush()
    with pointed(2, 2), pointed(1, 2):
        try:
            yield
        finally:
            _flush_c()


def _flush_c() -> None:
    """Flush the buffers of C code, which is hardly there if ctypes has not been imported."""
    if ctypes := sys.modules.get("ctypes"):
        ctypes.CDLL(None).fflush(None)


class Lent:
    """A stream that cannot be closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Do nothing: others use the stream."""

    def detach(self) -> Any:
        """Return the buffer; this stream goes on using it."""
        return self._stream.buffer


def lent(stream: TextIO | None) -> Any:
    """Return a stream that code may write to but not close; None stays None."""
    return Lent(stream) if stream is not None else None


def lost() -> str:
    """Return why standard output is incomplete; nothing if it is complete or its reader left."""
    outlet = _outlet(sys.stdout)
    if isinstance(outlet, Outlet) and outlet.failure and outlet.failure.errno not in GONE:
        return f"standard output cannot be written: {outlet.failure.strerror}"
    return ""


def _fill() -> None:
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # `open` takes the lowest free number, which is this one
            os.open(os.devnull, os.O_RDWR)


def _lasting(stream: TextIO | None, descriptor: int) -> TextIO:
    encoding = stream.encoding if stream else "utf-8"
    lines = descriptor == 2 or os.isatty(descriptor)
    # unbuffered: a buffer would write again what a signal's handler interrupted after it was written
    outlet = cast("BinaryIO", Outlet(descriptor))
    return io.TextIOWrapper(outlet, encoding, errors="backslashreplace", line_buffering=lines)


def _outlet(stream: TextIO | None) -> object:
    return getattr(stream, "buffer", None)
