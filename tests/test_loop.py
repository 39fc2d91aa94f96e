"""The search loop, with a trainer that trains nothing."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from searches import ACCURACY, EPOCHS, LOSS, Heard, begun, curve, loop, optuna_study, proposer

from lossreg import history
from lossreg.errors import LossregError
from lossreg.loop import Loop, Rules
from lossreg.sampler import tell
from lossreg.trainers.base import EpochReport
from lossreg.trainers.fake import Fake
from lossreg.trainers.pool import Pool


def run(trials=24, trainer=None, study=None, **options):
    made = loop(study or optuna_study(), trials, trainer, **options)
    made.run()
    return made


def test_every_trial_is_trained_for_all_its_epochs_and_told_its_last_score():
    made = run(24)
    assert len(made.heard.records) == 24
    for record in made.heard.records:
        assert record.state == "complete"
        assert len(record.curves["val_score"]) == EPOCHS
        assert record.score == record.curves["val_score"][-1]
        assert made.study.trials[record.number].value == record.score


def test_a_freed_slot_is_refilled_at_the_next_epoch():
    ragged = Fake(lambda plan, epoch: math.nan if plan.label == "mixed" and epoch == 2 else curve(plan, epoch), slots=3)
    made = run(12, ragged)
    busy = {slot for slot, _ in ragged.opened}
    assert busy == {0, 1, 2}
    # 12 trials on 3 slots: were slots refilled only when all are free, four rounds of all epochs would be needed
    assert made.heard.epochs < 4 * EPOCHS


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
    fake = Fake(lambda plan, epoch: math.nan if plan.label == "focal" and epoch == 3 else curve(plan, epoch))
    made = run(12, fake, metric=metric, study=optuna_study(metric=metric))
    diverged = [record for record in made.heard.records if record.state == "diverged"]
    assert {record.label for record in diverged} == {"focal"}
    for record in diverged:
        trial = made.study.trials[record.number]
        assert (trial.state, trial.value) == (TrialState.COMPLETE, told)
        assert record.score is None
        assert len(record.curves["val_score"]) == 3
        assert record.curves["val_score"][-1] is None


@pytest.mark.parametrize("direction", [1, -1])
def test_best_epoch_is_scored_when_the_study_asks_for_it(direction):
    metric = ACCURACY if direction > 0 else LOSS
    peaked = Fake(lambda plan, epoch: curve(plan, 1) - direction * 0.1 * (epoch - 3) ** 2)
    made = run(9, peaked, metric=metric, study=optuna_study(metric=metric), score_epoch="best")
    assert {record.epoch for record in made.heard.records} == {3}
    best = (max if direction > 0 else min)(made.heard.records, key=lambda record: record.score)
    assert made.heard.weights[best.number][0] == [3.0]


def test_weights_come_with_a_trial_exactly_when_it_is_the_best_so_far():
    made = run(24, keep="best")
    best = -math.inf
    for record in made.heard.records:
        assert (record.number in made.heard.weights) == (record.score > best)
        best = max(best, record.score)
    assert all(weights[0] == [EPOCHS] for weights in made.heard.weights.values())


def test_every_loss_starts_as_published_and_gets_its_share():
    made = run(24)
    first = sorted(made.heard.records, key=lambda record: record.number)[:3]
    assert [record.label for record in first] == ["cross_entropy", "focal", "mixed"]
    assert first[1].params["focal.gamma"] == 2.0
    assert all(record.learning_rate == pytest.approx(1e-3) for record in first)
    assert min(Counter(record.label for record in made.heard.records).values()) >= 4


@pytest.mark.parametrize("trials", [13, 24, 40])
@pytest.mark.parametrize("slots", [1, 5])
def test_the_baseline_ends_with_as_many_trials_as_any_other_loss(trials, slots):
    made = run(trials, Fake(curve, slots=slots))
    counts = Counter(record.label for record in made.heard.records)
    assert counts.total() == trials
    assert counts["cross_entropy"] >= max(counts["focal"], counts["mixed"])


def test_only_the_chosen_loss_s_parameters_are_suggested():
    for record in run(15).heard.records:
        own = {name.split(".")[0] for name in record.params if name != "learning_rate"}
        assert own <= {record.label}


def test_suggested_class_weights_have_mean_one_over_the_training_rows():
    focal = [record for record in run(15).heard.records if record.label == "focal"]
    for record in focal:
        assert 0.6 * record.settings["alpha"][0] + 0.3 * record.settings["alpha"][1] + 0.1 * record.settings["alpha"][
            2
        ] == pytest.approx(1.0)
        ratio = record.settings["alpha"][2] / record.settings["alpha"][0]
        assert ratio == pytest.approx(record.params["focal.alpha.c"])
        assert "focal.alpha.a" not in record.params


class Late(Fake):
    """Lets the deadline pass in the epoch before the last."""

    def advance(self):
        reports = super().advance()
        if next(iter(reports.values())).epoch == EPOCHS - 1:
            self.loop.rules = dataclasses.replace(self.loop.rules, deadline=time.monotonic() - 1)
        return reports


def test_no_trial_starts_after_the_deadline_and_those_begun_are_finished():
    made = run(24, Fake(curve, slots=4), deadline=time.monotonic() - 1)
    assert [record.label for record in made.heard.records] == ["cross_entropy", "focal", "mixed"]
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
    made = run(24, Fake(curve, slots=2), study=study, prune=True)
    pruned = [record for record in made.heard.records if record.state == "pruned"]
    assert pruned
    assert all(len(record.curves["val_score"]) > EPOCHS / 3 for record in pruned)
    assert all(made.study.trials[record.number].state == TrialState.PRUNED for record in pruned)


class Failing(Fake):
    """Raises in its seventh epoch, and in every one of `ill`'s."""

    def __init__(self, *args, ill=(), **kwargs):
        super().__init__(*args, **kwargs)
        self.calls, self.ill = 0, ill

    def advance(self):
        self.calls += 1
        if self.ill and any(plan.label in self.ill for plan, _ in self._open.values()):
            raise ValueError("cannot train this")
        if not self.ill and self.calls == 7:
            raise RuntimeError("out of memory")
        return super().advance()


