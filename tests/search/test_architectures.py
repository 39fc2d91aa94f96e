"""The search of model hyperparameters and of the batch size, without a model of Keras."""

from __future__ import annotations

from functools import partial
from typing import Any

import optuna
import pytest
from keras_tuner.errors import FailedTrialError

from lossreg.config.search_space import Fixed, Options, Range, Space
from lossreg.errors import InputError
from lossreg.models.hyperparameters import given
from lossreg.models.keras_tuner import Hyperparameters
from lossreg.search.architectures import Architectures
from lossreg.training.interface import Architecture


class Size:
    def __init__(self, number: int) -> None:
        self.number = number

    def count_params(self) -> int:
        return self.number


class Own:
    """A user's function that counts its calls."""

    def __init__(self, function: Any) -> None:
        self.function, self.calls = function, 0

    def __call__(self, outputs: int, answer: Any) -> Size:
        self.calls += 1
        return Size(self.function(Hyperparameters({"outputs": outputs}, answer)) or 0)


def network(hp: Any) -> int:
    units = hp.Int("units", 16, 64, step=16, default=32)
    if hp.Choice("kind", ["plain", "deep"]) == "deep":
        hp.Int("depth", 1, 3)
    return units


def conditional(hp: Any) -> None:
    hp.Choice("kind", ["mlp", "cnn"])
    with hp.conditional_scope("kind", ["mlp"]):
        hp.Int("units", 4, 8)
    with hp.conditional_scope("kind", ["cnn"]):
        hp.Int("units", 100, 200)
        hp.Float("rate, of <drop>", 0.0, 0.5, step=0.25)


def drawn(trial: optuna.trial.BaseTrial, name: str, space: Space) -> Any:
    """The value that a trial has in a space, by Optuna's own functions."""
    if isinstance(space, Fixed):
        return space.value
    if isinstance(space, Options):
        return trial.suggest_categorical(name, list(space.choices))
    assert isinstance(space, Range)
    if space.integer:
        return trial.suggest_int(name, int(space.low), int(space.high), log=space.log, step=int(space.step) or 1)
    return trial.suggest_float(name, space.low, space.high, log=space.log, step=space.step or None)


def asked(searched: Architectures, **params: Any) -> tuple[Architecture | None, dict[str, Any]]:
    trial = optuna.trial.FixedTrial(params)
    return searched.suggest(partial(drawn, trial), 1), trial.params


def test_nothing_searched_is_no_architecture() -> None:
    searched = Architectures(Fixed(32), Own(lambda hp: None))
    assert (
        asked(searched)[0],
        searched.first(1),
        searched.published(1),
        searched.described(1),
    ) == (None, None, {}, {})


def test_only_active_hyperparameters_are_suggested_under_the_names_that_users_see() -> None:
    searched = Architectures(Options((16, 32, 64)), Own(network))
    deep = {"batch_size": 64, "model.units": 48, "model.kind": "deep", "model.depth": 2}
    assert asked(searched, **deep) == (Architecture(64, (("depth", 2), ("kind", "deep"), ("units", 48))), deep)
    plain = {"batch_size": 16, "model.units": 48, "model.kind": "plain"}
    assert asked(searched, **plain) == (Architecture(16, (("kind", "plain"), ("units", 48))), plain)


def test_the_defaults_come_first() -> None:
    searched = Architectures(Options((16, 32, 64)), Own(network))
    assert searched.published(1) == {"batch_size": 32, "model.units": 32, "model.kind": "plain"}
    assert searched.first(1) == Architecture(32, (("kind", "plain"), ("units", 32)))
    assert Architectures(Options((8, 16)), Own(network)).published(1)["batch_size"] == 8


def test_what_is_declared_under_a_condition_of_python_is_found_by_trying() -> None:
    searched = Architectures(Fixed(32), Own(network))
    assert searched.described(1) == {
        "model.units": "16 to 64 by 16",
        "model.kind": "plain | deep",
        "model.depth": "1 to 3",
    }
    assert searched.largest(1) == Architecture(32, (("kind", "plain"), ("units", 64)))


def test_one_name_under_two_conditions_is_two_hyperparameters_and_odd_names_are_made_safe() -> None:
    searched = Architectures(Fixed(32), Own(conditional))
    assert searched.described(1) == {
        "model.kind": "mlp | cnn",
        "model.units": "4 to 8, where kind = mlp",
        "model.units.kind-cnn": "100 to 200, where kind = cnn",
        "model.rate-of-drop": "0 to 0.5 by 0.25, where kind = cnn",
    }
    cnn = {"model.kind": "cnn", "model.units.kind-cnn": 150, "model.rate-of-drop": 0.25}
    architecture, params = asked(searched, **cnn)
    assert params == cnn
    assert architecture == Architecture(32, (("kind", "cnn"), ("rate, of <drop>", 0.25), ("units.kind=cnn", 150)))


