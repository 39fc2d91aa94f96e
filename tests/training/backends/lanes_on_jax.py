"""The script of `test_jax.py` for Keras on JAX, in a process of its own: lanes against `model.fit`, and the machine."""

from __future__ import annotations

import functools
import sys

import commands
import jax
import keras
import numpy as np
import pytest
from problems import Mlp, again, assert_as_alone, dataset, difference, plan, problem, run

import lossreg
from lossreg import LossSpec
from lossreg.errors import InputError
from lossreg.registry import registry
from lossreg.training.backends import interface
from lossreg.training.backends import jax as on_jax
from lossreg.training.mappable_losses import rehearse
from lossreg.training.population import Population
from lossreg.training.solo import Fit

LOSSES = {
    "cross_entropy": {},
    "label_smoothing_ce": {"eps": 0.12},
    "generalized_cross_entropy": {"q": 0.6},
}
RATES = {"sgd": (0.007, 0.01), "adam": (0.002, 0.003, 0.004)}
# weights after 42 steps, float32
TOLERANCE = {"sgd": 1e-6, "adam": 2e-5}


def normalised():
    """A builder of a model with batch normalisation and a penalty."""
    return Mlp(
        lambda: keras.layers.Dense(12, "relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
        keras.layers.BatchNormalization,
        lambda: keras.layers.Dense(8, "tanh"),
    )


def mixed(optimizer):
    """A problem and a plan for each of a few losses, at different learning rates."""
    settings, builder = ({"momentum": 0.9}, None) if optimizer == "sgd" else ({}, normalised())
    names = list(LOSSES)[: len(RATES[optimizer])]
    setup = problem("multiclass", {name: name for name in names}, optimizer=optimizer, settings=settings,
                  builder=builder)  # fmt: skip
    pairs = zip(names, RATES[optimizer], strict=True)
    return setup, [plan(setup, name, rate, epochs=3, **LOSSES[name]) for name, rate in pairs]


@functools.cache
def trained(optimizer):
    """Problem, plans, population, reports and weights."""
    setup, plans = mixed(optimizer)
    population = Population(setup, len(plans), blocks=1, variants=plans)
    return setup, plans, population, *run(population, plans)


def test_keras_is_on_jax():
    assert keras.backend.backend() == "jax"
    assert interface.NAME == "JAX"


@pytest.mark.parametrize(
    ("optimizer", "slot"),
    [("adam", 2), *(pytest.param(*lane, marks=pytest.mark.long) for lane in
                    [("adam", 0), ("adam", 1), ("sgd", 0), ("sgd", 1)])],
)  # fmt: skip
def test_every_lane_equals_model_fit(optimizer, slot):
    setup, plans, _, reports, weights = trained(optimizer)
    model = assert_as_alone(setup, plans[slot], weights[slot], reports[slot], TOLERANCE[optimizer])
    z = model.predict(setup.dataset.validation.x, verbose=0)
    assert reports[slot][-1].val_score == pytest.approx((z.argmax(1) == setup.dataset.validation.y).mean())


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("sgd", marks=pytest.mark.long)])
def test_a_change_of_one_percent_is_seen(optimizer):
    setup, plans, population, _, weights = trained(optimizer)
    changed = [plan(setup, p.candidate, 1.01 * p.learning_rate, 3, **LOSSES[p.candidate]) for p in plans]
    _, others = again(population, changed)
    for slot in range(len(plans)):
        assert difference(weights[slot], others[slot]) > 2 * TOLERANCE[optimizer]


def test_another_loss_rate_and_seed_change_no_other_lane_by_a_single_bit():
    setup, plans, population, _, weights = trained("adam")
    _, others = again(population, [plans[0], plan(setup, "cross_entropy", 0.01, 3, seed=5), plans[2]])
    assert difference(weights[0], others[0]) == difference(weights[2], others[2]) == 0.0
    assert difference(weights[1], others[1]) > 0.0


def test_a_lane_that_moves_into_a_used_slot_equals_one_from_the_start():
    _, plans, population, _, weights = trained("adam")
    for slot in range(3):
        population.close(slot)
    population.open(0, plans[0])
    population.open(1, plans[2])
    population.advance()
    population.close(1)
    population.open(1, plans[1])
    for _ in range(2):
        population.advance()
    assert difference(population.weights(0), weights[0]) < TOLERANCE["adam"]
    population.close(0)
    population.advance()
    assert difference(population.weights(1), weights[1]) < TOLERANCE["adam"]


