"""The search loop, with a trainer that trains nothing."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import math
import os
import threading
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from fake_trainer import Fake
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from searches import ACCURACY, EPOCHS, LOSS, curve, loop, optuna_study, proposer, scheduler

from lossreg.errors import LossregError
from lossreg.search import history, pruners
from lossreg.search.checkpoints import Checkpoints
from lossreg.search.learning_curve import Patience
from lossreg.search.proposer import Proposer
from lossreg.search.sampler import MOST_SEEN, SeededSampler, seen
from lossreg.storage import journal
from lossreg.storage.journal import Journal
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE, tell
from lossreg.training.interface import EpochReport
from lossreg.training.pool import Failure, Placed, Pool, Waits


def run(trials=24, trainer=None, study=None, **options):
    search = loop(study or optuna_study(), trials, trainer, **options)
    search.run()
    return search


def test_every_trial_is_trained_for_all_its_epochs_and_told_its_last_score():
    search = run(24)
    assert len(search.heard.records) == 24
    for record in search.heard.records:
        assert record.state == "complete"
        assert len(record.curves["val_score"]) == EPOCHS
        assert record.score == record.curves["val_score"][-1]
        assert search.study.trials[record.number].value == record.score


def test_observers_are_told_while_an_epoch_lasts(monkeypatch):
    told = threading.Event()

    class Lasting(Fake):
        def advance(self):
            assert told.wait(60)
            return super().advance()

    monkeypatch.setattr("lossreg.search.scheduler.MEANWHILE", 0.01)
    search = loop(optuna_study(), trials=4, trainer=Lasting(curve))
    monkeypatch.setattr(search.heard, "meanwhile", told.set)
    search.run()
    assert len(search.heard.records) == 4


def test_a_freed_slot_is_refilled_at_the_next_epoch():
    ragged = Fake(
        lambda plan, epoch: math.nan if plan.candidate == "mixed" and epoch == 2 else curve(plan, epoch), slots=3
    )
    search = run(12, ragged)
    busy = {slot for slot, _ in ragged.opened}
    assert busy == {0, 1, 2}
    # 12 trials on 3 slots: were slots refilled only when all are free, four rounds of all epochs would be needed
    assert search.heard.epochs < 4 * EPOCHS


def test_slots_are_filled_lowest_first():
    fake = Fake(curve, slots=4)
    run(8, fake)
    assert [slot for slot, _ in fake.opened] == [0, 1, 2, 3] * 2


def test_two_runs_give_the_same_trials_and_scores():
    first, second = (run(20, Fake(curve, slots=3)) for _ in range(2))
    assert [(r.number, r.params, r.score) for r in first.heard.records] == [
        (r.number, r.params, r.score) for r in second.heard.records
    ]


@pytest.mark.parametrize(("metric", "told"), [(ACCURACY, 0.0), (LOSS, math.inf)])
def test_divergence_is_told_the_worst_score_and_the_slot_is_freed(metric, told):
    fake = Fake(lambda plan, epoch: math.nan if plan.candidate == "focal" and epoch == 3 else curve(plan, epoch))
    search = run(12, fake, metric=metric, study=optuna_study(metric=metric))
    diverged = [record for record in search.heard.records if record.state == "diverged"]
    assert {record.candidate for record in diverged} == {"focal"}
    for record in diverged:
        trial = search.study.trials[record.number]
        assert (trial.state, trial.value) == (TrialState.COMPLETE, told)
        assert record.score is None
        assert len(record.curves["val_score"]) == 3
        assert record.curves["val_score"][-1] is None


@pytest.mark.parametrize("direction", [1, -1])
def test_best_epoch_is_scored_when_the_study_asks_for_it(direction):
    metric = ACCURACY if direction > 0 else LOSS
    peaked = Fake(lambda plan, epoch: curve(plan, 1) - direction * 0.1 * (epoch - 3) ** 2)
    search = run(9, peaked, metric=metric, study=optuna_study(metric=metric), score_epoch="best")
    assert {record.epoch for record in search.heard.records} == {3}
    best = (max if direction > 0 else min)(search.heard.records, key=lambda record: record.score)
    assert search.heard.weights[best.number][0] == [3.0]


def test_weights_come_with_a_trial_exactly_when_it_is_the_best_so_far():
    search = run(24, keep="best")
    best = -math.inf
    for record in search.heard.records:
        assert (record.number in search.heard.weights) == (record.score > best)
        best = max(best, record.score)
    assert all(weights[0] == [EPOCHS] for weights in search.heard.weights.values())


def test_every_loss_starts_as_published_and_gets_its_share():
    search = run(24)
    first = sorted(search.heard.records, key=lambda record: record.number)[:3]
    assert [record.candidate for record in first] == ["cross_entropy", "focal", "mixed"]
    assert first[1].params["focal.gamma"] == 2.0
    assert all(record.learning_rate == pytest.approx(1e-3) for record in first)
    assert min(Counter(record.candidate for record in search.heard.records).values()) >= 4


@pytest.mark.parametrize("trials", [13, 24, 40])
@pytest.mark.parametrize("slots", [1, 5])
def test_the_baseline_ends_with_as_many_trials_as_any_other_loss(trials, slots):
    search = run(trials, Fake(curve, slots=slots))
    counts = Counter(record.candidate for record in search.heard.records)
    assert counts.total() == trials
    assert counts["cross_entropy"] >= max(counts["focal"], counts["mixed"])


def test_only_the_chosen_loss_s_parameters_are_suggested():
    for record in run(15).heard.records:
        names = {name.split(".")[0] for name in record.params if name != "learning_rate"}
        assert names <= {record.candidate}


def test_suggested_class_weights_have_mean_one_over_the_training_rows():
    focal = [record for record in run(15).heard.records if record.candidate == "focal"]
    for record in focal:
        assert 0.6 * record.loss_params["alpha"][0] + 0.3 * record.loss_params["alpha"][1] + 0.1 * record.loss_params[
            "alpha"
        ][2] == pytest.approx(1.0)
        ratio = record.loss_params["alpha"][2] / record.loss_params["alpha"][0]
        assert ratio == pytest.approx(record.params["focal.alpha.c"])
        assert "focal.alpha.a" not in record.params


class Late(Fake):
    """Lets the deadline pass in the epoch before the last."""

    def advance(self):
        reports = super().advance()
        if next(iter(reports.values())).epoch == EPOCHS - 1:
            self.loop.policy = dataclasses.replace(self.loop.policy, deadline=time.monotonic() - 1)
        return reports


def test_no_trial_starts_after_the_deadline_and_those_begun_are_finished():
    search = run(24, Fake(curve, slots=4), deadline=time.monotonic() - 1)
    assert [record.candidate for record in search.heard.records] == ["cross_entropy", "focal", "mixed"]
    slow = loop(optuna_study(), 24, Late(curve, slots=4), deadline=1e9)
    slow.pool.trainers[0].loop = slow
    slow.run()
    assert len(slow.heard.records) == 4
    # what was asked for ahead and never began is asked for again
    assert not [trial for trial in slow.study.trials if trial.state == TrialState.RUNNING]
    run(24, Fake(curve), study=slow.study)
    assert Counter(record.state for record in history.records(slow.study)) == {"complete": 24}


def test_pruning_spares_the_first_third():
    study = optuna_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    search = run(24, Fake(curve, slots=2), study=study, prune=True)
    pruned = [record for record in search.heard.records if record.state == "pruned"]
    assert pruned
    assert all(len(record.curves["val_score"]) > EPOCHS / 3 for record in pruned)
    assert all(search.study.trials[record.number].state == TrialState.PRUNED for record in pruned)


class Failing(Fake):
    """Raises in its seventh epoch, and in every one of `ill`'s."""

    def __init__(self, *args, ill=(), **kwargs):
        super().__init__(*args, **kwargs)
        self.calls, self.ill = 0, ill

    def advance(self):
        self.calls += 1
        if self.ill and any(plan.candidate in self.ill for plan, _ in self._open.values()):
            raise ValueError("cannot train this")
        if not self.ill and self.calls == 7:
            raise RuntimeError("out of memory")
        return super().advance()


