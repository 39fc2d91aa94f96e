"""`Ticker`: calls a function every second, whatever the main thread does meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

EVERY = 1.0


class Ticker:
    """Calls a function every so many seconds between `start` and `stop`, from a thread of its own."""

    def __init__(self, every: float = EVERY) -> None:
        self._every = every
        self._stopped: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], Any]) -> None:
        """Begin to call `work`, unless something is called already."""
        if self._stopped is None:
            self._stopped = threading.Event()
            arguments = work, self._stopped
            self._thread = threading.Thread(target=self._run, args=arguments, name="lossreg-ticker", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Call nothing any more; a call that goes on is waited for, unless it is the one that stops."""
        if self._stopped is not None:
            self._stopped.set()
            self._stopped = None
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None

    def _run(self, work: Callable[[], Any], stopped: threading.Event) -> None:
        while not stopped.wait(self._every):
            work()
