"""`lossreg watch`: a study that another process runs."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lossreg.cli.shell import app, guarded, load, say
from lossreg.cli.studies import StudyOrFolder, show_results
from lossreg.storage.journal_keys import is_study_folder
from lossreg.terminal import signals

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
    from lossreg.reporting.watcher import Watcher
    from lossreg.storage.study_folder import StudyFolder


@app.command()
@guarded
def watch(study: StudyOrFolder) -> None:
    """Show a study that another process runs.

    It ends with the study; q or Ctrl-C leaves. Nothing is written, and no function of the study is run. A study that
    nobody runs is shown once.
    """
    spec, folder = _opened(study)
    from lossreg.reporting.progress import progress

    folder.require_begun()
    watcher = progress()
    watcher.is_onlooker = True
    if folder.is_busy and _follow(folder, watcher):
        say(f"Study {folder.name} goes on: lossreg watch {shlex.quote(str(study))}", whole=True)
        return
    _show(study, spec, folder)


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


def _opened(study: Path) -> tuple[StudySpec | None, StudyFolder]:
    """Return the study of a file, if it is one, and the folder that has its trials."""
    if is_study_folder(study):
        from lossreg.storage.study_folder import StudyFolder

        return None, StudyFolder.at(study)
    spec = load(study)
    from lossreg.storage import shared_study

    return spec, shared_study.of(spec)


def _show(study: Path, spec: StudySpec | None, folder: StudyFolder) -> None:
    """Print the results as far as they have come, and how the study goes on where trials are left."""
    from lossreg.search import budget, history

    kept = folder.read()
    ended, trials = folder.ended(kept), budget.of(kept)
    show_results(study, spec, history.result(kept, folder.path))
    if ended < trials and not folder.is_busy:
        done = f"Nobody runs this study now: {ended:,} of {trials:,} trials are done."
        how = f" `lossreg {spec.command} {shlex.quote(str(study))}` goes on with it." if spec else ""
        say(f"{done}{how}", whole=True)
