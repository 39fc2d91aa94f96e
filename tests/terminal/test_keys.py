"""Keys on a pseudo-terminal: read one by one, and the terminal is as it was on every way out."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios

import pytest

from lossreg.terminal import keys
from lossreg.terminal.keys import Keys


@pytest.fixture
def terminal(monkeypatch):
    """Both sides of a terminal on which this process counts as the one in the foreground."""
    ours, theirs = pty.openpty()
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp())
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def is_echoed(side):
    return bool(termios.tcgetattr(side)[3] & termios.ECHO)


def press(terminal, text):
    os.write(terminal[0], text)
    assert select.select([terminal[1]], [], [], 60)[0]


def test_a_key_is_read_at_once_and_the_terminal_is_as_it_was(terminal):
    before, read = termios.tcgetattr(terminal[1]), Keys(terminal[1])
    read.start()
    assert read.pressed() == ""
    press(terminal, b"q")
    assert (read.pressed(), read.pressed(), is_echoed(terminal[1])) == ("q", "", False)
    read.stop()
    assert termios.tcgetattr(terminal[1]) == before
    assert read.pressed() == ""


def test_the_terminal_is_restored_where_no_block_is_left(terminal):
    before = termios.tcgetattr(terminal[1])
    Keys(terminal[1]).start()
    keys.restore()
    keys.restore()
    assert termios.tcgetattr(terminal[1]) == before


def test_nothing_is_changed_in_the_background(terminal, monkeypatch):
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp() + 1)
    before, read = termios.tcgetattr(terminal[1]), Keys(terminal[1])
    read.start()
    assert not read.are_read
    assert termios.tcgetattr(terminal[1]) == before


def test_a_pipe_has_no_keys():
    read, write = os.pipe()
    of_pipe = Keys(read)
    of_pipe.start()
    os.write(write, b"q")
    assert (of_pipe.are_read, of_pipe.pressed()) == (False, "")
    assert os.read(read, 1) == b"q"
    os.close(read)
    os.close(write)


CRASH = """
import os, sys, time
os.tcgetpgrp = lambda descriptor: os.getpgrp()
from lossreg.terminal.keys import Keys
Keys(int(sys.argv[1])).start()
sys.exit(7)
"""


def test_the_terminal_is_restored_by_a_program_that_ends_by_itself(terminal):
    before = termios.tcgetattr(terminal[1])
    command = [sys.executable, "-c", CRASH, str(terminal[1])]
    assert subprocess.run(command, pass_fds=[terminal[1]], check=False).returncode == 7
    assert termios.tcgetattr(terminal[1]) == before
