"""The folder of a study: its Optuna journal, the lock that keeps other writers out, the weights of its trials."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from lossreg.caller import words
from lossreg.errors import InputError, gist
from lossreg.journal import Journal
from lossreg.sampler import ATTRIBUTE
from lossreg.trainers.base import Weights


class _StudyLockHeld(JournalFileOpenLock):
    """No lock of the journal's own: the study's lock is held, and outlives no killed process."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


class Store:
    """What a study keeps on disk, in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.journal = folder / "journal.log"
        self._journal: Journal | None = None

    @property
    def exists(self) -> bool:
        """Whether the study has ever been run."""
        return self.journal.exists() and self.journal.stat().st_size > 0

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from running the study; raises `InputError` when one does."""
        import fcntl

        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    f"study {self.name!r} is being run by another process", where=str(self.folder)
                ) from None
            yield

    def insist_free(self) -> None:
        """Raise `InputError` while another process runs the study; nothing is written."""
        if (self.folder / "lock").exists():
            with self.lock():
                pass

    def insist_begun(self) -> None:
        """Raise `InputError` if the study was never run."""
        if not self.exists:
            raise self._never_run()

    def archive(self) -> Path | None:
        """Move a former run aside, for a fresh start; where it went. Raises `InputError` while it is being run."""
        if not self.exists:
            return None
        stamp = f"{self.name}.{time.strftime('%Y%m%d-%H%M%S')}"
        names = (f"{stamp}-{n}" if n else stamp for n in itertools.count())
        aside = next(path for name in names if not (path := self.folder.with_name(name)).exists())
        with self.lock():
            self.folder.rename(aside)
        return aside

    def open(self, direction: str, sampler: BaseSampler, pruner: optuna.pruners.BasePruner) -> optuna.Study:
        """The Optuna study, created if need be; only while the lock is held."""
        self.mend()
        self._journal = Journal(self.journal)
        with self._legible():
            return optuna.create_study(
                study_name=self.name, storage=JournalStorage(self._journal), sampler=sampler, pruner=pruner,
                direction=direction, load_if_exists=True,
            )  # fmt: skip

    def close(self) -> None:
        """Have everything on the disk that the open study wrote."""
        if self._journal is not None:
            self._journal.close()

    def read(self) -> optuna.Study:
        """The Optuna study as it stands, for looking at; raises `InputError` when it was never run or is damaged."""
        if (study := self.peek()) is None:
            raise self._never_run()
        return study

    def _never_run(self) -> InputError:
        return InputError(
            f"study {self.name!r} has not been run yet",
            where=str(self.folder),
            hint=f"Run {words('`lossreg tune`', '`lossreg.tune`')} first.",
        )

    def peek(self) -> optuna.Study | None:
        """The same, None when it was never run or a kill came before anything was kept."""
        if not self.exists:
            return None
        try:
            with self._legible():
                storage = JournalStorage(JournalFileBackend(str(self.journal), _StudyLockHeld(str(self.journal))))
                study = optuna.load_study(study_name=self.name, storage=storage)
        except KeyError:
            return None
        return study if ATTRIBUTE in study.user_attrs else None

    @contextmanager
    def _legible(self) -> Iterator[None]:
        """Raise `InputError` for a line of the journal that is not whole: it can be neither decoded nor parsed."""
        try:
            yield
        except ValueError as error:
            raise InputError(
                f"this journal is damaged ({gist(error)})", where=str(self.journal),
                hint=f"`{words('lossreg tune STUDY --fresh', 'lossreg.tune(study, fresh=True)')}` moves it aside and "
                "starts over.",
            ) from error  # fmt: skip

    def mend(self) -> None:
        """Drop a last line that a kill left unfinished; only while the lock is held, before anything is appended."""
        if not self.exists:
            return
        text = self.journal.read_bytes()
        if not text.endswith(b"\n"):
            with self.journal.open("r+b") as file:
                file.truncate(text.rfind(b"\n") + 1)

    def save_weights(self, number: int, weights: Weights) -> None:
        """Keep the weights of a trial that is about to end, all or nothing."""
        part, arrays = self.folder / "weights.part", {f"w{i:04d}": weight for i, weight in enumerate(weights)}
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._weights(number))

    def load_weights(self, number: int) -> Weights | None:
        """The weights of that trial, None when they were not kept."""
        if not self._weights(number).exists():
            return None
        with np.load(self._weights(number)) as kept:
            return [kept[name] for name in sorted(kept.files)]

    def kept_weights(self) -> list[int]:
        """The trials whose weights are kept."""
        return sorted(int(path.stem.removeprefix("weights-")) for path in self.folder.glob("weights-*.npz"))

    def forget_weights(self, numbers: Iterable[int]) -> None:
        """Remove the weights of these trials, where there are any."""
        for number in numbers:
            self._weights(number).unlink(missing_ok=True)

    def save_model(self, model: Any, number: int) -> Path:
        """Keep the Keras model of that trial, the best; where it is. A kill meanwhile leaves it nobody's."""
        path, owner = self._model
        owner.unlink(missing_ok=True)
        model.save(path)
        owner.write_text(f"{number}\n")
        return path

    def model_of(self, number: int) -> Path | None:
        """The file of the best trial's model, None unless it is that trial's."""
        path, owner = self._model
        own = path.exists() and owner.exists() and owner.read_text().strip() == str(number)
        return path if own else None

    @property
    def _model(self) -> tuple[Path, Path]:
        """The best model, and the note of the trial that trained it."""
        return self.folder / "best.keras", self.folder / "best.trial"

    def _weights(self, number: int) -> Path:
        return self.folder / f"weights-{number:06d}.npz"
