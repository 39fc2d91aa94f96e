"""Ctrl-C, SIGTERM and a terminal that hangs up while a study runs: the first ends it tidily, the second at once."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, NoReturn

from lossreg.cli.progress import Watcher

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOW_CURSOR = b"\x1b[?25h"


class Interrupts:
    """Handlers of `SIGNALS` for the time of a block; those that this process was told to ignore stay ignored.

    While trials are trained the first signal asks the study to end with the epoch; before and after it raises
    `KeyboardInterrupt`. The second ends the process: the study's journal is whole at every moment. `code` is
    what to exit with, 128 and the number of the signal, as shells have it; `cut_off` says that `KeyboardInterrupt` was
    raised, amid any work; `resume` is the command that goes on.
    """

    def __init__(self, watcher: Watcher, resume: str) -> None:
        self._watcher, self._resume = watcher, resume
        self._before: dict[int, Any] = {}
        self.code = 0
        self.cut_off = False

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.code:
            self._leave(128 + number)
        self.code = 128 + number
        if not self._watcher.training:
            self.cut_off = True
            raise KeyboardInterrupt
        is_key = number == signal.SIGINT
        name, again = ("Ctrl-C", "Ctrl-C again") if is_key else (signal.Signals(number).name, "the signal again")
        self._watcher.stop(f"{name}: finishing the epoch; {again} ends at once")

    def _leave(self, code: int) -> NoReturn:
        cursor = SHOW_CURSOR if sys.stderr.isatty() else b""
        said = f"\nEnded at once. Finished trials are kept; go on with: {self._resume}\n"
        try:
            os.write(2, cursor + said.encode(errors="backslashreplace"))
        finally:
            os._exit(code)
