"""The progress of a running study: a live display on a terminal, plain lines elsewhere; notebooks: `notebook`.

All have the methods of `lossreg.storage.observer.Observer` and write to standard error.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lossreg.errors import count_of
from lossreg.reporting import constraints, report, values
from lossreg.storage.observer import Observer
from lossreg.terminal.plain_text import printable, printable_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.status import Status

    from lossreg.storage.records import Standing, StudyResult, TrialRecord

EVERY_SECONDS = 10.0
MOST_ROWS = 12
REST = 20


def progress(console: Console | None = None) -> Lines | Display:
    """Return a live display if `console` (standard error by default) is a terminal, else plain lines."""
    from rich.console import Console

    console = console or Console(stderr=True)
    return Display(console) if console.is_terminal and not console.is_dumb_terminal else Lines()


def spinner(console: Console, text: str) -> Status:
    """Return a spinner beside `text`, in ASCII where the terminal has nothing else; it leaves nothing behind."""
    from rich.text import Text

    kind = "dots" if console.encoding.lower().startswith("utf") else "line"
    return console.status(Text(printable_line(text)), spinner=kind)


class Watcher(Observer):
    """The common part of all displays: a request to stop, and the result when training ends.

    training: whether trials are trained now; messages: those shown so far; is_concluded: whether the caller
    prints how the study ended; on_trained: called with the result when its leaderboard is final.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._pace = now, Pace(now)
        self._result: StudyResult | None = None
        self.training = self.is_concluded = False
        self.messages: set[str] = set()
        self.on_trained: Callable[[StudyResult], Any] = lambda result: None
        self._stop = ""

    def stop(self, text: str) -> None:
        """Ask the study to end after the epoch, and show `text` at once. May be called by a signal's handler."""
        self._stop = text

    def stopping(self) -> bool:
        """Tell whether `stop` was called."""
        return bool(self._stop)

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Count a trial."""
        self._pace.done += 1
        self._result = result

    def elsewhere(self, record: TrialRecord, result: StudyResult) -> None:
        """Count a trial of another worker."""
        self.trial(record, result)

    def searched(self) -> None:
        """Show no more how many trials have ended."""
        self.training = False

    def trained(self, result: StudyResult) -> None:
        """Remove what is shown and pass the result to `on_trained`."""
        self.searched()
        self.close()
        self.on_trained(result)

    def interrupted(self, text: str) -> None:
        """Remove what is shown, and leave a line on how the study goes on."""
        self.close()
        self.message(text)

    def close(self) -> None:
        """Remove what is shown."""


class Pace:
    """The speed of a study, and the time until its last trial ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.total = self.done = self.before = 0
        self._began = clock()

    def begin(self, total: int, done: int) -> None:
        """Start the clock; `done` trials were finished before."""
        self.total, self.done, self.before = total, done, done
        self._began = self._clock()

    def rate(self) -> float:
        """Return trials per second since the start, 0 before the first."""
        elapsed = self._clock() - self._began
        return (self.done - self.before) / elapsed if elapsed > 0 else 0.0

    def __str__(self) -> str:
        rate = self.rate()
        if not rate:
            return "no trial has ended yet"
        speed = f"{rate:.1f} trials/s" if rate >= 1 else f"{1 / rate:.1f} s per trial"
        return f"{speed}, {clock((self.total - self.done) / rate)} left" if self.done < self.total else speed


def clock(seconds: float) -> str:
    """Return a duration as `1:05` or `2:03:04`."""
    whole = round(seconds)
    minutes, rest = f"{whole // 60 % 60}", f"{whole % 60:02d}"
    return f"{whole // 3600}:{int(minutes):02d}:{rest}" if whole >= 3600 else f"{minutes}:{rest}"


def standing(result: StudyResult) -> str:
    """Return `highest accuracy 0.9731 (focal), 9 pruned`: the top score and the trials that did not complete."""
    best, top = result.best, f"{'confirmed' if result.confirmed(result.best) else result.extreme} {result.metric}"
    tied = f" and {len(result.ties) - 1} more" if result.ties else ""
    score = values.number(result.compared_score(best))
    violates = "" if best is None or result.keeps(best) else ", which violates a constraint"
    leader = f"{top} {score} ({best.candidate}{tied}{violates})" if best else "no trial completed yet"
    others = [f"{count} {state}" for state, count in result.counts.items() if count and state != "complete"]
    return ", ".join([leader, *others])


