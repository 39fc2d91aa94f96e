"""Populations that come and go with the architectures of plans, with trainers that train nothing."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest
from fake_trainer import Fake
from populations import Factory
from searches import EPOCHS, curve, optuna_study, proposer, scheduler

from lossreg.config.search_space import Fixed, Options
from lossreg.errors import InputError
from lossreg.search.architectures import Architectures
from lossreg.training import pool as pools
from lossreg.training.interface import Architecture, Plan
from lossreg.training.pool import MOST_FAILURES, MOST_POPULATIONS, Placed, Pool, Refused, Waits


@pytest.fixture(autouse=True)
def collected(monkeypatch):
    """The times that the garbage collector was called, which with TensorFlow loaded takes half a second."""
    calls = []
    monkeypatch.setattr(pools.gc, "collect", lambda: calls.append(True))
    return calls


def solo():
    fake = Fake(curve, slots=1)
    fake.name = "fit"
    return fake


def plan(size, candidate="focal", epochs=EPOCHS):
    return Plan(candidate, {}, 1e-3, epochs, architecture=Architecture(size))


def opened(pool, *plans):
    """Return the slots that these plans get."""
    return [begun_in(pool, each).slots[0] for each in plans]


def begun_in(pool, each, avoids=frozenset()):
    """Place a plan, and open it in its slot."""
    placed = pool.place(each, avoids=avoids)
    pool.open(placed.slots[0], each)
    return placed


def test_every_open_plan_is_advanced_in_every_epoch_whatever_its_shape():
    factory = Factory()
    pool = Pool([solo()], populations=factory, slots=12)
    slots = opened(pool, *[plan(1 + i % 5) for i in range(12)])
    for epoch in range(1, 4):
        reports, failures = pool.advance()
        assert list(reports) == slots == list(range(12))
        assert {report.epoch for report in reports.values()} == {epoch}
        assert not failures
    assert len(factory.populations) == 5


def test_slots_are_shared_by_all_shapes_and_filled_lowest_first():
    pool = Pool([], populations=Factory(), slots=4)
    assert opened(pool, plan(1), plan(2), plan(1), plan(3)) == [0, 1, 2, 3]
    assert pool.free == 0
    assert pool.place(plan(1)) == Waits()
    pool.close(2)
    pool.close(0)
    assert pool.place(plan(9), 3) == Waits()
    assert pool.place(plan(9), 2) == Placed((0, 2), "population")
    pool.close(0)
    assert opened(pool, plan(9)) == [0]


def test_few_populations_live_at_a_time_and_the_longest_idle_is_let_go():
    factory = Factory()
    pool = Pool([], populations=factory, slots=4)
    for size in [*range(1, MOST_POPULATIONS + 1), 1, *range(MOST_POPULATIONS + 1, 3 * MOST_POPULATIONS), 1]:
        slot = opened(pool, plan(size))[0]
        pool.advance()
        pool.close(slot)
    assert factory.most_alive == MOST_POPULATIONS
    counts = Counter(one.key.batch_size for one in factory.populations)
    assert counts.pop(1) == 2  # used again while it was there, made again when it was gone
    assert set(counts.values()) == {1}


def test_a_shape_waits_while_all_populations_are_busy_and_others_do_not():
    pool = Pool([solo()], populations=Factory(refused=("mixed",)), slots=99)
    slots = opened(pool, *[plan(size) for size in range(1, MOST_POPULATIONS + 1)])
    assert pool.place(plan(MOST_POPULATIONS + 1)) == Waits()
    assert pool.place(plan(1)).trainer == "population"
    assert pool.place(plan(MOST_POPULATIONS + 1, "mixed")).trainer == "fit"
    pool.close(slots[3])
    assert pool.place(plan(MOST_POPULATIONS + 1)).trainer == "population"


def search(pool, trials=24, sizes=tuple(range(1, 21)), study=None):
    """The records of a study over that many batch sizes."""
    loop = shaped(pool, trials, sizes, study)
    loop.run()
    return loop.heard.records


def shaped(pool, trials, sizes, study=None):
    proposals = proposer()
    architectures = Architectures(
        Options(sizes) if len(sizes) > 1 else Fixed(sizes[0]), lambda outputs, answer: Model()
    )
    proposals = type(proposals)(**{**vars(proposals), "architectures": architectures})
    return scheduler(study or optuna_study(), trials, pool, proposals=proposals)


class Model:
    def count_params(self):
        return 1


def test_no_shape_starves_in_a_study_of_many():
    factory = Factory()
    records = search(Pool([], populations=factory, slots=16), trials=60)
    assert len(records) == 60
    assert all(record.state == "complete" for record in records)
    assert len({record.params["batch_size"] for record in records}) > MOST_POPULATIONS
    assert factory.most_alive <= MOST_POPULATIONS


def test_a_failure_inside_one_population_costs_no_other_a_report():
    factory = Factory(ill=lambda key, plans: ValueError("ill") if key == Architecture(2) else None)
    pool = Pool([], populations=factory, slots=6)
    slots = opened(pool, plan(1), plan(2), plan(3), plan(2))
    reports, failures = pool.advance()
    assert list(reports) == [slots[0], slots[2]]
    assert list(failures) == [slots[1], slots[3]]
    assert not any(failure.retry for failure in failures.values())
    for slot in failures:
        pool.close(slot)
    assert list(pool.advance()[0]) == [slots[0], slots[2]]


def test_plans_of_a_failed_population_are_tried_alone_and_new_ones_in_a_population_again():
    errors = [ValueError("once")]
    factory = Factory(ill=lambda key, plans: errors.pop() if errors else None)
    pool = Pool([solo()], populations=factory, slots=6)
    first, second = plan(1), plan(1)
    slots = opened(pool, first, second)
    _, failures = pool.advance()
    assert [failures[slot].retry for slot in slots] == [True, True]
    for slot in failures:
        pool.close(slot)
    avoids = failures[slots[0]].avoids
    assert begun_in(pool, first, avoids) == Placed((0,), "fit", "population failed: ValueError: once")
    assert pool.place(second, avoids=avoids) == Waits()
    assert pool.place(plan(1)).trainer == "population"


def test_the_trials_of_a_population_that_keeps_failing_end_elsewhere_and_the_rest_go_on():
    factory = Factory(ill=lambda key, plans: RuntimeError("ill") if key == Architecture(2) else None)
    records = search(Pool([solo()], populations=factory, slots=4), trials=40, sizes=(1, 2, 3))
    assert len(records) == 40
    assert {record.state for record in records} == {"complete"}
    for record in records:
        ill = record.params["batch_size"] == 2
        assert (record.trainer, record.refusal) == (
            ("fit", "population failed: RuntimeError: ill") if ill else ("population", "")
        )
    assert sum(one.key == Architecture(2) for one in factory.populations) <= MOST_FAILURES + 1


def test_a_plan_that_fails_alone_too_fails_with_the_reason():
    def ill(key, plans):
        return RuntimeError("in lanes") if any(each.candidate == "mixed" for each, _ in plans) else None

    alone = solo()
    alone._report = lambda each, epoch: 1 / 0 if each.candidate == "mixed" else Fake._report(alone, each, epoch)
    records = search(Pool([alone], populations=Factory(ill=ill), slots=4), trials=20, sizes=(1,))
    assert len(records) == 20
    assert {record.reason for record in records if record.candidate == "mixed"} == {
        "ZeroDivisionError: division by zero",
    }
    assert {record.state for record in records if record.candidate != "mixed"} == {"complete"}


class Unbuildable(Factory):
    """Has a shape whose model cannot be built, which shows when the shape is asked about or when it is made."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def refuses(self, plan):
        return self._built(plan, "refuses") or super().refuses(plan)

    def make(self, plan):
        return self._built(plan, "make") or super().make(plan)

    def _built(self, plan, where):
        if where == self.where and plan.architecture == Architecture(2):
            raise InputError("no model of 2", where="model.build")


