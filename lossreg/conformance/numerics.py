"""The same loss in other precisions, in graphs and from files."""

from __future__ import annotations

import copy
import json
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from lossreg.conformance import tensorflow
from lossreg.conformance.base import Failure
from lossreg.conformance.case import Case, Setting, brief, shown
from lossreg.conformance.compare import first_difference, gap_note
from lossreg.conformance.keras_object import build, evaluate, label_forms
from lossreg.conformance.tensorflow import Array
from lossreg.contract.params import Choice, Int, PerClass
from lossreg.contract.spec import LossSpec
from lossreg.errors import InputError, one_line
from lossreg.registry import registry
from lossreg.registry.discovery import key
from lossreg.registry.registry import Entry, Registry
from lossreg.registry.user_loss import UserLoss

# three significant digits of bfloat16, and the rounding of what is computed from them
HALVES = {"float16": 2e-3, "bfloat16": 1.6e-2}
NEAR = (1e-2, 1e-4, 1e-6)
CANCEL = "Numbers cancel: use log1p, expm1, logsumexp, or a series near that parameter."
LOST = "Every parameter must be declared, or be in the config of your class."


def precision(case: Case) -> str:
    """Half precision through Keras, float32 near float64, and float64 really that."""
    _dtypes(case)
    _double(case)
    _single(case)
    for name, slack in HALVES.items():
        _half(case, name, slack)
    wide = _many_classes(case)
    return f"float16, bfloat16 and float32 agree with float64{wide}"


def _dtypes(case: Case) -> None:
    y, z, setting = case.labels(4), case.raw_scores(4), case.setting()
    for dtype in ("float32", "float64"):
        actual = case.values(y, z, setting, dtype).dtype
        if actual != dtype:
            raise Failure(f"{dtype} raw scores give {actual} values", "Keep the dtype of y_pred; cast constants to it.")


def _double(case: Case) -> None:
    """Float64 values are no float32 numbers, and go smoothly: nothing was rounded to float32 on the way."""
    setting = case.setting()
    y, z = case.labels(64), case.raw_scores(64)
    values = case.values(y, z, setting)
    moving = values[values != np.round(values, 3)]
    if len(moving) > 8 and (moving == moving.astype("float32")).mean() > 0.5:
        raise Failure("float64 raw scores give values of float32 precision", "Cast nothing to float32.")
    step = 1e-3 * np.ones_like(z) * np.sign(case.raw_scores(64, seed=23))
    path = np.stack([case.values(y, z + i * step, setting) for i in range(-2, 3)])
    rough = np.median(np.abs(np.array([1, -4, 6, -4, 1]) @ path.reshape(5, -1)))
    # the fourth difference of a smooth function is of the order of 1e-12, of rounded values 1e-7
    if rough > 2e-9 * (np.median(np.abs(values)) + np.std(values)):
        raise Failure(f"float64 values are rough by {shown(float(rough))}", "Something inside is cast to float32.")


def _single(case: Case) -> None:
    """Float32 keeps four digits, near special values of parameters too."""
    y, z = case.labels(16), case.raw_scores(16)
    for setting in [*case.corners()[:8], *_near_special(case)]:
        single, double = case.traced_gradients(y, z, setting)[0], case.traced_gradients(y, z, setting, "float64")[0]
        known = np.isfinite(double)
        i = first_difference(np.where(known, single, 0.0), np.where(known, double, 0.0), 1e-3)
        if i is not None:
            what = f"float32 gives {shown(single[i])}, float64 {shown(double[i])}{gap_note(single[i], double[i])}"
            where = f"at raw scores {brief(z[i])}, {setting}"
            raise Failure(f"{what}, {where}", CANCEL)


def _near_special(case: Case) -> Iterator[Setting]:
    """Settings beside the values at which formulas divide by zero."""
    for param in case.spec.params:
        if isinstance(param, (Choice, PerClass, Int)) or param.low == param.high:
            continue
        for special in sorted({0.0, 1.0, 2.0, float(param.low), float(param.high)}):
            for by in (0.0, *NEAR, *(-n for n in NEAR)):
                if param.low <= special + by <= param.high:
                    yield case.setting({param.name: special + by})


def _half(case: Case, dtype: str, slack: float) -> None:
    """Predictions in half precision: computed in float32, given back in half."""
    tf, setting = tensorflow.load(), case.setting()
    y, z = case.labels(12), case.raw_scores(12)
    raw_scores = tf.cast(tf.constant(z), dtype)
    loss = build(case, setting, dtype=dtype)
    actual = loss(label_forms(case, y)[0][1], raw_scores)
    if actual.dtype != dtype:
        raise Failure(f"a loss of dtype {dtype} gives {actual.dtype.name}", "Keep the dtype of y_pred.")
    expected = case.values(y, np.asarray(tf.cast(raw_scores, "float64")), setting)
    actual = np.asarray(tf.cast(actual, "float64")).reshape(12, -1).mean(axis=1)
    i = first_difference(actual, expected, slack)
    if i is not None:
        raise Failure(
            f"{dtype} gives {shown(actual[i])}, float64 {shown(expected[i])} ({setting})", "Cast nothing to half."
        )


def _many_classes(case: Case) -> str:
    """Class ids above 256, which half precision cannot hold."""
    if case.spec.target not in ("onehot", "ordinal"):
        return ""
    setting = case.setting(k=300)
    _neighbours_differ(case, setting)
    if case.spec.target == "onehot":
        _ids_kept(case, setting)
    return "; class 299 of 300 is itself"


