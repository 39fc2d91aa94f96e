"""`Workers`: those who run a study in one storage, with this process among them.

Each is a trial of a second Optuna study, `STUDY:workers`, whose storage makes what is needed of one: numbers that are
given once, and a state that ends once. A worker that is alive runs, and counts its beats in an attribute, which also
has its task; one that left is complete; one whose count stood still is ended as failed by whoever saw it, which it
notices at its next beat. No clock of one machine is compared with that of another.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from lossreg.errors import LossregError, ReplacedError, one_line
from lossreg.runtime import processes
from lossreg.storage import server

WORKER = "lossreg:worker"
# what a worker does: it trains, it has nothing left to train, or it is a command that has the study for itself
TRAINS, WAITS, ALONE = "trains", "waits", "alone"
# seconds between two looks at the storage while there is nothing to do but to wait
POLL = 0.5
# how often a worker beats within the time after which it counts as dead
BEATS = 12
# a sign of life that gets no answer for this share of that time is given again, on a new connection
SHARE = 1 / 3
# a worker that leaves waits for no longer until its last beat has ended
SECONDS_TO_LEAVE = server.SECONDS_TO_LEAVE
# workers that look at the others at each of their beats; later ones do so at every `BEATS`th, since one look reads all
WATCHERS = 4


@dataclass(frozen=True, slots=True)
class Worker:
    """One that runs the study: its number, in the order in which they came, name, `host:process:random`, and task.

    dead_after: its own, by which it is judged where that is the longer one.
    """

    number: int
    name: str
    task: str = TRAINS
    dead_after: float = 0.0


@dataclass(slots=True)
class Sighting:
    """The last sight of another worker: its beats, when they were read, and the seconds in which they did not change.

    after: the beats of this worker until then.
    """

    beats: int
    at: float
    after: int
    idle: float = 0.0


class Workers:
    """The workers of a study, as this process sees them.

    dead_after: seconds without a beat after which a worker counts as dead; of another one that beats more rarely, its
    own. `pulse` beats and may look at the others; `start` has a thread do so until `leave`.
    """

    def __init__(
        self, storage: BaseStorage, study: str, dead_after: float,
        *, now: Callable[[], float] = time.monotonic, pause: Callable[[float], Any] = time.sleep,
    ) -> None:  # fmt: skip
        self._storage, self._study_name = storage, f"{study}:workers"
        self.dead_after, self._now, self._pause = dead_after, now, pause
        self._task = TRAINS
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
        self._trial: optuna.Trial | None = None
        self._beats, self._turn = 0, -1
        self._sightings: dict[int, Sighting] = {}
        self._live: dict[int, Worker] = {}
        self._ended: set[int] = set()
        self._over = threading.Event()
        self._beating = threading.RLock()
        self._opened: optuna.Study | None = None
        self._is_quiet = False
        self.warn: Callable[[str], Any] = lambda text: None

    @property
    def number(self) -> int:
        """The number of this worker, -1 before it has joined."""
        return self._trial.number if self._trial is not None else -1

    @property
    def others(self) -> list[Worker]:
        """The other workers that are alive, as far as is known, in order."""
        live = self._live
        return [live[number] for number in sorted(live) if number != self.number]

    @property
    def longest(self) -> float:
        """The longest `dead_after` of all that are alive."""
        return max([self.dead_after, *(other.dead_after for other in self.others)])

    @property
    def exclusive(self) -> list[Worker]:
        """Commands that have the study for themselves, or are about to find that others run it."""
        return [other for other in self.others if other.task == ALONE]

    @property
    def peers(self) -> list[Worker]:
        """The other workers, without such commands."""
        return [other for other in self.others if other.task != ALONE]

    @property
    def before(self) -> list[Worker]:
        """The other workers that came before this one, in order."""
        return [peer for peer in self.peers if peer.number < self.number]

    @property
    def is_first(self) -> bool:
        """True if no worker that came before this one is alive."""
        return not self.before

    def beats(self) -> dict[int, int]:
        """Return the beats of each other worker, by number, when it was last looked at."""
        return {other.number: self._sightings[other.number].beats for other in self.others}

    def beating(self, since: Mapping[int, int]) -> list[Worker]:
        """Return the other workers that are certainly alive, since they have more `beats` than they had then."""
        now = self.beats()
        return [other for other in self.others if now.get(other.number) != since.get(other.number)]

    def watch(self, awaited: Callable[[], list[Worker]]) -> Iterator[list[Worker]]:
        """Yield the workers that are awaited, and look again, until there are none."""
        while workers := awaited():
            yield workers
            self._pause(POLL)
            self.look()

    def has_ended(self, number: int) -> bool:
        """Return whether that worker left or is dead."""
        return number in self._ended

    def join(self, task: str = TRAINS) -> None:
        """Become one of the workers, for a task, whose turn begins."""
        with self._asking():
            self._task = task
            self._enter()
            self.take_turn()

    def _enter(self) -> None:
        study, added = self._study, create_trial(state=TrialState.RUNNING, user_attrs={WORKER: self._about(0)})
        study_id = self._storage.get_study_id_from_name(self._study_name)
        # another worker may end it at once
        self._trial = optuna.Trial(study, self._storage.create_new_trial(study_id, added))
        self.look()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask the storage, one thread at a time, and give up before this worker would count as dead."""
        with self._beating, server.within(SHARE * self.dead_after):
            yield

    def start(self) -> None:
        """Send signs of life from a separate thread."""
        threading.Thread(target=self._beat_on, name="lossreg-beat", daemon=True).start()

    def _beat_on(self) -> None:
        while not self._over.wait(self.dead_after / BEATS):
            try:
                self.pulse()
            except LossregError:
                # the study's own thread meets it as well
                continue
            except Exception as error:
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._is_quiet:
            self._is_quiet = True
            self.warn(
                f"worker {self.name} cannot give a sign of life, or look at others ({one_line(error)}); they may count "
                "it as dead, and run its trials again"
            )

    def turn_to(self, task: str) -> None:
        """Say that this worker has another task, under a new number if it was counted as dead, and look at others."""
        self._task = task
        self.pulse()
        self.look()

    def take_turn(self) -> None:
        """Begin what this worker gives up if it counts as dead; what others left is read after this."""
        self._turn = self.number

    def require_turn(self) -> None:
        """Raise `ReplacedError` if this worker counted as dead since its turn began; its beat tells others it did not.

        A process that is none of the workers may write.
        """
        if self._trial is None:
            return
        self.pulse()
        if self.number != self._turn:
            raise ReplacedError(
                "this process gave no sign of life for a while and counted as dead: others have taken over what it was "
                "to write, so it writes no more. Run the command again"
            )

    def pulse(self) -> None:
        """Say that this worker is alive, under a new number if it was counted as dead; at times look at others."""
        with self._asking():
            if self._over.is_set():
                return
            self._beats += 1
            try:
                if self._trial is not None:
                    self._trial.set_user_attr(WORKER, self._about(self._beats))
            except UpdateFinishedTrialError:
                self._enter()
            if self._is_watcher or self._beats % BEATS == 0:
                self.look()

    @property
    def _is_watcher(self) -> bool:
        """True of the first few workers, as far as is known: they notice who died."""
        return sum(other.number < self.number for other in self.others) < WATCHERS

    def _about(self, beats: int) -> dict[str, Any]:
        about = {"name": self.name, "process": processes.mark(), "task": self._task, "beats": beats}
        return {**about, "dead_after": self.dead_after}

    def look(self) -> None:
        """Look at the others; one that did not beat for long, or whose process is gone, is dead."""
        with self._asking():
            trials = self._study.get_trials(deepcopy=False)
            self._ended = {trial.number for trial in trials if trial.state.is_finished()}
            live = [trial for trial in trials if trial.state == TrialState.RUNNING and WORKER in trial.user_attrs]
            dead = [trial.number for trial in live if trial.number != self.number and self._is_dead(trial)]
            for number in dead:
                self._end(number, TrialState.FAIL)
            self._live = {trial.number: _worker(trial) for trial in live if trial.number not in dead}

    def _is_dead(self, trial: FrozenTrial) -> bool:
        about, now = trial.user_attrs[WORKER], self._now()
        sighting = self._sightings.setdefault(trial.number, Sighting(about["beats"], now, self._beats))
        # a long time for the beats of this worker says that the storage did not answer: nobody could beat
        most = 2 * self.dead_after / BEATS * max(1, self._beats - sighting.after)
        sighting.idle = sighting.idle + min(now - sighting.at, most) if sighting.beats == about["beats"] else 0.0
        sighting.beats, sighting.at, sighting.after = about["beats"], now, self._beats
        return sighting.idle >= max(self.dead_after, _dead_after(trial)) or processes.has_ended(about["process"])

    def leave(self) -> None:
        """Be none of the workers any more; where a beat gets no answer for long, others learn it by the silence."""
        self._over.set()
        if not self._beating.acquire(timeout=SECONDS_TO_LEAVE):
            return
        try:
            if self._trial is not None:
                self._end(self._trial.number, TrialState.COMPLETE)
                self._trial = None
        finally:
            self._beating.release()

    def _end(self, number: int, state: TrialState) -> None:
        """End a worker, unless another one did."""
        with suppress(ValueError, UpdateFinishedTrialError):
            self._study.tell(number, 0.0 if state == TrialState.COMPLETE else None, state)
        self._ended.add(number)

    @property
    def _study(self) -> optuna.Study:
        """The study whose trials are the workers."""
        if self._opened is None:
            self._opened = optuna.create_study(
                study_name=self._study_name, storage=self._storage, sampler=RandomSampler(), load_if_exists=True
            )
        return self._opened


def signs_of_life(storage: BaseStorage, study: str) -> dict[int, tuple[int, float]]:
    """Return the beats of each worker of a study that has not left, and after how many seconds it counts as dead.

    Nothing is written; one whose process has ended is left out.
    """
    try:
        study_id = storage.get_study_id_from_name(f"{study}:workers")
    except KeyError:
        return {}
    trials = storage.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
    about = {trial.number: trial.user_attrs[WORKER] for trial in trials if WORKER in trial.user_attrs}
    alive = {number: mark for number, mark in about.items() if not processes.has_ended(mark["process"])}
    return {number: (mark["beats"], float(mark.get("dead_after", 0.0))) for number, mark in alive.items()}


def _worker(trial: FrozenTrial) -> Worker:
    return Worker(trial.number, _name(trial), trial.user_attrs[WORKER].get("task", TRAINS), _dead_after(trial))


def _dead_after(trial: FrozenTrial) -> float:
    return float(trial.user_attrs[WORKER].get("dead_after", 0.0))


def _name(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get(WORKER, {}).get("name", ""))
