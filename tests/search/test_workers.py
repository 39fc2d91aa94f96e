"""Several workers on one study in a real PostgreSQL: an exact budget, nothing lost, nothing twice."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, deque

import optuna
import psycopg
import pytest
from fake_trainer import Fake
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage, get_storage
from optuna.storages._grpc.server import make_server
from optuna.trial import TrialState
from populations import Factory
from postgres import PASSWORD, free_port
from searches import ACCURACY, EPOCHS, Heard, curve, proposer
from sqlalchemy.exc import OperationalError

from lossreg.errors import LossregError, UnansweredError
from lossreg.search import ask_tell, attributes, history, pruners
from lossreg.search.policy import SearchPolicy
from lossreg.search.proposer import Proposer
from lossreg.search.sampler import SeededSampler, enqueue_start
from lossreg.search.scheduler import Scheduler
from lossreg.search.shared_ask_tell import SharedAskTell
from lossreg.storage import server
from lossreg.storage import trials as states
from lossreg.storage.shared_storage import SharedStorage
from lossreg.storage.shared_study import SharedStudy
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import Outcome, TrialRecord
from lossreg.storage.trials import LOST, OWNER, RETRY_OF, START
from lossreg.storage.workers import BEATS, WATCHERS
from lossreg.training.pool import Pool

BASELINE, TRIALS = "cross_entropy", 16


@pytest.fixture
def memory(monkeypatch):
    """An address that stands for a storage in the memory of this process."""
    storage = InMemoryStorage()
    monkeypatch.setattr(server, "connect", lambda *args: storage)
    return "postgresql://db.example.org/studies"


class Joined:
    """A worker that has joined the study and is about to search; its beats are those that a test asks for.

    clock: of what it knows of others; reading: of how old the trials are that it read.
    """

    def __init__(
        self, url, folder, *, trials=TRIALS, pruner=None, clock=lambda: 0.0, reading=time.monotonic, patience=0.0,
        pool=None, **options,
    ):  # fmt: skip
        self.shared = SharedStudy(folder, "s", url, dead_after=60.0, patience=patience, now=clock)
        self.workers = self.shared.workers
        self.workers.join()
        self.messages = []
        proposals = proposer()
        storage = SharedStorage(self.shared.storage, lambda: self.workers.number, reading)
        self.study = optuna.create_study(
            study_name="s", storage=storage, sampler=SeededSampler(0), pruner=pruner or optuna.pruners.NopPruner(),
            direction="maximize", load_if_exists=True,
        )  # fmt: skip
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
            self.study, proposals, pool or Pool([Fake(curve)]), policy, result=result, observers=[self.heard],
            ask_tell=self.ask_tell,
        )  # fmt: skip


def sample(trial, plan, scores, outcome=Outcome.COMPLETE):
    """The record of a trial with these scores."""
    return TrialRecord.of_training(
        outcome, number=trial.number, candidate=plan.candidate, loss=plan.candidate, params=trial.params,
        loss_params={}, learning_rate=plan.learning_rate, curves={"val_score": scores}, chosen=len(scores),
        scores=[scores[-1]], predicts_only=None, default_score=None, decision={}, started=0.0,
    )  # fmt: skip


def run_together(workers):
    """Have all workers search at the same time, as threads; raises what one of them raised."""
    errors = []

    def run(worker):
        try:
            worker.search.run()
        except BaseException as error:
            errors.append(error)
            # as a run does, or the others would wait for it
            worker.workers.leave()

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


def test_the_baseline_ends_with_as_many_trials_of_all_workers_as_the_favourite(memory, tmp_path):
    workers, begun = [Joined(memory, tmp_path, trials=48) for _ in range(3)], deque()
    for worker in itertools.cycle(workers):
        if len(begun) < 6 and (asked := worker.ask_tell.try_ask()):
            begun.append((worker, *asked))
        elif begun:
            owner, trial, plan = begun.popleft()
            owner.ask_tell.tell(sample(trial, plan, [score := 0.9 if plan.candidate == "focal" else 0.1]), score)
        else:
            break
    workers[0].ask_tell.refresh()
    tried = Counter(record.candidate for record in history.records(workers[0].study))
    assert sum(tried.values()) == 48
    assert tried["mixed"] < tried["focal"]
    # one more where the last trial would make another loss lead
    assert tried[BASELINE] - tried["focal"] in (0, 1)


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


def test_a_worker_that_counts_as_dead_while_it_asks_goes_on_with_another_trial(database, tmp_path, monkeypatch):
    paused, other = Joined(database, tmp_path), Joined(database, tmp_path)
    suggest, taken = Proposer.suggest, []

    def suggested(proposals, trial):
        if not taken:
            taken.append(trial.number)
            other.ask_tell.refresh()
            states.requeue_interrupted(other.study, lambda running: running.number == trial.number)
        return suggest(proposals, trial)

    monkeypatch.setattr(Proposer, "suggest", suggested)
    paused.search.run()
    records = history.records(other.study)
    assert len(records) == TRIALS
    assert not {record.number for record in records} & set(taken)


def test_a_trial_runs_again_with_what_its_worker_wrote_last(database, tmp_path):
    now = [0.0]
    # what was read stays new for ever
    dead, other = (Joined(database, tmp_path, clock=lambda: now[0], reading=lambda: 0.0) for _ in range(2))
    while dead.ask_tell.queued:
        dead.ask_tell.try_ask()
    trial = dead.study.ask()
    assert other.ask_tell.news() == []
    dead.ask_tell.proposer.suggest(trial)
    for _ in range(13):
        now[0] += 5.0
        other.workers.pulse()
    other.search.run()
    trials = other.study.get_trials(deepcopy=False)
    [copy] = [again for again in trials if again.user_attrs.get(RETRY_OF) == trial.number]
    assert copy.params == trial.params
    assert len(trial.params) > 1


def test_of_many_workers_later_ones_look_rarely_and_notice_in_time_that_all_before_them_died(database, tmp_path):
    now = [0.0]
    *dead, last = (Joined(database, tmp_path, clock=lambda: now[0]) for _ in range(WATCHERS + 1))
    reads = counted_reads(last.shared.storage)
    for beats in range(1, BEATS + 1):
        now[0] += 60.0 / BEATS
        last.workers.pulse()
        assert reads() == beats // BEATS
    assert last.workers.others == []
    assert all(last.workers.has_ended(worker.workers.number) for worker in dead)


def counted_reads(storage, happen=lambda: None):
    """A function that returns how often all workers, or all trials, were read since; something happens each time."""
    count, read = [0], storage.get_all_trials

    def reading(*args, **kwargs):
        count[0] += 1
        happen()
        return read(*args, **kwargs)

    storage.get_all_trials = reading
    return lambda: count[0]


def test_a_worker_that_waits_reads_the_trials_more_rarely_where_that_takes_long(memory, tmp_path):
    now = [0.0]

    def passing(seconds):
        now[0] += seconds

    busy = Joined(memory, tmp_path, trials=3)
    waiting = Joined(memory, tmp_path, trials=3, reading=lambda: now[0], pause=passing)
    while busy.ask_tell.may_ask:
        busy.ask_tell.try_ask()
    reads = counted_reads(waiting.shared.storage, lambda: passing(2.0))
    stopping = iter([False] * 40 + [True])
    with pytest.raises(KeyboardInterrupt):
        waiting.ask_tell.wait(lambda: next(stopping))
    assert reads() <= 2
    assert now[0] >= 20.0


@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        (Outcome.COMPLETE, (TrialState.COMPLETE, [0.3])),
        (Outcome.PRUNED, (TrialState.PRUNED, [0.3])),
        (Outcome.FAILED, (TrialState.FAIL, None)),
    ],
)
def test_an_end_that_another_worker_told_from_the_record_stands(outcome, end, memory, tmp_path, monkeypatch):
    one, other = Joined(memory, tmp_path), Joined(memory, tmp_path)
    one.ask_tell.note_training(True)
    trial, plan = one.ask_tell.try_ask()
    trial.report(0.3, 1)
    record = sample(trial, plan, [0.3], outcome)

    def told_by_both(study, *told):
        other.ask_tell.refresh()
        states.requeue_interrupted(other.study, lambda running: running.number == trial.number)
        states.tell(study, *told)

    monkeypatch.setattr(ask_tell, "tell", told_by_both)
    assert one.ask_tell.tell(record, record.score)
    assert one.messages == []
    other.ask_tell.refresh()
    ended = other.study.trials[trial.number]
    assert (ended.state, ended.values) == end


class Away(InMemoryStorage):
    """Does not answer the next few records of trials."""

    left = 0

    def set_trial_user_attr(self, trial_id, key, value):
        if key == states.ATTRIBUTE and self.left:
            self.left -= 1
            gone = OperationalError("UPDATE", {}, Exception("connection refused"))
            raise StorageInternalError("An exception is raised during the commit.") from gone
        super().set_trial_user_attr(trial_id, key, value)


@pytest.mark.parametrize(("unanswered", "written", "again"), [(1, {0, 1, 2, 3}, set()), (99, set(), {0, 1, 2, 3})])
def test_ends_that_found_no_answer_are_written_as_the_worker_leaves_or_run_again(
    unanswered, written, again, tmp_path, monkeypatch
):
    storage = Away()
    monkeypatch.setattr(server, "connect", lambda *args: storage)
    worker = Joined("postgresql://db.example.org/studies", tmp_path, pool=Pool([Fake(curve, slots=4)]))
    storage.left = unanswered
    with pytest.raises(UnansweredError, match="trials whose end was written are kept"):
        worker.search.run()
    storage.left = 0
    worker.ask_tell.give_back()
    assert {record.number for record in history.records(worker.study)} == written
    trials = optuna.load_study(study_name="s", storage=storage).get_trials()
    copies = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    assert copies - {None} >= again
    assert not copies & written


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


def test_the_result_of_a_worker_that_counted_as_dead_is_dropped(database, tmp_path):
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


@pytest.mark.long
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


def test_a_study_whose_last_trials_were_given_back_is_not_finished(database, tmp_path):
    leaving = Joined(database, tmp_path, trials=3)
    while asked := leaving.ask_tell.try_ask():
        if asked[0].number < 2:
            leaving.ask_tell.tell(sample(*asked, [0.5]), 0.5)
    leaving.ask_tell.give_back()
    leaving.workers.leave()
    other = Joined(database, tmp_path, trials=3)
    assert other.ask_tell.known == 2
    assert not attributes.is_finished(other.study, 3, other.shared.counts)
    other.search.run()
    assert other.ask_tell.known == 3
    assert attributes.is_finished(other.study, 3, other.shared.counts)


class LeavesAfter(Heard):
    """Interrupts the search after so many trials."""

    def __init__(self, trials):
        super().__init__()
        self.trials = trials

    def stopping(self):
        return len(self.records) >= self.trials


def test_a_worker_that_runs_out_of_memory_goes_on_with_fewer_lanes_and_costs_no_trial(database, tmp_path):
    held, lines, factory = [], [], Factory()
    factory.ill = lambda key, plans: (held.append(len(plans)), MemoryError() if len(plans) > 2 else None)[1]
    pool = Pool([], populations=factory, slots=8)
    pool.warn = lines.append
    narrow = Joined(database, tmp_path, pool=pool)
    narrow.search.observers[0] = narrow.heard = LeavesAfter(4)
    with pytest.raises(KeyboardInterrupt):
        narrow.search.run()
    assert lines == [f"{n} models at a time did not fit into memory: {m} from now on" for n, m in ((8, 4), (4, 2))]
    assert held[:2] == [8, 4]
    assert {len(narrow.heard.records), *held[2:]} <= {2, 4}
    narrow.ask_tell.give_back()
    taken = narrow.study.get_trials()[:8]
    narrow.workers.leave()
    other = Joined(database, tmp_path)
    other.search.run()
    trials = other.study.get_trials(deepcopy=False)
    records = history.records(other.study)
    assert [record.state for record in records] == [Outcome.COMPLETE] * TRIALS
    assert {record.number for record in narrow.heard.records} <= {record.number for record in records}
    ended = [trial.params for trial in trials if trial.state == TrialState.COMPLETE]
    assert all(ended.count(trial.params) == 1 for trial in taken)


class Broken(Fake):
    """Trains nothing, as on a machine whose driver is gone."""

    def advance(self):
        raise RuntimeError("no device")


NOTHING_TRAINED = r"nothing can be trained here: the first 4 trials of this worker failed \(RuntimeError: no device\)"


def test_a_worker_on_which_nothing_can_be_trained_leaves_and_its_trials_run_elsewhere(database, tmp_path):
    broken = Joined(database, tmp_path, pool=Pool([Broken(curve)]))
    with pytest.raises(LossregError, match=NOTHING_TRAINED):
        broken.search.run()
    broken.ask_tell.give_back()
    broken.workers.leave()
    other = Joined(database, tmp_path)
    other.search.run()
    assert [record.state for record in history.records(other.study)] == [Outcome.COMPLETE] * TRIALS
    params = [trial.params for trial in other.study.get_trials() if trial.state == TrialState.COMPLETE]
    assert all(params.count(trial.params) == 1 for trial in other.study.get_trials()[:4])


def test_where_no_machine_can_train_anything_each_trial_fails_at_its_second_worker(database, tmp_path):
    first, second = (Joined(database, tmp_path, trials=6, pool=Pool([Broken(curve)])) for _ in range(2))
    with pytest.raises(LossregError, match=NOTHING_TRAINED):
        first.search.run()
    first.ask_tell.give_back()
    first.workers.leave()
    second.workers.look()
    second.search.run()
    assert [record.state for record in history.records(second.study)] == [Outcome.FAILED] * 6
    assert len(second.search.result.trials) == 6
    assert not [trial for trial in second.study.get_trials() if not trial.state.is_finished()]


@pytest.mark.long
def test_a_loss_that_fails_everywhere_costs_the_trials_that_try_it_and_no_worker(database, tmp_path):
    workers = [Joined(database, tmp_path, pool=Pool([Fake(curve, refused=("focal",))])) for _ in range(2)]
    run_together(workers)
    records = history.records(workers[0].study)
    assert len(records) == TRIALS
    assert {record.candidate for record in records if record.state == Outcome.FAILED} == {"focal"}
    for worker in workers:
        assert len(worker.search.result.trials) == TRIALS


def test_a_worker_whose_first_trials_are_all_of_a_loss_that_fails_stays(database, tmp_path):
    first = Joined(database, tmp_path)
    start = []
    while first.ask_tell.queued:
        start.append(first.ask_tell.try_ask())
    left = TRIALS - len(start)
    for _ in range(left):
        first.study.enqueue_trial({"loss": "focal"})
    second = Joined(database, tmp_path, pool=Pool([Fake(curve, refused=("focal",))]))
    for asked in start:
        first.ask_tell.tell(sample(*asked, [0.5]), 0.5)
    second.search.run()
    records = history.records(second.study)
    assert [record.state for record in records] == [Outcome.COMPLETE] * len(start) + [Outcome.FAILED] * left
    assert left >= 3


def test_a_restart_of_the_database_costs_no_trial(postgres, database, tmp_path):
    workers = [Joined(database, tmp_path, patience=120.0) for _ in range(3)]
    said, noticed = [], threading.Event()

    def warn(line):
        said.append(line)
        noticed.set()

    for worker in workers:
        worker.shared.storage.warn = warn

    class Restarting(Heard):
        def trial(self, record, result):
            super().trial(record, result)
            if len(self.records) in (1, 3):
                postgres.stop()
                # another worker's call meets it, if only that of its beat
                noticed.wait(60)
                postgres.start()

    workers[0].search.observers[0] = workers[0].heard = Restarting()
    run_together(workers)
    trials = workers[1].study.get_trials(deepcopy=False)
    assert len(history.records(workers[1].study)) == TRIALS
    assert not [trial for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    told = [record.number for worker in workers for record in worker.heard.records]
    assert sorted(told) == sorted(record.number for record in history.records(workers[1].study))
    assert said
    assert not any(PASSWORD in line for line in said)


def test_a_database_that_stays_away_ends_the_worker_and_others_run_its_trials(postgres, database, tmp_path):
    worker = Joined(database, tmp_path)

    class Stopping(Heard):
        def trial(self, record, result):
            super().trial(record, result)
            if len(self.records) == 2:
                postgres.stop()

    worker.search.observers[0] = worker.heard = Stopping()
    with pytest.raises(LossregError, match=r"has not answered for \d+ s"):
        worker.search.run()
    postgres.start()
    told = {record.number for record in worker.heard.records}
    worker.workers.leave()
    other = Joined(database, tmp_path)
    other.search.run()
    records = history.records(other.study)
    assert len(records) == TRIALS
    assert told <= {record.number for record in records}


@pytest.fixture
def proxy(database):
    """The address of Optuna's gRPC proxy before the database."""
    storage, port = get_storage(database), free_port()
    serving = make_server(storage, "127.0.0.1", port)
    serving.start()
    yield f"grpc://127.0.0.1:{port}"
    serving.stop(0).wait()


