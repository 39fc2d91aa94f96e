"""A browser with windows is asked to open a page; one of text would take the terminal."""

from __future__ import annotations

import threading
import webbrowser

import pytest

from lossreg.terminal import browser


@pytest.fixture
def clean(monkeypatch):
    """No variable that names a browser or a screen."""
    for name in (*browser.WINDOWED, "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    return monkeypatch


@pytest.mark.parametrize(("named", "has_windows"), [
    ("w3m", False), ("/usr/bin/lynx %s", False), ("links:elinks", False), ("firefox", True), ("w3m:firefox", True),
    ("", False),
])  # fmt: skip
def test_a_browser_of_text_has_no_windows(clean, named, has_windows):
    clean.setenv("BROWSER", named)
    assert browser.has_windows() == has_windows


def test_a_screen_is_enough_and_a_browser_of_text_is_left_alone_there(clean):
    clean.setenv("DISPLAY", ":0")
    assert browser.has_windows()
    clean.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("w3m"))
    assert not browser.show("http://127.0.0.1:5000")


def test_a_browser_that_goes_on_until_its_window_is_closed_is_not_waited_for(clean):
    class Browser:
        def __init__(self):
            self.opened, self.closed = [], threading.Event()

        def open(self, address):
            self.opened.append(address)
            self.closed.wait(60)

    clean.setenv("DISPLAY", ":0")
    clean.setattr(browser, "PATIENCE", 0.0)
    clean.setattr(webbrowser, "get", lambda: window)
    window = Browser()
    assert browser.show("http://127.0.0.1:5000")
    window.closed.set()