@pytest.mark.parametrize("where", ["refuses", "make"])
def test_a_trial_whose_model_cannot_be_built_fails_and_the_rest_go_on(where):
    records = search(Pool([solo()], populations=Unbuildable(where), slots=4), trials=40, sizes=(1, 2, 3))
    assert len(records) == 40
    for record in records:
        told = ("failed", "InputError: model.build: no model of 2") if record.params["batch_size"] == 2 else (
            "complete", "")  # fmt: skip
        assert (record.state, record.reason) == told
    assert {record.params["batch_size"] for record in records} == {1, 2, 3}


def test_a_trial_that_is_trained_again_has_begun_once():
    errors = [ValueError("once")]
    pool = Pool([solo()], populations=Factory(ill=lambda key, plans: errors.pop() if errors else None), slots=4)
    loop = shaped(pool, 24, (1,))
    loop.run()
    assert (len(loop.heard.records), loop.placed) == (24, 24)


def test_closing_what_was_never_opened_does_nothing():
    pool = Pool([Fake(curve, slots=2)])
    pool.close(1)
    for trainer in pool.trainers:
        trainer.close(0)
    assert opened(pool, plan(1), plan(1)) == [0, 1]
    assert list(pool.advance()[0]) == [0, 1]


@pytest.mark.parametrize("error", [MemoryError("no more"), RuntimeError("RESOURCE_EXHAUSTED: out of memory")])
def test_what_does_not_fit_into_memory_goes_on_with_half_as_many_lanes(error):
    lines = []
    factory = Factory(ill=lambda key, plans: error if len(plans) > 5 else None)
    pool = Pool([solo()], populations=factory, slots=12, members=2)
    pool.warn = lines.append
    records = search(pool, trials=24, sizes=(1,))
    assert {record.state for record in records} == {"complete"}
    assert {record.trainer for record in records} == {"population"}
    assert pool.slots == 2
    assert lines == [f"{n} models at a time did not fit into memory: {m} from now on" for n, m in ((12, 6), (6, 2))]


