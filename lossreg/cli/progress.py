"""What a running study shows: a live display on a terminal, plain lines elsewhere.

Both have the methods of `lossreg.storage.observer.Observer` and write to standard error.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lossreg.reporting import report
from lossreg.storage.observer import Observer
from lossreg.terminal import streams
from lossreg.terminal.masking import masked
from lossreg.terminal.plain_text import printable, printable_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.status import Status

    from lossreg.storage.records import StudyResult, TrialRecord

EVERY_SECONDS = 10.0
MOST_ROWS = 12


def progress(console: Console | None = None) -> Lines | Display:
    """A live display if `console` (standard error by default) is a terminal, else lines."""
    from rich.console import Console

    console = console or Console(stderr=True)
    return Display(console) if console.is_terminal and not console.is_dumb_terminal else Lines()


def is_one_stream() -> bool:
    """Whether standard output and standard error end in the same place, where what was said is not to be repeated."""
    try:
        out, err = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino)


def spinner(console: Console, text: str) -> Status:
    """A spinner beside `text`, of letters where the terminal has no others; it leaves nothing behind."""
    from rich.text import Text

    kind = "dots" if console.encoding.lower().startswith("utf") else "line"
    return console.status(Text(printable_line(text)), spinner=kind)


class Watcher(Observer):
    """What both kinds of progress have: they can be asked to stop, and hand on the result when training ends.

    told: the messages so far; is_concluded: whether somebody else says how the study ended.
    """

    def __init__(self) -> None:
        self.training = self.is_concluded = False
        self.told: set[str] = set()
        self.on_trained: Callable[[StudyResult], Any] = lambda result: None
        self._stop = ""

    def stop(self, text: str) -> None:
        """Have the study end with the epoch, and show `text` at once. May be called by a signal's handler."""
        self._stop = text

    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return bool(self._stop)

    def close(self) -> None:
        """Take down what is shown."""


class Pace:
    """How fast trials end, and when the last one will."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.total = self.done = self.before = 0
        self._began = clock()

    def begin(self, total: int, done: int) -> None:
        """Start the clock; `done` trials were there already."""
        self.total, self.done, self.before = total, done, done
        self._began = self._clock()

    def rate(self) -> float:
        """Trials a second since the start, 0 before the first."""
        spent = self._clock() - self._began
        return (self.done - self.before) / spent if spent > 0 else 0.0

    def __str__(self) -> str:
        rate = self.rate()
        if not rate:
            return "no trial has ended yet"
        speed = f"{rate:.1f} trials/s" if rate >= 1 else f"{1 / rate:.1f} s a trial"
        return f"{speed}, {clock((self.total - self.done) / rate)} left" if self.done < self.total else speed


def clock(seconds: float) -> str:
    """`1:05` or `2:03:04`."""
    whole = round(seconds)
    minutes, rest = f"{whole // 60 % 60}", f"{whole % 60:02d}"
    return f"{whole // 3600}:{int(minutes):02d}:{rest}" if whole >= 3600 else f"{minutes}:{rest}"


def standing(result: StudyResult) -> str:
    """`highest accuracy 0.9731 (focal)`, and how many trials came to no end: `, 9 pruned`."""
    best, top = result.best, f"{result.extreme} {result.metric}"
    tied = f" and {len(result.ties) - 1} more" if result.ties else ""
    said = f"{top} {report.number(best.score)} ({best.candidate}{tied})" if best else "no trial completed yet"
    others = [f"{count} {state}" for state, count in result.counts.items() if count and state != "complete"]
    return ", ".join([said, *others])


@contextmanager
def hushed() -> Iterator[None]:
    """Standard error unheard, that of C++ code included; if the block fails, it is heard after all."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as heard, streams.pointed(2, heard.fileno()) as kept:
        try:
            yield
        except Exception:
            heard.seek(0)
            os.write(kept, masked(heard.read().decode(errors="replace")).encode())
            raise
        finally:
            sys.stderr.flush()