def test_equal_values_call_the_model_s_function_once() -> None:
    model = Own(network)
    searched = Architectures(Options((16, 32)), model)
    for batch_size in (16, 32):
        for _ in range(3):
            asked(searched, **{"batch_size": batch_size, "model.units": 48, "model.kind": "deep", "model.depth": 2})
    assert model.calls == 1


def test_a_model_that_cannot_be_built_is_said_with_the_values_before_the_search_and_fails_its_trial_within() -> None:
    def brittle(hp: Any) -> None:
        if hp.Int("units", 1, 4) == 4:
            raise InputError("too wide", where="own.py:build")

    searched = Architectures(Fixed(32), Own(brittle))
    with pytest.raises(InputError, match=r"own\.py:build: with units = 4: too wide"):
        searched.declared(1)
    assert asked(searched, **{"model.units": 4})[0] == Architecture(32, (("units", 4),))


def test_values_at_which_the_model_fails_its_trial_are_left_to_the_trials() -> None:
    def brittle(hp: Any) -> None:
        if hp.Int("units", 1, 4) == worst:
            cause = FailedTrialError("too wide")
            raise InputError("too wide", where="own.py:build") from cause

    worst = 4
    assert [one.key for one in Architectures(Fixed(32), Own(brittle)).declared(1)] == ["units"]
    worst = 1  # the default
    with pytest.raises(InputError, match="too wide"):
        Architectures(Fixed(32), Own(brittle)).declared(1)


def test_many_values_are_warned_of() -> None:
    searched = Architectures(Fixed(32), Own(lambda hp: [hp.Float("rate", 0.0, 0.5), hp.Int("units", 1, 8), None][-1]))
    assert searched.notes(1) == [
        "model.rate may take many values, and each is a graph of its own, of which 3 MB or so remain: give choices"
    ]


def branches(first: Any, second: Any, *, scoped: bool) -> Any:
    """Return a model whose `units` are declared in each of two branches, by `first` and by `second`."""

    def build(hp: Any) -> Any:
        kind = hp.Choice("kind", ["a", "b"])
        declare = first if kind == "a" else second
        if not scoped:
            return declare(hp)
        with hp.conditional_scope("kind", [kind]):
            return declare(hp)

    return build


def narrow(hp: Any) -> Any:
    return hp.Int("units", 4, 8)


def few(hp: Any) -> Any:
    return hp.Choice("units", [16, 32])


def others(hp: Any) -> Any:
    return hp.Choice("units", [64, 128])


def wide(hp: Any) -> Any:
    return hp.Int("units", 16, 32, step=8)


def scaled(hp: Any) -> Any:
    return hp.Int("units", 16, 64, sampling="log")


def sizes(build: Any, names: set[str], trials: int = 12) -> list[dict[str, Any]]:
    """Run an Optuna study of random values, and return the parameters of its trials."""
    built = Own(build)
    searched = Architectures(Fixed(32), built)
    searched.declared(1)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(searched.published(1))

    def objective(trial: optuna.Trial) -> float:
        architecture = searched.suggest(partial(drawn, trial), 1)
        assert architecture is not None
        # the model that is built again from the values of a trial has the units that Optuna suggested
        again = build(Hyperparameters({"outputs": 1}, given(dict(architecture.model))))
        assert again in [value for name, value in trial.params.items() if name.startswith("model.units")]
        return 0.0

    study.optimize(objective, n_trials=trials)
    assert {name for trial in study.trials for name in trial.params} == names
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("scoped", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        (narrow, few, "model.units.16-32"),
        (few, narrow, "model.units.4-to-8"),
        (few, others, "model.units.64-128"),
        (narrow, scaled, "model.units.16-to-64-log"),
    ],
)
def test_a_name_with_values_of_another_kind_in_another_branch_is_another_parameter(
    first: Any, second: Any, name: str, scoped: bool
) -> None:
    build = branches(first, second, scoped=scoped)
    params = sizes(build, {"model.kind", "model.units", name})
    assert all(("model.units" in one) == (one["model.kind"] == "a") for one in params)
    assert {"model.units", name} <= Architectures(Fixed(32), Own(build)).described(1).keys()


def test_a_name_with_another_range_in_another_branch_is_one_parameter_and_both_ranges_are_shown() -> None:
    build = branches(narrow, wide, scoped=True)
    sizes(build, {"model.kind", "model.units"})
    described = Architectures(Fixed(32), Own(build)).described(1)
    assert described["model.units"] == "4 to 8, where kind = a; 16 to 32 by 8, where kind = b"


def test_the_largest_model_is_looked_for_in_every_branch() -> None:
    searched = Architectures(Fixed(32), Own(branches(narrow, few, scoped=False)))
    searched.declared(1)
    assert searched.largest(1) == Architecture(32, (("kind", "b"), ("units", 32)))
