"""Workers in a storage without a server: how they join, beat and leave where it or others misbehave."""

import threading
from concurrent.futures import Future

import optuna
from optuna.trial import TrialState

from lossreg.storage import server, workers
from lossreg.storage.server import Bounded
from lossreg.storage.workers import BEATS, WORKER, Workers


class Hasty(optuna.storages.InMemoryStorage):
    """Ends the first worker that joins, as another one may that cannot see its process."""

    is_ended = False

    def create_new_trial(self, study_id, template_trial=None):
        trial_id = super().create_new_trial(study_id, template_trial)
        if not self.is_ended:
            self.is_ended = True
            self.set_trial_state_values(trial_id, TrialState.FAIL)
        return trial_id


def test_a_worker_that_another_ends_at_once_joins_again():
    worker = Workers(Hasty(), "s", dead_after=60.0)
    worker.join()
    assert worker.has_ended(worker.number)
    worker.pulse()
    assert worker.number == 1
    assert not worker.has_ended(1)


class Stuck(optuna.storages.InMemoryStorage):
    """Does not answer beats until it is released."""

    def __init__(self):
        super().__init__()
        self.beaten, self.released = threading.Event(), threading.Event()

    def set_trial_user_attr(self, trial_id, key, value):
        self.beaten.set()
        self.released.wait()
        super().set_trial_user_attr(trial_id, key, value)


def test_a_worker_leaves_while_its_beat_gets_no_answer(monkeypatch):
    monkeypatch.setattr(workers, "SECONDS_TO_LEAVE", 0.05)
    storage = Stuck()
    worker = Workers(storage, "s", dead_after=60.0)
    worker.join()
    beat = threading.Thread(target=worker.pulse)
    beat.start()
    storage.beaten.wait()
    worker.leave()
    storage.released.set()
    beat.join()
    worker.pulse()
    [left] = storage.get_all_trials(0)
    # others take it for dead
    assert (left.state, left.user_attrs[WORKER]["beats"]) == (TrialState.RUNNING, 1)


class Broken(optuna.storages.InMemoryStorage):
    """Refuses beats."""

    def __init__(self):
        super().__init__()
        self.beats, self.is_asked_often = 0, threading.Event()

    def set_trial_user_attr(self, trial_id, key, value):
        self.beats += 1
        if self.beats > 2:
            self.is_asked_often.set()
        raise TypeError("no such thing")


def test_a_beat_that_fails_is_told_once_and_tried_again():
    storage, warnings = Broken(), []
    worker = Workers(storage, "s", dead_after=0.01)
    worker.warn = warnings.append
    worker.join()
    worker.start()
    storage.is_asked_often.wait()
    worker.leave()
    [line] = warnings
    assert worker.name in line
    assert "TypeError: no such thing" in line


def test_a_worker_that_beats_rarely_is_judged_by_its_own_time_and_dies_after_it():
    storage, now = optuna.storages.InMemoryStorage(), [0.0]
    slow, quick = (Workers(storage, "s", dead_after=seconds, now=lambda: now[0]) for seconds in (60.0, 3.0))
    for worker in (slow, quick):
        worker.join()

    def pass_time(seconds, beating):
        """Beat as often as each worker would."""
        for tick in range(int(seconds * 4)):
            now[0] += 0.25
            for worker in beating:
                if tick % (worker.dead_after * 4 / BEATS) == 0:
                    worker.pulse()

    pass_time(60, [slow, quick])
    assert (slow.number, quick.number) == (0, 1)
    assert [other.name for other in quick.others] == [slow.name]
    assert slow.longest == quick.longest == 60.0
    pass_time(50, [quick])
    assert not quick.has_ended(slow.number)
    pass_time(15, [quick])
    assert quick.has_ended(slow.number)
    assert quick.longest == 3.0


def test_a_beat_that_hangs_is_given_again_long_before_its_worker_counts_as_dead(monkeypatch):
    waited = []

    class Answer(Future):
        """Comes at once; notes for how long it would be waited for."""

        def result(self, timeout=None):
            waited.append(timeout)
            return super().result()

    monkeypatch.setattr(server, "Future", Answer)
    storage = Bounded(optuna.storages.InMemoryStorage, 100.0)
    worker = Workers(storage, "s", dead_after=60.0)
    for ask in (worker.join, worker.pulse, worker.look):
        waited.clear()
        ask()
        assert set(waited) == {20.0}
    waited.clear()
    storage.get_all_studies()
    assert waited == [100.0]
