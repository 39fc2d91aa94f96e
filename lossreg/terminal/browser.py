"""The user's browser, for a page on this machine."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

# of which one is set where a browser has a window
WINDOWED = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


def show(address: str) -> bool:
    """Open a page where somebody sits before a browser with windows; return whether it was asked to open."""
    if not (sys.stdout.isatty() and has_windows()):
        return False
    import webbrowser

    with suppress(webbrowser.Error, OSError):
        return webbrowser.open(address)
    return False


def has_windows() -> bool:
    """Tell whether this machine can show windows to the user; one of text would take the terminal."""
    if any(os.environ.get(name) for name in WINDOWED):
        return True
    return sys.platform == "darwin" and not os.environ.get("SSH_CONNECTION")
