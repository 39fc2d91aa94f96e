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

    def start(self, work: Callable[[], Any]) -> None:
        """Begin to call `work`, unless something is called already."""
        if self._stopped is None:
            self._stopped = threading.Event()
            threading.Thread(target=self._run, args=(work, self._stopped), name="lossreg-ticker", daemon=True).start()

    def stop(self) -> None:
        """Call nothing any more."""
        if self._stopped is not None:
            self._stopped.set()
            self._stopped = None

    def _run(self, work: Callable[[], Any], stopped: threading.Event) -> None:
        while not stopped.wait(self._every):
            work()
