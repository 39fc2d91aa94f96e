"""The folder of a study: its Optuna journal, the lock that keeps other writers out, the weights of its trials."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self
from zipfile import ZipFile, is_zipfile

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from lossreg.errors import InputError, LossregError, brief, on_disk, one_line
from lossreg.storage import identity
from lossreg.storage.journal import Journal, StudyStorage
from lossreg.storage.journal_keys import JOURNAL, STUDY_KEYS, TRIAL_KEYS, lacking
from lossreg.storage.observer import Observer
from lossreg.storage.trial_record import Weights
from lossreg.storage.trials import ATTRIBUTE, START, has_score
from lossreg.terminal.caller import words

# bytes that a study takes at least; a disk with less is full
ROOM = 1 << 20
ATTEMPTS = 10
# how often a lock is asked for, and seconds in between
LOOKS, MOMENT = 3, 0.02
# entry of an archive of weights with the number of their trial
TRIAL = "trial"
# entry of an archive of predictions with what they are of
KEY = "key"
# of folders with a former run, and with damaged files, and their names as a pattern
DATE, DAMAGED = "%Y%m%d-%H%M%S", "damaged"
ASIDE = re.compile(rf"(.*\.|{DAMAGED}-)\d{{8}}-\d{{6}}(-\d+)?")
REPAIR = ("lossreg repair STUDY", "lossreg.repair(study)")
FRESH = ("lossreg tune STUDY --fresh", "lossreg.tune(study, fresh=True)")


class StudyFolder:
    """The files of a study: journal, weights, the model of the best trial, and a lock.

    What was read of the journal is kept: reading takes long, and it is done again only after the file has changed.
    counts: says whether a trial has ended and uses up the budget.
    """

    is_shared = False
    counts = staticmethod(has_score)

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.journal = path / JOURNAL
        self._read: tuple[Journal, StudyStorage] | None = None
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

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from running the study; raises `InputError` when one does."""
        with on_disk(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            opened = _lock_file(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with opened as file:
            if not _locked(file):
                raise InputError(f"study {self.name!r} is being run by another process", where=str(self.path))
            yield

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
        """Have an observer hear what the storage waits for, and asked whether to stop: nothing, of a file."""

    def require_free(self) -> None:
        """Raise `InputError` while another process runs the study; nothing is written."""
        if (self.path / "lock").exists():
            with self.lock():
                pass

    @property
    def is_busy(self) -> bool:
        """True while another process runs the study; nothing is written, and nobody kept out for longer than a look."""
        import fcntl

        try:
            with _lock_file(self.path, os.O_RDONLY) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except (OSError, InputError):
            return False
        return False

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
        """Raise `InputError` if the study was never run."""
        if not self.exists:
            raise self._never_run()

    def archive(self) -> Path | None:
        """Move a former run aside and return its new folder; raises `InputError` while another process runs it."""
        if not self.journal.is_dir() and not self.exists:
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
            journal = Journal(self.journal)
            with self._readable():
                self._read = journal, StudyStorage(journal)
        return self._read

    def read(self) -> optuna.Study:
        """Return the Optuna study, for reading; raises `InputError` when it was never run or is damaged."""
        if (study := self.peek()) is None:
            raise self._never_run()
        return study

    def _never_run(self) -> InputError:
        return InputError(
            f"study {self.name!r} has not been run yet",
            where=self.where,
            hint=f"Run {words('`lossreg tune`', '`lossreg.tune`')} first.",
        )

    def peek(self) -> optuna.Study | None:
        """Return the Optuna study, for reading; None when it was never run, or killed before anything was written."""
        if not self.exists:
            return None
        _, storage = self._storage()
        names = optuna.get_all_study_names(storage)
        if self.name not in names:
            self._require_belonging(not names, f"it is of the study {', '.join(map(repr, names))}")
            return None
        return self._checked(optuna.load_study(study_name=self.name, storage=storage))

    def _checked(self, study: optuna.Study) -> optuna.Study | None:
        """Return a study as it was read; None where nothing was written yet. Raises `InputError` for another's."""
        about, trials = study.user_attrs.get(ATTRIBUTE), study.get_trials(deepcopy=False)
        begun = about is not None or not trials or any({ATTRIBUTE, START} & trial.user_attrs.keys() for trial in trials)
        self._require_belonging(begun, "it is of another program's study")
        self._require_belonging(about is None or isinstance(about, Mapping), "what it tells of the study is not whole")
        self._check_whole(about, trials)
        return study if about is not None else None

    def _check_whole(self, about: Any, trials: Iterable[FrozenTrial]) -> None:
        """Raise `InputError` if the record of the study or of a trial lacks a key that every version writes."""
        if about is not None and (key := lacking(about, STUDY_KEYS)):
            raise self._damaged(f"what it tells of the study has no {key}")
        for trial in trials:
            if ATTRIBUTE in trial.user_attrs and (key := lacking(trial.user_attrs[ATTRIBUTE], TRIAL_KEYS)):
                raise self._damaged(f"what it tells of trial {trial.number} has no {key}")

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
        hint = f"`{words(*REPAIR)}` goes on without its bad lines, `{words(*FRESH)}` moves it aside and starts over."
        return InputError(f"this journal is damaged ({reason})", where=self.where, hint=hint)

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

    def save_weights(self, number: int, weights: Weights) -> None:
        """Write the weights of a trial that is about to end, with its number; all or nothing."""
        arrays = {f"w{i:04d}": weight for i, weight in enumerate(weights)}
        with _replaced(self._part("weights"), self._weights(number)) as file:
            np.savez(file, **arrays, **{TRIAL: np.int64(number)})  # type: ignore[arg-type]

    def load_weights(self, number: int) -> Weights | None:
        """Return the weights of that trial, None when they were not kept.

        Raises `InputError` where they are damaged or another trial's; older files have no number of a trial.
        """
        file, hint = self._weights(number), f"`{words(*REPAIR)}` moves it aside."
        if not file.exists():
            return None
        try:
            if not is_zipfile(file):
                raise ValueError("it is no archive of arrays")
            with np.load(file, allow_pickle=False) as arrays:
                stored = int(arrays[TRIAL]) if TRIAL in arrays.files else number
                if stored != number:
                    what = f"this file holds the weights of trial {stored}, not of trial {number}"
                    raise InputError(what, where=str(file), hint=hint)
                return [arrays[name] for name in sorted(arrays.files) if name != TRIAL]
        except InputError:
            raise
        except Exception as error:
            what = f"this file of weights is damaged ({one_line(error)})"
            raise InputError(what, where=str(file), hint=hint) from error

    def save_predictions(self, key: str, predictions: Mapping[str, np.ndarray], outer: int = 0) -> None:
        """Write the predictions of the test rows by the arms of a verdict, which the key names; all or nothing.

        outer: its number of outer folds. There is a file for each, so that one verdict does not replace another.
        """
        with _replaced(self._part("verdict"), self._predictions(outer)) as file:
            np.savez_compressed(file, **predictions, **{KEY: np.str_(key)})  # type: ignore[arg-type]

    def require_room_for_predictions(self, outer: int = 0) -> None:
        """Raise `InputError` where predictions cannot be saved, because a folder is in the place of their file."""
        if (file := self._predictions(outer)).is_dir():
            what = "is a folder, and predictions of the test rows belong there"
            raise InputError(what, where=brief(file), hint="Move it aside.")

    def load_predictions(self, key: str, outer: int = 0) -> dict[str, np.ndarray]:
        """Return the predictions that were saved under that key; none where there are none, or they are damaged."""
        # a version before had one file for all
        for file in dict.fromkeys((self._predictions(outer), self._predictions(0))):
            with suppress(Exception), np.load(file, allow_pickle=False) as arrays:
                if str(arrays[KEY]) == key:
                    return {name: arrays[name] for name in arrays.files if name != KEY}
        return {}

    def damaged(self) -> dict[Path, int]:
        """Return the files of weights and of the model that cannot be read or are another trial's.

        Each with the trial that it is named after, -1 for none.
        """
        files = {}
        for number in self.kept_weights():
            with suppress(InputError):
                self.load_weights(number)
                continue
            files[self._weights(number)] = number
        model, owner = self._model
        if model.exists() and not is_archive(model):
            files[model] = self._owner(owner)
        return files

    def kept_weights(self) -> list[int]:
        """The trials whose weights are kept."""
        names = (path.stem.removeprefix("weights-") for path in self.path.glob("weights-*.npz"))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def forget_weights(self, numbers: Iterable[int]) -> None:
        """Remove the weights of these trials, where there are any."""
        for number in numbers:
            self._weights(number).unlink(missing_ok=True)

    def set_aside(self, files: Iterable[Path], journal: bytes = b"") -> Path:
        """Move files into a new folder of the study and return it; a new journal leaves the former one there too."""
        aside = _new_path(self.path / f"{DAMAGED}-{time.strftime(DATE)}")
        aside.mkdir()
        for file in files:
            file.replace(aside / file.name)
        if journal:
            shutil.copy2(self.journal, aside / self.journal.name)
            with _replaced(self.journal.with_suffix(".part"), self.journal) as part:
                part.write(journal)
        return aside

    def save_model(self, model: Any, number: int, preprocessor: str = "", description: str = "") -> Path:
        """Write the Keras model of the best trial, its preprocessing and its description, and return the model's file.

        A kill meanwhile leaves it without a trial.
        """
        path, owner = self._model
        owner.unlink(missing_ok=True)
        model.save(path)
        if preprocessor:
            self.save_preprocessor(preprocessor)
        if description:
            self.save_description(description)
        owner.write_text(f"{number}\n")
        return path

    def model_of(self, number: int) -> Path | None:
        """Return the file of the best trial's model, None unless it is the model of that trial."""
        path, owner = self._model
        return path if path.exists() and self._owner(owner) == number else None

    def has_best(self, number: int) -> bool:
        """Return whether the best trial's model and its preprocessing can be loaded."""
        path = self.model_of(number)
        return path is not None and is_archive(path) and any(file.exists() for file in self._preprocessors)

    def save_preprocessor(self, text: str) -> None:
        """Write the best trial's preprocessing, all or nothing; a pickle of a version before is removed."""
        file, pickled = self._preprocessors
        with _replaced(file.with_suffix(".part"), file) as part:
            part.write(text.encode())
        pickled.unlink(missing_ok=True)

    def save_description(self, text: str) -> None:
        """Write what the best trial's model predicts, all or nothing."""
        with _replaced(self._part("predictor"), self._description) as part:
            part.write(text.encode())

    def predictor_of(self, number: int) -> tuple[Path, Path, Path] | None:
        """Return the files of the best trial's model, preprocessing and description, None unless all are there."""
        model, (preprocessor, _) = self.model_of(number), self._preprocessors
        if model is None or not is_archive(model) or not preprocessor.exists() or self._described() != number:
            return None
        return model, preprocessor, self._description

    def _described(self) -> int:
        """Return the trial that the description is of, -1 where there is none."""
        try:
            trial = json.loads(self._description.read_bytes())["trial"]
        except (OSError, ValueError, KeyError, TypeError):
            return -1
        return trial if isinstance(trial, int) else -1

    @property
    def _description(self) -> Path:
        return self.path / "predictor.json"

    @property
    def _preprocessors(self) -> tuple[Path, Path]:
        """The file of the best trial's preprocessing, and that of versions up to 0.2.0, which is never loaded."""
        return self.path / "preprocessor.json", self.path / "preprocessor.joblib"

    @staticmethod
    def _owner(note: Path) -> int:
        """Return the trial that a note names, -1 where there is none."""
        text = note.read_bytes().strip() if note.is_file() else b""
        return int(text) if text.isdigit() else -1

    @property
    def _model(self) -> tuple[Path, Path]:
        """The files of the best model, and of the number of the trial that trained it."""
        return self.path / "best.keras", self.path / "best.trial"

    def _predictions(self, outer: int) -> Path:
        return self.path / (f"verdict-{outer}.npz" if outer else "verdict.npz")

    def _part(self, kind: str) -> Path:
        """Return the file in which this process writes, before it takes the place of another."""
        return self.path / f"{kind}.part"

    def _weights(self, number: int) -> Path:
        return self.path / f"weights-{number:06d}.npz"


@contextmanager
def _replaced(part: Path, whole: Path) -> Iterator[IO[bytes]]:
    """Have a file open that takes the place of another once it is on the disk; nothing is left of one that fails.

    A link in its place is removed, so that nothing is written where it leads.
    """
    try:
        part.unlink(missing_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(whole)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(part)) from error


def _lock_file(folder: Path, flags: int) -> IO[bytes]:
    """Open the lock of a study; a pipe in its place, which would be waited for, raises `InputError`.

    It is not emptied: a link may have been planted in its place.
    """
    path = folder / "lock"
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    file = os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "ab", buffering=0)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise InputError("is no file, and the lock of the study belongs there", where=str(path), hint="Move it away.")
    return file


def _locked(file: IO[bytes]) -> bool:
    """Lock a file; again where that fails, since a look at whether the study is run keeps it for a moment."""
    import fcntl

    for left in reversed(range(LOOKS)):
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(MOMENT if left else 0)
    return False


def _new_path(path: Path) -> Path:
    """Return the path, with the first number behind it that makes it new where it exists."""
    numbered = (path.with_name(f"{path.name}-{n}") if n else path for n in itertools.count())
    return next(candidate for candidate in numbered if not candidate.exists())


def is_archive(file: Path) -> bool:
    """Return whether a zip archive, such as a Keras model, can be read to its end."""
    try:
        with ZipFile(file) as archive:
            return archive.testzip() is None
    except Exception:
        return False
