"""The progress of a running study in a notebook: one output, which is replaced as the study goes on."""

from __future__ import annotations

import html
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting import report
from lossreg.reporting.watcher import Watcher
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.terminal.plain_text import printable_line

# seconds between two states of the output: a front end draws each, and all pass through its connection
EVERY = 0.5
# notes below the output; `result.notes` has all
MOST_NOTES = 4

Bundle = Mapping[str, str]


def is_here() -> bool:
    """Tell whether the caller is a cell of a notebook. Imports nothing."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class Output:
    """An output of the cell that runs, which may be replaced."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, bundle: Bundle) -> None:
        """Show a text by MIME type in place of the former one."""
        if self._handle is None:
            from IPython.display import display

            self._handle = display(dict(bundle), raw=True, display_id=True)
        else:
            self._handle.update(dict(bundle), raw=True)


class Notebook(Watcher):
    """A bar, the top score and the time left; at the end a line on how the study ended, and the last notes."""

    def __init__(self, show: Callable[[Bundle], Any] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(now)
        self._show = show or Output()
        self._doing, self._notes = "", list[str]()
        self._shown_at = -math.inf

    def message(self, text: str) -> None:
        """Keep a note for the output."""
        self.messages.add(text)
        self._notes.append(text)

    def warn(self, text: str) -> None:
        """Keep a warning for the output: another thread, whose output may go to another cell, shows nothing."""
        self.messages.add(text)
        self._notes.append(f"Warning: {text}")

    def phase(self, text: str) -> None:
        """Show what is being done."""
        super().phase(text)
        self._doing = text
        self._draw()

    def retrained(self, task: str, done: float, total: int) -> None:
        """Show how many trainings of a task are done, at most every `EVERY` seconds."""
        super().retrained(task, done, total)
        self._doing = self.doing()
        self._refresh()

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Show an empty bar."""
        super().begin(total, done, candidates, together)
        losses = count_of(len(candidates), "loss", "losses")
        self._doing = f"{count_of(total, 'trial')} over {losses}, {together} at a time"
        self._draw()

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Count a trial."""
        super().trial(record, result)
        self._refresh()

    def epoch(self, active: int, epochs_done: int) -> None:
        """Show how far the study is, at most every `EVERY` seconds."""
        super().epoch(active, epochs_done)
        self._refresh()

    def end(self, result: StudyResult) -> None:
        """Show how the study ended."""
        self._doing = f"study {result.study}: {report.ended(result)}"

    def interrupted(self, text: str) -> None:
        """Show how the study goes on."""
        self._doing = text
        self.close()

    def close(self) -> None:
        """Show the last state, without the bar."""
        self.training = False
        self._draw()

    def _refresh(self) -> None:
        if self._stop or self._now() - self._shown_at >= EVERY:
            self._draw()

    def _draw(self) -> None:
        self._shown_at = self._now()
        self._show({"text/plain": "\n".join(self._lines()), "text/html": self._page()})

    def _lines(self) -> list[str]:
        lines = [self._doing, *([self._stop] if self._stop and self.training else []), *self._last_notes()]
        if self.training:
            lines[0] = self._reached(self.pace.running())
        return [printable_line(line) for line in lines if line]

    def _last_notes(self) -> list[str]:
        hidden = max(0, len(self._notes) - MOST_NOTES)
        more = [f"and {count_of(hidden, 'note')} before: result.notes"] if hidden else []
        return [*more, *self._notes[hidden:]]

    def _page(self) -> str:
        """Return the lines as HTML in the colours of the notebook, with a bar before the first while trials run."""
        first, *rest = [html.escape(line) for line in self._lines()] or [""]
        total, done = max(self.pace.total, 1), self.pace.done
        bar = f'<progress max="{total}" value="{done}"></progress> ' if self.training else ""
        small = "".join(f'<div style="opacity: 0.7; font-size: smaller">{line}</div>' for line in rest)
        return f"<div>{bar}{first}</div>{small}"
