"""The command, run in the process of the tests."""

import sys

import pytest

from lossreg import cli


def runner(monkeypatch, capture):
    """A function of arguments that returns the exit code, standard output and standard error."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["lossreg", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capture.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run