def test_an_exception_among_many_fails_those_it_hit_and_the_next_run_has_as_many_again():
    made = run(24, Failing(curve, slots=4))
    assert Counter(record.state for record in made.heard.records) == {"complete": 20, "failed": 4}
    assert {r.reason for r in made.heard.records if r.state == "failed"} == {"RuntimeError: out of memory"}
    run(24, Fake(curve), study=made.study)
    assert Counter(record.state for record in history.records(made.study)) == {"complete": 24, "failed": 4}


def test_what_always_fails_among_many_ends_the_run_and_the_next_one_trains_what_was_open():
    made = loop(optuna_study(), 24, Failing(curve, slots=4, ill=("cross_entropy", "focal", "mixed")))
    with pytest.raises(LossregError, match="cannot train this"):
        made.run()
    assert Counter(record.state for record in made.heard.records) == {"failed": 8}
    lost = [active.trial.params for active in (*made.active, *made.waiting)]
    run(24, Fake(curve), study=made.study)
    records = [record for record in history.records(made.study) if record.state == "complete"]
    assert len(records) == 24
    for params in lost:
        assert sum({"loss": r.label, **r.params} == params for r in records) == 1


def test_a_plan_that_fails_alone_fails_and_the_others_go_on():
    made = run(12, Failing(curve, slots=1, ill=("mixed",)))
    states = {(record.label, record.state) for record in made.heard.records}
    assert states == {("mixed", "failed"), ("cross_entropy", "complete"), ("focal", "complete")}
    assert {r.reason for r in made.heard.records if r.state == "failed"} == {"ValueError: cannot train this"}
    assert len(made.heard.records) == 12
    mended = run(12, Fake(curve), study=made.study)
    assert Counter(r.state for r in history.records(mended.study))["complete"] == 12


