"""Signals that interrupt: ending a command at once while it starts, and noticing signals while foreign code runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, NoReturn

INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SOON = 0.01  # seconds: a callback has mostly returned by then


@contextmanager
def handled(handlers: Mapping[int, Any]) -> Iterator[None]:
    """Have these handlers of signals, by number, during the block, and the former ones after it.

    Signals that this process ignores, as SIGHUP under `nohup`, stay ignored.
    """
    now = {number: signal.getsignal(number) for number in handlers}
    former = {number: handler for number, handler in now.items() if handler is not signal.SIG_IGN}
    try:
        for number in former:
            signal.signal(number, handlers[number])
        yield
    finally:
        for number, before in former.items():
            signal.signal(number, before)


class Ending:
    """A handler that raises `KeyboardInterrupt`, which no `except Exception` takes for a failure.

    code: the exit code, 128 and the number of the signal, as in shells; 0 without a signal.
    """

    def __init__(self) -> None:
        self.code = 0

    def __call__(self, number: int, frame: FrameType | None) -> NoReturn:
        """Note the signal, and interrupt."""
        self.code = 128 + number
        raise KeyboardInterrupt


@contextmanager
def leaving() -> Iterator[None]:
    """End the process with one line on Ctrl-C in this block, in which nothing has begun that needs cleaning up."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or not _is_main_thread():
        yield
        return
    with handled({signal.SIGINT: _leave}):
        yield


@contextmanager
def raising() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt` in this block, also inside a block of `leaving`."""
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    with handled({signal.SIGINT: signal.default_int_handler}), undropped():
        yield


@contextmanager
def undropped() -> Iterator[None]:
    """Raise a `KeyboardInterrupt` of this block once more, soon, where Python drops it.

    It lets no exception out of a callback of the garbage collector, such as that of JAX, or out of a `__del__`.
    """
    if not _is_main_thread():
        yield
        return
    former, alarm = sys.unraisablehook, signal.getsignal(signal.SIGALRM)

    def raise_again(dropped: Any) -> None:
        if dropped.exc_type is not KeyboardInterrupt:
            former(dropped)
            return
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, SOON)

    def interrupt(number: int, frame: FrameType | None) -> None:
        # on a busy machine the alarm may come before `raise_again` has returned, and Python would drop this one too
        if raise_again.__code__ in _codes(frame):
            signal.setitimer(signal.ITIMER_REAL, SOON)
        else:
            raise KeyboardInterrupt

    sys.unraisablehook = raise_again
    try:
        yield
    finally:
        sys.unraisablehook = former
        if signal.getsignal(signal.SIGALRM) is not alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)


@contextmanager
def noticed() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether a signal with a Python handler has come since the block began.

    The handlers run as before; those that the block installs are removed at its end. Outside the main thread, which
    alone handles signals, the function always returns True.
    """
    if not _is_main_thread():
        yield lambda: True
        return
    came: list[int] = []
    before = {number: handler for number in INTERRUPTING if callable(handler := signal.getsignal(number))}
    with handled({number: _noting(came, handler) for number, handler in before.items()}):
        yield lambda: bool(came)


def _noting(
    came: list[int], handler: Callable[[int, FrameType | None], object]
) -> Callable[[int, FrameType | None], object]:
    def note(number: int, frame: FrameType | None) -> object:
        came.append(number)
        return handler(number, frame)

    return note


def leave_quietly() -> None:
    """Have signals end the process at once from here on; for its exit handlers, after all else is done."""
    for number in INTERRUPTING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    try:
        os.write(2, b"Interrupted.\n")
    finally:
        os._exit(128 + number)


def _codes(frame: FrameType | None) -> Iterator[CodeType]:
    while frame:
        yield frame.f_code
        frame = frame.f_back


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
