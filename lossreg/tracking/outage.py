"""The `Outage` of a store: how often it failed in a row, why, and when it is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable

# seconds before the first further try, doubled after each, up to the longest
FIRST, LONGEST = 1.0, 60.0
# failures in a row that make an outage: one alone may be a server that restarts
TOLD_AFTER = 2


class Outage:
    """The failures of a store since it last worked; `reason` is that of the last one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reason = ""
        self.failures = 0
        self._next = 0.0

    def add(self, reason: str) -> None:
        """Note a failure."""
        self.reason, self._next = reason, self._clock() + self.pause
        self.failures += 1

    def end(self) -> None:
        """Note that the store works."""
        self.reason, self.failures = "", 0

    @property
    def pause(self) -> float:
        """Seconds to wait after a failure that follows those so far."""
        return min(FIRST * 2.0**self.failures, LONGEST)

    @property
    def is_certain(self) -> bool:
        """True once it was tried again in vain."""
        return self.failures >= TOLD_AFTER

    @property
    def is_due(self) -> bool:
        """True if the store works as far as is known, or is to be tried again now."""
        return not self.failures or self._clock() >= self._next

    @property
    def wait(self) -> float | None:
        """Seconds until the next try, None while there is no outage."""
        return max(0.0, self._next - self._clock()) if self.failures else None