def test_predictions_outside_the_metric_s_domain_train_on_and_are_told_the_worst_only_at_the_end():
    def outside(plan, epoch):
        return -math.inf if plan.label == "focal" or epoch < 3 else curve(plan, epoch)

    trainer = Fake(outside)
    trainer._report = lambda plan, epoch: EpochReport(epoch, 1.0, 1.0, 0.0, outside(plan, epoch))
    made = run(12, trainer)
    for record in made.heard.records:
        assert len(record.curves["val_score"]) == EPOCHS
        assert record.state == ("diverged" if record.label == "focal" else "complete")
        assert ("domain" in record.reason) == (record.label == "focal")


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
    monkeypatch.setattr("lossreg.desk.tell", cut)
    with pytest.raises(Cut):
        loop(study(), 12, Fake(shape, slots=4)).run()
    monkeypatch.undo()
    made = run(12, Fake(shape, slots=4), study=study())
    records = history.records(made.study)
    assert Counter(record.state for record in records) == {state: 12}
    assert made.study.trials[told[3][0]].value == told[3][1]


def test_among_equals_the_best_is_the_first_by_number_and_its_weights_are_kept():
    trainers = [
        Fake(lambda plan, epoch: 0.5, slots=2, refused=("cross_entropy",)),
        Fake(lambda plan, epoch: 0.5, slots=1),
    ]
    own, heard, study = proposer(), Heard(), optuna_study()
    made = Loop(begun(study), own, Pool(trainers), Rules(12, ACCURACY, "cross_entropy", keep="best"), heard)
    made.run()
    assert min(record.number for record in heard.records) == 0
    assert list(heard.weights)[-1] == 0


def test_a_full_trainer_does_not_keep_another_one_idle():
    wide, narrow = Fake(curve, slots=8, refused=("cross_entropy",)), Fake(curve, slots=1)
    busy = []
    advance = wide.advance
    wide.advance = lambda: busy.append(len(wide._open)) or advance()
    made = Loop(
        begun(optuna_study(), trials=60), proposer(), Pool([wide, narrow]), Rules(60, ACCURACY, "focal"), Heard()
    )
    made.run()
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
    made = loop(optuna_study(), 200, Killed(curve, slots=4, after=8 * EPOCHS), deadline=time.monotonic() + 1e6)
    with pytest.raises(KeyboardInterrupt):
        made.run()
    counts = Counter(record.label for record in made.heard.records)
    assert counts["cross_entropy"] >= max(counts.values()) - made.pool.slots - 1


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_an_interrupted_study_ends_with_every_trial_once(tmp_path, kind):
    def study():
        storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
        return optuna_study(storage, kind=kind)

    interrupted = []
    for after in (9, 3, 14):
        made = loop(study(), 32, Killed(curve, slots=4, after=after))
        with pytest.raises(KeyboardInterrupt):
            made.run()
        interrupted += [active.trial.params for active in (*made.active, *made.waiting)]
    made = run(32, Fake(curve, slots=4), study=study())
    records = history.records(made.study)
    assert len(records) == 32
    params = [(record.label, tuple(sorted(record.params.items()))) for record in records]
    assert len(set(params)) == 32
    for lost in interrupted:
        key = (lost["loss"], tuple(sorted((k, v) for k, v in lost.items() if k != "loss")))
        assert key in params


def test_a_resumed_random_search_asks_what_an_unbroken_one_asks(tmp_path):
    own = proposer()

    def sample(study, count):
        for _ in range(count):
            trial = study.ask()
            own.suggest(trial)
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
    heard = Heard()
    made = Loop(begun(optuna_study()), proposer(), Pool([first, second]), Rules(24, ACCURACY, "cross_entropy"), heard)
    made.run()
    assert len(heard.records) == 24
    for record in heard.records:
        assert (record.trainer, record.refusal) == (
            ("fit", "focal is refused") if record.label == "focal" else ("fake", "")
        )