def test_workers_share_a_study_through_a_proxy(proxy, tmp_path):
    workers = [Joined(proxy, tmp_path) for _ in range(3)]
    given_up = [workers[0].ask_tell.try_ask()[0] for _ in range(2)]
    workers[0].ask_tell.give_back()
    run_together(workers)
    records = history.records(workers[0].study)
    assert len(records) == TRIALS
    again = [t for t in workers[0].study.get_trials(deepcopy=False) if RETRY_OF in t.user_attrs]
    assert [trial.params for trial in again] == [trial.params for trial in given_up]
    workers[0].workers.leave()
    workers[1].workers.look()
    assert [other.name for other in workers[1].workers.others] == [workers[2].workers.name]


@pytest.mark.parametrize("kind", ["median", pytest.param("asha", marks=pytest.mark.long)])
def test_pruning_sees_the_trials_of_other_workers_and_writes_no_epochs(kind, database, tmp_path):
    workers = [Joined(database, tmp_path, pruner=pruners.build(kind, EPOCHS)) for _ in range(2)]
    # the first worker alone has ended trials, all of them good ones
    for _ in range(8):
        trial, plan = workers[0].ask_tell.try_ask()
        record = sample(trial, plan, [0.9 + 0.01 * epoch for epoch in range(EPOCHS)])
        for epoch, score in enumerate(record.curves["val_score"], start=1):
            trial.report(score, epoch)
            assert not trial.should_prune() or kind == "asha"
        workers[0].ask_tell.tell(record, record.score)
    trial, _ = workers[1].ask_tell.try_ask()
    pruned = []
    for epoch in range(1, EPOCHS + 1):
        trial.report(0.1, epoch)
        pruned.append(trial.should_prune())
    assert any(pruned)
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT count(*) FROM trial_intermediate_values").fetchone() == (0,)
