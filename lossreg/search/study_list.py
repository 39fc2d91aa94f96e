"""The studies below a folder, as their journals have them; nothing is written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lossreg.errors import InputError, brief, first_line, on_disk
from lossreg.reporting import values
from lossreg.search import history
from lossreg.storage.journal_keys import JOURNAL
from lossreg.storage.study_folder import ASIDE, StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord

# of a store that a journal may name to be looked at: a file or a server, but no database to log in to
LOOKED_AT = ("sqlite:", "http:", "https:")
# folder of the studies beside their files
STUDIES = ".lossreg"
COLUMNS = ("study", "trials", "recommended", "verdict", "score", "folder")
ELSEWHERE = "`lossreg watch STUDY` and `lossreg ui STUDY` find a study in a shared storage."


@dataclass(frozen=True, slots=True)
class Listed:
    """A study in a folder: name, state, or what is wrong with it.

    recommended: the loss to train with, without a verdict the first of the leaderboard; score: that loss's;
    store: that of MLflow.
    """

    folder: Path
    name: str
    state: str
    recommended: str = ""
    verdict: str = ""
    score: str = ""
    store: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """Return a value for each of `COLUMNS`."""
        return self.name, self.state, self.recommended, self.verdict, self.score, str(self.folder)


@dataclass(frozen=True, slots=True)
class StudyFolders:
    """The folders of studies that have a journal, and those without, such as of studies in a shared storage."""

    studies: list[Path]
    others: list[Path]


def below(folder: Path) -> StudyFolders:
    """Return the folders of studies in a folder and those below it; raises `InputError` where there are none.

    Former runs and damaged files, which lossreg moved aside, and what hidden folders such as `.venv` hold are left out.
    """
    with on_disk(brief(folder)):
        if not folder.is_dir():
            raise InputError("is no folder", where=brief(folder), hint="`lossreg ui STUDY` takes a study file.")
    study_folders = _walked(folder)
    if not study_folders.studies:
        hint = f"Name the folder of the study files, beside which `{STUDIES}` has their trials. {ELSEWHERE}"
        raise InputError("there is no study that was run in this folder", where=brief(folder), hint=hint)
    return study_folders


def _walked(folder: Path) -> StudyFolders:
    study_folders = StudyFolders([], [])
    for place, folders, files in os.walk(folder):
        path = Path(place)
        is_inside = STUDIES in path.absolute().parts
        folders[:] = sorted(name for name in folders if not _is_left_out(name, is_inside=is_inside))
        if JOURNAL in files and (path / JOURNAL).is_file():
            study_folders.studies.append(path)
        elif path.absolute().parent.name == STUDIES:
            study_folders.others.append(path)
    return study_folders


def _is_left_out(name: str, *, is_inside: bool) -> bool:
    """Return whether a folder has no studies to list; is_inside: it is in a folder of studies."""
    return bool(ASIDE.fullmatch(name)) if is_inside else name.startswith(".") and name != STUDIES


def listed(path: Path) -> Listed:
    """Return the study in a folder; one that cannot be read, for whatever reason, says why."""
    try:
        return _read(path)
    except InputError as error:
        return Listed(path, path.name, f"{error.what.rstrip('.')}. {error.hint}".rstrip())
    except Exception as error:
        return Listed(path, path.name, first_line(error))


def _read(path: Path) -> Listed:
    result = history.of_folder(StudyFolder.at(path))
    state, store, top = _state(result), str(result.tracking.get("uri") or ""), result.recommended
    if top is None:
        return Listed(path, result.study, state, store=store)
    verdict = result.verdict.answer.value if result.verdict else "none"
    return Listed(path, result.study, state, top.candidate, verdict, _score(result, top), store)


def _state(result: StudyResult) -> str:
    """Return `12 of 64, running`."""
    if (reached := result.reached) is None:
        return ""
    word = "running" if reached.is_running else "done" if reached.is_over else "interrupted"
    return f"{reached.ended:,} of {max(reached.ended, reached.trials):,}, {word}"


def _score(result: StudyResult, trial: TrialRecord) -> str:
    """Return `0.953 f1_macro, confirmed` or `0.953 f1_macro, in the search`."""
    kind = "confirmed" if result.confirmed(trial) else "in the search"
    return f"{values.number(result.compared_score(trial))} {result.metric}, {kind}"


def stores(studies: Sequence[Listed]) -> list[str]:
    """Return the stores of MLflow that the studies are in, the one with most of them first."""
    return [store for store, _ in Counter(one.store for one in studies if one.store).most_common()]