def test_an_exception_among_many_fails_those_it_hit_and_the_next_run_has_as_many_again():
    search = run(24, Failing(curve, slots=4))
    assert Counter(record.state for record in search.heard.records) == {"complete": 20, "failed": 4}
    assert {r.reason for r in search.heard.records if r.state == "failed"} == {"RuntimeError: out of memory"}
    run(24, Fake(curve), study=search.study)
    assert Counter(record.state for record in history.records(search.study)) == {"complete": 24, "failed": 4}


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit("done"), type("Stop", (KeyboardInterrupt,), {})("now")])
def test_what_would_end_the_program_fails_the_trials_that_it_hit(error):
    class Ends(Fake):
        def advance(self):
            if any(plan.candidate == "mixed" and epoch == 2 for plan, epoch in self._open.values()):
                raise error
            return super().advance()

    search = run(12, Ends(curve, slots=1))
    failed = [record for record in search.heard.records if record.state == "failed"]
    assert {record.candidate for record in failed} == {"mixed"}
    assert {record.reason for record in failed} == {f"{type(error).__name__}: {error}"}
    assert Counter(record.state for record in search.heard.records) == {
        "complete": 12 - len(failed),
        "failed": len(failed),
    }


def test_what_always_fails_among_many_ends_the_run_and_the_next_one_trains_what_was_open():
    search = loop(optuna_study(), 24, Failing(curve, slots=4, ill=("cross_entropy", "focal", "mixed")))
    with pytest.raises(LossregError, match="cannot train this"):
        search.run()
    assert Counter(record.state for record in search.heard.records) == {"failed": 8}
    lost = [active.subject.params for active in (*search.active, *search.waiting)]
    run(24, Fake(curve), study=search.study)
    records = [record for record in history.records(search.study) if record.state == "complete"]
    assert len(records) == 24
    for params in lost:
        assert sum({"loss": r.candidate, **r.params} == params for r in records) == 1


