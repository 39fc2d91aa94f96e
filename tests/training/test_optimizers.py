"""Every optimizer of Keras: its lanes equal solo training, or it is refused by name."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from problems import Mlp, difference, fitted, plan, problem, run
from quick import long_but

from lossreg.config import optimization
from lossreg.errors import InputError
from lossreg.training import optimizers
from lossreg.training.backends import _keras_optimizer, interface
from lossreg.training.backends.interface import Leaf
from lossreg.training.optimizers import KNOWN, MAPPED, REFUSED, LaneOptimizer
from lossreg.training.population import Population
from lossreg.training.solo import Fit

RATES = {"sgd": 0.02, "adagrad": 0.02, "adadelta": 1.0, "ftrl": 0.05, "lion": 3e-4}
# Weights after 56 steps of `model.fit`, float32; they move by .02 (lion) to .7. Seen: at most 4e-7.
TOLERANCE = 1e-5
COMMON = [
    {}, {"weight_decay": 0.05}, {"clipnorm": 0.1}, {"clipvalue": 0.01}, {"global_clipnorm": 0.2},
    {"gradient_accumulation_steps": 3}, {"loss_scale_factor": 64.0}, {"ema_overwrite_frequency": 2},
]  # fmt: skip
OWN = {
    "sgd": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "rmsprop": [{"momentum": 0.5}, {"centered": True, "rho": 0.8}, {"centered": True, "momentum": 0.5}],
    "adam": [{"amsgrad": True}, {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4}],
    "adamw": [{"amsgrad": True, "weight_decay": 0.1}],
    "adagrad": [{"initial_accumulator_value": 0.5, "epsilon": 1e-3}],
    "adafactor": [{"relative_step": False}, {"beta_2_decay": -0.6, "clip_threshold": 0.5}],
    "ftrl": [{"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.1, "beta": 0.1},
             {"learning_rate_power": -0.7, "l2_shrinkage_regularization_strength": 0.01}],
    "lion": [{"beta_1": 0.95, "beta_2": 0.9}],
    "muon": [{"nesterov": False, "ns_steps": 3}, {"adam_weight_decay": 0.1, "momentum": 0.8, "rms_rate": 0.3}],
}  # fmt: skip
# One of each kind, with what an optimizer's own methods do around its step.
RICH = {
    "sgd": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05, "clipvalue": 0.05},
    "rmsprop": {"momentum": 0.5, "centered": True, "clipnorm": 0.5},
    "adam": {"amsgrad": True, "global_clipnorm": 0.5}, "adamw": {"gradient_accumulation_steps": 3},
    "adadelta": {"weight_decay": 0.05}, "adagrad": {"initial_accumulator_value": 0.5}, "adamax": {"clipnorm": 0.5},
    "adafactor": {}, "nadam": {"weight_decay": 0.05}, "ftrl": {"l2_regularization_strength": 0.1, "beta": 0.1},
    "lion": {"weight_decay": 0.05}, "lamb": {"global_clipnorm": 0.5}, "muon": {"adam_weight_decay": 0.1},
}  # fmt: skip


def studied(optimizer, fixed=None, searched=None, **more):
    setup = problem("multiclass", {"cross_entropy": "cross_entropy"}, optimizer=optimizer, settings=fixed)
    return replace(setup, searched=searched or {}, **more)


def planned(setup, factor=1.0, **values):
    rate = RATES.get(setup.optimizer, 0.003)
    return replace(plan(setup, "cross_entropy", rate * factor), optimizer_settings=values)


def lanes_equal_fit(setup, plans, tolerance=TOLERANCE):
    _, weights = run(Population(setup, len(plans), blocks=1, variants=plans), plans)
    for each, actual in zip(plans, weights, strict=True):
        assert difference(actual, fitted(setup, each)) < tolerance, each
    return weights


def test_weights_are_held_to_their_constraints_in_steps_that_only_gather_slopes():
    signs = Mlp(lambda: keras.layers.Dense(12, "relu", kernel_constraint="non_neg"))
    setup = replace(studied("sgd", {"gradient_accumulation_steps": 4}), builder=signs)
    lanes_equal_fit(setup, [planned(setup)])


# ---- the step itself, all optimizers -----------------------------------------------------

NOTHING = interface.arrange([0] * 3)
SHAPES = [(5, 4), (4,), (4, 6, 3), (3,)]
STEPS, LANES = 7, 3


def slopes_of(step, scale=1.0):
    rng = np.random.default_rng([3, step])
    return [(scale * rng.normal(size=(LANES, *shape))).astype(np.float32) for shape in SHAPES]


def variables(lane):
    rng = np.random.default_rng([4, lane])
    return [keras.Variable(rng.normal(size=shape).astype(np.float32), name=f"w{i}") for i, shape in enumerate(SHAPES)]


def by_keras(optimizer, lane, scales):
    """The weights of one lane after `apply` of Keras's own optimizer, step by step."""
    weights = variables(lane)
    optimizer.build(weights)
    for step in range(STEPS):
        slopes = [scales[lane] * part[lane] for part in slopes_of(step)]
        optimizer.apply([keras.ops.convert_to_tensor(slope) for slope in slopes], weights)
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


