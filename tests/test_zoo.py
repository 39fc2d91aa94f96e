"""The built-in losses: values, gradients, extremes, limits and declared properties."""

import doctest
from importlib import import_module

import loss_cases as cases
import numpy as np
import pytest
import reference
import tensorflow as tf

from lossreg import ops, registry, zoo
from lossreg.links import LINKS
from lossreg.params import PerClass
from lossreg.spec import LossSpec

SPECS = cases.SPECS
CLASSES = [name for name, spec in SPECS.items() if spec.target == "onehot"]
every_loss = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
every_class_loss = pytest.mark.parametrize("spec", [SPECS[name] for name in CLASSES], ids=CLASSES)


def tensors(arguments, dtype="float32"):
    return {name: None if value is None else tf.constant(value, dtype) for name, value in arguments.items()}


def compute(spec, y, z, arguments, dtype="float32"):
    """Values `(n,)` and the gradient of their sum `(n, outputs)`, as float64 arrays."""
    y, z = tf.constant(y, dtype), tf.constant(z, dtype)
    with tf.GradientTape() as tape:
        tape.watch(z)
        values = spec.resolve()(y, z, **tensors(arguments, dtype))
    gradient = tape.gradient(values, z)
    assert values.dtype == gradient.dtype == tf.as_dtype(dtype)
    return values.numpy().astype(float), gradient.numpy().astype(float)


def arguments_of(spec, rng, k=3):
    return {**cases.draw(spec, rng, k), **cases.constants(spec, k)}


def defaults(spec, k=3):
    return {**spec.bind({}), **cases.constants(spec, k)}


def test_every_loss_has_a_reference():
    assert set(reference.LOSSES) == set(SPECS)


@pytest.mark.parametrize("family", zoo.FAMILIES, ids=lambda family: family.__name__)
def test_doctests_run_and_every_loss_has_one(family):
    assert doctest.testmod(family).failed == 0
    assert [spec.name for spec in family.LOSSES if ">>>" not in (spec.function.__doc__ or "")] == []