class Lines(Watcher):
    """A line for every tenth of the trials, or after `EVERY_SECONDS`, at the end of an epoch."""

    def __init__(self, write: Callable[[str], Any] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(now)
        self._print = write or (lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201
        self._written, self._written_at = 0, now()

    def _write(self, text: str) -> None:
        self._print(printable(text))

    def stop(self, text: str) -> None:
        """Ask the study to end after the epoch; `text` is written to the descriptor, as the stream may be in use."""
        super().stop(text)
        with contextlib.suppress(OSError):
            os.write(2, f"{text}\n".encode())

    def message(self, text: str) -> None:
        """Write a note."""
        self.messages.add(text)
        self._write(text)

    def phase(self, text: str) -> None:
        """Write what is being done."""
        self._write(text)

    def warn(self, text: str) -> None:
        """Write a warning."""
        self.messages.add(text)
        self._write(f"Warning: {text}")

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Write how many trials are to run."""
        self.training = True
        self._pace.begin(total, done)
        self._written = done
        losses = count_of(len(candidates), "loss", "losses")
        self._write(f"{count_of(total - done, 'trial')} of {total:,} to run over {losses}, {together} at a time")

    def epoch(self, active: int, epochs_done: int) -> None:
        """Write how far the study is, at most ten times and every `EVERY_SECONDS`."""
        new = self._pace.done - self._written
        if new >= max(1, self._pace.total // 10) or self._now() - self._written_at >= EVERY_SECONDS or not active:
            self._count()

    def searched(self) -> None:
        """Write how far the study came."""
        self._count()
        super().searched()

    def _count(self) -> None:
        # epochs of the verdict are no epochs of trials
        if self._result and self.training and self._pace.done > self._written:
            self._written, self._written_at = self._pace.done, self._now()
            self._write(f"{self._pace.done}/{self._pace.total} trials, {standing(self._result)}, {self._pace}")

    def end(self, result: StudyResult) -> None:
        """Write how the study ended, unless the caller does."""
        if not self.is_concluded:
            self._write(f"done: {report.ended(result)}")


class Display(Watcher):
    """A bar, speed, time left and the top score of each loss, redrawn in place; a spinner before and after training."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(now)
        self._console = console
        self._live: Live | None = None
        self._status: Status | None = None
        self._active = self._epochs = 0
        self._rows: list[Standing] = []
        self._stale_at = -math.inf

    def message(self, text: str) -> None:
        """Print a note above the display."""
        self.messages.add(text)
        self._console.print(printable(text), style="dim", markup=False, highlight=False)

    def warn(self, text: str) -> None:
        """Print a warning above the display."""
        self.messages.add(text)
        self._console.print(printable(f"Warning: {text}"), style="yellow", markup=False, highlight=False)

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Start the display."""
        from rich.live import Live

        self.close()
        self.training = True
        self._pace.begin(total, done)
        self._live = Live(get_renderable=self.render, console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def epoch(self, active: int, epochs_done: int) -> None:
        """Note what is running."""
        self._active, self._epochs = active, epochs_done

    def phase(self, text: str) -> None:
        """Show what is being done, with a spinner."""
        self.close()
        self._status = spinner(self._console, text)
        self._status.start()

    def end(self, result: StudyResult) -> None:
        """Remove the display; print how the study ended unless the caller does on the same terminal."""
        self.close()
        if not (self.is_concluded and sys.stdout.isatty()):
            self.message(report.ended(result))

    def close(self) -> None:
        """Remove the display and the spinner."""
        for shown in (self._live, self._status):
            if shown is not None:
                shown.stop()
        self._live = self._status = None

    def render(self) -> RenderableType:
        """Return the display in its present state."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 1))
        count = f"{self._pace.done}/{self._pace.total} trials"
        bar = ProgressBar(total=max(self._pace.total, 1), completed=self._pace.done, width=30)
        line.add_row(bar, count, f"{self._pace}, {self._running}")
        stop = [Text(self._stop, style="yellow")] if self._stop else []
        return Group(*([self._board(self._result)] if self._result else []), line, *stop)

    @property
    def _running(self) -> str:
        """Return how many trials are running, and how many epochs the study has trained."""
        if not self._epochs:
            return "before the first epoch"
        return f"{self._active} running, {count_of(self._epochs, 'epoch')} so far"

    def _board(self, result: StudyResult) -> RenderableType:
        from lossreg.reporting import tables

        rows = self._standings(result)
        shown = [
            (
                row.candidate, values.number(row.best.score if row.best else None),
                *constraints.cells(result, row.best), str(row.trials),
            )
            for row in rows
        ]  # fmt: skip
        numbers = [f"{result.extreme} {result.metric}", *constraints.headings(result), "trials"]
        more = [(f"and {len(rows) - MOST_ROWS} more", *[""] * len(numbers))] if len(rows) > MOST_ROWS else []
        columns = {"loss": "left", **dict.fromkeys(numbers, "right")}
        return tables.table("", columns, [*shown[:MOST_ROWS], *more])

    def _standings(self, result: StudyResult) -> list[Standing]:
        """Return the leaderboard, sorted again after `REST` times as long as that takes."""
        begin = self._now()
        if begin >= self._stale_at:
            self._rows = result.ranking()
            end = self._now()
            self._stale_at = end + REST * (end - begin)
        return self._rows
