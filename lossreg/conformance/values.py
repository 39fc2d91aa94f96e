"""Values: shapes, orders, batches, arguments, and values known from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np

from lossreg.conformance.base import Failure, does_not_apply
from lossreg.conformance.case import Case, Setting, shown
from lossreg.conformance.compare import EXACT, first_difference, gap_note
from lossreg.conformance.keras_object import mismatches
from lossreg.conformance.tensorflow import Array
from lossreg.contract.claims import Limit
from lossreg.contract.params import PerClass
from lossreg.contract.spec import LossSpec
from lossreg.registry import registry
from lossreg.registry.user_loss import UserLoss

# batches of raw scores that are neither small nor large: seed and scale
ORDINARY = ((3, 1.0), (31, 1.0), (32, 0.3), (33, 3.0))
GOLDEN = ("golden_classes.json", "golden_values.json")


# ------------------------------------------------------------------ golden


@cache
def _stored() -> dict[str, list[dict[str, Any]]]:
    entries: dict[str, list[dict[str, Any]]] = {}
    for name in GOLDEN:
        file = files("lossreg.conformance").joinpath(name)
        entries |= json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return entries


def golden(case: Case) -> str:
    """Values computed independently, in float64."""
    entries = case.golden
    if entries is None:
        builtin = _is_builtin(case.spec)
        entries = _stored().get(case.spec.name) if builtin else None
        if not entries:
            if builtin:
                raise Failure("no golden values are stored for this built-in loss", f"Add them to one of {GOLDEN}.")
            return does_not_apply("golden values are kept for built-in losses; give yours as golden=[...]")
    for entry in entries:
        _compare(case, entry)
    return f"{sum(len(entry['values']) for entry in entries)} values of {len(entries)} entries agree"


def _is_builtin(spec: LossSpec) -> bool:
    entry = registry.default().look_up(spec.name)
    return entry is not None and entry.plugin == "builtin" and entry.spec == spec


def _compare(case: Case, entry: dict[str, Any]) -> None:
    y, z = np.asarray(entry["y"], float), np.asarray(entry["z"], float)
    k = z.shape[-1] if case.spec.outputs == "k" else case.k
    needs: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in entry.get("needs", {}).items()}
    setting = case.setting(entry.get("params", {}), k)
    setting = replace(setting, progress=float(needs.pop("progress", setting.progress)))
    setting = setting.having(**needs)
    actual, expected = case.values(y, z, setting), np.asarray(entry["values"], float)
    i = first_difference(actual, expected, 1e-6)
    if i is not None:
        what = f"{shown(actual[i])} where {entry.get('source', 'the golden file')} has {shown(expected[i])}"
        what += gap_note(actual[i], expected[i])
        raise Failure(f"{what}, at raw scores {shown(z[i].ravel())}, label {shown(y[i].ravel())}, {setting}", "")


# ------------------------------------------------------------------ shape


def shape(case: Case) -> str:
    """`(N,)` for several N and k, N = k among them, and a dtype that follows the raw scores."""
    for k in case.ks:
        for n in sorted({1, 2, 3, 5, max(k, 1)}):
            setting = case.setting(k=k)
            actual = case.values(case.labels(n, k), case.raw_scores(n, k), setting)
            if not np.isfinite(actual).all():
                raise Failure(f"not finite on {n} ordinary samples ({setting})", "")
    if "segmentation" in case.spec.tasks and not case.spatial_shape:
        _masks_averaged(case)
    _apart(case)
    mismatches(case)
    return "one value per sample for 1, 2, 3 and 5 samples, each of its own raw scores"


def _masks_averaged(case: Case) -> None:
    """A loss of single labels that serves segmentation takes masks, too: the mean over their pixels."""
    setting, (n, pixels) = case.setting(), (3, 4)
    y, z = case.labels(n * pixels), case.raw_scores(n * pixels)
    single = case.values(y, z, setting).reshape(n, pixels).mean(axis=1)
    whole = case.values(y.reshape(n, 2, 2, -1), z.reshape(n, 2, 2, -1), setting)
    if first_difference(whole, single) is not None:
        raise Failure(f"a mask of 2 x 2 gives {shown(whole)}, the mean of its pixels is {shown(single)}",
                      "Take the mean over every axis but the first.")  # fmt: skip


def _apart(case: Case) -> None:
    """Each value depends on its own raw scores, and every raw score matters."""
    setting = case.setting()
    total = sum(_steepness(case, seed, scale, setting) for seed, scale in ORDINARY)
    if not np.any(total):
        raise Failure(f"no value depends on the raw scores ({setting})", "Compute the loss of y_pred.")
    if not np.all(total):
        where = ", ".join(map(str, np.argwhere(total == 0)[0]))
        what = f"no value depends on the raw scores at [:, {where}] ({setting})"
        raise Failure(what, "Use every output and every pixel, or declare fewer outputs.")


def _steepness(case: Case, seed: int, scale: float, setting: Setting) -> Array:
    """The sum over a batch of the absolute gradient by each entry of a sample's raw scores."""
    y, z = case.labels(12, seed=seed), case.raw_scores(12, seed=seed + 1, scale=scale)
    return np.asarray(np.abs(case.gradients(y, z, setting)[1]).sum(axis=0))