def by_lanes(setup, plans, scales=(1.0,) * LANES):
    """The weights of all lanes after the same steps."""
    optimizer = LaneOptimizer(setup)
    optimizer.build(variables(0))
    slots = [interface.to_device(np.stack(slot)) for slot in zip(*map(optimizer.initial, plans), strict=True)]
    assert optimizer.signature == [(tuple(slot.shape[1:]), _dtype(slot)) for slot in slots]
    starts = [[keras.ops.convert_to_numpy(weight) for weight in variables(lane)] for lane in range(LANES)]
    weights = [interface.to_device(np.stack(parts)) for parts in zip(*starts, strict=True)]
    slot_leaves = [Leaf(*leaf) for leaf in optimizer.signature]
    leaves = [slot_leaves, [Leaf(shape) for shape in SHAPES], [Leaf(shape) for shape in SHAPES], Leaf(())]
    update = interface.compiled(lambda data, arrangement, lanes: optimizer.update(*lanes), [], leaves)
    for step in range(STEPS):
        by_lane = np.asarray(scales, np.float32)
        slopes = [interface.to_device(part * by_lane.reshape(-1, *[1] * (part.ndim - 1))) for part in slopes_of(step)]
        progress = interface.to_device(np.full(LANES, step / STEPS, np.float32))
        weights, slots = update([], NOTHING, [slots, slopes, weights, progress])
    return [[np.asarray(part)[lane] for part in weights] for lane in range(LANES)]