def _neighbours_differ(case: Case, setting: Setting) -> None:
    """On equal raw scores each of classes 256 to 299 has its own value: none is taken for the next."""
    index = np.arange(256, setting.k)
    y = np.eye(setting.k)[index] if case.spec.target == "onehot" else index[:, None].astype(float)
    z = np.repeat(case.raw_scores(1, setting.k), len(index), axis=0)
    values, gradients = case.gradients(y, z, setting)
    if case.spec.outputs == "k" and not gradients.any():
        raise Failure("of 300 classes those from 256 on have no gradient", "Treat all classes alike.")
    # of a loss that is constant for very wrong samples those are left out
    inner = values[values < values.max()]
    if len(inner) - len(np.unique(inner)) > len(inner) // 4:
        what = f"of classes 256 to 299, on equal raw scores, many have equal losses: {shown(values[:4])}"
        raise Failure(what, "Cast class indices to int32, never to half precision.")


def _ids_kept(case: Case, setting: Setting) -> None:
    tf, k = tensorflow.load(), setting.k
    index, z = np.array([257, 299, 3]), np.round(case.raw_scores(3, k), 1)
    expected = case.values(np.eye(k)[index], np.asarray(tf.cast(tf.cast(z, "bfloat16"), "float64")), setting)
    actual = build(case, setting, dtype="bfloat16")(index, tf.cast(z, "bfloat16"))
    i = first_difference(np.asarray(tf.cast(actual, "float64")), expected, HALVES["bfloat16"])
    if i is not None:
        raise Failure(
            f"class {index[i]} of 300 in bfloat16 gives {shown(float(actual[i]))}, not {shown(expected[i])}", ""
        )


# ------------------------------------------------------------------ graphs


def graph(case: Case) -> str:
    """Eager, in a graph of open batch size, with half-precision predictions and compiled: the same."""
    setting = case.setting()
    y, z = case.labels(12).astype("float32"), case.raw_scores(12).astype("float32")
    loss = build(case, setting, dtype=None)
    expected = evaluate(loss, y, z)
    try:
        actual = tensorflow.in_graph(loss, y, z)
    except Exception as error:
        what = f"it fails in a TensorFlow graph: {one_line(error, 200)}"
        raise Failure(what, "Use lossreg.ops (keras.ops), no NumPy and no Python conditions on tensors.") from error
    _equal(actual, expected, "a graph", setting)
    half = z.astype("float16")
    _equal(tensorflow.in_graph(loss, y, half), evaluate(loss, y, half.astype("float32")), "mixed precision", setting)
    compiled = _compiled(loss, y, z)
    if compiled is None:
        return "eager, graph and mixed precision agree; it cannot be compiled (jit_compile)"
    _equal(compiled, expected, "a compiled graph", setting)
    return "eager, graph, mixed precision and jit_compile agree"


def _compiled(loss: Any, y: Array, z: Array) -> Array | None:
    try:
        with tensorflow.stderr_silenced():
            return tensorflow.in_graph(loss, y, z, jit=True)
    except Exception:
        return None


def _equal(actual: Array, expected: Array, where: str, setting: Setting) -> None:
    i = first_difference(actual, expected, 1e-4)
    if i is not None:
        pair = actual.ravel()[i], expected.ravel()[i]
        what = f"{where} gives {shown(pair[0])}, eager execution {shown(pair[1])}{gap_note(*pair)} ({setting})"
        raise Failure(what, "No Python conditions, no randomness, no state: only tensors in, tensors out.")


# ------------------------------------------------------------------ saving


def saving(case: Case) -> str:
    """Config, copy, pickle and a `.keras` file keep every parameter by value."""
    settings = [case.setting(), *case.draws(1, seed=24)]
    with _offered(case.spec):
        for setting in settings:
            loss = build(case, setting, dtype=None, reduction="sum")
            y, z = case.labels(6), case.raw_scores(6)
            expected = evaluate(loss, y, z)
            for name, restored in _restored(case, loss, in_file=setting is settings[-1]):
                actual = evaluate(restored, y, z)
                if not np.array_equal(actual, expected):
                    what = f"restored from {name} it gives {shown(float(actual))}, before {shown(float(expected))}"
                    raise Failure(f"{what}{gap_note(actual, expected)} ({setting})", LOST)
    return f"config, copy, pickle and file keep {', '.join(p.name for p in case.spec.params) or 'the loss'}"


def _restored(case: Case, loss: Any, in_file: bool) -> Iterator[tuple[str, Any]]:
    steps: dict[str, Callable[[], Any]] = {
        "its config": lambda: type(loss).from_config(json.loads(json.dumps(loss.get_config()))),
        "a deep copy": lambda: copy.deepcopy(loss),
        "a pickle": lambda: pickle.loads(pickle.dumps(loss)),
        "a .keras file": lambda: _from_file(case, loss),
    }
    for name, step in steps.items():
        if name != "a .keras file" or in_file:
            try:
                yield name, step()
            except InputError as error:
                raise Failure(f"{name}: {error.what}", error.hint) from error
            except Exception as error:
                raise Failure(f"{name}: {one_line(error, 200)}", "Values must be numbers, text or tuples.") from error


def _from_file(case: Case, loss: Any) -> Any:
    import keras

    from lossreg.registry.keras_loss import load_model

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(case.width())])
    model.compile(optimizer="sgd", loss=loss)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return load_model(path).loss


@contextmanager
def _offered(spec: LossSpec) -> Iterator[None]:
    """The registry with `spec` in it, as a plugin would offer it; of a user's own loss the registry as it is."""
    if isinstance(spec.function, UserLoss):
        yield
        return
    names = {key(name) for name in (spec.name, *spec.aliases)}
    known = registry.default()
    others = [e for e in known.specs() if not names & {key(name) for name in (e.spec.name, *e.spec.aliases)}]
    offering = Registry([*others, Entry(spec, "conformance")], known.plugins)
    with mock.patch.object(registry, "default", return_value=offering):
        yield