class Lines(Watcher):
    """A line for every tenth of the trials, or after `EVERY_SECONDS`, at the end of an epoch."""

    def __init__(self, write: Callable[[str], Any] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._print = write or (lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201
        self._now, self._pace = now, Pace(now)
        self._said, self._said_at = 0, now()
        self._result: StudyResult | None = None

    def _write(self, text: str) -> None:
        self._print(printable(text))

    def stop(self, text: str) -> None:
        """The same; the stream may be in the middle of a line, which its descriptor does not mind."""
        super().stop(text)
        with contextlib.suppress(OSError):
            os.write(2, f"{text}\n".encode())

    def message(self, text: str) -> None:
        """Something to know."""
        self.told.add(text)
        self._write(text)

    def phase(self, text: str) -> None:
        """Say what is done."""
        self._write(text)

    def warn(self, text: str) -> None:
        """Something to worry about."""
        self._write(f"Warning: {text}")

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Say what is ahead."""
        self.training = True
        self._pace.begin(total, done)
        self._said = done
        self._write(f"{total - done} trials of {total} to run over {len(candidates)} losses, {together} at a time")

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Count a trial."""
        self._pace.done += 1
        self._result = result

    def epoch(self, active: int, epochs_done: int) -> None:
        """Say how far the study is, now and then."""
        step = max(1, self._pace.total // 10)
        new = self._pace.done - self._said
        if self._result and new and (new >= step or self._now() - self._said_at >= EVERY_SECONDS or not active):
            self._said, self._said_at = self._pace.done, self._now()
            self._write(f"{self._pace.done}/{self._pace.total} trials, {standing(self._result)}, {self._pace}")

    def trained(self, result: StudyResult) -> None:
        """Hand the result on."""
        self.training = False
        self.on_trained(result)

    def end(self, result: StudyResult) -> None:
        """Say how it ended, unless somebody else does."""
        if not self.is_concluded:
            self._write(f"done: {report.counts(result)} in {report.took(result)}")


class Display(Watcher):
    """A bar, speed and time left, and the best of each loss so far, redrawn in place; a spinner before and after."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._console, self._pace = console, Pace(now)
        self._live: Live | None = None
        self._status: Status | None = None
        self._result: StudyResult | None = None
        self._active = self._epochs = 0

    def message(self, text: str) -> None:
        """Something to know, above the display."""
        self.told.add(text)
        self._console.print(printable(text), style="dim", markup=False, highlight=False)

    def warn(self, text: str) -> None:
        """Something to worry about, above the display."""
        self._console.print(printable(f"Warning: {text}"), style="yellow", markup=False, highlight=False)

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Put the display up."""
        from rich.live import Live

        self.close()
        self.training = True
        self._pace.begin(total, done)
        self._live = Live(get_renderable=self.render, console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Count a trial."""
        self._pace.done += 1
        self._result = result

    def epoch(self, active: int, epochs_done: int) -> None:
        """Note what is running."""
        self._active, self._epochs = active, epochs_done

    def phase(self, text: str) -> None:
        """Show what is done, with a spinner."""
        self.close()
        self._status = spinner(self._console, text)
        self._status.start()

    def trained(self, result: StudyResult) -> None:
        """Take the display down and hand the result on."""
        self.close()
        self.training = False
        self.on_trained(result)

    def end(self, result: StudyResult) -> None:
        """Take the display down and say how it ended, where standard output does not say it on the same terminal."""
        self.close()
        if not sys.stdout.isatty():
            self.message(f"{report.counts(result)} in {report.took(result)}")

    def close(self) -> None:
        """Take down what is up."""
        for shown in (self._live, self._status):
            if shown is not None:
                shown.stop()
        self._live = self._status = None

    def render(self) -> RenderableType:
        """The display as it should look now."""
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
        """How many trials are running, and how many epochs were trained in all, one after the other."""
        if not self._epochs:
            return "before the first epoch"
        return f"{self._active} running, {self._epochs} epoch{'s' * (self._epochs > 1)} so far"

    def _board(self, result: StudyResult) -> RenderableType:
        from lossreg.reporting import tables

        rows = result.leaderboard()
        shown = [(row.candidate, report.number(row.best.score if row.best else None), str(row.trials)) for row in rows]
        more = [(f"and {len(rows) - MOST_ROWS} more", "", "")] if len(rows) > MOST_ROWS else []
        columns = {"loss": "left", f"{result.extreme} {result.metric}": "right", "trials": "right"}
        return tables.table("", columns, [*shown[:MOST_ROWS], *more])
