"""Processes of this machine: how one starts, and a mark by which another process can tell that it has ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

PROC = Path("/proc")
# the current folder is not searched for modules; this very package is taken, wherever it is
CODE = """
import sys
sys.path.insert(0, {root!r})
import lossreg
sys.path.pop(0)
"""


def python(code: str) -> list[str]:
    """Return the command of a Python that runs code on this package; arguments may follow."""
    return [sys.executable, "-P", "-c", CODE.format(root=str(Path(__file__).parents[2])) + code]


def leave_with(descriptor: int) -> None:
    """Send this process SIGTERM once the other end of a pipe is closed, as it is when the process that has it ends."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lossreg-pipe", daemon=True).start()


def mark() -> str:
    """Return a mark of this process: boot of the machine, namespace of process numbers, number, start.

    Empty where the system does not say, as outside Linux.
    """
    try:
        return _mark_of(os.getpid())
    except OSError:
        return ""


def has_ended(other: str) -> bool:
    """Return whether the process of a mark has ended for certain; False where this process cannot know."""
    here, parts = mark().split(), other.split()
    if len(parts) != len(here) or not here or parts[:2] != here[:2]:
        return False
    number = int(parts[2])
    try:
        return _mark_of(number) != other
    except OSError:
        # a system may hide the processes of other users (hidepid)
        return not _exists(number)


def _mark_of(number: int) -> str:
    """Return the mark of a process, empty of one that waits for its parent to notice its end."""
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    namespace = (PROC / "self/ns/pid").readlink()
    # behind the name, which may have blanks and brackets: the state is field 3, the start field 22
    fields = (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else f"{boot} {namespace} {number} {fields[19]}"


def _exists(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
