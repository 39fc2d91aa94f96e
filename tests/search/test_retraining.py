"""Plans that are known from the start are trained to their end, whatever becomes of some of them."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from fake_trainer import Fake
from problems import alone, difference, plan, problem
from searches import ACCURACY, LOSS

from lossreg.errors import LossregError
from lossreg.search import retraining
from lossreg.search.learning_curve import Patience
from lossreg.search.policy import SearchPolicy
from lossreg.storage.observer import Observer
from lossreg.training.interface import Plan
from lossreg.training.pool import Pool
from lossreg.training.population import Population


class Heard(Observer):
    """Remembers what was active after each epoch, and stops when told to."""

    def __init__(self, stop_after=math.inf):
        self.active, self.stop_after = [], stop_after

    def epoch(self, active, epochs_done):
        self.active.append(active)
        assert epochs_done == len(self.active)

    def stopping(self):
        return len(self.active) >= self.stop_after


class Counted(Fake):
    """Counts the copies of weights that it was asked for, by seed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.copies = Counter()

    def weights(self, slot):
        plan, epoch = self._open[slot]
        self.copies[plan.seed] += 1
        return [np.array([plan.seed, epoch])]


class Failing(Fake):
    """Raises in an epoch in which the plan of seed 2 is open."""

    name = "failing"

    def advance(self):
        if any(plan.seed == 2 for plan, _ in self._open.values()):
            raise ValueError("cannot train this")
        return super().advance()


class Shut(Fake):
    """Opens no plan of seed 2."""

    def open(self, slot, plan):
        if plan.seed == 2:
            raise ValueError("no memory")
        super().open(slot, plan)


def rising(plan, epoch):
    return 0.1 * plan.seed + 0.01 * epoch


def plans_of(epochs, candidate="focal"):
    """One plan per number of epochs, whose seed is its position."""
    return [Plan(candidate, {}, 1e-3, number, seed) for seed, number in enumerate(epochs)]


def train(trainers, plans, *, heard=None, wants_weights=False, metric=ACCURACY, **policy):
    pool = trainers if isinstance(trainers, Pool) else Pool(trainers)
    policy = SearchPolicy(0, metric, "cross_entropy", **policy)
    return retraining.train(pool, plans, policy, heard, wants_weights=wants_weights)


def test_every_plan_is_trained_to_its_end_and_scored_there():
    fake, epochs = Fake(rising, slots=3), [4, 2, 6, 1, 3, 5, 2]
    ended = {one.index: one for one in train([fake], plans_of(epochs))}
    assert sorted(ended) == list(range(7))
    for index, one in ended.items():
        assert (one.outcome, one.reason, one.trainer) == ("complete", "", "fake")
        assert one.score == rising(plans_of(epochs)[index], epochs[index])
        assert one.curves["val_score"] == [rising(plans_of(epochs)[index], e + 1) for e in range(epochs[index])]
        assert (one.epoch, one.weights) == (epochs[index], None)


def test_a_freed_slot_is_refilled_in_the_epoch_and_what_ended_is_handed_over_at_once():
    fake, heard = Fake(rising, slots=2), Heard()
    when = [(one.index, len(heard.active)) for one in train([fake], plans_of([3, 1, 4, 2]), heard=heard)]
    # slot 0: plan 0 to the third epoch, plan 3 to the fifth; slot 1: plan 1 to the first, plan 2 to the fifth
    assert when == [(1, 1), (0, 3), (3, 5), (2, 5)]
    assert heard.active == [2, 2, 2, 2, 0]
    assert [(slot, plan.seed) for slot, plan in fake.opened] == [(0, 0), (1, 1), (1, 2), (0, 3)]


@pytest.mark.parametrize("metric", [ACCURACY, LOSS])
@pytest.mark.parametrize(("score_epoch", "chosen"), [("best", 3), ("last", 5)])
def test_the_epoch_that_is_scored_follows_the_study_and_has_the_weights(metric, score_epoch, chosen):
    sign = 1 if metric is ACCURACY else -1
    peaked = Counted(lambda plan, epoch: -sign * 0.1 * (epoch - 3) ** 2)
    rules = {"patience": Patience(2), "score_epoch": score_epoch, "metric": metric}
    for one in train([peaked], plans_of([6, 6]), wants_weights=True, **rules):
        assert (one.epoch, len(one.curves["val_score"])) == (chosen, 5)
        assert one.score == one.curves["val_score"][chosen - 1]
        np.testing.assert_array_equal(one.weights[0], [one.index, chosen])
    assert peaked.copies == dict.fromkeys((0, 1), 3 if score_epoch == "best" else 1)
    list(train([peaked], plans_of([6, 6]), **rules))
    assert peaked.copies.total() == (6 if score_epoch == "best" else 2)


