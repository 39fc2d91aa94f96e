"""The width of a terminal, also where the variable COLUMNS says something that is no width."""

from __future__ import annotations

import os
import pty
import termios

import pytest
from rich.console import Console

from lossreg.terminal import width


@pytest.fixture
def terminal():
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 61))
    with os.fdopen(reader), os.fdopen(writer, "w") as stream:
        yield stream


@pytest.mark.parametrize(("columns", "shown"), [("0", 61), ("7", 61), ("wide", 61), ("40", 40)])
def test_a_console_is_as_wide_as_its_terminal_unless_the_variable_gives_a_width(monkeypatch, terminal, columns, shown):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    assert width.of(terminal) == shown
    assert Console(file=terminal, width=width.for_rich(terminal)).width == shown


@pytest.mark.parametrize("columns", [None, ""])
def test_a_console_has_no_fixed_width_where_the_variable_is_not_set(monkeypatch, terminal, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert width.of(terminal) == 61
    assert width.for_rich(terminal) is None
