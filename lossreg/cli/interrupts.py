"""Ctrl-C, SIGTERM and SIGHUP while a study runs: the first signal ends it after the epoch, the second at once."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, NoReturn

from lossreg.cli.shell import complain
from lossreg.errors import UnansweredError
from lossreg.reporting.last_runs import key_of
from lossreg.reporting.watcher import Watcher
from lossreg.runtime import safety
from lossreg.terminal import keys, signals
from lossreg.terminal.masking import masked
from lossreg.terminal.signals import INTERRUPTING

if TYPE_CHECKING:
    from lossreg.storage.study_result import StudyResult

SHOW_CURSOR = b"\x1b[?25h"


def resuming(command: str, study: Path, overrides: Sequence[str], options: Sequence[str] = ()) -> str:
    """Return the command that goes on with a study, for a shell; secrets in its overrides are masked."""
    given = [part for override in overrides for part in ("--set", masked(override))]
    return shlex.join(["lossreg", command, str(study), *safety.options(), *options, *given])


def resuming_more(study: Path, overrides: Sequence[str], total: Sequence[str]) -> tuple[str, str]:
    """Return the command that goes on with a study, and, with trials to add, the one until the study keeps them."""
    if not total:
        return resuming("tune", study, overrides), ""
    others = [one for one in overrides if key_of(one) != key_of(total[0])]
    return resuming("tune", study, others), resuming("tune", study, [*others, *total])


class Interrupts:
    """Handlers of signals that interrupt during a block; those that this process ignores stay ignored.

    While trials are trained the first signal asks the study to end after the epoch; before and after training it
    raises `KeyboardInterrupt`; should foreign code drop that, the study ends at the next epoch. The second signal ends
    the process: the study's journal is complete at any moment.
    code: the exit code, 128 and the number of the signal, as in shells; 0 without a signal. cut_off: whether
    `KeyboardInterrupt` was raised, in the middle of any work. resume: the command that continues the study; adding: the
    one that does so until the study keeps the trials that are added to it.
    """

    def __init__(self, watcher: Watcher, resume: str, adding: str = "") -> None:
        self._watcher, self._resume, self._adding = watcher, resume, adding
        self._stack = ExitStack()
        self.code = 0
        self.cut_off = False

    @property
    def resume(self) -> str:
        """The command that continues the study."""
        return self._adding if self._adding and not self._watcher.pace.total else self._resume

    def __enter__(self) -> Interrupts:
        heeded = [number for number in INTERRUPTING if signal.getsignal(number) is not signal.SIG_IGN]
        self._stack.enter_context(signals.handled(dict.fromkeys(heeded, self._handle)))
        self._stack.enter_context(signals.undropped())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.code or self._watcher.stopping():
            self._leave(128 + number)
        self.code = 128 + number
        if not self._watcher.training:
            self.cut_off = True
            self._watcher.stop("")
            raise KeyboardInterrupt
        is_key = number == signal.SIGINT
        name, again = ("Ctrl-C", "Ctrl-C again") if is_key else (signal.Signals(number).name, "the signal again")
        self._watcher.stop(f"{name}: finishing the epoch; {again} ends at once")

    def _leave(self, code: int) -> NoReturn:
        keys.restore()
        cursor = SHOW_CURSOR if sys.stderr.isatty() else b""
        message = f"\nEnded at once. Finished trials are kept; go on with: {self.resume}\n"
        try:
            os.write(2, cursor + message.encode(errors="backslashreplace"))
        finally:
            os._exit(code)


def interruptible(work: Callable[[], StudyResult], resume: str, watcher: Watcher, adding: str = "") -> StudyResult:
    """Return the result of work that Ctrl-C ends after the epoch; resume, adding: as in `Interrupts`."""
    with Interrupts(watcher, resume, adding) as interrupts:
        try:
            result = work()
            if interrupts.cut_off:  # foreign code dropped the exception
                raise KeyboardInterrupt
            return result
        except (KeyboardInterrupt, Exception) as error:
            # an import that was cut off may raise anything, and a storage that was away was not waited for
            is_end = interrupts.cut_off or (interrupts.code and isinstance(error, UnansweredError))
            if not is_end and not isinstance(error, KeyboardInterrupt):
                raise
            watcher.close()
            complain(f"Interrupted. Finished trials are kept; go on with: {interrupts.resume}", interrupts.code or 130)
        finally:
            watcher.close()
