"""The speed of a study, and the time until it ends: its trials, then the trainings that follow the search."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lossreg.storage.observer import Ahead, Running

Now = Callable[[], float]
# what it costs to set up the first part that follows the search, which traces all losses again, and each further one,
# which has few of them, in units of the search; measured by studies/benchmarks/left.py
FIRST, FURTHER = 1.1, 0.6
# seconds in which model and pictures are written in the end
WRITING = 1.0


class Stretch:
    """The speed of work of so many units, some of them done: counted from the end of the first epoch on.

    In that epoch programs are compiled: `set_up` are the seconds until it ended, less those of an epoch like the
    later ones. Between two values of `done` the speed stays as it is.
    """

    def __init__(self, now: Now, total: int, done: float) -> None:
        self._now, self.total, self.done = now, total, done
        self._begun = self._marked = self._reached = now()
        self._before, self._first = done, 0.0
        self._ended: float | None = None
        self.is_set_up = False

    def reach(self, done: float) -> None:
        """Note how much is done."""
        if done != self.done:
            self.done, self._reached = done, self._until

    def epoch(self) -> None:
        """Note that an epoch has ended."""
        if not self.is_set_up:
            self._marked = self._reached = self._now()
            self._first = self.done - self._before
            self._before, self.is_set_up = self.done, True

    def end(self) -> None:
        """Stop the clock."""
        self._ended = self._until

    @property
    def _until(self) -> float:
        return self._now() if self._ended is None else self._ended

    @property
    def elapsed(self) -> float:
        """The seconds since it began."""
        return self._until - self._begun

    def rate(self) -> float:
        """Return units per second, 0 before there is a speed."""
        seconds = self._reached - self._marked
        return max(0.0, self.done - self._before) / seconds if seconds > 0 else 0.0

    def left(self) -> float | None:
        """Return the seconds until all of it is done; None before there is a speed, and when they have passed."""
        rate, rest = self.rate(), max(0.0, self.total - self.done)
        if not rate or not rest:
            return 0.0 if rate else None
        left = rest / rate - (self._now() - self._reached)
        return left if left > 0 else None

    def set_up(self) -> float:
        """Return the seconds that setting it up took, as far as is known."""
        if not self.is_set_up:
            return self.elapsed
        rate = self.rate()
        return max(0.0, self._marked - self._begun - (self._first / rate if rate else 0.0))


class Pace:
    """The speed of a study, and the time until it ends, which counts epochs of trials that run too.

    total: its trials; done: those that have ended; running: returns those that are trained; reported: speed and seconds
    left of a study that another process runs, as that one says, in place of those measured here.
    """

    def __init__(self, now: Now = time.monotonic) -> None:
        self._now = now
        self.total = self.done = 0
        self.running: Callable[[], Sequence[Running]] = tuple
        self.reported: tuple[str, float | None] | None = None
        self._ahead, self._passed, self._task = Ahead(), 0, ""
        self._search = Stretch(now, 0, 0)
        self._later: list[Stretch] = []

    def begin(self, total: int, done: int) -> None:
        """Start the clock; `done` trials were finished before."""
        self.total, self.done = total, done
        self._search = Stretch(self._now, total, self.trials())

    def look(self, running: Callable[[], Sequence[Running]]) -> None:
        """Count the epochs of the trials that run."""
        self.running = running

    def searched(self) -> None:
        """Note that the last trial has ended."""
        self._search.reach(self.trials())
        self._search.end()

    def expect(self, ahead: Ahead) -> None:
        """Set the trainings that are still to come."""
        self._ahead, self._passed = ahead, len(self._later)

    def epoch(self) -> None:
        """Note that an epoch has ended."""
        if self._later:
            self._later[-1].epoch()
        elif self.running is not tuple:
            self._search.reach(self.trials())
            self._search.epoch()

    def retrained(self, task: str, done: float, total: int) -> None:
        """Note how many trainings of a task that follows the search are done."""
        if task != self._task:
            self._task = task
            (self._later[-1] if self._later else self._search).end()
            self._later.append(Stretch(self._now, total, done))
        self._later[-1].reach(done)

    def trials(self) -> float:
        """Return the trials that have ended, and the parts of others that are trained."""
        return self.done + sum(one.epoch / one.epochs for one in self.running() if one.epochs)

    def rate(self) -> float:
        """Return trials per second, 0 before there is a speed."""
        self._search.reach(self.trials())
        return self._search.rate()

    def left(self) -> float | None:
        """Return the seconds until the study ends, None before there is a speed."""
        if self.reported:
            return self.reported[1]
        rate = self.rate()
        if not rate:
            return self._later[-1].left() if self._later and self._later[-1].is_set_up else None
        training = 1 / rate / self._ahead.per_trial
        parts = self._ahead.parts(self._in_all(training))[len(self._later) - self._passed :]
        at, unit = len(self._later), self._unit()
        later = sum(unit * _share(at + i) + part * training for i, part in enumerate(parts))
        later += WRITING if parts or self._later else 0.0
        current = self._of_current(training, unit * _share(at - 1)) if self._later else self._search.left()
        return None if current is None else current + later

    def _in_all(self, training: float) -> float:
        """Return the seconds per training of the search, setting it up included, as the study itself counts them."""
        return training + self._search.set_up() / max(1.0, self._search.total * self._ahead.per_trial)

    def _unit(self) -> float:
        """Return what setting up the search cost, or would cost by the last part that was set up."""
        known = [(i, one) for i, one in enumerate(self._later) if one.is_set_up]
        return known[-1][1].set_up() / _share(known[-1][0]) if known else self._search.set_up()

    def _of_current(self, training: float, set_up: float) -> float | None:
        """Return the seconds until the present task ends: by its own speed where it has one.

        None where setting it up takes longer than expected, since nothing is known then.
        """
        now = self._later[-1]
        if now.is_set_up:
            return now.left()
        left = set_up - now.elapsed
        return left + max(0.0, now.total - now.done) * training if left > 0 else None

    def speed(self) -> str:
        """Return `2.0 trials/s`; nothing before there is a speed."""
        if self.reported:
            return self.reported[0]
        rate = self.rate()
        if not rate:
            return ""
        return f"{rate:.1f} trials/s" if rate >= 1 else f"{1 / rate:.1f} s per trial"

    def remaining(self) -> str:
        """Return `0:43 left`; nothing before that is known, and at the end."""
        left = self.left()
        return f"{clock(left)} left" if left else ""

    def __str__(self) -> str:
        """Return `2.0 trials/s, 0:43 left`; nothing before there is a speed."""
        return ", ".join(filter(None, [self.speed(), self.remaining()]))


def _share(part: int) -> float:
    return FIRST if part == 0 else FURTHER


def clock(seconds: float) -> str:
    """Return a duration as `1:05` or `2:03:04`."""
    whole = round(seconds)
    minutes, rest = f"{whole // 60 % 60}", f"{whole % 60:02d}"
    return f"{whole // 3600}:{int(minutes):02d}:{rest}" if whole >= 3600 else f"{minutes}:{rest}"
