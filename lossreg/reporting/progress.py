"""The progress of a running study: a live display on a terminal, plain lines elsewhere; notebooks: `notebook`.

All have the methods of `lossreg.storage.observer.Observer` and write to standard error.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lossreg.errors import count_of
from lossreg.reporting import constraints, report, values
from lossreg.reporting.ticker import Ticker
from lossreg.reporting.watcher import Watcher, in_training, where
from lossreg.terminal import width
from lossreg.terminal.keys import Keys
from lossreg.terminal.plain_text import printable, printable_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.status import Status
    from rich.text import Text

    from lossreg.storage.study_result import Standing, StudyResult

EVERY_SECONDS = 5.0
MOST_ROWS = 12
# columns: trials of a loss that have ended, and those that run, and its share of both
SHARES = ("trials", "running", "share")
# those that a narrow terminal has no room for, the first of them first
SPARE = ("running", "share", "trials")
# columns of the bar
BAR = 30
REST = 20


def progress(console: Console | None = None) -> Lines | Display:
    """Return a live display if `console` (standard error by default) is a terminal, else plain lines."""
    from rich.console import Console

    console = console or Console(stderr=True, width=width.for_rich(sys.stderr))
    is_live = console.is_terminal and not console.is_dumb_terminal
    return Display(console, keys=Keys()) if is_live else Lines(ticker=Ticker())


def spinner(console: Console, text: str) -> Status:
    """Return a spinner beside `text`, in ASCII where the terminal has nothing else; it leaves nothing behind."""
    from rich.text import Text

    return console.status(Text(printable_line(text)), spinner=_kind(console))


def _kind(console: Console) -> str:
    return "dots" if console.encoding.lower().startswith("utf") else "line"


class Lines(Watcher):
    """A line after a tenth of the trials, at the beginning of all other work, and every `EVERY_SECONDS`.

    ticker: has lines written also while nothing is told of the study; None for no such lines.
    """

    def __init__(
        self, write: Callable[[str], Any] | None = None, now: Callable[[], float] = time.monotonic, *,
        ticker: Ticker | None = None,
    ) -> None:  # fmt: skip
        super().__init__(now)
        self._print = write or (lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201
        self._ticker, self._writing = ticker, threading.RLock()
        self._counted, self._written, self._written_at = 0, "", now()

    def _write(self, text: str) -> None:
        with self._writing:
            self._written_at = self._now()
            self._print(printable(text))

    def _begin_work(self, text: str) -> None:
        """Write what is being done, and go on to say so until it has ended."""
        self._write(text)
        if self._ticker:
            self._ticker.start(self.meanwhile)

    def stop(self, text: str) -> None:
        """Ask the study to end after the epoch; `text` is written to the descriptor, as the stream may be in use."""
        super().stop(text)
        if not text:
            return
        with contextlib.suppress(OSError):
            os.write(2, f"{text}\n".encode())

    def message(self, text: str) -> None:
        """Write a note."""
        self.messages.add(text)
        self._write(text)

    def phase(self, text: str) -> None:
        """Write what is being done."""
        super().phase(text)
        self._begin_work(text)

    def warn(self, text: str) -> None:
        """Write a warning."""
        self.messages.add(text)
        self._write(f"Warning: {text}")

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Write how many trials are to run."""
        super().begin(total, done, candidates, together)
        self._counted = done
        losses = count_of(len(candidates), "loss", "losses")
        pace = f", {together} at a time" if together else ""
        self._begin_work(f"{count_of(total - done, 'trial')} of {total:,} to run over {losses}{pace}")

    def epoch(self, active: int, epochs_done: int) -> None:
        """Write how far the study is, at most ten times and every `EVERY_SECONDS`."""
        super().epoch(active, epochs_done)
        new = self.pace.done - self._counted
        if self.training and (new >= max(1, self.pace.total // 10) or (new and not active)):
            self._tell()
        self.meanwhile()

    def retrained(self, task: str, done: float, total: int) -> None:
        """Write how far a task is: at its beginning, at its end, and every `EVERY_SECONDS`."""
        is_new = task != self._task.text
        super().retrained(task, done, total)
        if is_new:
            self._begin_work(self.doing())
        elif done == total:
            self._tell()
        self.meanwhile()

    def meanwhile(self) -> None:
        """Write how far the study is, every `EVERY_SECONDS`, whatever it does."""
        with self._writing:
            if self._now() - self._written_at >= EVERY_SECONDS:
                self._tell()

    def searched(self) -> None:
        """Write how far the study came."""
        if self.training and self.pace.done > self._counted:
            self._tell()
        super().searched()
        super().phase("")

    def close(self) -> None:
        """Write nothing more by itself."""
        super().phase("")
        if self._ticker:
            self._ticker.stop()

    def _tell(self) -> None:
        """Write how far the study is; where trials have ended since the last line, not how far the others are."""
        text = self.doing(with_running=self.pace.done == self._counted)
        self._counted = self.pace.done
        if text and text != self._written:
            self._written = text
            self._write(text)

    def end(self, result: StudyResult) -> None:
        """Write how the study ended, unless the caller does."""
        self.close()
        if not self.is_concluded:
            self._write(f"done: {report.ended(result)}")


class Display(Watcher):
    """A bar, the time left, and the top score and share of each loss, redrawn in place.

    After the search it is a bar of trainings, and else a spinner.

    keys: those that are pressed while trials run, of which q ends the study after the epoch; None for no such key.
    """

    def __init__(
        self, console: Console, now: Callable[[], float] = time.monotonic, *, keys: Keys | None = None
    ) -> None:
        super().__init__(now)
        self._console, self._keys = console, keys
        self._live: Live | None = None
        self._spinner: Spinner | None = None
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
        """Show the trials, and read keys."""
        self.close()
        super().begin(total, done, candidates, together)
        self._show()

    def _show(self, *, is_new: bool = True) -> None:
        """Have the display on the terminal, and keys read where one of them does something."""
        from rich.live import Live

        if self._live is None:
            self._live = Live(get_renderable=self.render, console=self._console, refresh_per_second=8, transient=True)
            self._live.start(refresh=True)
        elif is_new:
            self._live.refresh()
        if self._keys and (self.training or self.is_onlooker):
            self._keys.start()

    def stopping(self) -> bool:
        """Tell whether the study shall end: whether `stop` was called, or q pressed."""
        is_asked = self.training or self.is_onlooker
        if self._keys and is_asked and not self._stop and "q" in self._keys.pressed().lower():
            self.stop(self.stopped_by_q)
        return super().stopping()

    def phase(self, text: str) -> None:
        """Show what is being done, with a spinner."""
        super().phase(text)
        self._show()

    def retrained(self, task: str, done: float, total: int) -> None:
        """Show how many trainings of a task are done, with a bar."""
        is_new = task != self._task.text
        super().retrained(task, done, total)
        self._show(is_new=is_new)

    def searched(self) -> None:
        """Show no trials any more."""
        super().searched()
        self.close()

    def end(self, result: StudyResult) -> None:
        """Remove the display; print how the study ended unless the caller does on the same terminal."""
        self.close()
        if not (self.is_concluded and sys.stdout.isatty()):
            self.message(report.ended(result))

    def close(self) -> None:
        """Remove the display and the spinner, and have the terminal as it was."""
        if self._keys:
            self._keys.stop()
        shown, self._live, self._spinner = self._live, None, None
        if shown is not None:
            shown.stop()

    def render(self) -> RenderableType:
        """Return the display in its present state."""
        from rich.console import Group
        from rich.text import Text

        is_search = self.training or not self._task.text
        line = self._trials() if is_search else self._work()
        self.stopping()
        last = [Text(self._stop, style="yellow")] if self._stop else self._hint()
        board = [self._board(self._result)] if self._result and is_search else []
        return Group(*board, line, *last)

    def _trials(self) -> RenderableType:
        count = f"{self.pace.done:,}/{self.pace.total:,} trials"
        pace = str(self.pace) or self._so_far()
        return self._bar(self.pace.trials(), self.pace.total, count, pace, self._running)

    def _work(self) -> RenderableType:
        """Return the work beside a bar where its trainings are known, else beside a spinner."""
        from rich.spinner import Spinner
        from rich.text import Text

        if self._task.total:
            left = self.pace.remaining() or self._so_far()
            return self._bar(self._task.done, self._task.total, self._progress(), left)
        self._spinner = self._spinner or Spinner(_kind(self._console))
        self._spinner.update(text=Text(printable_line(self.doing())))
        return self._spinner

    def _bar(self, done: float, total: int, *parts: str) -> RenderableType:
        """Return a bar beside its text, or above it where they have no room in a line.

        On a terminal where the bar takes more than half of the line it is the text alone.
        """
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        text = Text(printable_line(", ".join(filter(None, parts))))
        if self._console.width < 2 * BAR:
            return text
        bar, grid = ProgressBar(total=max(total, 1), completed=done, width=BAR), Table.grid(padding=(0, 1))
        is_wide = BAR + 1 + text.cell_len <= self._console.width
        for row in [(bar, text)] if is_wide else [(bar,), (text,)]:
            grid.add_row(*row)
        return grid

    def _hint(self) -> list[Text]:
        """Return which key ends the study, where one does."""
        from rich.text import Text

        return [Text(self.hint, style="dim")] if self._keys and self._keys.are_read else []

    @property
    def _running(self) -> str:
        """Return how many trials are running, and how far they are."""
        running = self.pace.running()
        if trained := len(in_training(running)):
            return ", ".join(filter(None, [f"{trained} running", where(running)]))
        return ""

    def _board(self, result: StudyResult) -> RenderableType:
        from lossreg.reporting import tables

        rows, share = self._standings(result), self._shares(result)
        kept = constraints.columns(result, [row.best for row in rows])
        shown = [
            (
                row.candidate, values.number(row.best.score if row.best else None),
                *(column[i] for column in kept), *share(row.candidate),
            )
            for i, row in enumerate(rows)
        ]  # fmt: skip
        numbers = [f"{result.extreme} {result.metric}", *constraints.headings(result), *SHARES]
        more = [(f"and {len(rows) - MOST_ROWS} more", *[""] * len(numbers))] if len(rows) > MOST_ROWS else []
        columns = {"loss": "left", **dict.fromkeys(numbers, "right")}
        grid = tables.table("", columns, [*shown[:MOST_ROWS], *more], whole=("loss",))
        grid.spare = SPARE
        return grid

    def _shares(self, result: StudyResult) -> Callable[[str], tuple[str, str, str]]:
        """Return a function of a loss: its trials that have ended, those that run, and its share of all."""
        ended = Counter(trial.candidate for trial in result.trials)
        running = Counter(one.candidate for one in in_training(self.pace.running()))
        begun = max(1, ended.total() + running.total())

        def of(loss: str) -> tuple[str, str, str]:
            return str(ended[loss]), str(running[loss]), f"{(ended[loss] + running[loss]) / begun:.0%}"

        return of

    def _standings(self, result: StudyResult) -> list[Standing]:
        """Return the leaderboard, sorted again after `REST` times as long as that takes."""
        begin = self._now()
        if begin >= self._stale_at:
            self._rows = result.ranking()
            end = self._now()
            self._stale_at = end + REST * (end - begin)
        return self._rows
