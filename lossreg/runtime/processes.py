"""Processes of this machine, and a mark by which another process can tell that one has ended."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def mark() -> str:
    """Return a mark of this process: boot of the machine, namespace of process numbers, number, start.

    Empty where the system does not say, as outside Linux.
    """
    return _mark_of(os.getpid())


def has_ended(other: str) -> bool:
    """Return whether the process of a mark has ended for certain; False where this process cannot know."""
    here = mark().split()
    parts = other.split()
    if len(parts) != len(here) or not here or parts[:2] != here[:2]:
        return False
    return _mark_of(int(parts[2])) != other


def _mark_of(number: int) -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (PROC / "self/ns/pid").readlink()
        # behind the name, which may have blanks and brackets: the state is field 3, the start field 22
        fields = (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{boot} {namespace} {number} {fields[19]}"