@every_loss
@pytest.mark.parametrize("k", [2, 3, 7])
def test_values_are_the_formula(spec, k):
    rng = np.random.default_rng(k)
    for _ in range(3):
        y, z, arguments = cases.labels(spec, 12, rng, k), cases.scores(spec, 12, rng, k), arguments_of(spec, rng, k)
        wanted = reference.values(spec.name, y, z, arguments)
        np.testing.assert_allclose(compute(spec, y, z, arguments)[0], wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(compute(spec, y, z, arguments, "float64")[0], wanted, rtol=1e-9, atol=1e-12)


@every_loss
def test_gradients_are_central_differences_of_the_formula(spec):
    rng = np.random.default_rng(1)
    for _ in range(3):
        y, z, arguments = cases.labels(spec, 12, rng), cases.scores(spec, 12, rng), arguments_of(spec, rng)
        wanted = reference.gradients(spec.name, y, z, arguments)
        np.testing.assert_allclose(compute(spec, y, z, arguments, "float64")[1], wanted, rtol=1e-5, atol=1e-7)


def extreme_batch(spec):
    """Every pair of extreme scores of either sign with every label."""
    ends = np.array(sorted({sign * size for sign in (-1, 1) for size in cases.EXTREMES}))
    if spec.outputs == "1":
        z = ends[:, None]
        kinds = {"real": (-3.0, 0.0, 3.0), "raw": (0.0, 1e-3, 50.0), "count": (0.0, 1.0, 200.0), "signed": (-1.0, 1.0)}
        y = np.array(kinds.get(spec.target, (0.0, 1.0)))[:, None]
    else:
        pairs = np.array(np.meshgrid(ends, ends)).reshape(2, -1).T
        z, y = np.column_stack([pairs, np.zeros(len(pairs))]), np.eye(3)
    return np.repeat(y, len(z), axis=0), np.tile(z, (len(y), 1))


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_extreme_scores_give_finite_values_and_gradients(spec, dtype):
    y, z = extreme_batch(spec)
    for corner in cases.corners(spec):
        values, gradient = compute(spec, y, z, {**corner, **cases.constants(spec)}, dtype)
        assert np.isfinite(values).all(), corner
        assert np.isfinite(gradient).all(), corner


@every_loss
@pytest.mark.parametrize("size", [20.0, 50.0])
def test_confidently_wrong_samples_keep_a_gradient(spec, size):
    sides = {"onehot": [[0, 1], [1, 0]], "binary": [[0], [1]], "signed": [[-1], [1]]}.get(spec.target, [[1.0], [1.0]])
    z = [[size / 2, -size / 2], [-size / 2, size / 2]] if spec.outputs == "k" else [[size], [-size]]
    _, gradient = compute(spec, sides, z, defaults(spec, 2))
    assert (gradient[:, 0] != 0).all()


def test_focal_gradients_are_those_of_the_formula_for_every_gamma():
    z = np.array([[30.0, 0.0], [-30.0, 0.0], [0.0, 0.0], [3.0, 1.0]])
    y = np.tile([1.0, 0.0], (4, 1))
    for gamma in (0.0, 0.3, 1.0, 2.5):
        arguments = {"gamma": gamma, "alpha": None}
        wanted = reference.gradients("focal", y, z, arguments, step=1e-4)
        np.testing.assert_allclose(compute(SPECS["focal"], y, z, arguments)[1], wanted, rtol=1e-4, atol=1e-6)
        wanted = reference.gradients("binary_focal", y[:, :1], z[:, :1], arguments, step=1e-4)
        got = compute(SPECS["binary_focal"], y[:, :1], z[:, :1], arguments)[1]
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_the_tail_of_focal_is_exact():
    # 1 - p = e^-40: far below the spacing of float32 numbers at 1
    value, _ = compute(SPECS["focal"], [[1.0, 0.0]], [[40.0, 0.0]], {"gamma": 0.5, "alpha": None}, "float64")
    assert value[0] == pytest.approx(np.exp(-60.0), rel=1e-6)
    _, gradient = compute(SPECS["focal"], [[0.0, 1.0, 0.0]], [[40.0, 0.0, 0.0]], {"gamma": 2.0, "alpha": None})
    np.testing.assert_allclose(gradient, [[1.0, -1.0, 0.0]], atol=1e-6)


def test_log_cosh_keeps_its_digits_near_zero():
    e = np.array([[1e-4], [1e-3], [0.1], [9.99], [10.01]])
    value, gradient = compute(SPECS["log_cosh"], np.zeros_like(e), e, {"c": 10.0})
    np.testing.assert_allclose(value, 100 * np.log(np.cosh(e[:, 0] / 10)), rtol=2e-6, atol=1e-16)
    np.testing.assert_allclose(gradient[:, 0], 10 * np.tanh(e[:, 0] / 10), rtol=2e-6)


def test_poisson_goes_on_along_its_tangents():
    y, z = np.full((4, 1), 2.0), np.array([[31.0], [90.0], [-31.0], [-90.0]])
    value, gradient = compute(SPECS["poisson"], y, z, {"target_mean": 3.0}, "float64")
    edge = np.sign(z) * 30
    rate = 3 * np.exp(edge)
    np.testing.assert_allclose(gradient, rate - 2, rtol=1e-12)
    wanted = rate * (1 + z - edge) - y * (z + np.log(3.0))
    np.testing.assert_allclose(value, wanted[:, 0], rtol=1e-12)


def bits(y, z, spec):
    with tf.GradientTape() as tape:
        tape.watch(z)
        values = spec.resolve()(y, z)
    return values, tape.gradient(values, z)


@pytest.mark.parametrize("k", [2, 3, 10])
def test_kl_of_hard_labels_is_cross_entropy_to_the_last_bit(k):
    rng = np.random.default_rng(k)
    y = tf.constant(np.eye(k)[rng.integers(0, k, (5, 64))], "float32")
    z = tf.constant(30 * rng.normal(size=(5, 64, k)), "float32")
    for run in (
        lambda spec: bits(y[0], z[0], spec),
        tf.function(lambda spec: bits(y[0], z[0], spec)),
        tf.function(lambda spec: tf.vectorized_map(lambda lane: bits(*lane, spec), (y, z))),
    ):
        kl, ce = run(SPECS["kl_divergence"]), run(SPECS["cross_entropy"])
        assert [part.numpy().tobytes() for part in kl] == [part.numpy().tobytes() for part in ce]


TO_CROSS_ENTROPY = [
    ("focal", {"gamma": 0.0, "alpha": None}, 1.0),
    ("focal", {"gamma": 0.0, "alpha": [1.0, 1.0, 1.0]}, 1.0),
    ("generalized_cross_entropy", {"q": 1e-6}, 1.0),
    ("label_smoothing_ce", {"eps": 0.0}, 1.0),
    ("hard_truncated_ce", {"m": 1 - 1e-9}, 1.0),
    ("weighted_ce", {"tau": 0.0}, 1.0),
    ("class_balanced_ce", {"one_minus_beta": 1 - 1e-12}, 1.0),
]


@pytest.mark.parametrize(("name", "params", "factor"), TO_CROSS_ENTROPY)
def test_limits_at_cross_entropy(name, params, factor):
    rng, spec = np.random.default_rng(2), SPECS[name]
    y, z = cases.labels(spec, 30, rng), cases.scores(spec, 30, rng)
    value, gradient = compute(spec, y, z, {**params, **cases.constants(spec)}, "float64")
    wanted, slope = compute(SPECS["cross_entropy"], y, z, {}, "float64")
    np.testing.assert_allclose(value, factor * wanted, rtol=1e-5)
    np.testing.assert_allclose(gradient, factor * slope, rtol=1e-4, atol=1e-9)


SAME = [
    ("binary_focal", {"gamma": 0.0, "alpha": None}, "binary_crossentropy", {"label_smoothing": 0.0}, 1.0),
    ("softened_bce", {"kappa": 1.0}, "binary_focal", {"gamma": 1.0, "alpha": None}, 1.0),
    ("softened_bce", {"kappa": 1e4}, "hard_truncated_bce", {"m": 0.5}, 1.0),
    ("softened_ce", {"kappa": 1.0}, "focal", {"gamma": 1.0, "alpha": None}, 1.0),
    ("softened_ce", {"kappa": 1e4}, "hard_truncated_ce", {"m": 0.5}, 1.0),
    ("huber", {"delta": 1e6}, "mean_squared_error", {}, 0.5),
    ("log_cosh", {"c": 1e4}, "mean_squared_error", {}, 0.5),
]


@pytest.mark.parametrize(("name", "params", "other", "others", "factor"), SAME)
def test_limits_at_another_loss(name, params, other, others, factor):
    rng, spec = np.random.default_rng(3), SPECS[name]
    y, z = cases.labels(spec, 30, rng), cases.scores(spec, 30, rng)
    value, gradient = compute(spec, y, z, params, "float64")
    wanted, slope = compute(SPECS[other], y, z, others, "float64")
    np.testing.assert_allclose(value, factor * wanted, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(gradient, factor * slope, rtol=1e-6, atol=1e-12)


def test_generalized_cross_entropy_at_q_1_is_half_the_absolute_error_of_probabilities():
    rng = np.random.default_rng(4)
    y, z = np.eye(4)[rng.integers(0, 4, 20)], rng.normal(size=(20, 4))
    p = np.array([reference.softmax(row) for row in z.tolist()])
    value, _ = compute(SPECS["generalized_cross_entropy"], y, z, {"q": 1.0}, "float64")
    np.testing.assert_allclose(value, np.abs(p - y).sum(axis=1) / 2, rtol=1e-12)


TWO = [
    ("cross_entropy", {}, "binary_crossentropy", {"label_smoothing": 0.0}),
    ("label_smoothing_ce", {"eps": 0.15}, "binary_crossentropy", {"label_smoothing": 0.15}),
    ("focal", {"gamma": 1.7, "alpha": None}, "binary_focal", {"gamma": 1.7, "alpha": None}),
    ("focal", {"gamma": 1.7, "alpha": [0.7, 0.3]}, "binary_focal", {"gamma": 1.7, "alpha": 0.3}),
    ("hard_truncated_ce", {"m": 0.6}, "hard_truncated_bce", {"m": 0.6}),
    ("softened_ce", {"kappa": 3.0}, "softened_bce", {"kappa": 3.0}),
]


@pytest.mark.parametrize(("name", "params", "binary", "binary_params"), TWO)
def test_two_scores_of_one_logit_give_the_binary_formula(name, params, binary, binary_params):
    z = np.linspace(-60, 60, 41)[:, None]
    y = (np.arange(41) % 2)[:, None].astype(float)
    wide, slope = compute(SPECS[name], np.hstack([1 - y, y]), np.hstack([-z / 2, z / 2]), params)
    narrow, narrow_slope = compute(SPECS[binary], y, z, binary_params)
    np.testing.assert_allclose(wide, narrow, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose((slope[:, 1] - slope[:, 0]) / 2, narrow_slope[:, 0], rtol=1e-5, atol=1e-7)


@every_class_loss
@pytest.mark.parametrize("share", [0.2, 0.35, 0.65, 0.8])
def test_the_binary_minimiser_is_on_the_side_of_the_majority(spec, share):
    z = np.linspace(-8, 8, 161)[:, None]
    scores = np.hstack([-z / 2, z / 2])
    even = {"class_counts": [50.0, 50.0], "class_priors": [0.5, 0.5]}
    arguments = {**spec.bind({}), **{name: even[name] for name in spec.needs}}
    of_0, of_1 = (compute(spec, np.tile(np.eye(2)[c], (161, 1)), scores, arguments)[0] for c in (0, 1))
    best = z[np.argmin((1 - share) * of_0 + share * of_1), 0]
    # Keras's hinge, whose true class counts as a score of 0, cannot decide between 1/3 and 2/3
    undecided = spec.name == "categorical_hinge" and 1 / 3 < share < 2 / 3
    assert np.sign(best) == (0 if undecided else np.sign(share - 0.5))


def test_cosine_similarity_has_a_gradient_in_a_binary_task():
    _, gradient = compute(SPECS["cosine_similarity"], [[0, 1]] * 3, [[-3, 3], [0, 0], [3, -3]], {})
    assert (gradient[:, 1] < 0).all()


def in_lanes(spec, y, z, lanes):
    """Values and gradients mapped over lanes, each lane with its own parameters."""

    def one(lane):
        y, z, own = lane
        with tf.GradientTape() as tape:
            tape.watch(z)
            values = spec.resolve()(y, z, **{**dict.fromkeys(absent), **own})
        return values, tape.gradient(values, z)

    absent = [param.name for param in spec.params if param.name not in lanes]
    return tf.vectorized_map(one, (y, z, lanes), fallback_to_while_loop=False)


@every_loss
def test_mapped_over_lanes_is_looped_over_lanes(spec):
    rng, n, many = np.random.default_rng(5), 8, 4
    settings = [arguments_of(spec, rng) for _ in range(many)]
    y = np.stack([cases.labels(spec, n, rng) for _ in range(many)])
    z = np.stack([cases.scores(spec, n, rng, scale=5.0) for _ in range(many)])
    lanes = {key: tf.constant([one[key] for one in settings], "float32") for key in settings[0]}
    mapped = tf.function(lambda y, z, lanes: in_lanes(spec, y, z, lanes))
    values, slopes = mapped(tf.constant(y, "float32"), tf.constant(z, "float32"), lanes)
    for lane, arguments in enumerate(settings):
        value, slope = compute(spec, y[lane], z[lane], arguments)
        np.testing.assert_allclose(values[lane], value, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(slopes[lane], slope, rtol=2e-6, atol=2e-6)


@every_loss
def test_a_map_over_no_lanes_is_empty(spec):
    rng = np.random.default_rng(6)
    signature = tf.function(lambda y, z, lanes: in_lanes(spec, y, z, lanes), reduce_retracing=True)
    made = arguments_of(spec, rng)
    for many in (2, 3, 0):
        y = tf.constant(np.tile(cases.labels(spec, 4, rng), (many, 1, 1)), "float32")
        z = tf.constant(np.tile(cases.scores(spec, 4, rng), (many, 1, 1)), "float32")
        lanes = {key: tf.repeat(tf.constant([value], "float32"), many, axis=0) for key, value in made.items()}
        assert signature(y, z, lanes)[0].shape == (many, 4)


@every_loss
def test_places_of_space_are_averaged(spec):
    rng = np.random.default_rng(7)
    y, z, arguments = cases.labels(spec, 12, rng), cases.scores(spec, 12, rng), defaults(spec)
    flat, _ = compute(spec, y, z, arguments)
    spaced, _ = compute(spec, y.reshape(2, 3, 2, -1), z.reshape(2, 3, 2, -1), arguments)
    np.testing.assert_allclose(spaced, flat.reshape(2, 6).mean(axis=1), rtol=1e-5, atol=1e-6)


LINEAR = [name for name in CLASSES if name not in ("kl_divergence", "categorical_hinge", "cosine_similarity")]


@pytest.mark.parametrize("name", LINEAR)
def test_soft_labels_weigh_the_losses_of_their_classes(name):
    rng, spec = np.random.default_rng(8), SPECS[name]
    soft, z, arguments = rng.dirichlet(np.ones(3), size=10), cases.scores(spec, 10, rng), arguments_of(spec, rng)
    hard = [compute(spec, np.tile(np.eye(3)[c], (10, 1)), z, arguments)[0] for c in range(3)]
    wanted = sum(soft[:, c] * hard[c] for c in range(3))
    np.testing.assert_allclose(compute(spec, soft, z, arguments)[0], wanted, rtol=1e-5, atol=1e-6)


def test_kl_of_soft_labels_is_zero_at_the_labels():
    soft = np.array([[0.2, 0.3, 0.5], [0.0, 0.5, 0.5]])
    value, gradient = compute(SPECS["kl_divergence"], soft, np.log(soft + 1e-12), {}, "float64")
    np.testing.assert_allclose(value, 0, atol=1e-10)
    np.testing.assert_allclose(gradient, 0, atol=1e-10)


@every_class_loss
def test_shift_invariance_is_as_declared(spec):
    rng = np.random.default_rng(9)
    y, z, arguments = cases.labels(spec, 12, rng), cases.scores(spec, 12, rng), arguments_of(spec, rng)
    at, moved = (compute(spec, y, z - shift, arguments, "float64")[0] for shift in (0.0, 5.0))
    assert np.allclose(at, moved, rtol=1e-9) == spec.shift_invariant


@every_loss
def test_symmetry_is_as_declared(spec):
    rng = np.random.default_rng(10)
    y, z, arguments = cases.labels(spec, 12, rng), np.abs(cases.scores(spec, 12, rng)) + 0.1, arguments_of(spec, rng)
    there, back = compute(spec, y, z, arguments, "float64")[0], compute(spec, z, y, arguments, "float64")[0]
    assert np.allclose(there, back, rtol=1e-9, equal_nan=True) == spec.symmetric


@every_loss
def test_the_least_value_is_as_declared(spec):
    if spec.minimum is None:
        assert spec.name in {"poisson", "label_smoothing_ce"}
        return
    rng = np.random.default_rng(11)
    y, arguments = cases.labels(spec, 12, rng), defaults(spec)
    forward = {**arguments, **{name: 2.0 if name == "target_scale" else 3.0 for name in LINKS[spec.link].needs}}
    perfect = {"onehot": 200 * y - 100, "binary": 200 * y - 100, "signed": 100 * y}.get(spec.target, y)
    if spec.target == "raw":
        link = LINKS[spec.link]
        perfect = link.inverse(tf.constant(y), **{name: forward[name] for name in link.needs}).numpy()
    np.testing.assert_allclose(compute(spec, y, perfect, arguments, "float64")[0], spec.minimum, atol=1e-6)
    anywhere, _ = compute(spec, y, cases.scores(spec, 12, rng), arguments, "float64")
    assert (anywhere >= spec.minimum - 1e-9).all()


@every_loss
def test_every_parameter_changes_the_ratio_of_losses(spec):
    """A parameter that only rescales all losses is a hidden learning rate."""
    rng = np.random.default_rng(12)
    y, z = cases.labels(spec, 12, rng), cases.scores(spec, 12, rng)
    for param in spec.params:
        ends = (
            [[param.low, 1.0, param.high], [1.0, 1.0, 1.0]] if isinstance(param, PerClass) else [param.low, param.high]
        )
        low, high = (compute(spec, y, z, {**defaults(spec), param.name: end}, "float64")[0] for end in ends)
        assert not np.allclose(low / low.sum(), high / high.sum(), rtol=1e-3), param.name


WEIGHING = ["class_balanced_ce", "weighted_ce"]


@pytest.mark.parametrize("name", WEIGHING)
@pytest.mark.parametrize("counts", [[990, 10], [50, 50], [1, 1], [300000, 5], [7, 20, 300]])
def test_derived_weights_have_mean_one_over_the_rows(name, counts):
    spec, k, priors = SPECS[name], len(counts), np.array(counts) / sum(counts)
    for corner in cases.corners(spec):
        arguments = {**corner, "class_counts": counts, "class_priors": priors.tolist()}
        by_class, _ = compute(spec, np.eye(k), np.zeros((k, k)), arguments)
        assert (priors * by_class).sum() == pytest.approx(np.log(k), rel=1e-4)
        assert (np.diff(by_class[np.argsort(counts)]) <= 1e-5 * by_class.max()).all(), "rare classes weigh more"


@pytest.mark.parametrize("name", WEIGHING)
def test_a_class_without_rows_is_survived(name):
    spec = SPECS[name]
    for corner in cases.corners(spec):
        arguments = {**corner, "class_counts": [90, 10, 0], "class_priors": [0.9, 0.1, 0.0]}
        values, gradient = compute(spec, np.eye(3), np.zeros((3, 3)), arguments)
        assert np.isfinite([*values, *gradient.ravel()]).all()
        assert 0.9 * values[0] + 0.1 * values[1] == pytest.approx(np.log(3), rel=1e-4)


@every_loss
def test_plain_numbers_do_as_parameters(spec):
    rng = np.random.default_rng(13)
    y, z, arguments = cases.labels(spec, 6, rng), cases.scores(spec, 6, rng), arguments_of(spec, rng)
    got = spec.resolve()(ops.array(y, "float32"), ops.array(z, "float32"), **arguments)
    np.testing.assert_allclose(got, compute(spec, y, z, arguments)[0], rtol=1e-6, atol=1e-6)


@every_loss
def test_a_spec_says_all_that_a_listing_shows(spec):
    assert isinstance(spec, LossSpec)
    assert spec.summary.endswith(".")
    assert spec.reference
    assert spec.formula
    assert spec.elicits or spec.name in {"huber", "log_cosh"}
    assert set(spec.recommended) <= set(spec.tasks)
    assert all(alias == alias.lower() for alias in spec.aliases)
    assert "returns `(batch,)`" in " ".join(spec.function.__doc__.split())


RECOMMENDED = {
    "binary": {"cross_entropy", "label_smoothing_ce", "generalized_cross_entropy", "class_balanced_ce", "binary_focal"},
    "multiclass": {"cross_entropy", "label_smoothing_ce", "generalized_cross_entropy", "class_balanced_ce", "focal"},
    "regression": {"mean_squared_error", "mean_absolute_error", "huber", "log_cosh"},
    "positive": {"mean_squared_error", "mean_absolute_error", "huber", "log_cosh"},
    "count": {"mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "poisson"},
}


@pytest.mark.parametrize("task", RECOMMENDED)
def test_recommended_losses(task):
    assert {name for name, spec in SPECS.items() if task in spec.recommended} == RECOMMENDED[task]


def test_losses_without_probabilities():
    scored = {
        name for name, spec in SPECS.items() if not spec.probabilistic and set(spec.tasks) & {"binary", "multiclass"}
    }
    assert scored == {"hinge", "squared_hinge", "categorical_hinge", "cosine_similarity"}


@every_class_loss
def test_losses_of_classes_serve_binary_tasks(spec):
    assert spec.tasks == ("binary", "multiclass")
    assert spec.serves_binary_as_two(2)


def test_the_registry_offers_the_zoo():
    found = {entry.spec.name for entry in registry.default().specs() if entry.plugin == "builtin"}
    assert found == set(SPECS)


def test_no_module_of_the_zoo_is_forgotten():
    for spec in SPECS.values():
        assert import_module(spec.function.__module__) in zoo.FAMILIES
