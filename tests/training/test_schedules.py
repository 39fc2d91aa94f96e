"""A schedule as a factor equals Keras's schedule of the same name, step by step and in whole trainings."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from problems import difference, fitted, plan, problem, run

from lossreg.config import optimization
from lossreg.errors import InputError
from lossreg.training import optimizers, schedules
from lossreg.training.population import Population
from lossreg.training.solo import Fit

K = keras.optimizers.schedules
# 4 epochs of 14 steps, the training of `problems.plan`.
EPOCHS, STEPS = 4, 56
RATE = 0.05

# No edge falls on a step but those of pieces: there Keras's own rounding differs between eager and graph.
CASES = {
    "constant": ("constant", lambda r: r),
    "cosine": ("cosine", lambda r: K.CosineDecay(r, STEPS)),
    "cosine to a fifth by half": (
        {"name": "cosine", "alpha": 0.2, "decay": 0.5},
        lambda r: K.CosineDecay(r, STEPS // 2, alpha=0.2),
    ),
    "cosine after warmup": (
        {"name": "cosine", "warmup": 0.25, "alpha": 0.1},
        lambda r: K.CosineDecay(0.0, 42, 0.1, warmup_target=r, warmup_steps=14),
    ),
    "restarts": (
        {"name": "cosine_restarts", "first_decay": 0.26, "m_mul": 0.5},
        lambda r: K.CosineDecayRestarts(r, 0.26 * STEPS, t_mul=1.0, m_mul=0.5),
    ),
    "growing restarts": (
        {"name": "cosine_restarts", "first_decay": 0.15, "t_mul": 2.0, "alpha": 0.1},
        lambda r: K.CosineDecayRestarts(r, 0.15 * STEPS, t_mul=2.0, alpha=0.1),
    ),
    "exponential": ("exponential", lambda r: K.ExponentialDecay(r, STEPS, 0.1)),
    "exponential stairs": (
        {"name": "exponential", "decay_rate": 0.5, "decay": 0.13, "staircase": True},
        lambda r: K.ExponentialDecay(r, 0.13 * STEPS, 0.5, staircase=True),
    ),
    "inverse time": ("inverse_time", lambda r: K.InverseTimeDecay(r, STEPS, 9.0)),
    "inverse time stairs": (
        {"name": "inverse_time", "decay_rate": 2.0, "decay": 0.13, "staircase": True},
        lambda r: K.InverseTimeDecay(r, 0.13 * STEPS, 2.0, staircase=True),
    ),
    "linear": ({"name": "linear", "end": 0.1}, lambda r: K.PolynomialDecay(r, STEPS, 0.1 * r)),
    "polynomial": (
        {"name": "polynomial", "power": 2.0, "decay": 0.5, "end": 0.2},
        lambda r: K.PolynomialDecay(r, STEPS // 2, 0.2 * r, power=2.0),
    ),
    "polynomial cycles": (
        {"name": "polynomial", "decay": 0.26, "cycle": True},
        lambda r: K.PolynomialDecay(r, 0.26 * STEPS, 0.0, cycle=True),
    ),
    "piecewise": ("piecewise", lambda r: K.PiecewiseConstantDecay([28, 42], [r, 0.1 * r, 0.01 * r])),
    "two pieces": (
        {"name": "piecewise", "boundaries": [0.25], "values": [2.0, 0.5]},
        lambda r: K.PiecewiseConstantDecay([14], [2 * r, 0.5 * r]),
    ),
}


def progress_of(step):
    """The share of the training before a step, as a lane's graph has it: in float32, epoch by epoch."""
    total = EPOCHS * np.float32(1)
    before, a_step = np.float32(step // 14 / EPOCHS), np.float32(1 / (total * 14))
    return np.float32(before + a_step * np.float32(step % 14))


@pytest.mark.parametrize("case", CASES)
def test_the_factor_at_every_step_is_that_of_keras(case):
    raw, theirs = CASES[case]
    progress = keras.ops.convert_to_tensor(np.array([progress_of(step) for step in range(STEPS)]))
    factor = keras.ops.convert_to_numpy(schedules.factor(optimization.schedule(raw), progress))
    keras_schedule = theirs(RATE)
    wanted = [keras_schedule(step) if callable(keras_schedule) else keras_schedule for step in range(STEPS)]
    assert factor * RATE == pytest.approx(np.array([float(rate) for rate in wanted]), rel=1e-4, abs=1e-6)


def test_every_schedule_of_keras_has_a_name_and_a_case():
    assert {optimization.schedule(raw).name for raw, _ in CASES.values()} == set(optimization.SCHEDULES)
    words = {name.removesuffix("Decay").removesuffix("Constant").lower() for name in dir(K) if name.endswith("Decay")}
    assert words == {"cosine", "exponential", "inversetime", "piecewise", "polynomial"}


@pytest.mark.parametrize("name", optimization.SCHEDULES)
def test_every_schedule_begins_at_the_base_rate_after_warmup(name):
    schedule = optimization.schedule({"name": name, "warmup": 0.2})
    progress = keras.ops.convert_to_tensor(np.array([0.0, 0.05, 0.1, 0.2], np.float32))
    factor = keras.ops.convert_to_numpy(schedules.factor(schedule, progress))
    assert factor == pytest.approx([0, 0.25, 0.5, 1], abs=1e-6)


def scheduled(optimizer, raw, fixed=None):
    setup = problem("multiclass", {"cross_entropy": "cross_entropy"}, optimizer=optimizer, settings=fixed)
    return replace(setup, schedule=optimization.schedule(raw))


WHOLE = [
    ("sgd", "cosine after warmup", {"momentum": 0.9}),
    pytest.param("adam", "two pieces", {"gradient_accumulation_steps": 3}, marks=pytest.mark.long),
]


@pytest.mark.parametrize(("optimizer", "case", "fixed"), WHOLE)
def test_lanes_with_a_schedule_equal_model_fit_with_that_of_keras(optimizer, case, fixed):
    raw, theirs = CASES[case]
    setup = scheduled(optimizer, raw, fixed)
    plans = [plan(setup, "cross_entropy", rate) for rate in (0.01, 0.002)]
    _, weights = run(Population(setup, 2, blocks=1, variants=plans), plans)
    for each, actual in zip(plans, weights, strict=True):
        assert difference(actual, fitted(setup, each, theirs(each.learning_rate))) < 1e-5
    _, flat = run(Population(replace(setup, schedule=None), 2, blocks=1, variants=plans), plans)
    assert difference(flat[0], weights[0]) > 1e-3


PRODUCT = [(name, "cosine after warmup") for name in optimizers.MAPPED if name != "ftrl"]
PRODUCT += [("sgd", case) for case in CASES if case not in ("constant", "cosine after warmup")]


@pytest.mark.long
@pytest.mark.parametrize(("optimizer", "case"), PRODUCT)
def test_every_optimizer_and_every_schedule_in_lanes_equals_model_fit(optimizer, case):
    raw, theirs = CASES[case]
    setup = scheduled(optimizer, raw)
    each = plan(setup, "cross_entropy", 0.002)
    _, (actual,) = run(Population(setup, 1, blocks=1, variants=[each]), [each])
    assert difference(actual, fitted(setup, each, theirs(each.learning_rate))) < 1e-5


def test_the_trainer_for_one_plan_follows_the_schedule_at_every_plans_own_rate_and_length():
    setup = scheduled("sgd", CASES["cosine"][0])
    trainer = Fit(setup)
    for rate, epochs in ((0.05, 4), (0.02, 2)):
        each = plan(setup, "cross_entropy", rate, epochs=epochs)
        trainer.open(0, each)
        for _ in range(epochs):
            trainer.advance()
        wanted = fitted(setup, each, K.CosineDecay(rate, 14 * epochs))
        assert difference(trainer.weights(0), wanted) < 1e-5
        trainer.close(0)


TO_NOTHING = [
    {"name": "linear", "warmup": 0.1}, {"name": "cosine", "decay": 0.5}, {"name": "linear", "decay": 0.9},
    {"name": "piecewise", "boundaries": [0.3, 0.7], "values": [1.0, 0.1, 0.0]},
]  # fmt: skip


@pytest.mark.parametrize("raw", TO_NOTHING, ids=lambda raw: raw["name"])
def test_ftrl_with_a_rate_of_0_before_the_end_is_refused(raw):
    with pytest.raises(InputError, match="divides by the learning rate"):
        optimizers.check(scheduled("ftrl", raw), [{}])
    optimizers.check(scheduled("sgd", raw), [{}])


def test_ftrl_takes_a_schedule_whose_rate_is_above_0_in_every_step_of_the_training():
    optimizers.check(scheduled("ftrl", "linear"), [{}], 50_000)
    optimizers.check(scheduled("ftrl", "cosine"), [{}], 500)
    with pytest.raises(InputError, match="divides by the learning rate"):
        optimizers.check(scheduled("ftrl", "cosine"), [{}], 50_000)  # in float32
