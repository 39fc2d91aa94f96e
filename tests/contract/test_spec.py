"""LossSpec: what a spec must have, and how its parameters are bound."""

import dataclasses

import numpy as np
import pytest

from lossreg import Choice, Float, InputError, Int, LossSpec, PerClass
from lossreg.contract.activations import ACTIVATIONS
from lossreg.contract.spec import describe
from lossreg.contract.targets import Constants
from lossreg.errors import DataError, ParameterError, UnknownError

GAMMA = Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)")
STORABLE = "choices must be text, numbers, booleans, None or tuples of these"
SOUND = {"name": "mine", "function": abs, "tasks": ("multiclass",), "summary": "s", "reference": "r"}


def spec(**more):
    return LossSpec(**{**SOUND, **more})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "Mine", "the name must be snake_case"),
        ("name", "my-loss", "the name must be snake_case"),
        ("tasks", (), "tasks is empty"),
        ("tasks", ("multi",), "unknown task 'multi'; known: binary, multiclass"),
        ("tasks", "multiclass", "tasks must be a tuple"),
        ("aliases", "other", "aliases must be a tuple"),
        ("aliases", ("",), "'' is no name"),
        ("aliases", ("a b",), "'a b' is no name"),
        ("recommended", ("multi",), "unknown task 'multi'"),
        ("function", "math", "function must be callable or 'module:attribute'"),
        ("function", None, "function must be callable"),
        ("target", "onhot", "unknown target 'onhot'; known: onehot, multihot, binary"),
        ("target_domain", "0 to 1", "target_domain '0 to 1' is not an interval"),
        ("outputs", "n", "outputs must be a number, 'k' or 'k-1', not 'n'"),
        ("activation", "soft", "unknown activation 'soft'; known: identity, softmax"),
        ("needs", ("counts",), "unknown need 'counts'; known: n_classes"),
        ("needs", ("sample_weight",), "sample_weight is for losses of level='batch': drop it"),
        ("level", "row", "level must be 'sample' or 'batch', not 'row'"),
        ("params", [GAMMA], "params must be a tuple"),
        ("params", ("gamma",), "'gamma' is no parameter"),
        ("params", (GAMMA, GAMMA), "two parameters have the same name"),
        ("params", (Float("y_true", 1, 0, 2),), "'y_true' cannot be the name of a parameter"),
        ("params", (Float("progress", 1, 0, 2),), "'progress' cannot be the name"),
        ("params", (Float("sample_weight", 1, 0, 2),), "'sample_weight' cannot be the name"),
        ("params", (Float("a-b", 1, 0, 2),), "'a-b' cannot be the name"),
        ("params", (Float("a", 1, 2, 0),), r"a: search range upside down \(2 to 0\)"),
        ("params", (Float("a", 1, 0, 2, domain="(0, inf)"),), r"a: search range 0 to 2 leaves the domain \(0, inf\)"),
        ("params", (Float("a", 1, 0, 2, domain="positive"),), "a: the domain 'positive' is not an interval"),
        ("params", (Float("a", 1, 0, 2, log=True),), "a: a log range must be positive"),
        ("params", (Float("a", -1, 0, 2, domain="[0, inf)"),), r"a: the default -1 is outside the domain \[0, inf\)"),
        ("params", (Float("a", None, 0, 2),), "a: it has no default and is not optional"),
        ("params", (Int("n", 0, 1, 8, domain="[1, 9]"),), r"n: the default 0 is outside the domain \[1, 9\]"),
        ("params", (Choice("kind", "x", ("a", "b")),), "kind: the default is none of the choices"),
        *(
            ("params", (Choice("kind", choice, ("a", choice)),), f"kind: {STORABLE}")
            for choice in ([1], np.ones(2), ([2],), abs, 1j, b"a", {"a"}, float("nan"), (1, (2, abs)), "\ud800")
        ),
        ("params", (Choice("kind", True, (1, 2)),), "kind: the default is none of the choices"),
        ("params", (Choice("kind", np.ones(2), (1, 2)),), "kind: the default is none of the choices"),
        ("params", (Float("a", 1j, 0, 2),), "a: the default must be a number, not 1j"),
        ("params", (PerClass("alpha", default=(1.0, b"2")),), "alpha: the default must be a tuple of numbers"),
        ("params", (PerClass("alpha", low=0.0),), "alpha: search range 0 to 10 leaves the domain"),
        ("params", (PerClass("alpha", default=(1.0, -1.0)),), "alpha: the default -1 is outside the domain"),
    ],
)
def test_an_unusable_spec_is_refused_in_words(field, value, message):
    with pytest.raises(InputError, match=message) as caught:
        spec(**{field: value})
    assert caught.value.where.startswith("loss '")


