from __future__ import annotations

from typing import Any

import keras_tuner
import pytest

from lossreg.hyperparameters import Hyperparameters


def plain(hp: Any) -> list[Any]:
    return [
        hp.Int("units", 16, 64, step=16),
        hp.Int("deep", 1, 9, default=4),
        hp.Int("log", 1, 64, step=2, sampling="log"),
        hp.Float("rate", 1e-4, 1e-1, sampling="log"),
        hp.Float("whole", 1, 3),
        hp.Float("given", 0.0, 1.0, default=0.5),
        hp.Choice("activation", ["relu", "tanh"]),
        hp.Choice("number", [3, 5], default=5, ordered=False),
        hp.Boolean("norm"),
        hp.Boolean("bias", default=True),
        hp.Fixed("batch", 32),
    ]


def scoped(hp: Any) -> list[Any]:
    with hp.name_scope("first"):
        units = hp.Int("units", 4, 8)
        with hp.name_scope("inner"):
            more = hp.Int("units", 5, 8)
        seen = hp.get("units")
    return [units, more, seen, hp.get("first/inner/units"), "first/units" in hp, "units" in hp]


def conditional(hp: Any) -> list[Any]:
    kind = hp.Choice("kind", ["mlp", "cnn"])
    with hp.conditional_scope("kind", ["mlp"]):
        units = hp.Int("units", 4, 8)
        with hp.conditional_scope("units", [5, 6]):
            nested = hp.Boolean("nested")
    with hp.conditional_scope("kind", "cnn"):
        filters = hp.Int("filters", 2, 8)
        again = hp.Int("units", 100, 200)
    met = hp.Int("met", 1, 2, parent_name="kind", parent_values=["mlp"])
    unmet = hp.Float("unmet", 1, 2, parent_name="kind", parent_values="cnn")
    return [kind, units, nested, filters, again, met, unmet, "filters" in hp, "units" in hp]


def repeated(hp: Any) -> list[Any]:
    return [hp.Int("a", 3, 9), hp.Int("a", 3, 9), hp.Int("a", 7, 9), hp["a"], hp.get("a")]


def copied(hp: Any) -> list[Any]:
    hp.Int("a", 3, 9)
    other = hp.copy()
    other.Int("b", 1, 2)
    return [other.values, hp.values, "b" in hp]


@pytest.mark.parametrize("use", [plain, scoped, conditional, repeated, copied])
def test_it_answers_as_keras_tuner_does(use: Any) -> None:
    ours, theirs = Hyperparameters(), keras_tuner.HyperParameters()
    answers, expected = use(ours), use(theirs)
    assert answers == expected
    assert [type(answer) for answer in answers] == [type(answer) for answer in expected]
    assert ours.values == theirs.values


def inactive(hp: Any) -> None:
    hp.Choice("kind", ["mlp", "cnn"])
    hp.Int("filters", 2, 8, parent_name="kind", parent_values=["cnn"])
    hp.get("filters")


def without_parent(hp: Any) -> None:
    with hp.conditional_scope("kind", ["mlp"]):
        pass


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda hp: hp.get("nothing"), KeyError),
        (lambda hp: hp["nothing"], KeyError),
        (inactive, ValueError),
        (without_parent, ValueError),
        (lambda hp: hp.Choice("a", []), ValueError),
        (lambda hp: hp.Choice("a", [1, 2], default=3), ValueError),
        (lambda hp: hp.Int("a", 5, 2), ValueError),
        (lambda hp: hp.Float("a", 5, 2), ValueError),
    ],
)
def test_it_refuses_what_keras_tuner_refuses(use: Any, error: type[Exception]) -> None:
    for hp in (Hyperparameters(), keras_tuner.HyperParameters()):
        with pytest.raises(error):
            use(hp)


def test_facts_are_had_from_any_scope() -> None:
    hp = Hyperparameters({"outputs": 3, "input_shape": (4,)})
    with hp.name_scope("deep"):
        assert hp.get("outputs") == hp["outputs"] == 3
        assert "input_shape" in hp
    assert hp.values == {}