def test_dropout_differs_from_lane_to_lane_of_other_seeds_and_is_off_in_validation():
    builder = Mlp(lambda: keras.layers.Dense(12, "relu"), lambda: keras.layers.Dropout(0.5, seed=3))
    setup = problem("multiclass", {"l": "cross_entropy"}, builder=builder)
    still = plan(setup, "l", 0.0, 1)
    population = Population(setup, 1, blocks=1, variants=[still])
    reports, weights = run(population, [still], 2)
    # a rate of 0 leaves the weights: what differs from epoch to epoch in training is the mask and the order
    assert reports[0][0].val_loss == reports[0][1].val_loss
    assert reports[0][0].train_loss != reports[0][1].train_loss
    model = setup.build(4, 0)
    z = model.predict(setup.dataset.validation.x, verbose=0)
    assert difference(weights[0][:4], model.get_weights()[:4]) == 0.0
    assert reports[0][0].val_score == pytest.approx((z.argmax(1) == setup.dataset.validation.y).mean())


def test_one_plan_at_a_time_gives_the_same_weights():
    setup, plans, _, reports, weights = trained("adam")
    actual, alike = run(Fit(setup), plans[1:2])
    assert difference(alike[0], weights[1]) < TOLERANCE["adam"]
    assert actual[0][-1].val_loss == pytest.approx(reports[1][-1].val_loss, rel=2e-4)


