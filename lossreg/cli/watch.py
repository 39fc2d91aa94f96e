"""`lossreg watch`: a study that another process runs."""

from __future__ import annotations

import shlex
import signal
from typing import TYPE_CHECKING

import typer

from lossreg.cli.conclusion import show_results
from lossreg.cli.shell import app, guarded, say
from lossreg.cli.studies import StudyOrFolder, opened
from lossreg.errors import LossregError
from lossreg.terminal import signals

if TYPE_CHECKING:
    from lossreg.reporting.watcher import Watcher
    from lossreg.storage.study_folder import StudyFolder


@app.command()
@guarded
def watch(study: StudyOrFolder) -> None:
    """Show a study that another process runs.

    It ends with the study; q or Ctrl-C leaves. Nothing is written, and no function of the study is run. A study that
    nobody runs is shown once.
    """
    spec, folder = opened(study)
    from lossreg.reporting.progress import progress
    from lossreg.search import follower, history

    watcher = progress()
    watcher.is_onlooker = True
    if follower.is_run(folder):
        if _follow(folder, watcher):
            say(f"Study {folder.name} goes on: lossreg watch {shlex.quote(str(study))}", whole=True)
            return
        if folder.peek() is None:
            raise LossregError("the run ended before its first trial; the reason is in the terminal or log of that run")
    show_results(study, spec, history.of_folder(folder))


def _follow(folder: StudyFolder, watcher: Watcher) -> bool:
    """Show a study until it ends; return whether the user left before. A signal ends the command with its code."""
    from lossreg.search import follower

    ending = signals.Ending()
    try:
        with signals.handled(dict.fromkeys((signal.SIGTERM, signal.SIGHUP), ending)):
            follower.follow(folder, watcher)
    except KeyboardInterrupt:
        if ending.code:
            raise typer.Exit(ending.code) from None
        watcher.stop(watcher.stopped_by_q)
    finally:
        watcher.close()
    return watcher.stopping()
