"""Several workers on one study in a real PostgreSQL: an exact budget, nothing lost, nothing twice."""

from __future__ import annotations

import threading
from collections import Counter

import optuna
from fake_trainer import Fake
from optuna.trial import TrialState
from searches import ACCURACY, Heard, curve, proposer

from lossreg.search import history
from lossreg.search.policy import SearchPolicy
from lossreg.search.sampler import SeededSampler, enqueue_start
from lossreg.search.scheduler import Scheduler
from lossreg.search.shared_ask_tell import SharedAskTell
from lossreg.storage import trials as states
from lossreg.storage.records import StudyResult
from lossreg.storage.shared_study import SharedStudy
from lossreg.storage.trials import LOST, OWNER, RETRY_OF, START
from lossreg.training.pool import Pool

BASELINE, TRIALS = "cross_entropy", 16


class Joined:
    """A worker that has joined the study and is about to search; its beats are those that a test asks for."""

    def __init__(self, url, folder, trials=TRIALS, pruner=None, clock=None, **options):
        clock = clock or (lambda: 0.0)
        self.shared = SharedStudy(folder, "s", url, dead_after=60.0, patience=0.0)
        self.workers = self.shared.workers
        self.workers._now = clock
        self.workers.join()
        self.messages = []
        proposals = proposer()
        with self.shared.opened("maximize", SeededSampler(0), pruner or optuna.pruners.NopPruner()) as study:
            self.study = study
        if self.workers.is_first:
            start = {name: proposals.published(name)[0] for name in proposals.names}
            enqueue_start(self.study, start, trials, states.stands)
        self.ask_tell = SharedAskTell(
            self.study, proposals, trials, BASELINE, self.workers, message=self.messages.append, now=clock, **options
        )
        policy = SearchPolicy(trials, ACCURACY, BASELINE, prune=pruner is not None)
        losses = {name: name for name in proposals.names}
        result = StudyResult("s", "accuracy", "maximize", "multiclass", losses, BASELINE, history.records(self.study))
        self.heard = Heard()
        self.search = Scheduler(
            self.study, proposals, Pool([Fake(curve)]), policy, result=result, observers=[self.heard],
            ask_tell=self.ask_tell,
        )  # fmt: skip


def run_together(workers):
    """Have all workers search at the same time, as threads; raises what one of them raised."""
    errors = []

    def run(worker):
        try:
            worker.search.run()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def counted(study):
    return [trial for trial in study.get_trials(deepcopy=False) if states.has_place(trial)]


def test_racing_workers_spend_the_budget_exactly(database, tmp_path):
    workers = [Joined(database, tmp_path) for _ in range(4)]
    run_together(workers)
    fresh = Joined(database, tmp_path)
    trials = fresh.study.get_trials(deepcopy=False)
    assert Counter(trial.state for trial in trials if LOST not in trial.user_attrs) == {TrialState.COMPLETE: TRIALS}
    assert not [trial for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    records = history.records(fresh.study)
    assert len(records) == TRIALS
    starts = Counter(t.user_attrs[START] for t in counted(fresh.study) if START in t.user_attrs)
    assert set(starts.values()) == {1}
    # every worker trained some, told each of its own once, and heard of all others
    for worker in workers:
        own = [record.number for record in worker.heard.records]
        assert own == sorted(set(own), key=own.index)
        assert {record.number for record in records if record.worker == worker.workers.name} == set(own)
        assert len(worker.search.result.trials) == TRIALS
    assert sum(len(worker.heard.records) for worker in workers) == TRIALS
    tried = Counter(record.candidate for record in records)
    assert max(tried.values()) == tried[BASELINE]


def test_the_trial_of_a_dead_worker_runs_again_with_the_same_parameters_once(database, tmp_path):
    now = [0.0]
    dead, first, second = (Joined(database, tmp_path, clock=lambda: now[0]) for _ in range(3))
    lost = [dead.ask_tell.try_ask()[0] for _ in range(3)]
    # one of them had its result written, and only its end was cut off
    for worker in (first, second):
        worker.workers.pulse()
    for _ in range(13):
        now[0] += 5.0
        first.workers.pulse()
        second.workers.pulse()
    assert [other.name for other in first.workers.others] == [second.workers.name]
    run_together([first, second])
    trials = first.study.get_trials(deepcopy=False)
    for trial in lost:
        assert trials[trial.number].state == TrialState.FAIL
        [copy] = [t for t in trials if t.user_attrs.get(RETRY_OF) == trial.number and t.state == TrialState.COMPLETE]
        assert copy.params == trial.params
        assert copy.user_attrs[OWNER] in (first.workers.number, second.workers.number)
    assert len(history.records(first.study)) == TRIALS


def test_nobody_waits_for_what_a_dead_worker_would_have_chosen(database, tmp_path):
    now, pauses = [0.0], []
    dead, other = (Joined(database, tmp_path, clock=lambda: now[0], pause=pauses.append) for _ in range(2))
    while dead.ask_tell.queued:
        dead.ask_tell.try_ask()
    # cut off before they have a loss
    cut_off = [dead.study.ask().number for _ in range(4)]
    other.workers.pulse()
    for _ in range(13):
        now[0] += 5.0
        other.workers.pulse()
    other.search.run()
    assert pauses == []
    records = history.records(other.study)
    assert len(records) == TRIALS
    trials = other.study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get(RETRY_OF) for trial in trials if trial.state == TrialState.COMPLETE}
    assert set(cut_off) <= again
    tried = Counter(record.candidate for record in records)
    assert max(tried.values()) == tried[BASELINE]


def test_the_result_of_a_worker_that_was_held_for_dead_is_dropped(database, tmp_path):
    now = [0.0]
    paused, other = (Joined(database, tmp_path, clock=lambda: now[0]) for _ in range(2))
    former = paused.workers.number
    paused.search._fill()
    active = [active.subject.number for active in paused.search.active]
    assert active
    for _ in range(14):
        now[0] += 5.0
        other.workers.pulse()
    other.search.run()
    # it returns, finishes its epochs, and has nothing to say about them
    paused.workers.pulse()
    assert paused.workers.number > former
    paused.search.run()
    assert [record.number for record in paused.heard.records] == []
    assert sum("given to another worker" in message for message in paused.messages) == len(active)
    records = history.records(other.study)
    assert len(records) == TRIALS
    assert not {record.number for record in records} & set(active)
    assert {record.number for record in paused.search.result.trials} == {record.number for record in records}


def test_a_worker_that_leaves_gives_its_trials_back_at_once(database, tmp_path):
    leaving, other = (Joined(database, tmp_path) for _ in range(2))
    trials = [leaving.ask_tell.try_ask()[0] for _ in range(2)]
    leaving.ask_tell.give_back()
    other.search.run()
    records = {record.number: record for record in history.records(other.study)}
    assert len(records) == TRIALS
    copies = [
        t for t in other.study.get_trials(deepcopy=False) if t.user_attrs.get(RETRY_OF) in {t.number for t in trials}
    ]
    assert [copy.params for copy in copies] == [trial.params for trial in trials]