def test_a_spec_is_a_value():
    one = spec(params=(GAMMA,))
    assert one == spec(params=(GAMMA,))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "other"
    assert dataclasses.replace(one, name="other").param("gamma") is GAMMA


def test_an_unknown_parameter_is_named_with_what_there_is():
    one = spec(params=(Float("delta", 1.345, 0.01, 10.0, log=True), PerClass("alpha"), Choice("kind", "a", ("a", "b"))))
    with pytest.raises(UnknownError) as caught:
        one.param("detla")
    assert str(caught.value) == (
        "unknown parameter 'detla'; mine has delta (0.01 to 10, log), alpha (one per class, 0.1 to 10, log), "
        "kind (a, b). Did you mean delta?"
    )
    assert str(caught.value.at("s.toml: losses.mine.detla")).startswith("s.toml: losses.mine.detla: unknown parameter")


def test_a_loss_without_parameters_says_so():
    with pytest.raises(UnknownError, match="mine has no parameters"):
        spec().bind({"gamma": 1.0})


def test_describe_is_how_messages_show_a_parameter():
    assert describe(GAMMA) == "gamma (0 to 5)"


def test_bind_fills_in_defaults_and_checks():
    one = spec(params=(GAMMA, PerClass("alpha"), Int("n", 2, 1, 8)))
    assert one.bind({}) == {"gamma": 2.0, "alpha": None, "n": 2}
    assert one.bind({"n": 3.0, "alpha": [1, 2]}, n_classes=2) == {"gamma": 2.0, "alpha": (1.0, 2.0), "n": 3}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"gamma": -1}, "gamma = -1 is outside"),
        ({"alpha": [1.0]}, "alpha has 1 number for 2 classes"),
        ({"gamma": "big"}, "gamma must be a number"),
    ],
)
def test_bind_refuses_values_outside_the_domain(params, message):
    with pytest.raises(ParameterError, match=message):
        spec(params=(GAMMA, PerClass("alpha"))).bind(params, n_classes=2)


@pytest.mark.parametrize(
    ("outputs", "target", "n_classes", "width"),
    [
        ("k", "onehot", 5, 5),
        ("k", "onehot", 2, 1),
        ("k-1", "onehot", 5, 4),
        ("1", "binary", 2, 1),
        ("1", "real", 0, 1),
        ("2", "real", 0, 2),
        ("12", "real", 0, 12),
    ],
)
def test_width_is_the_number_of_raw_scores(outputs, target, n_classes, width):
    assert spec(outputs=outputs, target=target).width(n_classes) == width


@pytest.mark.parametrize(("name", "value"), [("math:fabs", 3.0), ("os:path.basename", "x")])
def test_a_function_named_by_module_and_attribute_is_imported_on_use(name, value):
    assert spec(function=name).resolve()(value) == value
    assert spec(function=abs).resolve() is abs


@pytest.mark.parametrize("name", ["no_such_module:f", "math:no_such_function"])
def test_a_function_that_is_not_there_is_told(name):
    one = spec(function=name)
    with pytest.raises(InputError, match=f"loss 'mine': its function {name} cannot be imported"):
        one.resolve()


def test_constants_are_those_of_the_loss_and_of_its_activation():
    one = spec(needs=("class_counts", "target_mean"), activation=ACTIVATIONS["affine"])
    assert one.constants == ("class_counts", "target_mean", "target_scale")


def test_labels_are_encoded_as_the_target_says():
    constants = Constants.from_labels(np.array([0, 1, 2, 2]), 3)
    encoded = spec().encode(np.array([2, 0]), constants)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, [[0, 0, 1], [1, 0, 0]])


def test_labels_outside_the_domain_are_refused():
    counts = spec(target="count", outputs="1")
    counts.check_labels(np.array([0.0, 3.0]))
    with pytest.raises(DataError, match=r"needs targets in \[0, inf\), and the data has -1"):
        counts.check_labels(np.array([-1.0, 3.0]))
    with pytest.raises(DataError, match=r"needs targets in \(-1, inf\)"):
        spec(target="raw", target_domain="(-1, inf)", outputs="1").check_labels(np.array([-1.0]))
