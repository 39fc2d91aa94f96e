"""`Havoc`: four workers on one study, and what happens to them and their servers at random moments.

Nothing here imports lossreg: what runs are the commands, in processes of their own.
"""

from __future__ import annotations

import heapq
import itertools
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
WORKERS = 4
# signals by the name of what they do, at any time; SIGKILL before a trial has ended, and of a worker that finishes
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "pause": signal.SIGSTOP}
EARLY, FINISHING = "early", "finishing"
SERVERS = ("database", "tracking")
# what a worker says when it begins to finish the study
FINISHES = "this worker finishes the study"
# how a worker may end: it is done; it found no storage, before it has trained anything; by a signal of ours
DONE, NO_STORAGE, TRAINS = 0, 1, "trials of"
ENDS = {DONE, NO_STORAGE, 128 + signal.SIGTERM, -signal.SIGKILL}


class Plan(NamedTuple):
    """How often each thing happens in a study of so many trials, which is given up after `most` seconds."""

    trials: int
    most: float
    kill: int
    term: int
    pause: int
    database: int
    tracking: int
    early: int = 1
    finishing: int = 1

    @property
    def happening(self):
        """How often each thing happens."""
        return {kind: getattr(self, kind) for kind in (*SIGNALS, *SERVERS, EARLY, FINISHING)}

    def incidents(self, chance):
        """What happens, each when so many trials have ended and so many seconds more have passed, in order."""
        kinds = [kind for kind in (*SIGNALS, *SERVERS) for _ in range(getattr(self, kind))]
        incidents = [(chance.randint(1, self.trials * 4 // 5), chance.random(), kind) for kind in kinds]
        return sorted([*incidents, *[(0, 2 * chance.random(), EARLY)] * self.early])


class Worker:
    """A process that runs a command of lossreg; `log` has what it prints."""

    def __init__(self, context, arguments, log, pace):
        self.log, self.ended, self.writer, self.met_outage, self.finishes = log, set(), 0, False, False
        log.touch()
        self.wire, far_end = context.Pipe(duplex=False)
        self.process = context.Process(target=_command, args=(arguments, str(log), far_end, *pace))
        self.process.start()
        far_end.close()
        self.is_over = False

    @property
    def has_begun(self):
        """Whether it has printed anything: before that, a signal ends it as it ends any process."""
        return self.log.stat().st_size > 0

    def listen(self):
        """Take in what it tells: which trials have ended, that it finishes, and which process writes into MLflow."""
        try:
            kind, number = self.wire.recv()
        except EOFError:
            self.is_over = True
            return
        if kind == "ended":
            self.ended.add(number)
        elif kind == "finishes":
            self.finishes = True
        else:
            self.writer = number

    def signal(self, number):
        """Send a signal, unless it has ended."""
        if self.process.is_alive():
            os.kill(self.process.pid, number)


def _command(*arguments):
    import crew

    crew.command(*arguments)


def forked():
    """Processes forked from one that imports `crew`, which begins to do so."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crew"])
    # Python 3.11 does not give its own path to the server
    former = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH") if former is None else os.environ.update(PYTHONPATH=former)
    return context


class Havoc:
    """Runs `arguments` as four workers until all have done their part; one that is killed is replaced.

    servers: by name what can `stop` and `start`; pace: seconds of an epoch and slots of a worker; paused: seconds for
    which a worker stands still. `happened` counts what happened, which is written to standard error.
    """

    def __init__(self, plan, seed, arguments, folder, servers, *, pace, paused):
        self._context, self._arguments, self._folder, self._pace = forked(), arguments, folder, pace
        self._servers, self._paused, self._most, self._seed = servers, paused, plan.most, seed
        self._chance = random.Random(seed)
        self._incidents, self._finishers = plan.incidents(self._chance), plan.finishing
        self._due, self._order = [], itertools.count()
        self._down = Counter()
        self.happened, self.past, self._lines = Counter(), [], []
        self.workers = []

    def run(self):
        """Return when every worker has ended as one that has nothing left to do."""
        self._began = time.monotonic()
        self._note(f"seed {self._seed}")
        try:
            for _ in range(WORKERS):
                self._join()
            while self.workers:
                self._wait()
                self._bring_about()
        finally:
            for worker in self.workers:
                worker.process.kill()
        self._note(f"all have ended: {dict(self.happened)}")

    @property
    def seconds(self):
        return time.monotonic() - self._began

    @property
    def ended(self):
        """The numbers of the trials that are known to have ended."""
        return set().union(*(worker.ended for worker in (*self.past, *self.workers)))

    def command(self, *arguments):
        """Run one more command to its end, and return it."""
        worker = Worker(self._context, arguments, self._folder / f"{arguments[0]}.log", self._pace)
        while not worker.is_over:
            worker.listen()
        worker.process.join()
        return worker

    def _join(self):
        number = len(self.past) + len(self.workers)
        log = self._folder / f"worker-{number:02}.log"
        worker = Worker(self._context, self._arguments, log, self._pace)
        worker.met_outage = self._down["database"]
        self.workers.append(worker)

    def _wait(self):
        """Wait for news of a worker, its end, or what is due."""
        if self.seconds > self._most:
            raise TimeoutError(f"after {self.seconds:.0f} s {len(self.ended)} trials have ended\n{self.story()}")
        wires = {worker.wire: worker for worker in self.workers if not worker.is_over}
        ends = {worker.process.sentinel: worker for worker in self.workers}
        pause = self._due[0][0] - self.seconds if self._due else self._most - self.seconds
        for ready in connection.wait([*wires, *ends], timeout=max(0.0, pause)):
            if ready in wires:
                wires[ready].listen()
            else:
                self._leave(ends[ready])

    def _leave(self, worker):
        """Take away a worker that has ended, and replace it unless it was done."""
        worker.process.join()
        while not worker.is_over and worker.wire.poll():
            worker.listen()
        self.workers.remove(worker)
        self.past.append(worker)
        code = worker.process.exitcode
        self._note(f"{worker.log.stem} ended with {code}")
        is_excused = code != NO_STORAGE or (worker.met_outage and TRAINS not in worker.log.read_text())
        if code not in ENDS or not is_excused:
            raise AssertionError(f"{worker.log.stem} ended with exit code {code}\n{self.story()}")
        if code != DONE:
            self._join()

    # ------------------------------------------------------------------ what happens

    def _bring_about(self):
        """Let happen what is due."""
        for worker in self.workers:
            if worker.finishes and self.happened[FINISHING] < self._finishers:
                worker.finishes = False
                self._signal(FINISHING, worker)
        while self._incidents and len(self.ended) >= self._incidents[0][0]:
            _, delay, kind = self._incidents.pop(0)
            self._later(delay, self._hit, kind)
        while self._due and self._due[0][0] <= self.seconds:
            _, _, act, args = heapq.heappop(self._due)
            act(*args)

    def _later(self, delay, act, *args):
        heapq.heappush(self._due, (self.seconds + delay, next(self._order), act, args))

    def _hit(self, kind):
        if kind in SERVERS:
            self._stop(kind)
        elif able := [worker for worker in self.workers if kind != "term" or worker.has_begun]:
            self._signal(kind, self._chance.choice(able))
        elif self.workers:
            self._later(0.5, self._hit, kind)

    def _signal(self, kind, worker):
        worker.signal(SIGNALS.get(kind, signal.SIGKILL))
        self.happened[kind] += 1
        self._note(f"{kind} {worker.log.stem}")
        if kind == "pause":
            self._later(self._paused, worker.signal, signal.SIGCONT)

    def _stop(self, name):
        if self._down[name]:
            self._later(1.0, self._stop, name)
            return
        self._servers[name].stop()
        self._down[name] = True
        for worker in self.workers:
            worker.met_outage |= name == "database"
        self.happened[name] += 1
        self._note(f"{name} stopped")
        self._later(self._chance.uniform(0.5, 5.0), self._start, name)

    def _start(self, name):
        self._servers[name].start()
        self._down[name] = False
        self._note(f"{name} started")

    def _note(self, text):
        self._lines.append(f"{self.seconds:6.1f} s, {len(self.ended):3} trials: {text}")
        sys.stderr.write(f"{self._lines[-1]}\n")

    def story(self):
        """What happened, and the ends of all logs."""
        logs = (f"--- {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self._folder.glob("*.log")))
        return "\n".join([*self._lines, *logs])
