"""Parameters: what they accept, what they say when they do not."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest

from lossreg import Choice, Float, Int, PerClass
from lossreg.contract.params import Interval, problem
from lossreg.errors import InputError, ParameterError

DELTA = Float("delta", 1.0, 0.01, 10.0, log=True, domain="(0, inf)")
ORDER = Int("order", 2, 1, 8, domain="[1, inf)")
KIND = Choice("kind", "soft", ("soft", "hard", 1))
ALPHA = PerClass("alpha")


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("[0, inf)", [0.0, 1e300], [-1e-300, math.inf, math.nan]),
        ("(0, 1)", [1e-300, 0.5], [0.0, 1.0]),
        ("(0, 1]", [1.0], [0.0, 1.0000001]),
        ("[-1, 2]", [-1, 2], [-1.1, 2.1]),
        ("(-inf, inf)", [-1e308, 0], [math.inf, -math.inf]),
        ("[3, 3]", [3], [2.999]),
    ],
)
def test_an_interval_holds_its_ends_as_its_brackets_say(text, inside, outside):
    interval = Interval.parse(text)
    assert all(value in interval for value in inside)
    assert not any(value in interval for value in outside)
    assert Interval.parse(str(interval)) == interval


@pytest.mark.parametrize("text", ["", "0, 1", "[0 1]", "[0, one]", "]0, 1[", "[1, 0]", "[nan, 1]", "[0, 1, 2]", "["])
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(ValueError, match="is not an interval"):
        Interval.parse(text)


@pytest.mark.parametrize("value", [0.5, 3, np.float32(0.5), np.int64(2), np.array(0.5)])
def test_a_float_takes_any_real_number(value):
    checked = DELTA.check(value)
    assert type(checked) is float
    assert checked == float(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.0, r"delta = 0 is outside its domain \(0, inf\)"),
        (-1, "delta = -1 is outside"),
        (math.nan, "delta = nan is outside"),
        (math.inf, "delta = inf is outside"),
        ("1.0", "delta must be a number, not '1.0'"),
        (b"1.0", "delta must be a number"),
        (True, "delta must be a number, not True"),
        (None, "delta must be a number, not None"),
        (1j, "delta must be a number"),
        ([1.0], "delta must be a number"),
        (np.array([1.0, 2.0]), "delta must be a number"),
        (10**400, "delta must be a number"),
    ],
)
def test_a_float_refuses_the_rest(value, message):
    with pytest.raises(ParameterError, match=message) as caught:
        DELTA.check(value)
    assert isinstance(caught.value, InputError)


def test_only_an_optional_float_may_be_absent():
    assert Float("alpha", None, 0.1, 0.9, optional=True).check(None) is None
    with pytest.raises(ParameterError):
        DELTA.check(None)


@pytest.mark.parametrize("value", [3, 3.0, np.int32(3), np.float64(3)])
def test_an_int_takes_whole_numbers(value):
    checked = ORDER.check(value)
    assert (type(checked), checked) == (int, 3)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2.5, "order must be a whole number, not 2.5"),
        (0, "order = 0 is outside its domain"),
        (True, "must be a number"),
        ("2", "must be a number"),
        (math.nan, "outside"),
    ],
)
def test_an_int_refuses_the_rest(value, message):
    with pytest.raises(ParameterError, match=message):
        ORDER.check(value)


def test_an_int_refuses_infinity_inside_its_domain():
    with pytest.raises(ParameterError, match="whole number"):
        Int("n", 1, 1, 8, domain="[1, inf]").check(math.inf)


@pytest.mark.parametrize("value", ["soft", "hard", 1])
def test_a_choice_takes_its_choices(value):
    assert KIND.check(value) == value


@pytest.mark.parametrize("value", ["Soft", 0, None, True])
def test_a_choice_lists_them_otherwise(value):
    with pytest.raises(ParameterError, match="kind must be one of soft, hard, 1, not"):
        KIND.check(value)


@pytest.mark.parametrize("value", [[1, 2.0, 0.5], (1, 2.0, 0.5), np.array([1, 2, 0.5], "float32")])
def test_per_class_takes_one_number_a_class(value):
    assert ALPHA.check(value, 3) == (1.0, 2.0, 0.5)


def test_per_class_may_be_absent_and_of_unknown_length():
    assert ALPHA.check(None, 3) is None
    assert ALPHA.check([1, 2]) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, 2.0], "alpha has 2 numbers for 3 classes"),
        ([1.0, 0.0, 2.0], r"alpha\[1\] = 0 is outside its domain \(0, inf\)"),
        ([1.0, math.nan, 2.0], r"alpha\[1\] = nan"),
        ([1.0, "2", 2.0], r"alpha\[1\] must be a number"),
        (np.ones((3, 2)), r"alpha\[0\] must be a number"),
        (0.25, "alpha takes one number per class, not 0.25"),
        (np.float64(0.25), "alpha takes one number per class"),
        ("1, 2, 3", "alpha takes one number per class"),
        ({"a": 1}, "alpha takes one number per class"),
    ],
)
def test_per_class_refuses_the_rest(value, message):
    with pytest.raises(ParameterError, match=message):
        ALPHA.check(value, 3)


@pytest.mark.parametrize("param", [DELTA, ORDER, KIND, ALPHA])
def test_parameters_are_values(param):
    with pytest.raises(AttributeError):
        param.default = 3
    assert hash(param) == hash(param)
    assert param.kind in ("float", "int", "choice", "per_class")
    assert param.check(param.default) == param.default


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "param",
    [
        Float("c", np.float32(0.5), np.float16(0), Fraction(7, 2)),
        Int("n", np.int64(2), np.int32(1), np.uint8(8)),
        Choice("kind", np.int64(3), (np.int64(3), np.bool_(True), np.float32(0.5), (np.int8(1), (2, "a")))),
        PerClass("alpha", default=(np.float32(1), np.int64(2))),
    ],
)
def test_numbers_of_numpy_are_kept_as_those_of_python(param):
    assert problem(param) == ""
    stored = {name: getattr(param, name) for name in ("default", "low", "high", "choices") if hasattr(param, name)}
    assert param.check(json.loads(json.dumps(stored))["default"]) == param.default


def test_a_choice_of_tuples_is_found_again_as_files_hold_it():
    param = Choice("kind", "a", ("a", (1, (2, "b"))))
    assert param.check(json.loads(json.dumps(param.choices))[1]) == (1, (2, "b"))