# ------------------------------------------------------------------ order


def shift(case: Case) -> str:
    """A constant added to all raw scores changes nothing, where that is declared."""
    if case.width() < 2:
        return does_not_apply("one score")
    setting = case.setting()
    y, z = case.labels(24), case.raw_scores(24)
    plain = case.values(y, z, setting)
    moved = [case.values(y, z + by, setting) for by in (-7.3, 11.0)]
    changes = [i for actual in moved if (i := first_difference(actual, plain)) is not None]
    if case.spec.claims.shift_invariant and changes:
        i = changes[0]
        others = f"{shown(moved[0][i])} or {shown(moved[1][i])}"
        what = f"adding -7.3 or 11 to all raw scores changes {shown(plain[i])} to {others}"
        raise Failure(f"{what}, and shift_invariant is declared", "Give it raw scores, or drop shift_invariant.")
    if case.spec.claims.shift_invariant:
        return "a constant changes nothing, as declared"
    return (
        "a constant changes the value" if changes else "a constant changes nothing: shift_invariant could be declared"
    )


def permutation(case: Case) -> str:
    """Samples in another order give the values in that order; classes in another order the same values."""
    rng = np.random.default_rng(5)
    y, z, setting = case.labels(12), case.raw_scores(12), case.setting()
    plain, order = case.values(y, z, setting), rng.permutation(12)
    actual = case.values(y[order], z[order], setting)
    pair = (
        (actual, plain[order])
        if case.spec.level == "sample"
        else (actual.mean(keepdims=True), plain.mean(keepdims=True))
    )
    if first_difference(*pair) is not None:
        raise Failure("samples in another order have other values", "Do not use positions in the batch.")
    if case.spec.target not in ("onehot", "multihot"):
        return "samples may come in any order"
    _classes_permuted(case)
    return "samples and classes may come in any order"


def _classes_permuted(case: Case) -> None:
    for k in case.ks:
        # of k > 2 a rotation, which a loss of neighbours survives, and an exchange, which it does not
        orders = (np.roll(np.arange(k), 1), np.array([1, 0, *range(2, k)]))
        for order, setting in product(orders, (case.setting(k=k), *case.draws(2, k))):
            y, z = case.labels(12, k), case.raw_scores(12, k)
            plain, gradients = case.traced_gradients(y, z, setting, "float64")
            permuted = _permuted(case, setting, order)
            actual, moved = case.traced_gradients(y[:, order], z[:, order], permuted, "float64")
            _same_in_order("values", actual, plain, setting)
            _same_in_order("gradients", moved, gradients[:, order], setting)


def _same_in_order(quantity: str, actual: Array, expected: Array, setting: Setting) -> None:
    i = first_difference(actual, expected, EXACT if quantity == "values" else 1e-6)
    if i is not None:
        pair = expected.ravel()[i], actual.ravel()[i]
        change = f"{shown(pair[0])} becomes {shown(pair[1])}{gap_note(*pair)}"
        what = f"classes in another order have other {quantity}: {change}"
        raise Failure(f"{what} ({setting})", "Use only the axis of classes, and constants in the order of classes.")


def _permuted(case: Case, setting: Setting, order: Array) -> Setting:
    params = dict(setting.params)
    for param in case.spec.params:
        if isinstance(param, PerClass) and params[param.name] is not None:
            params[param.name] = [params[param.name][i] for i in order]
    permuted = {n: tuple(getattr(setting.constants, n)[i] for i in order) for n in ("class_counts", "class_priors")}
    return replace(setting, params=params).having(**permuted)