@pytest.mark.parametrize(("value", "reason"), [
    (math.nan, "training went non-finite"), (math.inf, "the predictions lie outside the metric's domain"),
])  # fmt: skip
@pytest.mark.parametrize("score_epoch", ["best", "last"])
def test_divergence_is_an_outcome(value, reason, score_epoch):
    class Outside(Fake):
        def _report(self, plan, epoch):
            report = super()._report(plan, epoch)
            return report if math.isnan(value) else report.__class__(epoch, 1.0, 1.0, 0.0, report.val_score)

    ill = Outside(lambda plan, epoch: -value if plan.seed == 1 else rising(plan, epoch), slots=2)
    ended = {one.index: one for one in train([ill], plans_of([3] * 4), wants_weights=True, score_epoch=score_epoch)}
    assert {index: one.outcome.value for index, one in ended.items()} == {
        0: "complete", 1: "diverged", 2: "complete", 3: "complete"
    }  # fmt: skip
    assert (ended[1].reason, ended[1].weights) == (reason, None)
    assert math.isnan(ended[1].score)


def test_what_failed_together_is_trained_by_another_trainer():
    other = Fake(rising, slots=1)
    ended = {one.index: one for one in train([Failing(rising, slots=3), other], plans_of([2] * 6), wants_weights=True)}
    assert {one.outcome for one in ended.values()} == {"complete"}
    assert ended[2].trainer == "fake"
    for index, one in ended.items():
        assert one.score == rising(plans_of([2] * 6)[index], 2)
        assert one.curves["val_score"] == [rising(plans_of([2] * 6)[index], epoch) for epoch in (1, 2)]
        assert one.weights[0] == [2.0]


@pytest.mark.parametrize("trainers", [
    [Failing(rising, slots=1), Fake(rising, slots=2, refused=("focal",))], [Shut(rising, slots=2)],
])  # fmt: skip
def test_a_plan_that_fails_by_itself_is_an_outcome_and_the_others_go_on(trainers):
    ended = {one.index: one for one in train(trainers, plans_of([2] * 5))}
    assert sorted(index for index, one in ended.items() if one.outcome == "complete") == [0, 1, 3, 4]
    assert ended[2].outcome == "failed"
    assert ended[2].reason in ("ValueError: cannot train this", "ValueError: no memory")
    assert math.isnan(ended[2].score)


def test_a_plan_that_no_trainer_takes_fails_with_the_reason():
    plans = [*plans_of([2, 2]), *plans_of([2], "mixed")]
    ended = list(train([Fake(rising, refused=("mixed",))], plans))
    assert [(one.index, one.outcome, one.reason) for one in ended] == [
        (2, "failed", "mixed is refused"), (0, "complete", ""), (1, "complete", ""),
    ]  # fmt: skip


def test_what_fails_time_and_again_ends_it():
    with pytest.raises(LossregError, match="training failed: ValueError: cannot train this"):
        list(train([Failing(rising, slots=2)], [Plan("focal", {}, 1e-3, 2, 2)] * 20))


def test_no_slot_at_all_is_an_error_and_no_plan_is_none():
    with pytest.raises(LossregError, match="no trainer has a slot"):
        list(train([], plans_of([2])))
    assert list(train([], [])) == []


def test_an_observer_stops_it_after_what_ended_was_handed_over():
    pool = Pool([Fake(rising, slots=2)])
    under_way = train(pool, plans_of([3, 9, 9]), heard=Heard(stop_after=3))
    assert next(under_way).index == 0
    with pytest.raises(KeyboardInterrupt):
        next(under_way)
    assert pool.free == 2


def test_one_who_stops_asking_frees_the_slots():
    pool = Pool([Fake(rising, slots=3)])
    under_way = train(pool, plans_of([1, 5, 5, 5, 5]))
    assert [one.index for one in islice(under_way, 1)] == [0]
    assert pool.free == 0
    under_way.close()
    assert pool.free == 3
    assert len(list(train(pool, plans_of([2] * 4)))) == 4


def test_the_order_is_the_same_each_time():
    def again():
        return [(one.index, one.score) for one in train([Fake(rising, slots=3)], plans_of([4, 2, 6, 1, 3, 5, 2, 2]))]

    assert again() == again()


@pytest.mark.long
def test_lanes_of_a_population_are_trained_as_by_model_fit():
    instance = problem("multiclass", {"ce": "cross_entropy", "focal": "focal"})
    plans = [
        plan(instance, "ce", 3e-3, seed=1), plan(instance, "focal", 1e-2, seed=2, epochs=2, gamma=1.5),
        plan(instance, "focal", 3e-3, seed=1, epochs=3, gamma=0.5),
    ]  # fmt: skip
    population = Population(instance, 2, blocks=1, variants=plans)
    ended = list(train([population], plans, wants_weights=True))
    population.shutdown()
    assert [one.index for one in ended] == [1, 0, 2]
    for one in ended:
        losses, weights, _ = alone(instance, plans[one.index])
        assert difference(one.weights, weights) < 2e-5
        np.testing.assert_allclose(one.curves["val_loss"], [val_loss for _, val_loss in losses], rtol=2e-4)
