"""The same loss on other machinery: precisions, graphs, files."""

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

from lossreg.conformance import calls
from lossreg.conformance.base import Failure
from lossreg.conformance.calls import Array
from lossreg.conformance.compare import apiece, differ
from lossreg.conformance.objects import as_given, called, made
from lossreg.conformance.subject import Setting, Subject, shown
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


def precision(subject: Subject) -> str:
    """Half precision through Keras, float32 near float64, and float64 really that."""
    _dtypes(subject)
    _double(subject)
    _single(subject)
    for name, slack in HALVES.items():
        _half(subject, name, slack)
    wide = _many_classes(subject)
    return f"float16, bfloat16 and float32 agree with float64{wide}"


def _dtypes(subject: Subject) -> None:
    y, z, setting = subject.labels(4), subject.scores(4), subject.setting()
    for dtype in ("float32", "float64"):
        found = subject.values(y, z, setting, dtype).dtype
        if found != dtype:
            raise Failure(f"{dtype} scores give {found} values", "Keep the dtype of y_pred; cast constants to it.")


def _double(subject: Subject) -> None:
    """Float64 values are no float32 numbers, and go smoothly: nothing was rounded to float32 on the way."""
    setting = subject.setting()
    y, z = subject.labels(64), subject.scores(64)
    values = subject.values(y, z, setting)
    moving = values[values != np.round(values, 3)]
    if len(moving) > 8 and (moving == moving.astype("float32")).mean() > 0.5:
        raise Failure("float64 scores give values of float32 precision", "Cast nothing to float32.")
    step = 1e-3 * np.ones_like(z) * np.sign(subject.scores(64, seed=23))
    path = np.stack([subject.values(y, z + i * step, setting) for i in range(-2, 3)])
    rough = np.median(np.abs(np.array([1, -4, 6, -4, 1]) @ path.reshape(5, -1)))
    # the fourth difference of a smooth function is of the order of 1e-12, of rounded values 1e-7
    if rough > 2e-9 * (np.median(np.abs(values)) + np.std(values)):
        raise Failure(f"float64 values are rough by {shown(float(rough))}", "Something inside is cast to float32.")


def _single(subject: Subject) -> None:
    """Float32 keeps four digits, near special values of parameters too."""
    y, z = subject.labels(16), subject.scores(16)
    for setting in [*subject.corners()[:8], *_near_special(subject)]:
        single, double = subject.quick(y, z, setting)[0], subject.quick(y, z, setting, "float64")[0]
        known = np.isfinite(double)
        i = differ(np.where(known, single, 0.0), np.where(known, double, 0.0), 1e-3)
        if i is not None:
            what = f"float32 gives {shown(single[i])}, float64 {shown(double[i])}{apiece(single[i], double[i])}"
            where = f"at scores {shown(z[i].ravel()[:6])}, {setting}"
            raise Failure(f"{what}, {where}", CANCEL)


def _near_special(subject: Subject) -> Iterator[Setting]:
    """Settings beside the values at which formulas divide by zero."""
    for param in subject.spec.params:
        if isinstance(param, (Choice, PerClass, Int)) or param.low == param.high:
            continue
        for special in sorted({0.0, 1.0, 2.0, float(param.low), float(param.high)}):
            for by in (0.0, *NEAR, *(-n for n in NEAR)):
                if param.low <= special + by <= param.high:
                    yield subject.setting({param.name: special + by})


def _half(subject: Subject, dtype: str, slack: float) -> None:
    """Predictions in half precision: computed in float32, given back in half."""
    tf, setting = calls.tensorflow(), subject.setting()
    y, z = subject.labels(12), subject.scores(12)
    scores = tf.cast(tf.constant(z), dtype)
    loss = made(subject, setting, dtype=dtype)
    found = loss(as_given(subject, y)[0][1], scores)
    if found.dtype != dtype:
        raise Failure(f"a loss of dtype {dtype} gives {found.dtype.name}", "Keep the dtype of y_pred.")
    wanted = subject.values(y, np.asarray(tf.cast(scores, "float64")), setting)
    found = np.asarray(tf.cast(found, "float64")).reshape(12, -1).mean(axis=1)
    i = differ(found, wanted, slack)
    if i is not None:
        raise Failure(
            f"{dtype} gives {shown(found[i])}, float64 {shown(wanted[i])} ({setting})", "Cast nothing to half."
        )


def _many_classes(subject: Subject) -> str:
    """Class ids above 256, which half precision cannot hold."""
    if subject.spec.target not in ("onehot", "ordinal"):
        return ""
    setting = subject.setting(k=300)
    _neighbours_differ(subject, setting)
    if subject.spec.target == "onehot":
        _ids_kept(subject, setting)
    return "; class 299 of 300 is itself"