def test_a_plan_that_fails_alone_fails_and_the_others_go_on():
    search = run(12, Failing(curve, slots=1, ill=("mixed",)))
    states = {(record.candidate, record.state) for record in search.heard.records}
    assert states == {("mixed", "failed"), ("cross_entropy", "complete"), ("focal", "complete")}
    assert {r.reason for r in search.heard.records if r.state == "failed"} == {"ValueError: cannot train this"}
    assert len(search.heard.records) == 12
    mended = run(12, Fake(curve), study=search.study)
    assert Counter(r.state for r in history.records(mended.study))["complete"] == 12


def test_predictions_outside_the_metric_s_domain_train_on_and_are_told_the_worst_only_at_the_end():
    def outside(plan, epoch):
        return -math.inf if plan.candidate == "focal" or epoch < 3 else curve(plan, epoch)

    trainer = Fake(outside)
    trainer._report = lambda plan, epoch: EpochReport(epoch, 1.0, 1.0, 0.0, outside(plan, epoch))
    search = run(12, trainer)
    for record in search.heard.records:
        assert len(record.curves["val_score"]) == EPOCHS
        assert record.state == ("diverged" if record.candidate == "focal" else "complete")
        assert ("domain" in record.reason) == (record.candidate == "focal")


class Cut(BaseException):
    """A kill."""


@pytest.mark.parametrize("state", ["complete", "diverged"])
def test_a_trial_cut_off_before_optuna_was_told_is_told_not_trained_again(tmp_path, monkeypatch, state):
    def study():
        return optuna_study(JournalStorage(JournalFileBackend(str(tmp_path / "journal.log"))))

    told = []

    def cut(study, number, state, value):
        told.append((number, value))
        if len(told) == 4:
            raise Cut
        tell(study, number, state, value)

    shape = curve if state == "complete" else lambda plan, epoch: math.nan
    monkeypatch.setattr("lossreg.search.ask_tell.tell", cut)
    with pytest.raises(Cut):
        loop(study(), 12, Fake(shape, slots=4)).run()
    monkeypatch.undo()
    search = run(12, Fake(shape, slots=4), study=study())
    records = history.records(search.study)
    assert Counter(record.state for record in records) == {state: 12}
    assert search.study.trials[told[3][0]].value == told[3][1]


def test_among_equals_the_best_is_the_first_by_number_and_its_weights_are_kept():
    trainers = [
        Fake(lambda plan, epoch: 0.5, slots=2, refused=("cross_entropy",)),
        Fake(lambda plan, epoch: 0.5, slots=1),
    ]
    search = scheduler(optuna_study(), 12, Pool(trainers), keep="best")
    search.run()
    assert min(record.number for record in search.heard.records) == 0
    assert list(search.heard.weights)[-1] == 0