def batch(case: Case) -> str:
    """A batch is its samples one by one, before and after; a batch-level loss is none."""
    n, setting = 7, case.setting()
    y, z = case.labels(n), case.raw_scores(n)
    whole = case.values(y, z, setting)
    single = np.concatenate([case.values(y[i : i + 1], z[i : i + 1], setting) for i in range(n)])
    i = first_difference(whole, single)
    if case.spec.level == "batch":
        if i is None:
            raise Failure("its values do not depend on the rest of the batch", "Declare level='sample'.")
        return does_not_apply("it is declared a loss of whole batches (level='batch')")
    if i is not None:
        pair = whole[i], single[i]
        what = f"in a batch of {n} a sample has {shown(pair[0])}, alone {shown(pair[1])}{gap_note(*pair)} ({setting})"
        raise Failure(what, "Reduce over every axis but the first; constants of the data come through needs.")
    return "a batch of 7 is its samples one by one"


# ------------------------------------------------------------------ arguments


def arguments(case: Case) -> str:
    """Swapped arguments change the value, if and only if no symmetry is declared; the gradient is by the raw scores."""
    y, z = case.labels(12), case.raw_scores(12)
    if y.shape != z.shape:
        return does_not_apply(f"labels have {y.shape[-1]} columns, raw scores {z.shape[-1]}, so they cannot be swapped")
    for setting in (case.setting(), *case.fixed_elsewhere(), *case.draws(4)):
        plain, swapped = case.values(y, z, setting), _swapped(case, y, z, setting)
        same = first_difference(swapped, plain) is None
        if not same:
            break
    # a wrapped loss of Keras or of a user cannot declare it
    if same and not case.spec.claims.symmetric and not isinstance(case.function, UserLoss):
        raise Failure("swapping labels and raw scores changes nothing", "Declare symmetric=True.")
    if not same and case.spec.claims.symmetric:
        i = first_difference(swapped, plain) or 0
        change = f"{shown(plain[i])} to {shown(swapped[i])}{gap_note(plain[i], swapped[i])}"
        what = f"swapping labels and raw scores changes {change} ({setting}), and symmetric is declared"
        hint = "Declare symmetric=False (regression_loss and margin_loss declare it True unless told otherwise)."
        raise Failure(what, hint)
    return "labels and raw scores may be swapped" if same else "labels and raw scores cannot be swapped"


def _swapped(case: Case, y: Array, z: Array, setting: Setting) -> Array:
    try:
        return case.values(z, y, setting)
    except Failure:
        return np.full(len(y), np.nan)


# ------------------------------------------------------------------ limits


def limits(case: Case) -> str:
    """Declared limits and equalities with other losses hold, on hard labels, in float64."""
    declared = list(_declared(case.spec))
    if not declared:
        return does_not_apply("no limits are declared")
    for limit in declared:
        _holds(case, limit)
    return f"holds: {'; '.join(map(str, declared))}"


def _declared(spec: LossSpec) -> Iterator[Limit]:
    if spec.same_as:
        yield Limit({}, spec.same_as, rtol=EXACT)
    yield from spec.claims.limits


def _holds(case: Case, limit: Limit) -> None:
    other = Case(registry.default().get(limit.equals))
    for k in case.ks:
        y, z = case.labels(24, k), case.raw_scores(24, k)
        setting = case.setting(limit.at, k)
        actual = case.values(y, z, setting)
        expected = limit.factor * other.values(*_inputs_of(case, other, y, z), other.setting(limit.of, k))
        i = first_difference(actual, expected, limit.rtol)
        if i is not None:
            other_name = f"{limit.factor:g} x {limit.equals}" if limit.factor != 1 else limit.equals
            what = f"at {setting} it is {shown(actual[i])}, and {other_name} is {shown(expected[i])}"
            raise Failure(what + gap_note(actual[i], expected[i]), "Correct the formula, the limit or its rtol.")


def _inputs_of(case: Case, other: Case, y: Array, z: Array) -> tuple[Array, Array]:
    """Labels and raw scores for another loss; a binary label and its logit as two classes and two raw scores."""
    kinds = (case.spec.target, other.spec.target)
    if kinds == ("binary", "onehot"):
        return np.concatenate([1 - y, y], axis=-1), np.concatenate([-z / 2, z / 2], axis=-1)
    if kinds[0] != kinds[1] or case.spec.outputs != other.spec.outputs:
        what = f"{other.spec.name} takes targets {kinds[1]!r}, this loss {kinds[0]!r}"
        raise Failure(what, "Name a loss of the same target and outputs.")
    return y, z
