"""Processes that are no children of the test's own: whether they end."""

from __future__ import annotations

import os
import select


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
