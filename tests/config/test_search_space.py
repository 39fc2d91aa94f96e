"""The search spaces that a study file may give a parameter, and how they are read."""

import math

import optuna
import pytest

from lossreg.config import schema
from lossreg.config.search_space import (
    MOST_FREE_CLASSES,
    ByCount,
    Fixed,
    Options,
    PerClassRange,
    Range,
    declared,
    evenly,
    parse,
    shown,
    well_formed,
)
from lossreg.contract.params import Choice, Float, Int, PerClass
from lossreg.errors import InputError

GAMMA = Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)")
DELTA = Float("delta", 1.345, 0.01, 10.0, log=True, domain="(0, inf)")
ALPHA = Float("alpha", 0.25, 0.05, 0.95, domain="(0, 1)", optional=True)
ORDER = Int("order", 2, 1, 8, domain="[1, inf)")
MODE = Choice("mode", "soft", ("soft", "hard", "none"))
LEVELS = Choice("levels", (0.1, 0.9), ((0.1, 0.9), (0.05, 0.95)))
SWITCH = Choice("switch", default=False, choices=(False, True))
WEIGHTS = PerClass("weights")


@pytest.mark.parametrize(
    ("raw", "param", "space"),
    [
        (1.5, GAMMA, Fixed(1.5)),
        (3, GAMMA, Fixed(3.0)),
        ({"low": 1, "high": 2.5}, GAMMA, Range(1.0, 2.5)),
        ({"low": 1, "high": 2.5, "log": True}, GAMMA, Range(1.0, 2.5, log=True)),
        ({"low": 20.0, "high": 50.0}, GAMMA, Range(20.0, 50.0)),
        ({"low": 2, "high": 2}, GAMMA, Fixed(2.0)),
        ({"low": 0.1, "high": 1.0}, DELTA, Range(0.1, 1.0, log=True)),
        ({"low": 0.1, "high": 1.0, "log": False}, DELTA, Range(0.1, 1.0)),
        ({"choices": [0, 2, 5.0]}, GAMMA, Options((0.0, 2.0, 5.0))),
        ({"choices": [2]}, GAMMA, Fixed(2.0)),
        ("search", GAMMA, Range(0.0, 5.0)),
        ("search", DELTA, Range(0.01, 10.0, log=True)),
        ("default", GAMMA, Fixed(2.0)),
        ("none", ALPHA, Fixed(None)),
        (None, ALPHA, Fixed(None)),
        ({"choices": [0.25, "none"]}, ALPHA, Options((0.25, None))),
        ({"choices": [0.25, None]}, ALPHA, Options((0.25, None))),
        (4, ORDER, Fixed(4)),
        (4.0, ORDER, Fixed(4)),
        ({"low": 2, "high": 6}, ORDER, Range(2, 6, integer=True)),
        ({"low": 2, "high": 6, "log": True}, ORDER, Range(2, 6, log=True, integer=True)),
        ({"choices": [1, 4]}, ORDER, Options((1, 4))),
        ("search", ORDER, Range(1, 8, integer=True)),
        ("hard", MODE, Fixed("hard")),
        ("none", MODE, Fixed("none")),
        ("search", MODE, Options(("soft", "hard", "none"))),
        ("default", MODE, Fixed("soft")),
        ({"choices": ["hard", "none"]}, MODE, Options(("hard", "none"))),
        ([0.05, 0.95], LEVELS, Fixed((0.05, 0.95))),
        ({"choices": [[0.05, 0.95], [0.1, 0.9]]}, LEVELS, Options(((0.05, 0.95), (0.1, 0.9)))),
        (True, SWITCH, Fixed(True)),
        ([1.0, 2, 3], WEIGHTS, Fixed((1.0, 2.0, 3.0))),
        ((1.0, 2, 3), WEIGHTS, Fixed((1.0, 2.0, 3.0))),
        ("per_class", WEIGHTS, PerClassRange(0.1, 10.0, log=True)),
        ("by_count", WEIGHTS, ByCount(0.0, 1.5)),
        ("none", WEIGHTS, Fixed(None)),
        ("default", WEIGHTS, Fixed(None)),
        ("search", WEIGHTS, PerClassRange(0.1, 10.0, log=True)),
        ({"low": 0.5, "high": 2.0}, WEIGHTS, PerClassRange(0.5, 2.0, log=True)),
        ({"low": 0.5, "high": 2.0, "log": False}, WEIGHTS, PerClassRange(0.5, 2.0, log=False)),
    ],
)
def test_values_of_the_grammar(raw, param, space):
    assert parse(raw, param, n_classes=3) == space


