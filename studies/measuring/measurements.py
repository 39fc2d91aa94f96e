"""Measurements that take long: a file with a line for each, and a process that measures and can be stopped.

The benchmark and the studies of claims have this in common.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from types import FrameType
from typing import Any, NoReturn

from lossreg.terminal.signals import INTERRUPTING, handled

Line = dict[str, Any]
AGAIN = "again"  # of a line: it is to be measured again, and stands until it has been


def write(path: Path, text: str) -> None:
    """Write a file that has its old text or the new one at any moment."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    part.replace(path)


@dataclass(frozen=True)
class Results:
    """A file of results, each a line of JSON; key: returns what a line is the result of."""

    path: Path
    key: Callable[[Line], Hashable]

    def lines(self) -> list[Line]:
        """Return the lines that can be read, the last one of each key."""
        return list({self.key(line): line for line in self._parsed() if line is not None}.values())

    def report_broken(self) -> None:
        """Name the lines that cannot be read."""
        for number, line in enumerate(self._parsed(), 1):
            if line is None:
                print(f"{self.path.name}: line {number} is cut off or damaged, and counts as missing", file=sys.stderr)

    def put(self, *lines: Line) -> None:
        """Store lines, in place of those of the same keys."""
        kept = {self.key(line): line for line in [*self.lines(), *lines]}
        write(self.path, "".join(f"{json.dumps(line)}\n" for line in kept.values()))

    def request(self, keys: Iterable[Hashable]) -> None:
        """Have results measured again, which stand until then."""
        wanted = set(keys)
        self.put(*({**line, AGAIN: True} for line in self.lines() if self.key(line) in wanted))

    def _parsed(self) -> list[Line | None]:
        return [self._of(text) for text in self.path.read_text().splitlines()] if self.path.exists() else []

    def _of(self, text: str) -> Line | None:
        try:
            line: Line = json.loads(text)
            self.key(line)
        except (ValueError, TypeError, LookupError):
            return None
        return line


# ------------------------------------------------------------------ progress


@dataclass
class Progress:
    """How far measurements are.

    noun: for several of them; todo: what is to be measured, with the seconds that it took before, if it was; total:
    the number that was asked for; command: goes on where this one is stopped; begun, done: so many of todo.
    """

    noun: str
    todo: Mapping[str, float | None]
    total: int
    command: str
    begun: int = 0
    done: int = 0
    _begin: float = field(default_factory=time.monotonic)

    def announce(self) -> None:
        """Say what will be done."""
        if not self.todo:
            have = f"{self.total} of {self.total} {self.noun} have results of this version"
            self._say(f"Nothing to measure: {have}; --anew measures them again.")
            return
        left = f", about {left}, as when last measured" if (left := self._left()) else ""
        self._say(f"To measure: {len(self.todo)} of {self.total} {self.noun}{left}")

    def name_next(self) -> None:
        """Say what is measured now, if there is something left."""
        if self.begun < len(self.todo):
            left = f"; about {left} left" if self.begun and (left := self._left()) else ""
            self._say(f"{self.begun + 1}/{len(self.todo)} {list(self.todo)[self.begun]}{left}")
            self.begun += 1

    def stopped(self) -> None:
        """Say how to go on."""
        self._say(f"\nstopped; {self.done} of {len(self.todo)} done; go on with: {self.command}")

    def _left(self) -> str:
        """Return the time for what is not begun, at the speed so far; empty where nothing was measured before."""
        known = [seconds for seconds in self.todo.values() if seconds]
        if not known:
            return ""
        expected = [seconds or fmean(known) for seconds in self.todo.values()]
        spent = max(time.monotonic() - self._begin, 0.001)
        speed = sum(expected[: self.begun]) / spent if self.begun else 1.0
        return duration(sum(expected[self.begun :]) / speed)

    @staticmethod
    def _say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def going_on(script: str, *variables: str) -> str:
    """Return this command for a shell, without `--anew`, with these variables of the environment that are set."""
    python = Path(sys.executable)
    within = python.is_relative_to(Path.cwd())
    command = [str(python.relative_to(Path.cwd()) if within else python), os.path.relpath(script)]
    given = [f"{name}={os.environ[name]} " for name in variables if name in os.environ]
    return "".join(given) + shlex.join([*command, *(part for part in sys.argv[1:] if part != "--anew")])


# ------------------------------------------------------------------ processes


class Stopped(KeyboardInterrupt):
    """A signal asks this process to end."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number


@contextmanager
def stoppable(progress: Progress) -> Iterator[None]:
    """At Ctrl-C, SIGTERM or SIGHUP in this block, end with one line and the exit code that shells have for it."""
    heeded = [number for number in INTERRUPTING if signal.getsignal(number) is not signal.SIG_IGN]
    with handled(dict.fromkeys(heeded, _stop)):
        try:
            yield
        except Stopped as stopped:
            progress.stopped()
            raise SystemExit(stopped.code) from None


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    for one in INTERRUPTING:  # the end takes a moment, in which another Ctrl-C would be a traceback
        signal.signal(one, signal.SIG_IGN)
    raise Stopped(number)


def output(command: Sequence[str]) -> Iterator[str]:
    """Run a command, and yield the lines of its output as they come; it ends with the loop, and leaves no file.

    Ctrl-C does not reach it: frameworks may lose one that comes during a call of theirs. Raises
    `subprocess.CalledProcessError` after the last line of one that fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "TMPDIR": folder}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        ) as child:
            assert child.stdout is not None
            try:
                yield from child.stdout
                child.wait()
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)


# ------------------------------------------------------------------ numbers


def decimals(ends: Sequence[float], least: int) -> int:
    """Return with how many decimals no end of an interval is rounded to 0, unless it is 0."""
    return next((n for n in range(least, 12) if all(round(end, n) or not end for end in ends)), least)
