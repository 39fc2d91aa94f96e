"""The user's browser, for a page on this machine."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

# of which one is set where a browser has a window
WINDOWED = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
# browsers that would take the terminal
OF_TEXT = {"w3m", "lynx", "links", "links2", "elinks", "www-browser", "browsh"}
# seconds that opening may take; a program that BROWSER names may go on until its window is closed
PATIENCE = 2.0


def show(address: str) -> bool:
    """Open a page where somebody sits before a browser with windows; return whether it was asked to open."""
    if not (sys.stdout.isatty() and has_windows()):
        return False
    answers = [True]
    opening = threading.Thread(target=lambda: answers.append(_open(address)), name="lossreg-browser", daemon=True)
    opening.start()
    opening.join(PATIENCE)
    return answers[-1]


def _open(address: str) -> bool:
    import webbrowser

    with suppress(webbrowser.Error, OSError):
        chosen = webbrowser.get()
        return not _is_of_text(getattr(chosen, "name", "")) and chosen.open(address)
    return False


def has_windows() -> bool:
    """Tell whether this machine can show windows to the user; one of text would take the terminal."""
    named = os.environ.get("BROWSER", "")
    if named and all(map(_is_of_text, named.split(os.pathsep))):
        return False
    if any(os.environ.get(name) for name in WINDOWED):
        return True
    return sys.platform == "darwin" and not os.environ.get("SSH_CONNECTION")


def _is_of_text(command: str) -> bool:
    """Tell a browser of text by its command, which may have a path and arguments."""
    return os.path.basename(command.split(" ", maxsplit=1)[0]) in OF_TEXT  # noqa: PTH119 - a command, whose path need not exist
