"""`lossreg watch`: a study that another process runs."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from lossreg.cli.shell import app, guarded, load, say
from lossreg.cli.studies import StudyOrFolder, show_results
from lossreg.storage.records import is_study_folder
from lossreg.terminal import signals

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
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
    from lossreg.search import following

    folder.require_begun()
    watcher = progress()
    watcher.hint, watcher.stopped_by_q = "q leaves: the study goes on without it", "leaving"
    if folder.is_busy:
        try:
            with signals.handled(dict.fromkeys((signal.SIGTERM, signal.SIGHUP), _leave)):
                following.follow(folder, watcher)
        except KeyboardInterrupt:
            watcher.stop("leaving")
        finally:
            watcher.close()
        if watcher.stopping():
            say(f"Study {folder.name} goes on: lossreg watch {shlex.quote(str(study))}", whole=True)
            return
    _show(study, spec, folder)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by way of what restores the terminal."""
    raise typer.Exit(128 + number)


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
    from lossreg.search import following, history

    kept = folder.read()
    result, trials = history.result(kept, folder.path), following.total(kept)
    show_results(study, spec, result)
    if len(result.trials) < trials and not folder.is_busy:
        done = f"Nobody runs this study now: {len(result.trials):,} of {trials:,} trials are done."
        command = "worker" if spec and spec.storage.url else "tune"
        how = f" `lossreg {command} {shlex.quote(str(study))}` goes on with it." if spec else ""
        say(f"{done}{how}", whole=True)
