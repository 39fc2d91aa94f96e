"""Keys that are pressed while a display stands on the terminal, read one by one and not shown.

No thread waits for them: who is interested asks. A process in the background, whose terminal is another's, and one
whose standard input is no terminal read nothing.
"""

from __future__ import annotations

import atexit
import os
import select
import threading
from contextlib import suppress
from typing import Any

# attributes of the terminal that is changed, and of which file, to be restored on every way out
_changed: list[tuple[int, Any]] = []


class Keys:
    """The keys that are pressed between `start` and `stop`."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._reading = threading.Lock()
        self.are_read = False

    def start(self) -> None:
        """Have keys come at once and unseen; Ctrl-C and Ctrl-Z do what they did."""
        if self.are_read or not _is_ours(self._descriptor):
            return
        import termios
        import tty

        before = termios.tcgetattr(self._descriptor)
        _changed.append((self._descriptor, before))
        atexit.register(restore)
        self.are_read = True
        # what was typed before is kept
        tty.setcbreak(self._descriptor, termios.TCSANOW)

    def pressed(self) -> str:
        """Return what was pressed since the last call; never waits."""
        if not self.are_read or not self._reading.acquire(blocking=False):
            return ""
        try:
            is_there = _is_ours(self._descriptor) and select.select([self._descriptor], [], [], 0)[0]
            return os.read(self._descriptor, 1024).decode(errors="replace") if is_there else ""
        except OSError:
            return ""
        finally:
            self._reading.release()

    def stop(self) -> None:
        """Have the terminal as it was."""
        if self.are_read:
            self.are_read = False
            restore()
            atexit.unregister(restore)


def _is_ours(descriptor: int) -> bool:
    """Tell whether this is a terminal on which this process is in the foreground; another one that reads is stopped."""
    try:
        return os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


def restore() -> None:
    """Have terminals as they were before keys were read; may be called by a signal's handler."""
    while _changed:
        import termios

        descriptor, before = _changed.pop()
        # of a terminal that is gone; one that another process has, its shell has restored
        with suppress(termios.error):
            if _is_ours(descriptor):
                termios.tcsetattr(descriptor, termios.TCSANOW, before)
