"""A trial of a study as KerasTuner's hyperparameters: those of the model, and the loss with its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from lossreg.models.hyperparameters import qualified
from lossreg.search import choices, restore

if TYPE_CHECKING:
    import keras_tuner

    from lossreg.search.preparation import Prepared
    from lossreg.storage.records import TrialRecord

Build = Callable[[Any], Any]


def of(prepared: Prepared, record: TrialRecord, space: keras_tuner.HyperParameters, build: Build) -> Any:
    """Return the hyperparameters of a trial: `build(hp)` gives its model, compiled at its learning rate.

    space: what `build` is known to declare, to which it adds others of this trial, and the losses are added under the
    names that studies have.
    """
    space.values = _of_model(prepared, record, space)
    while not _searched(prepared, record).keys() <= set(_keys(space)):
        known = len(space.space)
        build(space)
        space.values = _of_model(prepared, record, space)
        if len(space.space) == known:
            break
    by_loss = choices.asked(replace(prepared.proposer, architectures=None))
    if choices.LOSS not in space.values:
        space.Choice(choices.LOSS, list(by_loss), default=record.candidate)
    space.values[choices.LOSS] = record.candidate
    for loss, distributions in by_loss.items():
        with space.conditional_scope(choices.LOSS, [loss]):
            _declare(space, {name: d for name, d in distributions.items() if name.startswith(f"{loss}.")})
    _declare(space, {name: d for name, d in by_loss[record.candidate].items() if not _is_of_loss(name, by_loss)})
    space.values |= {name: value for name, value in record.params.items() if name in space.values}
    return space


def _of_model(prepared: Prepared, record: TrialRecord, space: Any) -> dict[str, Any]:
    """Return the values of the model's hyperparameters that are active, by name."""
    architectures = prepared.proposer.architectures
    rate = {architectures.rate_of: record.learning_rate} if architectures and architectures.rate_of else {}
    found = {**record.params, choices.LOSS: record.candidate, **rate, **_searched(prepared, record)}
    values: dict[str, Any] = {}
    for key, declared in zip(_keys(space), space.space, strict=True):
        if declared.name not in values and all(parent.is_active(values) for parent in declared.conditions):
            value = found.get(key, declared.default)
            values[declared.name] = value if _takes(declared, value) else declared.default
    return values


def _searched(prepared: Prepared, record: TrialRecord) -> dict[str, Any]:
    """Return the model's hyperparameters of a trial that the study searches, by key."""
    architecture = restore.plan_of(prepared, record).architecture
    return dict(architecture.model) if architecture else {}


def _keys(space: Any) -> Iterator[str]:
    """Yield the key of each hyperparameter in a study: its name, with its conditions where another one has the name."""
    seen: set[str] = set()
    for declared in space.space:
        conditions = tuple((parent.name, tuple(parent.values)) for parent in declared.conditions)
        yield qualified(declared.name, conditions) if declared.name in seen else declared.name
        seen.add(declared.name)


def _takes(declared: Any, value: Any) -> bool:
    """Return whether a value is one of a hyperparameter's, for rates to which its values lead in another way."""
    if hasattr(declared, "min_value"):
        return isinstance(value, (int, float)) and bool(declared.min_value <= value <= declared.max_value)
    return value in declared.values


def _is_of_loss(name: str, losses: Mapping[str, Any]) -> bool:
    return name == choices.LOSS or any(name.startswith(f"{loss}.") for loss in losses)


def _declare(space: Any, distributions: Mapping[str, BaseDistribution]) -> None:
    """Add parameters of these distributions, unless the model has one of the name, under the same conditions or not."""
    for name, distribution in distributions.items():
        if any(known.name == name for known in space.space):
            continue
        if isinstance(distribution, CategoricalDistribution):
            options = list(distribution.choices)
            is_plain = len({type(option) for option in options}) == 1 and isinstance(options[0], (str, int, float))
            space.Choice(name, options if is_plain else list(map(str, options)))
        elif isinstance(distribution, (FloatDistribution, IntDistribution)):
            kind = space.Int if isinstance(distribution, IntDistribution) else space.Float
            sampling, step = ("log", None) if distribution.log else ("linear", distribution.step)
            kind(name, distribution.low, distribution.high, step=step, sampling=sampling)