def _dtype(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


@pytest.mark.parametrize("name", long_but({"sgd", "adam", "adamw", "adafactor", "nadam", "lion", "muon"}, MAPPED))
def test_a_step_of_lanes_equals_a_step_of_keras(name):
    setup = studied(name, RICH[name])
    plans = [planned(setup, factor) for factor in (0.5, 1.0, 2.0)]
    actual = by_lanes(setup, plans)
    for lane, each in enumerate(plans):
        solo = by_keras(KNOWN[name](each.learning_rate, **RICH[name]), lane, [1.0] * LANES)
        assert difference(actual[lane], solo) < 2e-6


@pytest.mark.parametrize("clip", [{"clipnorm": 0.5}, {"global_clipnorm": 0.5}, {"clipvalue": 0.1}, {}])
def test_a_huge_slope_in_one_lane_changes_no_other(clip):
    setup = studied("sgd", clip)
    plans = [planned(setup)] * LANES
    calm, wild = by_lanes(setup, plans, (0.01, 0.01, 0.01)), by_lanes(setup, plans, (0.01, 1e8, 0.01))
    assert difference(calm[1], wild[1]) > 1e-3
    assert [difference(calm[lane], wild[lane]) for lane in (0, 2)] == [0, 0]
    if clip:
        solo = by_keras(keras.optimizers.SGD(plans[1].learning_rate, **clip), 1, (0.01, 1e8, 0.01))
        assert difference(wild[1], solo) < 2e-6


def test_a_slope_that_is_not_finite_stays_in_its_lane():
    setup = studied("adam", {"global_clipnorm": 0.5})
    plans = [planned(setup)] * LANES
    calm, wild = by_lanes(setup, plans), by_lanes(setup, plans, (1.0, np.inf, 1.0))
    assert np.isnan(wild[1][0]).all()
    assert [difference(calm[lane], wild[lane]) for lane in (0, 2)] == [0, 0]


# ---- settings of each lane's own ---------------------------------------------------------


def searched_numbers():
    """Every number of every optimizer that may be searched, with three values of it."""
    for name in MAPPED:
        for setting in (*optimization.OPTIMIZERS[name], *optimization.COMMON):
            if setting in optimization.BRANCHES or setting in optimization.NOT_SEARCHED:
                continue
            param = optimization.param(name, setting)
            low, high = (
                (param.low, param.high)
                if param.low < param.high
                else sorted((param.default * 0.99, param.default * 1.01))
            )
            yield name, setting, [float(value) for value in np.linspace(low, high if high > low else low + 0.1, LANES)]


NUMBERS = {f"{name}.{setting}": (name, setting, values) for name, setting, values in searched_numbers()}
SOME = ["sgd.clipnorm", "adam.beta_1", "adamw.weight_decay", "ftrl.beta"]


def check_number(name, setting, values):
    setup = studied(name, searched={setting: ()})
    plans = [planned(setup, **{setting: value}) for value in values]
    actual = by_lanes(setup, plans)
    for lane, each in enumerate(plans):
        solo = by_keras(KNOWN[name](each.learning_rate, **{setting: values[lane]}), lane, [1.0] * LANES)
        assert difference(actual[lane], solo) < 2e-6


@pytest.mark.parametrize("case", SOME)
def test_a_searched_number_is_each_lanes_own(case):
    check_number(*NUMBERS[case])


@pytest.mark.long
@pytest.mark.parametrize("case", sorted(set(NUMBERS) - set(SOME)))
def test_every_searched_number_is_each_lanes_own(case):
    check_number(*NUMBERS[case])


@pytest.mark.parametrize(
    ("name", "searched", "values"),
    [
        ("sgd", {"momentum": (), "nesterov": (False, True)}, [(0.5, False), (0.5, True), (0.0, True)]),
        ("rmsprop", {"momentum": (), "centered": (False, True)}, [(0.0, False), (0.5, True), (0.0, True)]),
        ("adam", {"clipnorm": (), "gradient_accumulation_steps": (1, 2, 3)}, [(0.5, 1), (0.5, 2), (5.0, 3)]),
        ("adagrad", {"epsilon": (), "initial_accumulator_value": (0.1, 1.0)}, [(1e-3, 0.1), (1e-3, 1.0), (1e-7, 1.0)]),
    ],
)
def test_a_searched_switch_is_each_lanes_own(name, searched, values):
    setup = studied(name, searched=searched)
    plans = [planned(setup, **dict(zip(searched, each, strict=True))) for each in values]
    actual = by_lanes(setup, plans)
    for lane, each in enumerate(plans):
        given = {k: v for k, v in each.optimizer_settings.items() if (k, v) != (optimizers.ACCUMULATION, 1)}
        solo = by_keras(KNOWN[name](each.learning_rate, **given), lane, [1.0] * LANES)
        assert difference(actual[lane], solo) < 2e-6


def test_a_lane_with_searched_momentum_and_decay_equals_model_fit_with_these():
    setup = studied("sgd", searched={"momentum": (), "weight_decay": ()})
    plans = [planned(setup, momentum=m, weight_decay=d) for m, d in ((0.0, 0.01), (0.9, 0.0), (0.6, 0.1))]
    weights = lanes_equal_fit(setup, plans)
    assert difference(weights[0], weights[1]) > 0.01


# ---- whole trainings ---------------------------------------------------------------------


@pytest.mark.long
def test_lanes_equal_model_fit():
    setup = studied("nadam", {"weight_decay": 0.05, "clipnorm": 0.5})
    lanes_equal_fit(setup, [planned(setup), planned(setup, 2.0)])


PRODUCT = [(name, settings) for name in MAPPED for settings in (*COMMON, *OWN.get(name, ()))]


@pytest.mark.long
@pytest.mark.parametrize(("name", "fixed"), PRODUCT, ids=[f"{name}-{settings}" for name, settings in PRODUCT])
def test_lanes_equal_model_fit_with_every_setting(name, fixed):
    setup = studied(name, fixed)
    lanes_equal_fit(setup, [planned(setup)])


# ---- what is refused ---------------------------------------------------------------------


@pytest.fixture(params=["MIXIN", "BASE"])
def another_keras(request, monkeypatch):
    """A Keras whose private classes have other names."""
    monkeypatch.setattr(_keras_optimizer, request.param, "Renamed")
    _keras_optimizer.refusal.cache_clear()
    yield
    _keras_optimizer.refusal.cache_clear()


@pytest.mark.usefixtures("another_keras")
def test_no_lane_has_an_optimizer_whose_private_classes_have_changed():
    setup = studied("sgd")
    refused = Population(setup, 1).refuses("cross_entropy")
    assert refused.startswith(f"optimizer sgd: the optimizers of Keras {keras.__version__} are made in another way")
    assert Fit(setup).refuses("cross_entropy") == ""


def test_every_optimizer_is_mapped_or_refused_by_name():
    assert set(MAPPED) | set(REFUSED) == set(KNOWN) == set(optimization.OPTIMIZERS)
    assert not set(MAPPED) & set(REFUSED)
    for name in MAPPED:
        assert optimizers.refusal(name, {"clipnorm": 1.0, "gradient_accumulation_steps": 4}) == ""
    assert "reads its momentum after changing it" in optimizers.refusal("ScheduleFreeAdamW", {})
    assert "use_ema" in optimizers.refusal("adam", {"use_ema": True})


@pytest.mark.parametrize("name", ["lossscaleoptimizer", "MultiOptimizer"])
def test_what_wraps_optimizers_is_refused_with_the_reason(name):
    with pytest.raises(InputError, match=r"half precision|other optimizers"):
        optimizers.build(name, 0.1, {})


def test_what_keras_does_not_take_is_told():
    setup = studied("lion", searched={"beta_1": ()})
    with pytest.raises(InputError, match="beta_1"):
        optimizers.check(setup, [{"beta_1": 0.5}, {"beta_1": 0.0}])


def test_the_step_of_schedule_free_adamw_is_not_the_published_one_on_tensorflow():
    """The reason why it is refused: Defazio et al. (2024), arXiv:2405.15682, with weights 1/t; in float64."""
    rate, beta_1, beta_2, epsilon = 0.01, 0.9, 0.999, 1e-8
    y = keras.ops.convert_to_numpy(variables(0)[0]).astype(np.float64)
    x, z, v = y, y, 0.0
    for step in range(STEPS):
        slope = slopes_of(step)[0][0].astype(np.float64)
        v = beta_2 * v + (1 - beta_2) * slope**2
        z = z - rate * slope / (np.sqrt(v / (1 - beta_2 ** (step + 1))) + epsilon)
        x = x + (z - x) / (step + 1)
        y = (1 - beta_1) * z + beta_1 * x
    setup = studied("schedulefreeadamw")
    lane = by_lanes(setup, [replace(planned(setup), learning_rate=rate)] * LANES)[0][0]
    assert np.abs(lane - y).max() < 1e-5
    solo = by_keras(keras.optimizers.ScheduleFreeAdamW(rate), 0, [1.0] * LANES)[0]
    assert (np.abs(solo - y).max() > 1e-3) == (interface.NAME == "TensorFlow")


# ---- model.fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "searched", "values"),
    [
        ("schedulefreeadamw", {}, [{}, {}]),
        pytest.param(
            "sgd", {"momentum": (), "nesterov": (False, True)},
            [{"momentum": 0.0, "nesterov": True}, {"momentum": 0.9, "nesterov": False}], marks=pytest.mark.long,
        ),
    ],
)  # fmt: skip
def test_the_trainer_for_one_plan_sets_every_plans_own_settings_and_start(name, searched, values):
    setup = studied(name, searched=searched)
    trainer = Fit(setup)
    for seed, each in enumerate(values):
        one = replace(planned(setup, **each), epochs=2, seed=seed)
        trainer.open(0, one)
        for _ in range(one.epochs):
            trainer.advance()
        assert difference(trainer.weights(0), fitted(setup, one)) < TOLERANCE
        trainer.close(0)