def test_a_full_trainer_does_not_keep_another_one_idle():
    wide, narrow = Fake(curve, slots=8, refused=("cross_entropy",)), Fake(curve, slots=1)
    busy = []
    advance = wide.advance
    wide.advance = lambda: busy.append(len(wide._open)) or advance()
    scheduler(optuna_study(), 60, Pool([wide, narrow]), baseline="focal").run()
    assert sum(busy) / len(busy) > 4


class Killed(Fake):
    """Is interrupted after a number of epochs."""

    def __init__(self, *args, after, **kwargs):
        super().__init__(*args, **kwargs)
        self.left = after

    def advance(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().advance()


def test_a_study_in_a_hurry_keeps_the_baseline_abreast():
    search = loop(optuna_study(), 200, Killed(curve, slots=4, after=8 * EPOCHS), deadline=time.monotonic() + 1e6)
    with pytest.raises(KeyboardInterrupt):
        search.run()
    counts = Counter(record.candidate for record in search.heard.records)
    assert counts["cross_entropy"] >= max(counts.values()) - search.pool.slots - 1


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_an_interrupted_study_ends_with_every_trial_once(tmp_path, kind):
    def study():
        storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
        return optuna_study(storage, kind=kind)

    interrupted = []
    for after in (9, 3, 14):
        search = loop(study(), 32, Killed(curve, slots=4, after=after))
        with pytest.raises(KeyboardInterrupt):
            search.run()
        interrupted += [active.subject.params for active in (*search.active, *search.waiting)]
    search = run(32, Fake(curve, slots=4), study=study())
    records = history.records(search.study)
    assert len(records) == 32
    params = [(record.candidate, tuple(sorted(record.params.items()))) for record in records]
    assert len(set(params)) == 32
    for lost in interrupted:
        key = (lost["loss"], tuple(sorted((k, v) for k, v in lost.items() if k != "loss")))
        assert key in params


def test_a_resumed_random_search_asks_what_an_unbroken_one_asks(tmp_path):
    proposals = proposer()

    def sample(study, count):
        for _ in range(count):
            trial = study.ask()
            proposals.suggest(trial)
            study.tell(trial, 0.5)

    whole = optuna_study(kind="random")
    sample(whole, 10)
    path = str(tmp_path / "journal.log")
    for count in (4, 6):
        sample(optuna_study(JournalStorage(JournalFileBackend(path)), kind="random"), count)
    parted = optuna_study(JournalStorage(JournalFileBackend(path)))
    assert [trial.params for trial in parted.trials] == [trial.params for trial in whole.trials]


def test_a_refused_loss_goes_to_the_next_trainer_with_the_reason():
    first, second = Fake(curve, slots=3, refused=("focal",)), Fake(curve, slots=1)
    second.name = "fit"
    search = scheduler(optuna_study(), 24, Pool([first, second]))
    search.run()
    assert len(search.heard.records) == 24
    for record in search.heard.records:
        assert (record.trainer, record.refusal) == (
            ("fit", "focal is refused") if record.candidate == "focal" else ("fake", "")
        )


# ------------------------------------------------------------------- folds and seeds


def by_member(plan, epoch):
    """Every member another score, the same in the mean as without members."""
    return curve(plan, epoch) + 0.02 * (plan.fold - 0.5) + 0.01 * (plan.seed - 0.5)


class Crowd(Fake):
    """Has the fold and seed of a plan for weights, and counts its lanes at every epoch."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.busy = []

    def advance(self):
        self.busy.append(len(self._open))
        return super().advance()

    def weights(self, slot):
        plan, epoch = self._open[slot]
        return [np.array([plan.fold, plan.seed, epoch])]


@pytest.mark.parametrize("slots", [4, 6, 9])
def test_a_trial_of_folds_and_seeds_is_scored_by_the_mean_of_all_its_members(slots):
    crowd = Crowd(by_member, slots=slots)
    search = run(12, crowd, folds=2, seeds=2)
    alone = {record.number: record for record in run(12, study=optuna_study(kind="random")).heard.records}
    assert set(crowd.busy) == {4 * (slots // 4)}
    for record in search.heard.records:
        scores = [
            by_member(SimpleNamespace(**vars_of(record), fold=fold, seed=seed), EPOCHS) for fold in (0, 1)
            for seed in (0, 1)
        ]  # fmt: skip
        assert record.scores == pytest.approx(scores)
        assert record.score == pytest.approx(np.mean(scores))
        assert record.spread == pytest.approx(np.std(scores, ddof=1))
        assert search.study.trials[record.number].value == record.score
    assert search.heard.records[0].score == pytest.approx(alone[search.heard.records[0].number].score)
    assert {tuple(weights[0]) for weights in search.heard.weights.values()} == {(0, 0, EPOCHS)}
    assert history.records(search.study) == sorted(search.heard.records, key=lambda record: record.number)


def vars_of(record):
    return {"candidate": record.candidate, "params": record.loss_params, "learning_rate": record.learning_rate}


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_a_trial_ends_as_a_whole_when_a_member_does_and_says_which(state):
    def ill(plan, epoch):
        if plan.candidate == "mixed" and plan.fold == 1 and plan.seed == 7 and epoch == 2:
            if state == "failed":
                raise ValueError("cannot train this")
            return math.nan
        return curve(plan, epoch)

    members = [Fake(ill, slots=1) for _ in range(4)]
    search = scheduler(optuna_study(), 12, Members(members), proposals=proposer(seed=6), folds=2, seeds=2)
    search.run()
    records = search.heard.records
    assert Counter((r.candidate, r.state) for r in records if r.state != "complete") == {("mixed", state): 4}
    reasons = {record.reason for record in records if record.candidate == "mixed"}
    assert len(reasons) == 1
    assert reasons.pop().endswith(" (fold 2 of 2, seed 7)")
    assert not any(member._open for member in members)


class Members:
    """A pool that puts every member of the one trial under way into a trainer of its own."""

    def __init__(self, trainers):
        self.trainers, self.slots, self.taken = trainers, len(trainers), set()

    def place(self, plan, number, avoids):
        return Waits() if self.taken else Placed(tuple(range(number)), self.trainers[0].name)

    def open(self, slot, plan):
        self.taken.add(slot)
        self.trainers[slot].open(0, plan)

    def advance(self):
        reports, failures = {}, {}
        for slot in sorted(self.taken):
            try:
                reports[slot] = self.trainers[slot].advance()[0]
            except ValueError as error:
                failures[slot] = Failure(error)
        return reports, failures

    def weights(self, slot):
        return self.trainers[slot].weights(0)

    def close(self, slot):
        self.taken.discard(slot)
        self.trainers[slot].close(0)


def test_members_that_no_trainer_has_room_for_end_the_run_with_the_reason():
    with pytest.raises(LossregError, match="6 slots"):
        run(12, Fake(curve, slots=4), folds=3, seeds=2)


# ------------------------------------------------------------------- early stopping


def peaked(plan, epoch):
    return curve(plan, 1) - 0.1 * (epoch - 3) ** 2


@pytest.mark.parametrize(("score_epoch", "chosen"), [("best", 3), ("last", 5)])
def test_a_trial_that_gets_no_better_stops_and_is_complete(score_epoch, chosen):
    rules = {"patience": Patience(2), "score_epoch": score_epoch, "keep": "all"}
    search = run(12, Fake(peaked), **rules)
    for record in search.heard.records:
        assert (record.state, record.epoch, record.epochs) == ("complete", chosen, 5)
        assert record.score == record.curves["val_score"][chosen - 1]
        assert search.heard.weights[record.number][0] == [chosen]


def test_scores_outside_the_metric_s_domain_do_not_count_as_waiting():
    late = Fake(lambda plan, epoch: -math.inf if epoch < 5 else curve(plan, epoch))
    late._report = lambda plan, epoch: EpochReport(epoch, 1.0, 1.0, 0.0, late.curve(plan, epoch))
    assert {r.state for r in run(6, late, patience=Patience(2)).heard.records} == {"complete"}


# ------------------------------------------------------------------- pruners


def hopeless(plan, epoch):
    return curve(plan, epoch) - (0.4 if plan.candidate == "mixed" else 0.0)


@pytest.mark.parametrize("epochs", [1, 4, 9, 20])
@pytest.mark.parametrize("name", ["median", "asha", "hyperband"])
def test_a_pruner_spares_the_first_third_and_ends_bad_trials_after_it(name, epochs):
    def pruned():
        study = optuna_study(pruner=pruners.build(name, epochs))
        pruners.begin(study)
        return run(40, Fake(hopeless, slots=4), study=study, proposals=proposer(epochs=epochs), prune=True)

    search, again = pruned(), pruned()
    ended = [record for record in search.heard.records if record.state == "pruned"]
    assert all(epochs / 3 < record.epochs < epochs for record in ended)
    assert all(search.study.trials[record.number].state == TrialState.PRUNED for record in ended)
    assert Counter(record.candidate for record in ended)["mixed"] >= (epochs > 1)
    assert search.heard.records[-1].state in ("complete", "pruned")
    told = [[(r.number, r.params, r.score, r.state) for r in one.heard.records] for one in (search, again)]
    assert told[0] == told[1]


@pytest.mark.parametrize("name", ["median", "asha", "hyperband"])
def test_a_pruned_study_is_resumed(tmp_path, name):
    def study():
        storage = JournalStorage(Journal(tmp_path / "journal.log"))
        created = optuna_study(storage, pruner=pruners.build(name, EPOCHS))
        pruners.begin(created)
        return created

    for after in (9, 14):
        with pytest.raises(KeyboardInterrupt):
            loop(study(), 40, Killed(hopeless, slots=4, after=after), prune=True).run()
    search = run(40, Fake(hopeless, slots=4), study=study(), prune=True)
    records = history.records(search.study)
    assert len(records) == 40
    assert Counter(record.state for record in records)["pruned"]
    assert all(record.epochs > EPOCHS / 3 for record in records)


def test_hyperband_s_brackets_are_those_of_the_study_from_the_first_question_on():
    study = optuna_study(pruner=pruners.build("hyperband", 30))
    pruners.begin(study)
    brackets = {study.pruner._get_bracket_id(study, SimpleNamespace(number=number)) for number in range(40)}
    assert brackets == {0, 1}
    assert not study.trials


def test_a_pruner_that_fails_is_left_out_and_said_once():
    class Broken(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            raise ZeroDivisionError("rungs")

    search = run(12, study=optuna_study(pruner=Broken()), prune=True)
    assert {record.state for record in search.heard.records} == {"complete"}
    assert search.heard.warnings == ["the pruner failed, and nothing more is pruned: ZeroDivisionError: rungs"]


# ------------------------------------------------------------------- what ends a run


@pytest.mark.parametrize("error", [LossregError("no room"), OSError(28, "No space left on device")])
def test_trials_that_ended_in_the_epoch_before_an_error_are_told(error):
    search = loop(optuna_study(), 24, Fake(curve, slots=4))

    def epoch(active, epochs_done):
        search.heard.epochs += 1
        if search.heard.epochs == EPOCHS:
            raise error

    search.heard.epoch = epoch
    with pytest.raises(type(error)):
        search.run()
    assert Counter(record.state for record in history.records(search.study)) == {"complete": 4}


def test_a_full_disk_is_no_failing_pruner(monkeypatch):
    def report(trial, value, step):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(optuna.Trial, "report", report)
    search = loop(optuna_study(pruner=optuna.pruners.MedianPruner()), 12, prune=True)
    with pytest.raises(OSError, match="No space left"):
        search.run()
    assert search.heard.warnings == []


def test_nothing_is_asked_for_while_more_trials_are_under_way_than_there_are_slots():
    # twelve trials are known: the sampler learns from here on, and for eight at a time it knows too little
    search, seen = loop(run(12).study, 36, Fake(curve, slots=8)), []

    def epoch(active, epochs_done):
        search.pool.resize(3)
        seen.append((active, search.started))

    search.heard.epoch = epoch
    search.run()
    assert seen[:EPOCHS] == [(8, 20)] * (EPOCHS - 1) + [(0, 20)]
    assert max(active for active, _ in seen[EPOCHS:]) == 3


class Shut(Fake):
    """Opens no plan of one loss."""

    def open(self, slot, plan):
        if plan.candidate == "mixed":
            raise ValueError("no memory")
        super().open(slot, plan)


def test_a_plan_that_its_trainer_cannot_open_fails_and_the_others_go_on():
    search = run(12, Shut(curve, slots=3))
    states = {(record.candidate, record.state, record.reason) for record in search.heard.records}
    assert states == {
        ("mixed", "failed", "ValueError: no memory"), ("cross_entropy", "complete", ""), ("focal", "complete", ""),
    }  # fmt: skip


# ------------------------------------------------------------------- weights


def test_the_weights_of_every_loss_s_best_are_kept_or_of_all():
    search = run(24)
    best = {}
    for record in sorted(search.heard.records, key=lambda r: r.number):
        if record.candidate not in best or record.score > best[record.candidate].score:
            best[record.candidate] = record
    assert {record.number for record in best.values()} <= set(search.heard.weights)
    assert len(search.heard.weights) < 24
    assert len(run(24, keep="all").heard.weights) == 24


# ------------------------------------------------------------------- the search beside training


class Asked(Fake):
    """Ends its late epochs only when a trial was asked for meanwhile."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked, self.met = threading.Event(), 0

    def advance(self):
        if self._open and next(iter(self._open.values()))[1] >= 3 and len(self.opened) < 24:
            self.met += self.asked.wait(5)
            self.asked.clear()
        return super().advance()


def test_trials_are_asked_for_while_the_epoch_before_is_trained(monkeypatch):
    waits, proposals, suggest = Asked(curve, slots=3), proposer(), Proposer.suggest
    monkeypatch.setattr(Proposer, "suggest", lambda self, trial: waits.asked.set() or suggest(self, trial))
    search = scheduler(optuna_study(kind="random"), 24, Pool([waits]), proposals=proposals)
    waits.asked.clear()
    search.run()
    # three successors in the last three epochs of each of seven rounds
    assert waits.met == 21
    assert [slot for slot, _ in waits.opened] == [0, 1, 2] * 8


def test_nothing_is_asked_ahead_while_the_sampler_knows_little():
    known = {}
    study = optuna_study()
    ask = study.ask

    def counted():
        known[len(study.trials)] = sum(trial.state.is_finished() for trial in study.trials)
        return ask()

    study.ask = counted
    run(60, Fake(curve, slots=8), study=study)
    # twelve trials start the study, whatever they bring; with eight under way, sixteen known are enough
    assert {known[number] for number in known if 12 <= number < 16} == {8}
    assert all(known[number] >= 16 and known[number] >= number - 17 for number in known if number >= 16)


def test_the_times_add_up(monkeypatch):
    ticks, now = itertools.count(), []

    def clock():
        now.append(next(ticks))
        return now[-1]

    monkeypatch.setattr(
        "lossreg.search.scheduler.time",
        SimpleNamespace(perf_counter=clock, monotonic=time.monotonic, time=time.time),
    )
    search = loop(optuna_study(), 24)
    search.run()
    assert search.seconds["training"] + search.seconds["search"] == now[-1] - now[0]
    assert search.seconds["search_spent"] >= search.seconds["search"] > 0


SHARED = {"x": optuna.distributions.FloatDistribution(0, 1)}


def told(values, states=()):
    """A study with trials of these values, and in these states."""
    study = optuna_study(metric=LOSS)
    for number, value in enumerate(values):
        state = dict(states).get(number, TrialState.COMPLETE)
        score = value if state == TrialState.COMPLETE else None
        study.add_trial(optuna.trial.create_trial(state=state, value=score, params={"x": 0.5}, distributions=SHARED))
    return study


def test_with_many_trials_the_sampler_is_shown_the_newest_and_those_that_run_beside_them():
    ends = {3: TrialState.RUNNING, 200: TrialState.RUNNING, 204: TrialState.PRUNED, 205: TrialState.FAIL}
    trials = told(np.random.default_rng(0).random(400), ends | {399: TrialState.RUNNING}).get_trials(deepcopy=False)
    first = 399 - MOST_SEEN - 2  # 200 runs, 205 failed
    shown = [trial.number for trial in seen(trials, 399)]
    assert shown == [number for number in range(first, 399) if number != 205]
    assert [trial.number for trial in seen(trials[:MOST_SEEN], MOST_SEEN)] == [n for n in range(MOST_SEEN) if n != 205]
    running = told(np.zeros(900), dict.fromkeys(range(300, 900), TrialState.RUNNING)).get_trials(deepcopy=False)
    assert len(seen(running, 899)) == MOST_SEEN + 599


def test_the_sampler_looks_at_no_more_trials_late_in_a_study_than_early(monkeypatch):
    looked, sample = [], optuna.samplers.TPESampler.sample_relative
    monkeypatch.setattr(
        optuna.samplers.TPESampler, "sample_relative",
        lambda self, study, *others: looked.append(len(study.get_trials(False))) or sample(self, study, *others),
    )  # fmt: skip
    for count in (100, 600, 1800):
        study = told(np.random.default_rng(0).random(count))
        study.tell(trial := study.ask(), trial.suggest_float("x", 0, 1))
    assert looked[0] == 100
    assert max(looked) <= MOST_SEEN


class Drawn(optuna.samplers.BaseSampler):
    """Gives each parameter to a sampler of Optuna that is made for it."""

    def __init__(self, kind, seed):
        self.kind, self.seed = kind, seed

    def made(self, trial, parameter=""):
        seed = np.random.SeedSequence([self.seed, trial.number, *parameter.encode()]).generate_state(1)[0]
        return self.kind(seed=int(seed))

    def infer_relative_search_space(self, study, trial):
        return self.made(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        return self.made(trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self.made(trial, param_name).sample_independent(study, trial, param_name, param_distribution)


def asked(sampler, count):
    """What a sampler draws that knows so many trials."""
    study = optuna.create_study(study_name="s", sampler=sampler, direction="maximize")
    proposals, rng = proposer(), np.random.default_rng(1)
    for _ in range(count):
        trial = optuna.trial.FixedTrial({"loss": "mixed", "mixed.eps": rng.uniform(0, 0.3), "learning_rate": 0.001})
        proposals.suggest(trial)
        study.add_trial(
            optuna.trial.create_trial(value=rng.random(), params=trial.params, distributions=trial.distributions)
        )
    trial = study.ask()
    proposals.suggest(trial)
    return trial.params


OWN = {
    "tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler,
    "cmaes": optuna.samplers.CmaEsSampler, "gp": optuna.samplers.GPSampler,
}  # fmt: skip


@pytest.mark.parametrize("count", [4, 12, 60])
@pytest.mark.parametrize("name", ["tpe", "random", "cmaes", pytest.param("gp", marks=pytest.mark.long)])
def test_of_few_trials_the_sampler_suggests_what_optuna_s_own_does(name, count):
    if name in ("cmaes", "gp"):
        pytest.importorskip({"gp": "torch"}.get(name, name))
    expected = asked(Drawn(OWN[name], 5), count)
    assert asked(SeededSampler(5, name), count) == expected
    assert asked(SeededSampler(6, name), count) != expected


def test_a_trial_whose_weights_find_no_room_is_told_with_those_that_ended_beside_it():
    search = loop(optuna_study(), 6, Fake(curve, slots=3))

    def full(record, weights):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    search.heard.checkpoint = full
    with pytest.raises(OSError, match="No space left"):
        search.run()
    assert [record.number for record in history.records(search.study)] == [0, 1, 2]
    assert [record.number for record in search.heard.records] == [0, 1, 2]


def test_an_end_that_cannot_be_written_at_once_is_written_before_the_study_stops(tmp_path):
    class Slips(Journal):
        """Cannot write the first record of a trial."""

        has_slipped = False

        def append_logs(self, logs):
            if not self.has_slipped and any(ATTRIBUTE in log.get("user_attr", {}) for log in logs):
                self.has_slipped = True
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().append_logs(logs)

    search = loop(optuna_study(JournalStorage(Slips(tmp_path / "journal.log"))), 6, Fake(curve, slots=3))
    with pytest.raises(OSError, match="Input/output error"):
        search.run()
    assert [record.number for record in history.records(search.study)] == [0, 1, 2]


def test_the_ends_of_an_epoch_are_on_the_disk_once_they_are_told(tmp_path, monkeypatch):
    folder, synced, told = StudyFolder(tmp_path, "s"), [], []
    sync = os.fsync

    def fsync(file):
        sync(file)
        if os.path.samestat(os.fstat(file), folder.journal.stat()):
            synced.append(os.fstat(file).st_size)

    monkeypatch.setattr(journal.os, "fsync", fsync)
    monkeypatch.setattr(journal.time, "monotonic", lambda: 0.0)

    class Ends(Observer):
        def trial(self, record, result):
            told.append(folder.journal.stat().st_size)

        def epoch(self, active, epochs_done):
            assert max(told, default=0) <= max(synced, default=0)

    with folder.opened("maximize", SeededSampler(0), optuna.pruners.NopPruner()) as study:
        search = loop(study, 12, Fake(curve, slots=3))
        search.observers = [Checkpoints(folder, "best", search.result), Ends()]
        search.run()
        assert len(told) == 12
        # once for those of an epoch
        assert len(synced) == 4
