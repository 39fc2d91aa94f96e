"""Wrong arguments of the Python API: an `InputError` that says what is wrong, made where the argument was given."""

from __future__ import annotations

import dataclasses
import math
import re

import keras
import numpy as np
import pytest

import lossreg
from lossreg import Choice, Claims, Float, InputError, Int, Limit, LossSpec, PerClass

HALF = "\ud800"
NOTHING = object()
SOUND = {"name": "mine", "function": abs, "tasks": ("multiclass",), "summary": "s", "reference": "r"}
RANGE = {"default": 2.0, "low": 0.0, "high": 5.0}


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


def spelt(value):
    """A value as the name of a test, the same in every process."""
    return "unprintable" if isinstance(value, Unprintable) else re.sub(r" at 0x[0-9a-f]+", "", ascii(value))


def mine(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def of_get(*losses):
    return [pytest.param(lossreg.get, (loss,), {}, expected, id=f"get {spelt(loss)}"[:40]) for loss, expected in losses]


def of_arguments(function, first, *options):
    named = f"{function.__name__} {first if isinstance(first, str) else ''}"
    return [
        pytest.param(function, (first,), {name: value}, expected, id=f"{named} {name}={spelt(value)}"[:60])
        for name, value, expected in options
    ]


def of_first(function, *values, expected):
    return [
        pytest.param(function, (value,), {}, expected, id=f"{function.__name__} {spelt(value)}"[:60])
        for value in values
    ]


def of_spec(field, *values, expected):
    return [
        pytest.param(LossSpec, (), {**SOUND, field: value}, expected, id=f"spec {field}={spelt(value)}"[:60])
        for value in values
    ]


def of_param(kind, expected, **fields):
    usual = {Float: RANGE, Int: {"default": 2, "low": 1, "high": 8}, Choice: {"default": "a", "choices": ("a", "b")}}
    param = kind(**{"name": "g", **usual.get(kind, {}), **fields})
    changed = ", ".join(f"{name}={spelt(value)}" for name, value in fields.items())
    return pytest.param(LossSpec, (), {**SOUND, "params": (param,)}, expected, id=f"{kind.__name__} {changed}"[:60])


IS_NO_LOSS = "is no loss. Give a name"
NUMBER = "must be a number, not"
CASES = [
    *of_get(
        (None, IS_NO_LOSS), (3, IS_NO_LOSS), (1.5, IS_NO_LOSS), (True, IS_NO_LOSS), ([], IS_NO_LOSS),
        (["focal"], IS_NO_LOSS), (("focal",), IS_NO_LOSS), ({}, IS_NO_LOSS), (b"focal", IS_NO_LOSS),
        (NOTHING, IS_NO_LOSS), (np.zeros(2), IS_NO_LOSS), ("", "unknown loss"), (HALF, "unknown loss"),
        ("focal" + HALF, "unknown loss"), ("focal!", "unknown loss"), ("x" * 5000, "unknown loss"),
        (int, "is no keras.losses.Loss"), ("hubber", "Did you mean huber"),
    ),
    *of_arguments(
        lossreg.get, "focal",
        ("alpha", [], "alpha is empty"), ("alpha", (), "alpha is empty"), ("alpha", {}, "one number per class"),
        ("alpha", b"11", "one number per class"), ("alpha", bytearray(b"11"), "one number per class"),
        ("alpha", "11", "one number per class"), ("alpha", 0.25, "one number per class"),
        ("alpha", iter([1.0]), "one number per class"), ("alpha", {1.0, 2.0}, "one number per class"),
        ("alpha", [None], NUMBER), ("alpha", [[1.0, 2.0]], NUMBER), ("alpha", ["1"], NUMBER), ("alpha", [True], NUMBER),
        ("alpha", [math.nan], "outside its domain"), ("alpha", [-1.0], "outside its domain"),
        ("gamma", "2", NUMBER), ("gamma", b"2", NUMBER), ("gamma", None, NUMBER), ("gamma", [], NUMBER),
        ("gamma", [2.0], NUMBER), ("gamma", 1j, NUMBER), ("gamma", np.complex64(2), NUMBER),
        ("gamma", np.bool_(True), NUMBER), ("gamma", np.array([2.0]), NUMBER), ("gamma", np.datetime64("2020"), NUMBER),
        ("gamma", np.array("2"), NUMBER), ("gamma", 10**400, NUMBER), ("gamma", HALF, NUMBER),
        ("gamma", Unprintable(), NUMBER), ("gamma", math.inf, "outside its domain"),
        ("from_logits", "yes", "True or False"), ("from_logits", None, "True or False"),
        ("from_logits", 1, "True or False"), ("reduction", "avg", "unknown reduction"),
        ("reduction", 3, "unknown reduction"), ("reduction", [], "unknown reduction"),
        ("name", 3, "name must be text"), ("name", [], "name must be text"), ("name", HALF, "name must be text"),
        ("dtype", "float99", "is no dtype"), ("dtype", 3, "is no dtype"), ("dtype", [], "is no dtype"),
        ("gama", 2.0, "Did you mean gamma"), ("target_scale", 2.0, "unknown parameter"),
        ("class_counts", [1, 2], "unknown parameter"),
    ),
    *of_arguments(
        lossreg.get, "huber",
        ("target_scale", 0.0, "outside its domain"), ("target_scale", -1.0, "outside its domain"),
        ("target_scale", math.nan, "outside its domain"), ("target_scale", None, NUMBER), ("target_scale", ..., NUMBER),
        ("target_center", "100", NUMBER), ("target_center", math.inf, "outside its domain"),
        ("target_mean", 3.0, "unknown parameter"),
    ),
    *of_arguments(
        lossreg.get, "weighted_ce",
        ("class_counts", [], "class_counts is empty"), ("class_counts", None, "needs class_counts"),
        ("class_counts", [0, 0], "needs class_counts"), ("class_counts", [-1, 2], "outside its domain"),
        ("class_counts", "many", "one number per class"), ("class_counts", ..., "one number per class"),
    ),
    *of_first(lossreg.wrap, None, 3, [], {}, b"f", HALF, "focal", NOTHING, expected="is no loss"),
    *of_first(lossreg.wrap, LossSpec(**SOUND), expected="is a LossSpec already"),
    *of_arguments(
        lossreg.wrap, mine,
        ("name", 3, "name must be text"), ("name", HALF, "name must be text"), ("name", "My Loss", "snake_case"),
        ("activation", 3, "an activation is a name or an Activation"),
        ("activation", [], "an activation is a name or an Activation"),
        ("activation", "sofmax", "Did you mean softmax"), ("target", 3, "target must be text"),
        ("target", [], "target must be text"), ("target", "one", "unknown target"),
        ("outputs", 3, "outputs must be text"), ("outputs", [], "outputs must be text"),
        ("outputs", "many", "outputs must be a number"), ("tasks", 3, "tasks must be a tuple of names"),
        ("tasks", "binary", "tasks must be a tuple of names"), ("tasks", [3], "is no text"),
        ("tasks", ["clustering"], "unknown task"), ("summary", 3, "summary must be text"),
        ("summary", HALF, "summary must be text"),
    ),
    *of_first(lossreg.losses, 3, [], {}, b"binary", HALF, "", "binry", expected="unknown task"),
    *of_first(lossreg.load_model, None, 3, [], {}, b"model.keras", HALF, expected="is no path"),
    *of_first(lossreg.load_model, "nowhere.keras", "", expected="there is no such file|Keras cannot load it"),
    *of_first(lossreg.load_trial, None, 3, [], b"study.toml", HALF, NOTHING, expected="study|no such file"),
    *of_first(lossreg.tune, None, 3, b"study.toml", HALF, NOTHING, {}, expected="study|no such file"),
    *of_first(lossreg.tune, [], [[1.0]], expected="rows without labels"),
    *of_arguments(
        lossreg.tune, {"data": {"source": "sklearn:iris"}},
        ("overrides", "search.trials=3", "overrides are texts"), ("overrides", [3], "overrides are texts"),
        ("overrides", [None], "overrides are texts"), ("overrides", [HALF], "overrides are texts"),
        ("overrides", b"search.trials=3", "overrides are texts"), ("overrides", 3, "overrides are texts"),
    ),
    *of_arguments(
        lossreg.load_trial, {"data": {"source": "sklearn:iris"}},
        ("number", "3", "must be the number of a trial"), ("number", 1.5, "must be the number of a trial"),
        ("number", True, "must be the number of a trial"), ("loss", 3, "must be the name of a candidate"),
        ("loss", [], "must be the name of a candidate"), ("loss", b"focal", "must be the name of a candidate"),
    ),
    *of_spec("name", None, 3, [], b"x", HALF, "", "Mine", expected="name must be"),
    *of_spec("function", None, 3, [], {}, HALF, LossSpec(**SOUND), expected="function must be callable"),
    *of_spec("tasks", None, 3, [], "multiclass", (3,), ([],), (None,), (), expected="tasks|unknown task"),
    *of_spec("summary", None, 3, [], b"x", HALF, expected="summary must be text"),
    *of_spec("formula", None, 3, HALF, expected="formula must be text"),
    *of_spec("aliases", None, [], "other", (None,), (3,), (HALF,), expected="aliases|is no name"),
    *of_spec("needs", None, [], "class_counts", (3,), ([],), ("counts",), expected="needs|unknown need"),
    *of_spec("recommended", None, ([],), (HALF,), expected="recommended|unknown task"),
    *of_spec("params", None, [], (3,), (None,), ({},), expected="params"),
    *of_spec("limits", None, [], (3,), ("x",), (Limit({}, 3),), (Limit(3, "mse"),), (Limit({}, "mse", {}, "2"),),
             (Limit({}, "mse", {}, math.nan),), expected="limits"),
    *of_spec("target", None, 3, HALF, "onhot", expected="target"),
    *of_spec("target_domain", None, 3, "0 to 1", expected="target_domain"),
    *of_spec("outputs", None, 3, HALF, expected="outputs must be"),
    *of_spec("activation", None, 3, [], HALF, expected="activation"),
    *of_spec("level", None, 3, "row", expected="level must be"),
    *of_spec("score_range", 3, [], (3,), (1.0, -1.0), ("a", "b"), (None, None), (0.0, math.nan),
             expected="score_range must be two numbers"),
    *of_spec("probabilistic", None, 3, "yes", [], expected="probabilistic must be True or False"),
    *of_spec("non_differentiable_points", None, 1, expected="non_differentiable_points must be True or False"),
    *of_spec("claims", None, 3, {}, (), expected="claims must be Claims"),
    *of_spec("reccomended", (), expected="unknown keyword 'reccomended'. Did you mean recommended?"),
    *of_spec("minimum", "0", [], math.nan, math.inf, True, expected="minimum must be a number"),
    of_param(Float, "the default 7 is outside 0 to 5", default=7.0),
    of_param(Float, "the default -1 is outside", default=-1.0),
    of_param(Float, "the default must be a number", default="2"),
    of_param(Float, "the default must be a number", default=math.nan),
    of_param(Float, "the default must be a number", default=True),
    of_param(Float, "low must be a finite number", low=None),
    of_param(Float, "low must be a finite number", low=-math.inf),
    of_param(Float, "high must be a finite number", high="5"),
    of_param(Float, "high must be a finite number", high=10**400),
    of_param(Float, "upside down", low=5.0, high=0.0),
    of_param(Float, "log must be True or False", log="yes"),
    of_param(Float, "optional must be True or False", optional=None),
    of_param(Float, "domain must be text", domain=None),
    of_param(Float, "is not an interval", domain="positive"),
    of_param(Float, "name of a parameter must be text", name=None),
    of_param(Float, "name of a parameter must be text", name=HALF),
    of_param(Float, "cannot be the name", name="target_center"),
    of_param(Int, "must be a whole number", default=1.5),
    of_param(Int, "must be a whole number", low=0.5),
    of_param(Int, "must be a whole number", default="2"),
    of_param(Int, "must be a finite number|must be a whole number", high=math.nan),
    of_param(Int, "the default 9 is outside 1 to 8", default=9),
    of_param(Int, "static must be True or False", static=1),
    of_param(Choice, "choices must be a tuple", choices=["a", "b"]),
    of_param(Choice, "choices must be a tuple", choices=()),
    of_param(Choice, "choices must be a tuple", choices="ab"),
    of_param(Choice, "choices must be a tuple", choices=None),
    of_param(Choice, "none of the choices", default="c"),
    of_param(Choice, "fixed must be True or False", fixed=0),
    of_param(PerClass, "must be a tuple of numbers", default=[1.0, 2.0]),
    of_param(PerClass, "must be a tuple of numbers", default=3.0),
    of_param(PerClass, "must be a tuple of numbers", default=("a",)),
    of_param(PerClass, "the default 20 is outside", default=(20.0,)),
    of_param(PerClass, "default_tau 3 is outside 0 to 1.5", default_tau=3.0),
    of_param(PerClass, "low_tau must be a finite number", low_tau=None),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("function", "positional", "named", "expected"), CASES)
def test_a_wrong_argument_is_one_clear_error(function, positional, named, expected, folder):
    with pytest.raises(InputError, match=expected) as caught:
        function(*positional, **named)
    message = str(caught.value)
    assert len(message) < 600
    message.encode()
    assert "\n" not in message
    assert not list(folder.iterdir())


def test_there_are_enough_of_them():
    assert len(CASES) >= 200


def test_every_field_of_a_spec_is_tried():
    tried = {name for case in CASES if case.values[0] is LossSpec for name in case.values[2]}
    fields = {field.name for kind in (LossSpec, Claims) for field in dataclasses.fields(kind)}
    assert fields - tried <= {
        "reference", "shift_invariant", "symmetric", "stop_gradient", "truncated", "elicits", "same_as", "stated",
    }  # fmt: skip


def test_values_that_are_unusual_and_right_are_taken():
    assert lossreg.get("focal", from_logits=np.bool_(True), alpha=np.ones(3), gamma=np.float32(2)).from_logits is True
    assert lossreg.get("Mean Squared-Error").spec.name == "mean_squared_error"
    assert lossreg.get("focal", alpha=None, name="", dtype=keras.DTypePolicy("float32")).name == "focal"
    spec = LossSpec(**SOUND, score_range=(-3, 3), minimum=None, params=(Int("n", 2.0, 1, 8.0),))
    assert spec.bind({}) == {"n": 2}
