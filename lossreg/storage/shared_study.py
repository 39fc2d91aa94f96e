"""`SharedStudy`: a study whose trials are in a storage that several workers share; weights stay in the local folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import BaseSampler

from lossreg.errors import InputError, LossregError
from lossreg.storage import address, server
from lossreg.storage.activity import ActivityFile
from lossreg.storage.observer import Observer
from lossreg.storage.shared_storage import SharedStorage
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import has_outcome
from lossreg.storage.workers import ALONE, TRAINS, Workers, signs_of_life
from lossreg.terminal.caller import words
from lossreg.terminal.masking import masked

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec

# seconds between two looks at whether calls of the storage are answered
LOOK = 5.0


class SharedStudy(StudyFolder):
    """The study of that name at an address; `workers` are those who run it, this process among them once it joined."""

    is_shared = True
    counts = staticmethod(has_outcome)

    def __init__(
        self, path: Path, name: str, url: str, *, dead_after: float, patience: float,
        now: Callable[[], float] = time.monotonic, pause: Callable[[float], Any] = time.sleep,
    ) -> None:  # fmt: skip
        super().__init__(path, name)
        # of each worker, while others are only looked at: its beats, since when, and after how many seconds it is dead
        self._seen: dict[int, tuple[int, float, float]] = {}
        self._url, self._dead_after, self._patience, self._now, self._pause = url, dead_after, patience, now, pause

    @property
    def where(self) -> str:
        """The address, without its password."""
        return masked(self._url)

    @cached_property
    def storage(self) -> server.Patient:
        """Optuna's storage; raises `InputError` for an unusable address, `LossregError` where nothing answers."""
        url = address.complete(self._url)
        return server.Patient(server.connect(url, self._patience), url, self._patience)

    @cached_property
    def workers(self) -> Workers:
        """Those who run the study."""
        workers = Workers(self.storage, self.name, self._dead_after, now=self._now, pause=self._pause)
        self.storage.require_turn = workers.require_turn
        return workers

    @property
    def is_busy(self) -> bool:
        """True while a worker is alive, as far as its beats say since this was asked for the first time."""
        now, seen = self._now(), {}
        for number, (beats, dead_after) in signs_of_life(self.storage, self.name).items():
            before, since, _ = self._seen.get(number, (-1, now, 0.0))
            seen[number] = beats, since if beats == before else now, max(dead_after, self._dead_after)
        self._seen = seen
        return any(now - since < limit for _, since, limit in seen.values())

    @contextmanager
    def announced(self) -> Iterator[ActivityFile]:
        """Announce nothing: each worker would have its own work."""
        yield ActivityFile(self.path)

    @property
    def activity(self) -> None:
        """None: of several workers it is not known."""
        return

    @property
    def exists(self) -> bool:
        """True if the study has ever been run."""
        try:
            self.storage.get_study_id_from_name(self.name)
        except KeyError:
            return False
        return True

    def peek(self) -> optuna.Study | None:
        """Return the Optuna study, for reading; None when it was never run. `noted` are its attributes at that time."""
        if not self.exists:
            return None
        study = optuna.load_study(study_name=self.name, storage=self.storage)
        self.noted = dict(study.user_attrs)
        return self._checked(study)

    @contextmanager
    def joined(self, task: str = TRAINS) -> Iterator[None]:
        """Be one of those who run the study."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.workers.join(task)
        self.workers.start()
        over = threading.Event()
        threading.Thread(target=self._notice, args=(over,), name="lossreg-notice", daemon=True).start()
        try:
            yield
        finally:
            over.set()
            # of a storage that does not answer others learn by the silence of this worker
            self.storage.hurry()
            with suppress(LossregError):
                self.workers.leave()

    def _notice(self, over: threading.Event) -> None:
        """Have it told that a call of the storage is waited for."""
        while not over.wait(LOOK):
            self.storage.notice()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only one who works on the study, as others that join wait; raises `InputError` where others run it."""
        workers = self.workers
        with self.joined(ALONE):
            since = workers.beats()
            for _ in workers.watch(lambda: [other for other in workers.others if other.number in since]):
                if alive := [other.name for other in workers.beating(since) if other.number in since]:
                    what = f"study {self.name!r} is being run by {', '.join(alive)}"
                    raise InputError(what, where=self.where, hint="Wait until it has ended, or end that worker.")
            yield

    def note_place(self, study: optuna.Study) -> list[str]:
        """Do nothing: the study lies in a database."""
        return []

    def require_journal(self, shell: str, python: str) -> None:
        """Raise `InputError`: others may be at work on it, and its damages are the database's to mend."""
        delete = f"`optuna delete-study --study-name {self.name} --storage URL`, and the same for {self.name}:workers"
        raise InputError(
            f"{words(shell, python)} is for a study whose trials are in a file; those of this one are shared",
            where=self.where,
            hint=f"Give the study another name; to start it over, {delete}.",
        )

    def require_turn(self) -> None:
        """Raise `ReplacedError` where others, which counted this process as dead, do its work."""
        self.workers.require_turn()

    def report_to(self, progress: Observer) -> None:
        """Tell an observer that the server does not answer or signs of life fail, and ask it whether to stop."""
        self.storage.warn = self.workers.warn = progress.warn
        self.storage.is_stopping = progress.stopping

    def require_free(self) -> None:
        """Do nothing: others may run the study."""

    def archive(self) -> Path | None:
        """Raise `InputError`."""
        self.require_journal("--fresh", "fresh=True")
        return None

    @contextmanager
    def opened(
        self, direction: str | Sequence[str], sampler: BaseSampler, pruner: optuna.pruners.BasePruner
    ) -> Iterator[optuna.Study]:
        """Have the Optuna study open, created by whoever comes first; direction: of the metric, or of several."""
        each = [direction] if isinstance(direction, str) else list(direction)
        storage = SharedStorage(self.storage, lambda: self.workers.number)
        yield optuna.create_study(
            study_name=self.name, storage=storage, sampler=sampler, pruner=pruner, directions=each,
            load_if_exists=True,
        )  # fmt: skip

    def drop_unfinished_line(self) -> None:
        """Do nothing: there are no lines."""

    def _part(self, kind: str) -> Path:
        return self.path / f"{kind}-{self.workers.number}.part"

    def _require_belonging(self, belongs: bool, otherwise: str) -> None:
        if not belongs:
            what = f"the study {self.name!r} there is not this one: {otherwise}"
            raise InputError(what, where=self.where, hint="Give the study another name.")

    def _damaged(self, reason: str) -> InputError:
        return InputError(f"the study there is damaged ({reason})", where=self.where, hint="Give it another name.")


def of(spec: StudySpec, folder: Path | None = None) -> StudyFolder:
    """Return what holds a study: the folder beside its file, or another one, and the storage that it names, if any."""
    named, url, folder = spec.storage, spec.storage_url, folder or spec.folder
    if url is None:
        return StudyFolder(folder, spec.name)
    return SharedStudy(folder, spec.name, url, dead_after=named.dead_after, patience=named.patience)
