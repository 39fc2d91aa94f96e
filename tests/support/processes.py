"""Processes that are no children of the test's own: whether they end, and where they take connections."""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path

# 127.0.0.1, the same in IPv6, and ::1, as the kernel writes them
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def has_ended(number, seconds=30):
    """Return whether the process of that number ends within the time."""
    try:
        handle = os.pidfd_open(number)
    except ProcessLookupError:
        return True
    watch = select.poll()
    watch.register(handle, select.POLLIN)
    is_gone = bool(watch.poll(1000 * seconds))
    os.close(handle)
    return is_gone


def family(number):
    """The numbers of a process and of those below it."""
    yield number
    for listed in Path(f"/proc/{number}/task").glob("*/children"):
        for child in listed.read_text().split():
            yield from family(int(child))


def listening(number):
    """The addresses, as the kernel writes them, at which a process and those below it take connections."""
    tables = [Path(f"/proc/net/{kind}").read_text().splitlines()[1:] for kind in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    addresses = {f"socket:[{row[9]}]": row[1].split(":")[0] for row in rows if row[3] == "0A"}
    return {addresses[file] for process in family(number) for file in open_files(process) if file in addresses}


def open_files(number):
    for descriptor in Path(f"/proc/{number}/fd").iterdir():
        with contextlib.suppress(OSError):
            yield str(descriptor.readlink())
