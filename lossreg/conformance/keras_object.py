"""The loss as a Keras object: labels, shapes, reductions, weights, empty batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossreg.conformance import tensorflow
from lossreg.conformance.base import Failure
from lossreg.conformance.case import Case, Setting, brief, shown
from lossreg.conformance.compare import first_difference
from lossreg.conformance.tensorflow import Array
from lossreg.contract.targets import WEIGHTS, Constants
from lossreg.errors import InputError

MACHINERY = "Return one value per sample, of its own labels and raw scores."


def build(case: Case, setting: Setting, **options: Any) -> Any:
    """The Keras loss of that setting; unreduced, float64 and on raw scores unless `options` say otherwise."""
    from lossreg.registry.keras_loss import get

    needs = {name: getattr(setting.constants, name) for name in case.spec.constants if hasattr(setting.constants, name)}
    needs.pop("n_classes", None)
    if "progress" in case.spec.needs:
        needs["progress"] = setting.progress
    given = {"from_logits": True, "reduction": None, "dtype": "float64", **options}
    return get(case.spec, **given, **setting.params, **needs)


def evaluate(loss: Any, y: Array, z: Array, weight: Array | None = None) -> Array:
    """The Keras loss of arrays as an array."""
    tf = tensorflow.load()
    dtype = getattr(loss, "dtype", None) or "float64"
    raw_scores = tf.constant(z, z.dtype if z.dtype == np.float16 else dtype)
    with tensorflow.floats(dtype):
        return np.asarray(loss(y, raw_scores, weight))


def label_forms(case: Case, y: Array) -> list[tuple[str, Array]]:
    """The labels `(n, *spatial_shape, t)` in the forms that users have them in."""
    target = case.spec.target
    if target == "onehot":
        index = np.argmax(y, axis=-1)
        return [("class indices", index), ("a column of indices", index[:, None]), ("one-hot rows", y)]
    if target == "signed":
        return [("labels -1 and 1", y[..., 0]), ("labels 0 and 1", (y[..., 0] > 0).astype(int)), ("a column", y)]
    if target == "multihot":
        return [("0 and 1", y.astype(int)), ("floats", y)]
    return [("one value per prediction", y[..., 0]), ("a column", y)]


def labels(case: Case) -> str:
    """Labels in every form that users have them in give the values of the function."""
    forms = []
    for k in case.ks:
        setting = case.setting(k=k)
        y, z = case.labels(10, k), case.raw_scores(10, k)
        expected = case.values(y, z, setting)
        for name, given in label_forms(case, y):
            actual = _per_sample(evaluate(build(case, setting), given, z))
            if actual.shape != expected.shape or first_difference(actual, expected) is not None:
                what = f"{name} give {shown(actual[:3])}, the function gives {shown(expected[:3])} ({setting})"
                raise Failure(what, MACHINERY)
            forms.append(name)
    _one_logit(case)
    _encoded(case)
    return f"the same for {', '.join(dict.fromkeys(forms))}"


def _per_sample(values: Array) -> Array:
    """`(n, *spatial_shape)` values as `(n,)`."""
    return values.reshape(len(values), -1).mean(axis=1) if values.ndim else values


def _one_logit(case: Case) -> None:
    if not case.spec.serves_binary_as_two(2):
        return
    setting, z = case.setting(k=2), case.raw_scores(8, 2)[:, :1]
    y = case.labels(8, 2)
    expected = case.values(y, np.concatenate([-z / 2, z / 2], axis=1), setting)
    actual = evaluate(build(case, setting), y[:, 1], z)
    if first_difference(actual, expected) is not None:
        raise Failure(
            f"one logit gives {shown(actual[:3])}, the raw scores [-z/2, z/2] {shown(expected[:3])}", MACHINERY
        )


def _encoded(case: Case) -> None:
    """Task labels reach the function in the form with which it was checked."""
    target = case.spec.target
    if target in ("real", "raw", "positive", "count"):
        return
    y = case.labels(6)
    given = {"onehot": np.argmax(y, axis=-1), "multihot": y, "signed": (y[..., 0] > 0).astype(int)}.get(
        target, y[..., 0]
    )
    actual = case.spec.encode(given.astype(int), Constants(case.k))
    if not np.array_equal(actual, y):
        raise Failure(f"labels {shown(given[0])} reach the function as {shown(actual[0])}", "Correct the target kind.")


def mismatches(case: Case) -> None:
    """Labels that do not fit the predictions are refused, never broadcast."""
    setting = case.setting()
    y, z = case.labels(6), case.raw_scores(6)
    given = label_forms(case, y)[0][1]
    cases = [("5 labels for 6 predictions", given[:5], z), ("labels of another rank", y[..., None, None], z)]
    for what, labels_, raw_scores in cases:
        try:
            evaluate(build(case, setting), labels_, raw_scores)
        except InputError:
            continue
        except Exception as error:
            raise Failure(f"{what}: {type(error).__name__} instead of a refusal", MACHINERY) from error
        raise Failure(f"{what} are taken", "Do not broadcast labels.")


# ------------------------------------------------------------------ reductions


def reduction(case: Case) -> str:
    """None, sum and mean agree, and a batch twice as long has the same mean."""
    setting = case.setting()
    y, z = case.labels(9), case.raw_scores(9)
    values, total, mean = (
        evaluate(build(case, setting, reduction=r), y, z) for r in (None, "sum", "sum_over_batch_size")
    )
    for name, actual, expected in (("sum", total, values.sum()), ("mean", mean, values.mean())):
        if abs(actual - expected) > 1e-9 * (np.abs(values).sum() + 1e-12):
            raise Failure(
                f"the {name} is {shown(float(actual))}, that of the values {shown(float(expected))}", MACHINERY
            )
    twice = np.concatenate([y, y]), np.concatenate([z, z])
    for name, doubled in (
        ("Keras loss", evaluate(build(case, setting), *twice)),
        ("function", case.values(*twice, setting)),
    ):
        if abs(doubled.mean() - values.mean()) > 1e-9 * (np.abs(values).mean() + 1e-12):
            what = f"a batch repeated has the mean {shown(doubled.mean())}, once {shown(values.mean())} (the {name})"
            raise Failure(what, "Do not sum over the batch: one value per sample.")
    return "none, sum and mean agree; a batch repeated keeps its mean"


def weights(case: Case) -> str:
    """On the sum, weight 0 removes a sample and weight 2 repeats it."""
    setting = case.setting()
    y, z = case.labels(8), case.raw_scores(8)
    if WEIGHTS in case.spec.needs:
        return _handed(case, y, z)
    weight = np.array([0.0, 1.0, 2.0, 3.0, 1.0, 0.0, 2.0, 1.0])
    loss = build(case, setting, reduction="sum")
    weighted = float(evaluate(loss, y, z, weight))
    if case.spec.level == "batch":
        plain = evaluate(build(case, setting), y, z)
        if abs(weighted - float(weight @ plain)) > 1e-9 * (np.abs(plain).sum() + 1e-12):
            raise Failure("the weighted sum is not that of the values", MACHINERY)
        return "weights multiply the values of a whole batch"
    copies = np.repeat(np.arange(8), weight.astype(int))
    repeated = float(evaluate(loss, y[copies], z[copies]))
    if abs(weighted - repeated) > 1e-9 * (
        abs(repeated) + float(np.abs(evaluate(build(case, setting), y, z)).sum()) + 1e-12
    ):
        raise Failure(f"the weighted sum is {shown(weighted)}, that of repeated samples {shown(repeated)}", MACHINERY)
    return "weight 0 removes a sample, whole weights repeat it"


def _handed(case: Case, y: Array, z: Array) -> str:
    """Weights with a mean of 1, which a loss is handed, are repetitions too."""
    weight = np.array([0.0, 1.0, 2.0, 2.0, 1.0, 0.0, 1.0, 1.0])
    loss = build(case, case.setting(), reduction="sum_over_batch_size")
    copies = np.repeat(np.arange(8), weight.astype(int))
    weighted, repeated = float(evaluate(loss, y, z, weight)), float(evaluate(loss, y[copies], z[copies]))
    if abs(weighted - repeated) > 1e-9 * (abs(repeated) + 1e-12):
        raise Failure(f"with weights it is {shown(weighted)}, of repeated samples {shown(repeated)}", MACHINERY)
    return "weight 0 removes a sample, whole weights repeat it"


def empty(case: Case) -> str:
    """No samples, and samples of weight 0, give 0."""
    setting = case.setting()
    y, z = case.labels(6), case.raw_scores(6)
    none = case.values(y[:0], z[:0], setting)
    if none.shape != (0,):
        raise Failure(f"an empty batch gives shape {none.shape}", MACHINERY)
    for how in ("sum", "sum_over_batch_size"):
        loss = build(case, setting, reduction=how)
        for name, actual in (
            ("an empty batch", evaluate(loss, y[:0], z[:0])),
            ("weights of 0", evaluate(loss, y, z, np.zeros(6))),
        ):
            if not float(actual) == 0.0:
                raise Failure(f"{name} give {float(actual)} ({how})", "Do not divide by the number of samples.")
    return "an empty batch and one of weights 0 give 0"


# ------------------------------------------------------------------ units


def units(case: Case) -> str:
    """Predictions and raw scores are told apart, and each gives the value of the function."""
    notes = [_negative_scores(case)]
    setting = case.setting()
    y, z = case.labels(10), case.raw_scores(10, scale=1.0)
    if case.activation.name in ("softmax", "sigmoid"):
        _refused(case, setting, y, z)
        notes.append("raw scores in place of probabilities are refused")
    if case.activation.inverse is None:
        return "; ".join([*notes, "its raw scores cannot be recovered from predictions"])
    predictions = case.predictions(z, setting)
    recovered = tensorflow.applied(case.activation.inverse, predictions, case.activation_constants(setting))
    again = case.predictions(recovered, setting)
    if first_difference(again, predictions, 1e-6) is not None:
        raise Failure(
            f"the activation of its inverse gives {shown(again[0])} for {shown(predictions[0])}",
            "Correct the activation.",
        )
    actual = _per_sample(evaluate(build(case, setting, from_logits=False), y, predictions))
    # raw scores recovered up to a constant are the same for a loss that says so
    same = recovered if case.spec.claims.shift_invariant else z
    expected = case.values(y, same, setting)
    i = first_difference(actual, expected, 1e-5)
    if i is not None and predictions.shape == z.shape:
        given = brief(predictions[i])
        what = f"predictions {given} give {shown(actual[i])}, their raw scores {shown(expected[i])}"
        remedy = "Give an activation whose inverse recovers the raw scores, the identity, or one without inverse."
        raise Failure(what, remedy)
    return "; ".join([*notes, "predictions give what their raw scores give"])


def _negative_scores(case: Case) -> str:
    """On negative raw scores there is a gradient: the function does not take them for probabilities."""
    if case.spec.claims.truncated or not case.classes:
        return "raw scores may be of any sign" if case.classes else "labels and predictions share a unit"
    setting = case.setting()
    y = case.every_label()
    z = -2.0 + 0.3 * case.raw_scores(len(y), scale=1.0)
    values, gradients = case.gradients(y, z, setting)
    dead = np.abs(gradients).reshape(len(y), -1).max(axis=1) == 0
    if not np.isfinite(values).all() or dead.all():
        what = f"on negative raw scores {brief(z[0])} it gives {shown(values[0])} and no gradient ({setting})"
        raise Failure(what, "It seems to take raw scores for probabilities: apply softmax or sigmoid inside, once.")
    return "raw scores may be of any sign"


def _refused(case: Case, setting: Setting, y: Array, z: Array) -> None:
    try:
        evaluate(build(case, setting, from_logits=False), y, 3.0 * z)
    except InputError:
        return
    raise Failure("raw scores are taken for probabilities", "Declare the activation whose predictions users have.")
