"""The process that tracks a study, seen from the study: started, spoken to over pipes, ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO

# the current folder is not searched for modules; this very package is taken, wherever it lies
CODE = """
import sys
sys.path.insert(0, {root!r})
import lossreg
sys.path.pop(0)
from lossreg.tracking import child
child.main()
"""


class Process:
    """A Python of its own, in a session of its own: Ctrl-C reaches the study alone.

    `lines` takes what it is told, `answers` gives what it says; both are streams of JSON lines.
    Raises `OSError` when it cannot be started.
    """

    def __init__(self) -> None:
        root = str(Path(__file__).parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", CODE.format(root=root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self.lines: IO[bytes] = self._process.stdin
        self.answers: IO[bytes] = self._process.stdout

    @property
    def number(self) -> int:
        """The process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()

    def wait(self) -> int:
        """Wait until it has ended; its exit status."""
        return self._process.wait()