def test_a_population_that_is_let_go_is_collected(collected):
    pool = Pool([], populations=Factory(), slots=2)
    for size in range(1, MOST_POPULATIONS + 3):
        pool.close(opened(pool, plan(size))[0])
    assert len(collected) == 2


def test_a_plan_that_no_trainer_takes_is_said_with_every_reason():
    pool = Pool([Fake(curve, refused=("focal",))], populations=Factory(refused=("focal",)), slots=2)
    assert pool.place(plan(1)) == Refused("refused; focal is refused")
    assert pool.free == 2


def test_a_plan_that_no_trainer_takes_waits_for_no_slots():
    pool = Pool([Fake(curve, slots=3, refused=("focal",))], members=2)
    opened(pool, plan(1, "mixed"), plan(1, "mixed"))
    assert pool.place(plan(1), 2) == Refused("focal is refused")
    assert pool.place(plan(1, "mixed"), 2) == Waits()


def test_no_trainer_is_asked_after_the_one_that_takes_a_plan():
    factory = Factory()
    pool = Pool([solo()], populations=factory, slots=2)
    pool.trainers[0].refuses = lambda candidate: pytest.fail("asked in vain")
    assert pool.place(plan(1)).trainer == "population"
    assert pool.refusal(plan(1)) == ""


def test_why_trainers_refuse_a_plan_is_told_of_those_before_the_one_that_takes_it():
    pool = Pool([solo()], populations=Factory(refused=("mixed",)), slots=2)
    assert (pool.refusal(plan(1, "mixed")), pool.refusal(plan(1))) == ("refused", "")


def test_plans_that_share_the_first_population_are_told_from_others():
    pool = Pool([], populations=Factory(refused=("mixed",)), slots=2)
    plans = [plan(1, "mixed"), plan(2), plan(3), plan(2, "cross_entropy")]
    assert pool.of_one_population(plans) == [plans[1], plans[3]]
    assert Pool([solo()]).of_one_population(plans) == []


def test_a_pool_has_as_many_slots_as_before_after_another_number_was_tried():
    pool = Pool([], populations=Factory(), slots=4)
    with suppress(ValueError), pool.sized(9):
        assert (pool.slots, pool.free) == (9, 9)
        raise ValueError
    assert pool.slots == 4


def test_no_number_of_slots_that_did_not_fit_into_memory_is_had_again():
    pool = Pool([], populations=Factory(ill=lambda key, plans: MemoryError() if len(plans) > 5 else None), slots=4)
    with pool.sized(8):
        pool.place(plan(1), 8)
        for slot in range(8):
            pool.open(slot, plan(1))
        _, failures = pool.advance()
        assert all(failure.retry and not failure.avoids for failure in failures.values())
        for slot in failures:
            pool.close(slot)
        assert pool.slots == 4
    pool.resize(100)
    assert pool.slots == 4
    pool.resize(2)
    assert pool.slots == 2