@pytest.mark.parametrize(
    ("task", "name"),
    [("regression", "huber"),
     *(pytest.param(*case, marks=pytest.mark.long) for case in [
         ("binary", "binary_focal"), ("multilabel", "asymmetric"), ("count", "poisson"), ("multiclass", "bi_tempered"),
         ("multiclass", "ldam"),
     ])],
)  # fmt: skip
def test_a_keras_loss_trains_in_model_fit(task, name):
    data, spec = dataset(task), registry.default().get(name)
    model = Mlp().build((7,), spec.width(data.n_classes), data.n_classes, 0)
    needs = {n: v for n, v in data.constants.select(spec.needs).items() if n != "n_classes"}
    model.compile("adam", lossreg.get(name, from_logits=True, **needs))
    history = model.fit(data.train.x, data.train.y, epochs=3, batch_size=32, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < history[0]


# ------------------------------------------------------------------------------- what is refused


def tried(function):
    setup = problem("regression", {"l": "mean_squared_error"})
    spec = LossSpec(name="mine", tasks=("regression",), summary="s", reference="r", target="real", outputs="1",
                    activation="affine", function=function)  # fmt: skip
    setup.losses["l"] = spec
    return setup, plan(setup, "l", 0.01)


def squares(y, z):
    return keras.ops.mean(keras.ops.square(y - z), -1)


def test_a_condition_of_python_on_tensors_is_refused_in_one_line():
    with pytest.raises(InputError, match="fails in a JAX graph: ") as caught:
        rehearse(*tried(lambda y, z: squares(y, z) if squares(y, z)[0] > 0 else 2 * squares(y, z)))
    assert "\n" not in str(caught.value)


def test_a_variable_and_a_random_operation_do_not_train_in_lanes():
    factor = keras.Variable(2.0)
    held = "cannot be mapped over lanes: it holds a variable or a random operation"
    assert rehearse(*tried(lambda y, z: factor * squares(y, z))) == held
    seed = keras.random.SeedGenerator(0)
    assert rehearse(*tried(lambda y, z: squares(y, z) + 0.0 * keras.random.normal(y.shape[:1], seed=seed))) == held
    # the state of the generator is a number still, not what stands for one while a function is traced
    assert np.isfinite(keras.ops.convert_to_numpy(keras.random.normal((2,), seed=seed))).all()
    assert rehearse(*tried(squares)) == ""


# ------------------------------------------------------------------------------- the machine

FACTORS = (2.0, -1.0, 0.5)


def branches():
    """Three branches: values are the factor times the sum of squares, plus the lane's own number."""

    def of(factor):
        def one(lane):
            rows, offset = lane
            return interface.value_and_gradient(lambda z: factor * keras.ops.sum(keras.ops.square(z)) + offset, rows)

        return interface.branch(lambda by_sample, by_lane: interface.map_lanes(one, (by_sample[0], by_lane)))

    return [of(factor) for factor in FACTORS]


@pytest.mark.parametrize("groups", [[0], [1, 1], [0, 0, 0, 0, 0, 1, 2, 2, 2], [2] * 8, [0, 2, 2, 2, 2, 2, 2]])
def test_every_lane_goes_through_its_own_branch_whatever_the_width(groups):
    rng = np.random.default_rng(len(groups))
    rows, offsets = (
        rng.normal(size=(len(groups), 3)).astype(np.float32),
        rng.normal(size=len(groups)).astype(np.float32),
    )
    three = branches()
    program = interface.compiled(
        lambda data, arrangement, lanes: interface.dispatch(three, arrangement, [lanes[0]], lanes[1], often=True),
        (),
        (),
    )
    factors = np.array(FACTORS)[groups]
    for lanes in range(len(groups), 0, -1):
        values, slopes = program((), interface.arrange(groups[:lanes]), (rows[:lanes], offsets[:lanes]))
        np.testing.assert_allclose(values, factors[:lanes] * (rows[:lanes] ** 2).sum(1) + offsets[:lanes], rtol=1e-5)
        np.testing.assert_allclose(slopes, 2 * factors[:lanes, None] * rows[:lanes], rtol=1e-5)


def test_a_narrower_program_is_compiled_only_once_that_is_worth_it():
    program = on_jax.Program(lambda data, arrangement, lanes: lanes + data)
    one, chunks = np.float32(1), interface.arrange([0])
    assert program(one, chunks, np.zeros(40, np.float32)).sum() == 40
    for _ in range(3):
        program._wasted = 0.0
        assert program(one, chunks, np.zeros(3, np.float32)).tolist() == [1, 1, 1]
    assert sorted(program._programs) == [40]
    program._wasted = 2 * program._compiling
    assert program(one, chunks, np.zeros(3, np.float32)).tolist() == [1, 1, 1]
    assert sorted(program._programs) == [3, 40]


@pytest.mark.parametrize("lanes", [1, 2, 5, 16, 17, 40, 63, 64, 1000])
def test_at_most_a_quarter_more_lanes_are_compiled_for(lanes):
    assert lanes <= on_jax._width(lanes) <= max(2, 1.25 * lanes)


# ------------------------------------------------------------------------------- losses that are called

ROWS = np.array([[0.2], [0.9]], np.float32)


@pytest.mark.parametrize(
    ("name", "y", "predictions", "message"),
    [
        ("huber", [[1.0], [2.0]], [[np.nan], [0.5]], "1 of 2 predictions is NaN"),
        ("huber", [[np.nan], [2.0]], [[1.0], [0.5]], "1 of 2 labels is NaN"),
        ("focal", [0, 1], [[np.nan, 0.5], [0.5, 0.5]], "1 of 4 predictions is NaN"),
        ("focal", [0, 2], [[0.5, 0.5], [0.5, 0.5]], r"labels from 0 to 2 are not all in \[0, 1\]"),
        ("binary_crossentropy", [0, 1], [[-3.0], [0.5]], "predictions from -3 to 0.5 are not probabilities"),
        ("poisson", [0, 1], [[-3.0], [0.5]], "are not all at least 0"),
    ],
)
def test_a_call_on_arrays_says_what_is_wrong_with_them(name, y, predictions, message):
    for arrays in (np.asarray, jax.numpy.asarray):
        with pytest.raises(InputError, match=message):
            lossreg.get(name)(arrays(y), arrays(predictions, "float32"))


def test_inside_a_graph_what_is_wrong_gives_nan():
    loss, y = lossreg.get("binary_crossentropy"), np.array([0.0, 1.0])
    assert np.isfinite(jax.jit(loss)(y, ROWS))
    assert np.isnan(jax.jit(loss)(y, 5 * ROWS))


# ------------------------------------------------------------------------------- a study

STUDY = """
[data]
source = "sklearn:iris"
validation = 0.4
[model]
build = "mlp"
hidden = [8]
[train]
epochs = 2
learning_rate = { low = 1e-3, high = 1e-1, log = true }
[search]
trials = 5
metric = "accuracy"
lanes = 4
[losses.cross_entropy]
[losses.label_smoothing_ce]
[verdict]
outer = 0
repeats = 2
"""


# what is written to MLflow is the same on every backend
@pytest.mark.parametrize("tracked", ["false", pytest.param("true", marks=pytest.mark.long)])
def test_a_study_runs_from_the_command_line(tmp_path, monkeypatch, capfd, tracked):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "toy.toml").write_text(STUDY)
    has_tensorflow = "tensorflow" in sys.modules
    code, out, err = commands.runner(monkeypatch, capfd)("tune", "toy.toml", "--set", f"tracking.enabled={tracked}")
    assert not code, err
    assert ("tensorflow" in sys.modules) == has_tensorflow, "its import takes seconds, and writes to standard error"
    assert "5 trials, all complete" in out + err
    assert "Recommended, trial " in out + err
    assert "accuracy on 30 test rows" in " ".join(out.split())


def test_the_checks_of_losses_say_where_they_run(monkeypatch, capfd):
    code, _, err = commands.runner(monkeypatch, capfd)("check", "brier")
    assert code == 2
    assert "the checks of losses run on tensorflow, and Keras is set to jax." in " ".join(err.split())