def _neighbours_differ(subject: Subject, setting: Setting) -> None:
    """On equal scores each of classes 256 to 299 has a value of its own: none is taken for the next."""
    index = np.arange(256, setting.k)
    y = np.eye(setting.k)[index] if subject.spec.target == "onehot" else index[:, None].astype(float)
    z = np.repeat(subject.scores(1, setting.k), len(index), axis=0)
    values, slopes = subject.slopes(y, z, setting)
    if subject.spec.outputs == "k" and not slopes.any():
        raise Failure("of 300 classes those from 256 on have no gradient", "Treat all classes alike.")
    # of a loss that is constant for very wrong samples those are left out
    inner = values[values < values.max()]
    if len(inner) - len(np.unique(inner)) > len(inner) // 4:
        what = f"of classes 256 to 299, on equal scores, many have equal losses: {shown(values[:4])}"
        raise Failure(what, "Cast class indices to int32, never to half precision.")


def _ids_kept(subject: Subject, setting: Setting) -> None:
    tf, k = calls.tensorflow(), setting.k
    index, z = np.array([257, 299, 3]), np.round(subject.scores(3, k), 1)
    wanted = subject.values(np.eye(k)[index], np.asarray(tf.cast(tf.cast(z, "bfloat16"), "float64")), setting)
    found = made(subject, setting, dtype="bfloat16")(index, tf.cast(z, "bfloat16"))
    i = differ(np.asarray(tf.cast(found, "float64")), wanted, HALVES["bfloat16"])
    if i is not None:
        raise Failure(f"class {index[i]} of 300 in bfloat16 gives {shown(float(found[i]))}, not {shown(wanted[i])}", "")


# ------------------------------------------------------------------ graphs


def graph(subject: Subject) -> str:
    """Eager, in a graph of open batch size, with half-precision predictions and compiled: the same."""
    setting = subject.setting()
    y, z = subject.labels(12).astype("float32"), subject.scores(12).astype("float32")
    loss = made(subject, setting, dtype=None)
    wanted = called(loss, y, z)
    try:
        found = calls.in_graph(loss, y, z)
    except Exception as error:
        what = f"it fails in a TensorFlow graph: {one_line(error, 200)}"
        raise Failure(what, "Use lossreg.ops (keras.ops), no NumPy and no Python conditions on tensors.") from error
    _equal(found, wanted, "a graph", setting)
    half = z.astype("float16")
    _equal(calls.in_graph(loss, y, half), called(loss, y, half.astype("float32")), "mixed precision", setting)
    compiled = _compiled(loss, y, z)
    if compiled is None:
        return "eager, graph and mixed precision agree; it cannot be compiled (jit_compile)"
    _equal(compiled, wanted, "a compiled graph", setting)
    return "eager, graph, mixed precision and jit_compile agree"


def _compiled(loss: Any, y: Array, z: Array) -> Array | None:
    try:
        with calls.unheard():
            return calls.in_graph(loss, y, z, jit=True)
    except Exception:
        return None


def _equal(found: Array, wanted: Array, where: str, setting: Setting) -> None:
    i = differ(found, wanted, 1e-4)
    if i is not None:
        pair = found.ravel()[i], wanted.ravel()[i]
        what = f"{where} gives {shown(pair[0])}, eager execution {shown(pair[1])}{apiece(*pair)} ({setting})"
        raise Failure(what, "No Python conditions, no randomness, no state: only tensors in, tensors out.")


# ------------------------------------------------------------------ saving


def saving(subject: Subject) -> str:
    """Config, copy, pickle and a `.keras` file keep every parameter by value."""
    settings = [subject.setting(), *subject.draws(1, seed=24)]
    with _offered(subject.spec):
        for setting in settings:
            loss = made(subject, setting, dtype=None, reduction="sum")
            y, z = subject.labels(6), subject.scores(6)
            wanted = called(loss, y, z)
            for name, restored in _restored(subject, loss, in_file=setting is settings[-1]):
                found = called(restored, y, z)
                if not np.array_equal(found, wanted):
                    what = f"restored from {name} it gives {shown(float(found))}, before {shown(float(wanted))}"
                    raise Failure(f"{what}{apiece(found, wanted)} ({setting})", LOST)
    return f"config, copy, pickle and file keep {', '.join(p.name for p in subject.spec.params) or 'the loss'}"


def _restored(subject: Subject, loss: Any, in_file: bool) -> Iterator[tuple[str, Any]]:
    steps: dict[str, Callable[[], Any]] = {
        "its config": lambda: type(loss).from_config(json.loads(json.dumps(loss.get_config()))),
        "a deep copy": lambda: copy.deepcopy(loss),
        "a pickle": lambda: pickle.loads(pickle.dumps(loss)),
        "a .keras file": lambda: _from_file(subject, loss),
    }
    for name, step in steps.items():
        if name != "a .keras file" or in_file:
            try:
                yield name, step()
            except InputError as error:
                raise Failure(f"{name}: {error.what}", error.hint) from error
            except Exception as error:
                raise Failure(f"{name}: {one_line(error, 200)}", "Values must be numbers, text or tuples.") from error


def _from_file(subject: Subject, loss: Any) -> Any:
    import keras

    from lossreg.registry.keras_loss import load_model

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(subject.width())])
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
    own = {key(name) for name in (spec.name, *spec.aliases)}
    known = registry.default()
    others = [e for e in known.specs() if not own & {key(name) for name in (e.spec.name, *e.spec.aliases)}]
    offering = Registry([*others, Entry(spec, "conformance")], known.plugins)
    with mock.patch.object(registry, "default", return_value=offering):
        yield