def test_whole_numbers_stay_whole():
    space = parse({"low": 2.0, "high": 6.0}, ORDER)
    assert isinstance(space, Range)
    assert isinstance(space.low, int)
    assert isinstance(parse(4.0, ORDER).value, int)


@pytest.mark.parametrize("n_classes", [2, MOST_FREE_CLASSES, MOST_FREE_CLASSES + 1, 100])
def test_many_classes_share_one_exponent_unless_the_study_says_otherwise(n_classes):
    searched = parse("search", WEIGHTS, n_classes)
    assert searched == declared(WEIGHTS, n_classes)
    assert isinstance(searched, PerClassRange if n_classes <= 5 else ByCount)
    assert isinstance(parse("per_class", WEIGHTS, n_classes), PerClassRange)
    assert isinstance(parse("by_count", WEIGHTS, n_classes), ByCount)


@pytest.mark.parametrize(
    ("raw", "param", "message"),
    [
        (-1, GAMMA, "gamma = -1 is outside its domain [0, inf)"),
        (True, GAMMA, "gamma must be a number, not True"),
        ([1, 2], GAMMA, "gamma takes one number, not [1, 2]. To search over these: { choices = [1, 2] }."),
        ("none", GAMMA, '"none" is no value for gamma; possible: a number'),
        ("serach", GAMMA, "Did you mean search?"),
        ({"low": 5, "high": 1}, GAMMA, "upside down: low = 5, high = 1"),
        ({"low": -1, "high": 1}, GAMMA, "the range ends at -1, outside the domain [0, inf) of gamma"),
        ({"low": 0, "high": 1, "log": True}, GAMMA, "a log range must start above 0, not at 0"),
        ({"low": 0.0, "high": 1.0}, Float("w", 1.0, 0.1, 9.0, log=True, domain="[0, inf)"), "add log = false"),
        ({"low": 1}, GAMMA, "{ low = 1 } is not complete"),
        ({"low": 1, "choices": [1]}, GAMMA, "is not complete"),
        ({"lo": 1, "high": 2}, GAMMA, "unknown key 'lo' in { lo = 1, high = 2 }"),
        ({"low": 1, "high": 2, "step": 1}, GAMMA, "unknown key 'step'"),
        ({"low": True, "high": 2}, GAMMA, "low must be a number, not true"),
        ({"low": "1", "high": 2}, GAMMA, 'low must be a number, not "1"'),
        ({"low": 1, "high": math.inf}, GAMMA, "high must be finite"),
        ({"low": 1, "high": 2, "log": 1}, GAMMA, "log must be true or false, not 1"),
        ({}, GAMMA, "{} is not complete"),
        ({"choices": []}, GAMMA, "choices must be a list of at least one value, not []"),
        ({"choices": 3}, GAMMA, "choices must be a list of at least one value, not 3"),
        ({"choices": [1, 2, 1]}, GAMMA, "choices has 1 twice"),
        ({"choices": [1, -2]}, GAMMA, "gamma = -2 is outside its domain"),
        ({"choices": [1, "none"]}, GAMMA, "gamma must be a number, not 'none'"),
        ([], GAMMA, "must not be empty"),
        (["a"], WEIGHTS, 'must be a number, not "a"'),
        (math.nan, GAMMA, "must be finite, not nan"),
        (None, GAMMA, '"none" is no value for gamma'),
        (object, GAMMA, "a value must be a number"),
        (2.5, ORDER, "order must be a whole number, not 2.5"),
        ({"low": 1, "high": 2.5}, ORDER, "order takes whole numbers, so its range cannot end at 2.5"),
        ("loud", MODE, '"loud" is no value for mode; possible: { choices = [...] }, "search", "default", "soft"'),
        (3, MODE, "mode must be one of soft, hard, none, not 3"),
        ({"low": 0, "high": 1}, MODE, 'mode has no range; it is one of "soft", "hard", "none"'),
        ({"choices": ["soft", "loud"]}, MODE, "mode must be one of soft, hard, none, not 'loud'"),
        ([1.0, 2.0], WEIGHTS, "weights has 2 numbers for 3 classes"),
        ([1.0, -2.0, 1.0], WEIGHTS, "weights[1] = -2 is outside its domain (0, inf)"),
        (2.0, WEIGHTS, "weights takes one number per class, not 2.0"),
        ({"choices": [[1, 2, 3]]}, WEIGHTS, "weights takes no choices"),
        ({"low": 0, "high": 2}, WEIGHTS, "the range ends at 0, outside the domain (0, inf) of weights"),
        ("by_class", WEIGHTS, '"per_class", "by_count". Did you mean per_class?'),
    ],
)
def test_every_other_value_is_refused_with_what_would_work(raw, param, message):
    with pytest.raises(InputError) as caught:
        parse(raw, param, n_classes=3)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("space", "line", "plain"),
    [
        (Range(0.0, 5.0), "0 to 5", {"low": 0.0, "high": 5.0, "log": False}),
        (Range(1e-4, 1e-2, log=True), "0.0001 to 0.01 log", {"low": 1e-4, "high": 1e-2, "log": True}),
        (Options(("a", "b")), "a | b", {"choices": ["a", "b"]}),
        (Options((0.25, None, True)), "0.25 | none | true", {"choices": [0.25, None, True]}),
        (Options(((0.1, 0.9), (0.2, 0.8))), "0.1, 0.9 | 0.2, 0.8", {"choices": [[0.1, 0.9], [0.2, 0.8]]}),
        (PerClassRange(0.1, 10.0, log=True), "one per class, 0.1 to 10 log", {"low": 0.1, "high": 10.0, "log": True}),
        (ByCount(0.0, 1.5), "by count, tau 0 to 1.5", "by_count"),
        (Fixed(2.0), "2 (fixed)", 2.0),
        (Fixed(None), "none (fixed)", None),
        (Fixed((0.5, 2.0)), "0.5, 2 (fixed)", [0.5, 2.0]),
    ],
)
def test_one_line_for_tables_and_the_value_for_files(space, line, plain):
    assert space.describe() == line
    assert space.plain() == plain


