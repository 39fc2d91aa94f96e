"""Commands of lossreg as processes that begin at once: forked from one that has imported everything.

A worker costs a second of the processor that way, not twenty: neither Keras nor MLflow is imported again. The process
that writes into MLflow is forked likewise. All else is the command's own, its storage, its signals and its exit codes;
only training is a stand-in, which waits.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

import mlflow  # noqa: F401
import optuna
import psycopg  # noqa: F401
import sklearn.datasets  # noqa: F401
from fake_trainer import Waiting
from havoc import FINISHES
from searches import curve

from lossreg import cli
from lossreg.cli import studies  # noqa: F401
from lossreg.reporting import progress, report, study_plots, tables  # noqa: F401
from lossreg.search import preparation, rehearsal, run, shared_run  # noqa: F401
from lossreg.tracking import session, tracker, worker  # noqa: F401

# imports what Optuna needs for a database, and SQLAlchemy
optuna.storages.RDBStorage("sqlite://")


class Telling(progress.Lines):
    """Tells by `wire` which trials have ended, here or in another worker, and when this one finishes the study."""

    def __init__(self, wire):
        super().__init__()
        self._wire = wire

    def trial(self, record, result):
        super().trial(record, result)
        self._wire.send(("ended", record.number))

    def message(self, text):
        super().message(text)
        if text == FINISHES:
            self._wire.send(("finishes", 0))


class Writing:
    """Stands in for the process that writes into MLflow, which is forked before this one has any thread."""

    def __init__(self):
        (taken, given), (heard, told) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            os.dup2(taken, 0)
            os.dup2(told, 1)
            os.closerange(3, 256)
            sys.stdin = os.fdopen(0)
            worker.main()
        os.close(taken)
        os.close(told)
        self.lines, self.answers = os.fdopen(given, "wb"), os.fdopen(heard, "rb")

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def command(arguments, log, wire, seconds, slots):
    """Run a command of lossreg in this process, whose output goes to the file `log`."""
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    writing = Writing()
    wire.send(("writes", writing.pid))
    tracker.Process = lambda: writing
    rehearsal.rehearse = lambda prepared: ({}, [])
    run.Run = partial(run.Run, trainers=(Waiting(curve, seconds, slots),))
    progress.progress = partial(Telling, wire)
    sys.argv = ["lossreg", *arguments]
    cli.main()
