"""The progress of a study that Python runs: shown where the caller looks, and ended by Ctrl-C after an epoch."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from lossreg.errors import InputError, represented
from lossreg.reporting import notebook
from lossreg.reporting.progress import Display, Lines
from lossreg.reporting.ticker import Ticker
from lossreg.reporting.watcher import Watcher
from lossreg.runtime import backend
from lossreg.storage.observer import Observer
from lossreg.terminal import signals, status_line, width

KEPT = "Finished trials are kept; the same call{} goes on with them."


@contextmanager
def shown(progress: Any, first: str, *, fresh: bool = False) -> Iterator[Observer]:
    """Yield the observer of the study: a display of its own, or the caller's `Observer`; none for False.

    first: what is shown at once. fresh: whether the same call would start over. In a notebook the display is one
    output, on a terminal a bar, elsewhere lines on standard error. Raises `InputError` for another `progress`.
    """
    if isinstance(progress, Observer):
        yield progress
        return
    if progress is not None and not isinstance(progress, bool):
        what = f"must be True, False or a lossreg.storage.observer.Observer, not {represented(progress)}"
        raise InputError(what, where="progress")
    if progress is False or sys.stderr is None:
        yield Observer()
        return
    with ExitStack() as stack:
        watcher = _watcher(stack)
        stack.callback(watcher.close)
        watcher.phase(first)
        stack.enter_context(_stopped_by_a_key(watcher))
        try:
            yield watcher
        except KeyboardInterrupt:
            watcher.interrupted(f"Interrupted. {KEPT.format(' without fresh=True' if fresh else '')}")
            raise


def import_keras(progress: Observer) -> None:
    """Import Keras, and tell that it takes a while where the progress is shown."""
    if isinstance(progress, Watcher) and "keras" not in sys.modules:
        progress.phase(backend.importing())
    backend.load()


def _watcher(stack: ExitStack) -> Watcher:
    """Return the display for the place where the caller looks."""
    if notebook.is_here():
        return notebook.Notebook()
    if not status_line.is_live():
        return Lines(ticker=Ticker())
    from rich.console import Console

    # a descriptor of its own: the display goes on while the start-up notes of a backend are dropped
    stderr = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="backslashreplace")
    return Display(Console(file=stack.enter_context(stderr), width=width.for_rich(stderr)))


@contextmanager
def _stopped_by_a_key(watcher: Watcher) -> Iterator[None]:
    """Have Ctrl-C end the training after the epoch, and raise `KeyboardInterrupt` before, after and at the second time.

    Handlers of signals that others have set stay; only the main thread can set one.
    """
    if threading.current_thread() is not threading.main_thread() or not _raises(signal.getsignal(signal.SIGINT)):
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if not watcher.training or watcher.stopping():
            watcher.stop("")
            raise KeyboardInterrupt
        watcher.stop("Ctrl-C: finishing the epoch; Ctrl-C again ends at once")

    with signals.handled({signal.SIGINT: handle}), signals.undropped():
        yield


def _raises(handler: Any) -> bool:
    """Tell whether a handler is Python's own, or that of `asyncio.run`, which would wait for the end of the study."""
    is_of_asyncio = getattr(getattr(handler, "func", None), "__module__", "") == "asyncio.runners"
    return handler is signal.default_int_handler or is_of_asyncio