@pytest.mark.parametrize(
    "space", [Range(0.5, 2.0), Range(0.5, 2.0, log=True), Options((1.0, 2.0)), Fixed(2.0)], ids=repr
)
def test_the_value_for_files_reads_back(space):
    assert parse(space.plain(), DELTA) == space


def test_a_single_choice_is_fixed():
    assert declared(Choice("only", 1, (1,))) == Fixed(1)
    assert declared(Float("point", 1.0, 1.0, 1.0)) == Fixed(1.0)


def test_well_formed_returns_what_it_was_given():
    table = {"low": 0, "high": 1}
    assert well_formed(table) is table


def test_long_values_are_cut():
    assert shown(list(range(100))) == "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, ...]"
    constraints = {"recall": 0.8, "precision": 0.1, "accuracy": 0.1, "roc_auc": 0.1}
    assert shown(constraints) == "{ recall = 0.8, precision = 0.1, accuracy = 0.1, ... }"
    assert shown({"name": "sgd", "momentum": "x" * 100}) == '{ name = "sgd", momentum = ... }'
    assert shown(["x" * 100]) == '["' + "x" * 55 + "..."
    assert shown({"a": [1, "b", True]}) == '{ a = [1, "b", true] }'


@pytest.mark.parametrize(
    ("low", "high", "space"),
    [
        (0.0, 0.5, Range(0.0, 0.5, step=0.05)),
        (0.0, 0.32, Range(0.0, 0.32, step=0.04)),
        (0.1, 0.15, Options((0.1, 0.15))),
        (0.2, 0.23, Options((0.2, 0.23))),
        (0.0, 0.37, Range(0.0, 0.37, step=0.04625)),
        (0.1, 1 / 6, Options((0.1, 0.133333333333, 1 / 6))),
        (0.2, 0.2, Fixed(0.2)),
    ],
)
def test_both_ends_of_a_range_in_steps_are_searched(low, high, space):
    assert evenly(low, high, 0.05) == space
    if isinstance(space, Range):
        distribution = optuna.distributions.FloatDistribution(low, high, step=space.step)
        assert (distribution.low, distribution.high) == (low, high)


@pytest.mark.parametrize(("raw", "actual"), [
    ({"low": 0.1, "high": 0.12}, Options((0.1, 0.12))),
    ({"low": 0.0, "high": 0.32}, Range(0.0, 0.32, step=0.04)),
    ({"low": 0.1, "high": 0.1}, 0.1),
])  # fmt: skip
def test_a_range_of_dropout_is_searched_from_end_to_end(raw, actual):
    model = schema.Model(dropout=raw)
    assert model.dropout == actual
    assert schema.Model(**model.model_dump()).dropout == actual
