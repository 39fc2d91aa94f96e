"""The number of lanes, with trainers that train nothing and a clock that is told the time."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import pytest
from fake_trainer import Fake
from problems import Mlp, plan, problem
from searches import curve, proposer

from lossreg.search import sizing
from lossreg.training import mappable_models, memory
from lossreg.training.backends import interface
from lossreg.training.pool import Pool

SIDES = 2


@pytest.fixture(autouse=True)
def machine_of_two_cores(monkeypatch):
    monkeypatch.setattr(interface, "blocks", lambda: SIDES)
    monkeypatch.setattr("lossreg.runtime.system.cores", lambda: SIDES)
    monkeypatch.setattr(memory, "available", lambda: 2000)


def prepared(*, lanes="auto", trials=1000, folds=1, seeds=1, epochs=20, lane_bytes=1):
    proposals = proposer()
    search = SimpleNamespace(lanes=lanes, seeds=seeds)
    spec = SimpleNamespace(search=search, train=SimpleNamespace(epochs=epochs))
    return SimpleNamespace(
        spec=spec, problem=SimpleNamespace(folds=(None,) * folds), trials=trials, proposer=proposals,
        candidates=proposals.candidates, lane_bytes=lane_bytes,
    )  # fmt: skip


class Timed(Fake):
    """A population whose epochs take `seconds(lanes)`."""

    name = "population"

    def __init__(self, seconds, ill=10**9):
        super().__init__(curve, 10**6)
        self.seconds, self.ill, self.time, self.widths = seconds, ill, 0.0, []

    def advance(self):
        if len(self._open) > self.ill:
            raise MemoryError
        self.widths.append(len(self._open))
        self.time += self.seconds(len(self._open))
        return super().advance()


class Factory:
    first = ()

    def __init__(self, trainer, refused=""):
        self.trainer, self.refused = trainer, refused

    def key(self, plan):
        return 0

    def refuses(self, plan):
        return self.refused

    def make(self, plan):
        return self.trainer


def choose(ready, seconds=lambda lanes: 0.001 * lanes, kept=0, ill=10**9):
    trainer = Timed(seconds, ill)
    pool = Pool([], populations=Factory(trainer), slots=sizing.lanes(ready, ready.lane_bytes))
    chosen = sizing.choose(ready, pool, ready.lane_bytes, kept, lambda: trainer.time)
    assert pool.slots == chosen.lanes
    assert pool.free == pool.slots
    return chosen, trainer


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({}, 32),  # 16 a core
        ({"trials": 64}, 16),  # a quarter of the trials: the sampler learns a few times
        ({"trials": 10}, 10),
        ({"trials": 16}, 12),  # not all at once: the fair start of 3 losses, then what the sampler learnt from it
        ({"trials": 16, "folds": 5}, 60),
        ({"trials": 14}, 12),
        ({"folds": 5}, 60),  # the fair start: 3 losses of 4 trials of 5 lanes
        ({"folds": 5, "seeds": 3, "trials": 4}, 60),
        ({"lanes": 100}, 100),
        ({"lanes": 100, "folds": 3}, 99),
        ({"lanes": 1, "folds": 3}, 3),
        ({"lanes": 64, "trials": 8}, 8),
        ({"lane_bytes": 100}, 10),
        ({"lane_bytes": 10**6}, 1),
        ({"lane_bytes": 10**6, "folds": 5}, 5),
    ],
)
def test_whole_trials_that_fit_into_memory_and_leave_the_sampler_to_learn(options, number):
    ready = prepared(**options)
    assert sizing.lanes(ready, ready.lane_bytes) == number


def test_a_device_with_room_for_all_trials_leaves_the_sampler_some(monkeypatch):
    monkeypatch.setattr(interface, "blocks", lambda: 1)  # 64 lanes of a GPU
    assert sizing.lanes(prepared(trials=64), 1) == 32
    assert sizing.lanes(prepared(trials=100), 1) == 50
    assert sizing.lanes(prepared(trials=256), 1) == 64
    assert sizing.lanes(prepared(trials=12), 1) == 12


def test_the_usual_number_is_kept_unless_another_is_clearly_cheaper():
    chosen, trainer = choose(prepared(), lambda lanes: 0.001 * lanes * (0.9 if lanes > 32 else 1))
    assert chosen.lanes == 32
    assert chosen.message == "32 models at a time: an epoch of one takes 1 ms, with 64 it takes 0.9 ms"
    assert set(trainer.widths) == {32, 64}


def test_twice_as_many_lanes_are_taken_as_long_as_a_lane_gets_clearly_cheaper():
    chosen, trainer = choose(prepared(), lambda lanes: 0.01 + 0.0001 * lanes)
    assert chosen.lanes == 128
    assert "an epoch of one takes 0.18 ms, with 32 it takes 0.41 ms, with 64 it takes 0.26 ms" in chosen.message
    assert max(trainer.widths) <= 250  # a quarter of the trials


@pytest.mark.parametrize("trials", [64, 200])
def test_nothing_is_measured_where_nothing_can_be_chosen(trials):
    chosen, trainer = choose(prepared(trials=trials))
    assert not trainer.widths
    assert chosen.message == ""


def test_the_models_of_a_trial_are_told_apart_from_trials():
    chosen, _ = choose(prepared(trials=64, folds=5))
    assert chosen.message == f"{chosen.lanes} models at a time, {chosen.lanes // 5} trials of 5"


def test_measuring_takes_a_small_share_of_the_study():
    ready = prepared(trials=300, epochs=2)
    _, trainer = choose(ready, lambda lanes: 0.1 * lanes)
    assert set(trainer.widths) == {32}
    _, trainer = choose(prepared(trials=1000, epochs=100), lambda lanes: 0.1 * lanes)
    assert trainer.time < 0.05 * 0.1 * 1000 * 100 + 4 * 0.1 * 32


def test_what_the_study_began_with_is_kept_and_never_measured():
    chosen, trainer = choose(prepared(), kept=48)
    assert (chosen.lanes, chosen.message, trainer.widths) == (48, "", [])


@pytest.mark.parametrize(
    ("asked", "folds", "begun", "expected"),
    [("auto", 1, 48, 48), (64, 1, 48, 48), (1, 1, 48, 1), (1, 5, 20, 5), (12, 5, 20, 10), (1, 1, 0, 0)],
)
def test_a_smaller_number_wins_over_the_one_that_the_study_began_with(asked, folds, begun, expected):
    assert sizing.kept(prepared(lanes=asked, folds=folds), begun) == expected


@pytest.mark.parametrize(("kept", "asked"), [(0, 5000), (4000, "auto")])
def test_lanes_beyond_memory_are_reduced_and_it_is_said(kept, asked):
    chosen, _ = choose(prepared(lanes=asked, trials=10_000, lane_bytes=10), kept=kept)
    assert chosen.lanes == 100
    assert chosen.message == f"100 models at a time instead of {kept or asked}, which would not fit into memory"


def test_lanes_that_do_not_fit_while_they_are_measured_are_not_taken():
    chosen, _ = choose(prepared(), lambda lanes: 0.01, ill=40)
    assert chosen.lanes == 32
    assert chosen.message == ""


@pytest.mark.parametrize("populations", [None, Factory(None, "no lane can be mapped")], ids=["none", "refused"])
@pytest.mark.parametrize(("lanes", "kept"), [("auto", 0), (64, 0), ("auto", 48)])
def test_one_trial_at_a_time_where_no_loss_goes_to_a_population(populations, lanes, kept):
    ready = prepared(lanes=lanes, folds=3)
    pool = Pool([Fake(curve, 3)], populations=populations, slots=sizing.lanes(ready, ready.lane_bytes), members=3)
    assert sizing.choose(ready, pool, ready.lane_bytes, kept) == sizing.Choice(3)
    assert pool.slots == 3


def test_a_shape_is_built_and_an_unproven_model_rehearsed_once(monkeypatch):
    built, rehearsed = [], []
    real = mappable_models.rehearse
    monkeypatch.setattr(mappable_models, "rehearse", lambda *given: rehearsed.append(1) or real(*given))

    class Own(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    class Counted(Mlp):
        def build(self, *given):
            built.append(1)
            return super().build(*given)

    instance = problem("multiclass", {"ce": "cross_entropy"}, builder=Counted(Own))
    each = plan(instance, "ce", 1e-3)
    factory = sizing.Populations(instance, [each], {}, 4)
    assert factory.refuses(each) == ""
    population = factory.make(each)
    population.prepare()
    again = factory.make(each)
    assert again is not population
    assert again.refuses("ce") == ""
    assert (len(built), len(rehearsed)) == (1, 1)
