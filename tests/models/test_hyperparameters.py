from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from lossreg.config.search_space import Fixed, Options, Range
from lossreg.errors import InputError
from lossreg.models.hyperparameters import Declared
from lossreg.models.keras_tuner import Hyperparameters, build_function
from lossreg.models.user_model import UserModel


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


def reference(use: Any) -> list[Any]:
    hp = keras_tuner.HyperParameters()
    use(hp)
    return sorted(set(hp.space[0].values))


@pytest.mark.parametrize(
    "use",
    [
        lambda hp: hp.Int("a", 6, 13, step=3),
        lambda hp: hp.Int("a", 2, 33, step=2, sampling="log"),
        lambda hp: hp.Int("a", 1, 100, step=3, sampling="log"),
        lambda hp: hp.Int("a", 2, 64, step=2, sampling="reverse_log"),
        lambda hp: hp.Float("a", 0, 1, step=0.25),
        lambda hp: hp.Float("a", 0.1, 0.75, step=0.1),
        lambda hp: hp.Float("a", 1e-3, 10, step=10, sampling="log"),
        lambda hp: hp.Float("a", 0.5, 0.6, step=0.3),
        lambda hp: hp.Int("a", 3, 3),
        lambda hp: hp.Choice("a", ["x"]),
        lambda hp: hp.Choice("a", [3, 1, 2]),
        lambda hp: hp.Boolean("a"),
    ],
)
def test_the_values_that_are_searched_are_those_of_keras_tuner(use: Any) -> None:
    seen: list[Declared] = []
    use(Hyperparameters(answer=lambda declared: seen.append(declared) or declared.default))
    assert sorted(values(seen[0].search_space)) == pytest.approx(reference(use))


def test_options_on_a_log_scale_are_to_the_last_digit_those_of_0_2_0() -> None:
    seen: list[Declared] = []
    hp = Hyperparameters(answer=lambda declared: seen.append(declared) or declared.default)
    hp.Float("a", 0.1, 0.3, step=1.3, sampling="log")
    assert seen[0].search_space == Options(
        (0.1, 0.1 * 1.3, 0.1 * 1.3 * 1.3, 0.1 * 1.3 * 1.3 * 1.3, 0.1 * 1.3 * 1.3 * 1.3 * 1.3)
    )


def values(space: Any) -> list[Any]:
    if isinstance(space, Fixed):
        return [space.value]
    if isinstance(space, Options):
        return list(space.choices)
    return [space.low + i * space.step for i in range(round((space.high - space.low) / space.step) + 1)]


@pytest.mark.parametrize(
    ("use", "space"),
    [
        (lambda hp: hp.Int("a", 2, 9), Range(2, 9, integer=True)),
        (lambda hp: hp.Int("a", 2, 9, step=1), Range(2, 9, integer=True)),
        (lambda hp: hp.Int("a", 2, 64, sampling="log"), Range(2, 64, log=True, integer=True)),
        (lambda hp: hp.Float("a", 1e-4, 1e-1, sampling="LOG"), Range(1e-4, 1e-1, log=True)),
        (lambda hp: hp.Float("a", 1e-4, 1e-1, sampling="reverse_log"), Range(1e-4, 1e-1)),
    ],
)
def test_numbers_without_steps_are_ranges(use: Any, space: Any) -> None:
    seen: list[Declared] = []
    use(Hyperparameters(answer=lambda declared: seen.append(declared) or declared.default))
    assert seen[0].search_space == space


@pytest.mark.parametrize(
    ("wish", "space"),
    [
        ("search", Range(16, 64, integer=True, step=16)),
        ("default", Fixed(32)),
        (48, Fixed(48)),
        ({"choices": [32, 128]}, Options((32, 128))),
        ({"low": 8, "high": 12}, Range(8, 12, integer=True)),
    ],
)
def test_a_study_may_say_what_is_searched_instead(wish: Any, space: Any) -> None:
    seen: list[Declared] = []
    hp = Hyperparameters(answer=lambda declared: seen.append(declared) or declared.default)
    hp.Int("units", 16, 64, step=16, default=32)
    restricted = seen[0].restricted_to(wish)
    assert restricted.search_space == space
    assert restricted.default == {(32, 128): 32, (8, 12): 12}.get(
        getattr(space, "choices", (space.low, space.high) if isinstance(space, Range) else ()), 48 if wish == 48 else 32
    )


@pytest.mark.parametrize("wish", [1.5, "serch", {"choices": [1.5]}, {"low": 0.5, "high": 2}, [1, 2]])
def test_what_a_study_cannot_ask_is_said(wish: Any) -> None:
    seen: list[Declared] = []
    Hyperparameters(answer=lambda declared: seen.append(declared) or declared.default).Int("units", 16, 64)
    with pytest.raises(InputError, match="units"):
        seen[0].restricted_to(wish)
    assert seen[0].restricted_to("default").search_space == Fixed(16)


def test_a_choice_that_is_called_search_is_a_value() -> None:
    seen: list[Declared] = []
    Hyperparameters(answer=lambda d: seen.append(d) or d.default).Choice("mode", ["search", "rest"])
    assert seen[0].restricted_to("search").search_space == Fixed("search")


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda hp: hp.Int("a", 0, 5, sampling="log"), "name='a'"),
        (lambda hp: hp.Float("a", 5, 2), "name='a'"),
        (lambda hp: hp.Float("a", 0, 5, step=-1), "a: step -1 leads nowhere"),
        (lambda hp: hp.Int("a", 0, 5, step=0), "a: step 0 leads nowhere"),
    ],
)
def test_ranges_without_values_are_refused(use: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        use(Hyperparameters())


def test_it_is_one_of_keras_tuner_s_own_and_is_answered_once_for_each_active_hyperparameter() -> None:
    asked: list[str] = []
    hp = Hyperparameters(answer=lambda declared: asked.append(declared.key) or {"kind": "cnn"}.get(declared.key, 7))
    assert isinstance(hp, keras_tuner.HyperParameters)
    assert conditional(hp) == ["cnn", None, None, 7, 7, None, 7, True, True]
    assert asked == ["kind", "filters", "units.kind=cnn", "unmet"]
    assert hp.values == {"kind": "cnn", "filters": 7, "units": 7, "unmet": 7}


def test_what_is_declared_in_a_copy_alone_stays_at_its_default() -> None:
    hp = Hyperparameters({"outputs": 3}, lambda declared: 8)
    hp.Int("units", 4, 16)
    other = hp.copy()
    assert [other.Int("units", 4, 16), other.Int("depth", 1, 9), other.get("outputs")] == [8, 1, 3]
    assert hp.values == {"units": 8}


class WithoutBuild(keras_tuner.HyperModel):
    pass


class WithoutHp(keras_tuner.HyperModel):
    size = 3

    def build(self) -> int:  # type: ignore[override]
        return self.size


def test_a_hyper_model_without_hyperparameters_is_built_as_a_function_is() -> None:
    assert build_function(WithoutHp)() == build_function(WithoutHp())() == 3


@pytest.mark.parametrize("given", [WithoutBuild, WithoutBuild()])
def test_a_hyper_model_without_a_build_is_refused_in_words(given: Any) -> None:
    with pytest.raises(InputError, match=r"m\.py:Net: the HyperModel has no build of its own\. Write"):
        _ = UserModel(given, Path(), "m.py:Net").build


def test_a_default_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="units: the default 99 is outside 4 to 6"):
        Hyperparameters().Int("units", 4, 6, default=99)
