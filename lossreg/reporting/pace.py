"""The speed of a study, and the time until its last trial ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lossreg.storage.observer import Running

Now = Callable[[], float]


class Pace:
    """The speed of a study, and the time until its last trial ends, which counts epochs of those that run too.

    total: its trials; done: those that have ended; running: returns those that are trained.
    """

    def __init__(self, now: Now = time.monotonic) -> None:
        self._now = now
        self.total = self.done = 0
        self.running: Callable[[], Sequence[Running]] = tuple
        self._since, self._before, self._is_first = now(), 0.0, False

    def begin(self, total: int, done: int) -> None:
        """Start the clock; `done` trials were finished before."""
        self.total, self.done = total, done
        self._mark()

    def look(self, running: Callable[[], Sequence[Running]]) -> None:
        """Count the epochs of the trials that run, from the end of the first one on: programs are compiled in it."""
        self._is_first = self._is_first or self.running is tuple
        self.running = running

    def epoch(self) -> None:
        """Note that an epoch has ended."""
        if self._is_first:
            self._is_first = False
            self._mark()

    def _mark(self) -> None:
        self._since, self._before = self._now(), self.trials()

    def rate(self) -> float:
        """Return trials per second, 0 before there is a speed."""
        elapsed = self._now() - self._since
        return max(0.0, self.trials() - self._before) / elapsed if elapsed > 0 else 0.0

    def trials(self) -> float:
        """Return the trials that have ended, and the parts of others that are trained."""
        return self.done + sum(one.epoch / one.epochs for one in self.running() if one.epochs)

    def __str__(self) -> str:
        """Return `2.0 trials/s, 0:43 left`; nothing before there is a speed."""
        rate = self.rate()
        if not rate:
            return ""
        speed = f"{rate:.1f} trials/s" if rate >= 1 else f"{1 / rate:.1f} s per trial"
        left = max(0.0, self.total - self.trials())
        return f"{speed}, {clock(left / rate)} left" if self.done < self.total else speed


def clock(seconds: float) -> str:
    """Return a duration as `1:05` or `2:03:04`."""
    whole = round(seconds)
    minutes, rest = f"{whole // 60 % 60}", f"{whole % 60:02d}"
    return f"{whole // 3600}:{int(minutes):02d}:{rest}" if whole >= 3600 else f"{minutes}:{rest}"
