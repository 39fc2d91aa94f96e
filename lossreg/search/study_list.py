"""The studies below a folder, as their journals have them; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lossreg.errors import InputError, LossregError, brief, first_line, on_disk
from lossreg.reporting import values
from lossreg.search import following, history
from lossreg.storage.records import JOURNAL, StudyResult
from lossreg.storage.study_folder import StudyFolder

# of a store that a journal may name to be looked at: a file or a server, but no database to log in to
LOOKED_AT = ("sqlite:", "http:", "https:")


@dataclass(frozen=True, slots=True)
class Listed:
    """A study: its folder, its result and how many trials it shall have, and whether it is run; or what is wrong."""

    folder: Path
    result: StudyResult | None = None
    trials: int = 0
    is_busy: bool = False
    wrong: str = ""

    @property
    def store(self) -> str:
        """The store of MLflow where it is looked at, empty where there is none."""
        uri = str((self.result.tracking if self.result else {}).get("uri") or "")
        return uri if uri.startswith(LOOKED_AT) and "***" not in uri else ""

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """Its name, state, best loss with its score, and folder."""
        if self.result is None:
            return self.folder.name, self.wrong, "", "", str(self.folder)
        best = self.result.best
        score = f"{values.number(self.result.compared_score(best))} {self.result.metric}" if best else ""
        return self.result.study, self._state, best.candidate if best else "", score, str(self.folder)

    @property
    def _state(self) -> str:
        done = len(self.result.trials) if self.result else 0
        word = "running, " if self.is_busy else "done, " if done >= self.trials else ""
        return f"{word}{done:,} of {self.trials:,} trials"


def below(folder: Path) -> list[Listed]:
    """Return the studies in a folder and the folders below it; raises `InputError` where there is none."""
    with on_disk(brief(folder)):
        if not folder.is_dir():
            raise InputError("is no folder", where=brief(folder), hint="`lossreg ui STUDY` takes a study file.")
        found = sorted(path.parent for path in folder.rglob(JOURNAL) if path.is_file())
    if not found:
        hint = "Name the folder of the study files, beside which `.lossreg` has their trials."
        raise InputError("there is no study that was run in this folder", where=brief(folder), hint=hint)
    return [listed(path) for path in found]


def listed(path: Path) -> Listed:
    """Return the study in a folder."""
    try:
        folder = StudyFolder.at(path)
        study = folder.read()
        return Listed(path, history.result(study, path), following.total(study), folder.is_busy)
    except (LossregError, OSError) as error:
        return Listed(path, wrong=first_line(error))


def stores(studies: Sequence[Listed]) -> list[str]:
    """Return the stores of MLflow that the studies are in, the one with most of them first."""
    return [store for store, _ in Counter(one.store for one in studies if one.store).most_common()]
