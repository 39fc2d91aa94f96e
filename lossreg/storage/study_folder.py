"""The folder of a study: its Optuna journal, the lock that keeps other writers out, the weights of its trials."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from lossreg.errors import InputError, LossregError, brief, count_of, on_disk, one_line
from lossreg.storage import activity, folder_lock, identity
from lossreg.storage.activity import Activity, ActivityFile
from lossreg.storage.best_model import BestModel
from lossreg.storage.journal import Journal, StudyStorage
from lossreg.storage.journal_keys import FROZEN, JOURNAL, study_fault, trial_fault
from lossreg.storage.observer import Observer
from lossreg.storage.prediction_files import PredictionFiles
from lossreg.storage.replaced_file import replaced
from lossreg.storage.trials import ATTRIBUTE, START, has_score
from lossreg.storage.weight_files import REPAIR, WeightFiles
from lossreg.terminal.caller import words

# bytes that a study takes at least; a disk with less is full
ROOM = 1 << 20
ATTEMPTS = 10
# of folders with a former run, and with damaged files, and their names as a pattern
DATE, DAMAGED = "%Y%m%d-%H%M%S", "damaged"
ASIDE = re.compile(rf"(.*\.|{DAMAGED}-)\d{{8}}-\d{{6}}(-\d+)?")
FRESH = ("lossreg tune STUDY --fresh", "lossreg.tune(study, fresh=True)")


class StudyFolder:
    """The files of a study: journal, weights, the model of the best trial, and a lock.

    What was read of the journal is kept: reading takes long, and of a file that was lengthened the new lines alone are
    read.
    counts: says whether a trial has ended and uses up the budget.
    """

    is_shared = False
    counts = staticmethod(has_score)

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.journal = path / JOURNAL
        self.weights, self.best = WeightFiles(path, self._part), BestModel(path, self._part)
        self.predictions = PredictionFiles(path, self._part)
        self._read: tuple[Journal, StudyStorage] | None = None
        # trials that have ended and were checked, by number
        self._sound: dict[int, FrozenTrial] = {}
        self._written: Journal | None = None
        self.noted: dict[str, Any] = {}

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the study in a folder, under the name that its journal has."""
        folder = cls(path, path.name)
        folder.take_name()
        return folder

    def take_name(self) -> None:
        """Take the name that the journal has, where it has one study."""
        names = optuna.get_all_study_names(self._storage()[1])
        self.name = names[0] if len(names) == 1 else self.name

    def ended(self, study: optuna.Study) -> int:
        """Return the number of trials that have ended and use up the budget."""
        return sum(map(self.counts, study.get_trials(deepcopy=False)))

    @property
    def where(self) -> str:
        """The place of the trials, for messages."""
        return str(self.journal)

    @property
    def exists(self) -> bool:
        """True if the study has ever been run; raises `InputError` where its journal is no file."""
        with on_disk(self.journal):
            if not self.journal.exists():
                return False
        if not self.journal.is_file():
            kind = "a folder" if self.journal.is_dir() else "a device or a pipe"
            hint = f"`{words(*FRESH)}` moves it aside and starts over."
            raise InputError(f"is {kind}, and the study's journal belongs there", where=brief(self.journal), hint=hint)
        return self.journal.stat().st_size > 0

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from running the study; raises `InputError` when one does."""
        return folder_lock.held(self.path, self.name)

    def joined(self) -> AbstractContextManager[None]:
        """Run the study, with others where its storage allows it; raises `InputError` where it does not."""
        return self.lock()

    def note_place(self, study: optuna.Study) -> list[str]:
        """Note where the study lies, and tell a copy from its original; return notes. Only while the lock is held."""
        return identity.note_place(study, self.path)

    def require_journal(self, shell: str, python: str) -> None:
        """Raise `InputError` for what is not done to a storage that is shared."""

    def require_turn(self) -> None:
        """Do nothing: no other process writes while this one has the lock."""

    def report_to(self, progress: Observer) -> None:
        """Have an observer hear what the storage waits for, and asked whether to stop: a file waits for nothing."""

    def require_free(self) -> None:
        """Raise `InputError` while another process runs the study; nothing is written."""
        if (self.path / folder_lock.LOCK).exists():
            with self.lock():
                pass

    @property
    def is_busy(self) -> bool:
        """True while another process runs the study; nothing is written."""
        return folder_lock.is_held(self.path)

    def announced(self) -> AbstractContextManager[ActivityFile]:
        """Have others see that a run goes on, also before it has the lock, and what it does; nothing is left of it."""
        return activity.announced(self.path)

    @property
    def activity(self) -> Activity | None:
        """The work of a run in another process, None where there is none or it does not tell."""
        return activity.read(self.path)

    def require_writable(self) -> None:
        """Raise `InputError` unless the study's folder can be created and has room; nothing is left behind."""
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        above = missing[-1].parent if missing else self.path
        if above.is_file():
            raise InputError("is a file, and the study's folder belongs there", where=brief(above))
        with on_disk(f"the study's folder {brief(self.path)} cannot be written"):
            try:
                self._write_once()
            finally:
                for folder in missing:
                    with suppress(OSError):
                        folder.rmdir()

    def _write_once(self) -> None:
        for left in reversed(range(ATTEMPTS)):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                with TemporaryFile(dir=self.path) as file:
                    file.write(bytes(ROOM))
                    file.flush()
                    os.fsync(file.fileno())
                return
            except (FileNotFoundError, FileExistsError):
                # another worker that tried the same has removed the folder in between
                if not left:
                    raise

    def require_begun(self) -> None:
        """Raise `InputError` if the study was never run, or its journal is lost."""
        if not self.exists and self.peek() is None:
            raise self._never_run()

    def archive(self) -> Path | None:
        """Move a former run aside and return its new folder; raises `InputError` while another process runs it."""
        if not self.journal.is_dir() and not self.exists and not self._left():
            return None
        aside = _new_path(self.path.with_name(f"{self.name}.{time.strftime(DATE)}"))
        with self.lock():
            self.path.rename(aside)
        return aside

    @contextmanager
    def opened(
        self, direction: str | Sequence[str], sampler: BaseSampler, pruner: optuna.pruners.BasePruner
    ) -> Iterator[optuna.Study]:
        """Have the Optuna study open, created if need be, and all of it on the disk in the end.

        direction: of the metric, or of several. Only while the lock is held.
        """
        each = [direction] if isinstance(direction, str) else list(direction)
        self.drop_unfinished_line()
        journal, storage = self._storage()
        # nobody else reads from a storage that is written
        self._read = None
        with closing(journal):
            with self._readable():
                study = optuna.create_study(
                    study_name=self.name, storage=storage, sampler=sampler, pruner=pruner, directions=each,
                    load_if_exists=True,
                )  # fmt: skip
            self._written = journal
            try:
                yield study
            finally:
                self._written = None

    def sync(self) -> None:
        """Force what was written of an open study onto the disk; a server does so by itself."""
        if self._written is not None:
            self._written.sync()

    def _storage(self) -> tuple[Journal, StudyStorage]:
        """Return the journal and Optuna's storage of what it has; raises `InputError` for one that is damaged."""
        if self._read is None or not self._read[0].is_current:
            read, self._read = self._read, None
            with self._readable():
                self._read = self._read_on(read)
        return self._read

    def _read_on(self, read: tuple[Journal, StudyStorage] | None) -> tuple[Journal, StudyStorage]:
        """Return what was read before with the lines that are new, or all that the journal has."""
        if read is None or not read[0].read_on():
            journal = Journal(self.journal)
            return journal, StudyStorage(journal)
        read[1].get_all_studies()  # takes the new lines
        return read

    def read(self) -> optuna.Study:
        """Return the Optuna study, for reading; raises `InputError` when it was never run or is damaged."""
        if (study := self.peek()) is None:
            raise self._never_run()
        return study

    def lost(self, study: optuna.Study) -> str:
        """Return what the files of a study have and its journal lacks, as after a journal was cut; empty if nothing."""
        last, trials = self._last_trial(), len(study.get_trials(deepcopy=False))
        if self.is_shared:
            return ""
        if last >= trials:
            return f"there are files of trial {last}, but the journal lists {count_of(trials, 'trial')}"
        is_whole = FROZEN in study.user_attrs[ATTRIBUTE] or not self.predictions.exist
        return "" if is_whole else "there are files of a verdict, but the journal lists none"

    def _last_trial(self) -> int:
        """Return the number of the last trial of which there are weights or the model, -1 where there are none."""
        return max([-1, *self.weights.numbers[-1:], self.best.trial])

    def _never_run(self) -> InputError:
        if self.activity is not None:
            watch = words("`lossreg watch STUDY` shows it.", "It is run by another process.")
            return InputError(f"study {self.name!r} is starting, and has no trial yet", where=self.where, hint=watch)
        return InputError(
            f"study {self.name!r} has not been run yet",
            where=self.where,
            hint=f"Run {words('`lossreg tune`', '`lossreg.tune`')} first.",
        )

    def peek(self) -> optuna.Study | None:
        """Return the Optuna study, for reading; None when it was never run, or killed before anything was written."""
        study = self._stored() if (is_there := self.exists) else None
        if study is None and (left := self._left()):
            lack = "it has no entry for the study" if is_there else "it is empty or gone"
            raise damaged(self.where, f"{lack}, but there are {left}", is_repairable=False)
        return study

    def _stored(self) -> optuna.Study | None:
        _, storage = self._storage()
        names = optuna.get_all_study_names(storage)
        if self.name not in names:
            self._require_belonging(not names, f"it is of the study {', '.join(map(repr, names))}")
            return None
        return self._checked(optuna.load_study(study_name=self.name, storage=storage))

    def _left(self) -> str:
        """Return which files a run has left beside the journal: `files of trial 7`; empty if none."""
        last = self._last_trial()
        return f"files of trial {last}" if last >= 0 else "files of a verdict" * self.predictions.exist

    def _checked(self, study: optuna.Study) -> optuna.Study | None:
        """Return a study as it was read; None where nothing was written yet. Raises `InputError` for another's."""
        about, trials = study.user_attrs.get(ATTRIBUTE), study.get_trials(deepcopy=False)
        begun = about is not None or not trials or any({ATTRIBUTE, START} & trial.user_attrs.keys() for trial in trials)
        self._require_belonging(begun, "it is of another program's study")
        self._require_belonging(about is None or isinstance(about, Mapping), "its entry for the study is incomplete")
        self._check_whole(about, trials)
        return study if about is not None else None

    def _check_whole(self, about: Any, trials: Iterable[FrozenTrial]) -> None:
        """Raise `InputError` if a record lacks a key that every version writes, or has a wrong value."""
        if about is not None and (fault := study_fault(about)):
            raise self._damaged(f"its entry for the study {fault}")
        for trial in trials:
            if self._sound.get(trial.number) is not trial:
                self._check_trial(trial)

    def _check_trial(self, trial: FrozenTrial) -> None:
        if ATTRIBUTE in trial.user_attrs and (fault := trial_fault(trial.user_attrs[ATTRIBUTE])):
            raise self._damaged(f"its entry for trial {trial.number} {fault}")
        if trial.state.is_finished():
            self._sound[trial.number] = trial

    def _require_belonging(self, belongs: bool, otherwise: str) -> None:
        """Raise `InputError` for a journal that this study cannot have written."""
        if not belongs:
            hint = f"Give the study another name; `{words(*FRESH)}` moves the journal aside."
            raise InputError(f"this journal is not this study's: {otherwise}", where=self.where, hint=hint)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Raise `InputError` for a damaged journal: a line cannot be parsed, or Optuna fails at it."""
        try:
            yield
        except (LossregError, OSError, MemoryError):
            raise
        except Exception as error:
            raise self._damaged(one_line(error)) from error

    def _damaged(self, reason: str) -> InputError:
        return damaged(self.where, reason)

    def drop_unfinished_line(self) -> None:
        """Drop a last line that a kill left unfinished; only while the lock is held, before anything is appended."""
        if not self.exists:
            return
        text = self.journal.read_bytes()
        if not text.endswith(b"\n"):
            with self.journal.open("r+b") as file:
                file.truncate(text.rfind(b"\n") + 1)

    def rewrite(self, changed: Callable[[FrozenTrial], FrozenTrial]) -> None:
        """Write the journal again, each trial as `changed` returns it; all or nothing, and only with the lock held."""
        study, part = self.read(), self.journal.with_suffix(".part")
        part.unlink(missing_ok=True)
        with closing(Journal(part)) as journal:
            new = optuna.create_study(
                study_name=self.name, storage=StudyStorage(journal), directions=study.directions
            )  # fmt: skip
            for name, value in study.user_attrs.items():
                new.set_user_attr(name, value)
            new.add_trials(changed(trial) for trial in study.get_trials())
        part.replace(self.journal)
        self._read = None

    def damaged(self) -> dict[Path, int]:
        """Return the files of weights and of the model that cannot be read or are another trial's.

        Each with the trial that it is named after, -1 for none.
        """
        return self.weights.damaged() | self.best.damaged()

    def set_aside(self, files: Iterable[Path], journal: bytes = b"") -> Path:
        """Move files into a new folder of the study and return it; a new journal leaves the former one there too."""
        aside = _new_path(self.path / f"{DAMAGED}-{time.strftime(DATE)}")
        aside.mkdir()
        for file in files:
            file.replace(aside / file.name)
        if journal:
            shutil.copy2(self.journal, aside / self.journal.name)
            with replaced(self.journal.with_suffix(".part"), self.journal) as part:
                part.write(journal)
        return aside

    def _part(self, kind: str) -> Path:
        """Return the file in which this process writes, before it takes the place of another."""
        return self.path / f"{kind}.part"


def damaged(where: str, reason: str, *, is_repairable: bool = True) -> InputError:
    """Return the error of a journal that is damaged."""
    repair = f"`{words(*REPAIR)}` goes on without its bad lines, " if is_repairable else ""
    hint = f"{repair}`{words(*FRESH)}` moves it aside and starts over."
    return InputError(f"this journal is damaged ({reason})", where=where, hint=hint)


def _new_path(path: Path) -> Path:
    """Return the path, with the first number behind it that makes it new where it exists."""
    numbered = (path.with_name(f"{path.name}-{n}") if n else path for n in itertools.count())
    return next(candidate for candidate in numbered if not candidate.exists())
